//! Flow control over links of many kinds, under a virtual clock.

use std::time::{Duration, Instant};

use super::*;

const FRAME: Duration = Duration::from_millis(33);
const STEP: Duration = Duration::from_millis(1);

/// A link of so many bytes a second and a delay each way, with endless buffers before it: as ssh is.
struct Link {
    rate: f64,
    delay: Duration,
    answers: bool,
    /// When each answer comes back.
    answers_at: VecDeque<Instant>,
    /// When the last byte sent will have left.
    free: Instant,
}

impl Link {
    fn send(&mut self, now: Instant, bytes: usize, asked: bool) {
        self.free = self.free.max(now) + Duration::from_secs_f64(bytes as f64 / self.rate);
        if asked && self.answers {
            self.answers_at.push_back(self.free + 2 * self.delay);
        }
    }

    /// How long a key's echo would take now.
    fn echo(&self, now: Instant) -> Duration {
        self.free.saturating_duration_since(now) + 2 * self.delay
    }
}

struct World {
    now: Instant,
    start: Instant,
    flow: Flow,
    link: Link,
    sent: usize,
    echoes: Vec<Duration>,
    events: Vec<FlowOutput>,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "the virtual clock begins at one real reading"
    )]
    fn new(rate: f64, delay_ms: u64, multiplexed: bool) -> Self {
        let now = Instant::now();
        let link = Link {
            rate,
            delay: Duration::from_millis(delay_ms),
            answers: true,
            answers_at: VecDeque::new(),
            free: now,
        };
        Self {
            now,
            start: now,
            flow: Flow::new(now, multiplexed),
            link,
            sent: 0,
            echoes: Vec::new(),
            events: Vec::new(),
        }
    }

    fn input(&mut self, input: FlowInput) {
        self.flow.handle_input(self.now, input);
        loop {
            match self.flow.poll_output() {
                FlowOutput::Timeout(_) => return,
                event => self.events.push(event),
            }
        }
    }

    /// Runs for a while; each frame takes what it may, at most `wanted` bytes.
    fn run(&mut self, time: Duration, wanted: usize) {
        self.sent = 0;
        self.echoes.clear();
        let end = self.now + time;
        let mut frame = self.now;
        while self.now < end {
            while self
                .link
                .answers_at
                .front()
                .is_some_and(|at| *at <= self.now)
            {
                self.link.answers_at.pop_front();
                self.input(FlowInput::Answered);
            }
            if let FlowOutput::Timeout(Some(due)) = self.flow.poll_output()
                && due <= self.now
            {
                self.input(FlowInput::Due);
            }
            if self.now >= frame {
                frame = self.now + FRAME;
                if let Some(allowance) = self.flow.allowance(self.now) {
                    let bytes = allowance.bytes.min(wanted);
                    self.link.send(self.now, bytes, allowance.ask);
                    self.sent += bytes;
                    self.input(FlowInput::Sent {
                        bytes,
                        asked: allowance.ask,
                    });
                }
                self.echoes.push(self.link.echo(self.now));
            }
            self.now += STEP;
        }
    }

    fn echo_p95(&self) -> Duration {
        let mut echoes = self.echoes.clone();
        echoes.sort_unstable();
        echoes[echoes.len() * 95 / 100]
    }

    fn rate_of(&self, time: Duration) -> f64 {
        self.sent as f64 / time.as_secs_f64()
    }
}

const LONG: Duration = Duration::from_secs(8);

#[test]
fn a_slow_link_is_filled_and_keys_come_through() {
    for (rate, delay_ms) in [
        (100_000.0, 25),
        (30_000.0, 25),
        (300_000.0, 60),
        (1_000_000.0, 5),
    ] {
        let mut world = World::new(rate, delay_ms, false);
        world.run(LONG, usize::MAX);
        let first = world.echo_p95();
        assert!(
            first <= Duration::from_millis(250),
            "{rate}: {first:?} from the start"
        );
        world.run(LONG, usize::MAX);
        assert!(
            world.echo_p95() <= Duration::from_millis(250),
            "{rate}: {:?}",
            world.echo_p95()
        );
        let used = world.rate_of(LONG) / rate;
        assert!(used > 0.75, "{rate}: only {used:.2} of the link");
    }
}

#[test]
fn a_fast_terminal_is_not_held_back() {
    let mut world = World::new(50_000_000.0, 0, false);
    world.run(LONG, usize::MAX);
    world.run(LONG, usize::MAX);
    assert!(world.rate_of(LONG) > 1_000_000.0, "{}", world.rate_of(LONG));
}

#[test]
fn a_link_that_gets_slow_has_its_queue_gone_in_two_seconds() {
    let mut world = World::new(500_000.0, 20, false);
    world.run(LONG, usize::MAX);
    world.link.rate = 50_000.0;
    world.run(Duration::from_secs(2), usize::MAX);
    world.run(LONG, usize::MAX);
    assert!(
        world.echo_p95() <= Duration::from_millis(300),
        "{:?}",
        world.echo_p95()
    );
}

#[test]
fn small_frames_say_nothing_of_the_link() {
    let mut world = World::new(200_000.0, 25, false);
    world.run(LONG, 500);
    let rate = world.flow.rate();
    assert!((50_000..=200_000).contains(&rate), "{rate}");
}

#[test]
fn a_silent_terminal_gets_a_fixed_rate_and_no_more_questions() {
    let mut world = World::new(1_000_000.0, 5, false);
    world.link.answers = false;
    world.run(LONG, usize::MAX);
    assert_eq!(world.events, [FlowOutput::Unanswered]);
    world.run(LONG, usize::MAX);
    let rate = world.rate_of(LONG);
    assert!((rate - RATE_START).abs() < 0.05 * RATE_START, "{rate}");
    assert!(!world.flow.allowance(world.now + FRAME).unwrap().ask);
}

#[test]
fn a_multiplexers_answers_do_not_open_the_link() {
    let mut world = World::new(50_000_000.0, 0, true);
    world.run(LONG, usize::MAX);
    assert!(world.rate_of(LONG) <= RATE_MULTIPLEXED_MAX * 1.02);
}

#[test]
fn answers_that_stop_hold_pictures_back_and_coming_back_they_let_them_go() {
    let mut world = World::new(200_000.0, 10, false);
    world.run(LONG, usize::MAX);
    world.link.answers = false;
    world.run(Duration::from_secs(20), usize::MAX);
    assert!(
        world.rate_of(Duration::from_secs(20)) < 6_000.0,
        "{}",
        world.sent
    );
    world.link.answers = true;
    world.run(LONG, usize::MAX);
    world.run(LONG, usize::MAX);
    assert!(world.rate_of(LONG) > 100_000.0, "{}", world.rate_of(LONG));
}

#[test]
fn answers_nobody_asked_for_are_nothing() {
    let mut world = World::new(100_000.0, 10, false);
    for _ in 0..200 {
        world.input(FlowInput::Answered);
    }
    assert_eq!(world.flow.round_trip(), None);
    world.run(LONG, usize::MAX);
    assert!(world.echo_p95() < Duration::from_millis(250));
}

#[test]
fn far_away_one_question_is_open_at_a_time() {
    let mut world = World::new(100_000.0, 400, false);
    world.run(LONG, 1_000);
    assert!(
        world.flow.queries.len() <= 1,
        "{}",
        world.flow.queries.len()
    );
    assert!(world.start < world.now);
}

#[test]
fn a_queue_does_not_creep_up_over_minutes() {
    let mut world = World::new(100_000.0, 25, false);
    world.run(Duration::from_secs(120), usize::MAX);
    world.run(LONG, usize::MAX);
    assert!(
        world.echo_p95() <= Duration::from_millis(200),
        "{:?}",
        world.echo_p95()
    );
    assert!(world.rate_of(LONG) > 75_000.0, "{}", world.rate_of(LONG));
}

#[test]
fn text_without_questions_keeps_no_later_picture_away() {
    let mut world = World::new(400_000.0, 10, false);
    // Pages of help before the first picture: far more than the smallest window.
    for _ in 0..10 {
        world.now += FRAME;
        world.input(FlowInput::Sent {
            bytes: 4_000,
            asked: false,
        });
    }
    assert_eq!(
        world.flow.allowance(world.now),
        None,
        "text that may still be on its way leaves no room"
    );
    world.now += Duration::from_secs(1);
    let allowance = world.flow.allowance(world.now);
    assert!(
        allowance.is_some_and(|allowance| allowance.ask),
        "{allowance:?}"
    );
}

#[test]
fn a_chosen_budget_is_the_most_and_holds_where_nothing_answers() {
    for (multiplexed, answers) in [(false, true), (true, true), (false, false)] {
        let mut world = World::new(4_000_000.0, 5, multiplexed);
        world.flow = Flow::new(world.now, multiplexed).with_budget(200_000);
        world.link.answers = answers;
        // A terminal that answers nothing is waited for first.
        world.run(LONG, usize::MAX);
        world.run(LONG, usize::MAX);
        let rate = world.rate_of(LONG);
        assert!(
            (170_000.0..=210_000.0).contains(&rate),
            "{rate} bytes a second, multiplexed: {multiplexed}, answers: {answers}"
        );
    }
    let mut slow = World::new(4_000_000.0, 5, false);
    slow.flow = Flow::new(slow.now, false).with_budget(30_000);
    slow.run(Duration::from_secs(1), usize::MAX);
    // From the first second on; a frame after a pause is no burst.
    assert!(slow.sent <= 33_000, "{} bytes", slow.sent);
}
