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
    /// What the library would estimate, per cent of the line.
    estimate_percent: u64,
    sent: Vec<u64>,
    resets: Vec<u64>,
}

impl Bench {
    fn new(line_bps: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            rate: RateController::new(now, 300_000, 3_000_000),
            line_bps,
            queue_bits: 0,
            loss: 0.0,
            estimate_percent: 130,
            sent: Vec::new(),
            resets: Vec::new(),
        }
    }

    /// A tenth of a second: everything allowed is sent.
    fn tick(&mut self) -> Budget {
        self.now += TICK;
        let budget = self.rate.budget(self.now);
        let sent = budget.total_bps / 10;
        self.sent.push(budget.total_bps);
        let there = self.queue_bits + sent;
        let arrived = there.min(self.line_bps / 10);
        self.queue_bits = there - arrived;
        self.rate
            .estimate(self.line_bps * self.estimate_percent / 100);
        let figures = PathFigures {
            goodput_bps: (arrived as f64 * 10.0 * f64::from(1.0 - self.loss)) as u64,
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
