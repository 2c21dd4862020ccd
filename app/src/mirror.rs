//! `hullo mirror`: your own camera through the whole picture path, without a network: captured, encoded, sealed,
//! opened, decoded, drawn.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use hullo_media::device::DeviceError;
use hullo_media::frame::{EncodedFrame, Picture};
use hullo_media::pipeline::{FrameSink, VideoDecode, VideoEncode, VideoLimits};
use hullo_media::sink::Recorder;
use hullo_media::source::{CameraSpec, VideoSource, open_camera};
use hullo_proto::frame::{CallSecret, FrameContext, Opener, Sealer};
use ratatui::backend::CrosstermBackend;

use crate::call::media::{FRAME_RATE_MAX, Pictures};
use crate::call::sizes::VIDEO_BITRATE_MAX_BPS;
use crate::cli::Options;
use crate::config::Chosen;
use crate::effect::Effect;
use crate::event::{
    CallEvent, CallNumber, CallState, Contact, ContactId, Event, Media, Party, StopReason,
};
use crate::front::Front;
use crate::model::{Mode, Model};
use crate::program::{Failure, OTHER, random};
use crate::report::{Report, Summary, VideoSummary};
use crate::run::{Wake, wakes};
use crate::screen::{Out, PictureTerminal, Screen, reasons};
use crate::terminal::{self, Reply};
use crate::text;
use crate::update::update;
use crate::view::look::Look;

/// The one call there is: with oneself.
const MIRROR: CallNumber = CallNumber(0);

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

pub(crate) fn ciphers() -> Result<(Sealer, Opener), Failure> {
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
    chosen: Chosen,
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
        drop(picture_wake.try_send(Wake::Pictures(MIRROR)))
    });
    let (encode, decode) = through_the_path(source, recorder, pictures.clone())?;
    let signal_wake = wake.clone();
    terminal::spawn_signals(move |event| signal_wake.send(Wake::Event(event)).is_ok())
        .map_err(failed)?;
    let mut model = picture_of_oneself(chosen.now().look(variable));
    let screen = if on_screen {
        let entered = terminal::Entered::enter().map_err(failed)?;
        model.size = Some(crossterm::terminal::size().map_err(failed)?);
        let screen_wake = wake.clone();
        terminal::spawn_input(move |arrival| wake.send(arrival.into()).is_ok()).map_err(failed)?;
        let terminal = PictureTerminal::detect(variable).with(&chosen.now());
        let wake = move || drop(screen_wake.try_send(Wake::Screen));
        let screen = Screen::on_stdout(terminal, wake).map_err(failed)?;
        Some((screen, entered))
    } else {
        None
    };
    if !on_screen {
        let text = text::MIRROR_PLAIN.to_owned();
        lines
            .report(0, &Report::Notice { text })
            .map_err(|_| Failure::other("Nobody reads the output."))?;
    }
    let ends_at = options.seconds.map(|seconds| started + seconds);
    let mut glass = Glass {
        model,
        screen,
        pictures,
        inbox,
        started,
        ends_at,
        chosen,
        told_at_ms: 0,
    };
    let reason = glass.look(&encode)?;
    drop(glass);
    drop(quiet);
    let summary = summary(reason, &encode, &decode);
    let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let decoded = summary.video.decoded;
    lines
        .report(at_ms, &Report::Summary(Box::new(summary)))
        .map_err(|_| Failure::other("Nobody reads the output."))?;
    Ok(if decoded > 0 { 0 } else { OTHER })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn failed(error: std::io::Error) -> Failure {
    Failure::other(format!("The terminal cannot be used: {error}."))
}

/// Camera to pictures, with everything between but the network.
fn through_the_path(
    source: Box<dyn VideoSource>,
    recorder: Option<Recorder>,
    pictures: Pictures,
) -> Result<(VideoEncode, Arc<VideoDecode>), Failure> {
    let on_picture = Box::new(move |picture: Arc<Picture>, _at: Instant| pictures.put_far(picture));
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
    Ok((encode, decode))
}

/// What shows the pictures, if anything, and what ends the show.
struct Glass {
    model: Model,
    screen: Option<(Screen<CrosstermBackend<Out>>, terminal::Entered)>,
    pictures: Pictures,
    inbox: Receiver<Wake>,
    started: Instant,
    ends_at: Option<Instant>,
    chosen: Chosen,
    /// When the figures were last told.
    told_at_ms: u64,
}

impl Glass {
    /// Once a second: what the pictures come to, how they are drawn, and why so.
    fn tell_figures(&mut self, now_ms: u64) {
        let Some((screen, _)) = &mut self.screen else {
            return;
        };
        let Some(figures) = screen.figures().filter(|figures| figures.bytes > 0) else {
            return;
        };
        if now_ms < self.told_at_ms + FIGURES_EVERY_MS {
            return;
        }
        self.told_at_ms = now_ms;
        let ability = screen.ability();
        let colours = reasons::colours(self.chosen, ability, &variable);
        let has_halves_only = PictureTerminal::detect(variable).has_halves_only;
        let characters = reasons::characters(self.chosen, self.model.look, has_halves_only);
        self.model.figures_line = Some(reasons::line(figures, &colours, &characters));
        screen.mark_changed();
    }

    /// Draws until something ends it; says what.
    fn look(&mut self, encode: &VideoEncode) -> Result<&'static str, Failure> {
        loop {
            let now = Instant::now();
            if self.ends_at.is_some_and(|at| at <= now) {
                return Ok("seconds");
            }
            if let Some(error) = encode.failure() {
                return Err(error.into());
            }
            let now_ms = u64::try_from((now - self.started).as_millis()).unwrap_or(u64::MAX);
            self.model.set_now(now_ms);
            self.tell_figures(now_ms);
            if let Some((screen, _)) = &mut self.screen {
                if screen.is_gone() {
                    return Ok("quit");
                }
                screen.draw(&self.model).map_err(failed)?;
            }
            let left = |at: Instant| at.saturating_duration_since(now);
            let due_ms = self.screen.as_ref().and_then(|(screen, _)| screen.due_ms());
            let due = due_ms.map_or(TICK, |at| Duration::from_millis(at.saturating_sub(now_ms)));
            let wait = self.ends_at.map_or(TICK, left).min(TICK).min(due);
            let events = match self.inbox.recv_timeout(wait) {
                Ok(Wake::Event(event)) => vec![event],
                Ok(Wake::Pictures(_)) => {
                    self.pictures.taken();
                    let far = self.pictures.far.take();
                    vec![Event::Call(MIRROR, CallEvent::FarPicture(far))]
                }
                Ok(Wake::Terminal(Reply::Ground(ground), _)) => vec![Event::Ground {
                    is_light: crate::view::theme::is_light(ground),
                }],
                Ok(Wake::Terminal(reply, at)) => {
                    let look = self.model.look;
                    let screen = self.screen.as_mut();
                    screen.map_or(Vec::new(), |(screen, _)| {
                        screen.take_reply(&reply, at, look)
                    })
                }
                Ok(_) => continue,
                Err(_) => vec![Event::Tick],
            };
            let ends = |effect: &Effect| matches!(effect, Effect::Quit(_) | Effect::HangUp(_));
            for event in events {
                let stops = matches!(event, Event::Stop(StopReason::Signal));
                let effects = update(&mut self.model, event);
                if effects.contains(&Effect::MayStop) {
                    terminal::may_stop();
                }
                if effects.iter().any(ends) || stops {
                    return Ok("quit");
                }
            }
        }
    }
}

fn summary(reason: &str, encode: &VideoEncode, decode: &VideoDecode) -> Summary {
    let (captured, decoded) = (encode.counters(), decode.counters());
    Summary {
        reason: reason.to_owned(),
        video: VideoSummary {
            captured: captured.captured,
            sent: captured.encoded,
            received: decoded.received,
            decoded: decoded.decoded,
            freezes: decoded.freezes,
            width: decoded.width,
            height: decoded.height,
        },
        ..Summary::default()
    }
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
        blocked: false,
        lost: false,
        ready: true,
    };
    let started = CallEvent::Started {
        party: Party::Contact(contact),
        media: Media::Video,
    };
    model.settings.is_ip_warned = true;
    for event in [
        Event::Contacts(vec![yourself]),
        Event::Call(MIRROR, started),
        Event::Call(MIRROR, CallEvent::State(CallState::Connected)),
        Event::Call(
            MIRROR,
            CallEvent::Far {
                mic_muted: false,
                camera_on: true,
                on_hold: false,
            },
        ),
    ] {
        // Reports of a call that does not exist are nobody's business.
        let _ = update(&mut model, event);
    }
    model
}

/// The model's clock moves at least so often.
const TICK: Duration = Duration::from_millis(250);
/// The figures change so often: faster they cannot be read.
const FIGURES_EVERY_MS: u64 = 1_000;
