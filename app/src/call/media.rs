//! The devices and codec threads of one call.
//!
//! Opened off the `call` thread (a sound server may take its time) once the call is accepted, closed when it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hullo_media::clock;
use hullo_media::device::DeviceError;
use hullo_media::follow::DeviceChoice;
use hullo_media::frame::{EncodedFrame, Picture};
use hullo_media::jitter::{AudioFrame, TARGET_START};
use hullo_media::pipeline::{
    AudioDecode, AudioEncode, DECODERS_MAX, PictureOf, VideoDecode, VideoDecodeCounters,
    VideoEncode, VideoEncodeCounters, VideoLimits,
};
use hullo_media::process::ProcessSwitch;
use hullo_media::sink::{AudioSink, Nowhere, Recorder, open_speaker};
use hullo_media::slot::Slot;
use hullo_media::sound_policy::SoundSettings;
use hullo_media::source::{
    AudioSource, CameraSpec, CaptureTime, MicSpec, SpeakerSpec, VideoSource, card, open_camera,
    open_mic,
};

mod sound;

use super::frames::FrameQueue;
use super::lease::{Devices, Lease};
use super::open_sound::open_sound;
use super::sizes::{SOURCE, Step, worth_sending};
use crate::report::{AudioSummary, VideoSummary};

/// Pictures per second that leave at most; a terminal shows no more.
pub const FRAME_RATE_MAX: u32 = 30;
/// Where the encoder starts before the network was measured, bits per second.
const VIDEO_BITRATE_START_BPS: u32 = 450_000;

/// Which devices a call uses. `None`: the default device, or nothing where there is none.
#[derive(Clone, Debug, Default)]
pub struct MediaSpecs {
    /// Pictures in.
    pub camera: Option<CameraSpec>,
    /// Sound in.
    pub mic: Option<MicSpec>,
    /// Sound out.
    pub speaker: Option<SpeakerSpec>,
    /// Decoded pictures of the far side go here.
    pub record_video: Option<PathBuf>,
    /// What is shown as our screen in the call of a group; nothing when absent.
    pub screen: Option<CameraSpec>,
    /// Pictures of others are neither drawn nor kept nor counted for a program: none are asked for.
    pub nobody_looks: bool,
    /// What is done to the sound of the microphone; may change at any time.
    pub process: ProcessSwitch,
    /// Which microphone is meant where `mic` is a device; may change at any time.
    pub mic_choice: DeviceChoice,
    /// Which loudspeaker is meant where `speaker` is a device; may change at any time.
    pub speaker_choice: DeviceChoice,
}

impl MediaSpecs {
    /// Tries what was named explicitly, so that a wrong name is told before anyone's phone rings.
    ///
    /// # Errors
    /// The user's or the machine's: what cannot be opened, and what to do.
    pub fn check(&self, video: bool) -> Result<(), DeviceError> {
        if let Some(camera) = self.camera.as_ref().filter(|_| video) {
            open_camera(camera)?;
        }
        if let Some(mic) = &self.mic {
            open_mic(mic)?;
        }
        if let Some(speaker @ SpeakerSpec::Device(_)) = &self.speaker {
            open_speaker(speaker)?;
        }
        Ok(())
    }

    /// The same for a call beside another: what is written goes to files of its own, `name-NUMBER.y4m`.
    #[must_use]
    pub fn beside(&self, number: u64) -> Self {
        let mut specs = self.clone();
        specs.record_video = (specs.record_video.as_deref()).map(|path| numbered(path, number));
        if let Some(SpeakerSpec::File(path)) = &mut specs.speaker {
            *path = numbered(path, number);
        }
        specs
    }

    /// No microphone by the user's own choice, for as long as the call lasts.
    pub(crate) fn has_no_mic(&self) -> bool {
        self.mic == Some(MicSpec::None)
    }

    pub(crate) fn camera(&self) -> Result<Option<Box<dyn VideoSource>>, DeviceError> {
        open_camera(self.camera.as_ref().unwrap_or(&CameraSpec::Device(None)))
    }
}

/// `name-NUMBER.ext`.
pub(crate) fn numbered(path: &std::path::Path, number: u64) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Newest pictures of those in the call of a group.
type Gallery = BTreeMap<PictureOf, Arc<Picture>>;

/// Where pictures go for drawing; newest wins.
#[derive(Clone)]
pub struct Pictures {
    /// The far side's.
    pub far: Slot<Arc<Picture>>,
    /// Our own.
    pub own: Slot<Arc<Picture>>,
    people: Arc<Mutex<Gallery>>,
    /// False: nobody draws, so none are put there.
    pub drawn: bool,
    /// Called after a picture was put, at most once until [`Pictures::taken`].
    notify: Arc<dyn Fn() + Send + Sync>,
    pending: Arc<AtomicBool>,
}

impl Pictures {
    /// Empty slots; `notify` wakes whoever draws.
    pub fn new(drawn: bool, notify: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            far: Slot::new(),
            own: Slot::new(),
            people: Arc::default(),
            drawn,
            notify: Arc::new(notify),
            pending: Arc::default(),
        }
    }

    /// The drawing side says that it takes the pictures now.
    pub fn taken(&self) {
        self.pending.store(false, Ordering::Release);
    }

    /// Puts a picture of somebody in the call of a group. As many as are decoded at once have room.
    pub fn put_person(&self, of: PictureOf, picture: Arc<Picture>) {
        if self.drawn {
            let mut people = self.people();
            if people.len() < DECODERS_MAX || people.contains_key(&of) {
                people.insert(of, picture);
            }
            drop(people);
            self.wake();
        }
    }

    /// Takes the newest pictures of those in the call of a group.
    pub fn take_people(&self) -> BTreeMap<PictureOf, Arc<Picture>> {
        std::mem::take(&mut *self.people())
    }

    /// The pictures are whole whenever the lock is free, also after a panic elsewhere.
    fn people(&self) -> MutexGuard<'_, Gallery> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a picture of the far side.
    pub fn put_far(&self, picture: Arc<Picture>) {
        self.put(&self.far, picture);
    }

    fn put(&self, slot: &Slot<Arc<Picture>>, picture: Arc<Picture>) {
        if self.drawn {
            slot.put(picture);
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            (self.notify)();
        }
    }
}

/// What opening the devices gave.
pub struct Opened {
    pub(crate) lease: Lease,
    pub(crate) mic: Option<Box<dyn AudioSource>>,
    pub(crate) speaker: Option<Box<dyn AudioSink>>,
    recorder: Option<Recorder>,
    /// Sentences for the user about what could not be opened.
    pub notices: Vec<String>,
}

/// Opens sound and, the first time, recording on a thread of its own and hands them to the `call` thread. Waits there
/// until another call has closed them.
pub fn open_in_background(
    specs: MediaSpecs,
    devices: Devices,
    is_first: bool,
    ready: impl FnOnce(Opened) + Send + 'static,
) {
    crate::threads::detach("open-devices", move || {
        let lease = devices.lease();
        ready(open(&specs, lease, is_first));
    });
}

fn open(specs: &MediaSpecs, lease: Lease, is_first: bool) -> Opened {
    let mut notices = Vec::new();
    let mut note = |what: &str, error: DeviceError| notices.push(format!("{what}: {error}"));
    let sound = open_sound(specs, is_first);
    if let Some(error) = sound.mic_error {
        note("No microphone, you are not heard", error);
    }
    if let Some(error) = sound.speaker_error {
        note("No speaker, you hear nothing", error);
    }
    let recorder = specs
        .record_video
        .as_ref()
        .filter(|_| is_first)
        .and_then(|path| match Recorder::create(path) {
            Ok(recorder) => Some(recorder),
            Err(error) => {
                note("Nothing is recorded", error);
                None
            }
        });
    Opened {
        lease,
        mic: sound.mic,
        speaker: sound.speaker,
        recorder,
        notices,
    }
}

enum Camera {
    Off,
    Opening,
    On(VideoEncode),
}

/// Running devices and codecs.
pub struct CallMedia {
    specs: MediaSpecs,
    queue: FrameQueue,
    pictures: Pictures,
    audio_encode: Option<AudioEncode>,
    camera: Camera,
    /// `None` while on hold, if it plays to a device.
    audio_decode: Option<AudioDecode>,
    video_decode: VideoDecode,
    /// Sound of earlier times off hold.
    sound_before: AudioSummary,
    captured_before: u64,
    bitrate_bps: u32,
    sound: SoundSettings,
    /// What the far side can show.
    limits: Step,
    /// The same as far as the line carries it.
    carried: Step,
    /// Nothing is encoded: the line carries no pictures at all; pictures wait to be sent.
    paused: (bool, bool),
    /// Given back last, when all devices are closed.
    lease: Option<Lease>,
}

/// What a decoded picture's card said, for the latency figure: its clock and ours, in 0.1 ms.
pub type CardTimes = crossbeam_channel::Receiver<(u32, u32)>;

/// Readings between two looks of the `call` thread; more are dropped.
const CARD_TIMES_MAX: usize = 256;

impl CallMedia {
    /// Starts the codec threads. `commands` reaches the `call` thread.
    pub fn start(
        specs: MediaSpecs,
        opened: Opened,
        queue: FrameQueue,
        pictures: Pictures,
        muted: bool,
        wants_keyframe: impl Fn() + Send + 'static,
    ) -> (Self, CardTimes) {
        let (card_sender, card_times) = crossbeam_channel::bounded(CARD_TIMES_MAX);
        let far = pictures.clone();
        let on_picture = Box::new(move |picture: Arc<Picture>, _decoded_at: Instant| {
            if let Some(card) = card::read_time_code(&picture) {
                // A full queue only loses a reading.
                let _ = card_sender.try_send((card, card::time_code(clock::unix_us())));
            }
            far.put(&far.far, picture);
        });
        let speaker = opened.speaker.unwrap_or_else(|| Box::new(Nowhere));
        let media = Self {
            audio_encode: opened
                .mic
                .map(|mic| AudioEncode::start(mic, queue.clone(), muted)),
            camera: Camera::Off,
            audio_decode: Some(AudioDecode::start(speaker, TARGET_START)),
            sound_before: AudioSummary::default(),
            video_decode: VideoDecode::start(opened.recorder, on_picture, Box::new(wants_keyframe)),
            specs,
            queue,
            pictures,
            captured_before: 0,
            bitrate_bps: VIDEO_BITRATE_START_BPS,
            sound: SoundSettings::default(),
            limits: SOURCE,
            carried: SOURCE.carried_by(VIDEO_BITRATE_START_BPS, None),
            paused: (false, false),
            lease: Some(opened.lease),
        };
        (media, card_times)
    }

    /// Closes the devices, so that another call can have them; files that are written stay open.
    pub fn release(&mut self) {
        self.audio_encode = None;
        self.close_camera();
        if matches!(self.specs.speaker, None | Some(SpeakerSpec::Device(_))) {
            self.sound_before = self.audio_summary();
            self.audio_decode = None;
        }
        self.lease = None;
    }

    /// Whether the devices are this call's now.
    pub fn has_devices(&self) -> bool {
        self.lease.is_some()
    }

    /// Goes on with devices opened anew.
    pub fn resume(&mut self, opened: Opened, muted: bool) {
        let queue = self.queue.clone();
        let encode = opened.mic.map(|mic| AudioEncode::start(mic, queue, muted));
        self.audio_encode = encode;
        self.set_sound(self.sound);
        if self.audio_decode.is_none() {
            let speaker = opened.speaker.unwrap_or_else(|| Box::new(Nowhere));
            self.audio_decode = Some(AudioDecode::start(speaker, TARGET_START));
        }
        self.lease = Some(opened.lease);
    }

    /// Sound on or off.
    pub fn set_muted(&self, muted: bool) {
        if let Some(encode) = &self.audio_encode {
            encode.set_muted(muted);
        }
    }

    /// How loud the other side is; 1 is as sent.
    pub fn set_volume(&self, volume: f32) {
        if let Some(decode) = &self.audio_decode {
            decode.set_volume(volume);
        }
    }

    /// Opens the camera on a thread of its own, which may take a second.
    pub fn open_camera(
        &mut self,
        ready: impl FnOnce(Result<Option<Box<dyn VideoSource>>, DeviceError>) + Send + 'static,
    ) {
        self.camera = Camera::Opening;
        let specs = self.specs.clone();
        crate::threads::detach("open-camera", move || ready(specs.camera()));
    }

    /// Begins to send the pictures of the camera that was opened, unless it was switched off meanwhile.
    pub fn start_camera(&mut self, camera: Box<dyn VideoSource>) {
        if !matches!(self.camera, Camera::Opening) {
            return;
        }
        let source = Box::new(Tee {
            source: camera,
            pictures: self.pictures.clone(),
        });
        let encode = VideoEncode::start(source, self.queue.clone(), true, self.video_limits());
        encode.set_bitrate(self.bitrate_bps);
        encode.set_waits(self.paused != (false, false));
        self.camera = Camera::On(encode);
    }

    /// Closes the camera's device.
    pub fn close_camera(&mut self) {
        if let Camera::On(encode) = std::mem::replace(&mut self.camera, Camera::Off) {
            self.captured_before += encode.counters().captured;
        }
    }

    /// Whether the camera is on, or about to be.
    pub fn is_camera_on(&self) -> bool {
        !matches!(self.camera, Camera::Off)
    }

    /// Tells the encoder how to send sound; it is told again when the microphone is opened anew.
    pub fn set_sound(&mut self, settings: SoundSettings) {
        self.sound = settings;
        if let Some(encode) = &self.audio_encode {
            encode.set_sound(settings);
        }
    }

    /// What broke since the last look, in sentences.
    pub fn failures(&self) -> Vec<String> {
        let camera = match &self.camera {
            Camera::On(encode) => encode.failure(),
            _ => None,
        };
        let mic = self.audio_encode.as_ref().and_then(AudioEncode::failure);
        [
            mic,
            self.audio_decode.as_ref().and_then(AudioDecode::failure),
            camera,
            self.video_decode.failure(),
        ]
        .into_iter()
        .flatten()
        .map(|error| crate::people::sentence(&error.to_string()))
        .collect()
    }

    /// What pictures may cost, bits per second; `None`: the line carries none.
    pub fn set_bitrate(&mut self, bps: Option<u32>) {
        self.set_paused((bps.is_none(), self.paused.1));
        let Some(bps) = bps else { return };
        self.bitrate_bps = bps;
        if let Camera::On(encode) = &self.camera {
            encode.set_bitrate(bps);
        }
        self.choose_size();
    }

    /// True: pictures wait too long to be sent, and none is encoded.
    pub fn set_waits(&mut self, waits: bool) {
        self.set_paused((self.paused.0, waits));
    }

    fn set_paused(&mut self, paused: (bool, bool)) {
        self.paused = paused;
        if let Camera::On(encode) = &self.camera {
            encode.set_waits(paused != (false, false));
        }
    }

    /// The largest picture the far side can show; `None`: it shows none, and none is encoded.
    pub fn set_size_max(&mut self, size: Option<(u32, u32)>) {
        self.limits = size.map_or_else(Step::default, worth_sending);
        self.choose_size();
    }

    /// Each change of size begins with a key frame, so it has some inertia.
    fn choose_size(&mut self) {
        let carried = (self.limits).carried_by(self.bitrate_bps, Some(self.carried));
        if carried != self.carried {
            self.carried = carried;
            if let Camera::On(encode) = &self.camera {
                encode.set_limits(self.video_limits());
            }
        }
    }

    /// The next picture must be a key frame.
    pub fn request_keyframe(&self) {
        if let Camera::On(encode) = &self.camera {
            encode.request_keyframe();
        }
    }

    /// Sound of the far side, sealed no more.
    pub fn play(&self, frame: AudioFrame) {
        if let Some(decode) = &self.audio_decode {
            decode.push(frame);
        }
    }

    /// A picture of the far side.
    pub fn show(&self, frame: EncodedFrame) {
        self.video_decode.push(frame);
    }

    /// Sound so far: `sent` is not known here.
    pub fn audio_summary(&self) -> AudioSummary {
        let before = &self.sound_before;
        let Some(decode) = &self.audio_decode else {
            return before.clone();
        };
        let counters = decode.counters();
        AudioSummary {
            sent: 0,
            received: before.received + counters.received,
            concealed_ms: before.concealed_ms + counters.concealed_ms,
            played_ms: before.played_ms + counters.played_ms,
        }
    }

    /// Whether pictures are smaller or coarser than the far side could show, because the line carries no more.
    pub fn is_reduced(&self) -> bool {
        self.carried != self.limits || self.bitrate_bps < self.limits.bitrate_bps / 4
    }

    /// What came of the far side's pictures.
    pub fn decoding(&self) -> VideoDecodeCounters {
        self.video_decode.counters()
    }

    /// What became of our pictures since the camera was switched on.
    pub fn encoding(&self) -> VideoEncodeCounters {
        match &self.camera {
            Camera::On(encode) => encode.counters(),
            _ => VideoEncodeCounters::default(),
        }
    }

    /// Pictures so far: `sent` is not known here.
    pub fn video_summary(&self) -> VideoSummary {
        let counters = self.video_decode.counters();
        let captured = self.captured_before + self.encoding().captured;
        VideoSummary {
            captured,
            sent: 0,
            received: counters.received,
            decoded: counters.decoded,
            freezes: counters.freezes,
            width: counters.width,
            height: counters.height,
        }
    }

    fn video_limits(&self) -> VideoLimits {
        VideoLimits {
            width_max: self.carried.width,
            height_max: self.carried.height,
            bitrate_bps: self.carried.bitrate_bps,
            fps_max: FRAME_RATE_MAX,
        }
    }
}

/// A camera whose pictures are also shown here.
pub(crate) struct Tee {
    pub(crate) source: Box<dyn VideoSource>,
    pub(crate) pictures: Pictures,
}

impl VideoSource for Tee {
    fn size(&self) -> (u32, u32) {
        self.source.size()
    }

    fn interval(&self) -> Option<Duration> {
        self.source.interval()
    }

    fn read(&mut self, at: CaptureTime) -> Result<Arc<Picture>, DeviceError> {
        let picture = self.source.read(at)?;
        self.pictures.put(&self.pictures.own, Arc::clone(&picture));
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_beside_another_writes_files_of_its_own() {
        let specs = MediaSpecs {
            speaker: Some(SpeakerSpec::File("out/a.b.wav".into())),
            record_video: Some("seen.y4m".into()),
            ..MediaSpecs::default()
        };
        let beside = specs.beside(3);
        let speaker = SpeakerSpec::File("out/a.b-3.wav".into());
        assert_eq!(beside.speaker, Some(speaker));
        assert_eq!(beside.record_video, Some("seen-3.y4m".into()));
    }
}
