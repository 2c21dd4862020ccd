//! The devices and codec threads of the call of a group: one microphone, everybody's sound mixed, a decoder for each
//! picture that is watched, an encoder for each layer that anybody wants.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_media::clock;
use hullo_media::device::DeviceError;
use hullo_media::frame::{EncodedFrame, Picture};
use hullo_media::group_session::OwnTrack;
use hullo_media::jitter::{AudioFrame, TARGET_START};
use hullo_media::layers::{SOUND_BPS, everything_wanted, share};
use hullo_media::level::LEVEL_DB_MIN;
use hullo_media::mix::PersonSound;
use hullo_media::pipeline::{
    AudioEncode, AudioMix, LayersEncode, PictureOf, PicturesDecode, Published, VideoDecodeCounters,
};
use hullo_media::sink::{AudioSink, Nowhere, Recorder, VideoSink as _};
use hullo_media::source::{SpeakerSpec, VideoSource, card, open_camera};
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;
use hullo_proto::service::sfu::LayersWanted;

use super::queue::LayerQueue;
use crate::call::lease::Lease;
use crate::call::media::{CardTimes, FRAME_RATE_MAX, MediaSpecs, Opened, Pictures, Tee, numbered};
use crate::call::sound_watch::Heard;
use crate::event::Feed;
use crate::text;

/// What pictures may cost before the network was measured, bits per second.
const ESTIMATE_START_BPS: u64 = 600_000;
/// Readings of cards between two looks of the call's thread; more are dropped.
const CARD_TIMES_MAX: usize = 256;
/// People recorded at most, a file each: more than a disk and a reader can follow.
const RECORDERS_MAX: usize = 16;

enum Source {
    Off,
    Opening,
    On(LayersEncode),
}

/// Running devices and codecs.
pub struct GroupMedia {
    specs: MediaSpecs,
    queue: LayerQueue,
    pictures: Pictures,
    audio_encode: Option<AudioEncode>,
    /// `None` while on hold, if it plays to a device.
    mix: Option<AudioMix>,
    decode: PicturesDecode,
    camera: Source,
    screen: Source,
    captured_before: u64,
    wanted: LayersWanted,
    estimate_bps: u64,
    /// Given back last, when all devices are closed.
    lease: Option<Lease>,
}

impl GroupMedia {
    /// Starts the codec threads; `wants_keyframe` reaches the call's thread.
    pub fn start(
        specs: MediaSpecs,
        opened: Opened,
        queue: LayerQueue,
        pictures: Pictures,
        muted: bool,
        wants_keyframe: impl Fn(PictureOf) + Send + Sync + 'static,
    ) -> (Self, CardTimes) {
        let (card_sender, card_times) = crossbeam_channel::bounded(CARD_TIMES_MAX);
        let shown = pictures.clone();
        let mut recorders = Recorders::new(specs.record_video.clone());
        let on_picture = Box::new(move |of: PictureOf, picture: Arc<Picture>, _: Instant| {
            if let Some(card) = card::read_time_code(&picture) {
                // A full queue only loses a reading.
                let _ = card_sender.try_send((card, card::time_code(clock::unix_us())));
            }
            recorders.write(of, &picture);
            shown.put_person(of, picture);
        });
        let mut media = Self {
            audio_encode: None,
            mix: None,
            decode: PicturesDecode::start(on_picture, Box::new(wants_keyframe)),
            specs,
            queue,
            pictures,
            camera: Source::Off,
            screen: Source::Off,
            captured_before: 0,
            wanted: everything_wanted(),
            estimate_bps: ESTIMATE_START_BPS,
            lease: None,
        };
        media.resume(opened, muted);
        (media, card_times)
    }

    /// Goes on with devices opened anew.
    pub fn resume(&mut self, opened: Opened, muted: bool) {
        let queue = self.queue.clone();
        let encode = opened.mic.map(|mic| AudioEncode::start(mic, queue, muted));
        self.audio_encode = encode;
        if self.mix.is_none() {
            let speaker: Box<dyn AudioSink> = opened.speaker.unwrap_or_else(|| Box::new(Nowhere));
            self.mix = Some(AudioMix::start(speaker, TARGET_START));
        }
        self.lease = Some(opened.lease);
    }

    /// Closes the devices, so that another call can have them; files that are written stay open.
    pub fn release(&mut self) {
        self.audio_encode = None;
        self.close_source(Feed::Camera);
        self.close_source(Feed::Screen);
        if matches!(self.specs.speaker, None | Some(SpeakerSpec::Device(_))) {
            self.mix = None;
        }
        self.lease = None;
    }

    /// Whether the devices are this call's now.
    pub fn has_devices(&self) -> bool {
        self.lease.is_some()
    }

    /// Sound on or off.
    pub fn set_muted(&self, muted: bool) {
        if let Some(encode) = &self.audio_encode {
            encode.set_muted(muted);
        }
    }

    /// Opens camera or screen on a thread of its own, which may take a second.
    pub fn open_source(
        &mut self,
        feed: Feed,
        ready: impl FnOnce(Result<Option<Box<dyn VideoSource>>, DeviceError>) + Send + 'static,
    ) {
        *self.source(feed) = Source::Opening;
        let specs = self.specs.clone();
        crate::threads::detach("open-camera", move || {
            ready(match feed {
                Feed::Camera => specs.camera(),
                Feed::Screen => specs.screen.as_ref().map_or(Ok(None), open_camera),
            });
        });
    }

    /// Begins to send the pictures of what was opened, unless it was switched off meanwhile.
    pub fn start_source(&mut self, feed: Feed, source: Box<dyn VideoSource>) {
        if !matches!(self.source(feed), Source::Opening) {
            return;
        }
        let queue = self.queue.clone();
        let encode = match feed {
            Feed::Camera => {
                let pictures = self.pictures.clone();
                let tee = Box::new(Tee { source, pictures });
                LayersEncode::start(tee, Published::Camera, queue, true, FRAME_RATE_MAX)
            }
            Feed::Screen => {
                LayersEncode::start(source, Published::Screen, queue, true, FRAME_RATE_MAX)
            }
        };
        *self.source(feed) = Source::On(encode);
        self.apply_wanted();
    }

    /// Closes camera or screen.
    pub fn close_source(&mut self, feed: Feed) {
        if let Source::On(encode) = std::mem::replace(self.source(feed), Source::Off)
            && feed == Feed::Camera
        {
            self.captured_before += encode.counters().captured;
        }
        self.apply_wanted();
    }

    /// Whether camera or screen is on, or about to be.
    pub fn is_on(&self, feed: Feed) -> bool {
        let source = match feed {
            Feed::Camera => &self.camera,
            Feed::Screen => &self.screen,
        };
        !matches!(source, Source::Off)
    }

    /// Which of our pictures anybody wants.
    pub fn set_wanted(&mut self, wanted: LayersWanted) {
        self.wanted = wanted;
        self.apply_wanted();
    }

    /// What the network carries towards the server, bits per second.
    pub fn set_estimate(&mut self, bps: u64) {
        self.estimate_bps = bps;
        self.apply_wanted();
    }

    /// What sound and pictures may cost in all, bits per second, and the size of our largest picture, the camera's first.
    pub fn sending(&self) -> (u64, (u32, u32)) {
        let on = |source: &Source| match source {
            Source::On(encode) => Some(encode.counters().size),
            _ => None,
        };
        let budget = share(
            self.estimate_bps,
            self.is_on(Feed::Camera),
            self.is_on(Feed::Screen),
        );
        let pictures_bps = u64::from(budget.camera_bps) + u64::from(budget.screen_bps);
        let size = on(&self.camera).or_else(|| on(&self.screen));
        (SOUND_BPS + pictures_bps, size.unwrap_or_default())
    }

    /// The next picture of this stream must be a key frame.
    pub fn request_keyframe(&self, track: OwnTrack) {
        let source = match track {
            OwnTrack::Microphone => return,
            OwnTrack::Camera(_) => &self.camera,
            OwnTrack::Screen => &self.screen,
        };
        if let Source::On(encode) = source {
            encode.request_keyframe(track);
        }
    }

    /// Tells the encoder how much of what we send is lost, 0..=1.
    pub fn set_loss(&self, loss: f32) {
        if let Some(encode) = &self.audio_encode {
            // Within 0..=100 by the clamp; a fraction of a per cent is noise.
            encode.set_loss_percent((loss.clamp(0.0, 1.0) * 100.0) as u8);
        }
    }

    /// Sound of somebody, opened.
    pub fn play(&self, participant: ParticipantId, frame: AudioFrame) {
        if let Some(mix) = &self.mix {
            mix.push(participant, frame);
        }
    }

    /// A picture of somebody, opened; false: frames before it are missing.
    pub fn show(&self, of: PictureOf, frame: EncodedFrame, contiguous: bool) {
        self.decode.push(of, frame, contiguous);
    }

    /// This picture is watched no more.
    pub fn forget_picture(&self, of: PictureOf) {
        self.decode.forget(of);
    }

    /// Somebody is gone.
    pub fn forget(&self, participant: ParticipantId) {
        if let Some(mix) = &self.mix {
            mix.remove(participant);
        }
        for track in [Track::Camera, Track::Screen] {
            self.decode.forget((participant, track));
        }
    }

    /// How loud a participant is, or (`None`) everybody together; 1 is as sent.
    pub fn set_volume(&self, participant: Option<ParticipantId>, volume: f32) {
        match (&self.mix, participant) {
            (Some(mix), Some(participant)) => mix.set_volume(participant, volume),
            (Some(mix), None) => mix.set_volume_of_all(volume),
            (None, _) => {}
        }
    }

    /// The delay that somebody's sound must have at least, for pictures that come later.
    pub fn set_sound_wait(&self, participant: ParticipantId, wait: Duration) {
        if let Some(mix) = &self.mix {
            mix.set_wait(participant, wait);
        }
    }

    /// Everybody's sound.
    pub fn sounds(&self) -> Vec<PersonSound> {
        self.mix.as_ref().map_or_else(Vec::new, AudioMix::people)
    }

    /// Every picture that is watched.
    pub fn watched(&self) -> BTreeMap<PictureOf, VideoDecodeCounters> {
        self.decode.counters()
    }

    /// Pictures that the camera delivered.
    pub fn captured(&self) -> u64 {
        let running = match &self.camera {
            Source::On(encode) => encode.counters().captured,
            _ => 0,
        };
        self.captured_before + running
    }

    /// How loud it is on both sides, and what became of the devices since the last look.
    pub fn heard(&self) -> Heard {
        let (encode, mix) = (self.audio_encode.as_ref(), self.mix.as_ref());
        Heard {
            mic_db: encode.map_or(LEVEL_DB_MIN, AudioEncode::level_db),
            speaker_db: mix.map_or(LEVEL_DB_MIN, AudioMix::take_peak_db),
            // One that was not wanted is as little there as one that is away.
            mic_gone: encode.map_or(self.has_devices(), AudioEncode::is_gone),
            speaker_gone: self.specs.speaker == Some(SpeakerSpec::None)
                || mix.is_some_and(AudioMix::is_gone),
            speaks_muted: encode.is_some_and(AudioEncode::speaks_muted),
            news: (encode.and_then(AudioEncode::news).into_iter())
                .chain(mix.and_then(AudioMix::news))
                .collect(),
        }
    }

    /// What broke since the last look, in sentences.
    pub fn failures(&self) -> Vec<String> {
        let of = |source: &Source| match source {
            Source::On(encode) => encode.failure(),
            _ => None,
        };
        [
            self.audio_encode.as_ref().and_then(AudioEncode::failure),
            self.mix.as_ref().and_then(AudioMix::failure),
            of(&self.camera),
            of(&self.screen),
        ]
        .into_iter()
        .flatten()
        .map(|error| crate::people::sentence(&error.to_string()))
        .collect()
    }

    fn source(&mut self, feed: Feed) -> &mut Source {
        match feed {
            Feed::Camera => &mut self.camera,
            Feed::Screen => &mut self.screen,
        }
    }

    fn apply_wanted(&self) {
        let (camera_on, screen_on) = (self.is_on(Feed::Camera), self.is_on(Feed::Screen));
        let budget = share(self.estimate_bps, camera_on, screen_on);
        if let Source::On(camera) = &self.camera {
            camera.set_wanted(self.wanted, budget.camera_bps);
        }
        if let Source::On(screen) = &self.screen {
            screen.set_wanted(self.wanted, budget.screen_bps);
        }
    }
}

/// Why a source does not begin, in words.
pub fn no_source(feed: Feed) -> String {
    match feed {
        Feed::Camera => text::NO_CAMERA_HERE.to_owned(),
        Feed::Screen => text::NO_SCREEN_NAMED.to_owned(),
    }
}

/// Files of what is seen: one for the camera of each person, made with its first picture.
struct Recorders {
    path: Option<PathBuf>,
    files: BTreeMap<ParticipantId, Option<Recorder>>,
}

impl Recorders {
    fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            files: BTreeMap::new(),
        }
    }

    fn write(&mut self, (participant, track): PictureOf, picture: &Arc<Picture>) {
        let Some(path) = self.path.as_ref().filter(|_| track == Track::Camera) else {
            return;
        };
        if self.files.len() >= RECORDERS_MAX && !self.files.contains_key(&participant) {
            return;
        }
        let create = || {
            let path = numbered(path, participant.number().into());
            Recorder::create(&path)
                .inspect_err(|error| tracing::warn!(%error, "nothing is recorded"))
                .ok()
        };
        let file = self.files.entry(participant).or_insert_with(create);
        if let Some(Err(error)) = file.as_mut().map(|recorder| recorder.write(picture)) {
            tracing::warn!(%error, "the recording ended");
            *file = None;
        }
    }
}
