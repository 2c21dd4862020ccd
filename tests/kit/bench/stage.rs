//! A server and two people who know each other, as real processes on this machine; calls between them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{Program, ProgramError, now};
use super::transcript::Transcript;

/// For a step that needs no call: starting, naming, inviting.
const STEP_TIME_MAX: Duration = Duration::from_secs(15);

/// Beyond the length of a call: connecting before it, closing files after it.
const CALL_SLACK: Duration = Duration::from_secs(30);

/// Devices and files of one side of a call, each in the words of the command line.
#[derive(Clone, Debug)]
pub struct Side {
    /// `--camera`; nothing in a call without pictures.
    pub camera: String,
    /// `--mic`.
    pub mic: String,
    /// `--speaker`.
    pub speaker: String,
    /// `--record-video`, where the pictures from the far side are to be kept.
    pub record_video: Option<PathBuf>,
    /// What else is said on its command line.
    pub options: Vec<String>,
}

impl Side {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = words(&["--mic", &self.mic, "--speaker", &self.speaker]);
        if !self.camera.is_empty() {
            arguments.extend(words(&["--video", "--camera", &self.camera]));
        }
        arguments.extend(self.options.iter().cloned());
        if let Some(file) = &self.record_video {
            arguments.extend(["--record-video".to_owned(), file.display().to_string()]);
        }
        arguments
    }
}

/// The running server and the two profiles.
#[derive(Debug)]
pub struct Stage {
    binary: PathBuf,
    folder: PathBuf,
    /// What the caller calls the callee.
    callee_name: String,
    _server: Program,
}

impl Stage {
    /// Starts the server and makes the two contacts; everything lives in `folder`.
    ///
    /// # Errors
    /// One of the programs did not do its part.
    pub fn set(binary: &Path, folder: &Path) -> Result<Self, ProgramError> {
        let profile = |who: &str| folder.join(who).display().to_string();
        let start = |name: &str, who: &str, arguments: &[&str], stdin: &str| {
            let mut all = words(arguments);
            all.extend(words(&["--json", "--profile", &profile(who)]));
            Program::start(name, binary, &all, stdin, folder)
        };
        let deadline = now() + 4 * STEP_TIME_MAX;
        let mut server = start("serve", "server", &["serve", "--listen", "127.0.0.1:0"], "")?;
        let ready = server.wait_for("ready", deadline, |value| value["url"].is_string())?;
        let url = text(&ready["url"]);
        for who in ["alice", "bob"] {
            let mut name = start("name", who, &["name", who, "--server", &url], "")?;
            name.wait_for("name", deadline, |_| true)?;
            name.finish(deadline);
        }
        let mut invite = start("invite", "alice", &["invite"], "")?;
        let link = text(&invite.wait_for("invite", deadline, |_| true)?["link"]);
        invite.finish(deadline);
        // By stdin: a link is a secret, and the process list is not.
        let mut add = start("add", "bob", &["add", "-"], &format!("{link}\n"))?;
        let contact = add.wait_for("contact", deadline, |_| true)?;
        add.finish(deadline);
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            callee_name: contact["name"].as_str().unwrap_or("alice").to_owned(),
            _server: server,
        })
    }

    /// One call: alice answers, bob calls and hangs up after `length`. What callee and caller reported.
    ///
    /// # Errors
    /// The callee does not get ready, or one of them reports no summary.
    pub fn call(
        &self,
        callee: &Side,
        caller: &Side,
        length: Duration,
    ) -> Result<(Transcript, Transcript), ProgramError> {
        let mut answering =
            self.start("answer", "alice", &["answer"], callee, length + CALL_SLACK)?;
        answering.wait_for("ready", now() + STEP_TIME_MAX, |_| true)?;
        let mut calling =
            self.start("call", "bob", &["call", &self.callee_name], caller, length)?;
        let deadline = now() + length + CALL_SLACK;
        calling.wait_for("summary", deadline, |_| true)?;
        answering.wait_for("summary", deadline, |_| true)?;
        let lines = |program: Program, deadline: Instant| program.finish(deadline).0;
        Ok((
            Transcript::new(lines(answering, deadline)),
            Transcript::new(lines(calling, deadline)),
        ))
    }

    fn start(
        &self,
        name: &str,
        who: &str,
        command: &[&str],
        side: &Side,
        length: Duration,
    ) -> Result<Program, ProgramError> {
        let profile = self.folder.join(who).display().to_string();
        let mut arguments = words(command);
        arguments.extend(side.arguments());
        arguments.extend(words(&["--json", "--profile", &profile]));
        arguments.extend(words(&["--seconds", &length.as_secs().to_string()]));
        Program::start(name, &self.binary, &arguments, "", &self.folder)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script in the place of the program: it says what `hullo` says, to the arguments `hullo` is given.
    const STAND_IN: &str = r##"#!/bin/sh
case "$1" in
serve) echo '{"event":"ready","url":"https://127.0.0.1:1/#pin=x"}'; read wait ;;
name) [ "$3 $4" = "--server https://127.0.0.1:1/#pin=x" ] && echo '{"event":"name","name":"'"$2"'"}' ;;
invite) echo '{"event":"invite","link":"hullo:secret"}' ;;
add) read link; [ "$2 $link" = "- hullo:secret" ] && echo '{"event":"contact","name":"alice-2"}' ;;
answer) echo '{"event":"ready"}'; echo '{"event":"summary","arguments":"'"$*"'","setup_ms":1}' ;;
call) echo '{"event":"summary","arguments":"'"$*"'","setup_ms":2}' ;;
esac
"##;

    #[test]
    #[cfg(unix)]
    fn two_people_meet_and_call() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("hullo");
        std::fs::write(&binary, STAND_IN).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stage = Stage::set(&binary, folder.path()).unwrap();
        let side = Side {
            camera: "test".to_owned(),
            mic: "file:a.wav".to_owned(),
            speaker: "none".to_owned(),
            record_video: Some(PathBuf::from("out.y4m")),
            options: vec!["--echo".to_owned(), "on".to_owned()],
        };
        let (callee, caller) = stage.call(&side, &side, Duration::from_secs(3)).unwrap();
        assert_eq!(callee.summary("setup_ms"), Some(1.0));
        assert_eq!(caller.summary("setup_ms"), Some(2.0));
        let said = caller.values()[0]["arguments"].to_string();
        for part in [
            "call alice-2 --mic file:a.wav --speaker none --video --camera test --echo on",
            "--record-video out.y4m",
            "--seconds 3",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
