//! One person speaks, the other listens, in virtual time: encoder, policy, cipher, a seeded line, cipher, jitter buffer,
//! decoder. The listener's own packets, which carry what it misses, suffer the same line. No session between, so that
//! every run of a seed is the same to the last sample.

use std::time::{Duration, Instant};

use hullo_media::codec::opus;
use hullo_media::frame::{BLOCK_SAMPLES, Block};
use hullo_media::jitter::{AudioBuffer as _, AudioBufferStats, JitterBuffer, Pull, TARGET_START};
use hullo_media::sound_link::SoundLink;
use hullo_media::sound_policy::SoundSettings;
use hullo_proto::frame::{CallSecret, FrameContext, Opener, Sealer};

/// Length of a block in milliseconds.
const STEP_MS: u64 = 20;
/// The encoder looks so far ahead, in milliseconds.
const LOOK_AHEAD_MS: f64 = 6.5;
/// Opus for "nothing is said".
const SILENT_PACKET: [u8; 3] = [0xf8, 0xff, 0xfe];

/// What lies between the two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// One way, milliseconds.
    pub delay_ms: u64,
    /// Up to so much more, milliseconds; every packet its own.
    pub jitter_ms: u64,
    /// Share lost, 0..=1.
    pub loss: f64,
    /// Mean length of a run of lost packets; up to 1 means each by itself.
    pub burst: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What the listener heard from the moment on at which the first sample was spoken.
    pub samples: Vec<f32>,
    /// The jitter buffer's own account.
    pub stats: AudioBufferStats,
    /// Sealed bits per second, without the lead.
    pub payload_bps: f64,
    /// From mouth to ear in 95 of 100 blocks, milliseconds, without the lead.
    pub delay_p95_ms: f64,
    /// Made-up sound of all, 0..=1, without the lead.
    pub concealed_share: f64,
    /// How sound was sent at last.
    pub settings: SoundSettings,
    /// When that changed, milliseconds since the call began, lead included.
    pub changes: Vec<(u64, SoundSettings)>,
    /// Least and most delay of the jitter buffer without the lead, milliseconds.
    pub held_ms: (u64, u64),
}

/// Repeats itself for a seed (Steele, Lea, Flood: SplitMix64).
struct Chance(u64);

impl Chance {
    /// 0..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Loss in one direction: a good and a bad state (Gilbert), or plain chance.
struct Losses {
    chance: Chance,
    line: Line,
    is_bad: bool,
}

impl Losses {
    fn new(line: Line, seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            line,
            is_bad: false,
        }
    }

    fn next(&mut self) -> bool {
        let (loss, burst) = (self.line.loss, self.line.burst);
        let draw = self.chance.next();
        if burst <= 1.0 {
            return draw < loss;
        }
        self.is_bad = if self.is_bad {
            draw >= 1.0 / burst
        } else {
            draw < loss / (burst * (1.0 - loss))
        };
        self.is_bad
    }
}

/// Sealed bytes under way: arrival and media time.
type Flight = (u64, u64, Vec<u8>);

struct Talk {
    line: Line,
    start: Instant,
    encoder: opus::Encoder,
    speaker: (SoundLink, Sealer, Opener),
    listener: (SoundLink, Sealer, Opener),
    buffer: JitterBuffer,
    losses: [Losses; 2],
    jitter: Chance,
    to_listener: Vec<Flight>,
    to_speaker: Vec<Flight>,
    heard: Vec<f32>,
    delays_ms: Vec<u64>,
    settings: SoundSettings,
    changes: Vec<(u64, SoundSettings)>,
}

impl Talk {
    fn new(line: Line, seed: u64, takes_copies: bool) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary zero of the virtual clock"
        )]
        let start = Instant::now();
        let secret = CallSecret::from_bytes([7; 32]).expect("not zero");
        let side = |own: u8, peer: u8| {
            let context = FrameContext {
                secret: &secret,
                call_id: [1; 16],
                own_public: [own; 32],
                peer_public: [peer; 32],
            };
            let mut link = SoundLink::default();
            link.set_takes_copies(takes_copies);
            (link, Sealer::new(context, "0"), Opener::new(context, "0"))
        };
        let decoder = opus::Decoder::new().expect("opus");
        Self {
            line,
            start,
            encoder: opus::Encoder::new().expect("opus"),
            speaker: side(2, 3),
            listener: side(3, 2),
            buffer: JitterBuffer::new(Box::new(decoder), TARGET_START),
            losses: [1, 2].map(|salt| Losses::new(line, seed.wrapping_mul(4) + salt)),
            jitter: Chance(seed.wrapping_mul(4) + 3),
            to_listener: Vec::new(),
            to_speaker: Vec::new(),
            heard: Vec::new(),
            delays_ms: Vec::new(),
            settings: SoundSettings::default(),
            changes: Vec::new(),
        }
    }

    /// Speaks a block that ends at `at_ms`; says how many bytes left.
    fn speak(&mut self, at_ms: u64, block: &[f32]) -> usize {
        let now = self.start + Duration::from_millis(at_ms);
        let (link, sealer, _) = &mut self.speaker;
        if let Some(settings) = link.settings(now) {
            self.settings = settings;
            self.changes.push((at_ms, settings));
            self.encoder.apply(&settings);
        }
        // Long packets are for thin links, which these lines are not.
        assert_eq!(self.settings.blocks, 1, "packets of 20 ms");
        let packet = self
            .encoder
            .encode_samples(block)
            .expect("opus encodes any block");
        let outgoing = link.outgoing(&packet, now - Duration::from_millis(STEP_MS));
        let sealed = if link.takes_copies() {
            sealer.seal_sound(&packet, &outgoing.copies, outgoing.report)
        } else {
            sealer.seal(hullo_proto::frame::FrameKind::Audio, &packet)
        };
        let bytes = sealed.expect("fits").into_bytes();
        let size = bytes.len();
        if !self.losses[0].next() {
            let late = self.jitter.next() * self.line.jitter_ms as f64;
            let media = (at_ms - STEP_MS) * 48;
            let arrival = at_ms + self.line.delay_ms + late as u64;
            self.to_listener.push((arrival, media, bytes));
        }
        size
    }

    /// The listener's packet, silent, with its report.
    fn report(&mut self, at_ms: u64) {
        let (link, sealer, _) = &mut self.listener;
        let sealed = sealer
            .seal_sound(&SILENT_PACKET, &[], link.missed())
            .expect("fits");
        if !self.losses[1].next() {
            let arrival = at_ms + self.line.delay_ms;
            self.to_speaker
                .push((arrival, at_ms * 48, sealed.into_bytes()));
        }
    }

    fn deliver(&mut self, at_ms: u64) {
        for (at, media, bytes) in due(&mut self.to_listener, at_ms) {
            let now = self.start + Duration::from_millis(at);
            let opened = self.listener.2.open(&bytes).expect("genuine");
            for frame in self.listener.0.incoming(now, opened, media) {
                self.buffer.push(now, frame);
            }
        }
        for (at, media, bytes) in due(&mut self.to_speaker, at_ms) {
            let now = self.start + Duration::from_millis(at);
            let opened = self.speaker.2.open(&bytes).expect("genuine");
            self.speaker.0.incoming(now, opened, media);
        }
    }

    fn listen(&mut self, at_ms: u64) {
        match self.buffer.pull(self.start + Duration::from_millis(at_ms)) {
            Pull::Play(block) | Pull::Concealed(block) => self.heard.extend(block.iter()),
            Pull::Silence => self.heard.extend([0.0; BLOCK_SAMPLES]),
        }
        self.delays_ms.push(self.buffer.stats().delay_ms);
    }
}

/// Takes out what has arrived by now, in order of arrival.
fn due(flights: &mut Vec<Flight>, at_ms: u64) -> Vec<Flight> {
    let (mut there, under_way): (Vec<_>, Vec<_>) =
        flights.drain(..).partition(|(at, ..)| *at <= at_ms);
    *flights = under_way;
    there.sort_by_key(|(at, ..)| *at);
    there
}

/// Speaks `lead`, which is not judged, and then `speech`; both 48 kHz. `takes_copies`: the listener reads copies.
///
/// # Panics
/// When the codec or the ciphers refuse what they must not.
#[must_use]
pub fn talk(lead: &[f32], speech: &[f32], line: Line, seed: u64, takes_copies: bool) -> Heard {
    let mut talk = Talk::new(line, seed, takes_copies);
    let silence: Block = [0.0; BLOCK_SAMPLES];
    let (lead_blocks, blocks) = (lead.len() / BLOCK_SAMPLES, speech.len() / BLOCK_SAMPLES);
    // What was said last is heard half a second later at the most.
    let after = 25;
    let spoken = lead
        .chunks_exact(BLOCK_SAMPLES)
        .chain(speech.chunks_exact(BLOCK_SAMPLES))
        .chain(std::iter::repeat_n(&silence[..], after));
    let (mut payload, mut concealed_before) = (0, 0);
    for (index, block) in spoken.enumerate() {
        let at_ms = (index as u64 + 1) * STEP_MS;
        let bytes = talk.speak(at_ms, block);
        if (lead_blocks..lead_blocks + blocks).contains(&index) {
            payload += bytes;
        }
        talk.report(at_ms);
        talk.deliver(at_ms);
        talk.listen(at_ms);
        if index + 1 == lead_blocks {
            concealed_before = talk.buffer.stats().concealed_ms;
        }
    }
    let seconds = blocks as f64 * STEP_MS as f64 / 1000.0;
    let stats = talk.buffer.stats();
    let mut delays = talk.delays_ms.split_off(lead_blocks);
    delays.sort_unstable();
    let path_ms = (STEP_MS + line.delay_ms) as f64 + LOOK_AHEAD_MS;
    Heard {
        samples: talk.heard.split_off(lead_blocks * BLOCK_SAMPLES),
        stats,
        payload_bps: payload as f64 * 8.0 / seconds,
        delay_p95_ms: delays[(delays.len() - 1) * 95 / 100] as f64 + path_ms,
        concealed_share: (stats.concealed_ms - concealed_before) as f64 / (seconds * 1000.0),
        settings: talk.settings,
        changes: talk.changes,
        held_ms: (delays[0], delays[delays.len() - 1]),
    }
}
