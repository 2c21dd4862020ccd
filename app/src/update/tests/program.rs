//! What the keys around a call say and do: the list of people, words that differ, clicks, blocks, names.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::groups::{hiking, joined, person};
use super::*;
use crate::event::{ParticipantChange, ParticipantId, PersonChange};
use crate::groups::GroupLine;
use crate::report::GroupMember;
use crate::seat::Focus;

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(program: &mut Program, words: &str) {
    for character in words.chars() {
        program.take(key(KeyCode::Char(character)));
    }
}

fn is_roster_open(program: &Program) -> bool {
    let call = program.model.live_call().expect("a call");
    call.seat.is_roster_open
}

fn chosen(program: &Program) -> Option<String> {
    let call = program.model.live_call()?;
    let mut people = call.people.iter();
    let person = people.find(|person| Some(person.id) == call.seat.selected)?;
    Some(person.name.clone())
}

#[test]
fn escape_and_q_close_the_list_of_people_and_nothing_else() {
    for code in [KeyCode::Esc, KeyCode::Char('q')] {
        let mut program = hiking();
        type_in(&mut program, "r");
        assert!(is_roster_open(&program));
        assert_eq!(program.take(key(code)), []);
        assert!(!is_roster_open(&program));
        program.take(key(code));
        assert!(program.model.live_call().is_some(), "the call goes on");
    }
}

#[test]
fn the_list_of_people_has_a_filter_of_its_own() {
    let mut program = hiking();
    for (id, name) in [(4, "bob"), (5, "barbara"), (6, "carl")] {
        program.take(joined(id, name));
    }
    type_in(&mut program, "r/ba");
    assert_eq!(chosen(&program).as_deref(), Some("barbara"));
    assert!(
        program.model.layers.filter.is_none(),
        "not that of the lists"
    );
    program.take(key(KeyCode::Enter));
    program.take(key(KeyCode::Down));
    assert_eq!(chosen(&program).as_deref(), Some("barbara"), "the only one");
    program.take(key(KeyCode::Esc));
    assert!(is_roster_open(&program), "first the filter goes");
    program.take(key(KeyCode::Down));
    assert_eq!(chosen(&program).as_deref(), Some("carl"));
    program.take(key(KeyCode::Esc));
    assert!(!is_roster_open(&program));
    type_in(&mut program, "r");
    let call = program.model.live_call().expect("a call");
    assert!(
        call.seat.filter.is_none(),
        "a closed list forgets its filter"
    );
}

#[test]
fn with_a_group_chosen_the_keys_of_contacts_say_what_groups_have() {
    let mut program = hiking();
    program.take(ended("left"));
    for (letter, words) in [
        ('E', "group leave"),
        ('t', "no messages"),
        ('w', "one person"),
    ] {
        program.take(key(KeyCode::Char(letter)));
        let said = &program.model.message.as_ref().expect("a sentence").text;
        assert!(said.contains(words), "{letter}: {said}");
        assert!(program.model.overlay.is_none());
    }
}

#[test]
fn different_words_stand_until_they_are_the_same() {
    let mut program = Program::ready();
    let bob = Contact {
        short_id: "BOBBBBBB".to_owned(),
        ..contact(BOB, "bob", true)
    };
    program.take(Event::Contacts(vec![
        contact(ALICE, "alice", true),
        bob.clone(),
    ]));
    let change = |change| Event::Command(Command::Person("bob".to_owned(), change));
    let effects = program.take(change(PersonChange::WordsDiffer));
    let differ = Effect::Person(BOB, PersonChange::WordsDiffer);
    assert!(effects.contains(&differ), "{effects:?}");
    let kept = |program: &Program| program.model.settings.words_differ.len();
    assert_eq!(kept(&program), 1);
    type_in(&mut program, "j");
    assert_eq!(text::contact_state(&program.model, &bob), "WORDS DIFFER");
    assert_eq!(
        text::trust(&program.model, Party::Contact(BOB)),
        "WORDS DIFFER"
    );
    // Whoever is verified later, by whatever way, is so.
    let verified = Contact {
        verified: true,
        ..bob
    };
    program.take(Event::Contacts(vec![
        contact(ALICE, "alice", true),
        verified,
    ]));
    assert_eq!(kept(&program), 0);
    assert_eq!(text::trust(&program.model, Party::Contact(BOB)), "verified");
}

#[test]
fn who_is_not_heard_is_marked_for_as_long_as_that_lasts() {
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    let facts = |program: &Program| {
        let call = program.model.live_call().expect("a call");
        text::call_facts(call, "bob", "unverified")
    };
    assert!(!facts(&program).contains("HEARD"));
    type_in(&mut program, "M");
    program.take(key(KeyCode::Down));
    assert!(
        facts(&program).ends_with("NOT HEARD HERE"),
        "{}",
        facts(&program)
    );
    type_in(&mut program, "M-");
    assert!(
        facts(&program).ends_with("volume 75 %"),
        "{}",
        facts(&program)
    );
}

/// Clicks where the bottom bar says "hang up".
fn click_hang_up(program: &mut Program) -> Vec<Effect> {
    click_key(program, "hang up")
}

/// Clicks where the bottom bar says these words.
fn click_key(program: &mut Program, words: &str) -> Vec<Effect> {
    let hints = crate::keymap::hints(&program.model);
    assert!(hints.iter().any(|hint| hint.words == words), "{words}");
    let before = hints.iter().take_while(|hint| hint.words != words);
    let column: usize = 1 + before
        .map(|hint| hint.key.len() + hint.words.len() + 3)
        .sum::<usize>();
    let mouse = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: u16::try_from(column).expect("on the screen"),
        row: 23,
        modifiers: KeyModifiers::NONE,
    };
    program.take(Event::Mouse(mouse))
}

#[test]
fn a_click_on_hanging_up_is_asked_for_twice() {
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    program.model.settings.mouse = Some(true);
    assert_eq!(click_hang_up(&mut program), []);
    let said = program
        .model
        .message
        .as_ref()
        .map(|message| message.text.as_str());
    assert_eq!(said, Some(text::CLICK_AGAIN));
    program.model.set_now(4_000);
    program.take(Event::Tick);
    assert_eq!(program.model.message, None, "it is too late for the second");
    assert_eq!(
        click_hang_up(&mut program),
        [],
        "too late: the first of two again"
    );
    program.model.set_now(4_500);
    assert_eq!(click_hang_up(&mut program), [Effect::HangUp(OUT)]);
}

#[test]
fn a_click_on_calling_is_asked_for_twice() {
    let mut program = Program::ready();
    program.model.settings.mouse = Some(true);
    let is_call =
        |effects: &[Effect]| (effects.iter()).any(|effect| matches!(effect, Effect::StartCall(..)));
    assert!(!is_call(&click_key(&mut program, "call")));
    let said = program.model.message.as_ref().expect("what to do");
    assert_eq!(said.text, text::CLICK_AGAIN_CALL);
    assert!(is_call(&click_key(&mut program, "call")));
    let mut program = Program::ready();
    program.model.settings.mouse = Some(true);
    click_key(&mut program, "call");
    program.press('j');
    assert_eq!(program.model.message, None, "a key is something else");
}

#[test]
fn a_picture_that_stands_still_says_so_and_for_how_long() {
    let picture = std::sync::Arc::new(hullo_media::frame::Picture {
        width: 2,
        height: 2,
        y: vec![16; 4],
        u: vec![128],
        v: vec![128],
    });
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    program.model.set_now(1_000);
    let came = CallEvent::FarPicture(Some(picture));
    program.take(Event::Call(THE_CALL, came.clone()));
    let still = |program: &Program| {
        let call = program.model.live_call().expect("a call");
        call.far_picture_still_ms(program.model.now_ms())
    };
    program.model.set_now(3_900);
    assert_eq!(still(&program), None);
    program.model.set_now(5_000);
    assert_eq!(still(&program), Some(4_000));
    // Nobody looked for a while, so nothing came: that is no fault.
    type_in(&mut program, "?");
    program.model.set_now(20_000);
    type_in(&mut program, "?");
    assert_eq!(still(&program), None);
    program.model.set_now(24_000);
    program.take(Event::Call(THE_CALL, came));
    assert_eq!(still(&program), None);
}

fn id(number: u32) -> ParticipantId {
    ParticipantId::try_from(number).expect("in range")
}

/// The hikers, of whom we know ann.
fn hikers() -> Event {
    let member = |name: &str, vouched| GroupMember {
        name: name.to_owned(),
        id: "ABCDEFGH".to_owned(),
        vouched,
        creator: false,
        invited: false,
    };
    Event::Groups(vec![GroupLine {
        number: 7,
        name: "hikers".to_owned(),
        revision: 2,
        is_ours: false,
        is_joined: true,
        members: vec![
            member("me", "you"),
            member("ann", "contact"),
            member("bob", "group"),
        ],
        trouble: None,
    }])
}

#[test]
fn a_block_reaches_a_call_of_a_group_that_runs_and_so_does_its_end() {
    let mut program = hiking();
    program.take(hikers());
    let people = |blocked| {
        let ann = contact(ContactId(9), "ann", true);
        // A stranger of the group has the name of a contact that is blocked, too: it is somebody else.
        let bob = contact(BOB, "bob", true);
        Event::Contacts(vec![Contact { blocked, ..ann }, Contact { blocked, ..bob }])
    };
    program.take(joined(4, "bob"));
    program.take(person(3, ParticipantChange::Camera(true)));
    let silent = Effect::SetVolume(OUT, Some(id(3)), 0.0);
    let unseen = Effect::View(OUT, id(3), crate::event::Feed::Camera, None);
    assert_eq!(program.take(people(true)), [silent, unseen]);
    let ann = program.model.live_call().expect("a call").people[0].clone();
    assert!(ann.is_blocked && !ann.sends(crate::event::Feed::Camera));
    type_in(&mut program, "r+");
    let said = &program.model.message.as_ref().expect("a sentence").text;
    assert!(said.contains("unblock ann first"), "{said}");
    // Started again: another number, blocked all the same.
    program.take(person(3, ParticipantChange::Left { is_removed: false }));
    let effects = program.take(joined(11, "ann"));
    assert!(effects.contains(&Effect::SetVolume(OUT, Some(id(11)), 0.0)));
    let effects = program.take(people(false));
    assert!(
        effects.contains(&Effect::SetVolume(OUT, Some(id(11)), 1.0)),
        "{effects:?}"
    );
}

#[test]
fn a_new_name_reaches_a_call_of_a_group_that_runs_with_all_that_was_set() {
    let mut program = hiking();
    let quiet = Command::Volume("ann".to_owned(), 50);
    program.take(Event::Command(quiet));
    let name = "aunt ann".to_owned();
    program.take(person(3, ParticipantChange::Renamed { name }));
    let call = program.model.live_call().expect("a call");
    assert_eq!(call.people[0].name, "aunt ann");
    assert_eq!(call.seat.volume("aunt ann").percent, 50);
}

#[test]
fn a_pin_survives_that_the_person_comes_back_under_another_number() {
    let mut program = hiking();
    program.take(joined(4, "bob"));
    program.take(Event::Command(Command::Focus("ann".to_owned())));
    let focus = |program: &Program| program.model.live_call().expect("a call").seat.focus;
    program.take(person(9, ParticipantChange::Moved { from: id(3) }));
    assert_eq!(focus(&program), Focus::Pinned(id(9)));
    program.take(person(9, ParticipantChange::Left { is_removed: false }));
    assert_eq!(focus(&program), Focus::Everybody);
    program.take(joined(12, "ann"));
    assert_eq!(focus(&program), Focus::Pinned(id(12)));
    // Another choice in the meantime counts.
    program.take(person(12, ParticipantChange::Left { is_removed: false }));
    program.take(Event::Command(Command::Focus("bob".to_owned())));
    program.take(joined(13, "ann"));
    assert_eq!(focus(&program), Focus::Pinned(id(4)));
}

#[test]
fn the_page_at_the_end_says_which_group_one_was_taken_out_of() {
    let mut program = hiking();
    program.take(Event::Groups(Vec::new()));
    program.take(ended("removed"));
    let call = program.model.call.as_ref().expect("its end");
    assert_eq!(program.model.name_of_party(call.party), "hikers");
    let lines = text::ended_lines(call).join(" ");
    assert!(!lines.contains("calls again"), "{lines}");
}

#[test]
fn commands_do_what_the_keys_do() {
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    let silence = |on| Command::Silence("bob".to_owned(), on);
    let effects = program.take(Event::Command(silence(Switch::On)));
    assert_eq!(effects, [Effect::SetVolume(OUT, None, 0.0)]);
    let effects = program.take(Event::Command(silence(Switch::Off)));
    assert_eq!(effects, [Effect::SetVolume(OUT, None, 1.0)]);
    let remove = |name: &str| Event::Command(Command::Remove(name.to_owned()));
    assert_eq!(program.take(remove("bob")), [], "not while in a call");
    assert_eq!(
        program.take(remove("alice")),
        [Effect::RemoveContact(ALICE)]
    );
    let set =
        |name: &str, value: &str| Event::Command(Command::Set(name.to_owned(), value.to_owned()));
    program.take(set("theme", "dark"));
    assert_eq!(
        program.model.theme.name,
        crate::view::theme::ThemeName::Dark
    );
    program.take(set("bell", "maybe"));
    let said = &program.model.message.as_ref().expect("a sentence").text;
    assert!(said.contains("on, off"), "{said}");
}

#[test]
fn before_ctrl_z_stops_the_program_the_other_side_is_told_and_after_it_again() {
    let mut program = Program::talking();
    program.take(state(CallState::Connected));
    program.model.set_now(1_000);
    assert_eq!(
        program.take(Event::Suspending),
        [Effect::SetHold(OUT, true)]
    );
    let due_ms = program.model.deadline_ms().expect("soon");
    assert!((1_001..1_500).contains(&due_ms), "{due_ms}");
    program.model.set_now(due_ms);
    assert_eq!(program.take(Event::Tick), [Effect::MayStop]);
    assert_eq!(program.take(Event::Resumed), [Effect::SetHold(OUT, false)]);
    let said = &program.model.message.as_ref().expect("a sentence").text;
    assert!(said.contains("bob was told"), "{said}");
    // Nobody is to be told of a call that was on hold before.
    program.take(Event::Command(Command::Hold(Switch::On)));
    assert_eq!(program.take(Event::Suspending), [Effect::MayStop]);
    assert_eq!(program.take(Event::Resumed), []);
}

#[test]
fn who_rings_is_told_with_how_things_stand() {
    let mut program = Program::ready();
    program.take(incoming(ALICE, Media::Video));
    let words = crate::status::Status::of(&program.model).text;
    let name = program.model.name_of(ALICE);
    let rings = format!("{name} is calling (video)");
    assert!(words.contains(&rings), "{words}");
}

#[test]
fn a_list_of_a_group_says_of_whom_the_words_were_different() {
    let Event::Groups(groups) = hikers() else {
        panic!("no groups");
    };
    let mut differ = std::collections::BTreeSet::new();
    let told = |differ: &std::collections::BTreeSet<String>| {
        crate::text::group_words(&crate::groups::report(&groups[0], differ))
    };
    assert!(told(&differ).contains("ann (contact, unverified)"));
    differ.insert("ABCDEFGH".to_owned());
    let words = told(&differ);
    assert!(words.contains("ann (contact, WORDS DIFFER)"), "{words}");
    assert!(words.contains("bob (vouched for by the group only)"));
}
