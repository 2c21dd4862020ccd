//! Pictures that cost less than the line carries: the estimate is right although nothing fills the line.

use super::*;

/// A call in which what the cameras see costs at most this.
fn call_of_content(seed: u64, rate_bps: u64, content_bps: u32) -> World {
    let mut world = call(seed, line(rate_bps));
    for person in [CALLER, CALLEE] {
        world.set_content(person, content_bps);
    }
    world
}

/// Share of the time between two moments in which the estimate is within 80 to 120 % of the line, per cent.
fn right_percent(world: &World, rate_bps: u64, from: Duration, to: Duration) -> u64 {
    let (mut right, mut all) = (0, 0);
    let mut at = from;
    while at < to {
        let estimate = estimate_at(world, CALLER, at);
        right += u64::from((rate_bps * 8 / 10..=rate_bps * 12 / 10).contains(&estimate));
        all += 1;
        at += seconds(0.1);
    }
    right * 100 / all
}

#[test]
fn a_line_that_pictures_do_not_fill_is_known_all_the_same() {
    for (rate_bps, content_bps) in [
        (2_000_000, 1_300_000),
        (2_000_000, 500_000),
        (1_000_000, 300_000),
    ] {
        let mut world = call_of_content(6, rate_bps, content_bps);
        let from = world.elapsed();
        world.drive(seconds(30.0));
        print(&world, from);
        let (settled, end) = (settled(&world, rate_bps, from), world.elapsed());
        let settling = from + seconds(5.0);
        let right = right_percent(&world, rate_bps, settling, end);
        let excess = longest_excess(&world, rate_bps, settling, end);
        let queue = world.line(CALLER).wait(settling, end, 0.95);
        let told = format!(
            "{rate_bps}, content of {content_bps}: settled {settled:?}, right for {right} %, excess {excess:?}, queue p95 {queue:?}"
        );
        println!("{told}");
        assert!(settled.is_some_and(|after| after <= seconds(5.0)), "{told}");
        assert!(right >= 90, "{told}");
        assert!(excess <= seconds(1.0), "{told}");
        assert!(queue <= seconds(0.1), "{told}");
    }
}
