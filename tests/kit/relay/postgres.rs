//! A PostgreSQL server of one's own: a fresh cluster in a temporary folder, reached by a socket in it, gone when dropped.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server.
pub struct PostgresServer {
    programs: PathBuf,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    process: Option<Child>,
    folder: tempfile::TempDir,
}

/// Why there is none on this machine.
#[derive(Debug)]
pub struct NoPostgres(String);

impl fmt::Display for NoPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "skipped: no PostgreSQL server to be had here: {}",
            self.0
        )
    }
}

impl PostgresServer {
    /// Makes and starts one with these settings (`fsync=off`, ...).
    ///
    /// # Errors
    /// The programs are not installed or do not run.
    pub fn start(settings: &[&str]) -> Result<Self, NoPostgres> {
        let programs = find_programs()?;
        let user = unprivileged_user()?;
        let folder = tempfile::tempdir().map_err(|error| NoPostgres(error.to_string()))?;
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))
                .map_err(|error| NoPostgres(error.to_string()))?;
        }
        let mut server = Self {
            programs,
            user,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            process: None,
            folder,
        };
        let made = server
            .command("initdb")
            .args(["--username=relay", "--auth=trust", "--no-sync"])
            .args(["--no-locale", "--encoding=UTF8", "--pgdata"])
            .arg(server.data())
            .output()
            .map_err(|error| NoPostgres(error.to_string()))?;
        if !made.status.success() {
            return Err(NoPostgres(String::from_utf8_lossy(&made.stderr).into()));
        }
        server.resume()?;
        Ok(server)
    }

    /// For `--store`.
    pub fn url(&self) -> String {
        format!(
            "postgres:///postgres?user=relay&host={}",
            self.folder.path().display()
        )
    }

    /// Where it keeps its files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it again after [`Self::crash`].
    ///
    /// # Errors
    /// It ends before it is ready.
    pub fn resume(&mut self) -> Result<(), NoPostgres> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses="]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| NoPostgres(error.to_string()))?;
        let stderr = process.stderr.take().expect("stderr is piped");
        self.process = Some(process);
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let is_ready = lines.by_ref().any(|line| {
            let is_ready = line.contains("ready to accept connections");
            said.push(line);
            is_ready
        });
        if !is_ready {
            return Err(NoPostgres(said.join("\n")));
        }
        // A full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(())
    }

    /// Ends it as a loss of power would: connections break, and what was committed must be there again.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGQUIT: the server ends its children and does not tidy up.
            let quit = Command::new("kill")
                .args(["-QUIT", &process.id().to_string()])
                .status();
            if !quit.is_ok_and(|status| status.success()) {
                // Gone already, or about to be.
                let _ = process.kill();
            }
            let _ = process.wait();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.crash();
    }
}

/// The folder with `initdb` and `postgres`: Debian keeps them out of the search path.
fn find_programs() -> Result<PathBuf, NoPostgres> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    folders.sort();
    folders.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths),
    );
    let has = |folder: &PathBuf, program: &str| Path::is_file(&folder.join(program));
    folders
        .into_iter()
        .find(|folder| has(folder, "initdb") && has(folder, "postgres"))
        .ok_or_else(|| NoPostgres("initdb and postgres are not installed".to_owned()))
}

/// The server refuses to run as root: whom it is to run as, when we are.
fn unprivileged_user() -> Result<Option<(u32, u32)>, NoPostgres> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)))
        .map(Some)
        .ok_or_else(|| NoPostgres("we are root and there is no user to drop to".to_owned()))
}
