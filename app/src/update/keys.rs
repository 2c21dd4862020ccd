//! Key presses and pasted text.

use crossterm::event::{KeyEvent, KeyEventKind};

use super::call::{self, focus, hold, ring, seat, talk};
use super::palette::{self, Then};
use super::{command, devices, group, history, layers, menu, notice, people, say, settings, stop};
use crate::effect::Effect;
use crate::event::{GroupNumber, Meanwhile, Media, StopReason, Switch};
use crate::keymap::{self, Action};
use crate::layers::{ContactMenu, MenuStep};
use crate::model::{Invite, Mode, Model, Overlay};
use crate::text;
use crate::update::field::Field;

/// How long after a call begins to ring its keys do nothing: a key meant for something else must not take a call.
const RING_GUARD_MS: u64 = 300;
/// Rows of a terminal that does not tell.
const ROWS_USUAL: u16 = 24;
/// How long a second Ctrl-C has time.
const INTERRUPT_MS: u64 = 3_000;

/// One key.
pub(super) fn press(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    // What a click asked for is not what is wanted any more.
    model.layers.clicked_until_ms = None;
    if !keymap::is_talk_key(model, key) {
        talk::other_key(model);
    }
    match keymap::action(model, key) {
        Some(Action::Talk) => {
            let is_repeat = key.kind == KeyEventKind::Repeat;
            if let Err(words) = talk::press(model, is_repeat, effects) {
                let words = model.keymap.fill(&words);
                say(model, words);
            }
        }
        Some(action) => perform(model, action, effects),
        None if palette::press(model, key) => {}
        None => {
            if let Some(Overlay::Contact(ContactMenu {
                step: MenuStep::Rename(field),
                ..
            })) = &mut model.overlay
            {
                field.press(key);
            } else if let Some(Overlay::Add(field)) = &mut model.overlay {
                field.press(key);
            } else if let Some(contact) = model.writing_to() {
                model.drafts.of_mut(contact).press(key);
            }
        }
    }
    history::look(model, effects);
}

/// Does what a key, a click or a line of the palette means, and says why not.
pub(super) fn perform(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    let done = match palette::act(model, action, effects) {
        Some(Ok(Then::Do(action))) => act(model, action, effects),
        Some(done) => done.map(|_| ()),
        None => act(model, action, effects),
    };
    if let Err(words) = done {
        let words = model.keymap.fill(&words);
        say(model, words);
    }
}

/// A key was let go.
pub(super) fn release(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    if keymap::is_talk_key(model, key) {
        talk::release(model, effects);
    }
}

/// Text pasted: into the field, or a link into a field opened for it. Never run as keys.
pub(super) fn paste(model: &mut Model, pasted: &str) {
    if model.mode == Mode::Mirror {
        let words = model.keymap.fill(text::ONLY_A_MIRROR);
        return say(model, words);
    }
    if palette::paste(model, pasted) {
        return;
    }
    if let Some(Overlay::Contact(ContactMenu {
        step: MenuStep::Rename(field),
        ..
    })) = &mut model.overlay
    {
        if !field.insert(pasted) {
            say(model, text::LINK_TOO_LONG);
        }
        return;
    }
    if let Some(contact) = model.writing_to() {
        if !model.drafts.of_mut(contact).insert(pasted) {
            say(model, text::TEXT_TOO_LONG);
        }
        return;
    }
    if model.overlay.is_none() && pasted.trim_start().starts_with("hullo:") {
        model.overlay = Some(Overlay::Add(Field::default()));
    }
    let Some(Overlay::Add(field)) = &mut model.overlay else {
        let words = model.keymap.fill(text::PASTE_HERE);
        say(model, words);
        return;
    };
    if !field.insert(pasted) {
        say(model, text::LINK_TOO_LONG);
    }
}

/// What was typed was refused: it is back in its field, unless something else has the keys meanwhile.
pub(super) fn add_again(model: &mut Model) {
    let is_free = model.overlay.is_none()
        && model.writing_to().is_none()
        && model.layers.palette.is_none()
        && model.incoming.is_none();
    if let Some(field) = model.adding.take().filter(|_| is_free) {
        model.overlay = Some(Overlay::Add(field));
    }
}

/// Does it, or says why not.
fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model.mode == Mode::Mirror && !keymap::is_valid(model, action) {
        return Err(text::ONLY_A_MIRROR.to_owned());
    }
    match action {
        Action::Accept => guarded(model)
            .and_then(|()| ring::accept(model, Media::Video, Meanwhile::Hold, effects)),
        Action::EndAndAccept => {
            guarded(model).and_then(|()| ring::accept(model, Media::Video, Meanwhile::End, effects))
        }
        Action::AcceptSound if offers_sound_only(model) => Err(text::SOUND_ONLY_ALREADY.to_owned()),
        Action::AcceptSound => guarded(model)
            .and_then(|()| ring::accept(model, Media::Audio, Meanwhile::Hold, effects)),
        Action::Decline => ring::reject(model, effects),
        Action::Ignore => ring::ignore(model, effects),
        Action::Hold => hold::set_hold(model, Switch::Toggle, effects),
        Action::Swap => hold::swap(model, effects),
        Action::Join => group::join_running(model, effects),
        Action::Screen => call::set_screen(model, Switch::Toggle, effects),
        Action::Talk
        | Action::Deafen
        | Action::Roster
        | Action::Focus
        | Action::Louder
        | Action::Softer
        | Action::Silence => act_in_seat(model, action, effects),
        Action::DoNotDisturb | Action::Copy | Action::Qr | Action::Help => {
            turn(model, action, effects);
            Ok(())
        }
        Action::Stats => turn_stats(model),
        Action::Mute => call::set_mute(model, Switch::Toggle, effects),
        Action::Video if model.live_call().is_none() => Err(text::NO_CALL_VIDEO.to_owned()),
        Action::Video => call::set_camera(model, Switch::Toggle, effects),
        Action::HangUp => call::hang_up(model, effects),
        Action::Confirm => confirm(model, effects),
        Action::CallAudio => start(model, Media::Audio, effects),
        Action::CallVideo => start(model, Media::Video, effects),
        Action::Invite | Action::Add if model.overlay.is_some() => {
            Err(text::CLOSE_FIRST.to_owned())
        }
        Action::Invite => {
            command::invite(model, effects)?;
            model.overlay = Some(Overlay::Invite(Invite::default()));
            Ok(())
        }
        Action::Add => {
            model.overlay = Some(Overlay::Add(Field::default()));
            Ok(())
        }
        Action::Write => history::write(model),
        Action::PageUp | Action::PageDown => {
            turn_page(model, action == Action::PageUp, effects);
            Ok(())
        }
        Action::Words => people::open_words(model, effects),
        Action::Same => people::compared(model, true, effects),
        Action::Different => people::compared(model, false, effects),
        Action::Palette | Action::Filter | Action::Contact | Action::Settings | Action::Log => {
            layers::open(model, action, effects)
        }
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::Close => close(model),
        Action::Back => back(model, effects),
        Action::Interrupt => interrupt(model, effects),
    }
}

/// The same for how one sits in a call.
fn act_in_seat(model: &mut Model, action: Action, effects: &mut Vec<Effect>) -> Result<(), String> {
    match action {
        Action::Talk => talk::press(model, false, effects),
        Action::Deafen => seat::set_deafened(model, Switch::Toggle, effects),
        Action::Roster => seat::turn_roster(model),
        Action::Focus => focus::turn(model, effects),
        Action::Louder => seat::step_volume(model, true, effects),
        Action::Softer => seat::step_volume(model, false, effects),
        Action::Silence => seat::turn_silence(model, effects),
        _ => Ok(()),
    }
}

/// What always works.
fn turn(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::DoNotDisturb => call::set_do_not_disturb(model, Switch::Toggle, effects),
        Action::Copy => copy(model, effects),
        Action::Qr => turn_qr(model),
        _ => turn_help(model),
    }
}

fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Invite(Invite {
        link: Some(link), ..
    })) = &model.overlay
    {
        effects.push(Effect::Copy(link.clone()));
        say(model, text::COPIED);
    }
}

fn offers_sound_only(model: &Model) -> bool {
    let incoming = model.incoming.as_ref();
    incoming.is_some_and(|incoming| incoming.media == Media::Audio)
}

fn turn_page(model: &mut Model, is_back: bool, effects: &mut Vec<Effect>) {
    if matches!(model.overlay, Some(Overlay::Help(_) | Overlay::Log(_))) {
        // A line of what was read stays in sight, whatever lies around it.
        let rows = model.size.map_or(ROWS_USUAL, |(_, rows)| rows);
        for _ in 0..(rows / 2).max(1) {
            // Only a list that is not there cannot be walked through.
            let _ = step(model, if is_back { -1 } else { 1 });
        }
        return;
    }
    if !seat::turn_page(model, is_back) {
        history::scroll(model, is_back, effects);
    }
}

fn turn_help(model: &mut Model) {
    let is_shown = matches!(model.overlay, Some(Overlay::Help(_)));
    model.overlay = (!is_shown).then_some(Overlay::Help(0));
}

fn turn_stats(model: &mut Model) -> Result<(), String> {
    let is_shown = matches!(model.overlay, Some(Overlay::Stats));
    if !is_shown && !keymap::is_valid(model, Action::Stats) {
        return Err(text::NO_STATS.to_owned());
    }
    model.overlay = (!is_shown).then_some(Overlay::Stats);
    Ok(())
}

fn turn_qr(model: &mut Model) {
    if let Some(Overlay::Invite(invite)) = &mut model.overlay {
        invite.is_qr_shown = !invite.is_qr_shown;
    }
}

fn guarded(model: &Model) -> Result<(), String> {
    match &model.incoming {
        Some(incoming) if model.now_ms < incoming.since_ms + RING_GUARD_MS => {
            Err(text::PRESS_AGAIN.to_owned())
        }
        _ => Ok(()),
    }
}

fn confirm(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    match &model.overlay {
        Some(Overlay::Add(field)) => {
            if field.text().is_empty() {
                return Err(text::NOTHING_TYPED.to_owned());
            }
            effects.push(Effect::Add(field.text().to_owned()));
            model.adding = Some(field.clone());
            model.overlay = None;
            say(model, text::ADDING);
            Ok(())
        }
        Some(Overlay::Contact(_)) => menu::confirm(model, effects),
        Some(Overlay::Devices(_)) => {
            devices::confirm(model, effects);
            Ok(())
        }
        Some(Overlay::Settings(at)) => {
            let item = settings::ITEMS[(*at).min(settings::ITEMS.len() - 1)];
            settings::change(model, item, effects)
        }
        Some(_) => Err(text::CLOSE_FIRST.to_owned()),
        None if model.writing_to().is_some() => history::send_typed(model, effects),
        None => start(model, Media::Audio, effects),
    }
}

fn start(model: &mut Model, media: Media, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model.overlay.is_some() {
        return Err(text::CLOSE_FIRST.to_owned());
    }
    let party = model.selected_party().ok_or(text::NO_CONTACT_CHOSEN)?;
    call::start(model, party, media, effects)
}

/// One line up or down in the help or the contacts.
fn step(model: &mut Model, by: isize) -> Result<(), String> {
    if model.overlay.is_none() && seat::step(model, by) {
        return Ok(());
    }
    let last = crate::view::help_scroll_max(model);
    let log_last = crate::view::log_scroll_max(model);
    match &mut model.overlay {
        Some(Overlay::Contact(open)) => menu::step(open, by > 0),
        Some(Overlay::Devices(menu)) => {
            let last = menu.lines().len() - 1;
            menu.chosen = menu.chosen.saturating_add_signed(by).min(last);
        }
        Some(Overlay::Settings(at)) => {
            *at = at.saturating_add_signed(by).min(settings::ITEMS.len() - 1);
        }
        // Up is back in time.
        Some(Overlay::Log(back)) => {
            *back = if by < 0 {
                (*back + 1).min(log_last)
            } else {
                back.saturating_sub(1)
            };
        }
        Some(Overlay::Help(scroll)) => {
            *scroll = if by < 0 {
                scroll.saturating_sub(1)
            } else {
                (*scroll + 1).min(last)
            };
        }
        Some(_) => return Err(text::CLOSE_FIRST.to_owned()),
        None => {
            step_in_lists(model, by);
            forget_ended(model);
        }
    }
    Ok(())
}

/// One line up or down among the contacts and the groups below them.
fn step_in_lists(model: &mut Model, by: isize) {
    let contacts: Vec<_> = model.listed_contacts().collect();
    let groups: Vec<_> = model.listed_groups().collect();
    if contacts.is_empty() && groups.is_empty() {
        return;
    }
    let of_group = (model.selected_group)
        .and_then(|number| groups.iter().position(|group| group.number == number.0));
    let of_contact = || {
        let mut ids = contacts.iter().map(|contact| Some(contact.id));
        ids.position(|id| id == model.selected).unwrap_or(0)
    };
    let at = of_group.map_or_else(of_contact, |at| contacts.len() + at);
    let last = (contacts.len() + groups.len()).saturating_sub(1);
    let next = at.saturating_add_signed(by).min(last);
    let group = next.checked_sub(contacts.len());
    let group = group.and_then(|at| groups.get(at));
    let contact = contacts.get(next).map(|contact| contact.id);
    model.selected_group = group.map(|group| GroupNumber(group.number));
    model.selected = contact.or(model.selected);
}

/// A call that has ended makes room for the contact.
pub(super) fn forget_ended(model: &mut Model) {
    if model.live_call().is_none() {
        model.call = None;
    }
}

fn close(model: &mut Model) -> Result<(), String> {
    if menu::close(model) || devices::close(model) {
        return Ok(());
    }
    if let (None, Some(conversation)) = (&model.overlay, &mut model.conversation)
        && std::mem::take(&mut conversation.is_writing)
    {
        return Ok(());
    }
    if model.overlay.take().is_none() && !seat::close_roster(model) {
        forget_ended(model);
        model.message = None;
    }
    Ok(())
}

fn back(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model.overlay.take().is_some() || seat::close_roster(model) {
        return Ok(());
    }
    if let Some(incoming) = &model.incoming {
        return Err(text::answer_first(model.name_of_party(incoming.party)));
    }
    if has_call(model) {
        return Err(text::HANG_UP_FIRST.to_owned());
    }
    stop(model, StopReason::Quit, effects);
    Ok(())
}

/// Whether somebody would be left by leaving; the mirror is nobody.
fn has_call(model: &Model) -> bool {
    model.live_call().is_some() && model.mode != Mode::Mirror
}

fn interrupt(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let is_second = model
        .interrupt_until_ms
        .is_some_and(|until| model.now_ms < until);
    if has_call(model) && !is_second {
        model.interrupt_until_ms = Some(model.now_ms + INTERRUPT_MS);
        let words = model.keymap.fill(text::INTERRUPT_AGAIN);
        notice(model, words, effects);
        return Ok(());
    }
    stop(model, StopReason::Quit, effects);
    Ok(())
}
