//! What we send: microphone and camera, as asked for, as confirmed, and as the outside is told.

use super::{end, once, seat, switched, taken_mut};
use crate::effect::Effect;
use crate::event::{CallNumber, CallState, ContactId, Direction, Party, Switch};
use crate::model::{Call, Model, Switches};
use crate::report::Report;

pub(super) fn take_own(
    model: &mut Model,
    number: CallNumber,
    own: Switches,
    effects: &mut Vec<Effect>,
) {
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    (call.mute_asked, call.camera_asked) = (None, None);
    call.own = own;
    report_own(model, number, effects);
}

/// Tells what we send, if that is news.
pub(super) fn report_own(model: &mut Model, number: CallNumber, effects: &mut Vec<Effect>) {
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    let (own, party) = (call.own, call.party);
    let [screen, deafened, talking] = [
        call.own_screen,
        call.seat.is_deafened(),
        call.seat.talk.is_some(),
    ];
    let told = (own, [screen, deafened, talking]);
    if call.own_reported.replace(told) != Some(told) {
        effects.push(Effect::Report(Report::Own {
            muted: own.mic_muted,
            camera: own.camera_on,
            hold: own.on_hold,
            screen,
            deafened,
            talking,
            name: model.name_of_party(party).to_owned(),
        }));
    }
}

/// Switches the own microphone off (`On` is muted) or on.
pub(in crate::update) fn set_mute(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, number) = taken_mut(model)?;
    let muted = switched(switch, call.mute_asked.unwrap_or(call.own.mic_muted));
    // From now on it is as said here, whatever key is let go.
    call.seat.talk = None;
    if !muted && call.seat.is_deafened() {
        // Whoever wants to be heard wants to hear.
        call.seat.deafened = Some(false);
        return seat::set_deafened(model, Switch::Off, effects);
    }
    mute(call, number, muted, effects);
    Ok(())
}

/// Asks for the microphone to be off (true) or on.
pub(super) fn mute(call: &mut Call, number: CallNumber, muted: bool, effects: &mut Vec<Effect>) {
    call.mute_asked = Some(muted);
    if !call.is_connected() {
        // Nothing is sent yet, and the devices that would confirm it are not open.
        call.own.mic_muted = muted;
    }
    effects.push(Effect::SetMicMuted(number, muted));
}

/// Switches the own camera.
pub(in crate::update) fn set_camera(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, number) = taken_mut(model)?;
    let on = switched(switch, call.camera_asked.unwrap_or(call.own.camera_on));
    call.camera_asked = Some(on);
    if !call.is_connected() {
        call.own.camera_on = on;
    }
    effects.push(Effect::SetCamera(number, on));
    Ok(())
}

/// What was to go to this contact did not: an invitation on its way to it leads nowhere.
pub(in crate::update) fn unsent(model: &mut Model, contact: ContactId, effects: &mut Vec<Effect>) {
    let is_lost = |call: &Call| {
        call.party == Party::Contact(contact)
            && call.direction == Direction::Outgoing
            && call.state == CallState::Inviting
    };
    if model.live_call().is_some_and(is_lost) {
        if let Some(call) = model.live_call_mut() {
            call.is_unsent = true;
        }
        once::note_unsent(model);
        end(model, effects);
    }
}
