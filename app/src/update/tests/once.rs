//! The one call of `hullo call` and `hullo answer`, and the status it leaves with.

use super::*;

fn call_bob() -> Program {
    Program::new(Mode::CallOnce {
        name: "bob".to_owned(),
        media: Media::Video,
    })
}

#[test]
fn the_one_call_starts_by_itself_and_ends_the_program() {
    let mut program = call_bob();
    assert_eq!(
        program.take(contacts()),
        [Effect::StartCall(Party::Contact(BOB), Media::Video)]
    );
    program.take(server(true));
    program.connect(BOB, Direction::Outgoing);
    assert_eq!(program.quit_status(), None);
    program.take(ended("far_hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn the_status_tells_why_the_one_call_did_not_come_to_be() {
    for (reason, status) in [
        ("declined", 4),
        ("busy", 4),
        ("unanswered", 4),
        ("lost", 5),
        ("failed_to_connect", 5),
        ("device", 6),
        ("peer_incompatible", 1),
    ] {
        let mut program = call_bob();
        program.take(contacts());
        program.take(state(CallState::Ringing));
        program.take(ended(reason));
        assert_eq!(program.quit_status(), Some(status), "{reason}");
    }
}

#[test]
fn a_contact_still_being_made_is_waited_for() {
    let mut program = call_bob();
    let pending = || Event::Contacts(vec![contact(BOB, "bob", false)]);
    assert_eq!(program.take(pending()), []);
    program.take(server(true));
    assert_eq!(program.wait(9_000), []);
    assert_eq!(
        program.take(contacts()),
        [Effect::StartCall(Party::Contact(BOB), Media::Video)]
    );

    let mut program = call_bob();
    program.take(pending());
    program.take(server(true));
    program.wait(10_000);
    assert_eq!(program.quit_status(), Some(4));
}

#[test]
fn no_such_contact_is_known_once_the_queues_are_read() {
    let mut program = call_bob();
    program.take(Event::Contacts(vec![contact(ALICE, "alice", true)]));
    program.take(server(true));
    assert_eq!(program.quit_status(), None);
    let due = program.model.deadline_ms().expect("a deadline");
    program.wait(due - program.model.now_ms());
    assert_eq!(program.quit_status(), Some(3));
    assert!(
        matches!(program.reports().last(), Some(Report::Error { text }) if text.contains("bob"))
    );
}

#[test]
fn who_waits_for_somebody_unknown_is_told_as_soon_as_the_queues_are_read() {
    let mut program = Program::new(Mode::AnswerOnce {
        name: Some("zoe".to_owned()),
        media: Media::Audio,
    });
    program.take(Event::Contacts(vec![contact(BOB, "bob", false)]));
    program.take(server(true));
    let due = program.model.deadline_ms().expect("a deadline");
    assert!(due <= 2_000, "{due} ms");
    program.wait(due - program.model.now_ms());
    assert_eq!(program.quit_status(), Some(3));
}

#[test]
fn a_server_that_is_down_ends_the_one_call_after_ten_seconds() {
    let mut program = call_bob();
    program.take(server(false));
    assert_eq!(program.take(contacts()), []);
    program.wait(9_999);
    assert_eq!(program.quit_status(), None);
    program.wait(1);
    assert_eq!(program.quit_status(), Some(5));

    let mut program = call_bob();
    program.take(contacts());
    program.take(server(false));
    assert_eq!(program.wait(10_000)[0], Effect::HangUp(OUT));
    assert_eq!(program.quit_status(), Some(5));
}

#[test]
fn a_failure_before_the_one_call_ends_the_program_unless_a_call_comes_after_all() {
    let mut program = call_bob();
    program.confirms = false;
    program.take(contacts());
    program.take(Event::Failed(
        "The invitation could not be stored.".to_owned(),
    ));
    program.wait(1_000);
    assert_eq!(program.quit_status(), Some(1));

    let mut program = call_bob();
    program.take(contacts());
    program.take(Event::Failed("No camera.".to_owned()));
    program.connect(BOB, Direction::Outgoing);
    program.wait(5_000);
    assert_eq!(program.quit_status(), None);
    program.take(ended("hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn one_call_is_taken_from_the_one_who_was_named() {
    let mut program = Program::new(Mode::AnswerOnce {
        name: Some("bob".to_owned()),
        media: Media::Audio,
    });
    program.take(contacts());
    program.take(server(true));
    program.wait(60_000);
    assert_eq!(
        program.take(incoming(ALICE, Media::Video)),
        [Effect::RejectCall {
            call: CallNumber(1),
            busy: false
        }]
    );
    program.take(ended("declined"));
    assert_eq!(program.quit_status(), None);
    assert_eq!(
        program.take(incoming(BOB, Media::Video)),
        [Effect::AcceptCall(CallNumber(2), Media::Audio)]
    );
    program.connect(BOB, Direction::Incoming);
    program.take(ended("far_hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn a_call_told_of_twice_rings_once() {
    let mut program = Program::ready();
    for _ in 0..2 {
        program.take(incoming(BOB, Media::Video));
    }
    program.press('i');
    program.take(incoming(BOB, Media::Video));
    let is_incoming = |report: &&&Report| matches!(report, Report::Incoming { .. });
    assert_eq!(program.reports().iter().filter(is_incoming).count(), 1);
}

#[test]
fn the_program_stays_while_a_call_taken_beside_the_one_goes_on() {
    let mut program = call_bob();
    program.take(contacts());
    program.connect(BOB, Direction::Outgoing);
    program.take(incoming(ALICE, Media::Audio));
    let accept = Command::Accept(Media::Audio, Meanwhile::Hold);
    program.take(Event::Command(accept));
    let over = CallState::Ended {
        reason: "lost",
        words: "the connection was lost".to_owned(),
        duration: std::time::Duration::from_secs(1),
    };
    program.take(Event::Call(OUT, CallEvent::State(over)));
    assert_eq!(program.quit_status(), None);
    program.take(ended("hung_up"));
    assert_eq!(
        program.quit_status(),
        Some(5),
        "the status is that of the one call"
    );
}

#[test]
fn both_calling_at_once_is_one_call() {
    let mut program = call_bob();
    program.take(incoming(BOB, Media::Video));
    assert_eq!(
        program.take(contacts()),
        [Effect::AcceptCall(CallNumber(2), Media::Video)]
    );
}

#[test]
fn the_end_of_the_seconds_tells_whether_there_was_a_call() {
    let answer = || {
        Program::new(Mode::AnswerOnce {
            name: None,
            media: Media::Video,
        })
    };
    let mut program = answer();
    program.take(contacts());
    assert_eq!(
        program.take(Event::Stop(StopReason::Seconds)),
        [Effect::Quit(4)]
    );

    let mut program = answer();
    program.take(contacts());
    program.take(incoming(BOB, Media::Video));
    program.connect(BOB, Direction::Incoming);
    assert_eq!(
        program.take(Event::Stop(StopReason::Seconds)),
        [Effect::HangUp(CallNumber(2))]
    );
    program.take(ended("hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn commands_that_cannot_be_done_are_told_outside() {
    let mut program = Program::ready();
    for command in [
        Command::Mute(Switch::On),
        Command::Reject,
        Command::HangUp,
        Command::Call("nobody".to_owned(), Media::Audio),
        Command::Add(" ".to_owned()),
        Command::Name(String::new()),
    ] {
        assert_eq!(
            program.take(Event::Command(command.clone())),
            [],
            "{command:?}"
        );
        assert!(
            matches!(program.reports().last(), Some(Report::Error { .. })),
            "{command:?}"
        );
    }
}
