//! The program as its users run it: real processes, real sockets, real files.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a failed test says where, and one that cannot run says why; real processes run in real time"
)]

#[path = "cli/calls.rs"]
mod calls;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/ctl.rs"]
mod ctl;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/disk.rs"]
mod disk;
#[path = "cli/group_ends.rs"]
mod group_ends;
#[path = "cli/group_recovery.rs"]
mod group_recovery;
#[path = "cli/groups.rs"]
mod groups;
mod kit;
#[path = "cli/links.rs"]
mod links;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/sound.rs"]
mod sound;
#[path = "cli/stopped.rs"]
mod stopped;

use std::time::{Duration, Instant};

use kit::{Home, Hullo, Server};
use serde_json::Value;

/// Long enough for a loaded machine; nothing waits for it on the good path.
const PATIENCE: Duration = Duration::from_secs(30);

fn contacts(server: &Server) -> (Home, Home) {
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
    (alice, bob)
}

/// Both have heard of each other: alice stayed until bob was there.
fn ready_contacts(server: &Server) -> (Home, Home) {
    let (alice, bob) = (Home::new(), Home::new());
    make_contacts(server, &alice, &bob);
    (alice, bob)
}

/// The same in homes that are there already.
fn make_contacts(server: &Server, alice: &Home, bob: &Home) {
    for (home, name) in [(alice, "alice"), (bob, "bob")] {
        home.run(&["name", name, "--server", server.url()])
            .success();
    }
    let mut invite = Hullo::spawn(alice, &["invite", "--wait", "--json"]);
    let link = invite.wait_for("invite", PATIENCE)["link"].clone();
    bob.run_with_input(&["add", "-", "--json"], link.as_str().unwrap())
        .success();
    invite.finish(PATIENCE).success();
}

fn call_args<'a>(first: &[&'a str]) -> Vec<&'a str> {
    let mut args = first.to_vec();
    args.extend([
        "--json",
        "--camera",
        "test",
        "--mic",
        "test",
        "--speaker",
        "none",
    ]);
    args
}

#[test]
fn two_people_see_and_hear_each_other() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut answer = Hullo::spawn(&bob, &call_args(&["answer", "--video"]));
    answer.wait_for("ready", PATIENCE);
    let mut call = Hullo::spawn(&alice, &call_args(&["call", "bob", "--video"]));
    for side in [&mut call, &mut answer] {
        side.wait_for_call("connected", PATIENCE);
        for kind in ["audio", "video"] {
            side.wait_until(PATIENCE, |event| {
                event["event"] == "media"
                    && event["kind"] == kind
                    && event["direction"] == "received"
            });
        }
    }
    // A figure of every second is written, with the far side's picture in it.
    call.wait_until(PATIENCE, |event| {
        event["event"] == "stats" && event["received"]["width"] == 640
    });
    call.write("mute");
    answer.wait_until(PATIENCE, |event| {
        event["event"] == "participant" && event["change"] == "muted" && event["on"] == true
    });
    call.write("video off");
    answer.wait_until(PATIENCE, |event| {
        event["event"] == "participant" && event["change"] == "camera" && event["on"] == false
    });
    call.write("hangup");
    for (side, reason) in [(call, "hung_up"), (answer, "far_hung_up")] {
        let done = side.finish(PATIENCE);
        assert_eq!(done.code, 0, "{}", done.shown());
        let summary = done.event("summary");
        assert_eq!(summary["reason"], reason);
        assert_eq!(summary["undecryptable"], 0);
        assert!(
            summary["audio"]["received"].as_u64().unwrap() > 10,
            "{summary}"
        );
        assert!(
            summary["video"]["decoded"].as_u64().unwrap() > 10,
            "{summary}"
        );
        assert!(
            summary["latency_ms"]["p50"].as_f64().unwrap() > 0.0,
            "{summary}"
        );
    }
}

#[test]
fn a_declined_call_is_told_and_ends_with_4() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut screen = Hullo::spawn(&bob, &call_args(&[]));
    screen.wait_for("ready", PATIENCE);
    let call = Hullo::spawn(&alice, &call_args(&["call", "bob"]));
    screen.wait_for("incoming", PATIENCE);
    screen.write("reject");
    let done = call.finish(PATIENCE);
    assert_eq!(done.code, 4, "{}", done.shown());
    assert_eq!(done.call_state("ended")["reason"], "declined");
    screen.write("quit");
    assert_eq!(screen.finish(PATIENCE).code, 0);
}

#[test]
fn the_call_goes_on_when_the_relay_goes_away() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut answer = Hullo::spawn(&bob, &call_args(&["answer"]));
    answer.wait_for("ready", PATIENCE);
    let mut call = Hullo::spawn(&alice, &call_args(&["call", "bob"]));
    call.wait_for_call("connected", PATIENCE);
    drop(server);
    call.wait_until(PATIENCE, |event| {
        event["event"] == "server" && event["up"] == false
    });
    for _ in 0..2 {
        call.forget();
        call.wait_until(PATIENCE, |event| {
            event["event"] == "stats" && event["received"]["audio_frames"].as_u64() > Some(30)
        });
    }
    call.write("hangup");
    for side in [call, answer] {
        let done = side.finish(PATIENCE);
        assert_eq!(done.code, 0, "{}", done.shown());
    }
}

#[test]
fn a_used_link_a_broken_link_and_an_own_link_are_told_apart() {
    let server = Server::start();
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let link = alice
        .run(&["invite", "--json", "--server", server.url()])
        .success()
        .event("invite")["link"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = alice.run(&["add", &link]);
    assert!(own.code != 0 && own.says("your own"), "{}", own.shown());
    bob.run(&["add", &link]).success();
    let used = carol.run(&["add", &link]);
    assert!(used.code != 0 && used.says("used"), "{}", used.shown());
    let cut = carol.run(&["add", &link[..link.len() - 9]]);
    assert!(cut.code == 2 && cut.says("missing"), "{}", cut.shown());
    let wrong = carol.run(&["add", "https://example.org/"]);
    assert!(wrong.code == 2 && wrong.says("hullo:"), "{}", wrong.shown());
}

#[test]
fn wrong_use_is_answered_with_its_exit_code_and_words() {
    let home = Home::new();
    let text = home.file("text.y4m", b"this is no video at all");
    for (args, code, words) in [
        (
            &["call", "nobody", "--mic", "test", "--speaker", "none"][..],
            3,
            "no contact",
        ),
        (
            &["mirror", "--camera", text.as_str(), "--seconds", "1"],
            6,
            "Y4M",
        ),
        (
            &["mirror", "--camera", "file:not-there.y4m", "--seconds", "1"],
            6,
            "not-there.y4m",
        ),
        (&["mirror", "--camera", "nonsense"], 2, "device"),
        (&["invite"], 5, "hullo serve"),
        (&["invite", "--server", "nonsense"], 2, "https://"),
    ] {
        let done = home.run(args);
        assert_eq!(done.code, code, "{args:?}: {}", done.shown());
        assert!(done.says(words), "{args:?}: {}", done.shown());
    }
}

#[test]
fn a_file_that_is_no_sound_is_told_before_anyone_is_called() {
    let server = Server::start();
    let (alice, _bob) = contacts(&server);
    let noise = alice.file("noise.wav", b"RIFF but not really");
    let done = alice.run(&["call", "bob", "--mic", &noise, "--speaker", "none"]);
    assert_eq!(done.code, 6, "{}", done.shown());
    assert!(done.says("WAV"), "{}", done.shown());
}

#[test]
fn a_server_that_is_down_or_not_the_pinned_one_is_told_apart() {
    let (alice, bob) = (Home::new(), Home::new());
    let server = Server::start();
    let url = server.url().to_owned();
    let pin = url.split_once('#').unwrap().1.to_owned();
    drop(server);
    let down = alice.run(&["invite", "--server", &url]);
    assert_eq!(down.code, 5, "{}", down.shown());
    let other = Server::start();
    let forged = format!("{}#{pin}", other.url().split_once('#').unwrap().0);
    let wrong = bob.run(&["invite", "--server", &forged]);
    assert_eq!(wrong.code, 5, "{}", wrong.shown());
    assert!(wrong.says("certificate"), "{}", wrong.shown());
}

#[test]
fn a_busy_port_is_told() {
    let server = Server::start();
    let home = Home::new();
    let done = home.run(&["serve", "--listen", server.address()]);
    assert_eq!(done.code, 5, "{}", done.shown());
    assert!(done.says("taken"), "{}", done.shown());
}

#[test]
fn a_second_process_on_the_profile_is_refused_and_the_small_commands_go_through_the_first() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut answer = Hullo::spawn(&bob, &call_args(&["answer"]));
    answer.wait_for("ready", PATIENCE);
    let second = bob.run(&["answer", "--mic", "test", "--speaker", "none"]);
    assert_ne!(second.code, 0);
    assert!(second.says("in use by"), "{}", second.shown());
    let call = bob.run(&call_args(&["call", "alice"]));
    assert_eq!(call.code, 1, "{}", call.shown());
    assert!(call.says("hullo ctl call alice"), "{}", call.shown());
    let listed = bob.run(&["contacts", "--json"]).success();
    assert_eq!(listed.event("contact")["name"], "alice");
    let link = bob.run(&["invite", "--json"]).success().event("invite")["link"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(link.starts_with("hullo:"));
    let status = bob.run(&["ctl", "status", "--json"]).success();
    assert!(
        status.event("status")["at_ms"].is_u64(),
        "{}",
        status.shown()
    );
    // As if there were no program between: words where words are asked for, and the same status.
    for (command, words) in [
        (&["contacts", "--plain"][..], "alice"),
        (&["invite", "--plain"], "hullo:s."),
        (&["group", "new", "chess", "--plain"], "chess"),
    ] {
        let told = bob.run(command).success();
        assert!(told.says(words) && !told.says("{"), "{}", told.shown());
    }
    for command in [
        &["send", "nobody", "hello"][..],
        &["contacts", "--rename", "nobody", "somebody"],
        &["history", "nobody"],
        &["group", "add", "chess", "nobody"],
    ] {
        let refused = bob.run(command);
        assert_eq!(refused.code, 3, "{}", refused.shown());
    }
    drop(alice);
    answer.write("quit");
    let _ = answer.finish(PATIENCE);
}

#[test]
fn the_demo_without_a_terminal_ends_well() {
    let home = Home::new();
    let done = home.run(&["demo"]);
    assert_eq!(done.code, 0, "{}", done.shown());
    assert!(done.says("decoded"), "{}", done.shown());
}

#[test]
fn the_name_is_kept() {
    let home = Home::new();
    home.run(&["name", "Grete Müller"]).success();
    let shown = home.run(&["name", "--json"]).success();
    assert_eq!(shown.event("name")["name"], Value::from("Grete Müller"));
    let key = shown.event("name")["key"].as_str().map(str::len);
    assert_eq!(key, Some(43), "as an operator's list wants it");
    let refused = home.run(&["name", "two\nlines"]);
    assert_eq!(refused.code, 2, "{}", refused.shown());
}

#[test]
fn a_call_that_was_given_up_while_nobody_was_there_is_missed_and_not_answered() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    // Both must have each other's keys first.
    let mut waiting = Hullo::spawn(&alice, &call_args(&[]));
    waiting.wait_for("server", PATIENCE);
    let mut asking = Hullo::spawn(&bob, &call_args(&[]));
    asking.wait_until(PATIENCE, |event| {
        event["event"] == "contact" && event["ready"] == true
    });
    for mut side in [waiting, asking] {
        side.write("quit");
        assert_eq!(side.finish(PATIENCE).code, 0);
    }
    let early = bob.run(&call_args(&["call", "alice", "--seconds", "1"]));
    assert_eq!(early.code, 4, "{}", early.shown());
    // Old enough that it may have been taken back, as this one was.
    std::thread::sleep(Duration::from_secs(3));
    let mut answer = Hullo::spawn(&alice, &call_args(&["answer"]));
    answer.wait_until(PATIENCE, |event| {
        event["event"] == "missed" && event["name"] == "bob"
    });
    let call = Hullo::spawn(&bob, &call_args(&["call", "alice", "--seconds", "4"]));
    answer.wait_for_call("connected", PATIENCE);
    assert_eq!(call.finish(PATIENCE).code, 0);
    assert_eq!(answer.finish(PATIENCE).code, 0);
}

#[test]
fn a_link_broken_into_lines_is_read_whole() {
    let server = Server::start();
    let (alice, bob) = (Home::new(), Home::new());
    let link = alice
        .run(&["invite", "--json", "--server", server.url()])
        .success()
        .event("invite")["link"]
        .as_str()
        .unwrap()
        .to_owned();
    let broken: Vec<&str> = link
        .as_bytes()
        .chunks(78)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    bob.run_with_input(&["add", "-", "--json"], &broken.join("\n"))
        .success();
}

#[test]
fn a_lost_mailbox_does_not_keep_anybody_from_inviting() {
    let home = Home::new();
    let port = {
        let server = Server::start_in(&home, "127.0.0.1:0");
        let (alice, bob) = (Home::new(), Home::new());
        alice
            .run(&["name", "alice", "--server", server.url()])
            .success();
        let link = alice.run(&["invite", "--json"]).success().event("invite")["link"]
            .as_str()
            .unwrap()
            .to_owned();
        bob.run(&["add", &link]).success();
        (server.address().to_owned(), alice)
    };
    let (address, alice) = port;
    let _again = Server::start_in(&home, &address);
    let done = alice.run(&["invite", "--json"]);
    assert_eq!(done.code, 0, "{}", done.shown());
    assert!(
        done.event("invite")["link"]
            .as_str()
            .unwrap()
            .starts_with("hullo:")
    );
}

#[test]
fn a_contact_can_be_forgotten_and_a_profile_without_a_server_waits_for_nobody() {
    let server = Server::start();
    let (_alice, bob) = contacts(&server);
    let unknown = bob.run(&["contacts", "--remove", "nobody"]);
    assert_eq!(unknown.code, 3, "{}", unknown.shown());
    bob.run(&["contacts", "--remove", "alice"]).success();
    assert!(bob.run(&["contacts", "--json"]).success().events.is_empty());
    let none = bob.run(&["contacts", "--plain"]).success();
    assert!(none.says("No contacts yet"), "{}", none.shown());
    let fresh = Home::new().run(&["answer", "--mic", "none", "--speaker", "none"]);
    assert_eq!(fresh.code, 5, "{}", fresh.shown());
}

#[test]
fn a_code_brings_two_strangers_into_a_call_within_a_minute_and_two_commands_each() {
    let server = Server::start();
    let (alice, bob) = (Home::new(), Home::new());
    let started = Instant::now();
    let args = ["invite", "--wait", "--json", "--server", server.url()];
    let mut invite = Hullo::spawn(&alice, &args);
    let invited = invite.wait_until(PATIENCE, |event| event["code"].is_string());
    let code = invited["code"].as_str().unwrap().to_owned();
    let added = bob
        .run(&["add", &code, "--json", "--server", server.url()])
        .success();
    let name = added.event("contact")["name"].as_str().unwrap().to_owned();
    let done = invite.finish(PATIENCE).success();
    assert_eq!(done.event("contact")["ready"], true, "{}", done.shown());
    let mut answer = Hullo::spawn(&alice, &call_args(&["answer"]));
    answer.wait_for("ready", PATIENCE);
    let mut call = Hullo::spawn(&bob, &call_args(&["call", &name]));
    for side in [&mut call, &mut answer] {
        side.wait_for_call("connected", PATIENCE);
    }
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    call.write("hangup");
    call.finish(PATIENCE).success();
}

#[test]
fn waiting_for_somebody_ends_with_its_time_and_other_commands_wait_for_it() {
    let server = Server::start();
    let alice = Home::new();
    let args = [
        "invite",
        "--wait",
        "--seconds",
        "2",
        "--server",
        server.url(),
    ];
    let mut invite = Hullo::spawn(&alice, &[&args[..], &["--json"]].concat());
    invite.wait_for("invite", PATIENCE);
    alice.run(&["contacts"]).success();
    assert_eq!(invite.finish(PATIENCE).code, 0);
}

#[test]
fn a_wrong_code_is_said_on_both_sides() {
    let server = Server::start();
    let (alice, bob) = (Home::new(), Home::new());
    let args = ["invite", "--wait", "--json", "--server", server.url()];
    let mut invite = Hullo::spawn(&alice, &args);
    let invited = invite.wait_until(PATIENCE, |event| event["code"].is_string());
    let code = invited["code"].as_str().unwrap();
    let words = if code.ends_with("zoo-zoo") {
        "able-able"
    } else {
        "zoo-zoo"
    };
    let wrong = format!("{}-{words}", &code[..4]);
    let refused = bob.run(&["add", &wrong, "--json", "--server", server.url()]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused.says("The words of the code are wrong"),
        "{}",
        refused.shown()
    );
    let notice = invite.wait_for("notice", PATIENCE);
    assert!(
        notice["text"]
            .as_str()
            .unwrap()
            .contains("with wrong words"),
        "{notice}"
    );
}

#[test]
fn contacts_are_renamed_blocked_and_compared_from_the_command_line() {
    let server = Server::start();
    let (alice, bob) = ready_contacts(&server);
    let renamed = alice
        .run(&["contacts", "--rename", "bob", "bobby", "--json"])
        .success();
    assert_eq!(renamed.event("contact")["name"], "bobby");
    let blocked = alice
        .run(&["contacts", "--block", "bobby", "--json"])
        .success();
    assert_eq!(blocked.event("contact")["blocked"], true);
    alice.run(&["contacts", "--unblock", "bobby"]).success();
    // Beside a running program, and with it.
    let mut screen = Hullo::spawn(&alice, &call_args(&[]));
    screen.wait_for("ready", PATIENCE);
    let mut words = Hullo::spawn(&bob, &["contacts", "--words", "alice", "--json"]);
    let said = words.wait_until(PATIENCE, |event| event["words"].is_string());
    let seen = screen.wait_until(PATIENCE, |event| event["words"].is_string());
    assert_eq!(said["words"], seen["words"]);
    words.write("y");
    let done = words.finish(PATIENCE).success();
    assert_eq!(done.event("contact")["verified"], true, "{}", done.shown());
    let same = alice
        .run_with_input(&["contacts", "--words", "bobby", "--json"], "same")
        .success();
    assert_eq!(same.event("contact")["verified"], true, "{}", same.shown());
    screen.write("quit");
    screen.finish(PATIENCE).success();
    let unknown = alice.run(&["contacts", "--block", "eve"]);
    assert_eq!(unknown.code, 3, "{}", unknown.shown());
}

#[test]
fn an_identity_is_backed_up_and_restored_under_its_passphrase() {
    let server = Server::start();
    let (alice, _bob) = ready_contacts(&server);
    let file = alice.file("backup", b"").replacen("file:", "", 1);
    let exists = alice.run_with_input(&["backup", &file], "correct horse");
    assert_eq!(exists.code, 1, "never over a file: {}", exists.shown());
    let file = format!("{file}.hullo");
    let short = alice.run_with_input(&["backup", &file], "short");
    assert_eq!(short.code, 2, "{}", short.shown());
    let done = alice
        .run_with_input(&["backup", &file], "correct horse")
        .success();
    assert!(done.says("beside the original"), "{}", done.shown());
    let id = alice.run(&["name", "--json"]).success().event("name")["id"].clone();
    let new = Home::new();
    let wrong = new.run_with_input(&["restore", &file], "correct house");
    assert!(
        wrong.code == 2 && wrong.says("passphrase is wrong"),
        "{}",
        wrong.shown()
    );
    new.run_with_input(&["restore", &file], "correct horse")
        .success();
    assert_eq!(
        new.run(&["name", "--json"]).success().event("name")["id"],
        id
    );
    let listed = new.run(&["contacts", "--json"]).success();
    assert_eq!(listed.event("contact")["name"], "bob");
    let listed = new.run(&["contacts", "--plain"]).success();
    assert!(
        listed.says("add a new link of theirs"),
        "{}",
        listed.shown()
    );
    let sent = new.run(&["send", "bob", "hello"]);
    assert!(
        sent.code != 0 && sent.says("ask for a new link") && !sent.says("damaged"),
        "{}",
        sent.shown()
    );
    let twice = new.run_with_input(&["restore", &file], "correct horse");
    assert!(
        twice.code == 2 && twice.says("exists already"),
        "{}",
        twice.shown()
    );
}
