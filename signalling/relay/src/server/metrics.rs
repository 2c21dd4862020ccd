//! `/metrics` in Prometheus' text format: counts of the whole relay, and nothing that names a queue or an address.

use std::fmt::Write;

use super::run::Snapshot;

/// The page. `connections` are those open now.
pub(super) fn page(snapshot: &Snapshot, connections: usize) -> String {
    let counts = &snapshot.counts;
    let counters = [
        (
            "batches_total",
            "Batches of commands, each with one commit",
            snapshot.batches,
        ),
        ("blocks_received_total", "Blocks taken in", counts.received),
        (
            "blocks_delivered_total",
            "Blocks handed out, repeats included",
            counts.delivered,
        ),
        (
            "commands_refused_total",
            "Commands refused, for whatever reason",
            counts.refused,
        ),
        (
            "connections_garbage_total",
            "Connections ended for frames that are none",
            counts.garbage,
        ),
        (
            "connections_crowded_total",
            "Connections ended because their address had enough",
            counts.crowded,
        ),
        (
            "store_failures_total",
            "Batches that the store did not take",
            counts.store_failures,
        ),
    ];
    let mut page = String::new();
    for (name, help, value) in counters {
        family(&mut page, name, "counter", help, value);
    }
    let open = connections as u64;
    family(
        &mut page,
        "connections",
        "gauge",
        "Connections open now",
        open,
    );
    let well = u64::from(snapshot.is_store_well);
    let help = "1 when the store took the last batch";
    family(&mut page, "store_up", "gauge", help, well);
    page
}

fn family(page: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // Writing to a string does not fail.
    let _ = writeln!(
        page,
        "# HELP hullo_relay_{name} {help}.\n# TYPE hullo_relay_{name} {kind}\nhullo_relay_{name} {value}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_one_number() {
        let page = page(&Snapshot::default(), 7);
        assert!(page.contains("\nhullo_relay_connections 7\n"));
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').unwrap();
            assert!(
                name.starts_with("hullo_relay_") && !name.contains('{'),
                "{line}"
            );
            value.parse::<u64>().unwrap();
        }
    }
}
