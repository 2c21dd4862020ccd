//! Several calls and several programs: waiting, meeting, not disturbing.

use serde_json::Value;

use super::*;

/// Makes two profiles each other's contacts.
fn befriend(inviter: &Home, adder: &Home) {
    let invite = inviter.run(&["invite", "--json"]).success();
    let link = invite.event("invite")["link"].as_str().unwrap().to_owned();
    adder
        .run_with_input(&["add", "-", "--json"], &link)
        .success();
}

fn named(name: &str, server: &Server) -> Home {
    let home = Home::new();
    home.run(&["name", name, "--server", server.url()])
        .success();
    home
}

fn is_call(event: &Value, state: &str, name: &str) -> bool {
    event["event"] == "call" && event["state"] == state && event["name"] == name
}

fn hears(side: &mut Hullo) {
    side.forget();
    side.wait_until(PATIENCE, |event| {
        event["event"] == "stats" && event["received"]["audio_frames"].as_u64() > Some(30)
    });
}

#[test]
fn a_second_call_is_taken_while_the_first_waits_on_hold() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| named(name, &server));
    befriend(&bob, &alice);
    befriend(&bob, &carol);
    let mut hub = Hullo::spawn(&bob, &call_args(&[]));
    let mut first = Hullo::spawn(&alice, &call_args(&["call", "bob"]));
    hub.wait_until(PATIENCE, |event| {
        event["event"] == "incoming" && event["name"] == "alice"
    });
    hub.write("accept");
    hub.wait_until(PATIENCE, |event| is_call(event, "connected", "alice"));
    hears(&mut first);
    let mut second = Hullo::spawn(&carol, &call_args(&["call", "bob"]));
    hub.wait_until(PATIENCE, |event| {
        event["event"] == "incoming" && event["name"] == "carol"
    });
    second.wait_for_call("ringing", PATIENCE);
    hub.write("answer hold");
    hub.wait_until(PATIENCE, |event| is_call(event, "connected", "carol"));
    hub.wait_until(PATIENCE, |event| {
        event["event"] == "own" && event["name"] == "alice" && event["hold"] == true
    });
    let held = |on: bool| {
        move |event: &Value| {
            event["event"] == "participant" && event["change"] == "hold" && event["on"] == on
        }
    };
    first.wait_until(PATIENCE, held(true));
    hears(&mut second);
    // Who waits hears nothing, and is not dropped for it.
    first.forget();
    first.wait_until(PATIENCE, |event| {
        event["event"] == "stats" && event["received"]["audio_frames"] == 0
    });
    second.write("hangup");
    assert_eq!(second.finish(PATIENCE).code, 0);
    first.wait_until(PATIENCE, held(false));
    hears(&mut first);
    first.write("hangup");
    assert_eq!(first.finish(PATIENCE).code, 0);
    hub.wait_until(PATIENCE, |event| is_call(event, "ended", "alice"));
    hub.write("quit");
    assert_eq!(hub.finish(PATIENCE).code, 0);
}

#[test]
fn two_programs_that_call_each_other_at_once_are_in_one_call() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| named(name, &server));
    befriend(&alice, &bob);
    let mut sides = [&alice, &bob].map(|home| Hullo::spawn(home, &call_args(&[])));
    for side in &mut sides {
        side.wait_until(PATIENCE, |event| {
            event["event"] == "server" && event["up"] == true
        });
    }
    // Bob is told that alice has answered his greeting: from then on both know each other.
    sides[1].wait_until(PATIENCE, |event| {
        event["event"] == "contact" && event["ready"] == true
    });
    sides[0].write("call bob");
    sides[1].write("videocall alice");
    for side in &mut sides {
        side.wait_for_call("connected", PATIENCE);
        hears(side);
    }
    sides[0].write("hangup");
    for mut side in sides {
        side.wait_for_call("ended", PATIENCE);
        side.write("quit");
        let done = side.finish(PATIENCE);
        assert_eq!(done.code, 0, "{}", done.shown());
        let count = |name: &str, state: &str| {
            let is_it = |event: &&Value| event["event"] == name && event["state"] == state;
            done.events.iter().filter(is_it).count()
        };
        assert_eq!(count("call", "connected"), 1, "{}", done.shown());
        assert_eq!(count("call", "ended"), 1, "{}", done.shown());
        assert!(done.events.iter().all(|event| event["event"] != "missed"));
    }
}

#[test]
fn nothing_rings_where_nobody_is_to_be_disturbed_even_after_a_restart() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut quiet = Hullo::spawn(&alice, &call_args(&[]));
    quiet.wait_for("ready", PATIENCE);
    alice.run(&["ctl", "dnd", "on", "--json"]).success();
    quiet.write("quit");
    assert_eq!(quiet.finish(PATIENCE).code, 0);
    let mut quiet = Hullo::spawn(&alice, &call_args(&[]));
    quiet.wait_until(PATIENCE, |event| {
        event["event"] == "server" && event["up"] == true
    });
    let call = bob.run(&call_args(&["call", "alice", "--seconds", "4"]));
    assert_eq!(call.code, 4, "{}", call.shown());
    assert!(
        call.events.iter().all(|event| event["state"] != "ringing"),
        "{}",
        call.shown()
    );
    let missed = quiet.wait_for("missed", PATIENCE);
    assert_eq!(missed["reason"], "do_not_disturb");
    quiet.write("quit");
    let done = quiet.finish(PATIENCE);
    assert!(
        done.events.iter().all(|event| event["event"] != "incoming"),
        "{}",
        done.shown()
    );
}

#[test]
fn who_asks_for_relayed_calls_only_is_never_called_directly() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut other = Hullo::spawn(&alice, &call_args(&[]));
    other.wait_for("ready", PATIENCE);
    bob.file("profile/config.toml", b"relay_only = true\n");
    let done = bob.run(&call_args(&["call", "alice", "--seconds", "20"]));
    assert!(
        done.code != 0 && done.says("relay_only"),
        "{}",
        done.shown()
    );
    bob.file("profile/config.toml", b"relay_only = 1\n");
    let done = bob.run(&call_args(&["--seconds", "1"]));
    assert!(done.says("config.toml line 1"), "{}", done.shown());
    other.write("quit");
    let done = other.finish(PATIENCE);
    assert!(
        done.events.iter().all(|event| event["event"] != "incoming"),
        "{}",
        done.shown()
    );
}

#[test]
fn waiting_for_somebody_unknown_ends_soon_with_3() {
    let server = Server::start();
    let (alice, _bob) = contacts(&server);
    let done = alice.run(&call_args(&["answer", "nobody", "--seconds", "9"]));
    assert_eq!(done.code, 3, "{}", done.shown());
    let last = done.events.last().unwrap()["at_ms"].as_u64().unwrap();
    assert!(last < 5_000, "after {last} ms");
}

#[test]
fn a_second_terminal_follows_and_a_call_taken_there_stops_ringing_here() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let mut owner = Hullo::spawn(&alice, &call_args(&[]));
    owner.wait_for("ready", PATIENCE);
    let mut second = Hullo::spawn(&alice, &["--json"]);
    second.wait_until(PATIENCE, |event| {
        event["event"] == "notice"
            && event["text"]
                .as_str()
                .is_some_and(|text| text.contains("no call"))
    });
    let mut words = Hullo::spawn(&alice, &["--plain"]);
    let mut call = Hullo::spawn(&bob, &call_args(&["call", "alice"]));
    for side in [&mut owner, &mut second] {
        side.wait_until(PATIENCE, |event| {
            event["event"] == "incoming" && event["name"] == "bob"
        });
    }
    second.write("nonsense");
    second.wait_for("error", PATIENCE);
    second.write("accept");
    call.wait_for_call("connected", PATIENCE);
    for side in [&mut owner, &mut second] {
        side.wait_for_call("connected", PATIENCE);
    }
    second.write("quit");
    assert_eq!(
        second.finish(PATIENCE).code,
        0,
        "only the one that was told to quit ends"
    );
    hears(&mut call);
    owner.write("hangup");
    assert_eq!(call.finish(PATIENCE).code, 0);
    owner.write("quit");
    assert_eq!(owner.finish(PATIENCE).code, 0);
    words.write("status");
    let done = words.finish(PATIENCE);
    assert_eq!(done.code, 0, "{}", done.shown());
    for told in ["Call from bob", "In call with bob", "has ended"] {
        assert!(done.says(told), "{told}: {}", done.shown());
    }
}
