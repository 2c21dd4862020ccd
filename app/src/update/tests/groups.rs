//! Calls of groups in the model: joining, who comes and goes, and other calls beside them.

use super::*;
use crate::event::{Feed, GroupNumber, ParticipantChange, ParticipantId, RunningCall};
use crate::groups::GroupLine;

const HIKERS: GroupNumber = GroupNumber(7);

fn group(number: GroupNumber, name: &str) -> GroupLine {
    GroupLine {
        number: number.0,
        name: name.to_owned(),
        revision: 1,
        is_ours: false,
        is_joined: true,
        members: Vec::new(),
        trouble: None,
    }
}

fn groups() -> Event {
    Event::Groups(vec![
        group(HIKERS, "hikers"),
        group(GroupNumber(8), "the long walkers"),
    ])
}

fn id(number: u32) -> ParticipantId {
    ParticipantId::try_from(number).expect("in range")
}

pub(super) fn person(number: u32, change: ParticipantChange) -> Event {
    Event::Call(OUT, CallEvent::Participant(id(number), change))
}

pub(super) fn joined(number: u32, name: &str) -> Event {
    let name = name.to_owned();
    person(number, ParticipantChange::Joined { name })
}

fn with_groups() -> Program {
    let mut program = Program::ready();
    program.take(groups());
    program
}

/// In the call of the hikers, with ann.
pub(super) fn hiking() -> Program {
    let mut program = with_groups();
    let join = Command::Join("hikers".to_owned(), Media::Audio);
    let effects = program.take(Event::Command(join));
    let start = Effect::StartCall(Party::Group(HIKERS), Media::Audio);
    assert_eq!(effects, [start]);
    for now in [CallState::Connecting, CallState::Connected] {
        program.take(Event::Call(OUT, CallEvent::State(now)));
    }
    program.take(joined(3, "ann"));
    program
}

fn told(program: &Program) -> Vec<(&'static str, String, Option<bool>)> {
    let reports = program.reports().into_iter();
    let told = reports.filter_map(|report| match report {
        Report::Participant {
            change, name, on, ..
        } => Some((*change, name.clone(), *on)),
        _ => None,
    });
    told.collect()
}

fn views(effects: &[Effect]) -> Vec<(u32, Feed, bool)> {
    let views = effects.iter().filter_map(|effect| match effect {
        Effect::View(_, id, feed, size) => Some((id.number(), *feed, size.is_some())),
        _ => None,
    });
    views.collect()
}

#[test]
fn who_comes_goes_and_does_what_is_told_once() {
    let mut program = hiking();
    for event in [
        person(3, ParticipantChange::Muted(false)),
        person(3, ParticipantChange::Muted(false)),
        person(3, ParticipantChange::Speaking(true)),
        person(9, ParticipantChange::Muted(false)),
        joined(3, "ann once more"),
        person(3, ParticipantChange::Left { is_removed: false }),
        person(3, ParticipantChange::Left { is_removed: false }),
    ] {
        program.take(event);
    }
    let ann = || "ann".to_owned();
    let want = [
        ("joined", ann(), None),
        ("muted", ann(), Some(false)),
        ("speaking", ann(), Some(true)),
        ("left", ann(), None),
    ];
    assert_eq!(told(&program), want);
    assert!(program.model.call.as_ref().unwrap().people.is_empty());
}

#[test]
fn only_pictures_on_the_screen_are_asked_for() {
    let mut program = hiking();
    let on = program.take(person(3, ParticipantChange::Camera(true)));
    assert_eq!(views(&on), [(3, Feed::Camera, true)]);
    let same = program.take(person(3, ParticipantChange::Speaking(true)));
    assert_eq!(views(&same), []);
    let covered = program.take(Event::Resize(20, 5));
    assert_eq!(views(&covered), [(3, Feed::Camera, false)]);
    let back = program.take(Event::Resize(80, 24));
    assert_eq!(views(&back), [(3, Feed::Camera, true)]);
    let screen = program.take(person(3, ParticipantChange::Screen(true)));
    assert!(views(&screen).contains(&(3, Feed::Screen, true)));
    let gone = program.take(person(3, ParticipantChange::Left { is_removed: true }));
    assert_eq!(views(&gone).iter().filter(|(_, _, on)| *on).count(), 0);
}

#[test]
fn a_call_begun_in_a_group_is_said_and_joined_by_a_key_that_is_no_slip() {
    let mut program = with_groups();
    assert_eq!(program.press('J'), []);
    program.take(Event::GroupCallStarted {
        group: HIKERS,
        by: "ann".to_owned(),
    });
    let is_news =
        |report: &&Report| matches!(report, Report::Incoming { by: Some(by), .. } if by == "ann");
    assert_eq!(program.reports().into_iter().filter(is_news).count(), 1);
    assert!(program.model.incoming.is_none(), "it does not ring");
    let start = Effect::StartCall(Party::Group(HIKERS), Media::Audio);
    assert!(program.press('J').contains(&start));
}

#[test]
fn what_runs_is_told_when_it_changes() {
    let mut program = with_groups();
    let running = RunningCall {
        people: vec!["ann".to_owned()],
        started_at_ms: 1_000,
        people_max: 16,
    };
    for _ in 0..2 {
        let event = Event::GroupCallRuns(HIKERS, Some(running.clone()));
        program.take(event);
    }
    program.take(Event::GroupCallRuns(HIKERS, None));
    let of_group = |report: &&Report| match report {
        Report::GroupCall { running, .. } => Some(*running),
        _ => None,
    };
    let reports = program.reports();
    let told: Vec<bool> = reports.iter().filter_map(of_group).collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn groups_are_chosen_below_the_contacts() {
    let mut program = with_groups();
    for _ in 0..9 {
        program.press('j');
    }
    let chosen = program.model.selected_party();
    assert_eq!(chosen, Some(Party::Group(GroupNumber(8))));
    for _ in 0..2 {
        program.press('k');
    }
    assert_eq!(program.model.selected_party(), Some(Party::Contact(BOB)));
    program.take(Event::Groups(Vec::new()));
    assert_eq!(program.model.selected_party(), Some(Party::Contact(BOB)));
}

#[test]
fn a_contacts_call_is_taken_beside_the_groups_which_comes_back() {
    let mut program = hiking();
    program.take(person(3, ParticipantChange::Camera(true)));
    program.take(incoming(ALICE, Media::Audio));
    program.wait(500);
    let effects = program.press('a');
    assert!(effects.contains(&Effect::SetHold(OUT, true)));
    let alices = CallNumber(ALICE.0);
    program.take(Event::Call(alices, CallEvent::State(CallState::Connected)));
    program.take(joined(5, "cat"));
    let Event::Call(_, over) = ended("far_hung_up") else {
        unreachable!("an end is a change of a call")
    };
    let effects = program.take(Event::Call(alices, over));
    assert!(effects.contains(&Effect::SetHold(OUT, false)));
    assert_eq!(views(&effects), [(3, Feed::Camera, true)]);
    let people = &program.model.call.as_ref().unwrap().people;
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["ann", "cat"], "who came meanwhile is there");
}

#[test]
fn the_call_of_a_group_is_joined_beside_one_on_hold_and_never_beside_another_groups() {
    let mut program = Program::talking();
    program.take(groups());
    let join = |name: &str| Event::Command(Command::Join(name.to_owned(), Media::Audio));
    assert_eq!(program.take(join("hikers")), [], "a call is running");
    program.press('o');
    let effects = program.take(join("hikers"));
    assert!(effects.contains(&Effect::StartCall(Party::Group(HIKERS), Media::Audio)));
    program.press('o');
    assert_eq!(program.take(join("the long walkers")), []);
    assert_eq!(program.take(join("nobody")), []);
}

#[test]
fn hullo_join_leaves_with_the_status_of_its_call() {
    let status = |reason: &'static str, connected: bool| {
        let mut program = Program::new(Mode::JoinOnce {
            name: "hikers".to_owned(),
            media: Media::Audio,
        });
        program.take(groups());
        program.take(server(true));
        program.wait(2_000);
        if connected {
            program.take(state(CallState::Connected));
        }
        let effects = program.take(ended(reason));
        effects.into_iter().find_map(|effect| match effect {
            Effect::Quit(status) => Some(status),
            _ => None,
        })
    };
    assert_eq!(status("left", true), Some(0));
    assert_eq!(status("lost", true), Some(5));
    assert_eq!(status("full", false), Some(4));
    assert_eq!(status("unreachable", false), Some(5));
}

#[test]
fn hullo_join_waits_for_news_of_a_call_that_runs_and_not_for_a_server_that_has_none() {
    let started = |server_up: Option<bool>, waited_ms: u64| {
        let mut program = Program::new(Mode::JoinOnce {
            name: "hikers".to_owned(),
            media: Media::Audio,
        });
        program.take(groups());
        if let Some(up) = server_up {
            program.take(server(up));
        }
        program.wait(waited_ms);
        let is_start = |effect: &Effect| matches!(effect, Effect::StartCall(..));
        program.effects.iter().any(is_start)
    };
    assert!(!started(Some(true), 100), "its queue is not read yet");
    assert!(started(Some(true), 2_000));
    assert!(!started(None, 100));
    assert!(started(None, 2_000));
    assert!(
        started(Some(false), 100),
        "the group's server may be another"
    );
}

#[test]
fn a_group_that_does_not_exist_is_told_once_the_queue_is_read() {
    let mut program = Program::new(Mode::JoinOnce {
        name: "nobody".to_owned(),
        media: Media::Audio,
    });
    program.take(groups());
    assert_eq!(program.take(server(true)), []);
    let late = program.wait(2_000);
    assert_eq!(late, [Effect::Quit(3)]);
}
