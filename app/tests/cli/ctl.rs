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
