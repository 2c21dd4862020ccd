//! Ctrl-Z: those in a call with us are told "on hold" before the program stops, and that we are back after `fg`.

use super::{call, say};
use crate::effect::Effect;
use crate::model::{Mode, Model, Suspended};
use crate::text;

/// How long the word to the others has to leave this machine. Longer is felt at the keyboard.
const SAY_MS: u64 = 150;

/// The program is about to stop: whoever hears us is told that we are away.
pub(super) fn stop_soon(model: &mut Model, effects: &mut Vec<Effect>) {
    call::talk::end(model, effects);
    // The mirror is nobody.
    let is_heard = model.mode != Mode::Mirror;
    let calls = (model.call.iter_mut().chain(&mut model.others)).filter(|_| is_heard);
    let talked_to = calls.filter(|call| call.is_connected() && !call.own.on_hold);
    let held: Vec<_> = talked_to
        .filter_map(|call| {
            let number = call.number?;
            call.own.on_hold = true;
            Some(number)
        })
        .collect();
    let hold = held.iter().map(|number| Effect::SetHold(*number, true));
    effects.extend(hold);
    let wait_ms = if held.is_empty() { 0 } else { SAY_MS };
    model.suspended = Some(Suspended {
        held,
        stops_at_ms: Some(model.now_ms + wait_ms),
    });
}

/// The program may stop once that has left.
pub(super) fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    if let Some(suspended) = &mut model.suspended
        && (suspended.stops_at_ms)
            .take_if(|at| now_ms >= *at)
            .is_some()
    {
        effects.push(Effect::MayStop);
    }
}

/// It goes on: calls that were put on hold for it go on, too.
pub(super) fn resumed(model: &mut Model, effects: &mut Vec<Effect>) {
    let held = model.suspended.take().unwrap_or_default().held;
    let mut back = Vec::new();
    for number in held {
        let Some(call) = model.numbered_mut(number) else {
            continue;
        };
        call.own.on_hold = false;
        effects.push(Effect::SetHold(number, false));
        let party = call.party;
        back.push(model.name_of_party(party).to_owned());
    }
    say(model, text::after_a_stop(&back));
}
