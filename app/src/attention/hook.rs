//! The user's own program for calls: started for an incoming one, told who it is as JSON, ended with the ringing.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use super::Caller;

/// What the program gets on its standard input: one line.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    name: &'a str,
    video: bool,
    verified: bool,
}

/// The running program.
pub struct Hook {
    child: Child,
}

impl Hook {
    /// Runs it. Nothing it prints reaches the screen.
    ///
    /// # Errors
    /// The user's: it cannot be started, in words that name it.
    pub fn start(command: &[String], caller: &Caller) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("on_incoming is empty")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("on_incoming: `{program}` cannot be run: {error}"))?;
        let told = Told {
            event: "incoming",
            name: &caller.name,
            video: caller.video,
            verified: caller.verified,
        };
        if let (Some(mut stdin), Ok(mut line)) = (child.stdin.take(), serde_json::to_vec(&told)) {
            line.push(b'\n');
            // Shorter than any pipe's buffer, so this never waits; a program that does not read is its own affair.
            let _ = stdin.write_all(&line);
        }
        Ok(Self { child })
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Gone in between: then there is nothing to end.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        // Its end is collected by the next look or by the system at ours: a program that will not end holds nobody up.
        let _ = self.child.try_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Caller {
        Caller {
            name: "Ann \"x\"\n".to_owned(),
            video: false,
            verified: true,
        }
    }

    #[test]
    fn the_program_is_told_on_its_input_and_ended_with_the_ringing() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("told");
        let script = format!(
            "cat > {0}.part; trap 'echo ended > {0}.end.part; mv {0}.end.part {0}.end; exit' TERM; mv {0}.part {0}; while :; do sleep 0.02; done",
            fifo.display()
        );
        let command = ["sh".to_owned(), "-c".to_owned(), script];
        let hook = Hook::start(&command, &ann()).unwrap();
        let told = wait_for(&fifo);
        assert_eq!(
            told,
            "{\"event\":\"incoming\",\"name\":\"Ann \\\"x\\\"\\n\",\"video\":false,\"verified\":true}\n"
        );
        drop(hook);
        assert_eq!(wait_for(&folder.path().join("told.end")), "ended\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let command = ["no-such-program-here".to_owned()];
        let error = Hook::start(&command, &ann()).err().unwrap();
        assert!(
            error.contains("`no-such-program-here` cannot be run"),
            "{error}"
        );
    }

    fn wait_for(path: &std::path::Path) -> String {
        let deadline = hullo_media::clock::now() + std::time::Duration::from_secs(20);
        loop {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text;
            }
            assert!(hullo_media::clock::now() < deadline, "nothing came");
            hullo_media::clock::sleep(std::time::Duration::from_millis(5));
        }
    }
}
