//! `hullo test`, the options of sound, and talking while muted.

use std::path::Path;

use super::*;

/// A WAV file of so many seconds in which every sample is this.
fn write_wav(path: &Path, seconds: u32, sample: i16) {
    let bytes = seconds * 48_000 * 2;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.extend((0..seconds * 48_000).flat_map(|_| sample.to_le_bytes()));
    std::fs::write(path, wav).unwrap();
}

#[test]
fn ones_own_voice_goes_through_the_whole_path_and_comes_back_with_numbers() {
    let (home, folder) = (Home::new(), tempfile::tempdir().unwrap());
    let out = folder.path().join("out.wav");
    let speaker = format!("file:{}", out.display());
    let args = ["test", "--json", "--mic", "test", "--speaker", &speaker];
    let done = home
        .run(&[&args[..], &["--seconds", "4"]].concat())
        .success();
    let figures = done.event("sound");
    assert!(figures["mic_db"].as_f64() > Some(-40.0), "{figures}");
    assert!(figures["packets"].as_u64() > Some(50), "{figures}");
    assert_eq!(figures["lost"], 0, "{figures}");
    let delay_ms = figures["delay_ms"].as_f64().unwrap();
    assert!((20.0..1_000.0).contains(&delay_ms), "{figures}");
    assert!(figures["cpu_percent"].as_f64() > Some(0.0), "{figures}");
    let played_ms = done.event("summary")["audio"]["played_ms"].as_u64();
    assert!(played_ms > Some(1_000), "{}", done.shown());
    let heard = std::fs::read(&out).unwrap();
    assert!(
        heard[44..].iter().any(|byte| *byte != 0),
        "the beep was written"
    );
}

#[test]
fn a_flat_microphone_is_named_in_words() {
    let (home, folder) = (Home::new(), tempfile::tempdir().unwrap());
    let silence = folder.path().join("silence.wav");
    write_wav(&silence, 1, 0);
    let mic = format!("file:{}", silence.display());
    let args = ["test", "--plain", "--mic", &mic, "--speaker", "none"];
    let done = home.run(&[&args[..], &["--seconds", "2"]].concat());
    assert_eq!(done.code, 6, "{}", done.shown());
    assert!(done.says("its meter is flat"), "{}", done.shown());
    assert!(done.says("--mic device:NAME"), "{}", done.shown());
}

#[test]
fn a_microphone_that_is_not_there_is_told_with_what_to_do() {
    let done = Home::new().run(&["test", "--mic", "device:no such thing", "--seconds", "1"]);
    assert_eq!(done.code, 6, "{}", done.shown());
    assert!(done.says("microphone"), "{}", done.shown());
    let done = Home::new().run(&["test", "--mic", "none", "--seconds", "1"]);
    assert_ne!(done.code, 0, "{}", done.shown());
}

#[test]
fn who_talks_while_muted_is_told_so() {
    let server = Server::start();
    let (alice, bob) = ready_contacts(&server);
    let sound = ["--json", "--speaker", "none", "--seconds", "60"];
    let mut callee = Hullo::spawn(&alice, &[&["answer", "--mic", "none"], &sound[..]].concat());
    callee.wait_for("ready", PATIENCE);
    let mut caller = Hullo::spawn(
        &bob,
        &[&["call", "alice", "--mic", "test"], &sound[..]].concat(),
    );
    caller.wait_until(PATIENCE, |event| event["state"] == "connected");
    caller.write("echo off");
    caller.wait_until(PATIENCE, |event| {
        event["text"] == "Echo cancellation is off."
    });
    caller.write("mute");
    caller.wait_until(PATIENCE, |event| {
        event["event"] == "notice"
            && event["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("You are muted"))
    });
    caller.write("hangup");
    caller.finish(PATIENCE).success();
}

#[test]
fn a_beep_that_is_shorter_than_the_time_between_two_looks_is_not_missed() {
    let home = Home::new();
    let args = ["test", "--mic", "test", "--speaker", "none", "--json"];
    let args: Vec<&str> = args.into_iter().chain(["--seconds", "2.5"]).collect();
    let done = home.run(&args).success();
    let is_heard = |event: &&Value| event["mic_db"].as_f64().is_some_and(|db| db > -30.0);
    assert!(
        done.events.iter().any(|event| is_heard(&event)),
        "{}",
        done.shown()
    );
}
