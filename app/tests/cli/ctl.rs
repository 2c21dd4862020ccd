//! A program that is told what to do from outside, and one that nobody looks at.

use super::*;

#[test]
fn ctl_does_what_the_keys_do_and_fails_in_words_with_a_status() {
    let server = Server::start();
    let (alice, bob) = ready_contacts(&server);
    let ctl = |words: &str| {
        let mut command = vec!["ctl"];
        command.extend(words.split(' '));
        command.push("--json");
        alice.run(&command)
    };
    assert_eq!(ctl("mute").code, 1, "nothing runs on this profile");
    let mut answer = Hullo::spawn(&bob, &call_args(&["answer"]));
    answer.wait_for("ready", PATIENCE);
    let mut call = Hullo::spawn(&alice, &call_args(&[]));
    call.wait_for("ready", PATIENCE);
    for (words, status) in [
        ("nonsense", 2),
        ("rename bob", 2),
        ("set theme mauve", 4),
        ("figures", 4),
        ("remove nobody", 3),
        ("volume bob loud", 2),
        ("call nobody", 3),
        ("mute", 4),
        ("ptt on", 4),
        ("1", 4),
    ] {
        let failed = ctl(words);
        assert_eq!(failed.code, status, "{words}: {}", failed.shown());
    }
    ctl("call bob").success();
    answer.wait_for_call("connected", PATIENCE);
    call.wait_for_call("connected", PATIENCE);
    assert_eq!(ctl("volume nobody 50").code, 3);
    assert_eq!(
        ctl("focus bob").code,
        4,
        "there is one picture in a call of two"
    );
    assert_eq!(
        ctl("volume bob 50").success().event("volume")["percent"],
        50
    );
    ctl("mute").success();
    answer.wait_until(PATIENCE, |event| {
        event["event"] == "participant" && event["change"] == "muted" && event["on"] == true
    });
    ctl("ptt on").success();
    call.wait_until(PATIENCE, |event| {
        event["event"] == "own" && event["talking"] == true && event["muted"] == false
    });
    answer.wait_until(PATIENCE, |event| {
        event["event"] == "participant" && event["change"] == "muted" && event["on"] == false
    });
    ctl("ptt off").success();
    ctl("deafen").success();
    let told = ctl("status").success();
    let status = &told.event("status")["call"];
    assert_eq!(status["deafened"], true, "{status}");
    assert_eq!(
        (&status["name"], &status["volume_percent"]),
        (&"bob".into(), &50.into())
    );
    ctl("hangup").success();
    assert_eq!(answer.finish(PATIENCE).code, 0);
    ctl("quit").success();
    assert_eq!(call.finish(PATIENCE).code, 0);
}

#[test]
fn every_command_about_a_contact_answers_also_where_nothing_changes() {
    let server = Server::start();
    let (alice, _bob) = ready_contacts(&server);
    let mut running = Hullo::spawn(&alice, &["--json"]);
    running.wait_for("ready", PATIENCE);
    running.wait_until(PATIENCE, |event| {
        event["event"] == "server" && event["up"] == true
    });
    for (command, told) in [
        ("rename bob bob", "bob"),
        ("unblock bob", "bob"),
        ("block bob", "bob"),
        ("block bob", "bob"),
        ("unblock bob", "bob"),
        ("differ bob", "bob"),
        ("differ bob", "bob"),
        ("same bob", "bob"),
        ("same bob", "bob"),
    ] {
        let words: Vec<&str> = std::iter::once("ctl")
            .chain(command.split(' '))
            .chain(["--json"])
            .collect();
        let asked = std::time::Instant::now();
        let done = alice.run(&words).success();
        assert_eq!(done.event("contact")["name"], told, "{command}");
        // The owner would give it up after 20 s.
        assert!(asked.elapsed() < Duration::from_secs(15), "{command}");
    }
    alice.run(&["ctl", "rename", "bob", "uncle bob"]).success();
    let renamed = alice
        .run(&["ctl", "rename", "uncle bob", "bob", "--json"])
        .success();
    assert_eq!(renamed.event("contact")["name"], "bob");
    let named = alice.run(&["ctl", "name", "alice", "--json"]).success();
    assert_eq!(named.event("name")["name"], "alice");
    let told = alice.run(&["ctl", "differ", "bob", "--json"]).success();
    assert_eq!(
        told.event("contact")["words_differ"],
        true,
        "{}",
        told.shown()
    );
    running.write("quit");
    running.finish(PATIENCE).success();
    // Remembered beyond the program.
    let list = alice.run(&["contacts", "--json"]).success();
    assert_eq!(
        list.event("contact")["words_differ"],
        true,
        "{}",
        list.shown()
    );
    let removed = alice.run(&["contacts", "--remove", "bob"]).success();
    assert!(removed.says("forgotten"), "{}", removed.shown());
}

#[test]
fn a_program_that_hangs_is_told_in_words_and_with_a_status() {
    let home = Home::new();
    home.run(&["name", "alice"]).success();
    let mut running = Hullo::spawn(&home, &["--json"]);
    running.wait_for("ready", PATIENCE);
    running.signal(rustix::process::Signal::STOP);
    let silent = home.run(&["ctl", "status"]);
    running.signal(rustix::process::Signal::CONT);
    assert_eq!(silent.code, 1, "{}", silent.shown());
    assert!(silent.says("does not answer"), "{}", silent.shown());
    home.run(&["ctl", "status"]).success();
    let help = home.run(&["ctl", "help"]).success();
    assert!(help.says("volume NAME PERCENT"), "{}", help.shown());
    let wrong = home.run(&["ctl", "hangapp"]);
    assert_eq!(wrong.code, 2, "{}", wrong.shown());
    assert!(wrong.errors.len() < 120 && wrong.says("Is it `hangup`?"));
}

/// Sentences show no pictures, so none are sent, unless somebody keeps them.
#[test]
fn no_picture_is_sent_to_a_program_of_sentences_unless_it_records() {
    let server = Server::start();
    let (alice, bob) = contacts(&server);
    let file = bob.file("far.y4m", b"");
    let path = file.as_str();
    let common = [
        "--plain",
        "--camera",
        "none",
        "--mic",
        "test",
        "--speaker",
        "none",
    ];
    for (records, is_sent) in [(&[][..], false), (&["--record-video", path], true)] {
        let mut command = vec!["answer", "--video"];
        command.extend(common);
        command.extend(records);
        let answer = Hullo::spawn(&bob, &command);
        let mut call = Hullo::spawn(&alice, &call_args(&["call", "bob", "--video"]));
        call.wait_for_call("connected", PATIENCE);
        if is_sent {
            call.wait_until(PATIENCE, |event| {
                event["event"] == "stats" && event["sent"]["video_frames"].as_u64() > Some(5)
            });
        } else {
            // What left before the other side had said anything is not looked at.
            call.forget();
            let quiet = std::cell::Cell::new(0);
            call.wait_until(PATIENCE, |event| {
                if event["event"] == "stats" {
                    let is_quiet = event["sent"]["video_frames"] == 0;
                    quiet.set(if is_quiet { quiet.get() + 1 } else { 0 });
                }
                quiet.get() == 3
            });
        }
        call.write("hangup");
        let done = call.finish(PATIENCE);
        assert!(
            done.event("summary")["video"]["captured"].as_u64() > Some(10),
            "{}",
            done.shown()
        );
        assert_eq!(answer.finish(PATIENCE).code, 0);
    }
}
