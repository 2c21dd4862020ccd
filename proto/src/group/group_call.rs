//! One group call as one participant lives it: the machine that joins handshakes, media keys,
//! roster, subscriptions and timers (protocol text, *SFU to Participant Flow* and
//! *Participant to Participant Flow*).
//!
//! ```text
//! SFU's messages, the user's wishes, time ─→ handle_input ─→ poll_output ─→ messages to the SFU, events, next deadline
//! encoded frames ─→ seal ─→ sealed frames          sealed frames ─→ open ─→ encoded frames
//!
//! AwaitHello ─ SFU's hello ─→ Joined ─ left, alone, forced, … ─→ Ended (cannot be left)
//! ```
//!
//! There is no leave message: whoever drives this closes the connection on [`Event::Ended`].

mod administration;
mod media;
mod membership;
mod own;
mod said;
mod state_update;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::handshake::{Admission, Local, Role};
use super::id::{Identity, ParticipantId};
use super::key::{
    AdministratorKey, AdministratorMessageKey, GroupCallKey, KeyError, ParticipantCallKey,
    PublicKey, SharedKey,
};
use super::media_frame::Track;
use super::media_sender::MediaSender;
use super::roster::{Entry, Roster};
use super::warning::{Warning, WarningKind};
use super::wire::{
    Capture, Device, ForcedOff, FromSfu, ParticipantName, PeerMessage, Relay, Subscription,
    SupportedFeatures, ToSfu, View,
};

pub use media::OwnFrameError;
pub use own::Own;

/// Alone for longer, the user leaves to save resources; the SFU would drop the call at 5 minutes.
pub const ALONE_MAX: Duration = Duration::from_secs(180);

/// How often the designated participant refreshes the peekable call state; the SFU keeps it for 30 s.
pub const STATE_UPDATE_INTERVAL: Duration = Duration::from_secs(10);

/// How long the SFU may take to tell its time before sharing the screen is given up. Ours: the text names none.
pub const TIMESTAMP_TIMEOUT: Duration = Duration::from_secs(5);

/// From this many others on, the microphone is off at first.
pub const MICROPHONE_OFF_FROM: usize = 4;

/// What kind of call it is, and who may take part.
pub enum Scope {
    /// Scoped to a group: members only, no guests, no administration.
    Group {
        /// All members with their client keys, the user included.
        members: BTreeMap<Identity, PublicKey>,
    },
    /// Joined by a link.
    Link {
        /// Client keys of those known to the user.
        known: BTreeMap<Identity, PublicKey>,
        /// Whether guests may take part.
        guests_allowed: bool,
        /// GCAMK.public, if the call has administrators.
        administrators: Option<PublicKey>,
    },
}

/// What a call starts from.
pub struct Config {
    /// Our id, from the SFU's Join response.
    pub participant_id: ParticipantId,
    /// Who we are.
    pub role: Role,
    /// GCK.
    pub key: GroupCallKey,
    /// Who may take part.
    pub scope: Scope,
    /// GCAK, if we are an administrator from the start.
    pub administrator: Option<AdministratorKey>,
    /// From the SFU's Join response.
    pub supported_features: SupportedFeatures,
    /// Milliseconds since 1970 at the `now` given to [`GroupCall::new`].
    pub unix_ms: u64,
}

/// One change.
pub enum Input<'a> {
    /// A message of the SFU on the data channel.
    Received(&'a [u8]),
    /// The deadline of [`Output::Timeout`] passed.
    Timeout,
    /// The group's members are these now (all, the user included); in a call by link, those known to the user.
    Members(BTreeMap<Identity, PublicKey>),
    /// The user turns a device on or off. The screen goes on once the SFU told its time.
    Capture(Device, bool),
    /// The user goes away (everything off) or comes back (everything as before).
    Hold(bool),
    /// The screen shows a participant's camera at this size and rate now; `None`: not at all.
    ViewCamera(ParticipantId, Option<View>),
    /// The same for a participant's screen.
    ViewScreen(ParticipantId, Option<View>),
    /// The user acts as administrator.
    Administer(AdminCommand),
    /// The user leaves.
    Leave,
}

/// What an administrator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// Make the participant an administrator, for the rest of the call.
    Promote(ParticipantId),
    /// Make the participant leave.
    ForceLeave(ParticipantId),
    /// Turn devices of the participant off; it may turn them on again.
    ForceCaptureStateOff(ParticipantId, ForcedOff),
    /// Make everyone look at the participant.
    ForceFocus(ParticipantId),
}

/// What came of it; drain until [`Output::Timeout`].
pub enum Output {
    /// Send this on the data channel, in order.
    Transmit(Vec<u8>),
    /// Something happened.
    Event(Event),
    /// All is drained; give [`Input::Timeout`] then, if nothing comes first.
    Timeout(Option<Instant>),
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The SFU said hello: the call is established.
    Joined,
    /// A participant is here; the handshake begins.
    ParticipantJoined(ParticipantId),
    /// The handshake is done.
    Authenticated(ParticipantId, ParticipantName),
    /// A participant is gone.
    ParticipantLeft(ParticipantId, LeftReason),
    /// A participant turned a device on or off: start or stop showing (and decoding) it.
    Captured(ParticipantId, Capture),
    /// A participant went away (`true`; pause its pictures) or is back.
    OnHold(ParticipantId, bool),
    /// A participant is an administrator.
    Administrator(ParticipantId),
    /// Our device is to capture (or to stop) now; nothing of it can be sealed while off.
    OwnCapture(Capture),
    /// We are an administrator now.
    Promoted,
    /// An administrator asks to look at this participant.
    Focus(ParticipantId),
    /// The user's wish cannot be fulfilled.
    Refused(Refused),
    /// Something was dropped.
    Warning(Warning),
    /// The call is over for us, for good: close the connection.
    Ended(EndReason),
}

/// Why a participant is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftReason {
    /// The SFU says so.
    Left,
    /// No longer a member of the group (or under another key); treated as having left.
    Removed,
}

/// Why a wish cannot be fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only administrators can do this.
    #[error("only administrators of this call can do this")]
    NotAnAdministrator,
    /// The participant is not here (any more), or not authenticated yet.
    #[error("this participant is not in the call")]
    NoSuchParticipant,
    /// The SFU cannot share screens.
    #[error("this server does not share screens")]
    NoScreens,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The user left.
    #[error("left")]
    Left,
    /// Nobody else was there for 3 minutes.
    #[error("left because nobody else was in the call for 3 minutes")]
    Alone,
    /// An administrator made us leave.
    #[error("an administrator ended your part in the call")]
    ForcedToLeave,
    /// We are no longer a member of the group.
    #[error("you are no longer a member of this group")]
    NotAMember,
    /// 255 participants joined since the last one left.
    #[error("too many people joined in a row; join again")]
    RatchetExhausted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitHello,
    Joined,
    Ended,
}

/// The deadlines of a call beside the media key's.
#[derive(Default)]
struct Timers {
    alone: Option<Instant>,
    state_update: Option<Instant>,
    timestamp: Option<Instant>,
    /// When what the user switched too often may be switched.
    switching: Option<Instant>,
}

/// See the module.
pub struct GroupCall {
    phase: Phase,
    participant_id: ParticipantId,
    local: Local,
    admission: Admission,
    is_group: bool,
    supported_features: SupportedFeatures,
    /// Our administrator keys, if we are one.
    administrator: Option<(AdministratorKey, AdministratorMessageKey)>,
    /// X25519HSalsa20 of our PCK and GCAMK.public: opens what administrators say.
    administrators_shared: Option<SharedKey>,
    own: Own,
    roster: Roster,
    sender: MediaSender,
    timers: Timers,
    clock: (Instant, u64),
    rng: ChaCha20Rng,
    outputs: VecDeque<Output>,
}

impl GroupCall {
    /// Prepares for the SFU's hello.
    ///
    /// # Errors
    /// Whoever made the call is wrong: GCAMK.public is not usable.
    pub fn new(now: Instant, config: Config, mut rng: ChaCha20Rng) -> Result<Self, KeyError> {
        let (admission, is_group) = match config.scope {
            Scope::Group { members } => (
                Admission {
                    members,
                    guests_allowed: false,
                    administrators: None,
                },
                true,
            ),
            Scope::Link {
                known,
                guests_allowed,
                administrators,
            } => (
                Admission {
                    members: known,
                    guests_allowed,
                    administrators,
                },
                false,
            ),
        };
        let call_key = ParticipantCallKey::random(&mut rng);
        let local = Local::new(config.role, &config.key, call_key);
        let administrators_shared = admission
            .administrators
            .map(|public| local.call_key.shared(&public))
            .transpose()?;
        let administrator = config
            .administrator
            .map(|key| (key.message_key(&local.hash), key))
            .filter(|(message_key, _)| Some(message_key.public()) == admission.administrators)
            .map(|(message_key, key)| (key, message_key));
        let sender = MediaSender::new(local.hash.clone(), ChaCha20Rng::from_rng(&mut rng));
        Ok(Self {
            phase: Phase::AwaitHello,
            participant_id: config.participant_id,
            local,
            admission,
            is_group,
            supported_features: config.supported_features,
            administrator,
            administrators_shared,
            own: Own::default(),
            roster: Roster::default(),
            sender,
            timers: Timers::default(),
            clock: (now, config.unix_ms),
            rng,
            outputs: VecDeque::new(),
        })
    }

    /// Makes one change; drain [`Self::poll_output`] before the next. After [`Event::Ended`] nothing changes.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(
            self.outputs.is_empty(),
            "drain the outputs of one change before the next"
        );
        match (self.phase, input) {
            (Phase::Ended, _) => {}
            (_, Input::Leave) => self.end(EndReason::Left),
            (_, Input::Received(bytes)) => match FromSfu::decode(bytes) {
                Ok(message) => self.receive(now, message),
                Err(error) => self.warn(None, error.into()),
            },
            (_, Input::Timeout) => self.time_out(now),
            (_, Input::Members(members)) => self.set_members(now, members),
            (_, Input::Capture(device, on)) => self.set_capture(now, device, on),
            (_, Input::Hold(hold)) => self.set_hold(now, hold),
            (_, Input::ViewCamera(id, view)) => self.set_view(id, Track::Camera, view),
            (_, Input::ViewScreen(id, view)) => self.set_view(id, Track::Screen, view),
            (_, Input::Administer(command)) => self.administer(command),
        }
    }

    /// What is to be done now; the last word of a drain is [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Timeout(self.next_timeout()))
    }

    /// Our id in this call.
    #[must_use]
    pub fn participant_id(&self) -> ParticipantId {
        self.participant_id
    }

    /// Everyone else, in the order of their ids.
    pub fn participants(&self) -> impl Iterator<Item = Entry> {
        self.roster.entries()
    }

    /// What our own devices do.
    #[must_use]
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// Whether we are an administrator.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.administrator.is_some()
    }

    /// The messages of the SFU, each with its *When receiving this message* steps.
    fn receive(&mut self, now: Instant, message: FromSfu) {
        match (self.phase, message) {
            // Hello, step 1: if one was received before, log a warning and abort.
            (Phase::Joined, FromSfu::Hello(_)) => self.warn(None, WarningKind::SecondHello),
            (_, FromSfu::Hello(ids)) => self.hello(now, ids),
            (_, FromSfu::Unknown) => {}
            (Phase::AwaitHello, _) => self.warn(None, WarningKind::BeforeHello),
            (_, FromSfu::Relay(relay)) => self.relayed(now, &relay),
            (_, FromSfu::ParticipantJoined(id)) => self.participant_joined(now, id),
            (_, FromSfu::ParticipantLeft(id)) => self.participant_left(now, id),
            (_, FromSfu::Timestamp(ms)) => self.timestamp(ms),
        }
    }

    fn time_out(&mut self, now: Instant) {
        if self.timers.alone.take_if(|due| *due <= now).is_some() {
            return self.end(EndReason::Alone);
        }
        if let Some(key) = self.sender.handle_timeout(now) {
            self.send_rekey(&key);
        }
        if self
            .timers
            .state_update
            .take_if(|due| *due <= now)
            .is_some()
        {
            self.update_state(now);
        }
        if self.timers.timestamp.take_if(|due| *due <= now).is_some() {
            self.warn(None, WarningKind::NoTimestamp);
        }
        if self.timers.switching.take_if(|due| *due <= now).is_some() {
            self.switch_again(now);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Ended {
            return None;
        }
        let Timers {
            alone,
            state_update,
            timestamp,
            switching,
        } = self.timers;
        let key = self.sender.poll_timeout();
        [alone, state_update, timestamp, switching, key]
            .into_iter()
            .flatten()
            .min()
    }

    fn end(&mut self, reason: EndReason) {
        self.phase = Phase::Ended;
        // What would open or seal anything is wiped now, not when this machine is dropped.
        self.roster = Roster::default();
        self.own = Own::default();
        (self.administrator, self.administrators_shared) = (None, None);
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        self.sender = MediaSender::new(self.local.hash.clone(), rng);
        self.event(Event::Ended(reason));
    }

    /// Seals for every authenticated participant.
    fn broadcast(&mut self, message: &PeerMessage) {
        let ids: Vec<_> = self.roster.authenticated().map(|(id, _)| id).collect();
        for id in ids {
            self.send(id, message);
        }
    }

    /// Seals and sends; *encrypt at the very moment of sending*, since numbers are not transmitted.
    fn send(&mut self, id: ParticipantId, message: &PeerMessage) {
        let Some(peer) = self
            .roster
            .participants
            .get_mut(&id)
            .and_then(|participant| participant.peer())
        else {
            return;
        };
        match peer.seal(message, &mut self.rng) {
            Ok(encrypted_data) => self.relay(id, encrypted_data),
            Err(_) => self.warn(Some(id), WarningKind::Unsealable),
        }
    }

    fn relay(&mut self, receiver: ParticipantId, encrypted_data: Vec<u8>) {
        self.transmit(&ToSfu::Relay(Relay {
            sender: self.participant_id,
            receiver,
            encrypted_data,
        }));
    }

    fn subscribe(&mut self, id: ParticipantId, subscription: Subscription) {
        self.transmit(&ToSfu::Subscribe(id, subscription));
    }

    fn transmit(&mut self, message: &ToSfu) {
        let bytes = message.encode(&mut self.rng);
        self.outputs.push_back(Output::Transmit(bytes));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn warn(&mut self, participant: Option<ParticipantId>, kind: WarningKind) {
        self.event(Event::Warning(Warning { participant, kind }));
    }
}

#[cfg(test)]
mod tests;
