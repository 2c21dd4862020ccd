//! How sound is sent, given what the network does to it: bit rate, protection, copies, length of packets. Pure.
//!
//! | loss seen | in single packets | in runs |
//! |---|---|---|
//! | under 1.5 % | 32 kbit/s, nothing else | the same |
//! | from 1.5 % | a copy of the packet before | the third before |
//! | from 5 % | of the two before | the third and seventh before |
//! | from 17 % | of the three before | the third and seventh before |
//!
//! Copies are whole packets, so a lost one sounds as if it had come; they replace the codec's own poor copies (FEC), which
//! take their bits from every packet. FEC is for peers that read no copies, for group calls and for thin links. In all
//! a packet with its copies and seals costs at most 100 kbit/s, and half of what the network carries. Where that is under
//! 60 kbit/s packets are of 40 ms, and of 60 ms under 40 kbit/s.
//!
//! More protection comes at once and goes only after ten quiet seconds. If loss grows when copies are added to a thin
//! link, the copies are the cause: they go, and are not tried again for a while.

use std::time::{Duration, Instant};

use hullo_proto::frame::LossReport;

/// Bits per second of sound on a link without fault: wideband speech without audible loss.
pub const BITRATE_MAX_BPS: u32 = 32_000;
/// Lowest: below it words suffer more than from losing some.
pub const BITRATE_MIN_BPS: u32 = 16_000;
/// Lowest in packets of 60 ms, on lines that carry nothing else: still wideband.
const BITRATE_LEAST_BPS: u32 = 10_000;
/// Bits per second of sealed sound at most, copies included.
pub const PAYLOAD_MAX_BPS: u64 = 100_000;

/// Bytes of copies that may go with one packet while the rate changes: older ones are still of the higher rate.
pub const COPY_BYTES_MAX: usize = 170;

/// Bytes around the packets of a frame: version, kind, tag, counter (4), head, report.
const SEAL_BYTES: u64 = 25;
/// Bytes that each copy takes beside itself.
const COPY_HEAD_BYTES: u64 = 2;
/// Bytes of IP, UDP, RTP with extensions and SRTP around each frame.
const HEADER_BYTES: u64 = 66;
/// Under this rate packets are of 40 ms: the headers of 50 a second would take half of it.
const LONG_PACKETS_BPS: u64 = 60_000;
/// Back to 20 ms above this.
const SHORT_PACKETS_BPS: u64 = 75_000;
/// Under this they are of 60 ms.
const LONGEST_PACKETS_BPS: u64 = 40_000;
/// Back to 40 ms above this.
const LONG_AGAIN_BPS: u64 = 48_000;
/// What reports, feedback and checks of the way take on a thin line, bits per second.
const RESERVE_BPS: u64 = 8_000;
/// Loss from which each level of protection is worth its bits.
const LOSS_OF_LEVEL: [f32; 3] = [0.015, 0.05, 0.17];
/// A level is left when loss is under this share of what it began at.
const LEAVE_SHARE: f32 = 0.75;
/// How long loss must be less until protection goes. Shorter flutters, longer costs clarity.
const CALM: Duration = Duration::from_secs(10);
/// Mean run of lost packets from which loss counts as bursts; chance alone makes 1.4 at 30 %.
const BURST_MIN: f32 = 1.9;
/// Loss is only said to come in bursts if there is enough of it to tell.
const BURST_LOSS_MIN: f32 = 0.03;
/// Round trip over which far copies would keep people waiting for longer than they help.
const SPREAD_RTT_MAX: Duration = Duration::from_millis(400);
/// A round trip so much over its least means a full queue, whose loss copies make worse.
const QUEUE_MIN: Duration = Duration::from_millis(80);
/// A line that was full so lately is full again when more is sent: what it loses is not chance.
const QUEUE_REMEMBERED: Duration = Duration::from_secs(10);
/// How long copies have to show that they do no harm.
const TRIAL: Duration = Duration::from_secs(4);
/// Loss that grew by so much during it is their fault.
const HARM: f32 = 0.12;
/// Links that carry more than this do not lose packets because of copies, bits per second.
const HARM_BPS_MAX: u64 = 300_000;
/// More is lost by no line that anybody would speak on: this one is full, and was so before any queue was seen to grow.
const LOSS_FULL: f32 = 0.5;
/// Share of what a full line carries that is used from then on, per cent.
const FULL_PERCENT: u64 = 90;
/// How long they are not tried again.
const BAN: Duration = Duration::from_secs(30);
/// An estimate that fell only because packets are lost at random is not believed below this, bits per second.
const ESTIMATE_FLOOR_BPS: u64 = 220_000;
/// The codec puts no protection in at all for less (24 kbit/s and 5 %).
const ANNOUNCED_MIN: f32 = 10.0;
/// More takes too much from the sound itself.
const ANNOUNCED_MAX: f32 = 40.0;

/// How to send sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundSettings {
    /// Of one packet's sound, bits per second.
    pub bitrate_bps: u32,
    /// Loss that the encoder protects against with FEC, in percent; 0: no FEC.
    pub announced_loss_percent: u8,
    /// Which earlier packets go along: 1 is the one before.
    pub copies: &'static [u8],
    /// Blocks of 20 ms in a packet, 1 to 3.
    pub blocks: u8,
}

impl Default for SoundSettings {
    fn default() -> Self {
        Self {
            bitrate_bps: BITRATE_MAX_BPS,
            announced_loss_percent: 0,
            copies: &[],
            blocks: 1,
        }
    }
}

/// What is known of the way to the far side.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkFigures {
    /// What the far side misses.
    pub report: LossReport,
    /// Round trip.
    pub rtt: Option<Duration>,
    /// How long our packets stand in queues on their way, as the far side counts it.
    pub queue: Option<Duration>,
    /// What of ours arrives, bits per second, as the far side counts it.
    pub arrives_bps: Option<u64>,
    /// What the network carries in all, bits per second, as far as is known.
    pub available_bps: Option<u64>,
    /// The far side reads copies.
    pub takes_copies: bool,
}

/// The policy. See the module.
#[derive(Default)]
pub struct AudioPolicy {
    level: usize,
    bursty: bool,
    /// Blocks in a packet; 0 before the first look.
    blocks: u8,
    settings: SoundSettings,
    /// Since when less would do.
    calm_since: Option<Instant>,
    bursty_seen: Option<Instant>,
    rtt_least: Option<Duration>,
    /// When a queue was last seen.
    queued_at: Option<Instant>,
    /// Begin of a trial of copies and the loss before it.
    trial: Option<(Instant, f32)>,
    banned_until: Option<Instant>,
    /// What arrived when copies had filled the line, bits per second: as much as it carries.
    full_bps: Option<u64>,
}

impl AudioPolicy {
    /// Takes new figures; the settings, if they changed.
    pub fn update(&mut self, now: Instant, figures: &LinkFigures) -> Option<SoundSettings> {
        self.follow_loss(now, figures.report);
        let usable = self.usable(now, figures);
        self.blocks = blocks(self.blocks, usable);
        let is_thin = usable < HARM_BPS_MAX;
        self.judge_trial(now, figures, is_thin);
        let banned = self.banned_until.is_some_and(|until| now < until);
        let wanted = if figures.takes_copies && !banned {
            self.wanted_copies(figures.rtt)
        } else {
            &[]
        };
        let settings = self.afford(wanted, usable, figures.report.loss());
        if settings.copies.len() > self.settings.copies.len() {
            self.trial = Some((now, figures.report.loss()));
        }
        let changed = settings != self.settings;
        self.settings = settings;
        changed.then_some(settings)
    }

    /// How sound is to be sent now.
    #[must_use]
    pub fn settings(&self) -> SoundSettings {
        self.settings
    }

    fn follow_loss(&mut self, now: Instant, report: LossReport) {
        let loss = report.loss();
        let reached = LOSS_OF_LEVEL.iter().filter(|&&from| loss >= from).count();
        let stays = self
            .level
            .checked_sub(1)
            .and_then(|level| LOSS_OF_LEVEL.get(level))
            .is_some_and(|from| loss >= from * LEAVE_SHARE);
        if reached >= self.level || stays {
            self.level = self.level.max(reached);
            self.calm_since = None;
        } else if now.saturating_duration_since(*self.calm_since.get_or_insert(now)) >= CALM {
            self.level = reached;
            self.calm_since = None;
        }
        if report.burst() >= BURST_MIN && loss >= BURST_LOSS_MIN {
            (self.bursty, self.bursty_seen) = (true, Some(now));
        }
        self.bursty &= self
            .bursty_seen
            .is_some_and(|seen| now.saturating_duration_since(seen) < CALM);
    }

    fn wanted_copies(&self, rtt: Option<Duration>) -> &'static [u8] {
        let spread = self.bursty && rtt.is_none_or(|rtt| rtt <= SPREAD_RTT_MAX);
        match (self.level, spread) {
            (0, _) => &[],
            (1, false) => &[1],
            (1, true) => &[3],
            (2, false) => &[1, 2],
            (_, false) => &[1, 2, 3],
            (_, true) => &[3, 7],
        }
    }

    /// What sound may count on, headers included, bits per second.
    fn usable(&mut self, now: Instant, figures: &LinkFigures) -> u64 {
        let least = match (self.rtt_least, figures.rtt) {
            (Some(least), Some(rtt)) => Some(least.min(rtt)),
            (least, rtt) => least.or(rtt),
        };
        self.rtt_least = least;
        let waits = figures.rtt.zip(least).map(|(rtt, least)| rtt - least);
        if waits
            .max(figures.queue)
            .is_some_and(|wait| wait > QUEUE_MIN)
        {
            self.queued_at = Some(now);
        }
        let queued =
            (self.queued_at).is_some_and(|at| now.saturating_duration_since(at) < QUEUE_REMEMBERED);
        if let Some(full) = self.full_bps
            && self.banned_until.is_some_and(|until| now < until)
        {
            return figures.available_bps.map_or(full, |bps| bps.min(full));
        }
        let Some(available) = figures.available_bps else {
            return u64::MAX;
        };
        // Estimators take any loss for a full link. A round trip that stayed at its least says that it never was.
        let lossy = figures.report.loss() >= LOSS_OF_LEVEL[1];
        if lossy && !queued && figures.rtt.is_some() {
            available.max(ESTIMATE_FLOOR_BPS)
        } else {
            available
        }
    }

    fn judge_trial(&mut self, now: Instant, figures: &LinkFigures, is_thin: bool) {
        let loss = figures.report.loss();
        let is_full =
            loss >= LOSS_FULL && figures.arrives_bps.is_some_and(|bps| bps < HARM_BPS_MAX);
        if is_full && self.banned_until.is_none_or(|until| now >= until) {
            self.ban(now, figures);
        }
        let Some((began, before)) = self.trial else {
            return;
        };
        // Where there is room, loss that comes in bursts only seems to have grown.
        if is_thin && loss > before + HARM && now.saturating_duration_since(began) > TRIAL / 4 {
            self.ban(now, figures);
        } else if now.saturating_duration_since(began) > TRIAL {
            self.trial = None;
        }
    }

    /// The line is full of what we send: no copies for a while, and no more in all than it carries.
    fn ban(&mut self, now: Instant, figures: &LinkFigures) {
        self.banned_until = Some(now + BAN);
        self.full_bps = figures.arrives_bps.map(|bps| bps * FULL_PERCENT / 100);
        self.trial = None;
    }

    /// As many of the copies as the rate allows, the nearest being dropped last, and the best bit rate with them.
    fn afford(&self, wanted: &'static [u8], usable_bps: u64, loss: f32) -> SoundSettings {
        let blocks = self.blocks;
        let of_one = |bytes: u64| bytes * 8 * 50 / u64::from(blocks);
        let headers = of_one(HEADER_BYTES) + if blocks > 1 { RESERVE_BPS } else { 0 };
        // Half for sound, the rest for pictures and everybody else; a thin link is sound's alone.
        let share = (usable_bps / 2)
            .max(usable_bps.min(LONG_PACKETS_BPS))
            .saturating_sub(headers);
        let frame_bytes = share.min(PAYLOAD_MAX_BPS) * u64::from(blocks) / 8 / 50;
        let copies_max = if blocks > 1 {
            wanted.len().min(1)
        } else {
            wanted.len()
        };
        let bitrate_with = |copies: u64| {
            let packets = frame_bytes.saturating_sub(SEAL_BYTES + COPY_HEAD_BYTES * copies);
            let bytes = packets / (copies + 1);
            of_one(bytes)
        };
        let count = (1..=copies_max)
            .rev()
            .find(|&count| bitrate_with(count as u64) >= u64::from(BITRATE_MIN_BPS))
            .unwrap_or(0);
        let least = if blocks == 3 {
            BITRATE_LEAST_BPS
        } else {
            BITRATE_MIN_BPS
        };
        let bitrate = bitrate_with(count as u64).clamp(least.into(), BITRATE_MAX_BPS.into());
        let protected = self.level > 0 && count == 0;
        let announced = (loss * 100.0).clamp(ANNOUNCED_MIN, ANNOUNCED_MAX);
        // In steps of five, so that noise does not reconfigure the encoder each second.
        let announced = (announced / 5.0).round() as u8 * 5;
        SoundSettings {
            bitrate_bps: bitrate as u32,
            announced_loss_percent: if protected { announced } else { 0 },
            copies: &wanted[..count],
            blocks,
        }
    }
}

/// Blocks of 20 ms in a packet on a line that carries `usable` bits per second, after packets of so many blocks.
fn blocks(before: u8, usable: u64) -> u8 {
    let (to_one, to_two) = match before {
        3 => (SHORT_PACKETS_BPS, LONG_AGAIN_BPS),
        2 => (SHORT_PACKETS_BPS, LONGEST_PACKETS_BPS),
        _ => (LONG_PACKETS_BPS, LONGEST_PACKETS_BPS),
    };
    match usable {
        _ if usable >= to_one => 1,
        _ if usable >= to_two => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Link {
        policy: AudioPolicy,
        now: Instant,
        figures: LinkFigures,
    }

    impl Link {
        fn new() -> Self {
            let figures = LinkFigures {
                takes_copies: true,
                ..LinkFigures::default()
            };
            Self {
                policy: AudioPolicy::default(),
                now: Instant::now(),
                figures,
            }
        }

        /// Twice a second.
        fn run(&mut self, seconds: u32, loss: f32, burst: f32) -> SoundSettings {
            self.figures.report = LossReport::new(loss, burst);
            for _ in 0..seconds * 2 {
                self.now += Duration::from_millis(500);
                self.policy.update(self.now, &self.figures);
            }
            self.policy.settings()
        }
    }

    /// Sealed bits per second.
    fn payload(settings: SoundSettings) -> u64 {
        let packet = u64::from(settings.bitrate_bps) * u64::from(settings.blocks) / 8 / 50;
        let copies = settings.copies.len() as u64;
        (packet * (copies + 1) + SEAL_BYTES + COPY_HEAD_BYTES * copies) * 8 * 50
            / u64::from(settings.blocks)
    }

    #[test]
    fn a_clean_link_gets_clear_sound_and_nothing_else() {
        let mut link = Link::new();
        assert_eq!(link.run(60, 0.01, 1.0), SoundSettings::default());
    }

    #[test]
    fn copies_grow_with_loss_at_once_and_go_after_ten_calm_seconds() {
        let mut link = Link::new();
        assert_eq!(link.run(1, 0.02, 1.0).copies, [1]);
        assert_eq!(link.run(1, 0.1, 1.0).copies, [1, 2]);
        let most = link.run(1, 0.3, 1.4);
        assert_eq!(
            (most.copies, most.announced_loss_percent),
            (&[1, 2, 3][..], 0)
        );
        assert_eq!(link.run(9, 0.0, 0.0).copies, [1, 2, 3]);
        assert_eq!(link.run(3, 0.0, 0.0), SoundSettings::default());
    }

    #[test]
    fn bursts_spread_the_copies_unless_the_far_side_is_far_away() {
        let mut link = Link::new();
        assert_eq!(link.run(1, 0.2, 3.0).copies, [3, 7]);
        assert_eq!(
            link.run(5, 0.2, 1.5).copies,
            [3, 7],
            "a calm moment changes nothing"
        );
        link.figures.rtt = Some(Duration::from_millis(600));
        assert_eq!(link.run(1, 0.2, 3.0).copies, [1, 2, 3]);
    }

    #[test]
    fn who_reads_no_copies_gets_fec_and_never_for_less_than_ten_percent() {
        let mut link = Link::new();
        link.figures.takes_copies = false;
        for (loss, announced) in [(0.0, 0), (0.02, 10), (0.2, 20), (0.9, 40)] {
            let settings = link.run(1, loss, 1.0);
            assert_eq!(
                (settings.announced_loss_percent, settings.copies.len()),
                (announced, 0)
            );
        }
    }

    #[test]
    fn thin_links_get_long_packets_and_only_what_fits() {
        let mut link = Link::new();
        link.figures.rtt = Some(Duration::from_millis(50));
        for (available, blocks) in [
            (1_000_000, 1),
            (70_000, 1),
            (55_000, 2),
            (70_000, 2),
            (80_000, 1),
            (32_000, 3),
            (45_000, 3),
            (50_000, 2),
            (41_000, 2),
        ] {
            link.figures.available_bps = Some(available);
            let settings = link.run(1, 0.0, 0.0);
            assert_eq!(settings.blocks, blocks, "{available} bit/s");
            let headers = HEADER_BYTES * 8 * 50 / u64::from(blocks);
            assert!(
                payload(settings) + headers + 3_000 <= available,
                "{available}: {settings:?}"
            );
        }
    }

    #[test]
    fn a_line_that_was_full_from_the_first_moment_on_is_found() {
        let mut link = Link::new();
        link.figures.available_bps = Some(280_000);
        link.figures.rtt = Some(Duration::from_millis(50));
        link.figures.arrives_bps = Some(48_000);
        let settings = link.run(1, 0.55, 1.8);
        assert_eq!(
            (settings.blocks, settings.copies.len()),
            (2, 0),
            "{settings:?}"
        );
        let settings = link.run(20, 0.0, 0.0);
        assert_eq!(settings.blocks, 2, "{settings:?}");
    }

    #[test]
    fn an_estimate_that_fell_by_chance_loss_does_not_stop_copies_but_a_full_queue_does() {
        let mut link = Link::new();
        link.figures.rtt = Some(Duration::from_millis(50));
        link.figures.available_bps = Some(90_000);
        assert_eq!(link.run(2, 0.2, 1.2).copies, [1, 2, 3]);
        link.figures.rtt = Some(Duration::from_millis(250));
        let settings = link.run(1, 0.2, 1.2);
        assert!(settings.copies.len() < 2, "{settings:?}");
    }

    #[test]
    fn copies_that_make_loss_worse_go_and_are_tried_again_later() {
        let mut link = Link::new();
        link.figures.available_bps = Some(250_000);
        assert_eq!(link.run(2, 0.06, 1.0).copies, [1, 2]);
        let settings = link.run(1, 0.25, 1.0);
        assert_eq!(
            (settings.copies.len(), settings.announced_loss_percent),
            (0, 25)
        );
        assert_eq!(link.run(25, 0.06, 1.0).copies.len(), 0);
        assert_eq!(link.run(10, 0.06, 1.0).copies, [1, 2]);
    }

    proptest! {
        #[test]
        fn no_figures_ask_for_more_than_is_allowed(rounds in proptest::collection::vec((0f32..1.0, 0f32..30.0, 0u64..2_000, any::<Option<u32>>(), any::<bool>()), 1..60)) {
            let mut link = Link::new();
            for (loss, burst, rtt_ms, available, takes_copies) in rounds {
                link.figures = LinkFigures {
                    rtt: Some(Duration::from_millis(rtt_ms)),
                    available_bps: available.map(u64::from),
                    takes_copies,
                    ..LinkFigures::default()
                };
                let settings = link.run(1, loss, burst);
                prop_assert!(payload(settings) <= PAYLOAD_MAX_BPS, "{:?}", settings);
                prop_assert!((BITRATE_MIN_BPS..=BITRATE_MAX_BPS).contains(&settings.bitrate_bps));
                prop_assert!(takes_copies || settings.copies.is_empty());
                prop_assert!(settings.announced_loss_percent == 0 || settings.announced_loss_percent >= 10);
            }
        }
    }
}
