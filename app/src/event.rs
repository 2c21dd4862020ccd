//! All that can happen to the program: one closed list, so that every wake-up is on one page.

use std::sync::Arc;
use std::time::Duration;

use hullo_media::frame::Picture;

/// Something happened; [`crate::update`] turns it into model changes and effects.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key press (never a release), from the terminal.
    Key(crossterm::event::KeyEvent),
    /// Text pasted into the terminal (bracketed paste), never run as keys.
    Paste(String),
    /// The terminal's new size in cells: columns, rows.
    Resize(u16, u16),
    /// The window came before the user's eyes, or went; only where the terminal tells.
    Focus(bool),
    /// A command from stdin, the control socket or the command line.
    Command(Command),
    /// The contact list is now this, in the order to show.
    Contacts(Vec<Contact>),
    /// Who we are in this profile: sent at the start and after every change.
    Profile {
        /// What others see.
        name: String,
        /// The 8-character name of our key set. Not a credential.
        short_id: String,
        /// False while no server was ever set: nothing can reach us then.
        has_server: bool,
    },
    /// The link to the server changed.
    Server {
        /// Whether the server answers now.
        up: bool,
        /// Why not, in words for the user.
        reason: Option<String>,
    },
    /// An invitation of ours can be passed on.
    Invited {
        /// The whole `hullo:…` link. Secret: shown, never logged.
        link: String,
    },
    /// Somebody wants to talk.
    Incoming {
        /// Which contact.
        contact: ContactId,
        /// With pictures or only sound.
        media: Media,
    },
    /// The current call changed.
    Call(CallEvent),
    /// Something the user asked for failed; words that say what to do.
    Failed(String),
    /// A second passed, or a deadline of the model is due.
    Tick,
    /// The system asks the program to end (SIGTERM, SIGHUP, end of `--seconds`).
    Stop(StopReason),
}

/// A contact's number in this profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContactId(pub u64);

/// A contact as the screen and the reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its number in this profile.
    pub id: ContactId,
    /// Unique among this profile's contacts; what `hullo call NAME` takes.
    pub name: String,
    /// The 8-character name of the key set. Not a credential.
    pub short_id: String,
    /// Whether the words were compared.
    pub verified: bool,
    /// False while the other side has not answered the invitation yet.
    pub ready: bool,
}

/// What a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Sound only; the camera can be switched on later.
    Audio,
    /// Sound and pictures.
    Video,
}

/// Who started a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The contact called us.
    Incoming,
    /// We called.
    Outgoing,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The invitation is on its way.
    Inviting,
    /// The far device rings (outgoing) or ours does (incoming).
    Ringing,
    /// Accepted; the connection is being made.
    Connecting,
    /// Sound flows.
    Connected,
    /// The connection went silent and is being repaired.
    Reconnecting,
    /// Over, for good.
    Ended {
        /// A stable word for scripts: `hung_up`, `far_hung_up`, `declined`, `busy`, `unanswered`, `lost`, …
        reason: &'static str,
        /// A sentence for people.
        words: String,
        /// Time connected.
        duration: Duration,
    },
}

/// One change of the current call.
#[derive(Clone, Debug)]
pub enum CallEvent {
    /// A call exists now, ours or theirs.
    Started {
        /// With whom.
        contact: ContactId,
        /// Who began.
        direction: Direction,
        /// What was asked for.
        media: Media,
    },
    /// Its state changed.
    State(CallState),
    /// What we send changed (after mute, camera off, or a device that failed).
    Own {
        /// True: no sound leaves.
        mic_muted: bool,
        /// True: pictures leave.
        camera_on: bool,
    },
    /// What the far side says it sends.
    Far {
        /// True: it sends no sound.
        mic_muted: bool,
        /// True: it sends pictures.
        camera_on: bool,
    },
    /// The newest picture of the far side; `None` when its camera went off.
    FarPicture(Option<Arc<Picture>>),
    /// The newest picture of our own camera.
    OwnPicture(Option<Arc<Picture>>),
    /// First frame of a kind in one direction.
    FirstMedia {
        /// `audio` or `video`.
        kind: &'static str,
        /// True: decoded here; false: sent.
        received: bool,
    },
    /// Figures of the last second.
    Stats(Box<crate::report::Stats>),
    /// Something about devices or the network the user should know; one sentence.
    Notice(String),
}

/// What the user or a script asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Call the contact of this name.
    Call(String, Media),
    /// Take the incoming call, with what it offered or less.
    Accept(Media),
    /// Decline the incoming call.
    Reject,
    /// End the current call.
    HangUp,
    /// Microphone off or on.
    Mute(Switch),
    /// Camera on or off.
    Video(Switch),
    /// Pause or resume both.
    Hold(Switch),
    /// Make a contact link.
    Invite,
    /// Redeem a contact link.
    Add(String),
    /// Set our own name.
    Name(String),
    /// Write one status line.
    Status,
    /// Leave the program.
    Quit,
}

/// The three ways to set a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Make it so.
    On,
    /// Make it not so.
    Off,
    /// The other of the two.
    Toggle,
}

/// Why the program was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `--seconds` are over.
    Seconds,
    /// SIGTERM, SIGINT or SIGHUP.
    Signal,
    /// The user's `q`, or stdin and the terminal are gone.
    Quit,
}
