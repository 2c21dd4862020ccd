//! The one call of `hullo call NAME`, `hullo join GROUP` and `hullo answer [NAME]`: begun by itself, and the program leaves with a status.
//!
//! Statuses are those of DESIGN §8: 0 connected, 3 no such contact, 4 refused, busy or unanswered, 5 network or server,
//! 6 device, 1 anything else.

use super::call::{self, ring};
use super::{fail, notice, quit};
use crate::effect::Effect;
use crate::event::{CallState, Contact, GroupNumber, Meanwhile, Media, Party, StopReason};
use crate::model::{Call, Mode, Model, Server};
use crate::text;

/// How long a contact still being made, and the server, are waited for.
const READY_MS_MAX: u64 = 10_000;
/// After the server first answered, queues are read: a contact that is not there by then does not exist.
const QUEUE_READ_MS: u64 = 1_500;
/// After a failure, how long a call may still come of it: a camera that fails does not end a call.
const FAILURE_GRACE_MS: u64 = 1_000;

const OK: u8 = 0;
const OTHER: u8 = 1;
const NO_CONTACT: u8 = 3;
const REFUSED: u8 = 4;
const NETWORK: u8 = 5;
const DEVICE: u8 = 6;

/// What is known of the contact that was asked for.
enum Awaited {
    Ready(Contact),
    Pending(String),
    /// Not in the list, and could still come.
    Maybe,
    Unknown,
}

/// Takes the next step that the mode asks for, if one is due.
pub(super) fn advance(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.once.is_over || model.stopping.is_some() {
        return;
    }
    if let Some((at_ms, status)) = model.once.gives_up {
        if model.live_call().is_some() {
            model.once.gives_up = None;
        } else if model.now_ms >= at_ms {
            return quit(model, status, effects);
        }
    }
    match model.mode.clone() {
        Mode::Screen | Mode::Mirror => {}
        Mode::CallOnce { name, media } if !model.once.is_begun => {
            begin_call(model, &name, media, effects)
        }
        Mode::JoinOnce { name, media } if !model.once.is_begun => {
            begin_join(model, &name, media, effects);
        }
        Mode::JoinOnce { .. } => {}
        Mode::CallOnce { .. } => give_up_without_server(model, effects),
        Mode::AnswerOnce { name, media } if !model.once.is_begun => {
            begin_answer(model, name.as_deref(), media, effects);
        }
        Mode::AnswerOnce { .. } => {}
    }
}

/// When [`advance`] wants to be called at the latest.
pub(super) fn due_ms(model: &Model) -> Option<u64> {
    if model.once.is_over || matches!(model.mode, Mode::Screen | Mode::Mirror) {
        return None;
    }
    let gives_up = model.once.gives_up.map(|(at_ms, _)| at_ms);
    let server_read = model.once.server_up_at_ms.map(|up| up + QUEUE_READ_MS);
    [gives_up, server_read, ready_until_ms(model)]
        .into_iter()
        .flatten()
        .filter(|due| *due > model.now_ms)
        .min()
}

fn ready_until_ms(model: &Model) -> Option<u64> {
    model.begun_ms.map(|begun| begun + READY_MS_MAX)
}

fn is_ready_time_over(model: &Model) -> bool {
    ready_until_ms(model).is_some_and(|until| model.now_ms >= until)
}

fn begin_call(model: &mut Model, name: &str, media: Media, effects: &mut Vec<Effect>) {
    let is_late = is_ready_time_over(model);
    match awaited(model, name, true) {
        Awaited::Ready(contact) => {
            let party = Party::Contact(contact.id);
            let calls_us = |incoming: &crate::model::Incoming| incoming.party == party;
            if model.incoming.as_ref().is_some_and(calls_us) {
                // Both call at once: theirs is taken.
                model.once.is_begun = ring::accept(model, media, Meanwhile::Hold, effects).is_ok();
            } else if !matches!(model.server, Server::Down(_)) && model.live_call().is_none() {
                model.once.is_begun = call::start(model, party, media, effects).is_ok();
            } else if is_late {
                give_up(model, None, effects);
            }
        }
        Awaited::Pending(name) if is_late => {
            give_up(model, Some((text::not_ready(&name), REFUSED)), effects)
        }
        Awaited::Unknown => give_up(
            model,
            Some((text::no_such_contact(name), NO_CONTACT)),
            effects,
        ),
        Awaited::Pending(_) | Awaited::Maybe => {}
    }
}

fn begin_join(model: &mut Model, name: &str, media: Media, effects: &mut Vec<Effect>) {
    let is_late = is_ready_time_over(model);
    let found = model.groups().iter().find(|group| group.name == name);
    let found = found.map(|group| (GroupNumber(group.number), group.is_joined));
    // A call may have been announced while no program ran here: it is to be joined, and none made beside it.
    let is_known = |number| {
        let running = model.running.contains_key(&number);
        running || is_queue_read(model) || is_no_queue_expected(model)
    };
    match found {
        Some((number, true)) if model.live_call().is_none() && is_known(number) => {
            let party = Party::Group(number);
            model.once.is_begun = call::start(model, party, media, effects).is_ok();
        }
        Some((_, false)) if is_late => {
            give_up(model, Some((text::group_not_ready(name), REFUSED)), effects);
        }
        // The list of groups is whole when it is first told; an invitation to one may lie in an unread queue.
        None if is_late || (model.groups.is_some() && is_queue_read(model)) => {
            give_up(
                model,
                Some((text::no_such_group(name), NO_CONTACT)),
                effects,
            );
        }
        _ => {}
    }
}

fn begin_answer(model: &mut Model, name: Option<&str>, media: Media, effects: &mut Vec<Effect>) {
    if let Some(name) = name
        && matches!(awaited(model, name, false), Awaited::Unknown)
    {
        return give_up(
            model,
            Some((text::no_such_contact(name), NO_CONTACT)),
            effects,
        );
    }
    let Some(incoming) = &model.incoming else {
        return;
    };
    let caller = model.name_of_party(incoming.party).to_owned();
    match name {
        Some(name) if name != caller => {
            if ring::reject(model, effects).is_ok() {
                notice(model, text::declined_other(&caller, name), effects);
            }
        }
        _ => {
            model.once.is_begun = ring::accept(model, media, Meanwhile::Hold, effects).is_ok();
        }
    }
}

/// `is_patient`: a contact that is being made may come to have the name. Who waits for a call needs no such patience:
/// somebody who is not a contact yet does not call.
fn awaited(model: &Model, name: &str, is_patient: bool) -> Awaited {
    let could_come = match &model.contacts {
        None => true,
        Some(contacts) => {
            if let Some(contact) = contacts.iter().find(|contact| contact.name == name) {
                return if contact.ready {
                    Awaited::Ready(contact.clone())
                } else {
                    Awaited::Pending(contact.name.clone())
                };
            }
            // A contact being made may still get this name; else only an unread queue can bring it.
            let is_one_pending = contacts.iter().any(|contact| !contact.ready);
            (is_patient && is_one_pending) || !is_queue_read(model)
        }
    };
    if could_come && !is_ready_time_over(model) {
        Awaited::Maybe
    } else {
        Awaited::Unknown
    }
}

/// Whether what waited for us at the server is known by now, or cannot be.
fn is_queue_read(model: &Model) -> bool {
    match model.server {
        Server::Up | Server::Stuck(_) => model
            .once
            .server_up_at_ms
            .is_some_and(|up| model.now_ms >= up + QUEUE_READ_MS),
        Server::Down(_) => true,
        Server::Unknown => model
            .profile
            .as_ref()
            .is_some_and(|profile| !profile.has_server),
    }
}

/// Nothing was heard of the server for as long as reading takes: there may be nothing to read there, as in a group of
/// one. Two calls that begin beside one another become one all the same.
fn is_no_queue_expected(model: &Model) -> bool {
    let begun = model.begun_ms.unwrap_or(model.now_ms);
    model.server == Server::Unknown && model.now_ms >= begun + QUEUE_READ_MS
}

/// Says why and leaves; without words it is the server's fault.
fn give_up(model: &mut Model, why: Option<(String, u8)>, effects: &mut Vec<Effect>) {
    let (words, status) = match (why, &model.server) {
        (Some((words, NO_CONTACT)), _) => (words, NO_CONTACT),
        (_, Server::Down(reason)) => (text::server_down(reason), NETWORK),
        (Some(why), _) => why,
        (None, _) => (text::CALL_RUNS.to_owned(), OTHER),
    };
    let words = model.keymap.fill(&words);
    fail(model, words, effects);
    quit(model, status, effects);
}

/// An invitation that never left, because the server does not answer, is not waited for any longer.
fn give_up_without_server(model: &mut Model, effects: &mut Vec<Effect>) {
    let is_inviting = model
        .live_call()
        .is_some_and(|call| call.state == CallState::Inviting);
    if is_inviting && matches!(model.server, Server::Down(_)) && is_ready_time_over(model) {
        call::end(model, effects);
        give_up(model, None, effects);
    }
}

/// Something failed. It ends the program only when it was the one call, and no call comes of it after all.
pub(super) fn take_failure(model: &mut Model) {
    if model.once.is_begun && model.live_call().is_none() {
        let status = if matches!(model.server, Server::Down(_)) {
            NETWORK
        } else {
            OTHER
        };
        model.once.gives_up = Some((model.now_ms + FAILURE_GRACE_MS, status));
    }
}

/// The invitation of the one call cannot leave, and the server is not why.
pub(super) fn note_unsent(model: &mut Model) {
    if model.mode != Mode::Screen && model.once.is_begun {
        model.once.status.get_or_insert(OTHER);
    }
}

/// A call is over: its status is the program's when it was the one.
pub(super) fn note_end(model: &mut Model, over: &Call) {
    model.once.was_connected |= over.connected_at_ms.is_some();
    if model.mode != Mode::Screen && model.once.is_begun && over.is_ours {
        model.once.status.get_or_insert(status(over));
    }
}

/// The one call is over, and so are those that were taken beside it: the end of the program.
pub(super) fn leave_after_the_one(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(status) = model.once.status
        && model.live_calls().all(Call::is_ending)
    {
        quit(model, status, effects);
    }
}

fn status(call: &Call) -> u8 {
    let was_connected = call.connected_at_ms.is_some();
    let CallState::Ended { reason, .. } = &call.state else {
        return if was_connected { OK } else { OTHER };
    };
    if was_connected && *reason != "lost" {
        return OK;
    }
    match *reason {
        "declined" | "busy" | "unanswered" | "answered_elsewhere" | "far_hung_up" => REFUSED,
        // The caller gave up: nobody answered.
        "cancelled" => REFUSED,
        // The call of a group.
        "full" | "removed" | "ended" | "alone" => REFUSED,
        "unreachable" => NETWORK,
        "lost" | "failed_to_connect" | "network" | "server" => NETWORK,
        "device" => DEVICE,
        _ => OTHER,
    }
}

/// The status when the program is stopped from outside.
pub(super) fn stop_status(model: &Model, reason: StopReason) -> u8 {
    let is_connected = |call: &Call| call.connected_at_ms.is_some();
    let was_connected = model.once.was_connected || model.live_calls().any(is_connected);
    if model.mode == Mode::Screen || was_connected {
        OK
    } else if matches!(model.server, Server::Down(_)) {
        NETWORK
    } else if reason == StopReason::Seconds {
        REFUSED
    } else {
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::ContactId;
    use crate::event::Direction::{Incoming, Outgoing};

    #[test]
    fn the_status_says_how_the_call_ended() {
        for (reason, connected, direction, want) in [
            ("hung_up", true, Outgoing, OK),
            ("far_hung_up", true, Incoming, OK),
            ("lost", true, Outgoing, NETWORK),
            ("failed_to_connect", false, Outgoing, NETWORK),
            ("declined", false, Outgoing, REFUSED),
            ("cancelled", false, Outgoing, REFUSED),
            ("cancelled", false, Incoming, REFUSED),
            ("peer_incompatible", false, Outgoing, OTHER),
            ("left", true, Outgoing, OK),
            ("alone", true, Outgoing, OK),
            ("full", false, Outgoing, REFUSED),
            ("unreachable", false, Outgoing, NETWORK),
        ] {
            let words = String::new();
            let state = CallState::Ended {
                reason,
                words,
                duration: Duration::ZERO,
            };
            let party = Party::Contact(ContactId(1));
            let mut call = Call::new(None, party, direction, Media::Audio, state);
            call.connected_at_ms = connected.then_some(5);
            assert_eq!(status(&call), want, "{reason}");
        }
    }
}
