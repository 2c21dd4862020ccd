//! What lies over the main view for a moment beside the overlays of [`crate::model`]: the palette, the filter of the
//! lists, the menu of a contact; and what the settings and the log show.

use std::collections::BTreeSet;
use std::sync::Arc;

use hullo_media::process::Processing;

use crate::attention::AttentionSettings;
use crate::event::{Contact, ContactId};
use crate::groups::GroupLine;
use crate::keymap::Action;
use crate::model::{Call, Model};
use crate::update::field::Field;
use crate::view::theme::Theme;

/// The layers of a model. Has no `Debug`: what is typed may be a link.
#[derive(Clone, Default)]
pub struct Layers {
    /// The command palette, while it is open.
    pub palette: Option<Palette>,
    /// The filter of contacts and groups, while there is one.
    pub filter: Option<Filter>,
    /// The newest lines of the log, oldest first; read while the log is open.
    pub log: Vec<Arc<str>>,
    /// What was decided at the start, for the settings.
    pub setup: Setup,
    /// Camera, microphone and speaker that were chosen since the start: they go before the command line.
    pub(crate) devices_chosen: [bool; 3],
    /// Echo, noise and gain as they were switched since the start.
    pub(crate) sound_switched: [Option<bool>; 3],
    /// What was clicked that asks for a second click, and until when that counts.
    pub(crate) clicked_until_ms: Option<(Action, u64)>,
}

/// The command palette.
#[derive(Clone, Default)]
pub struct Palette {
    /// What was typed.
    pub field: Field,
    /// Which of the matches is chosen, from 0.
    pub chosen: usize,
}

/// The filter of the lists.
#[derive(Clone, Default)]
pub struct Filter {
    /// What names must contain; case does not matter.
    pub field: Field,
    /// The keys go into the field. Later the filter stays and keys are keys again.
    pub is_typing: bool,
}

/// What can be done about a contact. Has no `Debug`, as [`Field`] has none.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactMenu {
    /// About whom.
    pub contact: ContactId,
    /// Which line is chosen, from 0.
    pub chosen: usize,
    /// How far it is.
    pub step: MenuStep,
}

/// How far a [`ContactMenu`] is.
#[derive(Clone, PartialEq, Eq)]
pub enum MenuStep {
    /// A line is being chosen.
    Choose,
    /// The new name is being typed.
    Rename(Field),
    /// Enter once more forgets the contact.
    Remove,
}

/// One line of a [`ContactMenu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuLine {
    /// Call it something else.
    Rename,
    /// Compare words.
    Words,
    /// Drop what it sends.
    Block,
    /// Take it again.
    Unblock,
    /// Forget it.
    Remove,
}

/// What was decided at the start of the program, and by what.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The configuration's file, as shown.
    pub config: String,
    /// It is there.
    pub is_config_there: bool,
    /// It is there, and something in it is wrong: defaults count.
    pub is_config_wrong: bool,
    /// What the file sets, as `table.key`.
    pub written: BTreeSet<String>,
    /// How calls draw attention by the file and the defaults.
    pub attention: AttentionSettings,
    /// The colours by the file and the defaults.
    pub theme: Theme,
    /// Mouse reports by the file and the defaults.
    pub mouse: bool,
    /// Echo, noise and gain by the file and the defaults.
    pub sound_given: Processing,
    /// The same as the command line says it.
    pub sound_flags: [Option<bool>; 3],
    /// Camera, microphone and speaker as the file names them.
    pub devices_filed: [Option<String>; 3],
    /// `--camera`, `--mic` and `--speaker` as they were given.
    pub devices: [Option<String>; 3],
    /// `--color` was given.
    pub is_colour_given: bool,
    /// Where the log is written.
    pub log: Option<String>,
    /// Folder of the profile.
    pub profile: String,
}

impl Layers {
    /// The part of names that is looked for.
    #[must_use]
    pub fn sought(&self) -> Option<&str> {
        self.filter.as_ref()?.sought()
    }
}

impl Filter {
    /// One whose field has the keys.
    #[must_use]
    pub fn begun() -> Self {
        Self {
            field: Field::for_words(),
            is_typing: true,
        }
    }

    /// The part of names that is looked for; `None` while nothing was typed.
    #[must_use]
    pub fn sought(&self) -> Option<&str> {
        let text = self.field.text().trim();
        (!text.is_empty()).then_some(text)
    }
}

impl ContactMenu {
    /// The lines for this contact.
    #[must_use]
    pub fn lines(contact: &Contact) -> [MenuLine; 4] {
        let block = if contact.blocked {
            MenuLine::Unblock
        } else {
            MenuLine::Block
        };
        [MenuLine::Rename, MenuLine::Words, block, MenuLine::Remove]
    }
}

impl Model {
    /// The contacts that the filter leaves, in the order to show.
    pub fn listed_contacts(&self) -> impl Iterator<Item = &Contact> {
        let sought = self.layers.sought().map(str::to_lowercase);
        self.contacts().iter().filter(move |contact| {
            (sought.as_ref()).is_none_or(|sought| contact.name.to_lowercase().contains(sought))
        })
    }

    /// The call whose list of people is open and has the keys for choosing.
    #[must_use]
    pub fn roster(&self) -> Option<&Call> {
        let call = self.taken_call().filter(|call| call.seat.is_roster_open);
        call.filter(|_| self.overlay.is_none())
    }

    /// The filter that is on the screen: that of the list of people while it is open, else that of the lists.
    #[must_use]
    pub fn filter(&self) -> Option<&Filter> {
        match self.roster() {
            Some(call) => call.seat.filter.as_ref(),
            None => self.layers.filter.as_ref(),
        }
    }

    /// Letters are text for the palette or a filter.
    #[must_use]
    pub fn is_typing_above(&self) -> bool {
        let has_filter = self.filter().is_some_and(|filter| filter.is_typing);
        self.layers.palette.is_some() || has_filter
    }

    /// Takes away the filter that is on the screen.
    pub(crate) fn drop_filter(&mut self) {
        let of_people = self.roster().is_some();
        match self.live_call_mut().filter(|_| of_people) {
            Some(call) => call.seat.filter = None,
            None => self.layers.filter = None,
        }
    }

    pub(crate) fn filter_mut(&mut self) -> Option<&mut Filter> {
        if self.roster().is_some() {
            return self.live_call_mut()?.seat.filter.as_mut();
        }
        self.layers.filter.as_mut()
    }

    /// The groups that the filter leaves.
    pub fn listed_groups(&self) -> impl Iterator<Item = &GroupLine> {
        let sought = self.layers.sought().map(str::to_lowercase);
        self.groups().iter().filter(move |group| {
            (sought.as_ref()).is_none_or(|sought| group.name.to_lowercase().contains(sought))
        })
    }

    /// How calls draw attention now: what was changed in the settings before what the file says.
    #[must_use]
    pub fn attention_now(&self) -> AttentionSettings {
        let (given, own) = (&self.layers.setup.attention, &self.settings);
        AttentionSettings {
            bell: own.bell.unwrap_or(given.bell),
            title: own.title.unwrap_or(given.title),
            terminal: own.terminal.unwrap_or(given.terminal),
            desktop: own.desktop.unwrap_or(given.desktop),
            ring: own.ring.unwrap_or(given.ring),
            on_incoming: given.on_incoming.clone(),
        }
    }

    /// Whether clicks are asked for now.
    #[must_use]
    pub fn is_mouse_on(&self) -> bool {
        self.settings.mouse.unwrap_or(self.layers.setup.mouse)
    }
}

/// One line of the palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaletteLine {
    /// What it does.
    pub does: PaletteDeed,
    /// Its keys.
    pub keys: String,
    /// What it is for.
    pub words: String,
}

/// What a line of the palette does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaletteDeed {
    /// As its key would.
    Action(Action),
    /// A whole command with its words, as scripts write them.
    Command(String),
}
