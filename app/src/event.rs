//! All that can happen to the program: one closed list, so that every wake-up is on one page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hullo_media::frame::Picture;
pub use hullo_proto::group::id::ParticipantId;
pub use hullo_signalling::channel::PersonChange;
pub use hullo_signalling::group::GroupNumber;
use serde::{Deserialize, Serialize};

use crate::conversation::HistoryEvent;
use crate::devices::DeviceKind;
use crate::groups::GroupLine;
pub use crate::levels::Levels;
use crate::view::look::Look;
use crate::view::theme::ThemeName;

/// Something happened; [`crate::update`] turns it into model changes and effects.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key press (never a release), from the terminal.
    Key(crossterm::event::KeyEvent),
    /// A key was let go. Only where the terminal reports it ([`Model::reports_releases`](crate::model::Model)), and then
    /// for every key that was told by [`Event::Key`] but Enter, Tab and Backspace. One may still get lost: the window can
    /// lose the focus ([`Event::Focus`]) while a key is down.
    KeyRelease(crossterm::event::KeyEvent),
    /// A mouse button was pressed or let go, or the wheel turned; columns and rows count from 0. Never told unless mouse
    /// reports were switched on ([`crate::terminal::set_mouse`]).
    Mouse(crossterm::event::MouseEvent),
    /// The program is about to be stopped (Ctrl-Z): what is to be said before that is said now.
    Suspending,
    /// The program was stopped (Ctrl-Z) and goes on.
    Resumed,
    /// Whether the terminal reports keys that are let go, from now on.
    ReportsReleases(bool),
    /// Text pasted into the terminal (bracketed paste), never run as keys.
    Paste(String),
    /// The terminal's new size in cells: columns, rows.
    Resize(u16, u16),
    /// The terminal turned out to show more than its environment says.
    Look(Look),
    /// The terminal said what its ground is.
    Ground {
        /// Letters on it are to be dark.
        is_light: bool,
    },
    /// The window came before the user's eyes, or went; only where the terminal tells.
    Focus(bool),
    /// A command from stdin, the control socket or the command line.
    Command(Command),
    /// The contact list is now this, in the order to show.
    Contacts(Vec<Contact>),
    /// The groups are now these.
    Groups(Vec<GroupLine>),
    /// Something happened in a group, in words.
    GroupNews(String),
    /// A member has begun a call in a group just now.
    GroupCallStarted {
        /// In which.
        group: GroupNumber,
        /// Who, as the group knows this member.
        by: String,
    },
    /// Which call runs in a group; `None`: none does (any more).
    GroupCallRuns(GroupNumber, Option<RunningCall>),
    /// Who we are in this profile: sent at the start and after every change.
    Profile {
        /// What others see.
        name: String,
        /// The 8-character name of our key set. Not a credential.
        short_id: String,
        /// The key that servers know us by, in base64url: for an operator's list of people.
        key: String,
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
    /// The server answers, and what it says cannot be kept here: why.
    Stuck(String),
    /// An invitation of ours can be passed on.
    Invited {
        /// The whole `hullo:…` link. Secret: shown, never logged.
        link: String,
    },
    /// A spoken code for the invitation just made.
    Code {
        /// `7314-orbit-velvet`. Secret: shown, never logged.
        code: String,
        /// The same with its server, for a QR code.
        link: String,
    },
    /// The spoken code no longer stands.
    CodeEnded {
        /// Why, in words.
        words: String,
        /// True: it did what it was for, or there is a newer one; nobody need be told.
        is_well: bool,
    },
    /// Links of ours that were out work no more.
    Withdrawn {
        /// How many.
        count: usize,
    },
    /// Words to compare with a contact, in one line.
    Words {
        /// Whom.
        contact: ContactId,
        /// Four words that stand now, or twelve that stand for ever.
        words: String,
        /// True: the twelve.
        is_safety: bool,
    },
    /// Somebody wants to talk.
    Incoming {
        /// The new call.
        call: CallNumber,
        /// Who calls.
        party: Party,
        /// With pictures or only sound.
        media: Media,
    },
    /// A call changed.
    Call(CallNumber, CallEvent),
    /// Somebody called and it did not ring, in words for the user.
    Missed {
        /// Who called.
        party: Party,
        /// Why it did not ring.
        why: Unrung,
    },
    /// What this profile remembers between runs, as read at the start.
    Settings(Settings),
    /// These devices of a kind are there, by name.
    Devices(DeviceKind, Vec<String>),
    /// The newest lines of the log, oldest first.
    Log(Vec<Arc<str>>),
    /// A conversation changed.
    History(HistoryEvent),
    /// Something the user asked for failed; words that say what to do.
    Failed(String),
    /// The link or code to be added was refused; words that say what to do.
    NotAdded(String),
    /// Something to know from the start on that is no failure: it is shown also where a call begins at once.
    Notice(String),
    /// A second passed, or a deadline of the model is due.
    Tick,
    /// The system asks the program to end (SIGTERM, SIGHUP, end of `--seconds`).
    Stop(StopReason),
}

/// A call's number in this run of the program; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallNumber(pub u64);

/// Whom a call is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// One contact, from program to program.
    Contact(ContactId),
    /// A group, through its server.
    Group(GroupNumber),
}

/// Which pictures of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feed {
    /// What the participant shows of its screen. First: it is shown before faces.
    Screen,
    /// The camera.
    Camera,
}

/// One change of one participant in the call of a group.
#[derive(Clone, Debug)]
pub enum ParticipantChange {
    /// The handshake is done: the name is that of the member with these keys.
    Joined {
        /// As the group knows this member.
        name: String,
    },
    /// The member who was that participant goes on as this one: its connection was made anew.
    Moved {
        /// Under which number it stood until now.
        from: ParticipantId,
    },
    /// We call this member something else now, or it does itself.
    Renamed {
        /// The new name.
        name: String,
    },
    /// It is gone.
    Left {
        /// It was taken out of the group, rather than leaving the call.
        is_removed: bool,
    },
    /// True: it sends no sound.
    Muted(bool),
    /// True: it sends pictures of its camera.
    Camera(bool),
    /// True: it shows its screen.
    Screen(bool),
    /// True: it is away; nothing is sent or played there.
    Hold(bool),
    /// True: it is heard right now.
    Speaking(bool),
    /// True: it administers the call, as the call's administrators say.
    Admin(bool),
    /// The newest picture.
    Picture(Feed, Arc<Picture>),
}

/// The call that runs in a group, as its server and somebody in it say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningCall {
    /// Who is in it, by the names the group has for them; empty while nobody has said so.
    pub people: Vec<String>,
    /// Since when, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How many may be in it; 0: not known.
    pub people_max: u32,
}

/// Why somebody's call did not ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrung {
    /// It had waited too long, or was taken back before we heard of it.
    Late,
    /// The user does not want to be disturbed.
    DoNotDisturb,
    /// As many calls as may ring do so already.
    TooMany,
    /// Only calls over a TURN server are allowed here, and there is none.
    NoTurn,
}

/// What a profile remembers between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Nothing rings; calls are noted as missed.
    pub do_not_disturb: bool,
    /// The notice about addresses was shown.
    pub is_ip_warned: bool,
    /// The colours, where they are not as the configuration says. So are those that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<ThemeName>,
    /// Clicks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mouse: Option<bool>,
    /// The terminal's bell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bell: Option<bool>,
    /// The window's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<bool>,
    /// Notifications of the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<bool>,
    /// Notifications of the desktop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desktop: Option<bool>,
    /// A ring sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<bool>,
    /// Echo cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// Noise suppression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<bool>,
    /// Gain control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<bool>,
    /// The camera, as after `--camera`. So are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// The microphone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mic: Option<String>,
    /// The loudspeaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Short ids of contacts whose words were different when they were compared last; at most [`WORDS_DIFFER_MAX`].
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub words_differ: BTreeSet<String>,
}

/// Contacts that are remembered as having different words: one is a reason to stop, nobody has many.
pub const WORDS_DIFFER_MAX: usize = 64;

impl Settings {
    /// Remembers that the words of the contact of this short id were different, or no longer; true where that is news.
    pub fn set_words_differ(&mut self, short_id: &str, do_differ: bool) -> bool {
        if !do_differ {
            return self.words_differ.remove(short_id);
        }
        let has_room = self.words_differ.len() < WORDS_DIFFER_MAX;
        has_room && self.words_differ.insert(short_id.to_owned())
    }
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
    /// What it sends is dropped unseen.
    pub blocked: bool,
    /// Known from a backup alone: a new link is needed to reach it.
    pub lost: bool,
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

impl CallState {
    /// The stable word for scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Inviting => "inviting",
            Self::Ringing => "ringing",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Ended { .. } => "ended",
        }
    }
}

/// One change of the current call.
#[derive(Clone, Debug)]
pub enum CallEvent {
    /// The call that was asked for exists now.
    Started {
        /// With whom.
        party: Party,
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
        /// True: neither leaves, and nothing is played.
        on_hold: bool,
    },
    /// What the far side says it sends.
    Far {
        /// True: it sends no sound.
        mic_muted: bool,
        /// True: it sends pictures.
        camera_on: bool,
        /// True: it has put the call on hold; nothing is sent or played there.
        on_hold: bool,
    },
    /// Whether the far side of a call with a contact is heard to speak.
    FarSpeaking(bool),
    /// The newest picture of the far side; `None` when its camera went off.
    FarPicture(Option<Arc<Picture>>),
    /// The newest picture of our own camera.
    OwnPicture(Option<Arc<Picture>>),
    /// Somebody in the call of a group changed, came or went.
    Participant(ParticipantId, ParticipantChange),
    /// Whether our screen is shown in the call of a group.
    OwnScreen(bool),
    /// First frame of a kind in one direction.
    FirstMedia {
        /// `audio` or `video`.
        kind: &'static str,
        /// True: decoded here; false: sent.
        received: bool,
    },
    /// How the connection is being made or repaired.
    Step {
        /// A sentence without its full stop.
        words: String,
        /// It has failed.
        is_trouble: bool,
    },
    /// Figures of the last second.
    Stats(Box<crate::report::Stats>),
    /// Something about devices or the network the user should know; one sentence.
    Notice(String),
    /// Somebody speaks here who is not heard, because the microphone is muted.
    TalksMuted,
    /// How loud it is on both sides now.
    Levels(Levels),
}

/// A part of what is done to the sound of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundPart {
    /// The far side's sound is taken out.
    Echo,
    /// The noise of the room is taken out.
    Noise,
    /// Quiet voices are made louder.
    Gain,
}

impl SoundPart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Echo, Self::Noise, Self::Gain];

    /// The word for it in commands, `[sound]` of the configuration and the options of the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Noise => "noise",
            Self::Gain => "gain",
        }
    }
}

/// What the user or a script asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Call the contact of this name.
    Call(String, Media),
    /// Create or join the call of the group of this name.
    Join(String, Media),
    /// Join the call that was said to run last.
    JoinRunning,
    /// Show our screen in the call of a group, or no longer.
    Screen(Switch),
    /// Take the incoming call, with what it offered or less.
    Accept(Media, Meanwhile),
    /// Decline the incoming call.
    Reject,
    /// Let the incoming call ring elsewhere without a sound here.
    Ignore,
    /// End the current call.
    HangUp,
    /// Microphone off or on.
    Mute(Switch),
    /// Camera on or off.
    Video(Switch),
    /// Pause or resume both.
    Hold(Switch),
    /// What is done to the sound of the microphone.
    Process(SoundPart, Switch),
    /// Hear nothing, and be muted.
    Deafen(Switch),
    /// Microphone open until said otherwise or for two minutes.
    Talk(Switch),
    /// Large picture of the participant of this name, of whoever is the `speaker`, or `off`.
    Focus(String),
    /// Loudness of the person of this name, per cent of what is sent.
    Volume(String, u16),
    /// The person of this name is not heard here, or again.
    Silence(String, Switch),
    /// One sentence for each in the call.
    Who,
    /// What is wrong with the call, and its figures.
    Figures,
    /// The answer of this number to what was asked last; the first is 1.
    Choose(usize),
    /// Hold this call and go back to the one held longest.
    Swap,
    /// Let nothing ring.
    DoNotDisturb(Switch),
    /// Send this text to the contact of this name.
    Send(String, String),
    /// Nothing of the contact of this name is new any more.
    Seen(String),
    /// Make a contact link.
    Invite,
    /// Let no link of ours work any more that was not used.
    Withdraw,
    /// Redeem a contact link.
    Add(String),
    /// Set our own name.
    Name(String),
    /// Something about the contact of this name.
    Person(String, PersonChange),
    /// Forget the contact of this name.
    Remove(String),
    /// Change the setting of this name to what the second word says.
    Set(String, String),
    /// Tell the known commands.
    Help,
    /// Write one status line.
    Status,
    /// Leave the program.
    Quit,
}

/// What becomes of the call one is in when another is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It waits on hold.
    Hold,
    /// It ends.
    End,
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
