//! The call of a group survives its server: killed and started anew under the same URL.
//!
//! `HULLO_RECOVERY_ROUNDS=N cargo test -p hullo --test cli group_recovery -- --nocapture` kills it so many times and
//! prints how long everybody was gone.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::groups::{GROUP, change, group, join};
use crate::kit::{Home, Hullo, Server};

/// A server that was killed is back after this, by turns: a supervisor that starts it at once, and one that waits until
/// everybody noticed.
const DOWN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// A tone without pause, so that everybody is heard all the time: 2 s of mono sound at 48 kHz.
fn tone() -> Vec<u8> {
    let samples = (0..96_000_u32).map(|at| {
        let phase = f64::from(at) * 440.0 / 48_000.0 * std::f64::consts::TAU;
        (phase.sin() * 8_000.0) as i16
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let len = u32::try_from(data.len()).expect("small");
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + len).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(len.to_le_bytes());
    wav.extend(data);
    wav
}

fn speaks(event: &Value, name: &str) -> bool {
    change(event, "speaking", name) && event["on"] == true
}

#[test]
fn a_server_that_is_killed_and_comes_back_finds_everybody_in_the_call_again() {
    let rounds = std::env::var("HULLO_RECOVERY_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(DOWN.len());
    let server_home = Home::new();
    let more = ["--shards", "1"];
    let mut server = Server::start_with(&server_home, "127.0.0.1:0", &more);
    let address = server.address().to_owned();
    let names = ["ann", "bob", "cat"];
    let homes = group(&server, &names);
    let mut calls: Vec<Hullo> = Vec::new();
    for home in &homes {
        let mut args = join(&["join", GROUP]);
        let mic = home.file("tone.wav", &tone());
        let at = args
            .iter()
            .position(|arg| *arg == "test")
            .expect("a microphone");
        assert_eq!(args[at - 1], "--camera");
        let at = args
            .iter()
            .rposition(|arg| *arg == "test")
            .expect("a microphone");
        args[at] = &mic;
        let mut call = Hullo::spawn(home, &args);
        call.wait_for_call("connected", PATIENCE);
        calls.push(call);
    }
    let others = |own: usize| {
        (0..3)
            .filter(move |other| *other != own)
            .map(|other| names[other])
    };
    for (own, call) in calls.iter_mut().enumerate() {
        for name in others(own) {
            call.wait_until(PATIENCE, |event| speaks(event, name));
        }
    }
    let mut gone_ms = Vec::new();
    for round in 0..rounds {
        calls.iter_mut().for_each(Hullo::forget);
        drop(server);
        let down = DOWN[round % DOWN.len()];
        std::thread::sleep(down);
        server = Server::start_with(&server_home, &address, &more);
        let answers = Instant::now();
        for (own, call) in calls.iter_mut().enumerate() {
            if down > Duration::from_secs(4) {
                call.wait_for_call("reconnecting", PATIENCE);
                call.wait_for_call("connected", PATIENCE);
            }
            for name in others(own) {
                call.wait_until(PATIENCE, |event| speaks(event, name));
            }
            gone_ms.push(answers.elapsed().as_millis());
        }
    }
    gone_ms.sort_unstable();
    println!("everybody is heard again after (ms since the server answers): {gone_ms:?}");
    for call in &mut calls {
        call.write("hangup");
    }
    for call in calls {
        let done = call.finish(PATIENCE).success();
        assert_eq!(done.event("summary")["reason"], "left", "{}", done.shown());
        let states = done.events.iter().filter(|event| event["event"] == "call");
        let states: Vec<_> = states.map(|event| event["state"].clone()).collect();
        assert!(!states.contains(&Value::from("failed")), "{states:?}");
    }
}
