//! Several calls: taken beside one another, held, changed, ended.

use super::*;

const BOBS: CallNumber = OUT;
const ALICES: CallNumber = CallNumber(1);
const CAROLS: CallNumber = CallNumber(3);

fn hold(call: CallNumber, on: bool) -> Effect {
    Effect::SetHold(call, on)
}

fn call_state(call: CallNumber, state: CallState) -> Event {
    Event::Call(call, CallEvent::State(state))
}

fn over(call: CallNumber, reason: &'static str) -> Event {
    let Event::Call(_, change) = ended(reason) else {
        unreachable!("an end is a change of a call")
    };
    Event::Call(call, change)
}

/// In a call with bob; alice and carol are contacts too.
fn talking() -> Program {
    let mut program = Program::talking();
    let mut all = vec![contact(ALICE, "alice", true), contact(BOB, "bob", true)];
    all.push(contact(CAROL, "carol", true));
    program.take(Event::Contacts(all));
    program
}

/// Alice calls and is taken beside bob, who waits.
fn two_calls() -> Program {
    let mut program = talking();
    program.take(incoming(ALICE, Media::Video));
    program.wait(500);
    let effects = program.press('a');
    let taken = Effect::AcceptCall(ALICES, Media::Video);
    assert_eq!(effects[..2], [hold(BOBS, true), taken]);
    program.take(call_state(ALICES, CallState::Connected));
    program
}

fn held(program: &Program) -> Vec<Option<CallNumber>> {
    program.model.held_calls().map(|call| call.number).collect()
}

fn active(program: &Program) -> Option<CallNumber> {
    program.model.taken_call().and_then(|call| call.number)
}

#[test]
fn a_second_call_is_taken_while_the_first_waits_and_comes_back_by_itself() {
    let mut program = two_calls();
    assert_eq!(
        (active(&program), held(&program)),
        (Some(ALICES), vec![Some(BOBS)])
    );
    let effects = program.take(over(ALICES, "far_hung_up"));
    assert_eq!(effects[0], hold(BOBS, false));
    assert_eq!(program.says(), text::resumed("bob"));
    assert_eq!((active(&program), held(&program)), (Some(BOBS), vec![]));
    assert!(!program.model.live_call().unwrap().is_held());
    program.take(over(BOBS, "far_hung_up"));
    let said = program.model.message.as_ref();
    assert!(said.is_none_or(|message| message.text != text::resumed("bob")));
}

#[test]
fn a_second_call_is_taken_and_the_first_ends() {
    let mut program = talking();
    program.take(incoming(ALICE, Media::Audio));
    program.wait(500);
    let effects = program.press('e');
    let taken = Effect::AcceptCall(ALICES, Media::Audio);
    assert_eq!(effects[..2], [Effect::HangUp(BOBS), taken]);
    assert_eq!(active(&program), Some(ALICES));
    program.take(over(BOBS, "hung_up"));
    assert_eq!((active(&program), held(&program)), (Some(ALICES), vec![]));
    assert_eq!(program.call_words().last(), Some(&"ended"));
}

#[test]
fn a_second_caller_who_is_declined_is_told_that_we_are_busy() {
    let mut program = talking();
    program.take(incoming(ALICE, Media::Audio));
    let (call, busy) = (ALICES, true);
    assert_eq!(program.press('x'), [Effect::RejectCall { call, busy }]);
    program.take(over(ALICES, "declined"));
    assert_eq!(active(&program), Some(BOBS));
}

#[test]
fn a_second_caller_who_is_ignored_rings_on_in_silence_and_is_missed() {
    let mut program = talking();
    program.take(incoming(ALICE, Media::Audio));
    assert_eq!(program.press('i'), []);
    assert_eq!(program.wait(30_000), [], "no bell");
    assert!(program.model.incoming.is_none());
    program.take(over(ALICES, "unanswered"));
    let missed = Report::Missed {
        name: "alice".to_owned(),
        reason: "unanswered",
    };
    assert!(program.reports().contains(&&missed));
    assert_eq!(active(&program), Some(BOBS));
}

#[test]
fn a_second_caller_rings_on_when_the_first_call_ends() {
    let mut program = talking();
    program.take(incoming(ALICE, Media::Audio));
    program.take(over(BOBS, "far_hung_up"));
    program.wait(500);
    let effects = program.press('a');
    assert_eq!(effects[0], Effect::AcceptCall(ALICES, Media::Audio));
}

#[test]
fn two_calls_change_places() {
    let mut program = two_calls();
    let effects = program.press('w');
    assert_eq!(effects[..2], [hold(ALICES, true), hold(BOBS, false)]);
    assert_eq!(
        (active(&program), held(&program)),
        (Some(BOBS), vec![Some(ALICES)])
    );
    let swap = Event::Command(Command::Swap);
    program.take(swap.clone());
    assert_eq!(active(&program), Some(ALICES));
    program.take(over(BOBS, "far_hung_up"));
    assert!(program.says().contains("bob"), "{}", program.says());
    assert_eq!(program.take(swap), []);
    assert_eq!(program.says(), text::NOTHING_HELD);
}

#[test]
fn three_calls_and_no_more() {
    let mut program = two_calls();
    program.take(incoming(CAROL, Media::Audio));
    program.wait(500);
    program.press('a');
    assert_eq!(active(&program), Some(CAROLS));
    assert_eq!(held(&program), [Some(BOBS), Some(ALICES)]);
    program.take(Event::Incoming {
        call: CallNumber(9),
        party: Party::Contact(ContactId(9)),
        media: Media::Audio,
    });
    program.wait(500);
    assert_eq!(program.press('a'), []);
    assert_eq!(program.says(), text::TOO_MANY_CALLS);
    assert_eq!(program.press('e')[0], Effect::HangUp(CAROLS));
    assert_eq!(active(&program), Some(CallNumber(9)));
}

#[test]
fn several_who_ring_are_answered_one_after_the_other() {
    let mut program = Program::ready();
    program.take(incoming(ALICE, Media::Audio));
    program.take(incoming(BOB, Media::Audio));
    let rings = |program: &Program| {
        program
            .model
            .incoming
            .as_ref()
            .map(|incoming| incoming.call)
    };
    assert_eq!(rings(&program), Some(ALICES));
    program.take(over(ALICES, "cancelled"));
    assert_eq!(rings(&program), Some(CallNumber(2)));
    assert_eq!(program.press('a'), [], "it has just come to the front");
    program.wait(500);
    assert_eq!(
        program.press('a')[0],
        Effect::AcceptCall(CallNumber(2), Media::Audio)
    );
}

#[test]
fn a_call_on_hold_is_told_and_leaves_room_for_another() {
    let mut program = talking();
    assert_eq!(program.press('o'), [hold(BOBS, true)]);
    let own = CallEvent::Own {
        mic_muted: false,
        camera_on: true,
        on_hold: true,
    };
    program.take(Event::Call(BOBS, own));
    let is_held = |report: &&Report| matches!(report, Report::Own { hold: true, .. });
    assert_eq!(program.reports().into_iter().filter(is_held).count(), 1);
    let alice = Event::Command(Command::Call("alice".to_owned(), Media::Audio));
    let effects = program.take(alice);
    assert_eq!(
        effects[0],
        Effect::StartCall(Party::Contact(ALICE), Media::Audio)
    );
    assert_eq!(held(&program), [Some(BOBS)]);
    let second = CallNumber(OUT.0 + 1);
    let effects = program.take(over(second, "declined"));
    assert_eq!(effects[0], hold(BOBS, false));
}

#[test]
fn the_far_side_s_hold_is_told() {
    let mut program = talking();
    let far = CallEvent::Far {
        mic_muted: false,
        camera_on: true,
        on_hold: true,
    };
    program.take(Event::Call(BOBS, far));
    let told = Report::Participant {
        participant: None,
        change: "hold",
        name: "bob".to_owned(),
        on: Some(true),
    };
    assert!(program.reports().contains(&&told));
}

#[test]
fn a_contact_that_speaks_is_told_once_and_shown() {
    let mut program = talking();
    for (speaks, news) in [(true, true), (true, false), (false, true)] {
        let before = program.effects.len();
        program.take(Event::Call(BOBS, CallEvent::FarSpeaking(speaks)));
        let effects = &program.effects[before..];
        let told = Effect::Report(Report::Participant {
            participant: None,
            change: "speaking",
            name: "bob".to_owned(),
            on: Some(speaks),
        });
        assert_eq!(effects.contains(&told), news, "{speaks}: {effects:?}");
        let call = program.model.taken_call().expect("talking");
        let facts = text::call_facts(call, "bob", "verified");
        assert_eq!(facts.contains("speaks"), speaks, "{facts}");
    }
}

#[test]
fn leaving_ends_every_call() {
    let mut program = two_calls();
    let effects = program.take(Event::Stop(StopReason::Signal));
    assert_eq!(effects, [Effect::HangUp(ALICES), Effect::HangUp(BOBS)]);
    program.take(over(ALICES, "hung_up"));
    assert_eq!(program.quit_status(), None);
    program.take(over(BOBS, "hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn do_not_disturb_is_remembered_and_silent() {
    let mut program = Program::ready();
    program.press('D');
    let saved = |effect: &Effect| matches!(effect, Effect::SaveSettings(settings) if settings.do_not_disturb);
    assert!(program.effects.iter().any(saved));
    assert_eq!(program.take(incoming(BOB, Media::Audio)), [], "no bell");
    let off = Event::Command(Command::DoNotDisturb(Switch::Off));
    assert_eq!(program.take(off), []);
}

#[test]
fn the_notice_about_addresses_comes_once_in_the_life_of_a_profile() {
    let notices = |program: &Program| {
        let is_notice = |report: &&Report| matches!(report, Report::Notice { text } if text == text::IP_WARNING);
        program.reports().into_iter().filter(is_notice).count()
    };
    let mut program = talking();
    program.take(incoming(ALICE, Media::Audio));
    assert_eq!(notices(&program), 1);
    let settings = program.model.settings;
    assert!(settings.is_ip_warned && text::IP_WARNING.contains("relay_only"));
    let mut later = Program::ready();
    later.take(Event::Settings(settings));
    later.take(incoming(ALICE, Media::Audio));
    assert_eq!(notices(&later), 0);
}

proptest::proptest! {
    /// Whatever happens in whatever order: one call has the devices, no more than three are taken, and a call that is
    /// not the active one is on hold or ends.
    #[test]
    fn only_one_call_is_heard(steps in proptest::collection::vec(0u8..14, 0..60)) {
        let mut program = talking();
        for step in steps {
            program.wait(400);
            let who = |n: u8| [ALICE, BOB, CAROL][usize::from(n % 3)];
            let numbers = program.model.live_calls().filter_map(|call| call.number);
            let number = numbers.last().unwrap_or(ALICES);
            match step {
                0..3 => drop(program.take(incoming(who(step), Media::Video))),
                3 => drop(program.press('a')),
                4 => drop(program.press('e')),
                5 => drop(program.press('x')),
                6 => drop(program.press('i')),
                7 => drop(program.press('o')),
                8 => drop(program.press('w')),
                9 => drop(program.press('H')),
                10 => drop(program.take(over(number, "far_hung_up"))),
                11 => drop(program.take(ended("hung_up"))),
                12 => drop(program.take(call_state(number, CallState::Connected))),
                _ => drop(program.press('c')),
            }
            let model = &program.model;
            proptest::prop_assert!(model.taken_count() <= crate::model::CALLS_MAX);
            proptest::prop_assert!(model.others.iter().all(|call| call.is_held() || call.is_ending()));
            let mut numbers: Vec<_> = model.live_calls().map(|call| call.number).collect();
            numbers.sort();
            numbers.dedup();
            proptest::prop_assert_eq!(numbers.len(), model.live_calls().count());
        }
    }
}

#[test]
fn only_who_hung_up_is_told_so() {
    for (reason, told) in [
        ("hung_up", text::GAVE_UP),
        ("seconds", text::TIME_RAN_OUT),
        ("signal", text::STOPPED_BEFORE),
    ] {
        let mut program = Program::talking();
        program.take(given_up(reason));
        assert_eq!(end_words(&program), told);
    }
}

fn given_up(reason: &'static str) -> Event {
    state(CallState::Ended {
        reason,
        words: hullo_proto::call::EndReason::Cancelled.to_string(),
        duration: std::time::Duration::ZERO,
    })
}

fn end_words(program: &Program) -> &str {
    let call = program.model.call.as_ref().unwrap();
    let CallState::Ended { words, .. } = &call.state else {
        panic!("it is over");
    };
    words
}

#[test]
fn an_invitation_that_cannot_leave_ends_its_call() {
    use crate::conversation::HistoryEvent;
    let mut program = Program::talking();
    program.take(state(CallState::Inviting));
    let unsent = HistoryEvent::Unsent(BOB, "the disk is full".to_owned());
    let effects = program.take(Event::History(unsent));
    assert!(effects.contains(&Effect::HangUp(OUT)), "{effects:?}");
    assert_eq!(program.says(), "the disk is full");
    program.take(given_up("hung_up"));
    assert_eq!(end_words(&program), text::NEVER_SENT);
}
