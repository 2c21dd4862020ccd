//! Calls that ring here: taken, declined, ignored, missed.

use super::{end, hold, notice, say, state_report, tell, warn_about_address};
use crate::effect::Effect;
use crate::event::{CallNumber, CallState, Direction, Meanwhile, Media, Party, Unrung};
use crate::model::{CALLS_MAX, Call, Incoming, Mode, Model};
use crate::report::Report;
use crate::text;

/// Calls that ring at the same time; the call engine answers more with busy.
const RINGING_MAX: usize = crate::call::board::RINGING_MAX;

/// Somebody wants to talk.
pub(crate) fn ring(
    model: &mut Model,
    number: CallNumber,
    party: Party,
    media: Media,
    effects: &mut Vec<Effect>,
) {
    let is_known = ringing(model).any(|incoming| incoming.call == number)
        || model.live_calls().any(|call| call.number == Some(number));
    if is_known || ringing(model).count() >= RINGING_MAX {
        return;
    }
    effects.push(Effect::Report(report(model, party, media)));
    let incoming = Incoming {
        call: number,
        party,
        media,
        since_ms: model.now_ms,
        shows_ip_warning: warn_about_address(model, effects),
    };
    if model.live_call().is_none() {
        // A call that has ended makes room.
        model.call = None;
    }
    match &model.incoming {
        None => model.incoming = Some(incoming),
        Some(_) => model.waiting.push(incoming),
    }
}

/// Somebody calls.
pub(super) fn report(model: &Model, party: Party, media: Media) -> Report {
    Report::Incoming {
        name: model.name_of_party(party).to_owned(),
        video: media == Media::Video,
        verified: model.is_verified(party),
        busy: model.taken_call().is_some(),
        by: None,
    }
}

/// Every call that rings here, heard or not.
fn ringing(model: &Model) -> impl Iterator<Item = &Incoming> {
    let silent = model.waiting.iter().chain(&model.ignored);
    model.incoming.iter().chain(silent)
}

/// The state of a call that rings here has changed. False: it is not one of these.
pub(super) fn changed(
    model: &mut Model,
    number: CallNumber,
    state: &CallState,
    effects: &mut Vec<Effect>,
) -> bool {
    let Some(incoming) = ringing(model).find(|incoming| incoming.call == number) else {
        return false;
    };
    let (party, media) = (incoming.party, incoming.media);
    let (direction, now) = (Direction::Incoming, state.clone());
    let mut call = Call::new(Some(number), party, direction, media, now);
    let CallState::Ended { reason, .. } = state else {
        if *state == CallState::Ringing
            && let Some(report) = state_report(&mut call)
        {
            tell(model, party, report, effects);
        }
        return true;
    };
    if let Some(report) = state_report(&mut call) {
        tell(model, party, report, effects);
    }
    model.incoming.take_if(|incoming| incoming.call == number);
    model.waiting.retain(|incoming| incoming.call != number);
    model.ignored.retain(|incoming| incoming.call != number);
    if let "cancelled" | "unanswered" | "far_hung_up" = *reason {
        let name = model.name_of_party(party).to_owned();
        say(model, text::missed(&name));
        effects.push(Effect::Report(Report::Missed { name, reason }));
    }
    if model.live_call().is_none() {
        model.call = Some(call);
    }
    next(model);
    true
}

/// Somebody called and it did not even ring.
pub(crate) fn missed(model: &mut Model, party: Party, why: Unrung, effects: &mut Vec<Effect>) {
    let name = model.name_of_party(party).to_owned();
    let reason = match why {
        Unrung::Late => "late",
        Unrung::DoNotDisturb => "do_not_disturb",
        Unrung::TooMany => "too_many",
        Unrung::NoTurn => "no_turn",
    };
    say(model, text::missed_because(&name, why));
    effects.push(Effect::Report(Report::Missed { name, reason }));
}

/// Takes the ringing call with `media` at most; a call one is in waits or ends.
pub(crate) fn accept(
    model: &mut Model,
    media: Media,
    meanwhile: Meanwhile,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let mut incoming = model.incoming.clone().ok_or(text::NOBODY_CALLS)?;
    let is_busy = model.taken_call().is_some();
    if is_busy && meanwhile == Meanwhile::Hold && model.taken_count() >= CALLS_MAX {
        return Err(text::TOO_MANY_CALLS.to_owned());
    }
    if media == Media::Audio {
        incoming.media = Media::Audio;
    }
    model.incoming = None;
    model.message.take_if(|message| !message.stays);
    if is_busy && meanwhile == Meanwhile::End {
        end(model, effects);
    }
    hold::park(model, effects);
    let Incoming {
        call: number,
        party,
        media,
        ..
    } = incoming;
    let (direction, state) = (Direction::Incoming, CallState::Connecting);
    let mut call = Call::new(Some(number), party, direction, media, state);
    call.is_ours = true;
    call.shows_ip_warning = incoming.shows_ip_warning;
    model.call = Some(call);
    super::select(model, party);
    effects.push(Effect::AcceptCall(number, media));
    next(model);
    Ok(())
}

/// Declines the ringing call. During another call the caller is told that we are busy.
pub(crate) fn reject(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let incoming = model.incoming.take().ok_or(text::NOBODY_CALLS)?;
    let Incoming {
        call: number,
        party,
        media,
        ..
    } = incoming;
    let (direction, state) = (Direction::Incoming, CallState::Ringing);
    let mut call = Call::new(Some(number), party, direction, media, state);
    call.hanging_up_at_ms = Some(model.now_ms);
    let busy = model.taken_call().is_some();
    if model.live_call().is_some() {
        model.others.push(call);
    } else {
        model.call = Some(call);
    }
    model.message = None;
    effects.push(Effect::RejectCall { call: number, busy });
    next(model);
    Ok(())
}

/// Lets the ringing call be: it goes on at the caller's side until that gives up, and makes no sound here.
pub(crate) fn ignore(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let incoming = model.incoming.take().ok_or(text::NOBODY_CALLS)?;
    let words = text::ignored(model.name_of_party(incoming.party));
    model.ignored.push(incoming);
    notice(model, words, effects);
    next(model);
    Ok(())
}

/// The next call that rings gets the banner and the keys, from now on.
fn next(model: &mut Model) {
    if model.incoming.is_none() && !model.waiting.is_empty() {
        let mut incoming = model.waiting.remove(0);
        incoming.since_ms = model.now_ms;
        model.incoming = Some(incoming);
    }
}

/// Whether a call that waits is to be heard.
pub(crate) fn is_heard(model: &Model) -> bool {
    let is_automatic = matches!(model.mode, Mode::AnswerOnce { .. }) && model.live_call().is_none();
    model.incoming.is_some() && !is_automatic && !model.settings.do_not_disturb
}
