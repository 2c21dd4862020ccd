//! The controller beside a line of water: what is sent beyond its rate stands in a queue.

use super::*;

const TICK: Duration = Duration::from_millis(100);

/// A line, the sender's controller, and an estimate that overshoots as the library's does.
struct Bench {
    now: Instant,
    rate: RateController,
    line_bps: u64,
    queue_bits: u64,
    loss: f32,
    /// What there is to send costs at most this, bits per second.
    content_bps: u64,
    is_seen: bool,
    /// What the library would estimate, per cent of the line.
    estimate_percent: u64,
    sent: Vec<u64>,
    resets: Vec<u64>,
}

impl Bench {
    fn new(line_bps: u64) -> Self {
        let now = Instant::now();
        let mut rate = RateController::new(now, 300_000, 3_000_000);
        rate.expect_pictures();
        Self {
            now,
            rate,
            line_bps,
            queue_bits: 0,
            loss: 0.0,
            content_bps: u64::MAX,
            is_seen: true,
            estimate_percent: 130,
            sent: Vec::new(),
            resets: Vec::new(),
        }
    }

    /// A tenth of a second: everything allowed is sent, as far as there is so much, and what the controller asks for.
    fn tick(&mut self) -> Budget {
        self.now += TICK;
        let budget = self.rate.budget(self.now);
        let content = budget.total_bps.min(self.content_bps);
        if self.is_seen {
            self.rate.picture(self.now);
        }
        let is_padded = self.rate.at_least(self.now) > 0;
        self.rate.padded(self.now, is_padded);
        let sent = content.max(self.rate.at_least(self.now)) / 10;
        self.sent.push(budget.total_bps);
        let there = self.queue_bits + sent;
        let arrived = there.min(self.line_bps / 10);
        self.queue_bits = there - arrived;
        self.rate
            .estimate(self.line_bps * self.estimate_percent / 100);
        let figures = PathFigures {
            goodput_bps: (arrived as f64 * 10.0 * f64::from(1.0 - self.loss)) as u64,
            busy_bps: None,
            queue: Duration::from_millis(self.queue_bits * 1_000 / self.line_bps),
            loss: self.loss,
            sound_loss: 0.0,
            sound_burst: 0.0,
            rtt: Some(Duration::from_millis(50)),
            after_silence: TICK,
        };
        self.resets.extend(self.rate.take(self.now, &figures));
        budget
    }

    fn run(&mut self, seconds: u64) -> Vec<u64> {
        let from = self.sent.len();
        for _ in 0..seconds * 10 {
            self.tick();
        }
        self.sent[from..].to_vec()
    }
}

fn mean(rates: &[u64]) -> u64 {
    rates.iter().sum::<u64>() / rates.len() as u64
}

#[test]
fn an_estimate_that_overshoots_is_held_at_the_line() {
    for line_bps in [150_000, 500_000, 2_000_000] {
        let mut bench = Bench::new(line_bps);
        bench.run(5);
        let rates = bench.run(30);
        let mean = mean(&rates);
        assert!(
            (line_bps * 85 / 100..=line_bps).contains(&mean),
            "{mean} of {line_bps}: {rates:?}"
        );
        assert!(
            rates.iter().all(|rate| *rate < line_bps * 125 / 100),
            "{rates:?}"
        );
    }
}

#[test]
fn a_halved_line_is_followed_within_a_second_and_its_queue_runs_empty() {
    let mut bench = Bench::new(1_000_000);
    bench.run(15);
    bench.line_bps = 500_000;
    bench.run(1);
    assert!(*bench.sent.last().unwrap() < 500_000, "{:?}", bench.sent);
    bench.run(2);
    assert!(
        bench.queue_bits < 500_000 / 10,
        "{} bits wait",
        bench.queue_bits
    );
}

#[test]
fn a_line_that_comes_back_is_used_again_within_eight_seconds() {
    let mut bench = Bench::new(1_000_000);
    bench.run(10);
    bench.line_bps = 500_000;
    bench.run(15);
    bench.line_bps = 1_000_000;
    bench.run(8);
    assert!(
        *bench.sent.last().unwrap() > 800_000,
        "{:?}",
        &bench.sent[240..]
    );
}

#[test]
fn losses_that_were_always_there_do_not_cut_the_rate() {
    let mut bench = Bench::new(1_000_000);
    bench.loss = 0.1;
    bench.run(10);
    let rates = bench.run(20);
    assert!(mean(&rates) > 850_000, "{rates:?}");
}

#[test]
fn an_outage_stops_pictures_and_begins_again_at_half() {
    let mut bench = Bench::new(1_000_000);
    bench.run(10);
    let before = bench.rate.budget(bench.now).total_bps;
    bench.rate.silent();
    bench.now += Duration::from_secs(5);
    assert_eq!(bench.rate.budget(bench.now).pictures_bps, None);
    let figures = PathFigures {
        goodput_bps: 0,
        busy_bps: None,
        queue: Duration::ZERO,
        loss: 0.9,
        sound_loss: 0.9,
        sound_burst: 90.0,
        rtt: Some(Duration::from_millis(50)),
        after_silence: Duration::from_secs(5),
    };
    assert_eq!(bench.rate.take(bench.now, &figures), Some(before / 2));
    assert!(bench.rate.budget(bench.now).pictures_bps.is_some());
    bench.run(8);
    assert!(
        *bench.sent.last().unwrap() > before * 8 / 10,
        "{:?}",
        bench.sent
    );
}

#[test]
fn pictures_stop_on_a_thin_line_and_come_back_when_it_is_wider_for_a_while() {
    let mut bench = Bench::new(60_000);
    bench.run(10);
    assert_eq!(bench.tick().pictures_bps, None);
    bench.line_bps = 500_000;
    let mut back = 0;
    while bench.tick().pictures_bps.is_none() {
        back += 1;
        assert!(back < 300, "{:?}", bench.sent);
    }
    assert!(back >= 30, "not at the first sign");
}

#[test]
fn sound_comes_first() {
    let mut bench = Bench::new(200_000);
    bench.rate.sound(70_000);
    bench.run(5);
    let budget = bench.tick();
    assert_eq!(budget.pictures_bps, Some(budget.total_bps - 70_000));
    bench.rate.sound(1_000_000);
    assert_eq!(bench.tick().pictures_bps, Some(0));
}

#[test]
fn what_is_not_used_proves_nothing_and_a_search_is_filled_up() {
    let mut bench = Bench::new(1_000_000);
    bench.content_bps = 300_000;
    bench.estimate_percent = 60;
    bench.run(6);
    for _ in 0..60 {
        bench.run(1);
        let line_bps = bench.rate.line();
        assert!((800_000..=1_200_000).contains(&line_bps), "{line_bps}");
        assert_eq!(bench.rate.at_least(bench.now), 0, "a search has an end");
    }
}

#[test]
fn sound_alone_tries_more_than_its_line_carries_ever_more_rarely() {
    let mut bench = Bench::new(32_000);
    bench.rate = RateController::new(bench.now, 300_000, 3_000_000);
    bench.is_seen = false;
    bench.estimate_percent = 0;
    let mut full = Vec::new();
    for second in 0..300_u64 {
        // As the sound does: longer packets on thin lines.
        let may = bench.rate.budget(bench.now).total_bps;
        bench.content_bps = if may >= 48_000 { 43_000 } else { 28_000 };
        bench.run(1);
        if bench.queue_bits > 32_000 / 10 {
            full.push(second);
        }
    }
    let late = full.iter().filter(|second| **second >= 100).count();
    assert!(
        late <= 12,
        "of 200 seconds the line was full in {late}: {full:?}"
    );
    bench.line_bps = 300_000;
    bench.content_bps = 70_000;
    bench.run(100);
    let may = bench.rate.budget(bench.now).total_bps;
    assert!(may >= 75_000, "a line that is wide again is found: {may}");
}

#[test]
fn a_search_that_meets_no_queue_ends_with_what_came_of_it_and_not_without_pictures() {
    let mut bench = Bench::new(1_000_000);
    bench.estimate_percent = 250;
    bench.content_bps = 70_000;
    bench.is_seen = false;
    bench.run(20);
    let before = bench.rate.line();
    assert!(
        before > 1_000_000,
        "nothing tells that it is less: {before}"
    );
    // As the library does, which holds padding back before a line is full.
    for is_padded in [true, true, true, true, true, true, true, false] {
        for _ in 0..10 {
            bench.now += TICK;
            bench.rate.picture(bench.now);
            bench.rate.padded(bench.now, is_padded);
            let figures = PathFigures {
                goodput_bps: 950_000,
                busy_bps: None,
                queue: Duration::ZERO,
                loss: 0.0,
                sound_loss: 0.0,
                sound_burst: 0.0,
                rtt: None,
                after_silence: TICK,
            };
            bench.rate.take(bench.now, &figures);
        }
    }
    let after = bench.rate.line();
    assert!((800_000..=1_200_000).contains(&after), "{after}");
}
