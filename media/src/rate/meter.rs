//! Measures both directions of a path from the reports that its ends exchange. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::first_trip::FirstTrip;
use super::report::PathReport;

/// Bytes of IPv4 and UDP headers, which a line carries as well.
pub(crate) const HEADER_BYTES: usize = 28;
/// Reports kept of each direction: three seconds.
const REPORTS_MAX: usize = 32;
/// The rate that arrives is taken over this time: shorter is noise, longer notices a halved line late.
const GOODPUT_WINDOW: Duration = Duration::from_millis(400);
/// While our reports of the far side stood in a queue for this long, the line was busy, ms.
const BUSY_QUEUE_MS: u16 = 40;
/// What it carried meanwhile says something from this many bytes on: ten full packets.
const BUSY_BYTES_MIN: u32 = 12_000;
/// Losses are counted over this time.
const LOSS_WINDOW: Duration = Duration::from_millis(1_000);
/// The quickest way of the last 10 to 20 s counts as empty: two clocks drift by 2 ms meanwhile, routes change.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// Sound packets whose fate is remembered for loss and the length of holes: two seconds of 20 ms packets.
const SOUND_MAX: usize = 100;

/// What the far side has confirmed of what we send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathFigures {
    /// Bits per second that arrived there, with IP and UDP headers; 0 until two reports have come.
    pub goodput_bps: u64,
    /// The same over the moments in which a queue stood, where that was long enough: what the line carries.
    pub busy_bps: Option<u64>,
    /// How long our datagrams stand in queues on their way.
    pub queue: Duration,
    /// Share of our datagrams of the last second that were lost, 0..=1.
    pub loss: f32,
    /// Share of our sound packets of the last two seconds that were lost, 0..=1.
    pub sound_loss: f32,
    /// Mean number of sound packets lost in a row; 0 without losses.
    pub sound_burst: f32,
    /// Round trip, once one was measured.
    pub rtt: Option<Duration>,
    /// Longest time without any datagram since the report before this one: single reports are lost on full lines.
    pub after_silence: Duration,
}

/// The state of one end.
pub(crate) struct PathMeter {
    epoch: Instant,
    sent_datagrams: u32,
    received_datagrams: u32,
    received_bytes: u32,
    /// Arrivals of reports: the far clock, our own, its count and ours.
    arrivals: VecDeque<Arrival>,
    base: Base,
    first_apart: Option<u32>,
    /// The far side's counts of what came from us, by its clock.
    confirmed: VecDeque<Confirmed>,
    last_report_at: Option<Instant>,
    /// When the newest datagram came.
    heard_at: Option<Instant>,
    /// Longest time without one since the last report.
    gap: Duration,
    rtt: Option<Duration>,
    first_trip: FirstTrip,
    sound: SoundFate,
}

#[derive(Clone, Copy)]
struct Confirmed {
    stamp: u32,
    bytes: u32,
    queue_ms: u16,
}

#[derive(Clone, Copy)]
struct Arrival {
    stamp: u32,
    at: Instant,
    delay: i64,
    sent: u32,
    received: u32,
}

impl PathMeter {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            sent_datagrams: 0,
            received_datagrams: 0,
            received_bytes: 0,
            arrivals: VecDeque::new(),
            base: Base::default(),
            first_apart: None,
            confirmed: VecDeque::new(),
            last_report_at: None,
            heard_at: None,
            gap: Duration::ZERO,
            rtt: None,
            first_trip: FirstTrip::default(),
            sound: SoundFate::default(),
        }
    }

    /// A datagram left.
    pub(crate) fn sent(&mut self, now: Instant, datagram: &[u8]) {
        self.first_trip.sent(now, datagram);
        self.sent_datagrams = self.sent_datagrams.wrapping_add(1);
    }

    /// A datagram came.
    pub(crate) fn received(&mut self, now: Instant, datagram: &[u8]) {
        self.first_trip.received(now, datagram);
        let before = self.heard_at.replace(now).unwrap_or(now);
        self.gap = self.gap.max(now.saturating_duration_since(before));
        self.received_datagrams = self.received_datagrams.wrapping_add(1);
        let bytes = u32::try_from(datagram.len() + HEADER_BYTES).unwrap_or(0);
        self.received_bytes = self.received_bytes.wrapping_add(bytes);
    }

    /// A sound packet with this number came.
    pub(crate) fn sound(&mut self, seq: u64) {
        self.sound.arrived(seq);
    }

    /// Our report about the far side's sending.
    pub(crate) fn report(&self, now: Instant) -> PathReport {
        let last = self.arrivals.back();
        let (sound_loss, burst) = self.sound.loss();
        PathReport {
            stamp: self.clock(now),
            echo: last.map_or(0, |last| last.stamp),
            held: last.map_or(0, |last| ticks(now.saturating_duration_since(last.at))),
            sent_datagrams: self.sent_datagrams,
            received_datagrams: self.received_datagrams,
            received_bytes: self.received_bytes,
            queue_ms: self.queue_ms(),
            loss_permille: permille(self.loss()),
            sound_loss_permille: permille(sound_loss),
            // A hole of more than 4,095 packets is an outage; the cast is of a clamped value.
            sound_burst_16: (burst * 16.0).clamp(0.0, 65_535.0) as u16,
        }
    }

    /// Takes the far side's report.
    pub(crate) fn take(&mut self, now: Instant, report: &PathReport) -> PathFigures {
        // The two clocks have different zeros and wrap: only the difference to the first pair tells something.
        let apart = self.clock(now).wrapping_sub(report.stamp);
        let first = *self.first_apart.get_or_insert(apart);
        let delay = i64::from(apart.wrapping_sub(first).cast_signed());
        self.base.note(now, delay);
        self.arrivals.push_back(Arrival {
            stamp: report.stamp,
            at: now,
            delay,
            sent: report.sent_datagrams,
            received: self.received_datagrams,
        });
        if self.arrivals.len() > REPORTS_MAX {
            self.arrivals.pop_front();
        }
        if report.echo != 0 {
            let round = self.clock(now).wrapping_sub(report.echo);
            let rtt = round.saturating_sub(report.held);
            // More than a minute is a wrapped clock or a lie.
            if rtt < 600_000 {
                let rtt = Duration::from_micros(u64::from(rtt) * 100);
                self.first_trip.round(now, rtt);
                self.rtt = Some(rtt);
            }
        }
        let newer = (self.confirmed.back())
            .is_none_or(|last| report.stamp.wrapping_sub(last.stamp) < u32::MAX / 2);
        if newer {
            self.confirmed.push_back(Confirmed {
                stamp: report.stamp,
                bytes: report.received_bytes,
                queue_ms: report.queue_ms,
            });
            if self.confirmed.len() > REPORTS_MAX {
                self.confirmed.pop_front();
            }
        }
        self.last_report_at = Some(now);
        let after_silence = std::mem::take(&mut self.gap);
        PathFigures {
            goodput_bps: self.goodput(),
            busy_bps: self.busy(),
            queue: Duration::from_millis(u64::from(report.queue_ms)).max(self.first_trip.queue()),
            loss: f32::from(report.loss_permille) / 1_000.0,
            sound_loss: f32::from(report.sound_loss_permille) / 1_000.0,
            sound_burst: f32::from(report.sound_burst_16) / 16.0,
            rtt: self.rtt,
            after_silence,
        }
    }

    /// When the far side was last heard, once it has sent a report.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.last_report_at.and(self.heard_at)
    }

    /// Share of the far side's datagrams of the last second that did not come, 0..=1.
    pub(crate) fn loss(&self) -> f32 {
        let Some(last) = self.arrivals.back() else {
            return 0.0;
        };
        let Some(first) = (self.arrivals.iter())
            .find(|arrival| last.at.saturating_duration_since(arrival.at) <= LOSS_WINDOW)
        else {
            return 0.0;
        };
        let sent = last.sent.wrapping_sub(first.sent);
        let received = last.received.wrapping_sub(first.received);
        if sent == 0 || sent > u32::MAX / 2 {
            return 0.0;
        }
        (1.0 - received as f32 / sent as f32).clamp(0.0, 1.0)
    }

    /// How long the far side's datagrams stand in queues on their way to us, ms. The smaller of the last two delays,
    /// so that jitter does not pass for a queue.
    pub(crate) fn queue_ms(&self) -> u16 {
        let recent = self.arrivals.iter().rev().take(2).map(|a| a.delay).min();
        let over = recent.zip(self.base.get()).map_or(0, |(d, base)| d - base);
        u16::try_from(over.max(0) / 10).unwrap_or(u16::MAX)
    }

    fn goodput(&self) -> u64 {
        let Some(&Confirmed {
            stamp: last, bytes, ..
        }) = self.confirmed.back()
        else {
            return 0;
        };
        let wanted = ticks(GOODPUT_WINDOW);
        let mut first = None;
        for &Confirmed {
            stamp,
            bytes: before,
            ..
        } in self.confirmed.iter().rev().skip(1)
        {
            // Behind a moment in which nothing came stands another line.
            if first.is_some_and(|(_, after)| after == before) {
                break;
            }
            first = Some((stamp, before));
            if last.wrapping_sub(stamp) >= wanted {
                break;
            }
        }
        let Some((first, before)) = first else {
            return 0;
        };
        let elapsed = u64::from(last.wrapping_sub(first));
        if elapsed == 0 {
            return 0;
        }
        u64::from(bytes.wrapping_sub(before)) * 8 * 10_000 / elapsed
    }

    /// What came while a queue stood at both ends of each stretch, at most over the time of [`GOODPUT_WINDOW`].
    fn busy(&self) -> Option<u64> {
        let last = self.confirmed.back()?;
        let wanted = ticks(GOODPUT_WINDOW);
        let mut later = self.confirmed.iter().rev();
        let mut first = *last;
        let mut after = later.next()?;
        for before in later {
            if after.queue_ms < BUSY_QUEUE_MS || last.stamp.wrapping_sub(first.stamp) >= wanted {
                break;
            }
            (first, after) = (*before, before);
        }
        let elapsed = u64::from(last.stamp.wrapping_sub(first.stamp));
        let bytes = last.bytes.wrapping_sub(first.bytes);
        (bytes >= BUSY_BYTES_MIN && elapsed > 0).then(|| u64::from(bytes) * 8 * 10_000 / elapsed)
    }

    fn clock(&self, now: Instant) -> u32 {
        // From one: zero stands for "none yet".
        ticks(now.saturating_duration_since(self.epoch)).wrapping_add(1)
    }
}

/// Wraps after five days, as the stamps do.
fn ticks(time: Duration) -> u32 {
    (time.as_micros() / 100) as u32
}

fn permille(share: f32) -> u16 {
    (share.clamp(0.0, 1.0) * 1_000.0) as u16
}

/// The smallest delay of the window before and of this one.
#[derive(Default)]
struct Base {
    since: Option<Instant>,
    current: Option<i64>,
    previous: Option<i64>,
}

impl Base {
    fn note(&mut self, now: Instant, delay: i64) {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= BASE_WINDOW {
            self.previous = self.current.take();
            self.since = Some(now);
        }
        self.current = Some(self.current.map_or(delay, |least| least.min(delay)));
    }

    fn get(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some(current.min(previous)),
            (current, previous) => current.or(previous),
        }
    }
}

/// Which of the last sound packets came.
#[derive(Default)]
struct SoundFate {
    /// Number after the newest that came.
    next: Option<u64>,
    came: VecDeque<bool>,
}

/// A larger jump is another numbering: the far side started anew.
const SOUND_JUMP_MAX: u64 = 1_000;

impl SoundFate {
    fn arrived(&mut self, seq: u64) {
        let next = self.next.unwrap_or(seq);
        if seq.abs_diff(next) > SOUND_JUMP_MAX {
            self.came.clear();
            self.next = Some(seq.saturating_add(1));
            return;
        }
        if seq < next {
            // Late, not lost.
            let back = usize::try_from(next - seq).unwrap_or(usize::MAX);
            if let Some(index) = self.came.len().checked_sub(back) {
                self.came[index] = true;
            }
            return;
        }
        self.came.extend((next..seq).map(|_| false));
        self.came.push_back(true);
        self.next = Some(seq.saturating_add(1));
        while self.came.len() > SOUND_MAX {
            self.came.pop_front();
        }
    }

    /// Share lost and mean length of the holes.
    fn loss(&self) -> (f32, f32) {
        if self.came.is_empty() {
            return (0.0, 0.0);
        }
        let lost = self.came.iter().filter(|came| !**came).count();
        let mut before = true;
        let mut holes = 0_usize;
        for came in &self.came {
            holes += usize::from(before && !came);
            before = *came;
        }
        if lost == 0 {
            return (0.0, 0.0);
        }
        (
            lost as f32 / self.came.len() as f32,
            lost as f32 / holes as f32,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ends ten minutes apart in their clocks; `delay_ms` and `lost` say what the way from `a` to `b` does.
    fn exchange(
        seconds: u64,
        delay_ms: impl Fn(u64) -> u64,
        lost: impl Fn(u64) -> bool,
    ) -> Vec<PathFigures> {
        let zero = Instant::now();
        let (mut a, mut b) = (
            PathMeter::new(zero),
            PathMeter::new(zero + Duration::from_secs(600)),
        );
        let mut figures = Vec::new();
        for tick in 0..seconds * 10 {
            let now = zero + Duration::from_millis(600_000 + tick * 100);
            for packet in 0..10 {
                a.sent(now, &[]);
                if !lost(tick * 10 + packet) {
                    b.received(now, &[0; 972]);
                }
            }
            let report = a.report(now);
            a.sent(now, &[]);
            let there = now + Duration::from_millis(delay_ms(tick));
            b.received(there, &[0; 72]);
            b.take(there, &report);
            let back = b.report(there);
            figures.push(a.take(there + Duration::from_millis(20), &back));
        }
        figures
    }

    #[test]
    fn an_even_path_has_no_queue_and_its_rate_and_round_trip_are_right() {
        let last = *exchange(3, |_| 30, |_| false).last().unwrap();
        assert_eq!((last.queue, last.loss), (Duration::ZERO, 0.0));
        assert_eq!(last.rtt, Some(Duration::from_millis(50)));
        let expected = (1_000 * 10 + 100) * 8 * 10;
        assert!(
            last.goodput_bps.abs_diff(expected) < expected / 50,
            "{last:?}"
        );
    }

    #[test]
    fn a_growing_delay_is_a_queue_and_jitter_is_none() {
        let grown = *exchange(3, |tick| 30 + tick * 10, |_| false)
            .last()
            .unwrap();
        assert_eq!(
            grown.queue,
            Duration::from_millis(280),
            "the smaller of the last two"
        );
        let jittered = exchange(5, |tick| 30 + tick % 2 * 40, |_| false);
        assert!(
            jittered.iter().all(|f| f.queue <= Duration::from_millis(1)),
            "{jittered:?}"
        );
    }

    #[test]
    fn losses_are_those_of_the_last_second() {
        let figures = exchange(4, |_| 30, |packet| packet < 200 && packet % 5 == 0);
        assert!(
            (figures[19].loss - 0.18).abs() < 0.03,
            "{}",
            figures[19].loss
        );
        assert_eq!(figures.last().unwrap().loss, 0.0);
    }

    #[test]
    fn holes_in_the_sound_have_a_length() {
        let mut fate = SoundFate::default();
        for seq in (0..100).filter(|seq| seq % 10 > 2) {
            fate.arrived(seq);
        }
        let (loss, burst) = fate.loss();
        assert!((loss - 0.27).abs() < 0.04, "{loss}");
        assert!((burst - 3.0).abs() < 0.01, "{burst}");
        for seq in 100..200 {
            fate.arrived(seq);
        }
        assert_eq!(fate.loss(), (0.0, 0.0));
        fate.arrived(u64::MAX - 5);
        fate.arrived(3);
        assert_eq!(fate.loss(), (0.0, 0.0), "a new numbering is no loss");
    }
}
