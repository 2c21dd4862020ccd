//! Everything the program knows and the screen shows. Changed by [`crate::update`] alone, drawn by [`crate::view`].
//!
//! It serves all front ends: the screen draws it, `--plain` and `--json` only follow the reports it causes.
//! It holds no device, socket or clock; the time is told by [`Model::set_now`].

use std::sync::Arc;

use hullo_media::frame::Picture;

use crate::event::{CallState, Contact, ContactId, Direction, Media, StopReason};
use crate::report::Stats;
use crate::update::field::Field;
use crate::view::look::Look;

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
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What others see.
    pub name: String,
    /// The 8-character name of our key set.
    pub short_id: String,
    /// False while no server was ever set.
    pub has_server: bool,
}

/// Somebody is ringing here and was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Who.
    pub contact: ContactId,
    /// What they asked for.
    pub media: Media,
    /// When it began.
    pub since_ms: u64,
}

/// Microphone and camera of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// No sound leaves that side.
    pub mic_muted: bool,
    /// Pictures leave that side.
    pub camera_on: bool,
}

/// The current call, or the one that just ended.
#[derive(Clone)]
pub struct Call {
    /// With whom.
    pub contact: ContactId,
    /// Who began.
    pub direction: Direction,
    /// What was asked for.
    pub media: Media,
    /// Where it stands.
    pub state: CallState,
    /// The word of the state last reported.
    pub(crate) reported: Option<&'static str>,
    /// The call engine confirmed it: before that it is only what was asked for, or what rings.
    pub(crate) is_started: bool,
    /// It was started or taken from here, by a person or by the mode.
    pub(crate) is_ours: bool,
    /// Since when sound flows; `None` before that.
    pub connected_at_ms: Option<u64>,
    /// What we send; before the call is connected, what we will.
    pub own: Switches,
    /// The same as the outside was last told it.
    pub(crate) own_reported: Option<Switches>,
    /// The last thing asked for and not yet confirmed, so that two quick presses are two changes.
    pub(crate) mute_asked: Option<bool>,
    /// The same for the camera.
    pub(crate) camera_asked: Option<bool>,
    /// Paused by us.
    pub is_held: bool,
    /// What the far side says it sends; `None` while it has said nothing, as apps without such words never do.
    pub far: Option<Switches>,
    /// Newest picture of the far side.
    pub far_picture: Option<Arc<Picture>>,
    /// Newest picture of our own camera.
    pub own_picture: Option<Arc<Picture>>,
    /// Figures of the last second.
    pub stats: Option<Box<Stats>>,
    /// The end was asked for at this time and has not come yet.
    pub(crate) hanging_up_at_ms: Option<u64>,
    /// This is the call during which the warning about addresses is shown.
    pub shows_ip_warning: bool,
}

/// What lies over the main view and has the keys. Has no `Debug`: links are secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The key table, scrolled down by so many lines.
    Help(u16),
    /// An invitation: `None` while it is being made.
    Invite(Option<String>),
    /// The field for a link.
    Add(Field),
}

/// A sentence at the bottom that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// It tells of a failure.
    pub is_error: bool,
    /// When it goes.
    pub(crate) until_ms: u64,
}

/// The program is leaving and waits for the call to say its goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopping {
    pub(crate) reason: StopReason,
    pub(crate) deadline_ms: u64,
}

/// How far the one thing of [`Mode::CallOnce`] or [`Mode::AnswerOnce`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Once {
    /// The effect that starts or takes the call was given.
    pub(crate) is_begun: bool,
    /// When the server first answered: the queue of a fresh contact is read right after.
    pub(crate) server_up_at_ms: Option<u64>,
    /// It failed; leave at this time with this status unless a call comes of it after all.
    pub(crate) gives_up: Option<(u64, u8)>,
    /// Leaving was decided and must not be decided again.
    pub(crate) is_over: bool,
}

/// The whole state. Has no `Debug`: an open invitation is a secret.
pub struct Model {
    /// What the program was started for.
    pub mode: Mode,
    /// What the terminal can show.
    pub look: Look,
    /// Milliseconds since the program's start.
    pub(crate) now_ms: u64,
    /// When the first event came.
    pub(crate) begun_ms: Option<u64>,
    /// The screen in cells; `None` without one.
    pub size: Option<(u16, u16)>,
    /// Who we are, once known.
    pub profile: Option<Profile>,
    /// All contacts, in the order to show; `None` before the list was read.
    pub contacts: Option<Vec<Contact>>,
    /// The chosen contact. Kept by id, so that a changed list does not move it.
    pub selected: Option<ContactId>,
    /// The link to the server.
    pub server: Server,
    /// The current call or the last one.
    pub call: Option<Call>,
    /// Somebody waits to be answered. With a live call it is a second one.
    pub incoming: Option<Incoming>,
    /// The user looks at the window, as far as the terminal says so.
    pub is_focused: bool,
    /// A second call to take as soon as the first has ended.
    pub(crate) accept_next: Option<Incoming>,
    /// What lies over the main view.
    pub overlay: Option<Overlay>,
    /// The sentence at the bottom.
    pub message: Option<Message>,
    /// The warning about addresses was shown in an earlier call.
    pub is_ip_warned: bool,
    /// What the call was last told about the far picture's size; the outer `None`: nothing yet.
    pub(crate) picture_wanted: Option<Option<(u32, u32)>>,
    /// Until when a second Ctrl-C leaves despite a call.
    pub(crate) interrupt_until_ms: Option<u64>,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) once: Once,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(mode: Mode, look: Look) -> Self {
        Self {
            mode,
            look,
            now_ms: 0,
            begun_ms: None,
            size: None,
            profile: None,
            contacts: None,
            selected: None,
            server: Server::Unknown,
            call: None,
            incoming: None,
            is_focused: false,
            accept_next: None,
            overlay: None,
            message: None,
            is_ip_warned: false,
            picture_wanted: None,
            interrupt_until_ms: None,
            stopping: None,
            once: Once::default(),
        }
    }

    /// Tells the time, in milliseconds since the program's start: before every event, never backwards.
    pub fn set_now(&mut self, ms: u64) {
        self.now_ms = self.now_ms.max(ms);
    }

    /// The time last told.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The call that exists now: neither ended nor only a second one that rings.
    #[must_use]
    pub fn live_call(&self) -> Option<&Call> {
        self.call.as_ref().filter(|call| call.is_live())
    }

    /// The live call, unless it is one that rings here and waits for an answer.
    #[must_use]
    pub fn taken_call(&self) -> Option<&Call> {
        self.live_call().filter(|call| !call.is_ringing_here())
    }

    pub(crate) fn live_call_mut(&mut self) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.is_live())
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

    /// The chosen contact.
    #[must_use]
    pub fn selected_contact(&self) -> Option<&Contact> {
        self.selected.and_then(|id| self.contact(id))
    }

    /// The name of a contact, or words for one that is no longer in the list.
    #[must_use]
    pub fn name_of(&self, id: ContactId) -> &str {
        self.contact(id)
            .map_or(crate::text::UNKNOWN_CONTACT, |contact| {
                contact.name.as_str()
            })
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
            self.name_of(call.contact),
            words,
            *duration,
        ))
    }
}

impl Call {
    /// A call that begins now.
    pub(crate) fn new(
        contact: ContactId,
        direction: Direction,
        media: Media,
        state: CallState,
    ) -> Self {
        Self {
            contact,
            direction,
            media,
            state,
            reported: None,
            is_started: false,
            is_ours: false,
            connected_at_ms: None,
            own: Switches {
                mic_muted: false,
                camera_on: media == Media::Video,
            },
            own_reported: None,
            mute_asked: None,
            camera_asked: None,
            is_held: false,
            far: None,
            far_picture: None,
            own_picture: None,
            stats: None,
            hanging_up_at_ms: None,
            shows_ip_warning: false,
        }
    }

    /// Not ended yet.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state, CallState::Ended { .. })
    }

    /// Sound flows, or did a moment ago and is being repaired.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state, CallState::Connected | CallState::Reconnecting)
    }

    /// It rings on this device and waits for an answer.
    #[must_use]
    pub fn is_ringing_here(&self) -> bool {
        self.direction == Direction::Incoming && self.state == CallState::Ringing && !self.is_ours
    }

    /// The far picture, unless its camera is off: a last one that comes late must not stand there as if it were live.
    #[must_use]
    pub fn shown_far_picture(&self) -> Option<&Picture> {
        let is_on = self.far.is_none_or(|far| far.camera_on);
        self.far_picture.as_deref().filter(|_| is_on)
    }

    /// Milliseconds since sound flows, at `now_ms`.
    #[must_use]
    pub fn connected_ms(&self, now_ms: u64) -> u64 {
        self.connected_at_ms
            .map_or(0, |since| now_ms.saturating_sub(since))
    }
}
