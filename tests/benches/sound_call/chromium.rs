//! Two headless Chromiums in a sound call with each other, driven over their debugging ports.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream as StdStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hullo_tests::bench::program::now;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

type Failure = Box<dyn Error>;

/// How long a browser may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is looked at before the call.
const IDLE: Duration = Duration::from_secs(5);
/// A call has settled by then.
const SETTLING: Duration = Duration::from_secs(4);
/// Units of the times in /proc, per second.
const TICKS: f64 = 100.0;

/// What one browser costs, with all its processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// In the call, in shares of one core.
    pub(super) cores: f64,
    /// Before it.
    pub(super) cores_idle: f64,
    /// Memory of its own (proportional set size), in the call over before it, MB.
    pub(super) over_idle_mb: f64,
}

const PAGE: &str = r"<!doctype html><title>call</title><script>
const pc = new RTCPeerConnection();
pc.ontrack = e => { const a = new Audio(); a.srcObject = e.streams[0]; a.play(); window.sounding = a; };
const gathered = () => new Promise(done => {
  const look = () => pc.iceGatheringState === 'complete' && done();
  pc.onicegatheringstatechange = look; look(); });
const own = async () => {
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  stream.getTracks().forEach(track => pc.addTrack(track, stream)); };
const said = async () => { await gathered(); return pc.localDescription.sdp; };
async function offer() { await own(); await pc.setLocalDescription(await pc.createOffer()); return said(); }
async function answer(sdp) { await own(); await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription(await pc.createAnswer()); return said(); }
async function take(sdp) { await pc.setRemoteDescription({ type: 'answer', sdp }); return true; }
async function received() { let n = 0;
  (await pc.getStats()).forEach(r => { if (r.type === 'inbound-rtp') n += r.packetsReceived; }); return n; }
</script>";

/// Measures one of two browsers that talk to each other with this speech.
pub(super) fn measure(speech: &Path, length: Duration) -> Result<Cost, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut caller = Browser::start(&runtime, speech)?;
    let mut callee = Browser::start(&runtime, speech)?;
    std::thread::sleep(SETTLING);
    let cores_idle = caller.cores(IDLE)?;
    let before_mb = caller.memory_mb();
    let offer = caller.evaluate(&runtime, "offer()")?;
    let answer = callee.evaluate(&runtime, &format!("answer({offer})"))?;
    caller.evaluate(&runtime, &format!("take({answer})"))?;
    std::thread::sleep(SETTLING);
    let received = |browser: &mut Browser| -> Result<f64, Failure> {
        let count = browser.evaluate(&runtime, "received()")?;
        count
            .as_f64()
            .ok_or_else(|| "Chromium counts no packets".into())
    };
    let count = received(&mut caller)?;
    let cores = caller.cores(length)?;
    let packets = received(&mut caller)? - count;
    // 50 a second; a call without sound would be cheap.
    if packets < length.as_secs_f64() * 45.0 {
        return Err(format!("Chromium received {packets} packets only").into());
    }
    Ok(Cost {
        cores,
        cores_idle,
        over_idle_mb: caller.memory_mb() - before_mb,
    })
}

struct Browser {
    child: Child,
    socket: WebSocketStream<TcpStream>,
    asked: u64,
    _folder: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes end with the first.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Browser {
    fn start(runtime: &Runtime, speech: &Path) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let page = folder.path().join("call.html");
        fs::write(&page, PAGE)?;
        let child = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--remote-debugging-port=0", "--remote-allow-origins=*"])
            .args([
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            ])
            .args(["--autoplay-policy=no-user-gesture-required"])
            .arg(format!(
                "--use-file-for-fake-audio-capture={}",
                speech.display()
            ))
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("data").display()
            ))
            .arg(format!("file://{}", page.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromium does not start: {error}"))?;
        let mut child = Some(child);
        let connected = connect(runtime, &folder.path().join("data/DevToolsActivePort"));
        match connected {
            Ok(socket) => Ok(Self {
                child: child.take().ok_or("started above")?,
                socket,
                asked: 0,
                _folder: folder,
            }),
            Err(failure) => {
                if let Some(mut child) = child {
                    let _ended = child.kill();
                    let _reaped = child.wait();
                }
                Err(failure)
            }
        }
    }

    /// What a script gives.
    fn evaluate(&mut self, runtime: &Runtime, script: &str) -> Result<Value, Failure> {
        self.asked += 1;
        let (id, socket) = (self.asked, &mut self.socket);
        let question = json!({ "id": id, "method": "Runtime.evaluate", "params": {
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true } });
        runtime.block_on(async {
            let answered = async {
                socket.send(Message::text(question.to_string())).await?;
                while let Some(message) = socket.next().await {
                    let value: Value = serde_json::from_str(message?.to_text()?)?;
                    if value["id"] == id {
                        let result = &value["result"];
                        return match result["exceptionDetails"].as_object() {
                            None => Ok(result["result"]["value"].clone()),
                            Some(details) => Err(format!("{script:.20}: {details:?}").into()),
                        };
                    }
                }
                Err("Chromium hung up".into())
            };
            tokio::time::timeout(PATIENCE, answered).await?
        })
    }

    /// Processor time of all its processes over this time, in shares of one core.
    fn cores(&self, time: Duration) -> Result<f64, Failure> {
        let ticks = || -> u64 {
            processes(self.child.id())
                .iter()
                .filter_map(|id| cpu(*id))
                .sum()
        };
        let (begun, before) = (now(), ticks());
        std::thread::sleep(time);
        let (elapsed, used) = (now() - begun, ticks().saturating_sub(before));
        if used == 0 && elapsed > SETTLING * 3 {
            return Err("the system tells no processor time of Chromium".into());
        }
        Ok(used as f64 / TICKS / elapsed.as_secs_f64())
    }

    fn memory_mb(&self) -> f64 {
        let own = |id: &u32| -> Option<f64> {
            let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().strip_suffix(" kB")?.trim().parse().ok()
        };
        let kilobytes: f64 = processes(self.child.id()).iter().filter_map(own).sum();
        kilobytes / 1_024.0
    }
}

/// Waits for the port to be written, and connects to the page's socket.
fn connect(runtime: &Runtime, port_file: &Path) -> Result<WebSocketStream<TcpStream>, Failure> {
    let deadline = now() + PATIENCE;
    loop {
        let port = fs::read_to_string(port_file).ok();
        let port = port.and_then(|text| text.lines().next()?.parse::<u16>().ok());
        let url = port.and_then(page_url);
        if let (Some(port), Some(url)) = (port, url) {
            return runtime.block_on(async {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                Ok(client_async(url, stream).await?.0)
            });
        }
        if now() > deadline {
            return Err("Chromium opens no debugging port".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The socket of the page, once there is one.
fn page_url(port: u16) -> Option<String> {
    let mut stream = StdStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let host = format!("127.0.0.1:{port}");
    write!(
        stream,
        "GET /json/list HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    // What came before a timeout is the answer, too.
    let _read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let pages: Vec<Value> = serde_json::from_str(body.trim()).ok()?;
    let page = pages
        .iter()
        .find(|page| page["type"] == "page" && page["title"] == "call")?;
    page["webSocketDebuggerUrl"].as_str().map(str::to_owned)
}

/// A process and all that it started.
fn processes(root: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32)> = ids
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(id, _)| *id),
        );
        at += 1;
    }
    found
}

/// User and system time of a process, in ticks.
fn cpu(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
