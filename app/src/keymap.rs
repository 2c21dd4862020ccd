//! The key table: which key does what, when it is valid, and what the bottom bar and the help say about it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use key::{control, letter, plain};

use crate::event::{Media, Party};
use crate::layers::MenuStep;
use crate::model::{CALLS_MAX, Call, Mode, Model, Overlay};
use crate::text;
use crate::update::settings::ITEMS;
use crate::view::look::Glyphs;

mod key;
mod name;
mod table;

pub use key::{KEYS_ALLOWED, Key};
pub use name::Context;
pub use table::{Collision, KEYS_MAX, Keymap, Row};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the ringing call with what it offers.
    Accept,
    /// End the call one is in and take the ringing one.
    EndAndAccept,
    /// Take a ringing video call with the camera off.
    AcceptSound,
    /// Decline the ringing call.
    Decline,
    /// Let the ringing call ring without a sound.
    Ignore,
    /// Own microphone off or on.
    Mute,
    /// Own camera on or off.
    Video,
    /// End the call.
    HangUp,
    /// Pause the call or go on with it.
    Hold,
    /// Go on with the call that waits on hold, and hold this one.
    Swap,
    /// Join the call of a group that runs.
    Join,
    /// Show our screen in the call of a group, or no longer.
    Screen,
    /// Push-to-talk: the microphone is open while the key is held, or until it is pressed again.
    Talk,
    /// Hear nothing and be muted, or as before.
    Deafen,
    /// The list of people in the call of a group.
    Roster,
    /// A large picture of the chosen person, or of whoever speaks.
    Focus,
    /// The chosen person a step louder.
    Louder,
    /// The same softer.
    Softer,
    /// The chosen person is not heard here, or is again.
    Silence,
    /// Copy the link that is shown.
    Copy,
    /// Do the obvious: call the chosen contact, or add what was typed.
    Confirm,
    /// Call the chosen contact, sound only.
    CallAudio,
    /// Call the chosen contact with pictures.
    CallVideo,
    /// Make an invitation.
    Invite,
    /// Open the field for a link.
    Add,
    /// Give the keys to the field for a text message.
    Write,
    /// A page up in the conversation.
    PageUp,
    /// A page down.
    PageDown,
    /// Show or hide the QR code of an invitation.
    Qr,
    /// Compare words with the chosen contact.
    Words,
    /// The words are the same.
    Same,
    /// They are not.
    Different,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// Let calls ring or not.
    DoNotDisturb,
    /// Find what can be done now by its name.
    Palette,
    /// List only contacts and groups of such a name.
    Filter,
    /// What can be done about the chosen contact.
    Contact,
    /// Show or hide the settings.
    Settings,
    /// Show or hide the log of this run.
    Log,
    /// Show or hide the figures of the call.
    Stats,
    /// Show or hide the help.
    Help,
    /// Close what lies on top.
    Close,
    /// Close what lies on top, or leave the program. Never ends a call.
    Back,
    /// Ctrl-C: leave, asking once more when a call runs.
    Interrupt,
}

/// Where the help lists a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Ringing and talking; with Alt also while a text field has the keys.
    Call,
    /// Choosing and making contacts.
    Contacts,
    /// The rest.
    Program,
}

/// One row of the table of defaults.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// All keys that do it; the first is the one the bottom bar names.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// Where the help lists them.
    pub group: Group,
}

/// The defaults, in the order of the bottom bar and the help. The first valid row of a key wins. A new action stands here,
/// and its name and context in `keymap/name.rs`; `[keys]` of the configuration can then change its keys.
pub const BINDINGS: &[Binding] = &[
    row(&[letter('a')], Action::Accept, Group::Call),
    row(&[letter('e')], Action::EndAndAccept, Group::Call),
    row(&[letter('x')], Action::Decline, Group::Call),
    row(&[letter('i')], Action::Ignore, Group::Call),
    row(&[letter('s')], Action::AcceptSound, Group::Call),
    // While a call with pictures rings, `s` takes it without.
    row(&[letter('s')], Action::Stats, Group::Call),
    row(&[letter('m')], Action::Mute, Group::Call),
    row(&[letter('v')], Action::Video, Group::Call),
    row(&[letter('H')], Action::HangUp, Group::Call),
    row(&[letter('o')], Action::Hold, Group::Call),
    row(&[letter('w')], Action::Swap, Group::Call),
    // A capital: `j` goes down in the lists, and a slip must not open a microphone.
    row(&[letter('J')], Action::Join, Group::Call),
    row(&[letter('S')], Action::Screen, Group::Call),
    row(&[letter(' ')], Action::Talk, Group::Call),
    row(&[letter('d')], Action::Deafen, Group::Call),
    row(&[letter('r')], Action::Roster, Group::Call),
    row(&[letter('f')], Action::Focus, Group::Call),
    row(&[letter('+')], Action::Louder, Group::Call),
    row(&[letter('-')], Action::Softer, Group::Call),
    row(&[letter('M')], Action::Silence, Group::Call),
    row(&[letter('c')], Action::Copy, Group::Contacts),
    row(&[plain(KeyCode::Enter)], Action::Confirm, Group::Contacts),
    row(&[letter('c')], Action::CallAudio, Group::Contacts),
    row(&[letter('C')], Action::CallVideo, Group::Contacts),
    row(&[letter('i')], Action::Invite, Group::Contacts),
    row(&[letter('+'), letter('A')], Action::Add, Group::Contacts),
    row(&[letter('Q')], Action::Qr, Group::Contacts),
    row(&[letter('y')], Action::Same, Group::Contacts),
    row(&[letter('n')], Action::Different, Group::Contacts),
    row(&[letter('w')], Action::Words, Group::Contacts),
    row(
        &[letter('t'), plain(KeyCode::Tab)],
        Action::Write,
        Group::Contacts,
    ),
    row(&[plain(KeyCode::PageUp)], Action::PageUp, Group::Contacts),
    row(
        &[plain(KeyCode::PageDown)],
        Action::PageDown,
        Group::Contacts,
    ),
    row(
        &[plain(KeyCode::Up), letter('k')],
        Action::Up,
        Group::Contacts,
    ),
    row(
        &[plain(KeyCode::Down), letter('j')],
        Action::Down,
        Group::Contacts,
    ),
    row(&[letter('D')], Action::DoNotDisturb, Group::Program),
    row(&[letter('?')], Action::Help, Group::Program),
    row(&[plain(KeyCode::Esc)], Action::Close, Group::Program),
    row(&[letter('q')], Action::Back, Group::Program),
    row(&[control('c')], Action::Interrupt, Group::Program),
    // After what closes and leaves, so that the bottom bar keeps its room for those.
    row(&[letter('E')], Action::Contact, Group::Contacts),
    row(&[letter('/')], Action::Filter, Group::Contacts),
    row(&[letter(':')], Action::Palette, Group::Program),
    row(&[letter(',')], Action::Settings, Group::Program),
    row(&[letter('L')], Action::Log, Group::Program),
];

const fn row(keys: &'static [Key], action: Action, group: Group) -> Binding {
    Binding {
        keys,
        action,
        group,
    }
}

/// What this key press means now; `None` for a key without meaning, and for text while a field has the keys.
///
/// A key that is bound and not valid now is still returned: whoever pressed it is told why nothing happened.
#[must_use]
pub fn action(model: &Model, event: KeyEvent) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let bound = || {
        let rows = model.keymap.rows().iter();
        rows.filter(|row| row.keys.iter().any(|key| key.matches(event)))
    };
    if is_typing(model) {
        let is_alt = event.modifiers.contains(KeyModifiers::ALT);
        return bound()
            .find(|row| {
                // A letter that is bound to more than typing is a letter here.
                let is_typed = || {
                    let mut keys = row.keys.iter().filter(|key| key.matches(event));
                    keys.all(|key| key.is_for_typing())
                };
                let chooses = matches!(row.action, Action::Up | Action::Down);
                let is_listed = chooses && model.layers.palette.is_some();
                if is_alt {
                    row.group == Group::Call
                } else {
                    (row.action.is_done_while_typing() || is_listed) && !is_typed()
                }
            })
            .map(|row| row.action);
    }
    bound()
        .find(|row| is_valid(model, row.action))
        .or_else(|| bound().next_back())
        .map(|row| row.action)
}

/// Whether the key talks while it is held. Modifiers do not count: they may be let go before it.
#[must_use]
pub fn is_talk_key(model: &Model, event: KeyEvent) -> bool {
    let mut keys = model.keymap.keys(Action::Talk).iter();
    keys.any(|key| key.code == event.code)
}

/// Whether letters are text now.
#[must_use]
pub fn is_typing(model: &Model) -> bool {
    has_text_field(model) || model.is_typing_above()
}

/// Whether letters are text where neither palette nor filter lies above.
#[must_use]
pub fn has_text_field(model: &Model) -> bool {
    let overlay = match &model.overlay {
        Some(Overlay::Add(_)) => true,
        Some(Overlay::Contact(menu)) => matches!(menu.step, MenuStep::Rename(_)),
        _ => false,
    };
    overlay || model.writing_to().is_some()
}

/// Whether the action would do something now.
#[must_use]
pub fn is_valid(model: &Model, action: Action) -> bool {
    if model.mode == Mode::Mirror {
        return is_valid_in_mirror(model, action);
    }
    let is_free = model.live_call().is_none() && model.incoming.is_none();
    // Beside a call that waits on hold another one can be begun.
    let may_call = model.incoming.is_none()
        && model.taken_call().is_none_or(|call| call.is_held())
        && model.taken_count() < CALLS_MAX;
    match action {
        Action::Accept | Action::Decline | Action::Ignore => model.incoming.is_some(),
        Action::EndAndAccept => model.incoming.is_some() && model.taken_call().is_some(),
        Action::Swap => model.held_calls().next().is_some(),
        Action::Join => may_call && can_join(model),
        Action::Screen => model.taken_call().is_some_and(is_of_a_group),
        Action::AcceptSound => model
            .incoming
            .as_ref()
            .is_some_and(|incoming| incoming.media == Media::Video),
        Action::Mute | Action::Video | Action::HangUp | Action::Hold | Action::Deafen => {
            model.taken_call().is_some()
        }
        Action::Talk
        | Action::Louder
        | Action::Softer
        | Action::Roster
        | Action::Focus
        | Action::Silence => is_valid_in_seat(model, action),
        Action::Copy | Action::Qr | Action::Words | Action::Same | Action::Different => {
            is_valid_for_people(model, action)
        }
        Action::Confirm => can_confirm(model),
        Action::CallAudio | Action::CallVideo => {
            may_call && !has_text_field(model) && model.overlay.is_none() && can_be_called(model)
        }
        Action::Invite => {
            let is_free = model.overlay.is_none() && model.incoming.is_none();
            is_free && !has_text_field(model)
        }
        Action::Add => model.overlay.is_none() && !has_text_field(model),
        Action::Write => {
            let has_reader = model.conversation.is_some() && model.selected_contact().is_some();
            has_reader && model.overlay.is_none() && !has_text_field(model)
        }
        Action::PageUp | Action::PageDown => {
            matches!(model.overlay, Some(Overlay::Help(_) | Overlay::Log(_)))
                || crate::view::picture_pages(model) > 1
                || (crate::view::shows_conversation(model)
                    && crate::view::conversation_scroll(model).1 > 0)
        }
        Action::Up | Action::Down => can_step(model),
        Action::Stats => {
            let is_free = matches!(model.overlay, None | Some(Overlay::Stats));
            is_free && model.taken_call().is_some_and(Call::is_connected)
        }
        Action::Help
        | Action::DoNotDisturb
        | Action::Palette
        | Action::Settings
        | Action::Log
        | Action::Filter
        | Action::Contact => can_open(model, action),
        Action::Close => can_close(model),
        Action::Back => {
            let is_open = model.overlay.is_some() || model.roster().is_some();
            is_open || (is_free && !has_text_field(model))
        }
        Action::Interrupt => true,
    }
}

/// Whether something lies on top, or a call that has ended stands there.
fn can_close(model: &Model) -> bool {
    has_text_field(model)
        || model.overlay.is_some()
        || model.filter().is_some()
        || model.roster().is_some()
        || model.call.as_ref().is_some_and(|call| !call.is_live())
}

/// Whether it is known which call of a group `join` means, and we are in none.
fn can_join(model: &Model) -> bool {
    let is_in_one = model.live_calls().any(is_of_a_group);
    !is_in_one && (model.call_news.is_some() || model.running.len() == 1)
}

/// Whether there are lines to step through.
fn can_step(model: &Model) -> bool {
    match model.overlay {
        Some(Overlay::Help(_)) => crate::view::help_scroll_max(model) > 0,
        Some(Overlay::Log(_)) => crate::view::log_scroll_max(model) > 0,
        Some(Overlay::Contact(_) | Overlay::Settings(_) | Overlay::Devices(_)) => true,
        Some(_) => false,
        None => {
            let has_roster = (model.taken_call()).is_some_and(|call| call.seat.is_roster_open);
            let lines = model.contacts().len() + model.groups().len();
            (lines > 1 || has_roster) && !has_text_field(model)
        }
    }
}

/// Whether Enter would do something.
fn can_confirm(model: &Model) -> bool {
    match &model.overlay {
        Some(Overlay::Add(field)) => !field.text().is_empty(),
        Some(Overlay::Contact(_) | Overlay::Devices(_)) => true,
        Some(Overlay::Settings(at)) => ITEMS.get(*at).is_some_and(|item| item.can_change()),
        Some(_) => false,
        None => match model.writing_to() {
            Some(contact) => {
                let draft = model.drafts.of(contact);
                draft.is_some_and(|field| !field.text().is_empty())
            }
            None => is_valid(model, Action::CallAudio),
        },
    }
}

/// The same for what is laid over the main part, and for switches of the program.
fn can_open(model: &Model, action: Action) -> bool {
    if has_text_field(model) {
        return false;
    }
    match (action, &model.overlay) {
        (Action::Help | Action::DoNotDisturb | Action::Palette, _)
        | (Action::Settings, None | Some(Overlay::Settings(_)))
        | (Action::Log, None | Some(Overlay::Log(_))) => true,
        (Action::Filter, None) => match model.roster() {
            Some(call) => call.people.len() > 1,
            None => model.contacts().len() + model.groups().len() > 1,
        },
        (Action::Contact, None) => model.selected_contact().is_some(),
        _ => false,
    }
}

/// The same for how one sits in a call: only where it is connected.
fn is_valid_in_seat(model: &Model, action: Action) -> bool {
    let Some(call) = model.taken_call().filter(|call| call.is_connected()) else {
        return false;
    };
    match action {
        Action::Roster | Action::Focus => is_of_a_group(call),
        Action::Silence => call.seat.is_roster_open || !is_of_a_group(call),
        _ => !call.is_held(),
    }
}

fn is_of_a_group(call: &Call) -> bool {
    matches!(call.party, Party::Group(_))
}

/// Whether the chosen contact or group can be called.
fn can_be_called(model: &Model) -> bool {
    if let Some(group) = model.selected_group() {
        return group.is_joined && !model.live_calls().any(is_of_a_group);
    }
    model.selected_contact().is_some_and(|contact| {
        let party = Party::Contact(contact.id);
        let is_free = model.live_calls().all(|call| call.party != party);
        contact.ready && !contact.blocked && is_free
    })
}

/// The same for what makes contacts and verifies them.
fn is_valid_for_people(model: &Model, action: Action) -> bool {
    match (&model.overlay, action) {
        (Some(Overlay::Invite(invite)), Action::Copy) => invite.link.is_some(),
        (Some(Overlay::Invite(invite)), Action::Qr) => {
            invite.code.is_some() && model.look.glyphs == Glyphs::Unicode
        }
        (Some(Overlay::Words(contact)), Action::Same | Action::Different) => {
            model.words.contains_key(contact)
        }
        (None, Action::Words) => !has_text_field(model) && model.selected_contact().is_some(),
        _ => false,
    }
}

/// Whether the action would do something in the mirror: there is only a picture to look at.
fn is_valid_in_mirror(model: &Model, action: Action) -> bool {
    match action {
        Action::Up | Action::Down => {
            matches!(model.overlay, Some(Overlay::Help(_)))
                && crate::view::help_scroll_max(model) > 0
        }
        Action::Close => model.overlay.is_some(),
        Action::Help | Action::Back | Action::Interrupt => true,
        _ => false,
    }
}

/// One entry of the bottom bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The key, with `Alt-` where letters are text.
    pub key: String,
    /// A word for what it does.
    pub words: &'static str,
    /// What it does.
    pub action: Action,
}

/// The keys valid now with a word for each, most important first, `?` last: what the bottom bar shows.
#[must_use]
pub fn hints(model: &Model) -> Vec<Hint> {
    let in_field = is_typing(model);
    let is_above = model.is_typing_above();
    let rows = model.keymap.rows().iter().filter(|row| match row.action {
        Action::Confirm | Action::Close if is_above => true,
        action => is_valid(model, action) && (!is_above || row.group == Group::Call),
    });
    let mut hints: Vec<_> = rows
        .filter_map(|row| {
            let words = text::hint(model, row.action)?;
            let name = row.keys.first()?.name();
            let needs_alt = in_field && row.group == Group::Call;
            Some(Hint {
                key: if needs_alt {
                    format!("Alt-{name}")
                } else {
                    name
                },
                words,
                action: row.action,
            })
        })
        .collect();
    // What is typed into comes before what goes on below it.
    let is_below = |action| is_above && !matches!(action, Action::Confirm | Action::Close);
    hints.sort_by_key(|hint| (is_below(hint.action), hint.action == Action::Help));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_help_and_stands_once_in_the_table() {
        for (index, binding) in BINDINGS.iter().enumerate() {
            assert!(!text::help(binding.action).is_empty());
            assert_eq!(Action::named(binding.action.name()), Some(binding.action));
            assert!(!binding.keys.is_empty());
            assert!(
                BINDINGS[..index]
                    .iter()
                    .all(|other| other.action != binding.action),
                "{binding:?}"
            );
        }
    }

    #[test]
    fn no_key_needs_a_function_key() {
        assert!(
            BINDINGS
                .iter()
                .all(|binding| !matches!(binding.keys[0].code, KeyCode::F(_)))
        );
    }
}
