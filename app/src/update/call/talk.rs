//! Push-to-talk: the key, the command, and the end of both (see [`crate::talk`]).

use super::{mute, report_own, say, taken_mut};
use crate::effect::Effect;
use crate::event::Switch;
use crate::model::Model;
use crate::talk::{Talk, TalkMode};
use crate::text;

/// Where releases are not told, a key that is held comes as presses: one that follows another sooner is no new one. A
/// keyboard waits up to 660 ms before it repeats.
const PRESS_APART_MS: u64 = 700;

/// The key was pressed; `is_repeat` where the terminal says so.
pub(crate) fn press(
    model: &mut Model,
    is_repeat: bool,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (now_ms, tells_releases) = (model.now_ms, model.reports_releases);
    let (call, _) = taken_mut(model)?;
    let seat = &mut call.seat;
    let pressed_at_ms = seat.talk_pressed_at_ms.replace(now_ms);
    if let Some(talk) = &mut seat.talk
        && talk.mode == TalkMode::Held
    {
        talk.renew(now_ms);
        return Ok(());
    }
    let is_same = pressed_at_ms.is_some_and(|at| now_ms < at + PRESS_APART_MS);
    if is_repeat || (!tells_releases && is_same) {
        return Ok(());
    }
    if seat.talk.is_some() {
        end(model, effects);
        return Ok(());
    }
    let mode = if tells_releases {
        TalkMode::Held
    } else {
        TalkMode::Latched
    };
    begin(model, mode, effects)
}

/// The key was let go.
pub(crate) fn release(model: &mut Model, effects: &mut Vec<Effect>) {
    end_if(model, |talk| talk.mode == TalkMode::Held, effects);
}

/// Another key was pressed.
pub(crate) fn other_key(model: &mut Model) {
    if let Some(talk) = model
        .live_call_mut()
        .and_then(|call| call.seat.talk.as_mut())
    {
        talk.other_key();
    }
}

/// `ptt on` and `ptt off`.
pub(crate) fn set(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let now_ms = model.now_ms;
    let (call, _) = taken_mut(model)?;
    let on = super::switched(switch, call.seat.talk.is_some());
    match (&mut call.seat.talk, on) {
        (Some(talk), true) if talk.mode == TalkMode::Remote => {
            talk.renew(now_ms);
            Ok(())
        }
        (_, true) => begin(model, TalkMode::Remote, effects),
        (Some(_), false) => {
            end(model, effects);
            Ok(())
        }
        (None, false) => Ok(()),
    }
}

fn begin(model: &mut Model, mode: TalkMode, effects: &mut Vec<Effect>) -> Result<(), String> {
    let now_ms = model.now_ms;
    let (call, number) = taken_mut(model)?;
    if !call.is_connected() || call.own.on_hold {
        return Err(text::NO_TALK_NOW.to_owned());
    }
    if call.seat.is_deafened() {
        return Err(text::NO_TALK_DEAFENED.to_owned());
    }
    if let Some(talk) = &mut call.seat.talk {
        // Another way of saying the same: the latest decides when it ends.
        *talk = Talk::new(mode, now_ms);
        return Ok(());
    }
    if !call.mute_asked.unwrap_or(call.own.mic_muted) {
        return Err(text::TALKS_ALREADY.to_owned());
    }
    call.seat.talk = Some(Talk::new(mode, now_ms));
    mute(call, number, false, effects);
    report_own(model, number, effects);
    model.message = None;
    Ok(())
}

/// The microphone is closed again, if it was open for a while only.
pub(crate) fn end(model: &mut Model, effects: &mut Vec<Effect>) -> bool {
    end_if(model, |_| true, effects)
}

fn end_if(model: &mut Model, is_meant: impl Fn(&Talk) -> bool, effects: &mut Vec<Effect>) -> bool {
    let Some(call) = model.live_call_mut() else {
        return false;
    };
    let number = call.number;
    if call.seat.talk.take_if(|talk| is_meant(talk)).is_none() {
        return false;
    }
    if let Some(number) = number {
        mute(call, number, true, effects);
        report_own(model, number, effects);
    }
    true
}

/// The window is looked at, or no longer: a release there would not reach us.
pub(in crate::update) fn window_looked_at(
    model: &mut Model,
    is_focused: bool,
    effects: &mut Vec<Effect>,
) {
    model.is_focused = is_focused;
    if !is_focused {
        release(model, effects);
    }
}

/// Ends what has lasted long enough.
pub(in crate::update) fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    if end_if(model, |talk| now_ms >= talk.due_ms(), effects) {
        say(model, text::TALK_TIMED_OUT);
    }
}

/// When that is.
pub(in crate::update) fn due_ms(model: &Model) -> Option<u64> {
    Some(model.live_call()?.seat.talk?.due_ms())
}
