//! Speech over lines that lose packets, in virtual time: the bars that need no scoring scripts. The same seeds as
//! `benches/speech.rs`, which judges how it sounds.

use hullo_tests::speech::{Heard, Line, talk};

const SECONDS: usize = 25;

/// A voice-like buzz with words and pauses.
fn voice(seconds: usize) -> Vec<f32> {
    (0..seconds * 48_000)
        .map(|index| {
            let time = index as f32 / 48_000.0;
            let phase = std::f32::consts::TAU * (120.0 * time - 3.0 * (time * 3.0).cos());
            let word = (time * 2.3).fract() < 0.7 && time % 6.0 < 5.0;
            let buzz: f32 = (1..16).map(|n| (phase * n as f32).sin() / n as f32).sum();
            if word { buzz * 0.12 } else { 0.0 }
        })
        .collect()
}

fn heard(loss: f64, burst: f64, seed: u64, takes_copies: bool) -> Heard {
    let line = Line {
        delay_ms: 50,
        loss,
        burst,
        ..Line::default()
    };
    talk(&voice(6), &voice(SECONDS), line, seed, takes_copies)
}

#[test]
fn copies_leave_little_of_any_loss_and_cost_at_most_100_kbit_s() {
    // Loss, mean run, share that may be made up.
    for (loss, burst, made_up) in [
        (0.0, 1.0, 0.0),
        (0.1, 1.0, 0.01),
        (0.2, 1.0, 0.015),
        (0.3, 1.0, 0.025),
        (0.2, 3.0, 0.06),
    ] {
        for seed in 1..=2 {
            let heard = heard(loss, burst, seed, true);
            let what = format!(
                "{loss} in runs of {burst}, seed {seed}: {} made up, {} bit/s, {} ms, {:?}, {:?}",
                heard.concealed_share,
                heard.payload_bps,
                heard.delay_p95_ms,
                heard.settings,
                heard.stats
            );
            assert!(heard.concealed_share <= made_up, "{what}");
            assert!(heard.payload_bps <= 100_000.0, "{what}");
            assert!(heard.delay_p95_ms <= 250.0, "{what}");
            assert!(loss > 0.0 || heard.payload_bps <= 42_000.0, "{what}");
        }
    }
}

#[test]
fn a_peer_that_reads_no_copies_gets_none_and_loses_no_more_than_the_line_does() {
    let heard = heard(0.1, 1.0, 1, false);
    assert_eq!(heard.stats.recovered, 0);
    assert!(heard.settings.copies.is_empty());
    assert!(heard.concealed_share <= 0.13, "{}", heard.concealed_share);
}

#[test]
fn sound_takes_150_ms_over_100_ms_of_round_trip_with_20_ms_of_jitter() {
    for seed in 1..=3 {
        let line = Line {
            delay_ms: 50,
            jitter_ms: 20,
            ..Line::default()
        };
        let heard = talk(&voice(6), &voice(SECONDS), line, seed, true);
        assert!(heard.delay_p95_ms <= 150.0, "{} ms", heard.delay_p95_ms);
        let late = heard.stats.late as f64 / heard.stats.received as f64;
        assert!(late <= 0.01, "{late} late");
    }
}

#[test]
fn sound_takes_60_ms_where_nothing_is_between() {
    let heard = talk(&voice(6), &voice(SECONDS), Line::default(), 1, true);
    assert!(heard.delay_p95_ms <= 60.0, "{} ms", heard.delay_p95_ms);
    assert_eq!((heard.stats.late, heard.concealed_share), (0, 0.0));
}
