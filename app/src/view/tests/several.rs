//! Calls beside one another, on hold, and nothing that rings.

use super::*;

#[test]
fn one_call_waits_on_hold_beside_another() {
    let mut events = in_call(false, false);
    let party = Party::Contact(ContactId(1));
    let media = Media::Audio;
    events.extend([
        Event::Incoming {
            call: SECOND,
            party,
            media,
        },
        Event::Command(Command::Accept(media, crate::event::Meanwhile::Hold)),
        Event::Call(SECOND, CallEvent::State(CallState::Connected)),
    ]);
    check("held_beside", COLOUR, events);
}

#[test]
fn a_call_is_on_hold_here() {
    let mut events = in_call(false, false);
    events.push(letter('o'));
    check("on_hold", COLOUR, events);
}

#[test]
fn a_call_is_on_hold_there() {
    let mut events = in_call(false, false);
    events.push(Event::Call(
        CALL,
        CallEvent::Far {
            mic_muted: false,
            camera_on: true,
            on_hold: true,
        },
    ));
    check("far_on_hold", COLOUR, events);
}

#[test]
fn nothing_is_to_disturb() {
    let mut events = start();
    events.push(letter('D'));
    check("do_not_disturb", COLOUR, events);
}
