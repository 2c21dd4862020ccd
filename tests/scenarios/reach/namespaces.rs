//! Real programs behind NATs. Where this machine has no root, no namespaces or no coturn, a test says so and passes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hullo_tests::bench::program::{Program, now};
use hullo_tests::namespaces::{
    Coturn, Nat, Networks, SERVER, TURN_CERTIFICATE, TURN_SECRET, TURN_USER, TurnKind, missing,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const HULLO: &str = env!("CARGO_BIN_EXE_hullo-under-test");

/// What the two put into their settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Nobody,
    Stun,
    StunAndTurn,
    RelayOnly,
    RelayOnlyOverTcp,
    RelayOnlyOverTls,
    /// No TURN server in the settings: the server starts one and gives credentials.
    GivenAndStarted,
    /// The same, of one that runs elsewhere.
    GivenFromElsewhere,
    /// A TURN server that carries to nobody here.
    Refused,
}

impl Ask {
    /// The TURN server that runs beside the server, if any.
    fn turn(self) -> Option<TurnKind> {
        match self {
            Self::Nobody | Self::GivenAndStarted => None,
            Self::GivenFromElsewhere => Some(TurnKind::Secret),
            Self::Refused => Some(TurnKind::Denying),
            _ => Some(TurnKind::Users),
        }
    }
}

struct Scene {
    networks: Networks,
    folder: tempfile::TempDir,
    _turn: Option<Coturn>,
    server: Program,
    url: String,
}

/// Everything up to two people who know each other; `None` where it cannot be.
#[expect(clippy::print_stderr, reason = "a test that does not run says why")]
fn scene(nats: [Nat; 2], ask: Ask) -> Option<Scene> {
    let mut tools = vec!["ip", "iptables"];
    if ask.turn().is_some() || ask == Ask::GivenAndStarted {
        tools.push("turnserver");
    }
    let built = match missing(&tools) {
        Some(words) => Err(words),
        None => Networks::build(nats),
    };
    let networks = match built {
        Ok(networks) => networks,
        Err(words) => {
            eprintln!("not run, this machine lacks what it needs: {words}");
            return None;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let turn = (ask.turn())
        .map(|kind| Coturn::start(&networks, folder.path(), kind).expect("turnserver starts"));
    let server_words = networks.at_server(Path::new(HULLO));
    let listen = format!("{SERVER}:4433");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, TURN_SECRET).expect("a secret");
    let (secret, url) = (secret.display().to_string(), format!("turn:{SERVER}:3478"));
    let serve = ["serve", "--listen", &listen];
    let more = match ask {
        Ask::GivenAndStarted => &["--turn", "start"][..],
        Ask::GivenFromElsewhere => &["--turn", &url, "--turn-secret", &secret],
        _ => &[],
    };
    let arguments = [&serve, more].concat();
    let mut server = start(&server_words, "server", &arguments, "", folder.path());
    let ready = server
        .wait_for("ready", now() + PATIENCE, |value| value["url"].is_string())
        .expect("the server is ready");
    let url = ready["url"].as_str().expect("a URL").to_owned();
    let scene = Scene {
        networks,
        folder,
        _turn: turn,
        server,
        url: url.clone(),
    };
    for home in 0..2 {
        std::fs::create_dir_all(scene.profile(home)).expect("a profile");
        let settings = settings(ask, scene.folder.path());
        std::fs::write(scene.profile(home).join("config.toml"), settings).expect("settings");
        let mut name = scene.start(
            home,
            "name",
            &["name", ["alice", "bob"][home], "--server", &url],
            "",
        );
        name.wait_for("name", now() + PATIENCE, |_| true)
            .expect("named");
        name.finish(now() + PATIENCE);
    }
    let mut invite = scene.start(0, "invite", &["invite"], "");
    let invited = invite
        .wait_for("invite", now() + PATIENCE, |_| true)
        .expect("a link");
    invite.finish(now() + PATIENCE);
    let link = format!("{}\n", invited["link"].as_str().expect("a link"));
    let mut add = scene.start(1, "add", &["add", "-"], &link);
    add.wait_for("contact", now() + PATIENCE, |_| true)
        .expect("a contact");
    add.finish(now() + PATIENCE);
    Some(scene)
}

fn settings(ask: Ask, folder: &Path) -> String {
    let (user, password) = TURN_USER;
    let stun = format!("stun = [\"stun:{SERVER}:3478\"]\n");
    let turn = |more: &str| {
        format!(
            "[[turn]]\nurl = \"turn:{SERVER}:3478{more}\"\nusername = \"{user}\"\npassword = \"{password}\"\n"
        )
    };
    match ask {
        Ask::Nobody => String::new(),
        Ask::Stun => stun,
        Ask::StunAndTurn => stun + &turn(""),
        Ask::RelayOnly => format!("relay_only = true\n{}", turn("")),
        Ask::RelayOnlyOverTcp => format!("relay_only = true\n{}", turn("?transport=tcp")),
        Ask::RelayOnlyOverTls => {
            let authority = folder.join(TURN_CERTIFICATE);
            let turn = turn("")
                .replace("\"turn:", "\"turns:")
                .replace("3478", "5349");
            format!(
                "relay_only = true\n{turn}authority = \"{}\"\n",
                authority.display()
            )
        }
        Ask::GivenAndStarted | Ask::GivenFromElsewhere => "relay_only = true\n".to_owned(),
        Ask::Refused => format!("relay_only = true\n{}", turn("")),
    }
}

fn start(words: &[String], name: &str, arguments: &[&str], stdin: &str, folder: &Path) -> Program {
    let mut all: Vec<String> = words[1..].to_vec();
    all.extend(arguments.iter().map(|&word| word.to_owned()));
    let profile = folder.join(name.split('-').next().unwrap_or(name));
    all.extend([
        "--json".to_owned(),
        "--profile".to_owned(),
        profile.display().to_string(),
    ]);
    Program::start(name, Path::new(&words[0]), &all, stdin, folder).expect("it starts")
}

impl Scene {
    fn profile(&self, home: usize) -> PathBuf {
        self.folder.path().join(["alice", "bob"][home])
    }

    fn start(&self, home: usize, what: &str, arguments: &[&str], stdin: &str) -> Program {
        let words = self.networks.at_home(home, Path::new(HULLO));
        let name = format!("{}-{what}", ["alice", "bob"][home]);
        start(&words, &name, arguments, stdin, self.folder.path())
    }

    /// Ends the server with a word, so that what it started ends, too.
    fn end(self) {
        let process = self.server.process().to_string();
        let asked = std::process::Command::new("kill")
            .args(["-TERM", &process])
            .status();
        assert!(asked.is_ok_and(|status| status.success()));
        let (_, status) = self.server.finish(now() + PATIENCE);
        assert!(status.is_some(), "the server ends when it is asked to");
    }

    /// Bob calls alice; both programs once they are connected and hear each other.
    fn call(&self) -> [Program; 2] {
        let devices = ["--camera", "none", "--mic", "test", "--speaker", "none"];
        let with = |words: &[&'static str]| [words, &devices[..], &["--seconds", "100"]].concat();
        let mut answering = self.start(0, "answer", &with(&["answer"]), "");
        answering
            .wait_for("ready", now() + PATIENCE, |_| true)
            .expect("ready");
        let mut calling = self.start(1, "call", &with(&["call", "alice"]), "");
        for side in [&mut answering, &mut calling] {
            side.wait_for("call", now() + PATIENCE, |event| {
                event["state"] == "connected"
            })
            .expect("connected");
        }
        for side in [&mut answering, &mut calling] {
            hears(side);
        }
        [answering, calling]
    }
}

fn hears(side: &mut Program) -> Value {
    let is_heard = |event: &Value| event["received"]["audio_frames"].as_u64() > Some(30);
    side.wait_for("stats", now() + PATIENCE, is_heard)
        .expect("sound comes")
}

fn pair(side: &mut Program) -> String {
    hears(side)["pair"].to_string()
}

fn end([answering, mut calling]: [Program; 2]) {
    calling.write("hangup");
    for side in [answering, calling] {
        let (lines, status) = side.finish(now() + PATIENCE);
        let summary = lines.iter().find(|line| line.value["event"] == "summary");
        let summary = &summary.expect("a summary").value;
        assert_eq!(summary["undecryptable"], 0, "{summary}");
        assert!(status.is_some_and(|status| status.success()), "{summary}");
    }
}

#[test]
fn two_homes_behind_cone_nats_talk_directly() {
    let Some(scene) = scene([Nat::Cone, Nat::Cone], Ask::Stun) else {
        return;
    };
    let mut sides = scene.call();
    for side in &mut sides {
        let pair = pair(side);
        assert!(!pair.contains("relay"), "{pair}");
    }
    end(sides);
}

#[test]
fn two_homes_behind_symmetric_nats_talk_through_the_relay() {
    let Some(scene) = scene([Nat::Symmetric, Nat::Symmetric], Ask::StunAndTurn) else {
        return;
    };
    end(scene.call());
}

#[test]
fn with_relay_only_not_one_datagram_leaves_for_the_other_side() {
    for ask in [
        Ask::RelayOnly,
        Ask::RelayOnlyOverTcp,
        Ask::RelayOnlyOverTls,
        Ask::GivenAndStarted,
        Ask::GivenFromElsewhere,
    ] {
        // Without NATs: a direct way would be there for the taking.
        let Some(scene) = scene([Nat::None, Nat::None], ask) else {
            return;
        };
        for home in 0..2 {
            scene.networks.count_direct(home).expect("iptables counts");
        }
        let mut sides = scene.call();
        for side in &mut sides {
            let pair = pair(side);
            assert_eq!(pair, "\"relay/relay\"", "{ask:?}");
        }
        end(sides);
        for home in 0..2 {
            assert_eq!(scene.networks.direct(home), Ok(0), "{ask:?}, home {home}");
        }
        scene.end();
    }
}

#[test]
fn a_turn_server_whose_deny_list_holds_the_other_side_is_named_with_what_it_did() {
    let Some(scene) = scene([Nat::None, Nat::None], Ask::Refused) else {
        return;
    };
    let words = words_of_the_end(&scene);
    assert!(words.contains("(403)") && words.contains(SERVER), "{words}");
    scene.end();
}

#[test]
fn relay_only_without_any_turn_server_is_refused_in_words_once_the_server_has_none_to_give() {
    let Some(scene) = scene([Nat::None, Nat::None], Ask::Nobody) else {
        return;
    };
    std::fs::write(scene.profile(1).join("config.toml"), "relay_only = true\n").expect("settings");
    let mut answering = scene.start(0, "answer", &["answer", "--seconds", "70"], "");
    answering
        .wait_for("ready", now() + PATIENCE, |_| true)
        .expect("ready");
    let mut calling = scene.start(1, "call", &["call", "alice", "--seconds", "70"], "");
    let told = calling
        .wait_for("error", now() + PATIENCE, |_| true)
        .expect("it is told");
    let words = told["text"].as_str().unwrap_or_default();
    assert!(words.contains("nor does your server give one"), "{told}");
    let (_, status) = calling.finish(now() + PATIENCE);
    assert!(status.is_some_and(|status| !status.success()));
    scene.end();
}

#[test]
fn a_call_survives_a_replaced_address() {
    let Some(scene) = scene([Nat::None, Nat::None], Ask::Nobody) else {
        return;
    };
    let mut sides = scene.call();
    for (home, last) in [(1, 77), (0, 78)] {
        scene
            .networks
            .replace_address(home, last)
            .expect("ip replaces it");
        sides[home]
            .wait_for("step", now() + PATIENCE, |event| {
                event["step"]
                    .as_str()
                    .is_some_and(|step| step.contains("addresses"))
            })
            .expect("the change is noticed");
        for side in &mut sides {
            // The second of the change itself, and one that is whole.
            hears(side);
            hears(side);
        }
    }
    end(sides);
}

#[test]
fn a_wrong_turn_password_is_said_in_the_words_of_the_end() {
    let Some(scene) = scene([Nat::None, Nat::None], Ask::RelayOnly) else {
        return;
    };
    let wrong = settings(Ask::RelayOnly, scene.folder.path()).replace(TURN_USER.1, "guess");
    std::fs::write(scene.profile(1).join("config.toml"), wrong).expect("settings");
    let words = words_of_the_end(&scene);
    assert!(words.contains("(401)"), "{words}");
    scene.end();
}

/// Of a call that does not come about, as the caller reads it.
fn words_of_the_end(scene: &Scene) -> String {
    let mut answering = scene.start(0, "answer", &["answer", "--seconds", "70"], "");
    answering
        .wait_for("ready", now() + PATIENCE, |_| true)
        .expect("ready");
    let mut calling = scene.start(1, "call", &["call", "alice", "--seconds", "70"], "");
    let ended = calling
        .wait_for("call", now() + PATIENCE, |event| event["state"] == "ended")
        .expect("it ends");
    ended["words"].as_str().unwrap_or_default().to_owned()
}

/// What the doctor says at home about something of the network: state, and words with what to do.
fn doctor(scene: &Scene, home: usize, url: &str) -> (Vec<(String, String, String)>, bool) {
    let program = scene.start(home, "doctor", &["doctor", "--server", url], "");
    let (lines, status) = program.finish(now() + PATIENCE);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = lines
        .iter()
        .map(|line| &line.value)
        .filter(|value| value["section"] == "network");
    let findings = findings
        .map(|value| {
            (
                text(&value["what"]),
                text(&value["state"]),
                text(&value["words"]),
            )
        })
        .collect();
    (findings, status.is_some_and(|status| status.success()))
}

#[test]
fn the_doctor_says_how_far_a_home_reaches() {
    let Some(scene) = scene([Nat::Cone, Nat::Symmetric], Ask::StunAndTurn) else {
        return;
    };
    let says = |found: &[(String, String, String)], what: &str, state: &str, words: &str| {
        let is_it = |(own, is, said): &(String, String, String)| {
            (own.as_str(), is.as_str()) == (what, state) && said.contains(words)
        };
        assert!(found.iter().any(is_it), "{what} {state} {words}: {found:?}");
    };
    let (found, _) = doctor(&scene, 0, &scene.url);
    says(&found, "server", "ok", "answers");
    says(&found, "udp", "ok", "out and back");
    says(&found, "nat", "ok", "there is one");
    says(&found, "turn", "ok", "carries calls");

    // Another STUN server, which is coturn's other port, sees another port of a symmetric NAT.
    let profile = scene.profile(1).join("config.toml");
    let settings =
        |turn: &str| settings(Ask::StunAndTurn, scene.folder.path()).replace("[[turn]]", turn);
    let two = format!("\"stun:{SERVER}:3478\", \"stun:{SERVER}:3479\"");
    let with_two = settings("[[turn]]").replace(&format!("\"stun:{SERVER}:3478\""), &two);
    std::fs::write(&profile, with_two.replace(TURN_USER.1, "guess")).expect("settings");
    let (found, is_well) = doctor(&scene, 1, &scene.url);
    says(&found, "nat", "warn", "symmetric");
    says(&found, "turn", "fail", "(401)");
    assert!(!is_well);

    // Nobody is there at all.
    let elsewhere = settings("[[turn]]").replace(SERVER, "198.18.0.99");
    std::fs::write(&profile, elsewhere).expect("settings");
    let nowhere = scene.url.replace(SERVER, "198.18.0.99");
    let (found, is_well) = doctor(&scene, 1, &nowhere);
    says(&found, "server", "fail", "not reached");
    says(&found, "udp", "fail", "no STUN server answered");
    says(&found, "turn", "fail", "198.18.0.99");
    assert!(!is_well);
    scene.end();
}
