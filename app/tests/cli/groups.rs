//! Calls of groups: several processes, one server.

use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use crate::kit::{Home, Hullo, Server};

const GROUP: &str = "hikers";
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

fn join<'a>(first: &[&'a str]) -> Vec<&'a str> {
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

fn change(event: &Value, change: &str, name: &str) -> bool {
    event["event"] == "participant" && event["change"] == change && event["name"] == name
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
}
