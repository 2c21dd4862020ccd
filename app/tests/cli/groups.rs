//! Calls of groups: several processes, one server.

use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use crate::kit::{Home, Hullo, Server};

pub(crate) const GROUP: &str = "hikers";
/// The group's people reach one another through the server, several messages each.
const SETTLED: Duration = Duration::from_secs(60);

/// People who are all members of one group, the first its creator.
pub(crate) fn group(server: &Server, names: &[&str]) -> Vec<Home> {
    let homes: Vec<Home> = names.iter().map(|_| Home::new()).collect();
    for (home, name) in homes.iter().zip(names) {
        home.run(&["name", name, "--server", server.url()])
            .success();
    }
    let (creator, others) = homes.split_first().unwrap();
    for other in others {
        let mut invite = Hullo::spawn(creator, &["invite", "--wait", "--json"]);
        let link = invite.wait_for("invite", PATIENCE)["link"].clone();
        other
            .run_with_input(&["add", "-", "--json"], link.as_str().unwrap())
            .success();
        invite.finish(PATIENCE).success();
    }
    creator.run(&["group", "new", GROUP]).success();
    let again = creator.run(&["group", "new", GROUP]);
    assert_eq!(again.code, 2, "{}", again.shown());
    assert!(again.says("choose another name"), "{}", again.shown());
    // Those invited answer, and the creator lists them, while all programs run.
    let mut running: Vec<Hullo> = homes
        .iter()
        .map(|home| Hullo::spawn(home, &["--json"]))
        .collect();
    for hullo in &mut running {
        hullo.wait_for("ready", PATIENCE);
    }
    for name in &names[1..] {
        creator.run(&["group", "add", GROUP, name]).success();
    }
    for hullo in &mut running {
        hullo.wait_until(SETTLED, |event| is_complete(event, names.len()));
        hullo.write("quit");
    }
    for hullo in running {
        hullo.finish(PATIENCE).success();
    }
    homes
}

fn is_complete(event: &Value, people: usize) -> bool {
    let members = event["members"].as_array();
    event["event"] == "group"
        && event["joined"] == true
        && members.is_some_and(|members| {
            members.len() == people && members.iter().all(|member| member["invited"] == false)
        })
}

pub(crate) fn join<'a>(first: &[&'a str]) -> Vec<&'a str> {
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

pub(crate) fn change(event: &Value, change: &str, name: &str) -> bool {
    event["event"] == "participant" && event["change"] == change && event["name"] == name
}

/// Both times stand in the history, with who was there.
fn history_has_both(home: &Home) {
    let past = home.run(&["history", "--json"]).success();
    let of_group = |entry: &&Value| entry["kind"] == "group_call";
    let count = past.events.iter().filter(of_group).count();
    assert_eq!(count, 2, "{}", past.shown());
    let entry = past.event("entry");
    assert_eq!(entry["outcome"], "ended");
    assert_eq!(entry["people"].as_array().unwrap().len(), 2);
    let named = home.run(&["history", GROUP]).success();
    assert!(named.says("Call of the group"), "{}", named.shown());
}

#[test]
fn three_people_see_and_hear_one_another_and_one_comes_back() {
    let server = Server::start();
    let names = ["ann", "bob", "cat"];
    let homes = group(&server, &names);
    let mut calls: Vec<Hullo> = Vec::new();
    for home in &homes {
        let mut call = Hullo::spawn(home, &join(&["join", GROUP, "--video"]));
        call.wait_for_call("connected", PATIENCE);
        calls.push(call);
    }
    for (call, own) in calls.iter_mut().zip(names) {
        for name in names.iter().filter(|name| **name != own) {
            call.wait_until(PATIENCE, |event| change(event, "joined", name));
            call.wait_until(PATIENCE, |event| change(event, "speaking", name));
        }
        call.wait_until(PATIENCE, |event| {
            let people = event["people"].as_array();
            event["event"] == "stats"
                && people.is_some_and(|people| {
                    people.len() == 2
                        && people.iter().all(|person| {
                            person["video_decoded"].as_u64() > Some(10)
                                && person["audio_frames"].as_u64() > Some(25)
                                && person["width"] == 640
                        })
                })
        });
    }
    calls[0].write("mute");
    calls[1].wait_until(PATIENCE, |event| {
        change(event, "muted", "ann") && event["on"] == true
    });
    calls[2].write("video off");
    calls[1].wait_until(PATIENCE, |event| {
        change(event, "camera", "cat") && event["on"] == false
    });
    // One leaves in words, and comes back under a new number.
    let last = calls.pop().unwrap();
    let mut last = last;
    last.write("hangup");
    let done = last.finish(PATIENCE).success();
    let summary = done.event("summary");
    assert_eq!(summary["reason"], "left", "{}", done.shown());
    assert_eq!(summary["people"].as_array().unwrap().len(), 2);
    assert_eq!(summary["undecryptable"], 0);
    for call in &mut calls {
        call.wait_until(PATIENCE, |event| change(event, "left", "cat"));
        call.forget();
    }
    let mut again = Hullo::spawn(&homes[2], &join(&["join", GROUP]));
    again.wait_for_call("connected", PATIENCE);
    for call in &mut calls {
        call.wait_until(PATIENCE, |event| change(event, "joined", "cat"));
    }
    again.wait_until(PATIENCE, |event| {
        event["event"] == "media" && event["kind"] == "video" && event["direction"] == "received"
    });
    calls.push(again);
    for mut call in calls {
        call.write("hangup");
        let done = call.finish(PATIENCE).success();
        assert_eq!(
            done.event("summary")["undecryptable"],
            0,
            "{}",
            done.shown()
        );
    }
    history_has_both(&homes[2]);
}

#[test]
fn a_call_is_announced_joined_by_a_word_and_a_screen_is_shown_in_it() {
    let server = Server::start();
    let homes = group(&server, &["ann", "bob"]);
    let mut bob = Hullo::spawn(&homes[1], &join(&[]));
    bob.wait_for("ready", PATIENCE);
    let mut ann = Hullo::spawn(&homes[0], &join(&["join", GROUP, "--screen", "test"]));
    ann.wait_for_call("connected", PATIENCE);
    let news = bob.wait_for("incoming", PATIENCE);
    assert_eq!((&news["name"], &news["by"]), (&GROUP.into(), &"ann".into()));
    let running = bob.wait_for("group_call", PATIENCE);
    assert_eq!(running["running"], true);
    // From another terminal of the same user.
    homes[1].run(&["ctl", "join", GROUP]).success();
    bob.wait_for_call("connected", PATIENCE);
    bob.wait_until(PATIENCE, |event| change(event, "screen", "ann"));
    bob.wait_until(PATIENCE, |event| {
        event["event"] == "stats" && event["people"][0]["screen_decoded"].as_u64() > Some(5)
    });
    ann.write("screen off");
    bob.wait_until(PATIENCE, |event| {
        change(event, "screen", "ann") && event["on"] == false
    });
    homes[1].run(&["ctl", "hold"]).success();
    ann.wait_until(PATIENCE, |event| {
        change(event, "hold", "bob") && event["on"] == true
    });
    bob.write("hold");
    ann.wait_until(PATIENCE, |event| {
        change(event, "hold", "bob") && event["on"] == false
    });
    bob.write("hangup");
    bob.wait_for_call("ended", PATIENCE);
    bob.wait_for("summary", PATIENCE);
    bob.write("quit");
    assert_eq!(bob.finish(PATIENCE).code, 0);
    ann.write("hangup");
    let done = ann.finish(PATIENCE).success();
    assert_eq!(done.event("summary")["reason"], "left", "{}", done.shown());
}

#[test]
fn a_contacts_call_and_a_groups_are_taken_beside_one_another() {
    let server = Server::start();
    let homes = group(&server, &["ann", "bob"]);
    let mut ann = Hullo::spawn(&homes[0], &join(&["join", GROUP]));
    let mut bob = Hullo::spawn(&homes[1], &join(&["join", GROUP]));
    for side in [&mut ann, &mut bob] {
        side.wait_for_call("connected", PATIENCE);
    }
    ann.wait_until(PATIENCE, |event| change(event, "speaking", "bob"));
    // Bob holds the group and calls ann, who takes it beside the group.
    bob.write("hold");
    ann.wait_until(PATIENCE, |event| change(event, "hold", "bob"));
    bob.write("call ann");
    ann.wait_for("incoming", PATIENCE);
    ann.write("answer hold");
    for (side, other) in [(&mut ann, "bob"), (&mut bob, "ann")] {
        side.wait_until(PATIENCE, |event| {
            event["event"] == "call" && event["state"] == "connected" && event["name"] == other
        });
        side.forget();
    }
    bob.write("hangup");
    // The group comes back by itself at both, and is heard again.
    for side in [&mut ann, &mut bob] {
        side.wait_until(PATIENCE, |event| {
            event["event"] == "own" && event["hold"] == false && event["name"] == GROUP
        });
    }
    ann.wait_until(PATIENCE, |event| {
        change(event, "speaking", "bob") && event["on"] == true
    });
    for mut side in [ann, bob] {
        side.write("hangup");
        side.finish(PATIENCE).success();
    }
}

#[test]
fn a_group_that_cannot_be_joined_is_told_with_its_exit_code() {
    let server = Server::start();
    let home = Home::new();
    home.run(&["name", "ann", "--server", server.url()])
        .success();
    home.run(&["group", "new", GROUP]).success();
    let unknown = home.run(&["join", "nobody", "--json"]);
    assert_eq!(unknown.code, 3, "{}", unknown.shown());
    drop(server);
    let down = home.run(&[
        "join",
        GROUP,
        "--json",
        "--mic",
        "test",
        "--speaker",
        "none",
    ]);
    assert_eq!(down.code, 5, "{}", down.shown());
    assert_eq!(down.call_state("ended")["reason"], "unreachable");
    assert_eq!(down.event("summary")["reason"], "unreachable");
}

#[test]
fn somebody_alone_is_in_the_call_and_leaves() {
    let server = Server::start();
    let home = Home::new();
    home.run(&["name", "ann", "--server", server.url()])
        .success();
    home.run(&["group", "new", GROUP]).success();
    let mut ann = Hullo::spawn(&home, &join(&["join", GROUP]));
    ann.wait_for_call("connected", PATIENCE);
    ann.write("hangup");
    let done = ann.finish(PATIENCE).success();
    assert_eq!(done.event("summary")["reason"], "left", "{}", done.shown());
}

#[test]
fn the_demo_of_a_group_ends_well() {
    let home = Home::new();
    let demo = ["demo", "--people", "2", "--camera", "test", "--mic", "test"];
    let args: Vec<&str> = demo.into_iter().chain(["--speaker", "none"]).collect();
    let done = home.run(&args);
    assert_eq!(done.code, 0, "{}", done.shown());
    for words in ["in call with demo", "you left", "2 heard you and 2 saw you"] {
        assert!(done.says(words), "{words} in\n{}", done.shown());
    }
}
