//! The call's part of the model: what the engine tells, and what is asked of it.

use std::time::Duration;

use super::{notice, once, quit, say};
use crate::effect::Effect;
use crate::event::{CallEvent, CallState, ContactId, Direction, Media, Switch};
use crate::model::{Call, Incoming, Mode, Model, Switches};
use crate::report::Report;
use crate::text;

/// Somebody wants to talk. The same news twice (as an event of its own and as the call's state) is taken once.
pub(super) fn ring(model: &mut Model, contact: ContactId, media: Media, effects: &mut Vec<Effect>) {
    let is_known = model
        .incoming
        .as_ref()
        .is_some_and(|incoming| incoming.contact == contact);
    // Taken or declined already, perhaps by the mode, between the two ways of saying the same.
    let is_decided = model.live_call().is_some_and(|call| {
        let is_it = call.contact == contact && call.direction == Direction::Incoming;
        is_it && (call.is_ours || call.hanging_up_at_ms.is_some())
    });
    if is_known || is_decided {
        return;
    }
    let since_ms = model.now_ms;
    model.incoming = Some(Incoming {
        contact,
        media,
        since_ms,
    });
    if model.live_call().is_none() {
        model.call = Some(Call::new(
            contact,
            Direction::Incoming,
            media,
            CallState::Ringing,
        ));
    }
    effects.push(Effect::Report(Report::Incoming {
        name: model.name_of(contact).to_owned(),
        video: media == Media::Video,
        verified: model
            .contact(contact)
            .is_some_and(|contact| contact.verified),
    }));
    warn_about_address(model, effects);
}

/// One change of the current call.
pub(super) fn take(model: &mut Model, change: CallEvent, effects: &mut Vec<Effect>) {
    match change {
        CallEvent::Started {
            contact,
            direction,
            media,
        } => started(model, contact, direction, media, effects),
        CallEvent::State(state) => changed(model, state, effects),
        CallEvent::Own {
            mic_muted,
            camera_on,
        } => own(
            model,
            Switches {
                mic_muted,
                camera_on,
            },
            effects,
        ),
        CallEvent::Far {
            mic_muted,
            camera_on,
        } => far(
            model,
            Switches {
                mic_muted,
                camera_on,
            },
            effects,
        ),
        CallEvent::FarPicture(picture) => {
            if let Some(call) = model.live_call_mut() {
                call.far_picture = picture;
            }
        }
        CallEvent::OwnPicture(picture) => {
            if let Some(call) = model.live_call_mut() {
                call.own_picture = picture;
            }
        }
        CallEvent::FirstMedia { kind, received } => {
            let direction = if received { "received" } else { "sent" };
            effects.push(Effect::Report(Report::Media { kind, direction }));
        }
        CallEvent::Stats(stats) => {
            effects.push(Effect::Report(Report::Stats(stats.clone())));
            if let Some(call) = model.live_call_mut() {
                call.stats = Some(stats);
            }
        }
        CallEvent::Notice(words) => notice(model, words, effects),
    }
}

fn started(
    model: &mut Model,
    contact: ContactId,
    direction: Direction,
    media: Media,
    effects: &mut Vec<Effect>,
) {
    match model.live_call_mut() {
        // What was asked for here, or what already rings, is confirmed: our switches and times stay.
        Some(call)
            if call.contact == contact && call.direction == direction && !call.is_started =>
        {
            call.is_started = true;
            call.media = media;
        }
        _ => {
            let state = match direction {
                Direction::Outgoing => CallState::Inviting,
                Direction::Incoming => CallState::Ringing,
            };
            let mut call = Call::new(contact, direction, media, state);
            call.is_started = true;
            // A call of ours that was not asked for by a key (control socket, mode) is ours all the same.
            call.is_ours = direction == Direction::Outgoing;
            model.call = Some(call);
        }
    }
    match direction {
        Direction::Outgoing => warn_about_address(model, effects),
        Direction::Incoming if model.live_call().is_some_and(Call::is_ringing_here) => {
            ring(model, contact, media, effects);
        }
        Direction::Incoming => {}
    }
}

fn changed(model: &mut Model, state: CallState, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    let Some(call) = model.live_call_mut() else {
        return;
    };
    let is_taken_here = call.direction == Direction::Incoming && call.is_ours;
    if is_taken_here && state == CallState::Ringing {
        return;
    }
    if state == CallState::Connected {
        call.connected_at_ms.get_or_insert(now_ms);
    }
    call.state = state;
    let (contact, media) = (call.contact, call.media);
    if call.is_ringing_here() && call.hanging_up_at_ms.is_none() {
        ring(model, contact, media, effects);
    } else if model
        .call
        .as_ref()
        .is_some_and(|call| call.direction == Direction::Incoming)
    {
        model
            .incoming
            .take_if(|incoming| incoming.contact == contact);
    }
    report_state(model, effects);
    if model.live_call().is_none() {
        ended(model, effects);
    }
}

fn report_state(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(call) = &mut model.call else { return };
    let mut outcome = None;
    let word = match &call.state {
        CallState::Inviting => "inviting",
        CallState::Ringing => "ringing",
        CallState::Connecting => "connecting",
        CallState::Connected => "connected",
        CallState::Reconnecting => "reconnecting",
        CallState::Ended {
            reason,
            words,
            duration,
        } => {
            outcome = Some((*reason, words.clone(), text::duration_ms(*duration)));
            "ended"
        }
    };
    if call.reported.replace(word) == Some(word) {
        return;
    }
    let contact = call.contact;
    let (reason, words, duration_ms) = match outcome {
        Some((reason, words, duration_ms)) => (Some(reason), Some(words), Some(duration_ms)),
        None => (None, None, None),
    };
    let name = model.name_of(contact).to_owned();
    effects.push(Effect::Report(Report::Call {
        state: word,
        name,
        reason,
        words,
        duration_ms,
    }));
}

/// After the end: pictures go, a second call that was taken begins, and whoever waited for the end leaves.
fn ended(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(call) = &mut model.call else { return };
    (call.far_picture, call.own_picture) = (None, None);
    if let Some(stopping) = model.stopping {
        quit(model, once::stop_status(model, stopping.reason), effects);
    } else if let Some(next) = model.accept_next.take() {
        take_incoming(model, next, effects);
    } else {
        once::call_ended(model, effects);
        // The second caller still rings, and is now the only one.
        if let Some(incoming) = &model.incoming
            && !model.once.is_over
        {
            model.call = Some(Call::new(
                incoming.contact,
                Direction::Incoming,
                incoming.media,
                CallState::Ringing,
            ));
        }
    }
}

fn own(model: &mut Model, own: Switches, effects: &mut Vec<Effect>) {
    let Some(call) = model.live_call_mut() else {
        return;
    };
    (call.mute_asked, call.camera_asked) = (None, None);
    call.own = own;
    if call.own_reported.replace(own) != Some(own) {
        effects.push(Effect::Report(Report::Own {
            muted: own.mic_muted,
            camera: own.camera_on,
        }));
    }
}

fn far(model: &mut Model, far: Switches, effects: &mut Vec<Effect>) {
    let Some(call) = model.live_call_mut() else {
        return;
    };
    let before = call.far.replace(far).unwrap_or_default();
    let contact = call.contact;
    let changes = [
        ("muted", before.mic_muted != far.mic_muted, far.mic_muted),
        ("camera", before.camera_on != far.camera_on, far.camera_on),
    ];
    for (change, _, on) in changes.into_iter().filter(|(_, is_changed, _)| *is_changed) {
        let name = model.name_of(contact).to_owned();
        effects.push(Effect::Report(Report::Participant {
            change,
            name,
            on: Some(on),
        }));
    }
}

/// Calls a contact.
pub(super) fn start(
    model: &mut Model,
    contact: ContactId,
    media: Media,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    if let Some(incoming) = &model.incoming {
        return Err(text::answer_first(model.name_of(incoming.contact)));
    }
    if model.live_call().is_some() {
        return Err(text::CALL_RUNS.to_owned());
    }
    match model.contact(contact) {
        Some(known) if !known.ready => return Err(text::not_ready(&known.name)),
        Some(_) => {}
        None => return Err(text::no_such_contact(text::UNKNOWN_CONTACT)),
    }
    let mut call = Call::new(contact, Direction::Outgoing, media, CallState::Inviting);
    call.is_ours = true;
    model.call = Some(call);
    model.selected = Some(contact);
    model.message = None;
    effects.push(Effect::StartCall(contact, media));
    Ok(())
}

/// Takes the ringing call with `media` at most.
pub(super) fn accept(
    model: &mut Model,
    media: Media,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    if model.taken_call().is_some() && model.mode != Mode::Screen && model.incoming.is_some() {
        return Err(text::ONE_CALL_ONLY.to_owned());
    }
    let mut incoming = model.incoming.take().ok_or(text::NOBODY_CALLS)?;
    if media == Media::Audio {
        incoming.media = Media::Audio;
    }
    model.message = None;
    if model.taken_call().is_some() {
        model.accept_next = Some(incoming);
        end(model, effects);
    } else {
        take_incoming(model, incoming, effects);
    }
    Ok(())
}

fn take_incoming(model: &mut Model, incoming: Incoming, effects: &mut Vec<Effect>) {
    let is_there = model
        .live_call()
        .is_some_and(|call| call.contact == incoming.contact);
    if !is_there {
        model.call = Some(Call::new(
            incoming.contact,
            Direction::Incoming,
            incoming.media,
            CallState::Ringing,
        ));
    }
    if let Some(call) = model.live_call_mut() {
        call.is_ours = true;
        call.state = CallState::Connecting;
        call.own.camera_on = incoming.media == Media::Video;
    }
    model.selected = Some(incoming.contact);
    effects.push(Effect::AcceptCall(incoming.media));
}

/// Declines the ringing call.
pub(super) fn reject(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let incoming = model.incoming.take().ok_or(text::NOBODY_CALLS)?;
    let now_ms = model.now_ms;
    if let Some(call) = model
        .live_call_mut()
        .filter(|call| call.contact == incoming.contact)
    {
        call.hanging_up_at_ms = Some(now_ms);
    }
    model.message = None;
    effects.push(Effect::RejectCall);
    Ok(())
}

/// Ends the current call.
pub(super) fn hang_up(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    match model.live_call() {
        None => return Err(text::NO_CALL.to_owned()),
        Some(call) if call.is_ringing_here() => return Err(text::DECLINE_INSTEAD.to_owned()),
        Some(_) => {}
    }
    end(model, effects);
    Ok(())
}

/// Asks for the end and remembers since when.
pub(super) fn end(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    if let Some(call) = model.live_call_mut() {
        call.hanging_up_at_ms.get_or_insert(now_ms);
        effects.push(Effect::HangUp);
    }
}

/// Ends the call here, because the engine did not say that it has ended.
pub(super) fn end_unanswered(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(call) = model.live_call() else {
        return;
    };
    let reason = if call.is_ours { "hung_up" } else { "declined" };
    let duration = Duration::from_millis(call.connected_ms(model.now_ms));
    let words = text::ENDED_HERE.to_owned();
    changed(
        model,
        CallState::Ended {
            reason,
            words,
            duration,
        },
        effects,
    );
}

/// Forgets a call that was asked for and never came to be.
pub(super) fn drop_unstarted(model: &mut Model) {
    model.call.take_if(|call| {
        let is_unheard_of = !call.is_started && call.reported.is_none();
        call.is_live() && call.direction == Direction::Outgoing && is_unheard_of
    });
}

/// Switches the own microphone off (`On` is muted) or on.
pub(super) fn set_mute(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let call = taken_mut(model)?;
    let muted = switched(switch, call.mute_asked.unwrap_or(call.own.mic_muted));
    call.mute_asked = Some(muted);
    if !call.is_connected() {
        // Nothing is sent yet, and the devices that would confirm it are not open.
        call.own.mic_muted = muted;
    }
    effects.push(Effect::SetMicMuted(muted));
    Ok(())
}

/// Switches the own camera.
pub(super) fn set_camera(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let call = taken_mut(model)?;
    let on = switched(switch, call.camera_asked.unwrap_or(call.own.camera_on));
    call.camera_asked = Some(on);
    if !call.is_connected() {
        call.own.camera_on = on;
    }
    effects.push(Effect::SetCamera(on));
    Ok(())
}

/// Pauses or resumes.
pub(super) fn set_hold(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let call = taken_mut(model)?;
    call.is_held = switched(switch, call.is_held);
    effects.push(Effect::SetHold(call.is_held));
    Ok(())
}

fn taken_mut(model: &mut Model) -> Result<&mut Call, String> {
    model
        .live_call_mut()
        .filter(|call| !call.is_ringing_here())
        .ok_or_else(|| text::NO_CALL.to_owned())
}

fn switched(switch: Switch, before: bool) -> bool {
    match switch {
        Switch::On => true,
        Switch::Off => false,
        Switch::Toggle => !before,
    }
}

/// The first call tells what the other side can learn.
fn warn_about_address(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.is_ip_warned {
        return;
    }
    if let Some(call) = model.live_call_mut() {
        call.shows_ip_warning = true;
        model.is_ip_warned = true;
        effects.push(Effect::Report(Report::Notice {
            text: text::IP_WARNING.to_owned(),
        }));
    }
}

/// Gives up a second call that nobody took and nobody ended.
pub(super) fn missed(model: &mut Model) {
    if let Some(incoming) = model.incoming.take() {
        let words = format!(
            "{} called and was not answered.",
            model.name_of(incoming.contact)
        );
        say(model, words);
    }
}
