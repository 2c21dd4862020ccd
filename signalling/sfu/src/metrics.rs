//! What is counted, and how it is shown to Prometheus (text format 0.0.4).
//!
//! Each shard has counters of its own, so that no two cores write one cache line; a reader adds them up.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only its owner writes often and anybody may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Sets what goes up and down.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! metrics {
    ($($kind:literal $name:ident $help:literal;)*) => {
        /// The counters of one shard or of the HTTP side.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: Counter,)*
        }

        /// The sum of all parts in the text format of Prometheus.
        #[must_use]
        pub fn exposition(parts: &[&Metrics]) -> String {
            let mut text = String::new();
            $({
                let sum: u64 = parts.iter().map(|part| part.$name.value()).sum();
                let name = concat!("hullo_sfu_", stringify!($name));
                // Writing to a String cannot fail.
                let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}\n{name} {sum}", $help, $kind);
            })*
            text
        }
    };
}

metrics! {
    "gauge" calls "Calls now.";
    "gauge" participants "Participants announced now.";
    "gauge" reservations "Participant ids given out and not yet connected.";
    "counter" joins_total "Join requests answered with 200.";
    "counter" joins_refused_total "Join requests answered otherwise.";
    "counter" peeks_total "Peek requests answered with 200.";
    "counter" peeks_refused_total "Peek requests answered otherwise.";
    "counter" tokens_total "Tokens given out.";
    "counter" tokens_refused_total "Directory requests refused.";
    "counter" reservations_expired_total "Participant ids given back unused after 30 s.";
    "counter" calls_ended_alone_total "Calls dropped because one person was alone for 5 minutes.";
    "counter" datagrams_received_total "UDP datagrams received.";
    "counter" datagrams_sent_total "UDP datagrams sent.";
    "counter" sends_total "Send system calls; fewer than datagrams, thanks to segmentation offload.";
    "counter" sends_dropped_total "Datagrams dropped because the socket took no more.";
    "counter" packets_in_total "RTP packets taken from publishers.";
    "counter" packets_out_total "RTP packets handed to viewers.";
    "counter" bytes_out_total "Bytes of UDP payload sent.";
    "counter" relays_total "Messages relayed between participants.";
    "counter" keyframe_requests_total "Keyframe requests sent to publishers.";
    "counter" layer_switches_total "Times a viewer was moved to another layer.";
    "counter" refused_stranger_total "Datagrams from addresses that nobody proved.";
    "counter" refused_stun_total "STUN requests with a wrong name or password.";
    "counter" refused_datagram_total "Datagrams that are nothing or too long.";
    "counter" refused_message_total "Messages that are none, too long, or of an unknown kind.";
    "counter" refused_relay_total "Relays with a wrong sender or an unknown receiver.";
    "counter" refused_subscription_total "Subscriptions to oneself or to nobody.";
    "counter" refused_flood_total "Messages over the rate of one participant.";
    "counter" dropped_slow_total "Participants dropped because they did not read.";
    "counter" dropped_silent_total "Participants dropped because nothing came from them.";
    "counter" dropped_broken_total "Participants dropped because their connection broke a rule.";
    "counter" panics_total "Participants dropped because handling their input panicked.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_added_up() {
        let (a, b) = (Metrics::default(), Metrics::default());
        a.relays_total.add(2);
        b.relays_total.add_one();
        let text = exposition(&[&a, &b]);
        assert!(
            text.contains("# TYPE hullo_sfu_relays_total counter\nhullo_sfu_relays_total 3\n"),
            "{text}"
        );
        assert!(text.contains("\nhullo_sfu_calls 0\n"), "{text}");
    }
}
