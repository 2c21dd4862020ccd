//! What a forwarded packet costs: one publisher, many viewers, real sockets; and beside it in the same run what the machine
//! can forward over UDP with no protocol at all. The clients are a process of their own, so that memory is the SFU's.
//!
//! `cargo bench -p hullo-tests --bench sfu`; docs/benchmarks.md says what is measured and how.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::CallId;
use hullo_proto::service::token::TokenKey;
use hullo_sfu::directory::Announcement;
use hullo_sfu::server::{Options, Sfu};
use hullo_tests::sfu::client::{Certificate, Client, Role, join};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// Viewers of the one publisher.
const VIEWERS: usize = 20;
/// Until every line is measured and everybody gets the picture.
const WARM_UP: Duration = Duration::from_secs(15);
/// People who are connected and take nothing: what a connection costs.
const SILENT: usize = 10;
/// Until the first viewer's buffers are as large as they get.
const SETTLE: Duration = Duration::from_secs(3);
/// Length of the measurement when `HULLO_BENCH_SECONDS` does not say another.
const MEASURE_S: u64 = 10;
/// Microseconds of processor time per forwarded packet (docs/benchmarks.md).
const COST_US_MAX: f64 = 10.0;
/// Memory per forwarded stream.
const STREAM_KIB_MAX: f64 = 128.0;

/// The one call.
const CALL: [u8; 32] = [9; 32];
/// From a Join to a connection, on a machine that is busy with others connecting.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// The argument that makes this program the clients of the SFU at the address after it.
const CLIENTS: &str = "--clients";
/// What tokens are made with, on both sides.
const KEY: [u8; 32] = [1; 32];

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("sfu runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != CLIENTS);
    let outcome = match arguments.nth(1) {
        Some(http) => be_clients(&http).map(|()| true),
        None => run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("sfu: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

fn run() -> Result<bool, Failure> {
    let seconds = std::env::var("HULLO_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(MEASURE_S);
    let sfu = start(&TokenKey::from_bytes(KEY))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let http = listener.local_addr()?;
    let router = sfu.router();
    runtime.spawn(async move { axum::serve(listener, router).await });

    let mut clients = Clients::start(http)?;
    // What the first viewer costs is the server's own as well: buffers, which are there once.
    let memory_first = clients.memory_after("first")?;
    clients.tell("silent")?;
    let memory_silent = clients.memory_after("silent")?;
    clients.tell("more")?;
    clients.expect("ready")?;
    say(&format!(
        "{VIEWERS} viewers of 30 frames/s x 16 packets of 1,200 bytes and sound; measuring {seconds} s after {} s",
        WARM_UP.as_secs()
    ));
    wait(WARM_UP);
    let (cpu_before, counted_before) = (shard_cpu()?, counted(&sfu));
    clients.tell("begin")?;
    wait(Duration::from_secs(seconds));
    let (cpu, counted) = (
        shard_cpu()? - cpu_before,
        counted(&sfu).since(&counted_before),
    );
    let connection_kib = memory_silent.saturating_sub(memory_first) as f64 / SILENT as f64;
    let viewers_kib = resident_kib().saturating_sub(memory_silent);
    clients.tell("end")?;
    let delays = clients.hear()?;

    let cost_us = cpu.as_secs_f64() * 1e6 / (counted.packets_out.max(1)) as f64;
    let expected = VIEWERS as u64 * seconds * (30 * 16 + 50);
    let delivered = counted.packets_out as f64 / expected as f64;
    let viewer_kib = viewers_kib as f64 / (VIEWERS - 1) as f64;
    let stream_kib = (viewer_kib - connection_kib) / 2.0;
    tell(&counted, delivered);
    say(&format!(
        "processor per packet out   {cost_us:.2} us   (bar {COST_US_MAX}, aim 7.5)"
    ));
    say(&format!(
        "memory per stream          {stream_kib:.0} KiB   (bar {STREAM_KIB_MAX}; a viewer of two {viewer_kib:.0} KiB, of which a connection without streams {connection_kib:.0} KiB)"
    ));
    say(&format!("delay through the SFU      {delays}"));
    drop(clients);
    floor();
    Ok(cost_us <= COST_US_MAX && stream_kib <= STREAM_KIB_MAX && delivered >= 0.95)
}

/// The process of the clients; ends when dropped.
struct Clients {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Clients {
    fn start(http: SocketAddr) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--bench", CLIENTS, &http.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    fn expect(&mut self, word: &str) -> Result<(), Failure> {
        let heard = self.hear()?;
        if heard == word {
            Ok(())
        } else {
            Err(heard.into())
        }
    }

    /// What this process has resident some time after the clients said `word`.
    fn memory_after(&mut self, word: &str) -> Result<u64, Failure> {
        self.expect(word)?;
        wait(SETTLE);
        Ok(resident_kib())
    }

    fn tell(&mut self, word: &str) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{word}")?)
    }

    fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The clients' side: connects them, says so, notes delays between `begin` and `end`, and says what they were.
fn be_clients(http: &str) -> Result<(), Failure> {
    let (http, key) = (http.parse()?, TokenKey::from_bytes(KEY));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut start = |role| -> Result<Client, Failure> {
        let (certificate, token) = (Certificate::new()?, key.issue(u64::MAX, &mut rng));
        let call_id = CallId::from_bytes(CALL);
        let response = join(http, call_id, &token, certificate.fingerprint)?;
        Client::start(certificate, response, role, CONNECT_TIME_MAX)
    };
    let publisher = start(Role::Publisher)?;
    let mut viewers = vec![start(Role::Viewer(publisher.id()))?];
    let mut words = std::io::stdin().lines();
    say("first");
    words.next().ok_or("nobody measures")??;
    let silent: Vec<Client> = (0..SILENT)
        .map(|_| start(Role::Silent))
        .collect::<Result<_, _>>()?;
    say("silent");
    words.next().ok_or("nobody measures")??;
    for _ in 1..VIEWERS {
        viewers.push(start(Role::Viewer(publisher.id()))?);
    }
    say("ready");
    words.next().ok_or("nobody measures")??;
    viewers.iter().for_each(Client::begin_delays);
    words.next().ok_or("nobody measures")??;
    let mut delays: Vec<u64> = viewers.iter().flat_map(Client::delays_us).collect();
    delays.sort_unstable();
    let at = |part: f64| {
        let delay = delays.get((delays.len() as f64 * part) as usize);
        delay.copied().unwrap_or(0) as f64 / 1e3
    };
    say(&format!(
        "p50 {:.2} ms, p99 {:.2} ms, of {} packets",
        at(0.5),
        at(0.99),
        delays.len()
    ));
    drop((publisher, silent));
    Ok(())
}

fn start(key: &TokenKey) -> Result<Sfu, Failure> {
    let local = IpAddr::from([127, 0, 0, 1]);
    let announcement = Announcement {
        base_url: "https://localhost".to_owned(),
        allowed_hostname_suffixes: vec!["localhost".to_owned()],
        turn: None,
    };
    let mut options = Options::new(
        SocketAddr::new(local, 0),
        vec![local],
        key.clone(),
        announcement,
        [2; 32],
    );
    options.shards = 1;
    Ok(Sfu::start(options)?)
}

fn tell(counted: &Counted, delivered: f64) {
    say(&format!(
        "packets forwarded          {} ({:.1} % of what was published)",
        counted.packets_out,
        delivered * 100.0
    ));
    say(&format!(
        "datagrams per send call    {:.1}",
        counted.datagrams as f64 / counted.sends.max(1) as f64
    ));
    say(&format!("dropped by the socket      {}", counted.dropped));
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}

/// What the shard counted.
struct Counted {
    packets_out: u64,
    datagrams: u64,
    sends: u64,
    dropped: u64,
}

fn counted(sfu: &Sfu) -> Counted {
    let sum = |of: fn(&hullo_sfu::metrics::Metrics) -> &hullo_sfu::metrics::Counter| {
        sfu.counters().map(|part| of(part).value()).sum()
    };
    Counted {
        packets_out: sum(|part| &part.packets_out_total),
        datagrams: sum(|part| &part.datagrams_sent_total),
        sends: sum(|part| &part.sends_total),
        dropped: sum(|part| &part.sends_dropped_total),
    }
}

impl Counted {
    fn since(&self, before: &Self) -> Self {
        Self {
            packets_out: self.packets_out - before.packets_out,
            datagrams: self.datagrams - before.datagrams,
            sends: self.sends - before.sends,
            dropped: self.dropped - before.dropped,
        }
    }
}

/// Processor time of the forwarding thread, which is named `sfu`.
fn shard_cpu() -> Result<Duration, Failure> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        if std::fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "sfu") {
            let text = std::fs::read_to_string(folder.join("schedstat"))?;
            let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
            return Ok(Duration::from_nanos(nanos.ok_or("schedstat is empty")?));
        }
    }
    Err("the forwarding thread is not found in /proc/self/task".into())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// The floor of this machine: plain sends, and trains of 16.
fn floor() {
    let Some(tools) = std::env::var_os("HULLO_TOOLS").map(PathBuf::from) else {
        say(
            "UDP floor                  not measured: HULLO_TOOLS names no folder with udp-floor/udp_floor.sh",
        );
        return;
    };
    match measure_floor(&tools) {
        Ok(text) => say(&format!("UDP floor, no protocol at all:\n{text}")),
        Err(failure) => say(&format!(
            "UDP floor                  not measured: {failure}"
        )),
    }
}

fn measure_floor(tools: &Path) -> Result<String, Failure> {
    let folder = tempfile::tempdir()?;
    let script = tools.join("udp-floor/udp_floor.sh");
    let built = Command::new(&script)
        .arg("--build")
        .arg(folder.path())
        .output()?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned().into());
    }
    let mut text = String::new();
    for (mode, segments) in [("plain", "1"), ("gso", "16")] {
        let output = Command::new(folder.path().join("udpfwd"))
            .args([mode, &VIEWERS.to_string()])
            .env("SEG", segments)
            .output()?;
        text.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    Ok(text)
}
