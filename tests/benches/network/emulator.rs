//! A network of this machine's own with a line whose faults are ours to choose: three namespaces with a TUN device each,
//! and a thread that moves every packet between them. `socat` stands at each device and hands its packets on as datagrams.
//!
//! ```text
//! alice 10.77.1.2 ──┐                 ┌── bob 10.77.2.2
//!                   ├── the emulator ─┤      between the two the line; to and from the server a clean one
//! server 10.77.3.2 ─┘                 └
//! ```
//!
//! Kernels without `sch_netem` can do this, too; it needs root, `ip`, `socat` and /dev/net/tun. Namespaces go when it is
//! dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hullo_tests::bench::program::now;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// Packets between the devices and the mover; a device waits for room then, as a card with a full queue does.
const PACKETS_WAITING_MAX: usize = 4_096;

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;
pub(crate) const SERVER: usize = 2;
const PLACES: [&str; 3] = ["a", "b", "s"];
/// Largest packet of the devices.
const MTU: usize = 1_400;
/// A device is there so soon after its `socat` was started.
const DEVICE_TIME_MAX: Duration = Duration::from_secs(5);
/// Packets remembered: twenty minutes of 2 Mbit/s.
const SEEN_MAX: usize = 1 << 20;
/// Nothing is due: look again after this.
const IDLE: Duration = Duration::from_millis(200);

/// What the line between alice and bob does to each packet, both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// One way; half as much to and from the server.
    pub(crate) delay: Duration,
    /// Share lost, 0..=1, each for itself.
    pub(crate) loss: f64,
    /// Bits per second; `None`: as many as come.
    pub(crate) rate_bps: Option<u64>,
    /// Nothing passes, to the server neither.
    pub(crate) is_down: bool,
}

/// Packets that would wait longer before the line are dropped.
const QUEUE_MAX: Duration = Duration::from_millis(300);

/// A packet between alice and bob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When it was given to the line.
    pub(crate) at: Instant,
    /// Whose.
    pub(crate) from: usize,
    /// With its address.
    pub(crate) source: Ipv4Addr,
    /// To this one.
    pub(crate) destination: Ipv4Addr,
    pub(crate) bits: u64,
    /// When it had left the line; `None`: dropped or lost.
    pub(crate) left: Option<Instant>,
}

/// The running network.
pub(crate) struct Emulator {
    prefix: String,
    line: Arc<Mutex<Line>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    folder: tempfile::TempDir,
    taps: Vec<Child>,
}

/// The emulator's end of a place's device.
struct Device {
    socket: UnixDatagram,
    far: PathBuf,
}

struct Packet {
    from: usize,
    bytes: Vec<u8>,
    at: Instant,
}

impl Emulator {
    /// Builds it.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub(crate) fn build(seed: u64) -> Result<Self, String> {
        let mut emulator = Self {
            prefix: format!("hn{}", std::process::id()),
            line: Arc::default(),
            seen: Arc::default(),
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
            taps: Vec::new(),
        };
        let (sender, packets) = sync_channel(PACKETS_WAITING_MAX);
        let mut devices = Vec::new();
        for place in 0..PLACES.len() {
            let device = Arc::new(emulator.plug(place)?);
            let (sender, reader) = (sender.clone(), Arc::clone(&device));
            thread::spawn(move || read(place, &reader, &sender));
            devices.push(device);
        }
        let (line, seen) = (Arc::clone(&emulator.line), Arc::clone(&emulator.seen));
        let mut mover = Mover {
            devices,
            line,
            seen,
            rng: ChaCha20Rng::seed_from_u64(seed),
            free_at: [now(); 2],
            waiting: BinaryHeap::new(),
            number: 0,
        };
        thread::spawn(move || mover.run(&packets));
        Ok(emulator)
    }

    fn plug(&mut self, place: usize) -> Result<Device, String> {
        let name = self.namespace(place);
        let (near, far) = (self.socket(place, "near"), self.socket(place, "far"));
        let socket = UnixDatagram::bind(&near).map_err(|error| error.to_string())?;
        run(&["ip", "netns", "add", &name])?;
        self.ip(place, &["link", "set", "lo", "up"])?;
        let device = format!(
            "TUN:{}/24,tun-name={name},iff-no-pi,iff-up",
            address(place, 2)
        );
        let tap = Command::new("ip")
            .args(["netns", "exec", &name, "socat", "-b", "4096", &device])
            .arg(format!(
                "UNIX-SENDTO:{},bind={}",
                near.display(),
                far.display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.taps
            .push(tap.map_err(|error| format!("socat: {error}"))?);
        let (mtu, until) = (MTU.to_string(), now() + DEVICE_TIME_MAX);
        while self
            .ip(
                place,
                &["link", "set", &name, "mtu", &mtu, "txqueuelen", "1000"],
            )
            .is_err()
        {
            if now() > until {
                return Err("socat makes no TUN device: is there a /dev/net/tun?".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.ip(place, &["route", "add", "default", "dev", &name])?;
        Ok(Device { socket, far })
    }

    fn socket(&self, place: usize, end: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{end}", PLACES[place]))
    }

    /// `ip` inside a place.
    fn ip(&self, place: usize, words: &[&str]) -> Result<(), String> {
        let name = self.namespace(place);
        run(&[&["ip", "-n", &name], words].concat())
    }

    fn namespace(&self, place: usize) -> String {
        format!("{}{}", self.prefix, PLACES[place])
    }

    /// Words that begin a program there.
    pub(crate) fn inside(&self, place: usize) -> Vec<String> {
        let name = self.namespace(place);
        ["netns", "exec", &name].map(str::to_owned).to_vec()
    }

    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    /// A place gets another address in place of the one it has.
    ///
    /// # Errors
    /// The words of `ip`.
    pub(crate) fn replace_address(&self, place: usize, old: u8, new: u8) -> Result<(), String> {
        let device = self.namespace(place);
        let with_length = |last| format!("{}/24", address(place, last));
        self.ip(place, &["addr", "del", &with_length(old), "dev", &device])?;
        self.ip(place, &["addr", "add", &with_length(new), "dev", &device])?;
        self.ip(place, &["route", "replace", "default", "dev", &device])
    }

    /// What alice and bob have sent each other between two times.
    pub(crate) fn seen(&self, from: Instant, to: Instant) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |packet: &&Seen| (from..to).contains(&packet.at);
        seen.iter().filter(within).copied().collect()
    }

    /// Bits per second that `who` gave to the line between two times, and of it what left the line.
    pub(crate) fn rates(&self, who: usize, from: Instant, to: Instant) -> (f64, f64) {
        let seen = self.seen(from, to);
        let own = || seen.iter().filter(|packet| packet.from == who);
        let seconds = (to - from).as_secs_f64();
        let offered: u64 = own().map(|packet| packet.bits).sum();
        let carried: u64 = (own().filter(|packet| packet.left.is_some()))
            .map(|packet| packet.bits)
            .sum();
        (offered as f64 / seconds, carried as f64 / seconds)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        for tap in &mut self.taps {
            // It may have ended by itself.
            let _ = tap.kill();
            let _ = tap.wait();
        }
        for place in 0..PLACES.len() {
            // What was never made need not go.
            let _ = run(&["ip", "netns", "del", &self.namespace(place)]);
        }
    }
}

/// The address of a place that ends with this number.
pub(crate) fn address(place: usize, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, place as u8 + 1, last)
}

fn read(from: usize, device: &Device, packets: &SyncSender<Packet>) {
    let mut buffer = [0; MTU + 100];
    while let Ok(length) = device.socket.recv(&mut buffer) {
        let packet = Packet {
            from,
            bytes: buffer[..length].to_vec(),
            at: now(),
        };
        if packets.send(packet).is_err() {
            return;
        }
    }
}

/// When a packet leaves, its number, where to, and itself.
type Due = (Instant, u64, usize, Vec<u8>);

struct Mover {
    devices: Vec<Arc<Device>>,
    line: Arc<Mutex<Line>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    rng: ChaCha20Rng,
    /// When the line is free again, each way.
    free_at: [Instant; 2],
    waiting: BinaryHeap<Reverse<Due>>,
    number: u64,
}

impl Mover {
    fn run(&mut self, packets: &Receiver<Packet>) {
        loop {
            let due = self.waiting.peek().map(|Reverse((at, ..))| *at);
            let wait = due.map_or(IDLE, |at| at.saturating_duration_since(now()));
            match packets.recv_timeout(wait) {
                Ok(packet) => self.take(packet),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(Reverse((at, ..))) = self.waiting.peek()
                && *at <= now()
            {
                if let Some(Reverse((_, _, to, bytes))) = self.waiting.pop() {
                    // A device that is full drops it, as a network does.
                    let device = &self.devices[to];
                    let _ = device.socket.send_to(&bytes, &device.far);
                }
            }
        }
    }

    fn take(&mut self, packet: Packet) {
        let Some((source, destination)) = addresses(&packet.bytes) else {
            return;
        };
        let to = usize::from(destination.octets()[2].wrapping_sub(1));
        if to >= self.devices.len() || to == packet.from {
            return;
        }
        let line = *self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if to == SERVER || packet.from == SERVER {
            if !line.is_down {
                self.queue(packet.at + line.delay / 2, to, packet.bytes);
            }
            return;
        }
        let bits = packet.bytes.len() as u64 * 8;
        let left = self.pass(&line, packet.from, packet.at, bits);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < SEEN_MAX {
            seen.push(Seen {
                at: packet.at,
                from: packet.from,
                source,
                destination,
                bits,
                left,
            });
        }
        drop(seen);
        if let Some(left) = left {
            self.queue(left + line.delay, to, packet.bytes);
        }
    }

    /// When a packet has left the line.
    fn pass(&mut self, line: &Line, from: usize, at: Instant, bits: u64) -> Option<Instant> {
        if line.is_down {
            return None;
        }
        let left = match line.rate_bps {
            None => at,
            Some(rate_bps) => {
                let free_at = self.free_at[from].max(at);
                if free_at - at > QUEUE_MAX {
                    return None;
                }
                let left = free_at + Duration::from_nanos(bits * 1_000_000_000 / rate_bps);
                self.free_at[from] = left;
                left
            }
        };
        // Lost behind the line: it has taken its time there.
        (self.rng.random::<f64>() >= line.loss).then_some(left)
    }

    fn queue(&mut self, at: Instant, to: usize, bytes: Vec<u8>) {
        self.number += 1;
        self.waiting.push(Reverse((at, self.number, to, bytes)));
    }
}

/// Of an IPv4 packet (RFC 791 §3.1); nothing else is carried.
fn addresses(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let header = packet.first_chunk::<20>()?;
    let at = |from: usize| {
        Ipv4Addr::new(
            header[from],
            header[from + 1],
            header[from + 2],
            header[from + 3],
        )
    };
    (header[0] >> 4 == 4).then(|| (at(12), at(16)))
}

fn run(words: &[&str]) -> Result<(), String> {
    let output = (Command::new(words[0]).args(&words[1..]).output())
        .map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}`: {}", words.join(" "), said.trim()))
}
