//! The session's part in finding out what the line carries: reports to and from the far side, what leaves by kind, and
//! what the WebRTC library is told. The deciding is done in [`crate::rate`].

use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;

use super::{Event, Output, Session, SessionConfig, Track, parity, setup};
use crate::rate::{HEADER_BYTES, PathFigures, PathMeter, PathReport, RateController, SILENCE};

/// Reports go out so often. More costs 0.8 kbit/s for each a second, fewer notice a full line later.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// On a thin line the reports themselves must be few.
const REPORT_INTERVAL_THIN: Duration = Duration::from_millis(400);
/// On one that is just enough for sound fewer still.
const REPORT_INTERVAL_THINNEST: Duration = Duration::from_millis(700);
/// A line under this is thin: it has no room for what only serves to measure it.
const THIN_BPS: u64 = 100_000;
const THINNEST_BPS: u64 = 40_000;
/// One in so many of the library's feedback packets (20 a second, and what it asks for again) leaves on a thin line.
const THIN_FEEDBACK_EVERY: u32 = 16;
/// Pictures that wait longer than this are not encoded in the first place.
const QUEUE_LONG: Duration = Duration::from_millis(100);
/// The same on a line that loses packets: the library's pacer is slow there, and one left out is as bad as one lost.
const QUEUE_LONG_LOSSY: Duration = Duration::from_millis(160);
/// They are again below this: one picture is left out, not two.
const QUEUE_SHORT: Duration = Duration::from_millis(80);
/// A line in whose queue datagrams stand no longer than this is not full.
const QUEUE_NONE: Duration = Duration::from_millis(40);
/// Loss from which what is sent again leaves twice: one in thirty of those would be lost a second time.
const LOSS_RANDOM: f32 = 0.03;
/// Sound and what the protocols need have at least this, so that unmuting does not overflow the line, bits per second.
const SOUND_RESERVE_BPS: u64 = 40_000;
/// A search is filled up with padding to so many times what pictures and sound take: nobody needs to know that a line
/// carries ten times as much.
const PADDED_TIMES: u64 = 4;
/// Changes of the budget below this share are not told, per cent.
const CHANGE_PERCENT: u64 = 3;

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBudget {
    /// Bits per second in all on the line, with RTP, IP and UDP headers.
    pub total_bps: u64,
    /// Bits per second for the picture encoder, headers taken off; `None`: no pictures, the line is too thin or silent.
    pub pictures_bps: Option<u32>,
    /// What the line towards the far side carries as far as is known, bits per second.
    pub line_bps: u64,
    /// Nothing is heard from the far side: pictures wait for its return.
    pub is_silent: bool,
}

impl SendBudget {
    /// Whether the line is too thin for pictures.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.pictures_bps.is_none() && !self.is_silent
    }
}

/// Bytes on the line by kind, in the running window.
#[derive(Clone, Copy, Default)]
struct Wire {
    /// Sound and everything that is neither picture nor padding.
    other: u64,
    /// Pictures and their parity.
    pictures: u64,
    /// What of them was sent again: asked for, or as padding of a search, which looks the same.
    again: u64,
    /// Bytes of picture frames before packets.
    frames: u64,
}

/// State of the path of one session.
pub(super) struct Path {
    meter: PathMeter,
    rate: RateController,
    /// Both programs report.
    reports: bool,
    next_report: Instant,
    last_figures: Option<PathFigures>,
    wire: Wire,
    window_began: Instant,
    /// Smoothed bits per second of sound and protocols.
    other_bps: u64,
    /// Smoothed line bytes for each 256 bytes of picture frames.
    overhead_256: u64,
    told: Option<SendBudget>,
    reset: Option<u64>,
    /// What the library was told: at least so much, and what we would like, bits per second.
    wish_bps: (u64, u64),
    /// What pictures and sound took in the last window, bits per second; 0: no pictures.
    content_bps: u64,
    waiting: bool,
    thin_feedback: u32,
}

impl Path {
    pub(super) fn new(now: Instant, config: &SessionConfig) -> Self {
        let mut rate =
            RateController::new(now, config.start_bitrate_bps, config.desired_bitrate_bps);
        if config.pictures {
            rate.expect_pictures();
        }
        Self {
            meter: PathMeter::new(now),
            rate,
            reports: config.side_channel,
            next_report: now,
            last_figures: None,
            wire: Wire::default(),
            window_began: now,
            other_bps: SOUND_RESERVE_BPS,
            overhead_256: 290,
            told: None,
            reset: None,
            wish_bps: (0, config.desired_bitrate_bps),
            content_bps: 0,
            waiting: false,
            thin_feedback: 0,
        }
    }

    /// When something is due here.
    pub(super) fn next_look(&self) -> Instant {
        self.next_report
    }

    /// Whether packets are lost on a line that is not full, so that what is sent again may be lost again.
    pub(super) fn loses_at_random(&self) -> bool {
        (self.last_figures.as_ref())
            .is_some_and(|figures| figures.loss >= LOSS_RANDOM && figures.queue < QUEUE_NONE)
    }

    /// Round trip as last measured.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.last_figures.as_ref().and_then(|figures| figures.rtt)
    }

    pub(super) fn received(&mut self, now: Instant, datagram: &[u8]) {
        self.meter.received(now, datagram);
    }

    pub(super) fn sound_came(&mut self, seq: u64) {
        self.meter.sound(seq);
    }

    pub(super) fn picture(&mut self, now: Instant, bytes: usize) {
        self.rate.picture(now);
        self.wire.frames += bytes as u64;
    }

    pub(super) fn estimate(&mut self, bps: u64) {
        self.rate.estimate(bps);
    }

    pub(super) fn line_bps(&self) -> u64 {
        self.rate.line()
    }

    pub(super) fn told(&self) -> Option<SendBudget> {
        self.told
    }

    pub(super) fn figures(&self) -> Option<&PathFigures> {
        self.last_figures.as_ref()
    }

    /// Share of the far side's datagrams of the last second that did not come, and how long they stand in queues.
    pub(super) fn inbound(&self) -> (f32, Duration) {
        (
            self.meter.loss(),
            Duration::from_millis(u64::from(self.meter.queue_ms())),
        )
    }

    /// Counts a datagram that is about to leave; false when it must not: on a thin line the library's padding (50
    /// kbit/s, no setting) and most of its feedback (12 kbit/s, no setting) would leave no room for sound.
    pub(super) fn sending(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let is_thin = self.told.is_some_and(|told| told.total_bps < THIN_BPS);
        let bytes = (datagram.len() + HEADER_BYTES) as u64;
        match Kind::of(datagram) {
            Kind::Padding if is_thin => return false,
            Kind::Feedback if is_thin => {
                self.thin_feedback += 1;
                if !self.thin_feedback.is_multiple_of(THIN_FEEDBACK_EVERY) {
                    return false;
                }
                self.wire.other += bytes;
            }
            Kind::Padding => {}
            // Asked for again, while no pictures are sent: nobody can show it.
            Kind::Picture | Kind::Again
                if is_thin && self.told.is_some_and(|told| told.is_thin()) =>
            {
                return false;
            }
            Kind::Picture => self.wire.pictures += bytes,
            Kind::Again => self.wire.again += bytes,
            Kind::Feedback | Kind::Other => self.wire.other += bytes,
        }
        self.meter.sent(now, datagram);
        true
    }

    /// Takes a report of the far side; other bytes are ignored. True when it was one.
    pub(super) fn take_report(&mut self, now: Instant, payload: &[u8]) -> bool {
        let Some(report) = PathReport::read(payload).filter(|_| self.reports) else {
            return false;
        };
        let figures = self.meter.take(now, &report);
        self.rate.sound(self.other_bps.max(SOUND_RESERVE_BPS));
        self.rate.padded(now, self.wish_bps.0 > 0);
        self.reset = self.rate.take(now, &figures).or(self.reset);
        self.last_figures = Some(figures);
        true
    }

    /// Share of our datagrams that the far side missed although the line was not full; `None` while a queue stands.
    pub(super) fn random_loss(&self) -> Option<f32> {
        (self.last_figures.as_ref())
            .filter(|figures| figures.queue < QUEUE_NONE)
            .map(|figures| figures.loss)
    }

    fn close_window(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window_began);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if millis < 500 {
            return;
        }
        let wire = std::mem::take(&mut self.wire);
        self.window_began = now;
        let again = if self.wish_bps.0 > 0 { 0 } else { wire.again };
        let pictures = wire.pictures + again;
        self.content_bps = if wire.frames > 0 {
            (wire.other + pictures) * 8_000 / millis
        } else {
            0
        };
        self.other_bps = (self.other_bps + wire.other * 8_000 / millis) / 2;
        if let Some(overhead) = (pictures * 256).checked_div(wire.frames) {
            // Parity and what is sent again at once are part of the price; more than treble is a burst of an outage.
            self.overhead_256 = (self.overhead_256 + overhead.clamp(256, 768)) / 2;
        }
    }

    /// What the library should send at least, with padding, and what it should think that we would like to.
    fn wish(&self, now: Instant) -> (u64, u64) {
        // Whoever does not report ends no search.
        let at_least = if self.last_figures.is_some() {
            (self.rate.at_least(now)).min(self.content_bps * PADDED_TIMES)
        } else {
            0
        };
        (at_least, self.rate.wish())
    }

    fn budget(&mut self, now: Instant) -> SendBudget {
        let budget = self.rate.budget(now);
        let payload = |bps: u64| u32::try_from(bps * 256 / self.overhead_256).unwrap_or(u32::MAX);
        SendBudget {
            total_bps: budget.total_bps,
            pictures_bps: budget.pictures_bps.map(payload),
            line_bps: budget.line_bps,
            is_silent: budget.is_silent,
        }
    }

    /// The budget when it is worth telling.
    fn news(&mut self, now: Instant) -> Option<SendBudget> {
        let budget = self.budget(now);
        let differs = |a: u64, b: u64| a.abs_diff(b) * 100 > b * CHANGE_PERCENT;
        let is_news = self.told.is_none_or(|told| {
            told.pictures_bps.is_some() != budget.pictures_bps.is_some()
                || differs(
                    budget.pictures_bps.unwrap_or(0).into(),
                    told.pictures_bps.unwrap_or(0).into(),
                )
                || differs(budget.total_bps, told.total_bps)
        });
        is_news.then(|| {
            self.told = Some(budget);
            budget
        })
    }
}

/// What a datagram of ours is, by what stands in clear.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture,
    Again,
    Padding,
    Feedback,
    Other,
}

impl Kind {
    fn of(datagram: &[u8]) -> Self {
        let &[first, second, ..] = datagram else {
            return Self::Other;
        };
        // RFC 7983: RTP and RTCP begin with 128..=191; RFC 5761: RTCP has 192..=223 in its second byte.
        if !(128..=191).contains(&first) {
            return Self::Other;
        }
        if (192..=223).contains(&second) {
            // Transport-wide feedback and requests to send again: RTPFB (205), formats 15 and 1.
            let is_feedback = second == 205 && matches!(first & 0x1f, 1 | 15);
            return if is_feedback {
                Self::Feedback
            } else {
                Self::Other
            };
        }
        let is_padded = first & 0x20 != 0;
        let without_stream = datagram.get(8..12) == Some(&[0; 4]);
        match second & 0x7f {
            _ if without_stream => Self::Padding,
            setup::H264_RTX_PT if is_padded => Self::Padding,
            setup::H264_RTX_PT => Self::Again,
            setup::H264_PT | parity::PARITY_PT => Self::Picture,
            _ => Self::Other,
        }
    }
}

impl Session {
    /// What is due for the path: a report, what the library must be told, news for whoever encodes.
    pub(super) fn tend_path(&mut self) {
        if self.closed {
            return;
        }
        let now = self.now;
        self.release_due();
        self.watch_queue();
        self.watch_repair();
        self.tell_estimator();
        if now < self.path.next_report {
            return;
        }
        let interval = match self.path.told.map(|told| told.total_bps) {
            Some(..THINNEST_BPS) => REPORT_INTERVAL_THINNEST,
            Some(..THIN_BPS) => REPORT_INTERVAL_THIN,
            _ => REPORT_INTERVAL,
        };
        self.path.next_report = now + interval;
        if !self.connected {
            return;
        }
        self.path.close_window(now);
        self.send_report();
        let silent = (self.path.meter.heard_at())
            .is_some_and(|last| now.saturating_duration_since(last) >= SILENCE + interval);
        if silent {
            self.path.rate.silent();
        }
        if let Some(budget) = self.path.news(now) {
            self.outputs.push_back(Output::Event(Event::Budget(budget)));
        }
    }

    fn send_report(&mut self) {
        if !self.path.reports {
            return;
        }
        let report = self.path.meter.report(self.now).write();
        let (sender, about) = self.tracks.report_ssrcs();
        self.rtc
            .direct_api()
            .send_app_specific_feedback(sender, about, report.as_slice());
        self.feed(None);
        self.drain();
    }

    /// The library probes up to twice what we wish for, also when it starts anew: outside a search the wish is what we
    /// send, or its probes alone would fill the line.
    fn tell_estimator(&mut self) {
        let wish = self.path.wish(self.now);
        if std::mem::replace(&mut self.path.wish_bps, wish) != wish {
            let (at_least, desired) = wish;
            self.rtc
                .bwe()
                .set_bitrate(Bitrate::from(at_least), Bitrate::from(desired));
            self.drain();
        }
        if let Some(bps) = self.path.reset.take() {
            self.rtc.bwe().reset(Bitrate::from(bps));
            self.feed(None);
            self.drain();
        }
    }

    /// Says when pictures wait too long to be sent, and when not any more.
    fn watch_queue(&mut self) {
        if !self.connected {
            return;
        }
        let delay = self.video_queue_delay(self.tracks.mid(Track::Video));
        let limit = match (self.path.waiting, self.parity.0.is_on(self.now)) {
            (true, _) => QUEUE_SHORT,
            (false, false) => QUEUE_LONG,
            (false, true) => QUEUE_LONG_LOSSY,
        };
        let waiting = delay > limit;
        if delay > QUEUE_SHORT && self.parity.0.is_on(self.now) {
            let held_back = self.path.rate.held_back(self.now);
            self.path.reset = held_back.or(self.path.reset);
        }
        if waiting != self.path.waiting {
            self.path.waiting = waiting;
            self.outputs
                .push_back(Output::Event(Event::PicturesWait(waiting)));
        }
    }
}
