//! Programs beside `hullo` that a benchmark runs: the build, the codec floor, and the scripts that score speech and make clips.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Why a tool gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It could not be started.
    #[error("{0} does not start: {1}")]
    Start(String, std::io::Error),
    /// It ended with an error.
    #[error("{0} failed: {1}")]
    Failed(String, String),
    /// It wrote something else than was expected.
    #[error("{0} printed no {1}")]
    Answer(String, &'static str),
}

/// What sending and receiving costs with codecs alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    /// Processor time for coding one's own clip and decoding one of the same kind, in shares of one core.
    pub cores: f64,
    /// All that the loop reported.
    pub report: Value,
}

/// What a call's pictures may cost, as in `app/src/call/media.rs`.
const VIDEO_BPS: &str = "2500000";

/// Scripts for speech and clips, and the Python that has their packages.
#[derive(Clone, Debug)]
pub struct Scripts {
    /// The folder with `speech/` and `video/`.
    pub folder: PathBuf,
    /// The interpreter.
    pub python: PathBuf,
}

impl Scripts {
    /// Writes the reference speech as WAV.
    ///
    /// # Errors
    /// A package or espeak-ng is missing.
    pub fn make_speech(&self, wav: &Path) -> Result<(), ToolError> {
        run(self.python("speech/make_reference.py").arg(wav)).map(drop)
    }

    /// Writes a talking head as Y4M, 640x360 at 30 per second.
    ///
    /// # Errors
    /// A package is missing or the disk is full.
    pub fn make_talking_head(&self, y4m: &Path, seconds: u32, noise: f64) -> Result<(), ToolError> {
        let file = File::create(y4m)
            .map_err(|error| ToolError::Start(y4m.display().to_string(), error))?;
        let mut command = self.python("video/talking_head.py");
        command.args([
            "--format",
            "y4m",
            "--seconds",
            &seconds.to_string(),
            "--noise",
            &noise.to_string(),
        ]);
        run(command.stdout(file)).map(drop)
    }

    /// PESQ-WB of `heard` against `said`, 1.0 to 4.64.
    ///
    /// # Errors
    /// A package is missing, or one of the files holds no speech.
    pub fn pesq(&self, said: &Path, heard: &Path) -> Result<f64, ToolError> {
        self.scores(said, heard).map(|(pesq, _)| pesq)
    }

    /// PESQ-WB of `heard` against `said`, 1.0 to 4.64, and STOI, 0 to 1.
    ///
    /// # Errors
    /// As [`Self::pesq`].
    pub fn scores(&self, said: &Path, heard: &Path) -> Result<(f64, f64), ToolError> {
        let output = run(self.python("speech/mos.py").arg(said).arg(heard))?;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let figure = |name: &'static str| {
            report[name]
                .as_f64()
                .ok_or(ToolError::Answer("mos.py".to_owned(), name))
        };
        Ok((figure("pesq_wb")?, figure("stoi")?))
    }

    /// Writes what a speaker plays in a simulated room and what the microphone hears there: `far.wav`, `mic_echo.wav`,
    /// `mic_double.wav` with a voice from 20 s on, and that voice, `near.wav`.
    ///
    /// # Errors
    /// A package is missing or the disk is full.
    pub fn make_room(&self, said: &Path, folder: &Path) -> Result<(), ToolError> {
        let mut command = self.python("speech/echo_room.py");
        run(command.arg("make").arg(said).arg(folder)).map(drop)
    }

    /// Scores what was made of those: a line for each interval and one for the voice.
    ///
    /// # Errors
    /// A package is missing, or a file holds no sound.
    pub fn score_room(
        &self,
        folder: &Path,
        echo: &Path,
        double: &Path,
    ) -> Result<Vec<Value>, ToolError> {
        let mut command = self.python("speech/echo_room.py");
        let output = run(command.arg("score").arg(folder).arg(echo).arg(double))?;
        let lines = String::from_utf8_lossy(&output.stdout);
        let lines: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
        lines.map_err(|_| ToolError::Answer("echo_room.py".to_owned(), "scores"))
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.folder.join(script));
        command
    }
}

/// Runs the codec-only loop over a clip and a speech file for 10 s of them, with the highest rate that a call may use:
/// in a tight loop, or at the pace of a call with cold caches as a call has them.
///
/// # Errors
/// It fails or reports no processor time.
pub fn codec_floor(
    program: &Path,
    y4m: &Path,
    wav: &Path,
    paced: bool,
) -> Result<Floor, ToolError> {
    let mut command = Command::new(program);
    command.arg(y4m).arg(wav).args([VIDEO_BPS, "10"]);
    if paced {
        command.arg("paced");
    }
    let output = run(&mut command)?;
    parse_floor(&String::from_utf8_lossy(&output.stdout))
}

/// Runs the loop of codec and processing of sound over a speech file for so many seconds, at the pace of a call.
///
/// # Errors
/// It fails or reports no processor time.
pub fn sound_floor(program: &Path, wav: &Path, seconds: u64) -> Result<Floor, ToolError> {
    let mut command = Command::new(program);
    let output = run(command.arg(wav).arg(seconds.to_string()))?;
    parse_floor(&String::from_utf8_lossy(&output.stdout))
}

fn parse_floor(stdout: &str) -> Result<Floor, ToolError> {
    let whole = serde_json::from_str(stdout).ok();
    let report: Value = whole
        .or_else(|| serde_json::from_str(stdout.lines().last()?).ok())
        .unwrap_or(Value::Null);
    let cpu_ms = report["cpu_ms"].as_f64();
    let seconds = report["seconds"].as_f64().filter(|&seconds| seconds > 0.0);
    match cpu_ms.zip(seconds) {
        Some((cpu_ms, seconds)) => Ok(Floor {
            cores: cpu_ms / 1_000.0 / seconds,
            report,
        }),
        None => Err(ToolError::Answer(
            "codec_floor".to_owned(),
            "cpu_ms and seconds",
        )),
    }
}

/// Builds something of this workspace in the release profile.
///
/// # Errors
/// It does not compile.
pub fn build_release(arguments: &[&str]) -> Result<(), ToolError> {
    // Set by cargo for what it runs: the same cargo again.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--quiet"])
        .args(arguments);
    run(command.stderr(Stdio::inherit())).map(drop)
}

fn run(command: &mut Command) -> Result<Output, ToolError> {
    let name = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ToolError::Start(name.clone(), error))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr
        .trim()
        .lines()
        .last()
        .unwrap_or("no word why")
        .to_owned();
    Err(ToolError::Failed(name, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_processor_time_per_second() {
        let floor =
            parse_floor("building\n{\"cpu_ms\":1600,\"seconds\":10.0,\"psnr_db\":39.1}\n").unwrap();
        assert!((floor.cores - 0.16).abs() < 1e-9);
        assert_eq!(floor.report["psnr_db"], 39.1);
        assert!(parse_floor("{\n \"cpu_ms\": 5,\n \"seconds\": 1\n}").is_ok());
        for wrong in [
            "",
            "no json",
            "{\"cpu_ms\":5}",
            "{\"cpu_ms\":5,\"seconds\":0}",
        ] {
            assert!(parse_floor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tool_that_fails_says_why() {
        let error = run(Command::new("sh").args(["-c", "echo first >&2; echo why >&2; exit 3"]))
            .unwrap_err();
        assert!(error.to_string().ends_with("failed: why"), "{error}");
        let missing = run(&mut Command::new("hullo-has-no-such-tool")).unwrap_err();
        assert!(missing.to_string().contains("does not start"), "{missing}");
    }
}
