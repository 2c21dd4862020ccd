//! What the `call` thread does with the engine's events: devices, figures, and news for the model.

use std::time::{Duration, Instant};

use hullo_media::device::DeviceError;
use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::AudioFrame;
use hullo_media::session::{SendBudget, SessionStats, Track};
use hullo_media::source::VideoSource;
use hullo_proto::call::{CallState as MachineState, EndReason, Media};
use hullo_proto::frame::FrameKind;

use super::super::diagnose::diagnose;
use super::super::engine::Event;
use super::super::frames::FrameQueue;
use super::super::latency::Latency;
use super::super::lease::Devices;
use super::super::media::{CallMedia, CardTimes, MediaSpecs, Opened, Pictures, open_in_background};
use super::super::side::SideState;
use super::super::sound_watch::SoundWatch;
use super::{Command, Commands, DriverEvent};
use crate::event::{CallEvent, CallState};
use crate::report::{AudioSummary, Stats, Summary};

mod figures;
mod hearing;

/// Everything of the call that is not the engine.
pub(super) struct Dispatch {
    pub(super) own: SideState,
    pub(super) queue: FrameQueue,
    pub(super) stop_reason: Option<&'static str>,
    specs: MediaSpecs,
    pictures: Pictures,
    devices: Devices,
    commands: Commands,
    on_event: Box<dyn Fn(DriverEvent) + Send>,
    media: Option<(CallMedia, CardTimes)>,
    opening: bool,
    /// How loud the other side is.
    volume: f32,
    latency: Latency,
    sound_watch: SoundWatch,
    far: SideState,
    times: Times,
    reason: &'static str,
    video_was_broken: bool,
    sound: Option<AudioSummary>,
    /// What came before the devices were open.
    early_budget: Option<SendBudget>,
    is_thin: bool,
    overrun: u64,
    hearing: hearing::Hearing,
    /// Which parts of making a connection failed, told with the end that they caused.
    troubles: Vec<String>,
}

/// Troubles told at the end: more than these say nothing new.
const TROUBLES_MAX: usize = 4;

#[derive(Default)]
struct Times {
    accepted: Option<Instant>,
    connected: Option<Instant>,
    first_audio: Option<Instant>,
    first_sound: Option<Instant>,
    first_picture: Option<Instant>,
    ended: Option<Instant>,
    /// Of sound and pictures: when the last frame came, and whether an interruption followed it.
    last: [(Option<Instant>, bool); 2],
}

impl Dispatch {
    pub(super) fn new(
        _now: Instant,
        specs: MediaSpecs,
        (pictures, devices): (Pictures, Devices),
        own: SideState,
        queue: FrameQueue,
        commands: Commands,
        on_event: Box<dyn Fn(DriverEvent) + Send>,
    ) -> Self {
        Self {
            own,
            queue,
            stop_reason: None,
            specs,
            pictures,
            devices,
            commands,
            on_event,
            media: None,
            opening: false,
            volume: 1.0,
            latency: Latency::default(),
            sound_watch: SoundWatch::default(),
            far: SideState::default(),
            times: Times::default(),
            reason: "lost",
            video_was_broken: false,
            sound: None,
            early_budget: None,
            is_thin: false,
            overrun: 0,
            hearing: hearing::Hearing::default(),
            troubles: Vec::new(),
        }
    }

    pub(super) fn tell(&self, event: DriverEvent) {
        (self.on_event)(event);
    }

    fn call(&self, event: CallEvent) {
        self.tell(DriverEvent::Call(event));
    }

    /// The call is over and its last words have had time to leave.
    pub(super) fn is_over(&self, now: Instant, farewell: Duration) -> bool {
        self.times.ended.is_some_and(|at| now >= at + farewell)
    }

    /// How long the thread may sleep.
    pub(super) fn wait_max(&self, idle: Duration) -> Duration {
        if self.times.ended.is_some() {
            Duration::from_millis(20)
        } else if self.media.is_some() {
            self.sound_watch.wait_max()
        } else {
            idle
        }
    }

    pub(super) fn accepted(&mut self, media: Media) {
        self.own.camera = media == Media::Video;
    }

    /// Applies a switch. True when the far side must be told.
    pub(super) fn switch(&mut self, command: Command) -> bool {
        let before = self.own;
        match command {
            Command::Muted(muted) => self.mute(muted),
            Command::CameraOn(on) => self.own.camera = on,
            Command::Camera(camera) => self.take_camera(camera),
            Command::Devices => {}
            Command::Slow => return true,
            Command::Hold(hold) => self.hold(hold),
            Command::Want(size) => self.own.want = size,
            Command::Volume(volume) => self.volume = volume,
            Command::Opened(opened) => self.take_devices(*opened),
            _ => return false,
        }
        self.apply_own();
        self.own != before
    }

    fn take_devices(&mut self, opened: Opened) {
        self.opening = false;
        for notice in &opened.notices {
            self.call(CallEvent::Notice(notice.clone()));
        }
        // Put on hold while they were being opened: they go to whichever call wants them.
        if self.times.ended.is_some() || self.own.hold {
            return;
        }
        match &mut self.media {
            Some((media, _)) => media.resume(opened, self.own.muted),
            None => {
                let commands = self.commands.clone();
                let wants_keyframe = move || commands.send(Command::WantKeyframe);
                self.media = Some(CallMedia::start(
                    self.specs.clone(),
                    opened,
                    self.queue.clone(),
                    self.pictures.clone(),
                    self.own.muted,
                    wants_keyframe,
                ));
                // What the far side wants may have been said before there was a camera.
                if let Some((media, _)) = &mut self.media {
                    media.set_size_max(self.far.want);
                }
            }
        }
        if let Some(budget) = self.early_budget.take() {
            self.budget(budget);
        }
    }

    /// On hold the devices are closed, for they belong to the call one is in; afterwards they are opened again.
    fn hold(&mut self, hold: bool) {
        if std::mem::replace(&mut self.own.hold, hold) == hold {
            return;
        }
        if let Some((media, _)) = &mut self.media
            && hold
        {
            media.release();
        }
        if !hold && self.times.accepted.is_some() && self.times.ended.is_none() {
            self.open_devices();
        }
        if self.media.is_none() {
            self.tell_own();
        }
    }

    fn take_camera(&mut self, camera: Result<Option<Box<dyn VideoSource>>, DeviceError>) {
        let Some((media, _)) = &mut self.media else {
            return;
        };
        let words = match camera {
            Ok(Some(camera)) => return media.start_camera(camera),
            Ok(None) => "There is no camera here; you send sound only.".to_owned(),
            Err(error) => format!("The camera stays off: {error}."),
        };
        media.close_camera();
        self.own.camera = false;
        self.call(CallEvent::Notice(words));
    }

    /// Brings the devices in line with what we say we send.
    fn apply_own(&mut self) {
        let Some((media, _)) = &mut self.media else {
            return;
        };
        media.set_muted(self.own.muted || self.own.hold);
        media.set_volume(self.volume);
        // Pictures taken before they can leave are taken for nothing.
        let wanted = self.own.camera
            && !self.own.hold
            && self.times.connected.is_some()
            && media.has_devices();
        if !wanted {
            media.close_camera();
        } else if !media.is_camera_on() {
            let commands = self.commands.clone();
            media.open_camera(move |camera| commands.send(Command::Camera(camera)));
        }
        self.tell_own();
        if !self.own.camera || self.own.hold {
            self.call(CallEvent::OwnPicture(None));
        }
    }

    fn tell_own(&self) {
        self.call(CallEvent::Own {
            mic_muted: self.own.muted,
            camera_on: self.own.camera,
            on_hold: self.own.hold,
        });
    }

    fn audio(&mut self, now: Instant, frame: AudioFrame) {
        if self.times.first_audio.is_none() {
            self.times.first_audio = Some(now);
            self.call(CallEvent::FirstMedia {
                kind: "audio",
                received: true,
            });
        }
        self.came(now, 0, "audio");
        if let Some((media, _)) = &self.media
            && !self.own.hold
        {
            media.play(frame);
            if self.times.first_sound.is_none() && media.audio_summary().played_ms > 0 {
                self.times.first_sound = Some(now);
            }
        }
    }

    fn video(&mut self, now: Instant, frame: EncodedFrame) {
        if self.times.first_picture.is_none() && frame.kind == FrameKind::VideoKey {
            self.times.first_picture = Some(now);
            self.call(CallEvent::FirstMedia {
                kind: "video",
                received: true,
            });
        }
        self.came(now, 1, "video");
        if let Some((media, _)) = &self.media
            && !self.own.hold
        {
            media.show(frame);
        }
    }

    /// A frame of a kind came; tells how long none did when an interruption was told.
    fn came(&mut self, now: Instant, which: usize, kind: &'static str) {
        let (last, was_interrupted) =
            std::mem::replace(&mut self.times.last[which], (Some(now), false));
        if let Some(last) = last.filter(|_| was_interrupted) {
            let gap = now.saturating_duration_since(last);
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            self.tell(DriverEvent::MediaAgain(kind, gap_ms));
        }
    }

    pub(super) fn event(&mut self, now: Instant, event: Event) {
        self.check_queue();
        match event {
            Event::State(state) => self.state(now, &state),
            Event::Interrupted => {
                for (_, was_interrupted) in &mut self.times.last {
                    *was_interrupted = true;
                }
                self.call(CallEvent::State(CallState::Reconnecting));
            }
            Event::Resumed => self.connected_again(),
            Event::Step { words, is_trouble } => {
                if is_trouble {
                    self.trouble(&words);
                } else {
                    self.step(&words);
                }
            }
            Event::Audio(frame) => self.audio(now, frame),
            Event::Video(frame) => self.video(now, frame),
            Event::SoundWait(wait) => self.sound_wait(wait),
            Event::FirstSent(track) => {
                let kind = if track == Track::Audio {
                    "audio"
                } else {
                    "video"
                };
                self.call(CallEvent::FirstMedia {
                    kind,
                    received: false,
                });
            }
            Event::KeyframeWanted => {
                if let Some((media, _)) = &self.media {
                    media.request_keyframe();
                }
            }
            Event::Budget(budget) => self.budget(budget),
            Event::PicturesWait(waits) => {
                if let Some((media, _)) = &mut self.media {
                    media.set_waits(waits);
                }
            }
            Event::Sound(settings) => {
                // Without devices there is no sound to send yet; the policy says it again when anything changes.
                if let Some((media, _)) = &mut self.media {
                    media.set_sound(settings);
                }
            }
            Event::Far(far) => self.far(far),
            Event::Stats(stats, undecryptable) => self.stats(&stats, undecryptable),
        }
    }

    /// How the connection is being made or repaired.
    pub(super) fn step(&self, words: &str) {
        let (words, is_trouble) = (words.to_owned(), false);
        self.call(CallEvent::Step { words, is_trouble });
    }

    /// A part of making or repairing the connection failed.
    pub(super) fn trouble(&mut self, words: &str) {
        if self.troubles.iter().all(|known| known != words) && self.troubles.len() < TROUBLES_MAX {
            self.troubles.push(words.to_owned());
        }
        let (words, is_trouble) = (words.to_owned(), true);
        self.call(CallEvent::Step { words, is_trouble });
    }

    fn connected_again(&mut self) {
        self.troubles.clear();
        self.call(CallEvent::State(CallState::Connected));
    }

    /// Why the call is over; for an end that the network caused, with the steps that failed.
    fn end_words(&self, reason: &EndReason) -> String {
        let words = reason.to_string();
        let is_networks = match reason {
            EndReason::Lost | EndReason::FailedToConnect => true,
            // The other side was sooner to give up.
            EndReason::FarHungUp => self.times.connected.is_none(),
            _ => false,
        };
        if !is_networks || self.troubles.is_empty() {
            return words;
        }
        let troubles = self.troubles.iter();
        let troubles: Vec<String> = troubles
            .map(|words| crate::people::sentence(words))
            .collect();
        format!("{words} {}", troubles.join(" "))
    }

    fn check_queue(&mut self) {
        let broken = self.queue.is_video_broken();
        if broken
            && !self.video_was_broken
            && let Some((media, _)) = &self.media
        {
            media.request_keyframe();
        }
        self.video_was_broken = broken;
    }

    fn state(&mut self, now: Instant, state: &MachineState) {
        let state = match state {
            MachineState::Inviting => CallState::Inviting,
            MachineState::Ringing => CallState::Ringing,
            MachineState::Connecting => {
                self.times.accepted.get_or_insert(now);
                self.open_devices();
                CallState::Connecting
            }
            MachineState::Connected => {
                self.times.connected.get_or_insert(now);
                self.commands.send(Command::Devices);
                CallState::Connected
            }
            MachineState::Ended(reason) => {
                self.times.ended.get_or_insert(now);
                if let Some((media, _)) = &mut self.media {
                    media.close_camera();
                    media.set_muted(true);
                    // What is made up after the end, because nothing comes any more, is no fault of the call.
                    self.sound = Some(media.audio_summary());
                }
                self.reason = self.stop_reason.unwrap_or(reason.as_str());
                let words = self.end_words(reason);
                let duration = self
                    .times
                    .connected
                    .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
                CallState::Ended {
                    reason: self.reason,
                    words,
                    duration,
                }
            }
        };
        self.call(CallEvent::State(state));
    }

    fn open_devices(&mut self) {
        if !self.own.hold && !std::mem::replace(&mut self.opening, true) {
            let commands = self.commands.clone();
            let is_first = self.media.is_none();
            open_in_background(
                self.specs.clone(),
                self.devices.clone(),
                is_first,
                move |opened| commands.send(Command::Opened(Box::new(opened))),
            );
        }
    }

    fn far(&mut self, far: SideState) {
        if let Some((media, _)) = &mut self.media {
            media.set_size_max(far.want);
        }
        let switches = |state: SideState| (state.muted, state.camera, state.hold);
        if switches(far) != switches(self.far) || !far.camera {
            self.call(CallEvent::Far {
                mic_muted: far.muted,
                camera_on: far.camera,
                on_hold: far.hold,
            });
        }
        if far.thin && !self.far.thin {
            self.call(CallEvent::Notice(
                crate::text::FAR_PICTURES_PAUSED.to_owned(),
            ));
        }
        if !far.camera || far.hold || far.thin {
            // What was not drawn yet must not be drawn later.
            let _ = self.pictures.far.take();
            self.call(CallEvent::FarPicture(None));
        }
        self.far = far;
    }

    fn stats(&mut self, stats: &SessionStats, undecryptable: u64) {
        self.read_cards();
        if let Some((media, _)) = &self.media {
            for words in media.failures() {
                self.call(CallEvent::Notice(words));
            }
        }
        let (sound, pictures) = self
            .media
            .as_ref()
            .map(|(media, _)| (media.audio_summary(), media.video_summary()))
            .unwrap_or_default();
        let mut report = figures::report(stats, undecryptable);
        report.received.width = pictures.width;
        report.received.height = pictures.height;
        report.received.freezes = pictures.freezes;
        report.received.concealed_ms = sound.concealed_ms;
        self.hear_figures(stats, &mut report);
        report.far_paused = self.far.thin;
        report.far_slow = self.far.slow;
        self.watch_pictures(stats, &mut report);
        report.words = diagnose(&report);
        self.call(CallEvent::Stats(Box::new(report)));
    }

    /// What may be sent changed.
    fn budget(&mut self, budget: SendBudget) {
        let Some((media, _)) = &mut self.media else {
            self.early_budget = Some(budget);
            return;
        };
        media.set_bitrate(budget.pictures_bps);
        let is_thin = budget.is_thin();
        if std::mem::replace(&mut self.is_thin, is_thin) != is_thin && self.own.camera {
            let words = crate::text::pictures_paused(is_thin.then_some(budget.line_bps));
            self.call(CallEvent::Notice(words));
        }
    }

    /// Whether our pictures suffer from the line, and whether we are too slow for the far side's.
    fn watch_pictures(&mut self, stats: &SessionStats, report: &mut Stats) {
        let Some((media, _)) = &self.media else {
            return;
        };
        report.received.freeze_ms = media.decoding().freeze_ms;
        (report.sent.width, report.sent.height) = media.encoding().size;
        if self.own.camera && !self.own.hold {
            let is_paused = stats
                .budget
                .is_some_and(|budget| budget.pictures_bps.is_none());
            report.pictures = Some(match (is_paused, media.is_reduced()) {
                (true, _) => "paused",
                (false, true) => "reduced",
                (false, false) => "full",
            });
        }
        let overrun = media.decoding().overrun;
        report.slow = overrun > std::mem::replace(&mut self.overrun, overrun);
        if self.own.slow != report.slow {
            self.own.slow = report.slow;
            self.commands.send(Command::Slow);
        }
    }

    fn read_cards(&mut self) {
        if let Some((_, card_times)) = &self.media {
            while let Ok((card, now)) = card_times.try_recv() {
                self.latency.note(card, now);
            }
        }
    }

    /// Closes the devices and tells the whole call in one object.
    pub(super) fn finish(mut self, undecryptable: u64, (audio_sent, video_sent): (u64, u64)) {
        self.read_cards();
        let elapsed =
            |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut summary = Summary {
            reason: self.reason.to_owned(),
            setup_ms: elapsed(self.times.accepted, self.times.first_sound).map(millis),
            duration_ms: elapsed(self.times.connected, self.times.ended).map_or(0, millis),
            undecryptable,
            latency_ms: self.latency.percentiles(),
            lip_sync_ms: self.hearing.lip_sync.take(),
            ..Summary::default()
        };
        if let Some((media, _)) = self.media.take() {
            summary.audio = self.sound.take().unwrap_or_else(|| media.audio_summary());
            summary.video = media.video_summary();
        }
        summary.audio.sent = audio_sent;
        summary.video.sent = video_sent;
        self.tell(DriverEvent::Finished(Box::new(summary)));
    }
}
