//! What the outside is told: the JSON events of the command line, also the source of the `--plain` sentences.
//!
//! Names and members are stable: scripts rely on them. Times are milliseconds since the program's start.

use serde::Serialize;

use crate::event::Contact;

/// One JSON object on one line. `at_ms` is added by the writer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Report {
    /// A server listens, or the program is ready for commands.
    Ready {
        /// Where the server is reached, with its pin.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
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
    },
    /// Our own name.
    Name {
        /// What others see.
        name: String,
        /// 8-character name of our key set.
        id: String,
    },
    /// Somebody calls.
    Incoming {
        /// The contact's name.
        name: String,
        /// True with pictures.
        video: bool,
        /// Whether the words were compared with this contact.
        verified: bool,
    },
    /// The call's state changed.
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
    /// The other person's switches changed.
    Participant {
        /// `joined left speaking muted camera hold`.
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
    },
    /// First frame of a kind in a direction.
    Media {
        /// `audio` or `video`.
        kind: &'static str,
        /// `sent` or `received`.
        direction: &'static str,
    },
    /// Figures of the last second.
    Stats(Box<Stats>),
    /// The link to the server changed.
    Server {
        /// Whether it answers.
        up: bool,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
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
    /// The last line of every call.
    Summary(Box<Summary>),
}

impl Report {
    /// A contact as it is now.
    #[must_use]
    pub fn contact(contact: &Contact) -> Self {
        Self::Contact {
            name: contact.name.clone(),
            id: contact.short_id.clone(),
            verified: contact.verified,
            ready: contact.ready,
            blocked: contact.blocked,
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
}

/// One direction of one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of datagrams.
    pub bytes: u64,
    /// Share of packets lost, 0..=1, when known.
    pub loss: Option<f64>,
    /// Interarrival jitter, when known.
    pub jitter_ms: Option<f64>,
    /// Audio frames.
    pub audio_frames: u64,
    /// Video frames.
    pub video_frames: u64,
    /// Bits per second of video before packets.
    pub video_bitrate_bps: u64,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Freezes since the call began (W3C rule), receiving only.
    pub freezes: u64,
    /// Sound made up for what was missing, receiving only, since the call began.
    pub concealed_ms: u64,
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
