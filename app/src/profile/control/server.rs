//! Listening on a profile's control socket, on a thread of its own.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::{ControlError, ControlRequest, LINE_BYTES_MAX, REQUEST_TIME_MAX, socket_path};
use crate::profile::{Profile, make_folder};

/// Requests at once: commands typed by one person, and a few that wait.
const REQUESTS_MAX: usize = 32;
/// Whoever has connected has its request ready. Who sends none within this makes way when all of the above are taken.
const SILENCE_TIME_MAX: Duration = Duration::from_millis(100);
/// A task that was ended gives its room back within this.
const CLOSE_TIME: Duration = Duration::from_millis(1);
/// When no connection can be taken, for want of files mostly, it is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Answer lines on their way to one asker: the longest history fits; fuller means that it does not read.
const ANSWERS_MAX: usize = 512;

/// A listening socket; dropping it ends the thread and removes the socket.
pub struct ControlServer {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Answers one request. The asker sees the end when this is dropped.
#[derive(Clone)]
pub struct Responder {
    lines: mpsc::Sender<String>,
}

impl Responder {
    /// One line of the answer. False: the asker is gone, or reads too slowly; no more is worth sending.
    pub fn send(&self, line: &Value) -> bool {
        self.lines.try_send(line.to_string()).is_ok()
    }
}

type OnRequest = dyn Fn(ControlRequest, Responder) + Send + Sync;

impl ControlServer {
    /// Listens. `on_request` runs on the socket's thread: it must pass on and return.
    ///
    /// # Errors
    /// [`ControlError::PathTooLong`], [`ControlError::Socket`].
    pub fn start(
        profile: &Profile,
        on_request: impl Fn(ControlRequest, Responder) + Send + Sync + 'static,
    ) -> Result<Self, ControlError> {
        let path = socket_path(profile.folder())?;
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        // The profile's lock is ours: what lies there was left by a program that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(&path)?
        };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = listen(listener, Arc::new(on_request)) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            path,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the control thread panicked");
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A connection that has not sent a whole request.
struct Idle {
    number: u64,
    since: Instant,
    task: AbortHandle,
}

/// Those there are, the oldest first; all on one thread.
#[derive(Clone, Default)]
struct Idles(Arc<Mutex<VecDeque<Idle>>>);

impl Idles {
    fn locked(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has sent its request, or is gone.
    fn forget(&self, number: u64) {
        self.locked().retain(|idle| idle.number != number);
    }

    /// Closes the oldest if it had its time; otherwise how long it still has. `None`: there is none.
    fn close_oldest(&self) -> Option<Duration> {
        let mut idles = self.locked();
        let left = SILENCE_TIME_MAX.saturating_sub(idles.front()?.since.elapsed());
        if left.is_zero()
            && let Some(oldest) = idles.pop_front()
        {
            oldest.task.abort();
        }
        Some(left)
    }
}

async fn listen(listener: UnixListener, on_request: Arc<OnRequest>) {
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    let idles = Idles::default();
    for number in 0.. {
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "a control connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        let slot = free_slot(&slots, &idles).await;
        let (on_request, known) = (Arc::clone(&on_request), idles.clone());
        let task = tokio::spawn(async move {
            let heard = || known.forget(number);
            if let Err(error) = answer(stream, &*on_request, heard).await {
                tracing::debug!(%error, "a control request failed");
            }
            known.forget(number);
            drop(slot);
        });
        idles.locked().push_back(Idle {
            number,
            since: Instant::now(),
            task: task.abort_handle(),
        });
    }
}

/// Room for one more: whoever came and says nothing makes way, the oldest first.
async fn free_slot(slots: &Arc<Semaphore>, idles: &Idles) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Some(slot);
        }
        // Those that are being answered may take as long as they do: a follower stays.
        let left = idles.close_oldest().unwrap_or(SILENCE_TIME_MAX);
        let freed = Arc::clone(slots).acquire_owned();
        match timeout(left.max(CLOSE_TIME), freed).await {
            Ok(slot) => return slot.ok(),
            Err(_late) => {}
        }
    }
}

/// `heard`: called when the request is there, or will not come.
async fn answer(
    mut stream: UnixStream,
    on_request: &OnRequest,
    heard: impl Fn(),
) -> io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        return stream
            .write_all(
                b"{\"event\":\"error\",\"message\":\"this profile belongs to another user\"}\n",
            )
            .await;
    }
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader).take(LINE_BYTES_MAX as u64 + 1);
    let mut line = Vec::new();
    let read = timeout(REQUEST_TIME_MAX, reader.read_until(b'\n', &mut line)).await;
    heard();
    if !matches!(read, Ok(Ok(_))) {
        return Ok(());
    }
    let Some(request) = parse(&line) else {
        let words = b"{\"event\":\"error\",\"message\":\"a request is one line of JSON with a command, at most 64 KiB\"}\n";
        return writer.write_all(words).await;
    };
    let (lines, mut answers) = mpsc::channel(ANSWERS_MAX);
    on_request(request, Responder { lines });
    while let Some(mut line) = answers.recv().await {
        line.push('\n');
        match timeout(REQUEST_TIME_MAX, writer.write_all(line.as_bytes())).await {
            Ok(written) => written?,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn parse(line: &[u8]) -> Option<ControlRequest> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let body: Value = serde_json::from_slice(line).ok()?;
    let command = body.get("command")?.as_str()?.to_owned();
    Some(ControlRequest { command, body })
}
