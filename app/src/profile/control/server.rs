//! Listening on a profile's control socket, on a thread of its own.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::{ControlError, ControlRequest, LINE_BYTES_MAX, REQUEST_TIME_MAX, socket_path};
use crate::profile::{Profile, make_folder};

/// Requests at once: commands typed by one person, and a few that wait.
const REQUESTS_MAX: usize = 32;
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

async fn listen(listener: UnixListener, on_request: Arc<OnRequest>) {
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a control connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let on_request = Arc::clone(&on_request);
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &*on_request).await {
                tracing::debug!(%error, "a control request failed");
            }
            drop(slot);
        });
    }
}

async fn answer(mut stream: UnixStream, on_request: &OnRequest) -> io::Result<()> {
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
