//! The program as a relay: a process that can be killed at any moment.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::tls::Identity;

/// How to start it, again and again, at one address.
pub struct RelayProcess {
    binary: PathBuf,
    arguments: Vec<String>,
    address: SocketAddr,
    child: Option<Child>,
}

impl RelayProcess {
    /// Starts `binary serve` with its profile in `folder` and its queues in `store`, at a free port.
    ///
    /// # Errors
    /// It does not start; its own words are in the error.
    pub fn start(
        binary: &Path,
        folder: &Path,
        store: &str,
        identity: &Identity,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (certificate, key) = identity.write(folder)?;
        let path = |path: &Path| path.display().to_string();
        let mut process = Self {
            binary: binary.to_owned(),
            arguments: [
                "serve".to_owned(),
                "--json".to_owned(),
                "--profile".to_owned(),
                path(folder),
                "--store".to_owned(),
                store.to_owned(),
                "--cert".to_owned(),
                path(&certificate),
                "--key".to_owned(),
                path(&key),
            ]
            .into(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            child: None,
        };
        process.resume()?;
        Ok(process)
    }

    /// Where it listens, now and after each [`Self::resume`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    ///
    /// # Panics
    /// It was killed.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL: no chance to tidy up.
    ///
    /// # Errors
    /// It ended by itself before.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and its exit status.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn stop(&mut self) -> io::Result<Option<i32>> {
        let Some(mut child) = self.child.take() else {
            return Ok(None);
        };
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()?;
        Ok(child.wait()?.code())
    }

    /// Starts it again after [`Self::kill`].
    ///
    /// # Errors
    /// It does not start; its own words are in the error.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut child = Command::new(&self.binary)
            .args(&self.arguments)
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.next().transpose()?.unwrap_or_default();
        let Some(port) = port(&ready) else {
            let output = child.wait_with_output()?;
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("{ready} {words}")));
        };
        self.address.set_port(port);
        self.child = Some(child);
        Ok(())
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.kill();
    }
}

/// The port in `{"event":"ready","url":"https://127.0.0.1:4433/#pin=…"}`.
fn port(ready: &str) -> Option<u16> {
    let value: serde_json::Value = serde_json::from_str(ready).ok()?;
    let authority = value["url"].as_str()?.split('/').nth(2)?;
    authority.rsplit(':').next()?.parse().ok()
}
