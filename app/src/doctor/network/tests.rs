use hullo_media::reach::{Carrier, TurnTrouble};
use zeroize::Zeroizing;

use super::super::State;
use super::*;
use crate::call::servers::NamedTurn;
use crate::config::Address;

fn address(host: &str) -> Address {
    Address {
        host: host.to_owned(),
        port: 3_478,
    }
}

fn facts(stun: usize, turn: &[&str], steps: Vec<Step>) -> Facts {
    let named = |host: &&str| NamedTurn {
        address: address(host),
        carrier: Carrier::Udp,
        username: "me".to_owned(),
        password: Zeroizing::new("secret".to_owned()),
    };
    Facts {
        ways: Ok(Ways {
            addresses: vec![IpAddr::from([192, 168, 7, 2])],
            candidates: Vec::new(),
            steps,
            unknown: Vec::new(),
        }),
        servers: CallServers {
            stun: vec![address("stun.example"); stun],
            turn: turn.iter().map(named).collect(),
            ..CallServers::none()
        },
        server: Some(Ok(Some(Duration::from_secs(1)))),
    }
}

/// State, words and remedy of what was found under this name.
fn found(facts: &Facts, what: &str) -> Vec<(State, String)> {
    let all = findings(facts).into_iter();
    all.filter(|finding| finding.what == what)
        .map(|finding| {
            let remedy = finding.remedy.unwrap_or_default();
            (finding.state, format!("{}. {remedy}", finding.words))
        })
        .collect()
}

fn one(facts: &Facts, what: &str) -> (State, String) {
    let mut all = found(facts, what);
    assert_eq!(all.len(), 1, "{what}: {all:?}");
    all.remove(0)
}

fn mapped(port: u16) -> LocalCandidate {
    LocalCandidate::Reflexive {
        address: ([203, 0, 113, 9], port).into(),
        base: ([192, 168, 7, 2], 5_000).into(),
    }
}

#[test]
fn the_server_and_the_clock() {
    let mut facts = facts(0, &[], Vec::new());
    assert_eq!(one(&facts, "server").0, State::Ok);
    assert_eq!(one(&facts, "clock").0, State::Ok);
    facts.server = Some(Ok(Some(Duration::from_secs(90))));
    let (state, words) = one(&facts, "clock");
    assert!(
        state == State::Fail && words.contains("90 s") && words.contains("NTP"),
        "{words}"
    );
    facts.server = Some(Err("nothing listens there".to_owned()));
    let (state, words) = one(&facts, "server");
    assert!(
        state == State::Fail && words.contains("nothing listens"),
        "{words}"
    );
    facts.server = None;
    let (state, words) = one(&facts, "server");
    assert!(
        state == State::Warn && words.contains("--server"),
        "{words}"
    );
}

#[test]
fn udp_and_the_kind_of_nat() {
    let (state, words) = one(&facts(0, &[], Vec::new()), "udp");
    assert!(state == State::Warn && words.contains("stun ="), "{words}");
    let silent = facts(1, &[], vec![Step::StunSilent("stun.example".to_owned())]);
    let (state, words) = one(&silent, "udp");
    assert!(state == State::Fail && words.contains("turns:"), "{words}");
    assert!(found(&silent, "nat").is_empty(), "nothing is known of it");

    let nat = |servers: usize, ports: &[u16]| {
        let mut facts = facts(servers, &[], vec![Step::Reflexive]);
        let candidates = ports.iter().map(|port| mapped(*port)).collect();
        facts.ways.as_mut().unwrap().candidates = candidates;
        assert_eq!(one(&facts, "udp").0, State::Ok);
        one(&facts, "nat")
    };
    assert!(nat(2, &[]).1.starts_with("none"));
    assert!(nat(1, &[4_000]).1.contains("second STUN server"));
    assert!(nat(2, &[4_000]).1.starts_with("cone"));
    let (state, words) = nat(2, &[4_000, 4_001]);
    assert!(
        state == State::Warn && words.starts_with("symmetric"),
        "{words}"
    );

    let mut relay_only = facts(1, &["turn.example"], Vec::new());
    relay_only.servers.policy = Policy::RelayOnly;
    let (state, words) = one(&relay_only, "udp");
    assert!(
        state == State::Ok && words.contains("not looked at"),
        "{words}"
    );
}

#[test]
fn turn_servers_that_carry_refuse_or_say_nothing() {
    assert_eq!(one(&facts(0, &[], Vec::new()), "turn").0, State::Ok);
    let name = || "turn.example".to_owned();
    let carries = facts(0, &["turn.example"], vec![Step::Relayed(name())]);
    assert_eq!(
        one(&carries, "turn"),
        (State::Ok, "turn.example carries calls. ".to_owned())
    );
    for (trouble, expected) in [
        (TurnTrouble::Credentials, "(401)"),
        (TurnTrouble::Silent, "did not answer"),
        (
            TurnTrouble::Unreachable("connection refused".to_owned()),
            "connection refused",
        ),
        (TurnTrouble::Full(486), "(486)"),
    ] {
        let refuses = facts(
            0,
            &["turn.example"],
            vec![Step::RelayFailed(name(), trouble)],
        );
        let (state, words) = one(&refuses, "turn");
        assert_eq!(state, State::Fail);
        assert!(
            words.contains(expected) && words.contains("[[turn]]"),
            "{words}"
        );
    }
    let silent = facts(0, &["turn.example"], Vec::new());
    assert!(one(&silent, "turn").1.contains("in time"));

    let mut nobody = facts(0, &["nowhere.example"], Vec::new());
    nobody.ways.as_mut().unwrap().unknown =
        vec!["server nowhere.example could not be found".to_owned()];
    assert!(found(&nobody, "turn").is_empty());
    assert_eq!(one(&nobody, "names").0, State::Fail);

    let mut relay_only = facts(0, &[], Vec::new());
    relay_only.servers.policy = Policy::RelayOnly;
    let (state, words) = one(&relay_only, "turn");
    assert!(
        state == State::Warn && words.contains("your server gives one"),
        "{words}"
    );
}

#[test]
fn a_machine_without_a_socket_says_so_and_nothing_that_follows_from_it() {
    let mut facts = facts(1, &["turn.example"], Vec::new());
    facts.ways = Err("no address".to_owned());
    let (state, words) = one(&facts, "address");
    assert!(
        state == State::Fail && words.contains("no address"),
        "{words}"
    );
    assert!(found(&facts, "udp").is_empty() && found(&facts, "turn").is_empty());
}
