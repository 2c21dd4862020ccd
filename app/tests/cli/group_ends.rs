//! Why the call of a group ends, with real processes: the word, the sentence and the exit status of each.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::groups::{GROUP, change, group, join};
use crate::kit::{Done, Home, Hullo, Server};

/// Somebody of the group, in the call.
fn enter(home: &Home) -> Hullo {
    let mut call = Hullo::spawn(home, &join(&["join", GROUP]));
    call.wait_for_call("connected", PATIENCE);
    call
}

/// It ended by itself, for this reason.
fn assert_ended(done: &Done, reason: &str, words: &str) {
    let is_end = |event: &&Value| event["event"] == "call" && event["state"] == "ended";
    let ended = done.events.iter().find(is_end);
    assert_eq!(
        ended.map(|event| &event["reason"]),
        Some(&Value::from(reason)),
        "{}",
        done.shown()
    );
    assert_eq!(done.event("summary")["reason"], reason);
    assert!(done.says(words), "{}", done.shown());
}

#[test]
fn a_full_call_a_server_that_stops_and_one_that_is_gone() {
    let home = Home::new();
    let limits = ["--people-max", "2", "--drain", "1", "--shards", "1"];
    let server = Server::start_with(&home, "127.0.0.1:0", &limits);
    let homes = group(&server, &["ann", "bob", "cat"]);
    let mut inside: Vec<Hullo> = homes[..2].iter().map(enter).collect();
    inside[0].wait_until(PATIENCE, |event| change(event, "joined", "bob"));
    let full = Hullo::spawn(&homes[2], &join(&["join", GROUP])).finish(PATIENCE);
    assert_ended(&full, "full", "the call is full");
    assert_eq!(full.code, 4, "{}", full.shown());
    let address = server.address().to_owned();
    server.end();
    for call in &mut inside {
        let is_warning = |event: &Value| {
            (event["text"].as_str()).is_some_and(|text| text.contains("about to stop"))
        };
        call.wait_until(PATIENCE, is_warning);
        call.forget();
    }
    // As after an update: nobody need do anything.
    let server = Server::start_with(&home, &address, &limits);
    for call in &mut inside {
        call.wait_until(PATIENCE, |event| {
            event["event"] == "stats" && event["received"]["audio_frames"].as_u64() > Some(0)
        });
        call.write("hangup");
    }
    for call in inside {
        let done = call.finish(PATIENCE).success();
        assert_eq!(done.event("summary")["reason"], "left", "{}", done.shown());
    }
    drop(server);
    let gone = Hullo::spawn(&homes[2], &join(&["join", GROUP])).finish(PATIENCE);
    assert_ended(&gone, "unreachable", "server");
    assert_eq!(gone.code, 5, "{}", gone.shown());
}

#[test]
fn who_is_taken_out_of_the_group_leaves_the_call() {
    let server = Server::start();
    let homes = group(&server, &["ann", "bob", "cat"]);
    let mut calls: Vec<Hullo> = homes.iter().map(enter).collect();
    for (call, name) in calls.iter_mut().zip(["cat", "ann", "bob"]) {
        call.wait_until(PATIENCE, |event| change(event, "joined", name));
    }
    homes[0].run(&["group", "remove", GROUP, "cat"]).success();
    let removed = calls.pop().expect("three").finish(PATIENCE);
    assert_ended(&removed, "removed", "no longer a member");
    for call in &mut calls {
        call.wait_until(PATIENCE, |event| change(event, "left", "cat"));
    }
}

/// The processes that this one started, by number.
#[cfg(target_os = "linux")]
fn helpers(of: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("Linux");
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parent.is_some_and(|parent| parent.trim().parse() == Ok(of))
    };
    numbers.filter(is_child).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_demo_that_is_killed_takes_its_helpers_along() {
    let home = Home::new();
    let demo = [
        "demo", "--people", "2", "--json", "--camera", "test", "--mic", "test",
    ];
    let args: Vec<&str> = demo.into_iter().chain(["--speaker", "none"]).collect();
    let mut demo = Hullo::spawn(&home, &args);
    demo.wait_for_call("connected", PATIENCE * 2);
    let helpers = helpers(demo.number());
    assert_eq!(helpers.len(), 3, "a server and two people");
    demo.signal(rustix::process::Signal::KILL);
    let is_there = |number: &u32| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("--until-input-ends")
    };
    let end = Instant::now() + PATIENCE;
    while helpers.iter().any(is_there) {
        assert!(Instant::now() < end, "still there: {helpers:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
