//! Texts and the history as their users meet them: real processes, real sockets, real files.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "a failed test says where; real processes run in real time; the kit serves other tests too"
)]

mod kit;

use std::time::Duration;

use serde_json::Value;

use kit::{Home, Hullo, Server};

/// Long enough for a loaded machine; nothing waits for it on the good path.
const PATIENCE: Duration = Duration::from_secs(60);

const DEVICES: [&str; 7] = [
    "--json",
    "--camera",
    "none",
    "--mic",
    "test",
    "--speaker",
    "none",
];

fn start(home: &Home, first: &[&str]) -> Hullo {
    Hullo::spawn(home, &[first, &DEVICES].concat())
}

/// Two people who have each other's keys, and Bob's program, running.
fn contacts(server: &Server) -> (Home, Home, Hullo) {
    let (alice, bob) = (Home::new(), Home::new());
    alice
        .run(&["name", "alice", "--server", server.url()])
        .success();
    bob.run(&["name", "bob", "--server", server.url()])
        .success();
    let link = alice.run(&["invite", "--json"]).success().event("invite")["link"]
        .as_str()
        .unwrap()
        .to_owned();
    bob.run_with_input(&["add", "-", "--json"], &link).success();
    let mut waiting = start(&alice, &[]);
    waiting.wait_for("server", PATIENCE);
    let mut running = start(&bob, &[]);
    running.wait_until(PATIENCE, |event| {
        event["event"] == "contact" && event["ready"] == true
    });
    waiting.write("quit");
    waiting.finish(PATIENCE).success();
    (alice, bob, running)
}

#[test]
fn texts_go_both_ways_beside_a_running_program_and_without_one() {
    let server = Server::start();
    let (alice, bob, mut running) = contacts(&server);
    let sent = alice
        .run(&["send", "bob", "Are you\u{1b}[2J there?", "--json"])
        .success();
    assert_eq!(sent.event("entry")["state"], "sent");
    let came = running.wait_for("message", PATIENCE);
    assert_eq!(
        (&came["name"], &came["text"]),
        (&"alice".into(), &"Are you[2J there?".into())
    );
    // The errand goes through the program that owns the profile.
    let answer = bob.run_with_input(&["send", "alice", "-", "--json"], "Yes.\n");
    assert_eq!(answer.code, 0, "{}", answer.shown());
    running.wait_until(PATIENCE, |event| {
        event["event"] == "entry" && event["state"] == "sent"
    });
    let listed = bob.run(&["history", "alice", "--json"]).success();
    let texts: Vec<_> = listed
        .events
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["Are you[2J there?", "Yes."]);
    assert_eq!(listed.events[0]["seen"], false);
    bob.run(&["history", "alice", "--plain"]).success();
    let listed = bob.run(&["history", "--json"]).success();
    assert_eq!(listed.events[0]["seen"], true, "a person has read it");
    // Alice was away: it is there when she looks, counted as new.
    let mut back = start(&alice, &[]);
    back.wait_until(PATIENCE, |event| {
        event["event"] == "message" && event["text"] == "Yes."
            || event["event"] == "unseen" && event["texts"] == 1
    });
    // A script that writes faster than messages leave waits.
    for number in 0..300 {
        back.write(&format!("send bob number {number}"));
    }
    let last = |event: &Value| event["text"] == "number 299";
    running.wait_until(PATIENCE, last);
    let listed = bob
        .run(&["history", "alice", "--json", "--limit", "300"])
        .success();
    let numbers = (0..300).map(|number| format!("number {number}"));
    assert!(
        listed
            .events
            .iter()
            .map(|entry| entry["text"].as_str().unwrap())
            .eq(numbers)
    );
    let nobody = alice.run(&["send", "nobody", "x"]);
    assert_ne!(nobody.code, 0, "{}", nobody.shown());
}

#[test]
fn a_text_without_a_server_is_kept_and_said_to_be() {
    let home = Home::new();
    let server = Server::start_in(&home, "127.0.0.1:0");
    let (alice, _bob, running) = contacts(&server);
    drop((running, server));
    let sent = alice.run(&["send", "bob", "hello", "--json"]);
    assert_eq!(sent.code, 5, "{}", sent.shown());
    assert!(sent.says("is kept"), "{}", sent.shown());
    let listed = alice.run(&["history", "bob", "--json"]).success();
    assert_eq!(listed.event("entry")["state"], "waiting");
    let missing = alice.run(&["history", "nobody"]);
    assert_eq!(missing.code, 3, "{}", missing.shown());
}

#[test]
fn a_program_killed_in_a_call_has_the_call_in_its_history() {
    let server = Server::start();
    let (alice, bob, mut running) = contacts(&server);
    let mut call = start(&alice, &["call", "bob"]);
    running.wait_for("incoming", PATIENCE);
    running.write("accept");
    call.wait_for_call("connected", PATIENCE);
    running.wait_for_call("connected", PATIENCE);
    // A second on, the history knows it too.
    call.wait_for("stats", PATIENCE);
    // Dropping kills: there is no goodbye.
    drop(call);
    let listed = alice.run(&["history", "bob", "--json"]).success();
    let entry = listed.event("entry");
    assert_eq!(
        (&entry["kind"], &entry["outcome"]),
        (&"call".into(), &"cut_off".into())
    );
    // The next program on the profile has said so.
    let ended = running.wait_until(PATIENCE, |event| {
        event["event"] == "entry" && event["kind"] == "call"
    });
    assert!(
        ["ended", "cut_off"].contains(&ended["outcome"].as_str().unwrap()),
        "{ended}"
    );
    running.write("quit");
    running.finish(PATIENCE).success();
    let listed = bob.run(&["history", "--json"]).success();
    assert_eq!(listed.events.len(), 1);
    assert_eq!(listed.event("entry")["direction"], "incoming");
}
