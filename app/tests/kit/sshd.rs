//! A real ssh server on this machine alone, with keys of its own, ended with the test.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::tmux::{is_installed, until};

/// Where it stands; it wants to be started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// The server. Dropping it ends it; connections end with their clients.
pub(crate) struct Sshd {
    server: Child,
    folder: TempDir,
    port: u16,
}

impl Sshd {
    /// `None`, and why is said, where a tool is missing or the system does not let it run.
    pub(crate) fn start() -> Option<Self> {
        if !["tmux", "ssh", "ssh-keygen", SSHD]
            .into_iter()
            .all(is_installed)
        {
            return None;
        }
        let folder = TempDir::with_prefix("hullo-sshd").unwrap();
        let at = folder.path();
        for key in ["host", "client"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        // Its place for separated privileges; usually made by whatever starts the system's own server.
        let _ = std::fs::create_dir_all("/run/sshd");
        // Free when asked. Taken before it is used: the server says so, and the test fails with its words.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = at.join("config");
        std::fs::write(&config, settings(at, port)).unwrap();
        let check = Command::new(SSHD)
            .arg("-t")
            .arg("-f")
            .arg(&config)
            .output()
            .unwrap();
        if !check.status.success() {
            eprintln!(
                "left out: sshd does not run here: {}",
                String::from_utf8_lossy(&check.stderr)
            );
            return None;
        }
        let log = at.join("log");
        let server = Command::new(SSHD)
            .args(["-D", "-f"])
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        until(
            "sshd listens",
            || TcpStream::connect(("127.0.0.1", port)).ok(),
            || std::fs::read_to_string(&log).unwrap_or_default(),
        );
        Some(Self {
            server,
            folder,
            port,
        })
    }

    /// What logs in here and runs `command` in a terminal.
    pub(crate) fn command(&self, command: &str) -> String {
        let at = self.folder.path().display();
        format!(
            "ssh -tt -F /dev/null -p {} -i {at}/client -o IdentitiesOnly=yes -o UserKnownHostsFile={at}/known \
             -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR 127.0.0.1 {command}",
            self.port
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn settings(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/client.pub\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
         PermitRootLogin prohibit-password\n"
    )
}
