//! A real terminal to run the program in: a private tmux server with one window, ended with the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Long enough for a loaded machine; nothing waits for it on the good path.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the terminal.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Where it is not installed the test says so and is left out.
pub(crate) fn is_installed(program: &str) -> bool {
    let is_there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|found| found.status.success());
    if !is_there {
        eprintln!("left out: {program} is not installed");
    }
    is_there
}

/// Looks again and again until it finds something.
pub(crate) fn until<T>(
    what: &str,
    mut find: impl FnMut() -> Option<T>,
    otherwise: impl Fn() -> String,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "not within {PATIENCE:?}: {what}\n{}",
            otherwise()
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A folder for everything a run writes, and the script that runs `hullo` in it and says how the terminal was before
/// and after.
pub(crate) struct Stage(TempDir);

impl Stage {
    /// `args` are words of a shell, `environment` its assignments.
    pub(crate) fn new(args: &str, environment: &str) -> Self {
        let folder = TempDir::with_prefix("hullo-terminal").unwrap();
        let at = folder.path().display();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let script = format!(
            "unset NO_COLOR CLICOLOR COLORTERM LC_ALL LC_CTYPE\n\
             export LANG=C.UTF-8 HULLO_HOME={at}/profile XDG_RUNTIME_DIR={at} TMPDIR={at}/tmp {environment}\n\
             stty -g > {at}/before\n\
             echo here was the shell\n\
             sh -c 'echo $$ > {at}/pid; exec \"$0\" \"$@\"' {} {args}\n\
             status=$?\n\
             stty -g > {at}/after\n\
             echo \"back with $status\"\n\
             exec cat -v\n",
            env!("CARGO_BIN_EXE_hullo")
        );
        std::fs::write(folder.path().join("run.sh"), script).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command line of the script.
    pub(crate) fn command(&self) -> String {
        format!("sh {}", self.path().join("run.sh").display())
    }

    /// The program with `args` and nothing around it, to be typed into a shell that has jobs.
    pub(crate) fn typed(&self, args: &str) -> String {
        let at = self.path().display();
        format!(
            "HULLO_HOME={at}/profile XDG_RUNTIME_DIR={at} TMPDIR={at}/tmp {} {args}",
            env!("CARGO_BIN_EXE_hullo")
        )
    }

    /// Sends the program itself a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.path().join("pid")).unwrap();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), pid.trim()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The shell's settings are those of before.
    pub(crate) fn assert_settings_restored(&self) {
        let read = |name| std::fs::read_to_string(self.path().join(name)).unwrap();
        assert_ne!(read("before"), "");
        assert_eq!(read("before"), read("after"));
    }

    /// Neither processes of ours nor their temporary files are left.
    pub(crate) fn assert_nothing_left(&self) {
        until(
            "all processes have ended",
            || self.processes().is_empty().then_some(()),
            || self.processes().join("\n"),
        );
        let left: Vec<PathBuf> = std::fs::read_dir(self.path().join("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Command lines of the program's processes that work in this folder.
    fn processes(&self) -> Vec<String> {
        let folder = self.path().to_str().unwrap();
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let entry = entry.ok()?.path();
                let read = |name| std::fs::read(entry.join(name)).ok();
                let environment = String::from_utf8_lossy(&read("environ")?).into_owned();
                let line = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ");
                let is_ours = line.starts_with(env!("CARGO_BIN_EXE_hullo"));
                (is_ours && environment.contains(folder)).then_some(line)
            })
            .collect()
    }
}

/// A window of a tmux server of its own. Dropping it ends that server, which hangs up the terminal.
pub(crate) struct Tmux {
    /// Of its socket, which tmux would leave behind.
    folder: TempDir,
}

impl Tmux {
    pub(crate) fn start((columns, rows): (u16, u16), command: &str) -> Self {
        let tmux = Self {
            folder: TempDir::with_prefix("hullo-tmux").unwrap(),
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.run(&[
            "-u",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            command,
        ]);
        // What it showed last can be read when the program has ended.
        tmux.run(&["set-option", "-g", "remain-on-exit", "on"]);
        tmux
    }

    /// Runs a tmux command and gives what it prints.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let done = self.try_run(args);
        assert!(
            done.status.success(),
            "tmux {args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn try_run(&self, args: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-f", "/dev/null", "-S"])
            .arg(self.folder.path().join("socket"))
            .args(args)
            .output()
            .unwrap()
    }

    /// What the window shows.
    pub(crate) fn shown(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Waits until the window shows these words.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        self.wait_until(words, |shown| shown.contains(words))
    }

    pub(crate) fn wait_until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        until(
            what,
            || Some(self.shown()).filter(|shown| fits(shown)),
            || self.shown(),
        )
    }

    pub(crate) fn press(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    /// Types a line into a shell.
    pub(crate) fn enter(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.run(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// First page, cursor shown, pasting without brackets: as a shell expects its terminal.
    pub(crate) fn assert_restored(&self) {
        let all = self.run(&["capture-pane", "-p", "-J", "-S", "-"]);
        assert!(all.contains("here was the shell"), "{all}");
        let flags = self.run(&["display-message", "-p", "#{alternate_on}#{cursor_flag}"]);
        assert_eq!(flags.trim(), "01");
        self.run(&["set-buffer", "pasted"]);
        self.run(&["paste-buffer", "-p"]);
        let shown = self.wait_for("pasted");
        assert!(!shown.contains("200~"), "{shown}");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It fails only when the server has ended already.
        let _ = self.try_run(&["kill-server"]);
    }
}
