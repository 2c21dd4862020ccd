//! How one sits in a call: hearing, talking, loudness, the list of people, and the large picture.

use crossterm::event::KeyEventKind;

use super::groups::{hiking, joined, person};
use super::*;
use crate::event::{ParticipantChange, ParticipantId};
use crate::seat::Focus;
use crate::talk::{HELD_MS_MAX, LATCHED_MS_MAX, REPEAT_LOST_MS};

fn muted(on: bool) -> Event {
    let own = CallEvent::Own {
        mic_muted: on,
        camera_on: false,
        on_hold: false,
    };
    Event::Call(THE_CALL, own)
}

fn connected(on_mute: bool) -> Program {
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    program.take(muted(on_mute));
    program
}

fn space(kind: KeyEventKind) -> Event {
    let key = KeyEvent::new_with_kind(KeyCode::Char(' '), KeyModifiers::NONE, kind);
    match kind {
        KeyEventKind::Release => Event::KeyRelease(key),
        _ => Event::Key(key),
    }
}

fn at(program: &mut Program, ms: u64) {
    program.model.set_now(ms);
    program.take(Event::Tick);
}

/// What the microphone was last told, since the last look.
fn mic(program: &mut Program) -> Option<bool> {
    let told = program
        .effects
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::SetMicMuted(_, muted) => Some(*muted),
            _ => None,
        });
    program.effects.clear();
    told
}

fn volumes(program: &mut Program) -> Vec<(Option<u32>, f32)> {
    let told = told_volumes(program);
    program.effects.clear();
    told
}

fn told_volumes(program: &Program) -> Vec<(Option<u32>, f32)> {
    let told = program.effects.iter().filter_map(|effect| match effect {
        Effect::SetVolume(_, id, volume) => Some((id.map(ParticipantId::number), *volume)),
        _ => None,
    });
    told.collect()
}

fn is_talking(program: &Program) -> bool {
    let call = program.model.live_call().expect("a call");
    call.seat.talk.is_some()
}

#[test]
fn a_held_key_talks_until_it_is_let_go() {
    let mut program = connected(true);
    program.model.reports_releases = true;
    program.effects.clear();
    program.take(space(KeyEventKind::Press));
    assert_eq!(mic(&mut program), Some(false));
    program.take(muted(false));
    program.take(space(KeyEventKind::Repeat));
    assert_eq!((mic(&mut program), is_talking(&program)), (None, true));
    program.take(space(KeyEventKind::Release));
    assert_eq!(mic(&mut program), Some(true));
    program.take(space(KeyEventKind::Release));
    assert_eq!((mic(&mut program), is_talking(&program)), (None, false));
}

#[test]
fn a_release_that_is_lost_never_leaves_the_microphone_open() {
    let begin = || {
        let mut program = connected(true);
        program.model.reports_releases = true;
        program.take(space(KeyEventKind::Press));
        program.take(muted(false));
        program.effects.clear();
        program
    };
    let mut left = begin();
    left.take(Event::Focus(false));
    assert_eq!(mic(&mut left), Some(true));

    let mut silent = begin();
    silent.model.set_now(5_000);
    silent.take(space(KeyEventKind::Repeat));
    at(&mut silent, 5_000 + REPEAT_LOST_MS - 1);
    assert_eq!(mic(&mut silent), None);
    assert_eq!(silent.model.deadline_ms(), Some(5_000 + REPEAT_LOST_MS));
    at(&mut silent, 5_000 + REPEAT_LOST_MS);
    assert_eq!(mic(&mut silent), Some(true));

    // A keyboard that does not repeat, or repeats another key by now.
    let mut stuck = begin();
    stuck.take(space(KeyEventKind::Repeat));
    stuck.take(Event::Key(KeyEvent::new(
        KeyCode::Char('?'),
        KeyModifiers::NONE,
    )));
    at(&mut stuck, HELD_MS_MAX - 1);
    assert_eq!(mic(&mut stuck), None);
    at(&mut stuck, HELD_MS_MAX);
    assert_eq!(mic(&mut stuck), Some(true));

    let mut held = begin();
    held.take(Event::Command(Command::Hold(Switch::On)));
    assert_eq!((mic(&mut held), is_talking(&held)), (Some(true), false));
}

#[test]
fn where_releases_are_not_told_the_key_begins_and_ends_and_a_held_one_does_not_flicker() {
    let mut program = connected(true);
    program.effects.clear();
    program.model.set_now(10_000);
    program.take(space(KeyEventKind::Press));
    assert_eq!(mic(&mut program), Some(false));
    program.take(muted(false));
    for ms in (10_500..12_000).step_by(33) {
        program.model.set_now(ms);
        program.take(space(KeyEventKind::Press));
    }
    assert_eq!((mic(&mut program), is_talking(&program)), (None, true));
    program.model.set_now(14_000);
    program.take(Event::Focus(false));
    assert!(is_talking(&program), "who talks may look elsewhere");
    program.take(space(KeyEventKind::Press));
    assert_eq!(mic(&mut program), Some(true));
    program.take(muted(true));
    program.model.set_now(15_000);
    program.take(space(KeyEventKind::Press));
    program.effects.clear();
    at(&mut program, 15_000 + LATCHED_MS_MAX);
    assert_eq!(mic(&mut program), Some(true));
}

#[test]
fn a_program_talks_with_on_and_off_and_not_for_ever() {
    let mut program = connected(true);
    let ptt = |on| Event::Command(Command::Talk(on));
    program.take(ptt(Switch::On));
    assert_eq!(mic(&mut program), Some(false));
    program.model.set_now(100_000);
    program.take(ptt(Switch::On));
    at(&mut program, 100_000 + LATCHED_MS_MAX - 1);
    assert!(is_talking(&program));
    program.take(ptt(Switch::Off));
    program.take(ptt(Switch::Off));
    assert_eq!(mic(&mut program), Some(true));
    program.take(ptt(Switch::On));
    program.effects.clear();
    at(&mut program, 500_000);
    assert_eq!(mic(&mut program), Some(true));
}

#[test]
fn talking_is_for_the_muted_and_muting_ends_it() {
    let mut open = connected(false);
    open.effects.clear();
    open.take(space(KeyEventKind::Press));
    assert_eq!((mic(&mut open), is_talking(&open)), (None, false));
    let said = open.model.message.clone().expect("it is said why");
    assert_eq!(said.text, open.model.keymap.fill(text::TALKS_ALREADY));

    let mut program = connected(true);
    program.model.reports_releases = true;
    program.take(space(KeyEventKind::Press));
    program.take(muted(false));
    program.take(Event::Command(Command::Mute(Switch::Toggle)));
    assert_eq!(
        (mic(&mut program), is_talking(&program)),
        (Some(true), false)
    );
    program.take(muted(true));
    program.take(Event::Command(Command::Mute(Switch::Toggle)));
    program.effects.clear();
    program.take(space(KeyEventKind::Release));
    assert_eq!(mic(&mut program), None, "unmuted by hand stays so");
}

#[test]
fn who_is_deafened_is_muted_and_comes_back_as_before() {
    for was_muted in [false, true] {
        let mut program = connected(was_muted);
        program.effects.clear();
        program.take(Event::Command(Command::Deafen(Switch::Toggle)));
        assert_eq!(told_volumes(&program), [(None, 0.0)]);
        assert_eq!(mic(&mut program), Some(true));
        program.take(muted(true));
        program.take(Event::Command(Command::Deafen(Switch::Toggle)));
        assert_eq!(told_volumes(&program), [(None, 1.0)]);
        assert_eq!(mic(&mut program), Some(was_muted));
    }
}

#[test]
fn who_wants_to_be_heard_hears_again() {
    let mut program = connected(true);
    program.take(Event::Command(Command::Deafen(Switch::On)));
    program.effects.clear();
    program.take(Event::Command(Command::Mute(Switch::Off)));
    assert_eq!(told_volumes(&program), [(None, 1.0)]);
    assert_eq!(mic(&mut program), Some(false));
    assert!(
        !program
            .model
            .live_call()
            .expect("a call")
            .seat
            .is_deafened()
    );
}

#[test]
fn the_contact_is_as_loud_as_wished_and_nothing_while_deafened() {
    let mut program = connected(false);
    program.effects.clear();
    let press = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    program.take(press('+'));
    assert_eq!(volumes(&mut program), [(None, 1.25)]);
    program.take(Event::Command(Command::Deafen(Switch::On)));
    program.take(Event::Command(Command::Volume("bob".to_owned(), 50)));
    program.take(Event::Command(Command::Deafen(Switch::Off)));
    let told = volumes(&mut program);
    assert_eq!(told, [(None, 0.0), (None, 0.0), (None, 0.5)]);
    program.take(Event::Command(Command::Volume("alice".to_owned(), 50)));
    assert!(volumes(&mut program).is_empty());
    assert!(program.model.message.as_ref().expect("said").is_error);
}

#[test]
fn a_member_is_chosen_in_the_list_and_keeps_its_loudness_when_it_comes_back() {
    let mut program = hiking();
    program.take(joined(4, "bob"));
    let press = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    program.take(press(KeyCode::Char('-')));
    assert!(volumes(&mut program).is_empty(), "nobody is chosen");
    program.take(press(KeyCode::Char('r')));
    program.take(press(KeyCode::Down));
    for _ in 0..2 {
        program.take(press(KeyCode::Char('-')));
    }
    program.take(press(KeyCode::Char('M')));
    assert_eq!(
        volumes(&mut program),
        [(Some(4), 0.75), (Some(4), 0.5), (Some(4), 0.0)]
    );
    program.take(person(4, ParticipantChange::Left { is_removed: false }));
    assert_eq!(selected(&program), Some(3), "the neighbour is chosen");
    program.take(joined(7, "bob"));
    assert_eq!(volumes(&mut program), [(Some(7), 0.0)]);
    program.take(Event::Command(Command::Volume("bob".to_owned(), 100)));
    assert_eq!(volumes(&mut program), [(Some(7), 1.0)]);
}

fn selected(program: &Program) -> Option<u32> {
    let seat = &program.model.live_call().expect("a call").seat;
    seat.selected.map(ParticipantId::number)
}

fn focus(program: &Program) -> Focus {
    program.model.live_call().expect("a call").seat.focus
}

#[test]
fn the_focus_goes_from_who_speaks_to_pinned_to_none_and_leaves_with_the_person() {
    let mut program = hiking();
    program.take(joined(4, "bob"));
    let id = |number| ParticipantId::try_from(number).expect("in range");
    let press = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    program.take(press('f'));
    assert_eq!(focus(&program), Focus::Speaker(None));
    program.model.set_now(10_000);
    program.take(person(4, ParticipantChange::Muted(false)));
    program.take(person(4, ParticipantChange::Speaking(true)));
    assert_eq!(focus(&program), Focus::Speaker(None));
    at(&mut program, 11_000);
    assert_eq!(focus(&program), Focus::Speaker(Some(id(4))));
    program.take(press('f'));
    assert_eq!(focus(&program), Focus::Pinned(id(4)));
    program.take(person(4, ParticipantChange::Left { is_removed: false }));
    assert_eq!(focus(&program), Focus::Everybody);
    program.take(Event::Command(Command::Focus("ann".to_owned())));
    assert_eq!(focus(&program), Focus::Pinned(id(3)));
    program.take(Event::Command(Command::Focus("nobody".to_owned())));
    assert!(program.model.message.as_ref().expect("said").is_error);
    program.take(Event::Command(Command::Focus("off".to_owned())));
    assert_eq!(focus(&program), Focus::Everybody);
}

#[test]
fn a_number_answers_what_is_asked_and_nothing_else() {
    let mut program = Program::ready();
    program.take(Event::Command(Command::Choose(1)));
    assert!(program.model.message.as_ref().expect("said").is_error);
    program.model.set_now(10_000);
    program.take(incoming(BOB, Media::Video));
    program.take(Event::Command(Command::Choose(1)));
    assert!(program.model.incoming.is_some(), "typed for something else");
    program.model.set_now(12_000);
    program.take(Event::Command(Command::Choose(9)));
    assert!(program.model.incoming.is_some());
    let took = program.take(Event::Command(Command::Choose(2)));
    let accepted = Effect::AcceptCall(CallNumber(BOB.0), Media::Audio);
    assert_eq!(took.first(), Some(&accepted));
}

#[test]
fn the_status_is_one_object_with_everybody_in_it() {
    let mut program = hiking();
    program.take(person(3, ParticipantChange::Camera(true)));
    program.take(Event::Command(Command::Volume("ann".to_owned(), 50)));
    program.effects.clear();
    program.take(Event::Command(Command::Status));
    let told = program.reports();
    let [Report::Status(status)] = told.as_slice() else {
        panic!("{told:?}");
    };
    let call = status.call.as_ref().expect("a call");
    assert_eq!(
        (call.name.as_str(), call.group, call.state),
        ("hikers", true, "connected")
    );
    let ann = &call.people[0];
    assert_eq!(
        (ann.name.as_str(), ann.camera, ann.volume_percent),
        ("ann", true, 50)
    );
    assert!(status.text.contains("hikers"));
}
