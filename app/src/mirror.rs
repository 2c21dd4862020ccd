//! `hullo mirror`: your own camera through the whole picture path, without a network: captured, encoded, sealed,
//! opened, decoded, drawn.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hullo_media::device::DeviceError;
use hullo_media::frame::{EncodedFrame, Picture};
use hullo_media::pipeline::{FrameSink, VideoDecode, VideoEncode, VideoLimits};
use hullo_media::sink::Recorder;
use hullo_media::source::{CameraSpec, open_camera};
use hullo_proto::frame::{CallSecret, FrameContext, Opener, Sealer};

use crate::call::media::{FRAME_RATE_MAX, Pictures, VIDEO_BITRATE_MAX_BPS};
use crate::cli::Options;
use crate::effect::Effect;
use crate::event::{CallEvent, CallState, Contact, ContactId, Direction, Event, Media, StopReason};
use crate::front::Front;
use crate::model::{Mode, Model};
use crate::program::{Failure, OTHER, random};
use crate::report::{Report, Summary, VideoSummary};
use crate::run::{Wake, wakes};
use crate::screen::Screen;
use crate::terminal;
use crate::update::update;
use crate::view::look::Look;

/// The whole picture path in one place.
struct Path {
    sealer: Mutex<(Sealer, Opener)>,
    decode: Arc<VideoDecode>,
}

impl FrameSink for Path {
    fn push(&self, frame: EncodedFrame) {
        let mut ciphers = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let (sealer, opener) = &mut *ciphers;
        let opened = sealer
            .seal(frame.kind, &frame.data)
            .ok()
            .and_then(|sealed| opener.open(sealed.as_bytes()).ok());
        if let Some(opened) = opened {
            self.decode.push(EncodedFrame {
                kind: opened.kind,
                data: opened.frame,
                captured_at: frame.captured_at,
            });
        }
    }
}

fn ciphers() -> Result<(Sealer, Opener), Failure> {
    use rand_chacha::rand_core::Rng as _;
    let mut bytes = [0; 32];
    random()?.fill_bytes(&mut bytes);
    let secret = CallSecret::from_bytes(bytes)
        .map_err(|_| Failure::other("The system gives no randomness."))?;
    let (own_public, peer_public) = ([1; 32], [2; 32]);
    let context = FrameContext {
        secret: &secret,
        call_id: [0; 16],
        own_public,
        peer_public,
    };
    let back = FrameContext {
        own_public: peer_public,
        peer_public: own_public,
        ..context
    };
    Ok((Sealer::new(context, "1"), Opener::new(back, "1")))
}

/// Shows the mirror until the user, a signal or `--seconds` ends it.
///
/// # Errors
/// [`Failure`]: no camera, no terminal.
pub fn run(
    options: &Options,
    on_screen: bool,
    look: Look,
    lines: &mut dyn Front,
) -> Result<u8, Failure> {
    let started = Instant::now();
    let quiet = hullo_media::quiet::redirect_stderr(None).ok();
    let spec = options.camera.clone().unwrap_or(CameraSpec::Device(None));
    let source = open_camera(&spec)?.ok_or(DeviceError::NoDevice {
        what: "camera",
        option: "--camera test",
    })?;
    let recorder = options
        .record_video
        .as_ref()
        .map(|path| Recorder::create(path))
        .transpose()?;
    let (wake, inbox) = wakes();
    let picture_wake = wake.clone();
    let pictures = Pictures::new(on_screen, move || {
        drop(picture_wake.try_send(Wake::Pictures))
    });
    let shown = pictures.clone();
    let on_picture = Box::new(move |picture: Arc<Picture>, _at: Instant| shown.put_far(picture));
    let decode = Arc::new(VideoDecode::start(recorder, on_picture, Box::new(|| {})));
    let path = Path {
        sealer: Mutex::new(ciphers()?),
        decode: Arc::clone(&decode),
    };
    let limits = VideoLimits {
        width_max: u32::MAX,
        height_max: u32::MAX,
        bitrate_bps: VIDEO_BITRATE_MAX_BPS,
        fps_max: FRAME_RATE_MAX,
    };
    let encode = VideoEncode::start(source, path, true, limits);
    encode.set_bitrate(VIDEO_BITRATE_MAX_BPS);
    let signal_wake = wake.clone();
    let failed =
        |error: std::io::Error| Failure::other(format!("The terminal cannot be used: {error}."));
    terminal::spawn_signals(move |event| signal_wake.send(Wake::Event(event)).is_ok())
        .map_err(failed)?;
    let mut model = picture_of_oneself(look);
    let mut screen = None;
    if on_screen {
        let entered = terminal::Entered::enter().map_err(failed)?;
        model.size = Some(crossterm::terminal::size().map_err(failed)?);
        terminal::spawn_input(move |event| wake.send(Wake::Event(event)).is_ok())
            .map_err(failed)?;
        screen = Some((Screen::on_stdout().map_err(failed)?, entered));
    }
    let ends_at = options.seconds.map(|seconds| started + seconds);
    let reason = loop {
        let now = Instant::now();
        if ends_at.is_some_and(|at| at <= now) {
            break "seconds";
        }
        if let Some(error) = encode.failure() {
            return Err(error.into());
        }
        model.set_now(u64::try_from((now - started).as_millis()).unwrap_or(u64::MAX));
        if let Some((screen, _)) = &mut screen {
            screen.draw(&model).map_err(failed)?;
        }
        let wait = ends_at
            .map_or(TICK, |at| at.saturating_duration_since(now))
            .min(TICK);
        let event = match inbox.recv_timeout(wait) {
            Ok(Wake::Event(event)) => event,
            Ok(Wake::Pictures) => {
                pictures.taken();
                Event::Call(CallEvent::FarPicture(pictures.far.take()))
            }
            Ok(_) => continue,
            Err(_) => Event::Tick,
        };
        let stops = matches!(event, Event::Stop(StopReason::Signal));
        let effects = update(&mut model, event);
        if stops
            || effects
                .iter()
                .any(|effect| matches!(effect, Effect::Quit(_) | Effect::HangUp))
        {
            break "quit";
        }
    };
    drop(screen);
    drop(quiet);
    let (captured, decoded) = (encode.counters(), decode.counters());
    let video = VideoSummary {
        captured: captured.captured,
        sent: captured.encoded,
        received: decoded.received,
        decoded: decoded.decoded,
        freezes: decoded.freezes,
        width: decoded.width,
        height: decoded.height,
    };
    let summary = Summary {
        reason: reason.to_owned(),
        video,
        ..Summary::default()
    };
    let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    lines
        .report(at_ms, &Report::Summary(Box::new(summary)))
        .map_err(|_| Failure::other("Nobody reads the output."))?;
    Ok(if decoded.decoded > 0 { 0 } else { OTHER })
}

/// A call with oneself, as far as the screen is concerned.
pub(crate) fn picture_of_oneself(look: Look) -> Model {
    let mut model = Model::new(Mode::Mirror, look);
    let contact = ContactId(0);
    let yourself = Contact {
        id: contact,
        name: "your camera".to_owned(),
        short_id: String::new(),
        verified: true,
        ready: true,
    };
    let started = CallEvent::Started {
        contact,
        direction: Direction::Outgoing,
        media: Media::Video,
    };
    model.is_ip_warned = true;
    for event in [
        Event::Contacts(vec![yourself]),
        Event::Call(started),
        Event::Call(CallEvent::State(CallState::Connected)),
        Event::Call(CallEvent::Far {
            mic_muted: false,
            camera_on: true,
        }),
    ] {
        // Reports of a call that does not exist are nobody's business.
        let _ = update(&mut model, event);
    }
    model
}

/// The model's clock moves at least so often.
const TICK: Duration = Duration::from_millis(250);
