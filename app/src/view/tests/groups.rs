//! Calls of groups: the list, the tiles, and what runs before one joins.

use super::*;
use crate::event::{Feed, GroupNumber, ParticipantChange, ParticipantId, RunningCall};
use crate::groups::GroupLine;
use crate::report::GroupMember;

const HIKERS: GroupNumber = GroupNumber(7);

fn group() -> GroupLine {
    let member = |name: &str, vouched| GroupMember {
        name: name.to_owned(),
        id: format!("{:A<8}", name.to_uppercase()),
        vouched,
        creator: name == "alice",
        invited: name == "fred",
    };
    GroupLine {
        number: HIKERS.0,
        name: "hikers".to_owned(),
        revision: 3,
        is_ours: false,
        is_joined: true,
        members: vec![
            member("alice", "verified"),
            member("bob", "contact"),
            member("carol", "you"),
            member("erin", "group"),
            member("fred", "group"),
        ],
        trouble: None,
    }
}

fn with_group() -> Vec<Event> {
    let mut events = start();
    events.push(Event::Groups(vec![group()]));
    events
}

pub(super) fn person(id: u32, change: ParticipantChange) -> Event {
    let id = ParticipantId::try_from(id).expect("in range");
    Event::Call(CALL, CallEvent::Participant(id, change))
}

/// Everyone came: alice speaks, bob is muted, erin has put the call on hold.
pub(super) fn in_group_call(camera_on: bool) -> Vec<Event> {
    let mut events = with_group();
    let started = CallEvent::Started {
        party: Party::Group(HIKERS),
        media: Media::Audio,
    };
    let own = CallEvent::Own {
        mic_muted: false,
        camera_on,
        on_hold: false,
    };
    events.extend([
        Event::Command(Command::Join("hikers".to_owned(), Media::Audio)),
        Event::Call(CALL, started),
        state(CallState::Connecting),
        state(CallState::Connected),
        Event::Call(CALL, own),
    ]);
    for (id, name) in [(3, "alice"), (4, "bob"), (9, "erin")] {
        let name = name.to_owned();
        events.push(person(id, ParticipantChange::Joined { name }));
    }
    events.extend([
        person(3, ParticipantChange::Muted(false)),
        person(3, ParticipantChange::Speaking(true)),
        person(9, ParticipantChange::Hold(true)),
    ]);
    events
}

pub(super) fn with_pictures() -> Vec<Event> {
    let mut events = in_group_call(true);
    for id in [3, 4] {
        events.push(person(id, ParticipantChange::Camera(true)));
        let picture = ParticipantChange::Picture(Feed::Camera, test_picture());
        events.push(person(id, picture));
    }
    events.push(Event::Call(
        CALL,
        CallEvent::OwnPicture(Some(test_picture())),
    ));
    events
}

#[test]
fn a_group_is_chosen_in_which_a_call_runs() {
    let mut events = with_group();
    let running = RunningCall {
        people: vec!["alice".to_owned(), "bob".to_owned()],
        started_at_ms: 1_763_651_100_000,
        people_max: 16,
    };
    events.push(Event::GroupCallRuns(HIKERS, Some(running)));
    events.extend((0..4).map(|_| letter('j')));
    check("group_running", COLOUR, events);
}

#[test]
fn a_group_is_chosen_in_which_none_runs() {
    let mut events = with_group();
    events.extend((0..4).map(|_| letter('j')));
    check("group_idle", COLOUR, events);
}

#[test]
fn a_place_in_the_call_is_asked_for() {
    let mut events = with_group();
    let join = Command::Join("hikers".to_owned(), Media::Audio);
    events.push(Event::Command(join));
    check("group_joining", COLOUR, events);
}

#[test]
fn a_call_of_a_group_with_sound_only() {
    check("group_sound", COLOUR, in_group_call(false));
}

#[test]
fn a_call_of_a_group_with_pictures() {
    check("group_pictures", COLOUR, with_pictures());
}

#[test]
fn a_screen_is_shown_in_the_call_of_a_group() {
    let mut events = with_pictures();
    events.extend([
        person(4, ParticipantChange::Screen(true)),
        person(4, ParticipantChange::Picture(Feed::Screen, test_picture())),
    ]);
    check("group_screen", COLOUR, events);
}

#[test]
fn nobody_else_is_in_the_call_of_a_group() {
    let mut events = in_group_call(false);
    for id in [3, 4, 9] {
        events.push(person(id, ParticipantChange::Left { is_removed: false }));
    }
    check("group_alone", COLOUR, events);
}

#[test]
fn everything_about_people_is_told_without_colour() {
    let plain = Look {
        depth: ColourDepth::None,
        glyphs: Glyphs::Ascii,
    };
    check("group_ascii", plain, with_pictures());
}

/// As many as a call can have, on any screen: nothing panics, and what is asked for is what is drawn.
#[test]
fn a_crowd_fits_any_screen_and_asks_for_no_more_than_its_tiles() {
    let mut events = in_group_call(true);
    for id in 20..80 {
        let name = format!("walker {id} of the long way");
        events.push(person(id, ParticipantChange::Joined { name }));
        events.push(person(id, ParticipantChange::Camera(true)));
    }
    for ((columns, rows), least) in [
        ((1, 1), 0),
        ((30, 6), 0),
        ((40, 10), 0),
        ((60, 11), 0),
        ((80, 24), 6),
        ((300, 90), 16),
    ] {
        let mut model = model(COLOUR, vec![Event::Resize(columns, rows)]);
        let mut asked = std::collections::BTreeMap::new();
        for event in events.clone() {
            for effect in update(&mut model, event) {
                if let Effect::View(_, id, feed, size) = effect {
                    asked.insert((id, feed), size);
                }
            }
        }
        drawn(&model, (columns, rows));
        let area = Rect::new(0, 0, columns, rows);
        let shown = feed_areas(&model, area);
        asked.retain(|_, size| size.is_some());
        assert_eq!(asked.len(), shown.len(), "{columns}x{rows}");
        assert!((least..=16).contains(&shown.len()), "{columns}x{rows}");
    }
}
