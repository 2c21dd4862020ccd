//! What the outside is told: the JSON events of the command line, also the source of the `--plain` sentences.
//!
//! Names and members are stable: scripts rely on them. Times are milliseconds since the program's start.

use hullo_signalling::history::{CallOutcome, Direction, EntryKind, HistoryEntry, TextState};
use serde::{Deserialize, Serialize};

use crate::event::Contact;
pub use crate::status::Status;

mod flow;

pub use flow::{Flow, PersonFigures};

/// One JSON object on one line. `at_ms` is added by the writer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Report {
    /// A server listens, or the program is ready for commands.
    Ready {
        /// Where the server is reached, with its pin.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Where media of group calls comes in, `IP:PORT` (UDP).
        #[serde(skip_serializing_if = "Vec::is_empty")]
        media: Vec<String>,
    },
    /// An invitation was made.
    Invite {
        /// The whole link.
        link: String,
        /// A spoken code for the same, while the program runs that made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// Words to compare with a contact: first `safety`, then `words` when its program has answered.
    Words {
        /// Whom.
        name: String,
        /// Twelve words, the same at both sides for ever.
        #[serde(skip_serializing_if = "Option::is_none")]
        safety: Option<String>,
        /// Four words that both see now.
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    },
    /// A contact exists (list and after `add`).
    Contact {
        /// Unique name.
        name: String,
        /// 8-character name of the key set.
        id: String,
        /// Whether the words were compared.
        verified: bool,
        /// Whether both sides have each other's keys.
        ready: bool,
        /// Whether what it sends is dropped unseen.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        blocked: bool,
        /// Known from a backup alone: a new link is needed.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
        /// The words were different when they were compared last.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        words_differ: bool,
    },
    /// Something that `hullo doctor` looked at.
    Finding {
        /// `terminal`, `devices` or `network`.
        section: &'static str,
        /// Stable word.
        what: &'static str,
        /// `ok`, `warn` or `fail`.
        state: crate::doctor::State,
        /// What was found.
        words: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
    },
    /// A text message came.
    Message {
        /// Who wrote it.
        name: String,
        /// The words, with line feeds.
        text: String,
    },
    /// An entry of a conversation: listed, or one of ours that came further, or a call that is over.
    Entry(Box<EntryReport>),
    /// At the start: what came and nobody has seen.
    Unseen {
        /// Whose.
        name: String,
        /// Text messages.
        texts: u32,
        /// Missed calls.
        calls: u32,
    },
    /// A group we are in (list, and after every change).
    Group {
        /// Unique name.
        name: String,
        /// Of the newest list of members.
        revision: u64,
        /// Whether we made it.
        ours: bool,
        /// False while it is being set up, or its creator has not listed us yet.
        joined: bool,
        /// Everybody, we and the invited too.
        members: Vec<GroupMember>,
        /// What was refused last, in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// We are no longer in a group.
    GroupLeft {
        /// Its name.
        name: String,
    },
    /// Our own name.
    Name {
        /// What others see.
        name: String,
        /// 8-character name of our key set.
        id: String,
        /// The key that servers know us by, in base64url: for the list of `hullo serve --allow`.
        key: String,
    },
    /// Somebody calls.
    Incoming {
        /// The contact's name.
        name: String,
        /// True with pictures.
        video: bool,
        /// Whether the words were compared with this contact.
        verified: bool,
        /// True: we are in another call.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        busy: bool,
        /// Who began it, where `name` is a group's: its calls are joined, and do not ring.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The call that runs in a group changed, or none runs any more.
    GroupCall {
        /// The group's name.
        name: String,
        /// Whether one runs.
        running: bool,
        /// Who is in it, as somebody in it says; empty while that is not known.
        people: Vec<String>,
        /// Since when, in milliseconds since 1970.
        #[serde(skip_serializing_if = "Option::is_none")]
        started_at_ms: Option<u64>,
    },
    /// Somebody called and it did not ring, or rang and nobody took it.
    Missed {
        /// The contact's name.
        name: String,
        /// Stable word: `unanswered`, `cancelled`, `late`, `do_not_disturb`, `too_many` or `no_turn`.
        reason: &'static str,
    },
    /// A call's state changed.
    Call {
        /// `inviting ringing connecting connected reconnecting ended`.
        state: &'static str,
        /// With whom.
        name: String,
        /// Stable word, with `ended`.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        /// The same in a sentence, with `ended`.
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
        /// Time connected, with `ended`.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// How the connection of a call is being made or repaired, and which part of that failed.
    Step {
        /// The call's state: `connecting connected reconnecting`.
        state: &'static str,
        /// With whom.
        name: String,
        /// In words.
        step: String,
        /// It has failed.
        failed: bool,
    },
    /// The other person's switches changed; in the call of a group also who comes, goes and is heard.
    Participant {
        /// The number in the call of a group.
        #[serde(skip_serializing_if = "Option::is_none")]
        participant: Option<u32>,
        /// `joined left speaking muted camera hold screen admin`.
        change: &'static str,
        /// Who.
        name: String,
        /// The new value of the switch, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        on: Option<bool>,
    },
    /// Our own switches changed.
    Own {
        /// True: no sound leaves.
        muted: bool,
        /// True: pictures leave.
        camera: bool,
        /// True: neither leaves, the call waits on hold.
        hold: bool,
        /// True: our screen is shown to the others.
        screen: bool,
        /// True: nothing is heard here, by our wish.
        deafened: bool,
        /// True: the microphone is open for as long as a key is held, or until `ptt off`.
        talking: bool,
        /// With whom the call is.
        name: String,
    },
    /// How loud somebody is heard here changed.
    Volume {
        /// Who.
        name: String,
        /// Per cent of what is sent.
        percent: u16,
        /// True: not heard at all, for now.
        silenced: bool,
    },
    /// How things stand, asked for.
    Status(Box<Status>),
    /// Whether calls ring here.
    DoNotDisturb {
        /// True: they do not.
        on: bool,
    },
    /// First frame of a kind in a direction.
    Media {
        /// `audio` or `video`.
        kind: &'static str,
        /// `sent` or `received`.
        direction: &'static str,
    },
    /// The first frame of a kind from the far side after an interruption.
    MediaAgain {
        /// `audio` or `video`.
        kind: &'static str,
        /// Time without any.
        gap_ms: u64,
    },
    /// Figures of the last second.
    Stats(Box<Stats>),
    /// The link to the server changed.
    Server {
        /// Whether it answers.
        up: bool,
        /// Why not; or, where it does, why nothing that it says can be kept here.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Links that are out and were not used.
    Links {
        /// Until when each works, in milliseconds since 1970, the next to end first.
        until_ms: Vec<u64>,
    },
    /// One sentence worth reading.
    Notice {
        /// The sentence.
        text: String,
    },
    /// Something failed; says what to do.
    Error {
        /// The sentence.
        text: String,
    },
    /// Figures of the last second of `hullo test`.
    Sound(crate::sound_test::SoundFigures),
    /// The last line of every call.
    Summary(Box<Summary>),
}

/// One person of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    /// Unique in the group.
    pub name: String,
    /// 8-character name of the key set.
    pub id: String,
    /// Who says that the keys are theirs: `you`, `verified` and `contact` of ours, or the `group` only; `words_differ`: a
    /// contact whose words were different when they were compared.
    pub vouched: &'static str,
    /// Whether this is who made the group.
    pub creator: bool,
    /// Invited, and has not answered yet.
    pub invited: bool,
}

impl Report {
    /// Links that are out, by when they end since 1970.
    #[must_use]
    pub fn links(ends: &[std::time::Duration]) -> Self {
        let until_ms = ends.iter().copied().map(crate::text::duration_ms);
        Self::Links {
            until_ms: until_ms.collect(),
        }
    }

    /// A contact as it is now; `words_differ`: and its words were different when they were compared last.
    #[must_use]
    pub fn contact(contact: &Contact, words_differ: bool) -> Self {
        Self::Contact {
            name: contact.name.clone(),
            id: contact.short_id.clone(),
            verified: contact.verified,
            ready: contact.ready,
            blocked: contact.blocked,
            lost: contact.lost,
            words_differ,
        }
    }
}

/// Figures of one second of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Towards the far side.
    pub sent: Flow,
    /// From the far side.
    pub received: Flow,
    /// Round trip of the connection, when known.
    pub rtt_ms: Option<f64>,
    /// Bandwidth estimate towards the far side, bits per second.
    pub estimate_bps: Option<u64>,
    /// The candidate pair in use, as `host/host` kinds.
    pub pair: Option<String>,
    /// Frames that did not open since the call began.
    pub undecryptable: u64,
    /// What may be sent in all now, bits per second with headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_bps: Option<u64>,
    /// Our pictures: `full`, `reduced` because the line carries no more, or `paused` because it carries none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<&'static str>,
    /// The far side's pictures are paused because its line carries none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub far_paused: bool,
    /// The far side does not decode our pictures as fast as they come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub far_slow: bool,
    /// We do not decode the far side's pictures as fast as they come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
    /// What is wrong, in sentences; nothing when all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Everyone who is in the call of a group, we not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonFigures>,
    /// How often our media key was made anew because somebody left the call of a group, modulo 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u8>,
}

/// The whole call in one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Why it ended: the call's reason, or `seconds`.
    pub reason: String,
    /// From accepted to the first sound played, when it came to that.
    pub setup_ms: Option<u64>,
    /// Time connected.
    pub duration_ms: u64,
    /// Frames that did not open.
    pub undecryptable: u64,
    /// Sound.
    pub audio: AudioSummary,
    /// Pictures.
    pub video: VideoSummary,
    /// Glass to glass, when the far camera was `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Percentiles>,
    /// How far the far side's pictures were shown from their sound, either way, when both came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lip_sync_ms: Option<Percentiles>,
    /// Everyone ever met in the call of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonFigures>,
}

/// Sound of a whole call, in 20 ms frames and milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AudioSummary {
    /// Frames sent.
    pub sent: u64,
    /// Frames received and opened.
    pub received: u64,
    /// Sound made up.
    pub concealed_ms: u64,
    /// Sound played, concealed included.
    pub played_ms: u64,
}

/// Pictures of a whole call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VideoSummary {
    /// What our camera delivered.
    pub captured: u64,
    /// What left.
    pub sent: u64,
    /// What arrived and opened.
    pub received: u64,
    /// What was decoded.
    pub decoded: u64,
    /// Freezes (W3C rule).
    pub freezes: u64,
    /// Width of the last picture decoded, pixels.
    pub width: u32,
    /// Height of the last picture decoded, pixels.
    pub height: u32,
}

/// A spread of milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// One entry of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct EntryReport {
    /// Its number in this profile; later ones are higher.
    pub id: u64,
    /// The contact.
    pub name: String,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// `incoming` or `outgoing`.
    pub direction: String,
    /// `text`, `call`, or `group_call`: the name is the group's then, and the number one of its own kind.
    pub kind: String,
    /// False for what nobody has seen yet.
    pub seen: bool,
    /// The words of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a text: `waiting sent received`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of a call: `audio` or `video`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Of a call: `ringing accepted in_call missed declined busy unanswered cancelled answered_elsewhere ended cut_off
    /// failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Of a call that was connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Of a call, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Of the call of a group: who was in it too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
}

impl EntryReport {
    /// The entry of the contact of this name.
    #[must_use]
    pub fn of(entry: &HistoryEntry, name: &str) -> Self {
        let millis = crate::text::duration_ms;
        let word = |word: &str| Some(word.to_owned());
        let direction = match entry.direction {
            Direction::Incoming => "incoming",
            Direction::Outgoing => "outgoing",
        };
        let report = Self {
            id: entry.id.0,
            name: name.to_owned(),
            time_ms: millis(entry.at),
            direction: direction.to_owned(),
            seen: entry.is_seen,
            ..Self::default()
        };
        match &entry.kind {
            EntryKind::Text { text, state } => Self {
                kind: "text".to_owned(),
                text: Some(text.clone()),
                state: word(match state {
                    TextState::Waiting => "waiting",
                    TextState::Sent => "sent",
                    TextState::Received => "received",
                }),
                ..report
            },
            EntryKind::Call { media, outcome, .. } => Self {
                kind: "call".to_owned(),
                media: word(match media {
                    hullo_proto::call::Media::Audio => "audio",
                    hullo_proto::call::Media::Video => "video",
                }),
                outcome: word(outcome.as_str()),
                duration_ms: match outcome {
                    CallOutcome::Ended { duration, .. } => Some(millis(*duration)),
                    _ => None,
                },
                words: Some(crate::text::call(entry.direction, *media, outcome)),
                ..report
            },
        }
    }

    /// Whether it is a text of ours that is durable here.
    #[must_use]
    pub fn is_own_text(&self) -> bool {
        self.kind == "text" && self.direction == "outgoing"
    }

    /// Whether it is a text of ours that the relay has.
    #[must_use]
    pub fn is_sent_text(&self) -> bool {
        self.is_own_text() && self.state.as_deref() != Some("waiting")
    }
}
