//! Flow control by acknowledgement: how many bytes the terminal may be sent now, so that a key press is never behind
//! more than a moment's worth of pictures.
//!
//! Over ssh a write never blocks in time: seconds of pictures vanish into buffers. So every frame ends with a device
//! status report (`CSI 5 n`, [`QUERY`]); its answer (`CSI 0 n`) says that all before it was taken in. What is sent and
//! not answered is in flight; the window for it is the measured rate times the shortest round trip and a little more.
//! Over the window a frame is dropped *before* it is encoded, so that what is drawn next is new.
//!
//! The machine reads no clock and no terminal. Whoever reads the terminal's input gives each `ESC [ 0 n` to
//! [`Flow::handle_input`] and to nothing else: answers come late and at any time, also after the last picture, and must
//! never be taken for keys. `ESC [` digits `n` with any other digits (`3`: malfunction) counts as an answer as well.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The question at the end of a frame: a device status report. Its answer cannot be mistaken for a cursor report.
pub const QUERY: &[u8] = b"\x1b[5n";

/// Bytes a second while nothing is known, and for good when a terminal does not answer.
const RATE_START: f64 = 60_000.0;
/// A link below this is a telephone: pictures stand still, the interface works.
const RATE_MIN: f64 = 4_000.0;
/// No picture needs more, see the encoder's bars; also what a multiplexer on this machine would swallow.
const RATE_MAX: f64 = 4_000_000.0;
/// In a multiplexer the answers are its own and say nothing of the link behind it.
const RATE_MULTIPLEXED_MAX: f64 = RATE_START;
/// Time in flight on top of the shortest round trip.
const WINDOW_SLACK: Duration = Duration::from_millis(60);
/// The smallest window: two small frames, so that one is always on its way.
const WINDOW_BYTES_MIN: f64 = 6_000.0;
/// A frame of fewer bytes shows nothing: it waits.
const FRAME_BYTES_MIN: usize = 300;
/// Longest time whose share of the rate one frame may use: a frame after a pause is no burst.
const FRAME_TIME_MAX: Duration = Duration::from_millis(100);
/// Round trips this much above the shortest mean that a queue is growing, or that there is none.
const QUEUE_LONG: Duration = Duration::from_millis(45);
const QUEUE_SHORT: Duration = Duration::from_millis(25);
/// The shortest round trip is believed for this long: routes change. Then it is looked for anew with half of the rate for
/// a moment, or a queue that never quite empties would be taken for the way itself.
const ROUND_TRIP_TIME: Duration = Duration::from_secs(10);
const PROBE_TIME: Duration = Duration::from_millis(300);
/// How much faster the next round trip may be at the beginning, at least and at most.
const START_STEP: (f64, f64) = (1.4, 4.0);
/// The latest measure of the rate counts this much.
const DELIVERY_LATEST: f64 = 0.4;
/// Above this round trip one question at a time: every answer is a keystroke's worth of uplink.
const ROUND_TRIP_LONG: Duration = Duration::from_millis(500);
/// The rate is thought over once a round trip, and at least this often.
const ADJUST_TIME_MAX: Duration = Duration::from_millis(200);
/// A terminal that has not answered the first question by then does not answer.
const ANSWER_TIME_FIRST: Duration = Duration::from_secs(2);
/// Answers that stay out this long are given up, and one small frame is tried.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Most questions open: at 30 a second they last for two seconds, after which the window is long closed.
const QUERIES_MAX: usize = 64;

/// What happened, from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowInput {
    /// Bytes were handed to the terminal: pictures and interface alike, `asked` when [`QUERY`] was the last of them.
    Sent {
        /// All of them.
        bytes: usize,
        /// They ended with [`QUERY`].
        asked: bool,
    },
    /// The terminal answered a question.
    Answered,
    /// The time of [`FlowOutput::Timeout`] has come.
    Due,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowOutput {
    /// The terminal does not answer: the rate is fixed from now on. For the log and `doctor`.
    Unanswered,
    /// There is room again after a frame had to be dropped: the newest picture may be encoded at once.
    Room,
    /// Nothing until then, or until the next input.
    Timeout(Option<Instant>),
}

/// What the next frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes of it, [`QUERY`] included.
    pub bytes: usize,
    /// Whether to end it with [`QUERY`].
    pub ask: bool,
}

/// One question on its way.
#[derive(Debug)]
struct Query {
    sent: Instant,
    /// Bytes up to it, from the one before.
    bytes: usize,
    /// All bytes answered when it was sent, and when the last of them was.
    answered_bytes: u64,
    answered: Instant,
}

/// The machine: one for each terminal.
#[derive(Debug)]
pub struct Flow {
    queries: VecDeque<Query>,
    /// Bytes sent after the last question; while none is open they count as taken in at the rate.
    unasked: usize,
    drained: Instant,
    /// Bytes under the open questions.
    in_flight: usize,
    answered_bytes: u64,
    answered: Instant,
    sent: Instant,
    /// The shortest round trip, and when it was last seen or looked for.
    round_trip_min: Option<(Duration, Instant)>,
    /// While the shortest is looked for anew: until when, and the shortest so far.
    probe: Option<(Instant, Duration)>,
    round_trip: Duration,
    /// What the terminal took in, bytes a second.
    delivery: f64,
    /// What is sent, bytes a second.
    rate: f64,
    rate_max: f64,
    /// What is sent where no answer says more: the most that was chosen, or [`RATE_START`].
    rate_fixed: f64,
    /// Bytes sent and allowed since the rate was last thought over.
    used: (usize, usize),
    adjusted: Instant,
    starting: bool,
    trust: Trust,
    dropped: bool,
    events: VecDeque<FlowOutput>,
}

/// Whether answers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// None came yet, none was due.
    Unknown,
    Answers,
    /// None came in time: a fixed rate, no questions.
    Silent,
}

impl Flow {
    /// A terminal of which nothing is known. `multiplexed`: tmux, screen or zellij answers in its place.
    #[must_use]
    pub fn new(now: Instant, multiplexed: bool) -> Self {
        Self {
            queries: VecDeque::new(),
            unasked: 0,
            drained: now,
            in_flight: 0,
            answered_bytes: 0,
            answered: now,
            sent: now,
            round_trip_min: None,
            probe: None,
            round_trip: Duration::ZERO,
            delivery: 0.0,
            rate: RATE_START,
            rate_max: if multiplexed {
                RATE_MULTIPLEXED_MAX
            } else {
                RATE_MAX
            },
            rate_fixed: RATE_START,
            used: (0, 0),
            adjusted: now,
            starting: true,
            trust: Trust::Unknown,
            dropped: false,
            events: VecDeque::new(),
        }
    }

    /// Never more than `bytes` a second, and in a multiplexer or where nothing answers just so many: whoever chose them
    /// knows what lies behind.
    #[must_use]
    pub fn with_budget(mut self, bytes: usize) -> Self {
        self.rate_max = (bytes as f64).clamp(RATE_MIN, RATE_MAX);
        self.rate_fixed = self.rate_max;
        self.rate = self.rate.min(self.rate_max);
        self
    }

    /// What may be sent now; `None`: drop this frame, and encode none before there is room.
    pub fn allowance(&mut self, now: Instant) -> Option<Allowance> {
        self.drain(now);
        let since = now.saturating_duration_since(self.sent).min(FRAME_TIME_MAX);
        let share = self.pace() * since.as_secs_f64();
        let room = self.window() - (self.in_flight + self.unasked) as f64;
        let free = if self.trust == Trust::Silent {
            share
        } else {
            share.min(room)
        };
        let bytes = free.max(0.0) as usize;
        if bytes < FRAME_BYTES_MIN.min(share as usize)
            || bytes == 0
            || self.queries.len() == QUERIES_MAX
        {
            self.dropped = true;
            return None;
        }
        self.used.1 += share as usize;
        Some(Allowance {
            bytes,
            ask: self.asks(),
        })
    }

    /// Takes in one input.
    pub fn handle_input(&mut self, now: Instant, input: FlowInput) {
        self.drain(now);
        match input {
            FlowInput::Sent { bytes, asked } => self.sent(now, bytes, asked),
            FlowInput::Answered => self.answer(now),
            FlowInput::Due => self.give_up(now),
        }
        if self.dropped && self.room() && self.trust == Trust::Answers {
            self.dropped = false;
            self.events.push_back(FlowOutput::Room);
        }
    }

    /// What is to be done; to be called until it is [`FlowOutput::Timeout`].
    pub fn poll_output(&mut self) -> FlowOutput {
        self.events
            .pop_front()
            .unwrap_or_else(|| FlowOutput::Timeout(self.due()))
    }

    /// Bytes a second that pictures are sent at now.
    #[must_use]
    pub fn rate(&self) -> usize {
        self.rate as usize
    }

    /// The last answer's round trip; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip_min.map(|_| self.round_trip)
    }

    fn asks(&self) -> bool {
        match self.trust {
            Trust::Silent => false,
            Trust::Unknown | Trust::Answers => {
                self.queries.is_empty() || self.round_trip <= ROUND_TRIP_LONG
            }
        }
    }

    /// Bytes that may be in flight.
    fn window(&self) -> f64 {
        let round_trip = self
            .round_trip_min
            .map_or(Duration::ZERO, |(least, _)| least);
        (self.pace() * (round_trip + WINDOW_SLACK).as_secs_f64()).max(WINDOW_BYTES_MIN)
    }

    fn pace(&self) -> f64 {
        if self.probe.is_some() {
            0.5 * self.rate
        } else {
            self.rate
        }
    }

    fn room(&self) -> bool {
        self.window() - (self.in_flight + self.unasked) as f64 >= FRAME_BYTES_MIN as f64
    }

    /// Text of the interface carries no question. With none open nothing would ever say that it arrived, and a page of
    /// help would keep every later picture away: it is taken to have left at the rate.
    fn drain(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.drained);
        self.drained = now;
        if self.queries.is_empty() {
            let taken = (self.pace() * time.as_secs_f64()) as usize;
            self.unasked = self.unasked.saturating_sub(taken);
        }
    }

    fn sent(&mut self, now: Instant, bytes: usize, asked: bool) {
        self.sent = now;
        self.used.0 += bytes;
        self.unasked = self.unasked.saturating_add(bytes);
        if self.trust == Trust::Silent {
            self.unasked = 0;
        }
        if !asked || self.queries.len() == QUERIES_MAX {
            return;
        }
        if self.in_flight == 0 {
            // Nothing was on its way: time without bytes is no measure of the rate.
            self.answered = now;
        }
        let bytes = std::mem::take(&mut self.unasked);
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.queries.push_back(Query {
            sent: now,
            bytes,
            answered_bytes: self.answered_bytes,
            answered: self.answered,
        });
    }

    fn answer(&mut self, now: Instant) {
        let Some(query) = self.queries.pop_front() else {
            return;
        };
        self.trust = Trust::Answers;
        self.in_flight -= query.bytes;
        self.answered_bytes += query.bytes as u64;
        self.round_trip = now.saturating_duration_since(query.sent);
        self.note_round_trip(now);
        let taken = (self.answered_bytes - query.answered_bytes) as f64;
        let time = now.saturating_duration_since(query.answered).as_secs_f64();
        self.answered = now;
        if time > 0.0 {
            self.delivery += DELIVERY_LATEST * (taken / time - self.delivery);
        }
        if now.saturating_duration_since(self.adjusted)
            >= self.round_trip.clamp(WINDOW_SLACK, ADJUST_TIME_MAX)
        {
            self.adjust(now);
        }
    }

    fn note_round_trip(&mut self, now: Instant) {
        let latest = self.round_trip;
        if let Some((until, least)) = self.probe {
            let least = least.min(latest);
            self.probe = (now < until).then_some((until, least));
            if self.probe.is_none() {
                self.round_trip_min = Some((least, now));
            }
        }
        match self.round_trip_min {
            Some((least, since)) if least <= latest => {
                if self.probe.is_none() && now.saturating_duration_since(since) >= ROUND_TRIP_TIME {
                    self.probe = Some((now + least + PROBE_TIME, latest));
                }
            }
            _ => self.round_trip_min = Some((latest, now)),
        }
    }

    /// Thinks the rate over: down when a queue grows, up when there is none and more would be used.
    fn adjust(&mut self, now: Instant) {
        let Some((least, _)) = self.round_trip_min else {
            return;
        };
        let queue = self.round_trip.saturating_sub(least);
        let (sent, allowed) = std::mem::take(&mut self.used);
        self.adjusted = now;
        if queue > QUEUE_LONG {
            self.starting = false;
            // With a queue the terminal takes in all it can: that is the rate.
            self.rate = self.rate.min(0.9 * self.delivery);
        } else if queue < QUEUE_SHORT && sent * 10 > allowed * 7 {
            self.rate *= if self.starting {
                // What was taken in is known to be possible; half of it, for one burst may have met empty buffers.
                (0.5 * self.delivery / self.rate).clamp(START_STEP.0, START_STEP.1)
            } else {
                1.04
            };
        }
        self.rate = self.rate.clamp(RATE_MIN, self.rate_max);
    }

    fn due(&self) -> Option<Instant> {
        let oldest = self.queries.front()?.sent;
        match self.trust {
            Trust::Unknown => Some(oldest + ANSWER_TIME_FIRST),
            Trust::Answers => Some(oldest + ANSWER_TIME),
            Trust::Silent => None,
        }
    }

    fn give_up(&mut self, now: Instant) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        self.queries.clear();
        (self.in_flight, self.unasked) = (0, 0);
        self.answered = now;
        if self.trust == Trust::Unknown {
            self.trust = Trust::Silent;
            self.rate = self.rate_fixed;
            self.events.push_back(FlowOutput::Unanswered);
        } else {
            self.rate = RATE_MIN;
            self.starting = true;
        }
    }
}

#[cfg(test)]
mod tests;
