//! What one side of a call said about it: figures out of its JSON events.

use std::time::Duration;

use serde_json::Value;

use super::program::{Line, Usage};

/// All events of one side, in order.
#[derive(Clone, Debug)]
pub struct Transcript {
    lines: Vec<Line>,
}

/// What the machine gave one side while it was connected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Processor time in shares of one core: 0.18 is 18 %.
    pub cores: f64,
    /// Most resident memory, bytes of 1,024² as megabytes.
    pub resident_mb_max: f64,
}

impl Transcript {
    /// Keeps the lines of a program that has ended.
    #[must_use]
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }

    fn events<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.value["event"] == name)
    }

    /// The member at `path` (names joined by `/`) of the summary, if it is a number.
    #[must_use]
    pub fn summary(&self, path: &str) -> Option<f64> {
        let summary = &self.events("summary").last()?.value;
        summary.pointer(&format!("/{path}"))?.as_f64()
    }

    /// What the figure was at most in this share (0..=1) of the seconds.
    #[must_use]
    pub fn share_of_stats(&self, path: &str, share: f64) -> Option<f64> {
        let pointer = format!("/{path}");
        let mut figures: Vec<f64> = self
            .events("stats")
            .filter_map(|line| line.value.pointer(&pointer)?.as_f64())
            .collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        figures.get((last as f64 * share) as usize).copied()
    }

    /// Mean over the seconds of the call of a number in `stats`; zeros of seconds without video count.
    #[must_use]
    pub fn mean_of_stats(&self, path: &str) -> Option<f64> {
        let pointer = format!("/{path}");
        let values: Vec<f64> = self
            .events("stats")
            .filter_map(|line| line.value.pointer(&pointer)?.as_f64())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// From the state `connecting` (the call was accepted) to the first sound decoded, milliseconds. The larger of
    /// what the events and what the summary say.
    #[must_use]
    pub fn accepted_to_sound_ms(&self) -> Option<f64> {
        let at_ms = |name: &str, wanted: &dyn Fn(&Value) -> bool| {
            let line = self.events(name).find(|line| wanted(&line.value))?;
            line.value["at_ms"].as_f64()
        };
        let accepted = at_ms("call", &|value| value["state"] == "connecting")?;
        let heard = at_ms("media", &|value| {
            value["kind"] == "audio" && value["direction"] == "received"
        })?;
        let told = self.summary("setup_ms").unwrap_or(0.0);
        Some((heard - accepted).max(told))
    }

    /// Cost from connected to the last second of the call.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let connected = self
            .events("call")
            .find(|line| line.value["state"] == "connected")?;
        let first: Usage = connected.usage?;
        let last: Usage = self.events("stats").filter_map(|line| line.usage).last()?;
        let time = last
            .at
            .checked_duration_since(first.at)
            .filter(|&time| time > Duration::ZERO)?;
        Some(Cost {
            cores: last.cpu.saturating_sub(first.cpu).as_secs_f64() / time.as_secs_f64(),
            resident_mb_max: last.resident_bytes_max as f64 / (1_024.0 * 1_024.0),
        })
    }

    /// Memory resident at most until it was ready, before any call, in megabytes of 1,024² bytes.
    #[must_use]
    pub fn idle_mb(&self) -> Option<f64> {
        let usage = self.events("ready").next()?.usage?;
        Some(usage.resident_bytes_max as f64 / (1_024.0 * 1_024.0))
    }

    /// Every event as it was, for the record.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        self.lines.iter().map(|line| line.value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::program::now;
    use super::*;

    /// Lines as `hullo --json` writes them; each comes with (seconds since `start`, processor milliseconds).
    fn transcript(start: Instant, lines: &[(&str, u64, u64)]) -> Transcript {
        let line = |&(text, at_s, cpu_ms): &(&str, u64, u64)| Line {
            value: serde_json::from_str(text).unwrap(),
            usage: Some(Usage {
                at: start + Duration::from_secs(at_s),
                cpu: Duration::from_millis(cpu_ms),
                resident_bytes_max: 50 * 1_024 * 1_024,
            }),
        };
        Transcript::new(lines.iter().map(line).collect())
    }

    const STATS: &str = r#"{"event":"stats","at_ms":1500,"sent":{"video_bitrate_bps":400000}}"#;

    fn call() -> Transcript {
        transcript(
            now(),
            &[
                (r#"{"event":"ready","at_ms":1}"#, 0, 10),
                (
                    r#"{"event":"call","at_ms":100,"state":"connecting","name":"bob"}"#,
                    1,
                    50,
                ),
                (
                    r#"{"event":"call","at_ms":200,"state":"connected","name":"bob"}"#,
                    2,
                    100,
                ),
                (
                    r#"{"event":"media","at_ms":230,"kind":"video","direction":"received"}"#,
                    2,
                    100,
                ),
                (
                    r#"{"event":"media","at_ms":240,"kind":"audio","direction":"sent"}"#,
                    2,
                    100,
                ),
                (
                    r#"{"event":"media","at_ms":310,"kind":"audio","direction":"received"}"#,
                    2,
                    100,
                ),
                (STATS, 3, 300),
                (&STATS.replace("400000", "600000"), 12, 2_100),
                (
                    r#"{"event":"summary","at_ms":9,"setup_ms":205,"video":{"captured":595,"decoded":589},"latency_ms":{"p95":38.5}}"#,
                    13,
                    9_999,
                ),
            ],
        )
    }

    #[test]
    fn figures_come_out_of_the_events() {
        let call = call();
        assert_eq!(call.summary("video/captured"), Some(595.0));
        assert_eq!(call.summary("latency_ms/p95"), Some(38.5));
        assert_eq!(call.summary("video/other"), None);
        assert_eq!(
            call.mean_of_stats("sent/video_bitrate_bps"),
            Some(500_000.0)
        );
        assert_eq!(call.accepted_to_sound_ms(), Some(210.0));
        let cost = call.cost().unwrap();
        assert!(
            (cost.cores - 0.2).abs() < 1e-9,
            "2 s of processor in 10 s: {}",
            cost.cores
        );
        assert!((cost.resident_mb_max - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_later_of_two_accounts_counts() {
        let mut lines = call().lines;
        lines[8].value["setup_ms"] = 400.into();
        assert_eq!(Transcript::new(lines).accepted_to_sound_ms(), Some(400.0));
    }

    #[test]
    fn a_call_that_never_was_has_no_figures() {
        let call = transcript(now(), &[(r#"{"event":"ready"}"#, 0, 0), ("null", 0, 0)]);
        assert_eq!(call.summary("setup_ms"), None);
        assert_eq!(call.mean_of_stats("sent/video_bitrate_bps"), None);
        assert_eq!(call.accepted_to_sound_ms(), None);
        assert_eq!(call.cost(), None);
    }
}
