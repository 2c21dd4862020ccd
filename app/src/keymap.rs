//! The key table: which key does what, when it is valid, and what the bottom bar and the help say about it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::event::{Media, Party};
use crate::model::{CALLS_MAX, Call, Mode, Model, Overlay};
use crate::text;
use crate::view::look::Glyphs;

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

/// A key without its meaningless modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    is_control: bool,
}

const fn plain(code: KeyCode) -> Key {
    Key {
        code,
        is_control: false,
    }
}

const fn letter(character: char) -> Key {
    plain(KeyCode::Char(character))
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// All keys that do it; the first is the one the bottom bar names.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// Where the help lists them.
    pub group: Group,
}

/// The table, in the order of the bottom bar and the help. The first valid row of a key wins.
pub const BINDINGS: [Binding; 33] = [
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
    row(
        &[Key {
            code: KeyCode::Char('c'),
            is_control: true,
        }],
        Action::Interrupt,
        Group::Program,
    ),
];

const fn row(keys: &'static [Key], action: Action, group: Group) -> Binding {
    Binding {
        keys,
        action,
        group,
    }
}

impl Key {
    /// The key's name as shown.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(character) => character.to_string(),
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Esc => "Esc".to_owned(),
            KeyCode::Up => "Up".to_owned(),
            KeyCode::Down => "Down".to_owned(),
            KeyCode::Tab => "Tab".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            other => other.to_string(),
        };
        if self.is_control {
            format!("Ctrl-{}", name.to_uppercase())
        } else {
            name
        }
    }

    fn matches(self, event: KeyEvent) -> bool {
        self.code == event.code
            && self.is_control == event.modifiers.contains(KeyModifiers::CONTROL)
    }
}

impl Binding {
    /// All its keys, for the help.
    #[must_use]
    pub fn names(&self) -> String {
        self.keys
            .iter()
            .map(|key| key.name())
            .collect::<Vec<_>>()
            .join(" ")
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
        BINDINGS
            .iter()
            .filter(|binding| binding.keys.iter().any(|key| key.matches(event)))
    };
    if has_text_field(model) {
        let is_alt = event.modifiers.contains(KeyModifiers::ALT);
        return bound()
            .find(|binding| match binding.action {
                Action::Confirm
                | Action::Close
                | Action::Interrupt
                | Action::PageUp
                | Action::PageDown => !is_alt,
                _ => is_alt && binding.group == Group::Call,
            })
            .map(|binding| binding.action);
    }
    bound()
        .find(|binding| is_valid(model, binding.action))
        .or_else(|| bound().next_back())
        .map(|binding| binding.action)
}

/// Whether letters are text now.
#[must_use]
pub fn has_text_field(model: &Model) -> bool {
    matches!(model.overlay, Some(Overlay::Add(_))) || model.writing_to().is_some()
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
        Action::Join => {
            let is_in_one = model.live_calls().any(is_of_a_group);
            may_call && !is_in_one && (model.call_news.is_some() || model.running.len() == 1)
        }
        Action::Screen => model.taken_call().is_some_and(is_of_a_group),
        Action::AcceptSound => model
            .incoming
            .as_ref()
            .is_some_and(|incoming| incoming.media == Media::Video),
        Action::Mute | Action::Video | Action::HangUp | Action::Hold => {
            model.taken_call().is_some()
        }
        Action::Copy | Action::Qr | Action::Words | Action::Same | Action::Different => {
            is_valid_for_people(model, action)
        }
        Action::Confirm => match &model.overlay {
            Some(Overlay::Add(field)) => !field.text().is_empty(),
            Some(_) => false,
            None => match model.writing_to() {
                Some(contact) => model
                    .drafts
                    .of(contact)
                    .is_some_and(|field| !field.text().is_empty()),
                None => is_valid(model, Action::CallAudio),
            },
        },
        Action::CallAudio | Action::CallVideo => {
            may_call && !has_text_field(model) && model.overlay.is_none() && can_be_called(model)
        }
        Action::Invite => {
            let is_free = model.overlay.is_none() && model.incoming.is_none();
            is_free && !has_text_field(model)
        }
        Action::Add => model.overlay.is_none() && !has_text_field(model),
        Action::Write => {
            let can = model.overlay.is_none() && model.conversation.is_some();
            can && !has_text_field(model)
        }
        Action::PageUp | Action::PageDown => {
            crate::view::shows_conversation(model) && crate::view::conversation_scroll(model).1 > 0
        }
        Action::Up | Action::Down => match model.overlay {
            Some(Overlay::Help(_)) => crate::view::help_scroll_max(model.size) > 0,
            Some(_) => false,
            None => model.contacts().len() + model.groups().len() > 1 && !has_text_field(model),
        },
        Action::Stats => {
            let is_free = matches!(model.overlay, None | Some(Overlay::Stats));
            is_free && model.taken_call().is_some_and(Call::is_connected)
        }
        Action::Help | Action::DoNotDisturb => !has_text_field(model),
        Action::Close => {
            has_text_field(model)
                || model.overlay.is_some()
                || model.call.as_ref().is_some_and(|call| !call.is_live())
        }
        Action::Back => model.overlay.is_some() || (is_free && !has_text_field(model)),
        Action::Interrupt => true,
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
                && crate::view::help_scroll_max(model.size) > 0
        }
        Action::Close => model.overlay.is_some(),
        Action::Help | Action::Back | Action::Interrupt => true,
        _ => false,
    }
}

/// The keys valid now with a word for each, most important first, `?` last: what the bottom bar shows.
#[must_use]
pub fn hints(model: &Model) -> Vec<(String, &'static str)> {
    let in_field = has_text_field(model);
    let mut hints: Vec<_> = BINDINGS
        .iter()
        .filter(|binding| is_valid(model, binding.action))
        .filter_map(|binding| {
            let words = text::hint(model, binding.action)?;
            let name = binding.keys.first()?.name();
            let needs_alt = in_field && binding.group == Group::Call;
            Some((
                if needs_alt {
                    format!("Alt-{name}")
                } else {
                    name
                },
                words,
                binding.action,
            ))
        })
        .collect();
    hints.sort_by_key(|(_, _, action)| *action == Action::Help);
    hints
        .into_iter()
        .map(|(name, words, _)| (name, words))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_help_and_stands_once_in_the_table() {
        for (index, binding) in BINDINGS.iter().enumerate() {
            assert!(!text::help(binding.action).is_empty());
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
