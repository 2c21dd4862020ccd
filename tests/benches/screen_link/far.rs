//! A real ssh server on this machine alone, with keys of its own, and what is run through it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;

/// It wants to be started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";
const START: Duration = Duration::from_secs(20);

/// The program that is missing here, if any.
pub(crate) fn missing() -> Option<&'static str> {
    ["ssh", "ssh-keygen", SSHD, "tmux"]
        .into_iter()
        .find(|program| {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output();
            !found.is_ok_and(|found| found.status.success())
        })
}

/// The server. Dropping it ends it, and the tmux server that was started through it.
pub(crate) struct Far {
    server: Child,
    folder: PathBuf,
    port: u16,
}

impl Far {
    /// Everything it needs is made in `folder`.
    ///
    /// # Errors
    /// The system does not let it run; its own words say why.
    pub(crate) fn start(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        for key in ["host", "client"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(key))
                .status()?;
            if !made.success() {
                return Err("ssh-keygen makes no key".into());
            }
        }
        // Its place for separated privileges; usually made by whatever starts the system's own server.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::write(folder.join("config"), settings(folder, port))?;
        std::fs::write(folder.join("tmux.conf"), TMUX)?;
        let log = folder.join("log");
        let server = Command::new(SSHD)
            .arg("-D")
            .arg("-f")
            .arg(folder.join("config"))
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::null())
            .spawn()?;
        let far = Self {
            server,
            folder: folder.to_owned(),
            port,
        };
        let end = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > end {
                let words = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("sshd does not run here: {words}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(far)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Logs in by way of `port` and runs the mirror there on the clip, `in_tmux` or not.
    pub(crate) fn command(
        &self,
        port: u16,
        hullo: &Path,
        clip: &Path,
        in_tmux: bool,
    ) -> CommandBuilder {
        let at = self.folder.display();
        let mirror = format!(
            "env -u NO_COLOR -u CLICOLOR LANG=C.UTF-8 COLORTERM=truecolor HULLO_HOME={at}/profile XDG_RUNTIME_DIR={at} \
             {} mirror --camera file:{}",
            hullo.display(),
            clip.display()
        );
        let run = if in_tmux {
            format!("tmux -u -f {at}/tmux.conf -S {at}/tmux new-session '{mirror}'")
        } else {
            mirror
        };
        let mut ssh = CommandBuilder::new("ssh");
        ssh.args(["-tt", "-F", "/dev/null", "-p", &port.to_string(), "-i"]);
        ssh.arg(self.folder.join("client"));
        for option in [
            "IdentitiesOnly=yes".to_owned(),
            format!("UserKnownHostsFile={at}/known"),
            "StrictHostKeyChecking=no".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ] {
            ssh.args(["-o", &option]);
        }
        ssh.args(["127.0.0.1", &run]);
        ssh.env("TERM", "xterm-256color");
        ssh
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // Whether it was started at all is not asked.
        let _ = Command::new("tmux")
            .arg("-S")
            .arg(self.folder.join("tmux"))
            .arg("kill-server")
            .stderr(Stdio::null())
            .status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// All rows for the program, and the colours that the terminal has.
const TMUX: &str = "set -g status off\nset -g default-terminal tmux-256color\n\
                    set -as terminal-features ',xterm-256color:RGB'\n";

fn settings(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/client.pub\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
         PermitRootLogin prohibit-password\n"
    )
}
