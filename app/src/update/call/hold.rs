//! Several calls: which one has the devices, which wait on hold, and how they change places.

use super::super::bind;
use super::{notice, switched, taken_mut};
use crate::effect::Effect;
use crate::event::Switch;
use crate::model::{Call, Holds, Model};
use crate::text;

/// Pauses the call that has the devices, or goes on with it.
pub(crate) fn set_hold(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    super::talk::end(model, effects);
    let (call, number) = taken_mut(model)?;
    call.own.on_hold = switched(switch, call.own.on_hold);
    effects.push(Effect::SetHold(number, call.own.on_hold));
    Ok(())
}

/// Puts this call on hold and goes on with the one that has waited longest.
pub(crate) fn swap(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let longest = model.others.iter().position(|call| !call.is_ending());
    let next = longest.ok_or(text::NOTHING_HELD)?;
    let next = model.others.remove(next);
    park(model, effects);
    resume(model, next, effects);
    Ok(())
}

/// Makes room for another call: the one that has the devices waits on hold, one that ends does so beside it.
pub(crate) fn park(model: &mut Model, effects: &mut Vec<Effect>) {
    super::talk::end(model, effects);
    let Some(mut call) = model.call.take_if(|call| call.is_live()) else {
        model.call = None;
        return;
    };
    model.picture_wanted = None;
    model.views_wanted.clear();
    (call.far_picture, call.own_picture) = (None, None);
    if !call.is_ending() && !call.own.on_hold {
        call.own.on_hold = true;
        effects.extend(call.number.map(|number| Effect::SetHold(number, true)));
    }
    model.others.push(call);
}

/// After the end of the call that had the devices: the one held last comes back by itself, and the user is told, for
/// it is heard again from now on.
pub(crate) fn resume_last(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(at) = model.others.iter().rposition(|call| !call.is_ending()) {
        let call = model.others.remove(at);
        resume(model, call, effects);
    }
}

fn resume(model: &mut Model, mut call: Call, effects: &mut Vec<Effect>) {
    call.own.on_hold = false;
    effects.extend(call.number.map(|number| Effect::SetHold(number, false)));
    let words = text::resumed(model.name_of_party(call.party));
    model.picture_wanted = None;
    model.views_wanted.clear();
    let number = call.number;
    model.call = Some(call);
    notice(model, words, effects);
    bind(model, Holds::InCall(number));
}
