//! The doctor's look at the network: addresses, the server, what STUN and TURN servers say, and the clock.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use hullo_media::reach::{LocalCandidate, Policy, Step};
use hullo_signalling::server_url::ServerUrl;
use hullo_signalling::store::Store;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::{Finding, Section, Surroundings};
use crate::call::probe::{self, Ways};
use crate::call::servers::CallServers;
use crate::profile::DATABASE;

/// Exit status of the network, as everywhere.
const STATUS: u8 = 5;
/// All servers together get so long.
const TIME_MAX: Duration = Duration::from_secs(12);
/// Certificates and credentials that expire go wrong beyond this.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(60);

/// What was found; nothing is looked up in [`findings`].
struct Facts {
    ways: Result<Ways, String>,
    servers: CallServers,
    /// `None`: no server is set. Else what came of reaching it, and how far its clock is from ours.
    server: Option<Result<Option<Duration>, String>>,
}

/// Looks at the network; asks the servers that the settings name.
pub(super) fn look(around: Surroundings<'_>) -> Section {
    let (config, _) = crate::config::read(&crate::config::path(around.folder));
    let (servers, _) = CallServers::of(&config);
    let mut seed = [0; 32];
    let ways = match getrandom::fill(&mut seed) {
        Ok(()) => probe::look(&servers, ChaCha20Rng::from_seed(seed), TIME_MAX)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let facts = Facts {
        ways,
        servers,
        server: match &around.options.server {
            Some(url) => Some(
                (url.parse::<ServerUrl>().map_err(|error| error.to_string()))
                    .and_then(|url| reach_server(&url)),
            ),
            None => {
                let remembered = Store::server_of(&around.folder.join(DATABASE));
                remembered.map(|url| reach_server(&url))
            }
        },
    };
    Section {
        name: "network",
        status: STATUS,
        findings: findings(&facts),
    }
}

/// One request to the server, pinned like all; how far its clock is from ours.
fn reach_server(url: &ServerUrl) -> Result<Option<Duration>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let date = runtime.block_on(crate::net::date_of(url))?;
    let now = SystemTime::now();
    Ok(date.map(|date| {
        now.duration_since(date)
            .unwrap_or_else(|error| error.duration())
    }))
}

fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    match &facts.server {
        None => found.push(Finding::warn(
            "server",
            "no server was named to look at, and the profile remembers none",
            "Name it with --server URL to see whether it is reached.",
        )),
        Some(Err(reason)) => found.push(Finding::fail(
            "server",
            format!("the server is not reached: {reason}"),
            "Check its address, and that its TCP port is open in firewalls.",
        )),
        Some(Ok(clock_off)) => {
            found.push(Finding::ok(
                "server",
                "the server answers and holds its key",
            ));
            found.extend(clock_off.map(clock));
        }
    }
    let ways = match &facts.ways {
        Ok(ways) => ways,
        Err(reason) => {
            let words = format!("no socket can be had: {reason}");
            found.push(Finding::fail(
                "address",
                words,
                "Connect this machine to a network.",
            ));
            return found;
        }
    };
    found.extend(addresses(&ways.addresses));
    found.extend(stun(facts, ways));
    found.extend(relays(facts, ways));
    let unknown = ways.unknown.iter();
    found.extend(unknown.map(|words| {
        Finding::fail(
            "names",
            words.clone(),
            "Check the name in config.toml, and this machine's DNS.",
        )
    }));
    found
}

fn clock(off: Duration) -> Finding {
    let words = format!(
        "this machine's clock and the server's differ by {} s",
        off.as_secs()
    );
    if off > CLOCK_OFF_MAX {
        Finding::fail(
            "clock",
            words,
            "Set the clock, best by NTP: what expires is judged by it.",
        )
    } else {
        Finding::ok("clock", words)
    }
}

fn addresses(all: &[IpAddr]) -> Vec<Finding> {
    let count = |wanted: fn(&IpAddr) -> bool| all.iter().filter(|ip| wanted(ip)).count();
    let v4 = match count(IpAddr::is_ipv4) {
        0 => Finding::warn(
            "ipv4",
            "this machine has no IPv4 address",
            "People without IPv6 reach you over a TURN server only.",
        ),
        1 => Finding::ok("ipv4", "1 address"),
        count => Finding::ok("ipv4", format!("{count} addresses")),
    };
    let v6 = match count(IpAddr::is_ipv6) {
        0 => Finding::ok("ipv6", "none; calls go over IPv4"),
        1 => Finding::ok("ipv6", "1 address"),
        count => Finding::ok("ipv6", format!("{count} addresses")),
    };
    vec![v4, v6]
}

/// What STUN servers saw, which also says whether UDP gets out and in.
fn stun(facts: &Facts, ways: &Ways) -> Vec<Finding> {
    if facts.servers.policy == Policy::RelayOnly {
        return vec![Finding::ok(
            "udp",
            "not looked at: relay_only asks no STUN server",
        )];
    }
    if facts.servers.stun.is_empty() {
        return vec![Finding::warn(
            "udp",
            "no STUN server is set, so it is not known how others see this machine",
            "Name one in config.toml (stun = [\"stun:HOST\"]): behind a router, direct calls need it.",
        )];
    }
    let has_answer = ways.steps.contains(&Step::Reflexive);
    if !has_answer {
        return vec![Finding::fail(
            "udp",
            "no STUN server answered: UDP does not get out, or not back in",
            "Calls need a TURN server over TCP or TLS here ([[turn]] with turns:), or a firewall that lets UDP through.",
        )];
    }
    let mapped: Vec<_> = (ways.candidates.iter())
        .filter_map(|candidate| match candidate {
            LocalCandidate::Reflexive { address, base } => Some((*base, *address)),
            _ => None,
        })
        .collect();
    let bases: BTreeSet<_> = mapped.iter().map(|(base, _)| *base).collect();
    let nat = if mapped.is_empty() {
        Finding::ok("nat", "none: others see this machine's own address")
    } else if mapped.len() > bases.len() {
        Finding::warn(
            "nat",
            "symmetric: the router shows another port to each server",
            "Calls with people behind such a router too need a TURN server.",
        )
    } else if facts.servers.stun.len() < 2 {
        Finding::ok(
            "nat",
            "there is one; which kind would take a second STUN server to see",
        )
    } else {
        Finding::ok("nat", "cone: direct calls work with most others")
    };
    vec![Finding::ok("udp", "gets out and back in"), nat]
}

fn relays(facts: &Facts, ways: &Ways) -> Vec<Finding> {
    if facts.servers.turn.is_empty() {
        let words = "none is set";
        return vec![if facts.servers.policy == Policy::RelayOnly {
            Finding::warn(
                "turn",
                words,
                "relay_only allows no call without one: name it under [[turn]], unless your server gives one out.",
            )
        } else {
            Finding::ok("turn", words)
        }];
    }
    let mut found = Vec::new();
    for step in &ways.steps {
        found.push(match step {
            Step::Relayed(name) => Finding::ok("turn", format!("{name} carries calls")),
            Step::RelayFailed(name, trouble) => Finding::fail(
                "turn",
                format!("{name}: {trouble}"),
                "Check url, username and password under [[turn]], and that firewalls let its port through.",
            ),
            _ => continue,
        });
    }
    if found.is_empty() && ways.unknown.is_empty() {
        found.push(Finding::fail(
            "turn",
            "no TURN server answered in time",
            "Check url under [[turn]], and that firewalls let its port through.",
        ));
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
