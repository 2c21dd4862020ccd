//! The history after calls and texts, and after programs that die at every step.

use hullo_proto::call::{
    Answer, CallId, EndReason, Invitation, Media, Message, Offer, RefusalReason,
};
use hullo_signalling::channel::{ChannelCommand, ChannelError, ChannelEvent, Wish};
use hullo_signalling::history::{
    CallOutcome, CallProgress, Direction, EntryKind, HistoryEntry, TextState, Unseen,
};

use super::world::{ANN, BOB, World};

mod model;

const CALL: CallId = CallId([7; 16]);

fn invitation(call_id: CallId) -> Message {
    Message::Invitation(Invitation {
        call_id,
        media: Media::Video,
        public_key: Some([9; 32]),
        hullo: None,
    })
}

fn offer(call_id: CallId) -> Message {
    Message::Offer(Offer {
        call_id,
        media: Media::Audio,
        public_key: Some([8; 32]),
        sdp: "v=0".into(),
        candidates: Vec::new(),
        hullo: None,
    })
}

fn answer(call_id: CallId) -> Message {
    Message::Answer(Answer {
        call_id,
        sdp: "v=0".into(),
        candidates: Vec::new(),
        hullo: None,
    })
}

fn other(person: usize) -> usize {
    1 - person
}

impl World {
    fn say(&mut self, from: usize, message: &Message) {
        let contact = self.contact_id(from, other(from));
        let payload = message.write([3; 12]).expect("a short message");
        self.command(from, ChannelCommand::Send { contact, payload });
    }

    fn progress(&mut self, person: usize, call_id: CallId, progress: CallProgress) {
        let contact = self.contact_id(person, other(person));
        let command = ChannelCommand::CallOutcome {
            contact,
            call_id,
            progress,
        };
        self.command(person, command);
    }

    fn text(&mut self, from: usize, text: &str) {
        let contact = self.contact_id(from, other(from));
        let text = text.to_owned();
        self.command(from, ChannelCommand::SendText { contact, text });
    }

    fn restart(&mut self, person: usize) {
        self.leave(person);
        self.enter(person);
    }

    /// The conversation in words, as this person's profile has it.
    fn conversation(&self, person: usize) -> Vec<String> {
        self.history(person).iter().map(words).collect()
    }

    fn calls(&self, person: usize) -> Vec<String> {
        let calls = self.conversation(person).into_iter();
        calls.filter(|entry| entry.contains("call")).collect()
    }

    fn texts_in_history(&self, person: usize) -> Vec<String> {
        let texts = self.conversation(person).into_iter();
        texts.filter(|entry| !entry.contains("call")).collect()
    }
}

fn words(entry: &HistoryEntry) -> String {
    let arrow = match entry.direction {
        Direction::Incoming => "in",
        Direction::Outgoing => "out",
    };
    match &entry.kind {
        EntryKind::Text { text, state } => {
            let waits = if *state == TextState::Waiting {
                " (waiting)"
            } else {
                ""
            };
            format!("{arrow} {text}{waits}")
        }
        EntryKind::Call { outcome, .. } => {
            let length = match outcome {
                CallOutcome::Ended { duration, .. } => format!(" {}", duration.as_secs()),
                _ => String::new(),
            };
            format!("{arrow} call {}{length}", outcome.as_str())
        }
    }
}

/// One program's view of the call it is in; a program that dies forgets it.
#[derive(Clone, Copy, Default, PartialEq)]
enum Driver {
    #[default]
    Free,
    Inviting,
    Offered,
    InCall,
}

/// What a program does about what it just took over.
fn drive(world: &mut World, person: usize, driver: &mut Driver) {
    for event in world.take_events(person) {
        let ChannelEvent::Message { payload, .. } = event else {
            continue;
        };
        match (
            Message::parse(&payload).expect("only call messages"),
            *driver,
        ) {
            (Message::Invitation(_), Driver::Free) => {
                world.say(person, &Message::Ringing(CALL));
                world.progress(person, CALL, CallProgress::Accepted);
                world.say(person, &offer(CALL));
                *driver = Driver::Offered;
            }
            (Message::Offer(_), Driver::Inviting) => {
                world.say(person, &answer(CALL));
                world.progress(person, CALL, CallProgress::Connected);
                *driver = Driver::InCall;
            }
            (Message::Answer(_), Driver::Offered) => {
                world.progress(person, CALL, CallProgress::Connected);
                *driver = Driver::InCall;
            }
            (Message::End(_) | Message::Gone(_), _) => *driver = Driver::Free,
            _ => {}
        }
    }
}

/// Two friends, a call from Ann to Bob with texts around it. `crash` tells whose program dies at which step.
/// Returns how many steps it took.
fn story(crash: Option<(usize, usize)>) -> usize {
    let mut world = World::with_people(78, 2);
    world.befriend(ANN, BOB);
    let mut drivers = [Driver::Free; 2];
    for person in [ANN, BOB] {
        drop(world.take_events(person));
    }
    let mut steps = 0;
    let mut run = |world: &mut World, drivers: &mut [Driver; 2]| loop {
        if let Some((person, at)) = crash
            && at == steps
        {
            world.restart(person);
            drop(world.take_events(person));
            drivers[person] = Driver::Free;
        }
        steps += 1;
        for person in [ANN, BOB] {
            drive(world, person, &mut drivers[person]);
        }
        if !world.step() {
            return;
        }
    };
    world.text(ANN, "ann 0");
    world.text(BOB, "bob 0");
    world.say(ANN, &invitation(CALL));
    drivers[ANN] = Driver::Inviting;
    run(&mut world, &mut drivers);
    world.text(ANN, "ann 1");
    world.text(BOB, "bob 1");
    if drivers[ANN] != Driver::Free {
        world.progress(ANN, CALL, CallProgress::Ended(EndReason::HungUp));
        world.say(ANN, &Message::End(CALL));
        drivers[ANN] = Driver::Free;
    }
    run(&mut world, &mut drivers);
    check(&mut world, crash);
    steps
}

fn check(world: &mut World, crash: Option<(usize, usize)>) {
    for person in [ANN, BOB] {
        let counts = world.counts(person);
        assert_eq!(
            (counts.unopened, counts.missing),
            (0, 0),
            "no ratchet forked: {crash:?}"
        );
    }
    let calls = |world: &World| (world.calls(ANN), world.calls(BOB));
    let before = calls(world);
    // Whoever looks after a restart sees what stood there before, but for calls that were still open.
    for person in [ANN, BOB] {
        world.restart(person);
        world.settle();
    }
    let (ann, bob) = calls(world);
    assert_eq!((ann.len(), bob.len()), (1, 1), "{crash:?}: {ann:?} {bob:?}");
    let open = ["ringing", "accepted", "in_call"];
    for (before, after) in [(&before.0, &ann), (&before.1, &bob)] {
        let is_open = |entry: &str| open.iter().any(|word| entry.ends_with(word));
        assert!(
            is_open(&before[0]) || before == after,
            "{crash:?}: {before:?} {after:?}"
        );
        assert!(!is_open(&after[0]), "{crash:?}: {after:?}");
    }
    let is_possible = match crash {
        None => ann[0] == "out call ended 0" && bob[0] == "in call ended 0",
        // Whoever died has a call of the length last heard of, and has told the other, who was in the call or was not.
        Some((ANN, _)) => {
            [
                "out call unanswered",
                "out call failed",
                "out call cut_off 0",
                "out call ended 0",
            ]
            .contains(&ann[0].as_str())
                && ["in call missed", "in call cut_off 0", "in call ended 0"]
                    .contains(&bob[0].as_str())
        }
        Some(_) => {
            [
                "in call missed",
                "in call failed",
                "in call cut_off 0",
                "in call ended 0",
            ]
            .contains(&bob[0].as_str())
                && [
                    "out call cancelled",
                    "out call declined",
                    "out call cut_off 0",
                    "out call ended 0",
                ]
                .contains(&ann[0].as_str())
        }
    };
    assert!(is_possible, "{crash:?}: {ann:?} {bob:?}");
    check_texts(world, crash);
}

/// Each text once on both sides, in order.
fn check_texts(world: &World, crash: Option<(usize, usize)>) {
    for (person, mine, theirs) in [(ANN, "ann", "bob"), (BOB, "bob", "ann")] {
        let of = |entry: &str, who: &str| entry.contains(who);
        let texts = world.texts_in_history(person);
        let by = |who: &str| -> Vec<String> {
            texts.iter().filter(|text| of(text, who)).cloned().collect()
        };
        assert_eq!(
            by(mine),
            [format!("out {mine} 0"), format!("out {mine} 1")],
            "{crash:?}"
        );
        assert_eq!(
            by(theirs),
            [format!("in {theirs} 0"), format!("in {theirs} 1")],
            "{crash:?}"
        );
    }
}

fn dies_at_every_step(person: usize) {
    let steps = story(None);
    assert!(steps > 60, "the story has {steps} steps");
    for at in 0..steps {
        story(Some((person, at)));
    }
}

#[test]
fn a_caller_who_dies_at_whatever_step_has_the_right_history_after() {
    dies_at_every_step(ANN);
}

#[test]
fn a_callee_who_dies_at_whatever_step_has_the_right_history_after() {
    dies_at_every_step(BOB);
}

#[test]
fn a_program_that_was_killed_in_a_call_leaves_its_length_and_tells_the_other() {
    let mut world = connected(79);
    world.wait(21);
    world.progress(ANN, CALL, CallProgress::Alive);
    world.wait(7);
    world.restart(ANN);
    world.settle();
    assert_eq!(world.calls(ANN), ["out call cut_off 21"]);
    assert_eq!(
        world.calls(BOB),
        ["in call cut_off 28"],
        "it was told at once"
    );
}

/// Ann has called Bob, and they talk.
fn connected(seed: u64) -> World {
    let mut world = World::with_people(seed, 2);
    world.befriend(ANN, BOB);
    world.say(ANN, &invitation(CALL));
    world.settle();
    world.say(BOB, &offer(CALL));
    world.settle();
    for person in [ANN, BOB] {
        world.progress(person, CALL, CallProgress::Connected);
    }
    world
}

#[test]
fn an_invitation_that_nobody_takes_is_missed_and_one_that_comes_late_at_once() {
    let mut world = World::with_people(80, 2);
    world.befriend(ANN, BOB);
    world.say(ANN, &invitation(CALL));
    world.settle();
    assert_eq!(world.calls(BOB), ["in call ringing"]);
    assert_eq!(world.unseen(BOB), Unseen::default());
    world.wait(181);
    assert_eq!(world.calls(BOB), ["in call missed"]);
    assert_eq!(world.calls(ANN), ["out call unanswered"]);
    world.leave(BOB);
    world.say(ANN, &invitation(CallId([8; 16])));
    world.wait(200);
    world.enter(BOB);
    world.settle();
    assert_eq!(world.calls(BOB), ["in call missed", "in call missed"]);
    assert_eq!(world.unseen(BOB), Unseen { texts: 0, calls: 2 });
    let contact = world.contact_id(BOB, ANN);
    world.command(BOB, ChannelCommand::MarkSeen(contact));
    assert_eq!(world.unseen(BOB), Unseen::default());
    world.restart(BOB);
    assert_eq!(world.unseen(BOB), Unseen::default());
}

#[test]
fn both_calling_at_once_is_one_entry_once_one_is_taken() {
    for (winner, seed) in [(ANN, 81), (BOB, 82)] {
        let mut world = World::with_people(seed, 2);
        world.befriend(ANN, BOB);
        let calls = [CallId([1; 16]), CallId([2; 16])];
        world.say(ANN, &invitation(calls[ANN]));
        world.say(BOB, &invitation(calls[BOB]));
        world.settle();
        world.say(other(winner), &offer(calls[winner]));
        world.settle();
        world.say(winner, &Message::End(calls[winner]));
        // What is still said of the other call is about nothing.
        world.say(other(winner), &Message::End(calls[other(winner)]));
        world.settle();
        assert_eq!(world.calls(winner), ["out call ended 0"]);
        assert_eq!(world.calls(other(winner)), ["in call ended 0"]);
    }
}

#[test]
fn a_call_that_was_merged_into_another_is_no_entry() {
    let mut world = World::with_people(84, 2);
    world.befriend(ANN, BOB);
    let (lost, kept) = (CallId([2; 16]), CallId([1; 16]));
    world.say(ANN, &invitation(lost));
    world.say(BOB, &invitation(kept));
    world.settle();
    for person in [ANN, BOB] {
        world.progress(person, lost, CallProgress::Merged);
    }
    world.say(
        ANN,
        &Message::Refused {
            call_id: kept,
            reason: RefusalReason::Declined,
        },
    );
    world.progress(BOB, kept, CallProgress::Merged);
    world.settle();
    assert_eq!(world.calls(ANN), ["in call declined"]);
    let gone: [&str; 0] = [];
    assert_eq!(world.calls(BOB), gone);
}

#[test]
fn texts_tell_when_the_relay_has_them_and_bad_ones_are_refused() {
    let mut world = World::with_people(83, 2);
    world.befriend(ANN, BOB);
    world.relay_up(false);
    world.text(ANN, "hello\u{1b}[2J\tthere");
    world.steps(5);
    assert_eq!(world.conversation(ANN), ["out hello[2J there (waiting)"]);
    world.restart(ANN);
    assert_eq!(world.conversation(ANN), ["out hello[2J there (waiting)"]);
    world.relay_up(true);
    world.settle();
    assert_eq!(world.conversation(ANN), ["out hello[2J there"]);
    assert_eq!(world.conversation(BOB), ["in hello[2J there"]);
    assert_eq!(world.unseen(BOB), Unseen { texts: 1, calls: 0 });
    let is_message = |event: &ChannelEvent| matches!(event, ChannelEvent::Message { .. });
    assert!(
        !world.take_events(BOB).iter().any(is_message),
        "texts are no affair of calls"
    );
    let contact = world.contact_id(ANN, BOB);
    for (text, long) in [("\u{7}\n".to_owned(), false), ("x".repeat(7_501), true)] {
        let refused = world.refusal(ANN, ChannelCommand::SendText { contact, text });
        let (Wish::Send(_), reason) = refused else {
            panic!("about sending");
        };
        match reason {
            ChannelError::TextTooLong => assert!(long),
            ChannelError::TextEmpty => assert!(!long),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn texts_written_while_both_use_a_link_of_the_other_arrive_once() {
    for seed in 90..96 {
        let mut world = World::with_people(seed, 2);
        let (from_ann, from_bob) = (world.invite(ANN), world.invite(BOB));
        world.command(ANN, ChannelCommand::Add { link: from_bob });
        world.command(BOB, ChannelCommand::Add { link: from_ann });
        for _ in 0..seed {
            world.step();
            for person in [ANN, BOB] {
                let is_first = world.texts_in_history(person).is_empty();
                if is_first && !world.contacts(person).is_empty() {
                    world.text(person, &format!("from {person}"));
                }
            }
        }
        world.settle();
        for (person, theirs) in [(ANN, "in from 1"), (BOB, "in from 0")] {
            let texts = world.texts_in_history(person);
            let came = texts.iter().filter(|text| *text == theirs).count();
            assert_eq!(came, 1, "seed {seed}: {texts:?}");
        }
    }
}
