//! What is wrong with a call, in words, from its figures of a second. Pure.
//!
//! A figure helps who knows what is normal; everybody else needs a sentence. Only what was measured is said: losses are
//! known by direction, not whose radio drops them.

use crate::report::Stats;

/// Sentences at the most: more would hide the first, which is the worst.
const WORDS_MAX: usize = 4;
/// Losses that are heard and seen.
const LOSS_BAD: f64 = 0.03;
/// A queue that is felt: as long as a jitter buffer.
const QUEUE_BAD_MS: f64 = 100.0;
/// A round trip with which people begin to talk into one another (ITU-T G.114: 150 ms one way, with 50 for the devices).
const ROUND_TRIP_BAD_MS: f64 = 300.0;
/// Lips that do not go with the voice (ITU-R BT.1359-1: acceptable to 90 ms early, 185 ms late).
const SKEW_BAD_MS: u64 = 150;
/// Jitter that needs a long buffer.
const JITTER_BAD_MS: f64 = 40.0;

/// Sentences without full stops, worst first; empty when nothing is wrong.
#[must_use]
pub fn diagnose(stats: &Stats) -> Vec<String> {
    let mut words = Vec::new();
    if stats.received.packets == 0 && stats.sent.packets > 0 {
        words.push("nothing comes from the far side".to_owned());
    }
    sending(stats, &mut words);
    receiving(stats, &mut words);
    if let Some(rtt) = stats.rtt_ms.filter(|rtt| *rtt >= ROUND_TRIP_BAD_MS) {
        words.push(format!("delay {rtt:.0} ms there and back"));
    }
    words.truncate(WORDS_MAX);
    words
}

/// The same for the call of a group, where a server stands between: what is lost towards it is ours, what is lost from it
/// is ours too, and what one person alone lacks is lost on that person's line.
#[must_use]
pub fn diagnose_group(stats: &Stats) -> Vec<String> {
    let mut words = Vec::new();
    if stats.received.packets == 0 && stats.sent.packets > 0 {
        words.push("nothing comes from the server".to_owned());
    }
    if let Some(loss) = stats.sent.loss.filter(|loss| *loss >= LOSS_BAD) {
        words.push(format!(
            "{} of what you send to the server is lost",
            percent(loss)
        ));
    }
    let own_loss = stats.received.loss.unwrap_or(0.0);
    if own_loss >= LOSS_BAD {
        words.push(format!(
            "your line from the server drops {}",
            percent(own_loss)
        ));
    }
    let mut missing: Vec<_> = (stats.people.iter())
        .filter_map(|person| Some((person.made_up? - own_loss, person)))
        .filter(|(made_up, _)| *made_up >= LOSS_BAD)
        .collect();
    missing.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (made_up, person) in missing.iter().take(2) {
        let name = crate::text::shown(&person.name);
        words.push(format!(
            "{} of {name}'s sound is missing",
            percent(*made_up)
        ));
    }
    if let Some(jitter) = (stats.received.jitter_ms).filter(|jitter| *jitter >= JITTER_BAD_MS) {
        words.push(format!("packets come unevenly: {jitter:.0} ms"));
    }
    if let Some(rtt) = stats.rtt_ms.filter(|rtt| *rtt >= ROUND_TRIP_BAD_MS) {
        words.push(format!("delay {rtt:.0} ms to the server and back"));
    }
    words.truncate(WORDS_MAX);
    words
}

fn sending(stats: &Stats, words: &mut Vec<String>) {
    let carries = stats.estimate_bps.map_or_else(
        || "little".to_owned(),
        |bps| format!("{} kbit/s", bps / 1_000),
    );
    match stats.pictures {
        Some("paused") => words.push(format!("your upload carries {carries}: sound only")),
        Some("reduced") => words.push(format!("your upload carries {carries}: picture reduced")),
        _ => {}
    }
    if let Some(queue) = stats.sent.queue_ms.filter(|queue| *queue >= QUEUE_BAD_MS) {
        words.push(format!(
            "your upload is full: what you send waits {queue:.0} ms"
        ));
    }
    if let Some(loss) = stats.sent.loss.filter(|loss| *loss >= LOSS_BAD) {
        words.push(format!("{} of what you send is lost", percent(loss)));
    }
    if stats.far_slow {
        words.push("the far side's computer is too slow for your picture".to_owned());
    }
}

fn receiving(stats: &Stats, words: &mut Vec<String>) {
    if stats.far_paused {
        words.push("the far side's upload is too thin for pictures: sound only".to_owned());
    }
    if let Some(queue) = (stats.received.queue_ms).filter(|queue| *queue >= QUEUE_BAD_MS) {
        words.push(format!(
            "the line from the far side is full: {queue:.0} ms of waiting"
        ));
    }
    if let Some(loss) = stats.received.loss.filter(|loss| *loss >= LOSS_BAD) {
        words.push(format!(
            "the line from the far side drops {}",
            percent(loss)
        ));
    }
    if let Some(jitter) = (stats.received.jitter_ms).filter(|jitter| *jitter >= JITTER_BAD_MS) {
        words.push(format!(
            "the far side's packets come unevenly: {jitter:.0} ms"
        ));
    }
    if let Some(apart) = (stats.received.skew_p95_ms).filter(|skew| *skew >= SKEW_BAD_MS) {
        let is_sound = stats.received.skew_ms.is_some_and(|skew| skew < 0);
        let late = if is_sound { "sound" } else { "picture" };
        words.push(format!(
            "the far side's {late} is late: lips and voice are {apart} ms apart"
        ));
    }
    if stats.slow {
        words.push("this computer is too slow for the far side's picture".to_owned());
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Flow, PersonFigures};

    fn well() -> Stats {
        let flow = Flow {
            packets: 100,
            loss: Some(0.0),
            queue_ms: Some(5.0),
            jitter_ms: Some(4.0),
            ..Flow::default()
        };
        Stats {
            sent: flow.clone(),
            received: flow,
            rtt_ms: Some(40.0),
            estimate_bps: Some(2_000_000),
            pictures: Some("full"),
            ..Stats::default()
        }
    }

    #[test]
    fn a_good_call_has_nothing_to_say() {
        assert_eq!(diagnose(&well()), Vec::<String>::new());
        assert_eq!(diagnose(&Stats::default()), Vec::<String>::new());
    }

    #[test]
    fn each_fault_has_its_words() {
        type Fault = fn(&mut Stats);
        let cases: [(Fault, &str); 12] = [
            (
                |s| s.received.packets = 0,
                "nothing comes from the far side",
            ),
            (
                |s| s.received.loss = Some(0.12),
                "the line from the far side drops 12 %",
            ),
            (
                |s| s.sent.loss = Some(0.051),
                "5 % of what you send is lost",
            ),
            (
                |s| (s.pictures, s.estimate_bps) = (Some("reduced"), Some(180_400)),
                "your upload carries 180 kbit/s: picture reduced",
            ),
            (
                |s| (s.pictures, s.estimate_bps) = (Some("paused"), Some(61_000)),
                "your upload carries 61 kbit/s: sound only",
            ),
            (
                |s| s.sent.queue_ms = Some(240.0),
                "your upload is full: what you send waits 240 ms",
            ),
            (
                |s| s.received.queue_ms = Some(130.0),
                "the line from the far side is full: 130 ms of waiting",
            ),
            (|s| s.rtt_ms = Some(420.0), "delay 420 ms there and back"),
            (
                |s| (s.received.skew_ms, s.received.skew_p95_ms) = (Some(210), Some(260)),
                "the far side's picture is late: lips and voice are 260 ms apart",
            ),
            (
                |s| s.far_slow = true,
                "the far side's computer is too slow for your picture",
            ),
            (
                |s| s.slow = true,
                "this computer is too slow for the far side's picture",
            ),
            (
                |s| s.far_paused = true,
                "the far side's upload is too thin for pictures: sound only",
            ),
        ];
        for (spoil, words) in cases {
            let mut stats = well();
            spoil(&mut stats);
            assert_eq!(diagnose(&stats), [words]);
        }
    }

    #[test]
    fn in_a_group_each_loss_is_told_with_whose_line_it_is() {
        let person = |name: &str, made_up| PersonFigures {
            name: name.to_owned(),
            made_up: Some(made_up),
            ..PersonFigures::default()
        };
        let mut stats = well();
        stats.people = vec![person("ann", 0.0), person("bob", 0.12)];
        assert_eq!(diagnose_group(&stats), ["12 % of bob's sound is missing"]);
        stats.received.loss = Some(0.1);
        assert_eq!(
            diagnose_group(&stats),
            ["your line from the server drops 10 %"],
            "what everybody lacks is nobody's fault but the line's"
        );
        stats.sent.loss = Some(0.3);
        stats.rtt_ms = Some(400.0);
        stats.received.jitter_ms = Some(55.0);
        assert_eq!(
            diagnose_group(&stats)[0],
            "30 % of what you send to the server is lost"
        );
        assert_eq!(diagnose_group(&stats).len(), 4);
        stats = Stats::default();
        stats.sent.packets = 50;
        assert_eq!(diagnose_group(&stats), ["nothing comes from the server"]);
    }

    #[test]
    fn the_worst_comes_first_and_the_rest_is_cut() {
        let mut stats = well();
        stats.received.loss = Some(0.3);
        stats.sent.loss = Some(0.3);
        stats.rtt_ms = Some(900.0);
        stats.pictures = Some("paused");
        stats.received.jitter_ms = Some(90.0);
        let words = diagnose(&stats);
        assert_eq!(words.len(), WORDS_MAX);
        assert!(words[0].contains("sound only"), "{words:?}");
    }
}
