//! What happens to the model and what is to be done about it: pure, without I/O and without a clock.
//!
//! [`update`] is the only way in. Each kind of event has its file below; what follows from the state alone (deadlines,
//! the picture size that is worth sending, the one call of `hullo call`) is settled after every event.

pub(crate) mod call;
mod command;
pub(crate) mod deadline;
mod devices;
pub mod field;
mod group;
pub(crate) mod history;
mod keys;
mod layers;
mod menu;
mod mouse;
mod once;
pub mod palette;
pub(crate) mod people;
pub mod settings;
mod sound;
mod suspend;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::effect::Effect;
use crate::event::{Contact, Event, Party, StopReason};
use crate::model::{Holds, Message, Model, Overlay, Profile, Server, Stopping};
use crate::report::Report;
use crate::{text, view};

/// How long a sentence stays at the bottom. Longer: more is read, and less of it is still true.
const MESSAGE_MS: u64 = 5_000;
/// The same for a failure, which says what to do and is worth reading twice.
const ERROR_MS: u64 = 12_000;
/// How long leaving waits for the call to say goodbye. A user who quits must not wait longer for a dead network.
const GOODBYE: Duration = Duration::from_millis(1_500);

/// Takes one event in; the effects are to be done in this order. Tell the time first ([`Model::set_now`]).
#[must_use]
pub fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    let effects_of = &mut effects;
    model.begun_ms.get_or_insert(model.now_ms);
    match event {
        Event::Key(key) => keys::press(model, key, effects_of),
        Event::KeyRelease(key) => keys::release(model, key, effects_of),
        Event::Suspending => suspend::stop_soon(model, effects_of),
        Event::Resumed => suspend::resumed(model, effects_of),
        Event::ReportsReleases(are) => model.reports_releases = are,
        Event::Mouse(event) => mouse::take(model, event, effects_of),
        Event::Paste(pasted) => keys::paste(model, &pasted),
        Event::Resize(columns, rows) => model.size = Some((columns, rows)),
        Event::Look(look) => model.look = look,
        Event::Ground { is_light } => model.theme.is_ground_light = is_light,
        Event::Focus(is_focused) => call::talk::window_looked_at(model, is_focused, effects_of),
        Event::Command(command) => command::run(model, command, effects_of),
        Event::Groups(groups) => group::take(model, groups, effects_of),
        Event::GroupNews(words) => notice(model, words, effects_of),
        Event::GroupCallStarted { group, by } => group::call_begun(model, group, by, effects_of),
        Event::GroupCallRuns(group, running) => group::runs(model, group, running, effects_of),
        Event::Contacts(contacts) => take_contacts(model, contacts, effects_of),
        event @ Event::Profile { .. } => take_profile(model, event, effects_of),
        Event::Server { up, reason } => {
            let server = match up {
                true => Server::Up,
                false => Server::Down(reason.unwrap_or_default()),
            };
            take_server(model, server, effects_of);
        }
        Event::Stuck(reason) => take_server(model, Server::Stuck(reason), effects_of),
        Event::Invited { link } => people::take_link(model, link),
        Event::Code { code, link } => people::take_code(model, code, link, effects_of),
        Event::CodeEnded { words, is_well } => {
            people::code_ended(model, words, is_well, effects_of);
        }
        Event::Withdrawn { count } => notice(model, text::withdrawn(count), effects_of),
        Event::Words {
            contact,
            words,
            is_safety,
        } => people::take_words(model, contact, words, is_safety, effects_of),
        Event::Incoming { call, party, media } => {
            call::ring::ring(model, call, party, media, effects_of);
        }
        Event::Call(number, change) => call::take(model, number, change, effects_of),
        Event::Missed { party, why } => call::ring::missed(model, party, why, effects_of),
        Event::Settings(settings) => settings::take(model, settings, effects_of),
        Event::Devices(kind, names) => devices::listed(model, kind, names),
        Event::Log(lines) => model.layers.log = lines,
        Event::History(news) => history::take(model, news, effects_of),
        Event::Failed(words) => take_failure(model, words, effects_of),
        Event::NotAdded(words) => {
            keys::add_again(model);
            take_failure(model, words, effects_of);
        }
        Event::Notice(words) => notice_of_start(model, words, effects_of),
        Event::Tick => layers::tick(model, effects_of),
        Event::Stop(reason) => stop(model, reason, effects_of),
    }
    deadline::settle(model, effects_of);
    suspend::settle(model, effects_of);
    call::blocks::settle(model, effects_of);
    call::focus::settle(model);
    once::advance(model, effects_of);
    drop_stale(model);
    history::settle(model, effects_of);
    want_picture(model, effects_of);
    call::people::want_views(model, effects_of);
    group::watch(model, effects_of);
    effects
}

/// How things stand, as reports: for whoever begins to listen now.
#[must_use]
pub fn standing(model: &Model) -> Vec<Report> {
    let report = |contact: &Contact| Report::contact(contact, model.do_words_differ(contact));
    let mut reports: Vec<Report> = model.contacts().iter().map(report).collect();
    if model.settings.do_not_disturb {
        reports.push(Report::DoNotDisturb { on: true });
    }
    reports.extend(call::standing(model));
    reports.push(Report::Notice {
        text: text::status(model),
    });
    reports
}

/// Shows a sentence to whoever looks at the screen.
fn say(model: &mut Model, words: impl Into<String>) {
    let until_ms = model.now_ms + MESSAGE_MS;
    model.message = Some(Message {
        text: words.into(),
        is_error: false,
        stays: false,
        is_warning: false,
        until_ms,
        holds: Holds::Always,
    });
}

/// Shows a sentence that goes when it is true no more.
fn say_while(model: &mut Model, holds: Holds, words: impl Into<String>) {
    say(model, words);
    bind(model, holds);
}

/// The sentence that is shown goes when this is no longer so.
fn bind(model: &mut Model, holds: Holds) {
    if let Some(message) = &mut model.message {
        message.holds = holds;
    }
}

fn drop_stale(model: &mut Model) {
    let Some(message) = &model.message else {
        return;
    };
    let is_true = match message.holds {
        Holds::Always => true,
        Holds::InCall(number) => {
            let call = model.taken_call();
            call.is_some_and(|call| call.number == number && call.is_live() && !call.own.on_hold)
        }
        Holds::Asked => {
            let asked = model.layers.clicked_until_ms;
            asked.is_some_and(|(_, until_ms)| model.now_ms < until_ms)
        }
        Holds::Words(contact) => {
            let is_waiting = |words: &crate::model::Words| words.now.is_some();
            model.overlay != Some(Overlay::Words(contact))
                && model.words.get(&contact).is_some_and(is_waiting)
        }
    };
    if !is_true {
        model.message = None;
    }
}

/// Shows a sentence that takes longer to read.
fn say_long(model: &mut Model, words: impl Into<String>) {
    say(model, words);
    if let Some(message) = &mut model.message {
        message.until_ms = model.now_ms + ERROR_MS;
    }
}

/// Shows a sentence and tells the outside.
fn notice(model: &mut Model, words: impl Into<String>, effects: &mut Vec<Effect>) {
    let text = words.into();
    effects.push(Effect::Report(Report::Notice { text: text.clone() }));
    say(model, text);
}

/// The same for what is said once, at the start: it takes longer to read, and a call that begins leaves it.
fn notice_of_start(model: &mut Model, words: String, effects: &mut Vec<Effect>) {
    notice(model, words, effects);
    if let Some(message) = &mut model.message {
        (message.stays, message.until_ms) = (true, model.now_ms + ERROR_MS);
    }
}

/// Shows a sentence as a failure is shown, and tells the outside: what was asked for was done, and is no good news.
fn warn(model: &mut Model, words: impl Into<String>, effects: &mut Vec<Effect>) {
    notice(model, words, effects);
    if let Some(message) = &mut model.message {
        (message.is_error, message.is_warning) = (true, true);
        message.until_ms = model.now_ms + ERROR_MS;
    }
}

/// Shows a failure and tells the outside.
fn fail(model: &mut Model, words: impl Into<String>, effects: &mut Vec<Effect>) {
    let text = words.into();
    effects.push(Effect::Report(Report::Error { text: text.clone() }));
    let until_ms = model.now_ms + ERROR_MS;
    model.message = Some(Message {
        text,
        is_error: true,
        stays: false,
        is_warning: false,
        until_ms,
        holds: Holds::Always,
    });
}

fn take_contacts(model: &mut Model, contacts: Vec<Contact>, effects: &mut Vec<Effect>) {
    if let Some(known) = model.contacts.take() {
        for contact in contacts.iter().filter(|contact| !known.contains(contact)) {
            let was_ready = known.iter().any(|old| old.id == contact.id && old.ready);
            let do_differ = model.do_words_differ(contact);
            effects.push(Effect::Report(Report::contact(contact, do_differ)));
            if contact.ready && !was_ready {
                say(model, text::new_contact(&contact.name));
            }
        }
    }
    layers::forget_gone(model, &contacts);
    people::forget_settled(model, &contacts, effects);
    if !contacts
        .iter()
        .any(|contact| Some(contact.id) == model.selected)
    {
        model.selected = contacts.first().map(|contact| contact.id);
    }
    model
        .words
        .retain(|id, _| contacts.iter().any(|contact| contact.id == *id));
    model.contacts = Some(contacts);
}

fn take_profile(model: &mut Model, event: Event, effects: &mut Vec<Effect>) {
    let Event::Profile {
        name,
        short_id,
        key,
        has_server,
    } = event
    else {
        return;
    };
    let profile = Profile {
        name,
        short_id,
        key,
        has_server,
    };
    if model
        .profile
        .as_ref()
        .is_some_and(|known| known.name != profile.name)
    {
        effects.push(Effect::Report(Report::Name {
            name: profile.name.clone(),
            id: profile.short_id.clone(),
            key: profile.key.clone(),
        }));
        say(model, text::renamed(&profile.name));
    }
    model.profile = Some(profile);
}

fn take_server(model: &mut Model, server: Server, effects: &mut Vec<Effect>) {
    if server == Server::Up {
        model.once.server_up_at_ms.get_or_insert(model.now_ms);
    }
    if server == model.server {
        return;
    }
    let (up, reason) = match &server {
        Server::Down(reason) => {
            say(model, text::server_down(reason));
            (false, Some(reason.clone()))
        }
        Server::Stuck(reason) => {
            say(model, text::server_stuck(reason));
            (true, Some(reason.clone()))
        }
        Server::Unknown | Server::Up => (true, None),
    };
    effects.push(Effect::Report(Report::Server { up, reason }));
    model.server = server;
}

fn take_failure(model: &mut Model, words: String, effects: &mut Vec<Effect>) {
    if matches!(&model.overlay, Some(Overlay::Invite(invite)) if invite.link.is_none()) {
        model.overlay = None;
    }
    call::drop_unstarted(model);
    once::take_failure(model);
    fail(model, words, effects);
}

/// Leaves: at once without a call, else as soon as the call has said goodbye.
fn stop(model: &mut Model, reason: StopReason, effects: &mut Vec<Effect>) {
    if model.live_calls().next().is_some() && model.stopping.is_none() {
        let deadline_ms = model.now_ms + text::duration_ms(GOODBYE);
        model.stopping = Some(Stopping {
            reason,
            deadline_ms,
        });
        // Told even when the user has just done so: hanging up twice is harmless, not hanging up is not.
        call::end_all(model, effects);
    } else {
        quit(model, once::stop_status(model, reason), effects);
    }
}

/// Leaves now, once.
fn quit(model: &mut Model, status: u8, effects: &mut Vec<Effect>) {
    if !model.once.is_over {
        model.once.is_over = true;
        effects.push(Effect::Quit(status));
    }
}

/// Tells the call how large the far picture is drawn, when that changed. Without a screen nothing is said: recordings
/// want the size of the source.
fn want_picture(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some((columns, rows)) = model.size else {
        return;
    };
    let direct = (model.taken_call()).filter(|call| matches!(call.party, Party::Contact(_)));
    let Some(number) = direct.and_then(|call| call.number) else {
        model.picture_wanted = None;
        return;
    };
    let area = ratatui::layout::Rect::new(0, 0, columns, rows);
    let wanted = view::far_picture_area(model, area)
        .filter(|cells| !cells.is_empty())
        .map(|cells| (u32::from(cells.width), u32::from(cells.height) * 2));
    if model.picture_wanted != Some(wanted) {
        model.picture_wanted = Some(wanted);
        let now_ms = model.now_ms;
        if let Some(call) = model.live_call_mut() {
            // What was not asked for did not stand still.
            call.far_picture_at_ms = now_ms;
        }
        effects.push(Effect::WantPicture(number, wanted));
    }
}
