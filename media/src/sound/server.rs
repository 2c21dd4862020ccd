//! A sound server without a sound card, for tests: PulseAudio with null sinks, whose monitors stand in for microphones.
//!
//! Its address must be in the environment from the start, so what plays and listens runs as a process of its own: the same
//! test once more, with a variable set.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::clock;

/// The running server; ended when dropped, however the test ends.
pub(crate) struct SoundServer {
    child: Child,
    folder: TempDir,
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SoundServer {
    /// Starts one with these modules; none, with a word why, where PulseAudio cannot run.
    pub(crate) fn start(modules: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        // The client in plain Rust wants a cookie, though nobody looks at it.
        let cookie = folder.path().join(".config/pulse");
        std::fs::create_dir_all(&cookie).expect("writable");
        std::fs::write(cookie.join("cookie"), [7; 256]).expect("writable");
        let words = "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n";
        std::fs::write(folder.path().join("asound.conf"), words).expect("writable");
        let socket = folder.path().join("sock");
        let native = format!(
            "module-native-protocol-unix auth-anonymous=1 socket={}",
            socket.display()
        );
        let server = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
            ])
            .args(
                std::iter::once(native.as_str())
                    .chain(modules.iter().copied())
                    .map(|words| format!("--load={words}")),
            )
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = server else {
            skip("pulseaudio is not installed");
            return None;
        };
        let server = Self { child, folder };
        let deadline = clock::now() + Duration::from_secs(10);
        while !socket.exists() {
            if clock::now() > deadline {
                skip("pulseaudio does not start here");
                return None;
            }
            clock::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// Runs this very test once more with the server in its environment and `inner` set; what it said.
    pub(crate) fn run_inner(&self, test: &str, inner: &str) -> Output {
        let folder = self.folder.path();
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--nocapture"])
            .env(inner, "1")
            .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
            .env(
                "PULSE_SERVER",
                format!("unix:{}", folder.join("sock").display()),
            )
            .env("HOME", folder)
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .expect("starts")
    }
}

/// Tells the server something, from within its environment; the answer.
pub(crate) fn pactl(words: &[&str]) -> String {
    let output = Command::new("pactl")
        .args(words)
        .output()
        .expect("pactl runs");
    assert!(
        output.status.success(),
        "pactl {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
