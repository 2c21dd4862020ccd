//! Everything the program knows and the screen shows. Changed by [`crate::update`] alone, drawn by [`crate::view`].
//!
//! It serves all front ends: the screen draws it, `--plain` and `--json` only follow the reports it causes.
//! It holds no device, socket or clock; the time is told by [`Model::set_now`].

mod call;

use std::collections::BTreeMap;
use std::sync::Arc;

use hullo_media::frame::Picture;
use hullo_signalling::history::Unseen;
use ratatui::style::Style;

use crate::conversation::{Conversation, Drafts, WallClock};
use crate::devices::DeviceMenu;
use crate::event::{
    CallNumber, CallState, Contact, ContactId, Direction, Feed, GroupNumber, Media, ParticipantId,
    Party, RunningCall, Settings,
};
use crate::groups::GroupLine;
use crate::keymap::Keymap;
use crate::layers::{ContactMenu, Layers};
use crate::participant::Participant;
use crate::report::Stats;
use crate::seat::Seat;
use crate::update::field::Field;
use crate::view::look::Look;
use crate::view::theme::{Role, Theme};

mod once;

pub(crate) use call::still_ms;
pub(crate) use once::{Once, Stopping, Suspended};

/// What the program was started for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `hullo`: the user decides, `q` ends it.
    Screen,
    /// `hullo call NAME`: one call, then the end.
    CallOnce {
        /// The contact's name.
        name: String,
        /// What to ask for.
        media: Media,
    },
    /// `hullo answer [NAME]`: take one call, then the end.
    AnswerOnce {
        /// Whose call; anybody's when absent.
        name: Option<String>,
        /// The most to accept: an audio call stays one.
        media: Media,
    },
    /// `hullo join GROUP`: one call of a group, then the end.
    JoinOnce {
        /// The group's name.
        name: String,
        /// With the camera on or not.
        media: Media,
    },
    /// `hullo mirror`: the own picture and nothing else: no contacts, no microphone, no server.
    Mirror,
}

/// What the program knows of its link to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Server {
    /// Nothing heard yet.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not, and why.
    Down(String),
    /// It does, and nothing that it says can be kept here: why.
    Stuck(String),
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What others see.
    pub name: String,
    /// The 8-character name of our key set.
    pub short_id: String,
    /// The key that servers know us by, in base64url.
    pub key: String,
    /// False while no server was ever set.
    pub has_server: bool,
}

/// Calls one can be in: one that has the devices, the others on hold. More than these nobody keeps in mind.
pub const CALLS_MAX: usize = 3;

/// Somebody is ringing here and was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The call.
    pub call: CallNumber,
    /// Who.
    pub party: Party,
    /// What they asked for.
    pub media: Media,
    /// When it began, or came to be the one that has the keys.
    pub since_ms: u64,
    /// This is the call during which the notice about addresses is shown.
    pub shows_ip_warning: bool,
}

/// What one side sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// No sound leaves that side.
    pub mic_muted: bool,
    /// Pictures leave that side.
    pub camera_on: bool,
    /// That side has put the call on hold: it neither sends nor plays.
    pub on_hold: bool,
}

/// A call, or one that just ended.
#[derive(Clone)]
pub struct Call {
    /// Its number; `None` until the call engine has confirmed it.
    pub number: Option<CallNumber>,
    /// With whom.
    pub party: Party,
    /// Who began.
    pub direction: Direction,
    /// What was asked for.
    pub media: Media,
    /// Where it stands.
    pub state: CallState,
    /// The word of the state last reported.
    pub(crate) reported: Option<&'static str>,
    /// It was started or taken from here, by a person or by the mode.
    pub(crate) is_ours: bool,
    /// Since when sound flows; `None` before that.
    pub connected_at_ms: Option<u64>,
    /// What we send; before the call is connected, what we will.
    pub own: Switches,
    /// The same as the outside was last told it.
    pub(crate) own_reported: Option<(Switches, [bool; 3])>,
    /// The last thing asked for and not yet confirmed, so that two quick presses are two changes.
    pub(crate) mute_asked: Option<bool>,
    /// The same for the camera.
    pub(crate) camera_asked: Option<bool>,
    /// What the far side says it sends; `None` while it has said nothing, as apps without such words never do.
    pub far: Option<Switches>,
    /// The contact is heard to speak.
    pub far_speaks: bool,
    /// Newest picture of the far side.
    pub far_picture: Option<Arc<Picture>>,
    /// When it came, or was asked for again after nobody had looked.
    pub(crate) far_picture_at_ms: u64,
    /// Newest picture of our own camera.
    pub own_picture: Option<Arc<Picture>>,
    /// The others in the call of a group, in the order of their numbers; none in a call with a contact.
    pub people: Vec<Participant>,
    /// Our screen is shown to the others.
    pub own_screen: bool,
    /// How we sit in it.
    pub seat: Seat,
    /// Figures of the last second.
    pub stats: Option<Box<Stats>>,
    /// What is being done about the connection, or which part of it failed last.
    pub step: Option<String>,
    /// The end was asked for at this time and has not come yet.
    pub(crate) hanging_up_at_ms: Option<u64>,
    /// Since when it is being sent.
    pub(crate) inviting_at_ms: Option<u64>,
    /// The invitation never left: nobody was called.
    pub(crate) is_unsent: bool,
    /// This is the call during which the warning about addresses is shown.
    pub shows_ip_warning: bool,
    /// What the group was called whose call it is, where we are no longer in that group.
    pub(crate) gone_group: Option<String>,
}

/// What lies over the main view and has the keys. Has no `Debug`: links are secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The key table, scrolled down by so many lines.
    Help(u16),
    /// An invitation.
    Invite(Invite),
    /// Words to compare with this contact.
    Words(ContactId),
    /// The field for a link.
    Add(Field),
    /// What can be done about a contact.
    Contact(ContactMenu),
    /// The settings, the chosen one by its place.
    Settings(usize),
    /// The devices of a kind, to choose one.
    Devices(DeviceMenu),
    /// The log, scrolled back by so many lines.
    Log(u16),
    /// The figures of the call.
    Stats,
}

/// An invitation as far as it is made. Has no `Debug`: links and codes are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Invite {
    /// `None` while it is being made.
    pub link: Option<String>,
    /// The spoken code, while it stands; and the same with its server.
    pub code: Option<(String, String)>,
    /// Why the spoken code no longer stands.
    pub ended: Option<String>,
    /// The QR code is shown in place of the link.
    pub is_qr_shown: bool,
}

/// What there is to compare with a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Twelve, the same for ever.
    pub safety: Option<String>,
    /// Four, when the other program has answered.
    pub now: Option<String>,
}

/// A sentence at the bottom that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// It tells of a failure.
    pub is_error: bool,
    /// A call that begins leaves it there.
    pub(crate) stays: bool,
    /// It stands out like a failure and is none: what was asked for was done.
    pub is_warning: bool,
    /// When it goes.
    pub(crate) until_ms: u64,
    /// What must be so for it to stay until then.
    pub(crate) holds: Holds,
}

/// As long as what a sentence at the bottom is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It tells of something that happened.
    #[default]
    Always,
    /// This call is heard.
    InCall(Option<CallNumber>),
    /// A second click is waited for.
    Asked,
    /// This contact's words wait to be looked at.
    Words(ContactId),
}

/// The whole state. Has no `Debug`: an open invitation is a secret.
pub struct Model {
    /// What the program was started for.
    pub mode: Mode,
    /// What the terminal can show.
    pub look: Look,
    /// Which key does what.
    pub keymap: Keymap,
    /// Which colours mean what.
    pub theme: Theme,
    /// The mirror's: what the pictures on the screen come to, and why they are drawn so.
    pub figures_line: Option<String>,
    /// Milliseconds since the program's start.
    pub(crate) now_ms: u64,
    /// When the first event came.
    pub(crate) begun_ms: Option<u64>,
    /// The terminal tells when a key is let go ([`Event::KeyRelease`](crate::event::Event)): holding a key can mean
    /// something. Usually false.
    pub reports_releases: bool,
    /// This is `hullo demo`: whoever is in it may never have seen the program.
    pub is_demo: bool,
    /// Something was named to show as our screen (`--screen`).
    pub has_screen: bool,
    /// The screen in cells; `None` without one.
    pub size: Option<(u16, u16)>,
    /// Who we are, once known.
    pub profile: Option<Profile>,
    /// All contacts, in the order to show; `None` before the list was read.
    pub contacts: Option<Vec<Contact>>,
    /// All groups, in the order to show; `None` before the list was read.
    pub groups: Option<Vec<GroupLine>>,
    /// The chosen contact. Kept by id, so that a changed list does not move it.
    pub selected: Option<ContactId>,
    /// The chosen group; while there is one, it is chosen instead of the contact.
    pub selected_group: Option<GroupNumber>,
    /// What runs in the groups.
    pub running: BTreeMap<GroupNumber, RunningCall>,
    /// The group in which a call was begun last.
    pub(crate) call_news: Option<GroupNumber>,
    /// The link to the server.
    pub server: Server,
    /// The call that has the devices, or the last one when there is none.
    pub call: Option<Call>,
    /// Calls beside it: on hold, the one held last at the end, or about to end.
    pub others: Vec<Call>,
    /// Somebody waits to be answered. With a live call it is a second one.
    pub incoming: Option<Incoming>,
    /// Calls that ring behind it, oldest first.
    pub waiting: Vec<Incoming>,
    /// Calls the user lets ring without a sound.
    pub ignored: Vec<Incoming>,
    /// The user looks at the window, as far as the terminal says so.
    pub is_focused: bool,
    /// The chosen contact's conversation; `None` before the history was read, and without a screen.
    pub conversation: Option<Conversation>,
    /// Texts begun and not sent.
    pub drafts: Drafts,
    /// What nobody has seen; `None` before it was read.
    pub unseen: Option<BTreeMap<ContactId, Unseen>>,
    /// The time of day.
    pub clock: WallClock,
    /// What lies over the main view.
    pub overlay: Option<Overlay>,
    /// The link or code that is being redeemed, as it was typed: back in its field where it is refused.
    pub(crate) adding: Option<Field>,
    /// Palette, filter, and what settings and log show.
    pub layers: Layers,
    /// Words to compare, of contacts with whom that was begun.
    pub words: BTreeMap<ContactId, Words>,
    /// A link that is told to the outside together with its spoken code.
    pub(crate) invited: Option<String>,
    /// The sentence at the bottom.
    pub message: Option<Message>,
    /// Calls go over a TURN server or not at all: nobody sees our address.
    pub is_relay_only: bool,
    /// What is remembered between runs.
    pub settings: Settings,
    /// What the call was last told about the far picture's size; the outer `None`: nothing yet.
    pub(crate) picture_wanted: Option<Option<(u32, u32)>>,
    /// The same for the pictures of those in the call of a group: only what is drawn stands here.
    pub(crate) views_wanted: BTreeMap<(ParticipantId, Feed), (u32, u32)>,
    /// The groups last said to be on the screen.
    pub(crate) watched: Vec<GroupNumber>,
    /// Until when a second Ctrl-C leaves despite a call.
    pub(crate) interrupt_until_ms: Option<u64>,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) suspended: Option<Suspended>,
    pub(crate) once: Once,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(mode: Mode, look: Look) -> Self {
        Self {
            mode,
            look,
            keymap: Keymap::default(),
            theme: Theme::default(),
            figures_line: None,
            now_ms: 0,
            begun_ms: None,
            size: None,
            profile: None,
            contacts: None,
            groups: None,
            selected: None,
            selected_group: None,
            running: BTreeMap::new(),
            call_news: None,
            server: Server::Unknown,
            call: None,
            others: Vec::new(),
            incoming: None,
            waiting: Vec::new(),
            ignored: Vec::new(),
            is_focused: false,
            reports_releases: false,
            conversation: None,
            drafts: Drafts::default(),
            unseen: None,
            clock: WallClock::default(),
            overlay: None,
            adding: None,
            layers: Layers::default(),
            words: BTreeMap::new(),
            invited: None,
            message: None,
            is_relay_only: false,
            has_screen: true,
            is_demo: false,
            settings: Settings::default(),
            picture_wanted: None,
            views_wanted: BTreeMap::new(),
            watched: Vec::new(),
            interrupt_until_ms: None,
            stopping: None,
            suspended: None,
            once: Once::default(),
        }
    }

    /// Tells the time, in milliseconds since the program's start: before every event, never backwards.
    pub fn set_now(&mut self, ms: u64) {
        self.now_ms = self.now_ms.max(ms);
    }

    /// The style of what is drawn for this purpose.
    #[must_use]
    pub fn paint(&self, role: Role) -> Style {
        self.theme.style(role, self.look)
    }

    /// The time last told.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The call that has the devices, unless it has ended. Calls that ring here are not among the calls.
    #[must_use]
    pub fn live_call(&self) -> Option<&Call> {
        self.call.as_ref().filter(|call| call.is_live())
    }

    /// The live call, unless it was declined and its end is only waited for.
    #[must_use]
    pub fn taken_call(&self) -> Option<&Call> {
        self.live_call().filter(|call| !call.is_declined())
    }

    pub(crate) fn live_call_mut(&mut self) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.is_live())
    }

    /// Calls that wait on hold beside the one that has the devices, the one held last at the end.
    pub fn held_calls(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.others.iter().filter(|call| !call.is_ending())
    }

    /// Every call that has not ended.
    pub fn live_calls(&self) -> impl Iterator<Item = &Call> {
        self.live_call().into_iter().chain(&self.others)
    }

    /// Calls one is in now, with the devices or on hold.
    #[must_use]
    pub fn taken_count(&self) -> usize {
        self.live_calls().filter(|call| !call.is_ending()).count()
    }

    pub(crate) fn numbered_mut(&mut self, number: CallNumber) -> Option<&mut Call> {
        self.call
            .as_mut()
            .filter(|call| call.is_live())
            .into_iter()
            .chain(&mut self.others)
            .find(|call| call.number == Some(number))
    }

    /// The contact of this number.
    #[must_use]
    pub fn contact(&self, id: ContactId) -> Option<&Contact> {
        self.contacts().iter().find(|contact| contact.id == id)
    }

    /// All contacts, none before the list was read.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        self.contacts.as_deref().unwrap_or_default()
    }

    /// All groups, none before the list was read.
    #[must_use]
    pub fn groups(&self) -> &[GroupLine] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// The chosen contact.
    #[must_use]
    pub fn selected_contact(&self) -> Option<&Contact> {
        if self.selected_group().is_some() {
            return None;
        }
        self.selected.and_then(|id| self.contact(id))
    }

    /// The chosen group.
    #[must_use]
    pub fn selected_group(&self) -> Option<&GroupLine> {
        self.selected_group.and_then(|number| self.group(number))
    }

    /// The group of this number.
    #[must_use]
    pub fn group(&self, number: GroupNumber) -> Option<&GroupLine> {
        self.groups().iter().find(|group| group.number == number.0)
    }

    /// The contact or group the keys for calling mean.
    #[must_use]
    pub fn selected_party(&self) -> Option<Party> {
        match self.selected_group() {
            Some(group) => Some(Party::Group(GroupNumber(group.number))),
            None => Some(Party::Contact(self.selected_contact()?.id)),
        }
    }

    /// The contact a text is being typed for; `None` while the keys are keys.
    #[must_use]
    pub fn writing_to(&self) -> Option<ContactId> {
        let conversation = self.conversation.as_ref()?;
        let has_keys = conversation.is_writing && self.overlay.is_none();
        has_keys.then_some(conversation.contact)
    }

    /// The name of a contact, or words for one that is no longer in the list.
    #[must_use]
    pub fn name_of(&self, id: ContactId) -> &str {
        self.contact(id)
            .map_or(crate::text::UNKNOWN_CONTACT, |contact| {
                contact.name.as_str()
            })
    }

    /// The name of whom a call is with.
    #[must_use]
    pub fn name_of_party(&self, party: Party) -> &str {
        match party {
            Party::Contact(contact) => self.name_of(contact),
            Party::Group(number) => {
                let gone = || {
                    let mut calls = self.call.iter().chain(&self.others);
                    calls
                        .find(|call| call.party == party)?
                        .gone_group
                        .as_deref()
                };
                let known = self.group(number).map(|group| group.name.as_str());
                known.or_else(gone).unwrap_or(crate::text::UNKNOWN_GROUP)
            }
        }
    }

    /// Whether the words were compared with whom a call is with.
    #[must_use]
    pub fn is_verified(&self, party: Party) -> bool {
        match party {
            Party::Contact(contact) => self.contact(contact).is_some_and(|known| known.verified),
            // Each member is vouched for on its own.
            Party::Group(_) => false,
        }
    }

    /// Whether the words of this contact were different when they were compared last: somebody may stand between.
    #[must_use]
    pub fn do_words_differ(&self, contact: &Contact) -> bool {
        !contact.verified && self.settings.words_differ.contains(&contact.short_id)
    }

    /// What to say after the screen is gone: how the last call ended, in one line.
    #[must_use]
    pub fn last_words(&self) -> Option<String> {
        let call = self.call.as_ref()?;
        let CallState::Ended {
            words, duration, ..
        } = &call.state
        else {
            return None;
        };
        Some(crate::text::call_ended(
            self.name_of_party(call.party),
            words,
            *duration,
        ))
    }
}
