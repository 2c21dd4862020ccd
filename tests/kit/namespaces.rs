//! Networks of this machine's own: a public one, homes behind NATs, and real programs in them.
//!
//! ```text
//! home A (192.168.10.2) ── NAT A (198.18.0.10) ──┐
//!                                                ├── public network 198.18.0.0/24 ── server 198.18.0.1 (hullo, coturn)
//! home B (192.168.20.2) ── NAT B (198.18.0.20) ──┘
//! ```
//!
//! Needs root, `ip` and `iptables`; [`Networks::build`] says in words what is missing. Names begin with this process's
//! number, and everything is taken down when dropped.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a home's router does to outgoing packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// No router: the home has a public address.
    None,
    /// One outside port for each inside port, whatever the destination.
    Cone,
    /// Another outside port for each destination, at random.
    Symmetric,
}

/// Where the server is.
pub const SERVER: &str = "198.18.0.1";

/// A running set of networks.
pub struct Networks {
    prefix: String,
    names: Vec<String>,
}

/// A home by its number: 0 or 1.
pub type Home = usize;

impl Networks {
    /// Builds them.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub fn build(nats: [Nat; 2]) -> Result<Self, String> {
        static BUILT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = BUILT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut networks = Self {
            prefix: format!("hr{}n{number}", std::process::id()),
            names: Vec::new(),
        };
        networks.try_build(nats)?;
        Ok(networks)
    }

    fn try_build(&mut self, nats: [Nat; 2]) -> Result<(), String> {
        for name in ["hub", "server"] {
            self.add(name)?;
        }
        self.run("hub", "ip link add bridge type bridge")?;
        self.run("hub", "ip link set bridge up")?;
        self.plug("server", "wan", &format!("{SERVER}/24"))?;
        for (home, nat) in nats.into_iter().enumerate() {
            let inside = home_name(home);
            self.add(&inside)?;
            let public = format!("198.18.0.{}/24", 10 * (home + 1));
            if nat == Nat::None {
                self.plug(&inside, "wan", &public)?;
                continue;
            }
            let router = format!("nat{home}");
            self.add(&router)?;
            self.plug(&router, "wan", &public)?;
            self.wire(&router, "lan", &inside, "eth")?;
            let net = format!("192.168.{}0", home + 1);
            self.run(&router, &format!("ip addr add {net}.1/24 dev lan"))?;
            self.run(&inside, &format!("ip addr add {net}.2/24 dev eth"))?;
            self.run(&inside, &format!("ip route add default via {net}.1"))?;
            self.run(&router, "sysctl -q -w net.ipv4.ip_forward=1")?;
            let random = if nat == Nat::Symmetric {
                " --random-fully"
            } else {
                ""
            };
            self.run(
                &router,
                &format!("iptables -t nat -A POSTROUTING -o wan -j MASQUERADE{random}"),
            )?;
            // What nobody inside asked for stays outside, as with any home router. Also what is for the router itself: an
            // answer of its own would take the port that the same peer is about to be sent from.
            self.run(
                &router,
                "iptables -A INPUT -i wan -m conntrack --ctstate NEW -j DROP",
            )?;
            self.run(
                &router,
                "iptables -A FORWARD -i wan -m conntrack --ctstate NEW -j DROP",
            )?;
        }
        Ok(())
    }

    /// A program in the server's network.
    #[must_use]
    pub fn at_server(&self, program: &Path) -> Vec<String> {
        self.inside("server", program)
    }

    /// A program at home.
    #[must_use]
    pub fn at_home(&self, home: Home, program: &Path) -> Vec<String> {
        self.inside(&home_name(home), program)
    }

    fn inside(&self, name: &str, program: &Path) -> Vec<String> {
        let words = ["ip", "netns", "exec"].map(str::to_owned);
        let rest = [self.full(name), program.display().to_string()];
        words.into_iter().chain(rest).collect()
    }

    /// Starts counting datagrams that leave a home for anywhere but the server.
    ///
    /// # Errors
    /// iptables' words.
    pub fn count_direct(&self, home: Home) -> Result<(), String> {
        let rule = format!("iptables -A OUTPUT -p udp ! -d {SERVER}");
        self.run(&home_name(home), &rule)
    }

    /// How many there were.
    ///
    /// # Errors
    /// iptables' words, or none that can be read.
    pub fn direct(&self, home: Home) -> Result<u64, String> {
        let listed = self.output(&home_name(home), "iptables -L OUTPUT -v -x -n")?;
        let line = listed.lines().nth(2).ok_or("no rule")?;
        let first = line.split_whitespace().next().ok_or("no figure")?;
        first.parse().map_err(|_| format!("no figure: {line}"))
    }

    /// Gives a home without NAT another public address in place of the one it has.
    ///
    /// # Errors
    /// The words of `ip`.
    pub fn replace_address(&self, home: Home, last: u8) -> Result<(), String> {
        let name = home_name(home);
        // The old one first: with it the system would remove others of its network.
        let old = format!("ip addr del 198.18.0.{}/24 dev wan", 10 * (home + 1));
        self.run(&name, &old)?;
        self.run(&name, &format!("ip addr add 198.18.0.{last}/24 dev wan"))
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        let full = self.full(name);
        command(&["ip", "netns", "add", &full])?;
        self.names.push(full);
        self.run(name, "ip link set lo up")
    }

    /// Joins a namespace to the public network.
    fn plug(&self, name: &str, device: &str, address: &str) -> Result<(), String> {
        self.wire(name, device, "hub", &format!("to-{name}"))?;
        self.run("hub", &format!("ip link set to-{name} master bridge"))?;
        self.run(name, &format!("ip addr add {address} dev {device}"))
    }

    fn wire(&self, one: &str, device: &str, other: &str, far: &str) -> Result<(), String> {
        let (one_full, other_full) = (self.full(one), self.full(other));
        command(&[
            "ip",
            "link",
            "add",
            device,
            "netns",
            &one_full,
            "type",
            "veth",
            "peer",
            "name",
            far,
            "netns",
            &other_full,
        ])?;
        self.run(one, &format!("ip link set {device} up"))?;
        self.run(other, &format!("ip link set {far} up"))
    }

    fn full(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn run(&self, name: &str, line: &str) -> Result<(), String> {
        self.output(name, line).map(drop)
    }

    fn output(&self, name: &str, line: &str) -> Result<String, String> {
        let full = self.full(name);
        let mut words = vec!["ip", "netns", "exec", &full];
        words.extend(line.split_whitespace());
        command(&words)
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            // What is gone already need not go.
            let _ = command(&["ip", "netns", "del", name]);
        }
    }
}

/// A TURN server in the server's network, ended when dropped.
pub struct Coturn(Child);

/// Whom it serves, and whom it carries to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnKind {
    /// [`TURN_USER`].
    Users,
    /// The same, and its deny list holds everybody.
    Denying,
    /// Whoever has credentials made from [`TURN_SECRET`].
    Secret,
}

/// File name of its certificate, PEM.
pub const TURN_CERTIFICATE: &str = "turn.pem";
/// What it shares with whoever hands out credentials.
pub const TURN_SECRET: &str = "north-by-northwest";
/// Who may use it.
pub const TURN_USER: (&str, &str) = ("me", "s3cret");

impl Coturn {
    /// Starts `turnserver` with a strict configuration in `folder`; TLS on port 5349 with a certificate for [`SERVER`] that
    /// is left there as [`TURN_CERTIFICATE`]. UDP also on port 3479, to be seen from there, too.
    ///
    /// # Errors
    /// It is not installed.
    pub fn start(networks: &Networks, folder: &Path, kind: TurnKind) -> Result<Self, String> {
        let (user, password) = TURN_USER;
        let who = match kind {
            TurnKind::Users | TurnKind::Denying => format!("lt-cred-mech\nuser={user}:{password}"),
            TurnKind::Secret => format!("use-auth-secret\nstatic-auth-secret={TURN_SECRET}"),
        };
        let denied = match kind {
            // The public network: whoever is there is refused, also another user of the relay.
            TurnKind::Denying => "denied-peer-ip=198.18.0.0-198.18.255.255\n",
            TurnKind::Users | TurnKind::Secret => "",
        };
        make_certificate(folder)?;
        let config = format!(
            "listening-ip={SERVER}\nrelay-ip={SERVER}\nlistening-port=3478\naux-server={SERVER}:3479\ntls-listening-port=5349\n{who}\n{denied}\
             cert={0}/{TURN_CERTIFICATE}\npkey={0}/turn.key\n\
             realm=example.org\nno-cli\nno-dtls\nno-tcp-relay\nno-multicast-peers\nsimple-log\n\
             log-file={0}/turn.log\npidfile={0}/turn.pid\nuserdb={0}/turn.db\n\
             denied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=172.16.0.0-172.31.255.255\n\
             denied-peer-ip=192.168.0.0-192.168.255.255\ndenied-peer-ip=169.254.0.0-169.254.255.255\n\
             denied-peer-ip=127.0.0.0-127.255.255.255\n",
            folder.display()
        );
        let path = folder.join("turn.conf");
        std::fs::write(&path, config).map_err(|error| error.to_string())?;
        let words = networks.at_server(Path::new("turnserver"));
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        Ok(Self(child))
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn make_certificate(folder: &Path) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed([SERVER.to_owned()]);
    let made = made.map_err(|error| error.to_string())?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write(TURN_CERTIFICATE, made.cert.pem())
        .and_then(|()| write("turn.key", made.signing_key.serialize_pem()))
        .map_err(|error| error.to_string())
}

/// What of this machine is missing for such tests; `None`: nothing.
#[must_use]
pub fn missing(tools: &[&str]) -> Option<String> {
    for tool in tools {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            let more = [Path::new("/usr/sbin"), Path::new("/sbin")].map(Path::to_owned);
            std::env::split_paths(&path)
                .chain(more)
                .any(|folder| folder.join(tool).is_file())
        });
        if !found {
            return Some(format!("`{tool}` is not installed"));
        }
    }
    None
}

fn home_name(home: Home) -> String {
    format!("home{home}")
}

fn command(words: &[&str]) -> Result<String, String> {
    let run = |words: &[&str]| -> io::Result<std::process::Output> {
        Command::new(words[0]).args(&words[1..]).output()
    };
    let output = run(words).map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}`: {}", words.join(" "), said.trim()))
}
