//! The calls' part of the model: what the engine tells, and what is asked of it.
//!
//! One call has the devices ([`Model::call`]); the others wait on hold or end. [`ring`] has those that ring here,
//! [`hold`] the changes between calls, [`people`] those who are in the call of a group, [`seat`], [`focus`] and [`talk`]
//! what one sees, hears and says oneself.

pub(super) mod blocks;
pub(super) mod focus;
pub(super) mod hold;
mod own;
pub(super) mod people;
pub(crate) mod ring;
pub(super) mod seat;
pub(super) mod talk;

use std::time::Duration;

use hullo_proto::call::EndReason;

use super::{notice, once, quit, say, say_long, sound};
use crate::effect::Effect;
use crate::event::{CallEvent, CallNumber, CallState, Direction, Media, Party, Switch};
use crate::model::{CALLS_MAX, Call, Model, Overlay, Switches};
use crate::report::Report;
use crate::text;
use own::{mute, report_own, take_own};
pub(super) use own::{set_camera, set_mute, unsent};

/// One change of a call.
pub(super) fn take(
    model: &mut Model,
    number: CallNumber,
    change: CallEvent,
    effects: &mut Vec<Effect>,
) {
    match change {
        CallEvent::Started { party, media } => started(model, number, party, media, effects),
        CallEvent::State(state) => changed(model, number, state, effects),
        CallEvent::Own {
            mic_muted,
            camera_on,
            on_hold,
        } => {
            let own = Switches {
                mic_muted,
                camera_on,
                on_hold,
            };
            take_own(model, number, own, effects);
        }
        CallEvent::Far {
            mic_muted,
            camera_on,
            on_hold,
        } => {
            let far = Switches {
                mic_muted,
                camera_on,
                on_hold,
            };
            take_far(model, number, far, effects);
        }
        CallEvent::FarSpeaking(speaks) => hear_far(model, number, speaks, effects),
        CallEvent::FarPicture(picture) => {
            let now_ms = model.now_ms;
            if let Some(call) = active_mut(model, number) {
                (call.far_picture, call.far_picture_at_ms) = (picture, now_ms);
            }
        }
        CallEvent::OwnPicture(picture) => {
            if let Some(call) = active_mut(model, number) {
                call.own_picture = picture;
            }
        }
        CallEvent::Participant(id, change) => people::take(model, number, id, change, effects),
        CallEvent::OwnScreen(is_shown) => {
            if let Some(call) = model.numbered_mut(number) {
                call.own_screen = is_shown;
                report_own(model, number, effects);
            }
        }
        CallEvent::FirstMedia { kind, received } => {
            let direction = if received { "received" } else { "sent" };
            effects.push(Effect::Report(Report::Media { kind, direction }));
        }
        CallEvent::Stats(stats) => {
            effects.push(Effect::Report(Report::Stats(stats.clone())));
            people::measure(model, number, stats);
        }
        CallEvent::Step { words, is_trouble } => step(model, number, words, is_trouble, effects),
        CallEvent::Notice(words) => notice(model, words, effects),
        CallEvent::TalksMuted => sound::talks_muted(model, number, effects),
        CallEvent::Levels(levels) => sound::levels(model, number, levels),
    }
}

/// What is done about the connection: shown while there is none, and told in any case.
fn step(
    model: &mut Model,
    number: CallNumber,
    words: String,
    failed: bool,
    effects: &mut Vec<Effect>,
) {
    let Some(call) = model.numbered_mut(number).filter(|call| call.is_live()) else {
        return;
    };
    let state = state_word(&call.state);
    call.step = Some(words.clone());
    let party = call.party;
    let name = model.name_of_party(party).to_owned();
    effects.push(Effect::Report(Report::Step {
        state,
        name,
        step: words,
        failed,
    }));
}

/// The call of this number if it has the devices: pictures of others are not drawn.
fn active_mut(model: &mut Model, number: CallNumber) -> Option<&mut Call> {
    model
        .live_call_mut()
        .filter(|call| call.number == Some(number) && !call.own.on_hold)
}

fn started(
    model: &mut Model,
    number: CallNumber,
    party: Party,
    media: Media,
    effects: &mut Vec<Effect>,
) {
    match model.live_call_mut() {
        // What was asked for here is confirmed: our switches and times stay.
        Some(call) if call.party == party && call.number.is_none() => {
            call.number = Some(number);
            call.media = media;
        }
        Some(_) => return,
        None => {
            let (direction, state) = (Direction::Outgoing, CallState::Inviting);
            let mut call = Call::new(Some(number), party, direction, media, state);
            call.is_ours = true;
            model.call = Some(call);
        }
    }
    // In the call of a group only its server sees the address.
    let is_direct = matches!(party, Party::Contact(_));
    if is_direct
        && warn_about_address(model, effects)
        && let Some(call) = model.live_call_mut()
    {
        call.shows_ip_warning = true;
    }
}

fn changed(model: &mut Model, number: CallNumber, state: CallState, effects: &mut Vec<Effect>) {
    if ring::changed(model, number, &state, effects) {
        return;
    }
    let now_ms = model.now_ms;
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    if call.direction == Direction::Incoming && state == CallState::Ringing {
        return;
    }
    let is_first = state == CallState::Connected && call.connected_at_ms.is_none();
    if state == CallState::Connected {
        call.connected_at_ms.get_or_insert(now_ms);
    }
    if state == CallState::Inviting {
        call.inviting_at_ms.get_or_insert(now_ms);
    }
    if state == CallState::Connecting {
        // Another call of the group took this one's place: those who are in it come anew.
        call.people.clear();
    }
    if state == CallState::Connected {
        call.step = None;
    }
    call.state = in_own_words(state, call.direction, call.is_unsent);
    let is_back = call.state == CallState::Connected && call.seat.is_deafened();
    let (party, report, is_live) = (call.party, state_report(call), call.is_live());
    if is_back {
        // Where another call of the group took this one's place, its sound begins anew.
        seat::tell_own_volume(model, number, effects);
    }
    if let Some(report) = report {
        tell(model, party, report, effects);
    }
    if is_first && model.is_demo {
        welcome(model, matches!(party, Party::Group(_)));
    }
    if !is_live {
        ended(model, number, effects);
    }
}

/// What there is to press, for somebody who sees the program for the first time.
fn welcome(model: &mut Model, is_group: bool) {
    let words = text::welcome(is_group);
    let words = model.keymap.fill(words);
    say_long(model, words);
}

/// The reasons are the call's; whoever ended it is told so.
fn in_own_words(state: CallState, direction: Direction, is_unsent: bool) -> CallState {
    let CallState::Ended {
        reason,
        words,
        duration,
    } = &state
    else {
        return state;
    };
    let (reason, duration) = (*reason, *duration);
    let is_given_up = *words == EndReason::Cancelled.to_string();
    let words = match (reason, direction) {
        ("seconds", Direction::Outgoing) if is_given_up => text::TIME_RAN_OUT,
        ("signal", Direction::Outgoing) if is_given_up => text::STOPPED_BEFORE,
        (_, Direction::Outgoing) if is_given_up && is_unsent => text::NEVER_SENT,
        (_, Direction::Outgoing) if is_given_up => text::GAVE_UP,
        ("declined", Direction::Incoming) => text::DECLINED_HERE,
        _ => return state,
    };
    CallState::Ended {
        reason,
        words: words.to_owned(),
        duration,
    }
}

/// What to tell of a call's state, without the name; `None` when it was told already.
fn state_report(call: &mut Call) -> Option<Report> {
    let outcome = match &call.state {
        CallState::Ended {
            reason,
            words,
            duration,
        } => Some((*reason, words.clone(), text::duration_ms(*duration))),
        _ => None,
    };
    let state = state_word(&call.state);
    if call.reported.replace(state) == Some(state) {
        return None;
    }
    let (reason, words, duration_ms) = match outcome {
        Some((reason, words, duration_ms)) => (Some(reason), Some(words), Some(duration_ms)),
        None => (None, None, None),
    };
    let name = String::new();
    Some(Report::Call {
        state,
        name,
        reason,
        words,
        duration_ms,
    })
}

fn state_word(state: &CallState) -> &'static str {
    match state {
        CallState::Inviting => "inviting",
        CallState::Ringing => "ringing",
        CallState::Connecting => "connecting",
        CallState::Connected => "connected",
        CallState::Reconnecting => "reconnecting",
        CallState::Ended { .. } => "ended",
    }
}

/// Every call as it is now, and who rings.
pub(super) fn standing(model: &Model) -> Vec<Report> {
    let mut effects = Vec::new();
    for call in model.live_calls() {
        let mut untold = call.clone();
        untold.reported = None;
        if let Some(report) = state_report(&mut untold) {
            tell(model, call.party, report, &mut effects);
        }
    }
    for incoming in model.incoming.iter().chain(&model.waiting) {
        effects.push(Effect::Report(ring::report(
            model,
            incoming.party,
            incoming.media,
        )));
    }
    effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Report(report) => Some(report),
            _ => None,
        })
        .collect()
}

/// Tells of a call's state, with the name of whom it is with.
fn tell(model: &Model, party: Party, report: Report, effects: &mut Vec<Effect>) {
    let mut report = report;
    if let Report::Call { name, .. } = &mut report {
        *name = model.name_of_party(party).to_owned();
    }
    effects.push(Effect::Report(report));
}

/// After the end of a call: whoever waited for it leaves, and a call on hold comes back.
fn ended(model: &mut Model, number: CallNumber, effects: &mut Vec<Effect>) {
    let beside = model
        .others
        .iter()
        .position(|call| call.number == Some(number));
    let over = match beside {
        Some(at) => model.others.remove(at),
        None => match &mut model.call {
            Some(call) => {
                (call.far_picture, call.own_picture) = (None, None);
                call.people.clear();
                model.overlay.take_if(|overlay| *overlay == Overlay::Stats);
                call.clone()
            }
            None => return,
        },
    };
    once::note_end(model, &over);
    if let Some(stopping) = model.stopping {
        if model.live_calls().next().is_none() {
            quit(model, once::stop_status(model, stopping.reason), effects);
        }
        return;
    }
    if beside.is_none() {
        hold::resume_last(model, effects);
    } else if over.hanging_up_at_ms.is_none() {
        let CallState::Ended {
            words, duration, ..
        } = &over.state
        else {
            return;
        };
        let words = text::call_ended(model.name_of_party(over.party), words, *duration);
        say(model, words);
    }
    once::leave_after_the_one(model, effects);
}

fn take_far(model: &mut Model, number: CallNumber, far: Switches, effects: &mut Vec<Effect>) {
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    let before = call.far.replace(far).unwrap_or_default();
    let party = call.party;
    let changes = [
        ("muted", before.mic_muted != far.mic_muted, far.mic_muted),
        ("camera", before.camera_on != far.camera_on, far.camera_on),
        ("hold", before.on_hold != far.on_hold, far.on_hold),
    ];
    for (change, _, on) in changes.into_iter().filter(|(_, is_changed, _)| *is_changed) {
        let name = model.name_of_party(party).to_owned();
        effects.push(Effect::Report(Report::Participant {
            participant: None,
            change,
            name,
            on: Some(on),
        }));
    }
}

fn hear_far(model: &mut Model, number: CallNumber, speaks: bool, effects: &mut Vec<Effect>) {
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    if std::mem::replace(&mut call.far_speaks, speaks) == speaks {
        return;
    }
    let party = call.party;
    effects.push(Effect::Report(Report::Participant {
        participant: None,
        change: "speaking",
        name: model.name_of_party(party).to_owned(),
        on: Some(speaks),
    }));
}

/// Calls a contact, or creates or joins the call of a group. Beside another call only when that one was put on hold: a slip of a key must not leave anybody.
pub(super) fn start(
    model: &mut Model,
    party: Party,
    media: Media,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    if let Some(incoming) = &model.incoming {
        return Err(text::answer_first(model.name_of_party(incoming.party)));
    }
    if model.taken_call().is_some_and(|call| !call.is_held()) {
        return Err(text::CALL_RUNS.to_owned());
    }
    if model.live_calls().any(|call| call.party == party) {
        return Err(text::in_call_already(model.name_of_party(party)));
    }
    if model.taken_count() >= CALLS_MAX {
        return Err(text::TOO_MANY_CALLS.to_owned());
    }
    check_party(model, party)?;
    hold::park(model, effects);
    let state = match party {
        Party::Contact(_) => CallState::Inviting,
        Party::Group(_) => CallState::Connecting,
    };
    let mut call = Call::new(None, party, Direction::Outgoing, media, state);
    call.is_ours = true;
    model.call = Some(call);
    select(model, party);
    model.message.take_if(|message| !message.stays);
    effects.push(Effect::StartCall(party, media));
    Ok(())
}

/// Whether this one can be called at all.
fn check_party(model: &Model, party: Party) -> Result<(), String> {
    match party {
        Party::Contact(contact) => match model.contact(contact) {
            Some(known) if known.blocked => Err(text::blocked(&known.name)),
            Some(known) if known.lost => Err(text::link_needed(&known.name)),
            Some(known) if !known.ready => Err(text::not_ready(&known.name)),
            Some(_) => Ok(()),
            None => Err(text::no_such_contact(text::UNKNOWN_CONTACT)),
        },
        Party::Group(number) => match model.group(number) {
            Some(group) if !group.is_joined => Err(text::group_not_ready(&group.name)),
            // The protocol knows one at a time.
            Some(_) if is_in_a_group_call(model) => Err(text::ONE_GROUP_CALL.to_owned()),
            Some(_) => Ok(()),
            None => Err(text::no_such_group(text::UNKNOWN_GROUP)),
        },
    }
}

fn is_in_a_group_call(model: &Model) -> bool {
    let is_group = |call: &Call| matches!(call.party, Party::Group(_));
    model.live_calls().any(is_group)
}

/// The one with whom a call begins is chosen.
fn select(model: &mut Model, party: Party) {
    match party {
        Party::Contact(contact) => {
            (model.selected, model.selected_group) = (Some(contact), None);
        }
        Party::Group(group) => model.selected_group = Some(group),
    }
}

/// Shows our screen in the call of a group, or no longer.
pub(super) fn set_screen(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, number) = taken_mut(model)?;
    if !matches!(call.party, Party::Group(_)) {
        return Err(text::NOT_A_GROUP_CALL.to_owned());
    }
    let on = switched(switch, call.own_screen);
    if on && !model.has_screen {
        return Err(text::NO_SCREEN_NAMED.to_owned());
    }
    effects.push(Effect::SetScreen(number, on));
    Ok(())
}

/// Ends the current call.
pub(super) fn hang_up(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model.taken_call().is_none() {
        let words = if model.incoming.is_some() {
            text::DECLINE_INSTEAD
        } else {
            text::NO_CALL
        };
        return Err(words.to_owned());
    }
    end(model, effects);
    Ok(())
}

/// Asks for the end of the call that has the devices, and remembers since when.
pub(super) fn end(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    if let Some(call) = model.live_call_mut() {
        end_call(call, now_ms, effects);
    }
}

/// Asks for the end of every call.
pub(super) fn end_all(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    end(model, effects);
    for call in &mut model.others {
        end_call(call, now_ms, effects);
    }
}

fn end_call(call: &mut Call, now_ms: u64, effects: &mut Vec<Effect>) {
    call.hanging_up_at_ms.get_or_insert(now_ms);
    effects.extend(call.number.map(Effect::HangUp));
}

/// Ends the calls here whose end was asked for before `since_ms`, because the engine did not say that they ended.
pub(super) fn end_unanswered(model: &mut Model, since_ms: u64, effects: &mut Vec<Effect>) {
    let is_due = |call: &Call| call.hanging_up_at_ms.is_some_and(|at| at <= since_ms);
    model
        .call
        .take_if(|call| call.is_live() && call.number.is_none() && is_due(call));
    let due: Vec<_> = model
        .live_calls()
        .filter(|call| is_due(call))
        .filter_map(|call| Some((call.number?, call.is_ours, call.connected_ms(model.now_ms))))
        .collect();
    for (number, is_ours, connected_ms) in due {
        let reason = if is_ours { "hung_up" } else { "declined" };
        let words = text::ENDED_HERE.to_owned();
        let duration = Duration::from_millis(connected_ms);
        let state = CallState::Ended {
            reason,
            words,
            duration,
        };
        changed(model, number, state, effects);
    }
}

/// Forgets a call that was asked for and never came to be; the one it was to stand beside is still on hold.
pub(super) fn drop_unstarted(model: &mut Model) {
    let is_unheard_of = |call: &mut Call| call.is_live() && call.number.is_none();
    if model.call.take_if(is_unheard_of).is_some()
        && let Some(at) = model.others.iter().rposition(|call| !call.is_ending())
    {
        model.call = Some(model.others.remove(at));
    }
}

/// The call that has the devices, once the engine knows it.
fn taken_mut(model: &mut Model) -> Result<(&mut Call, CallNumber), String> {
    model
        .live_call_mut()
        .filter(|call| !call.is_declined())
        .and_then(|call| call.number.map(|number| (call, number)))
        .ok_or_else(|| text::NO_CALL.to_owned())
}

pub(super) fn switched(switch: Switch, before: bool) -> bool {
    match switch {
        Switch::On => true,
        Switch::Off => false,
        Switch::Toggle => !before,
    }
}

/// Lets calls ring here or not.
pub(super) fn set_do_not_disturb(model: &mut Model, switch: Switch, effects: &mut Vec<Effect>) {
    let on = switched(switch, model.settings.do_not_disturb);
    if on != model.settings.do_not_disturb {
        model.settings.do_not_disturb = on;
        effects.push(Effect::SaveSettings(model.settings.clone()));
    }
    effects.push(Effect::Report(Report::DoNotDisturb { on }));
    say(model, text::do_not_disturb(on));
}

/// The first call of a profile tells what the other side can learn; true when it is this one.
fn warn_about_address(model: &mut Model, effects: &mut Vec<Effect>) -> bool {
    if model.settings.is_ip_warned || model.is_relay_only {
        return false;
    }
    model.settings.is_ip_warned = true;
    effects.push(Effect::SaveSettings(model.settings.clone()));
    effects.push(Effect::Report(Report::Notice {
        text: text::IP_WARNING.to_owned(),
    }));
    true
}
