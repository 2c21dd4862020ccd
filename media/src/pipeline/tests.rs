//! The threads for real, with the test card and tone, against bounded waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};

use super::*;
use crate::clock;
use crate::codec::{AudioDecoder, AudioEncoder, VideoEncoder, h264, opus};
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME, Block, FrameKind, Picture};
use crate::jitter::{AudioBuffer, AudioFrame, JitterBuffer, Pull};
use crate::sink::wav::WavSink;
use crate::sink::{AudioSink, Recorder};
use crate::source::card::{TestCard, TestTone, read_time_code, time_code};
use crate::source::y4m::Y4mSource;
use crate::source::{AudioSource, CaptureTime, VideoSource};

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: VideoLimits = VideoLimits {
    width_max: 640,
    height_max: 360,
    bitrate_bps: 600_000,
    fps_max: 30,
};

fn frames(sender: crossbeam_channel::Sender<EncodedFrame>) -> impl FrameSink {
    move |frame| sender.send(frame).unwrap_or(())
}

fn next(frames: &Receiver<EncodedFrame>) -> EncodedFrame {
    frames.recv_timeout(PATIENCE).expect("a frame in time")
}

#[test]
fn pictures_go_from_the_card_to_the_screen_and_the_file_with_their_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("far.y4m");
    let recorder = Recorder::create(&path).expect("writable");
    let (shown, pictures) = unbounded();
    let on_picture =
        move |picture: Arc<Picture>, _at| shown.send((picture, clock::unix_us())).unwrap_or(());
    let decode = VideoDecode::start(Some(recorder), Box::new(on_picture), Box::new(|| ()));
    let decode = Arc::new(decode);
    let pushed = Arc::clone(&decode);
    let encode = VideoEncode::start(
        Box::new(TestCard::new()),
        move |frame| pushed.push(frame),
        true,
        LIMITS,
    );
    for _ in 0..20 {
        let (picture, at_us) = pictures.recv_timeout(PATIENCE).expect("a picture in time");
        let age = time_code(at_us).wrapping_sub(read_time_code(&picture).expect("a readable time"));
        assert!(age < 20_000, "{} ms from camera to screen", age / 10);
    }
    let preview = encode.preview().peek().expect("a preview").1;
    assert_eq!(preview.size(), (640, 360));
    drop(encode);
    let counters = decode.counters();
    assert_eq!(
        (counters.width, counters.height, counters.keyframe_requests),
        (640, 360, 0)
    );
    assert!(
        counters.decoded >= 20 && counters.received >= counters.decoded,
        "{counters:?}"
    );
    drop(Arc::into_inner(decode).expect("the encoder let go of it"));
    let mut recorded = Y4mSource::open(&path).expect("a valid recording");
    let first = recorded
        .read(CaptureTime {
            elapsed: Duration::ZERO,
            clock_us: 0,
        })
        .expect("a picture");
    assert!(read_time_code(&first).is_some());
}

#[test]
fn hiding_stops_the_camera_and_showing_begins_with_a_key_frame() {
    let (sender, received) = unbounded();
    let encode = VideoEncode::start(Box::new(TestCard::new()), frames(sender), false, LIMITS);
    assert_eq!(encode.counters(), VideoEncodeCounters::default());
    for _ in 0..2 {
        encode.set_enabled(true);
        assert_eq!(next(&received).kind, FrameKind::VideoKey);
        assert_eq!(next(&received).kind, FrameKind::VideoDelta);
        encode.set_enabled(false);
        // One frame may be on its way; after that there is nothing to wait for.
        while received.recv_timeout(Duration::from_millis(150)).is_ok() {}
        assert!(
            encode.preview().peek().is_none(),
            "the own picture goes with the camera"
        );
        let captured = encode.counters().captured;
        assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
        assert_eq!(encode.counters().captured, captured);
    }
}

#[test]
fn the_far_side_decides_on_size_and_key_frames() {
    let (sender, received) = unbounded();
    let encode = VideoEncode::start(Box::new(TestCard::new()), frames(sender), true, LIMITS);
    assert_eq!(next(&received).kind, FrameKind::VideoKey);
    encode.request_keyframe();
    while next(&received).kind == FrameKind::VideoDelta {}
    encode.set_limits(VideoLimits {
        width_max: 320,
        height_max: 320,
        ..LIMITS
    });
    let key =
        std::iter::repeat_with(|| next(&received)).find(|frame| frame.kind == FrameKind::VideoKey);
    let mut decoder = h264::Decoder::new().expect("starts");
    let picture =
        crate::codec::VideoDecoder::decode(&mut decoder, &key.expect("an endless search").data);
    assert_eq!(
        picture.expect("decodes").expect("a picture").size(),
        (320, 180)
    );
}

#[test]
fn nothing_is_encoded_for_a_picture_that_nobody_looks_at() {
    let (sender, received) = unbounded();
    let nobody = VideoLimits {
        width_max: 0,
        height_max: 0,
        ..LIMITS
    };
    let encode = VideoEncode::start(Box::new(TestCard::new()), frames(sender), true, nobody);
    let is_silent = || received.recv_timeout(Duration::from_millis(10)).is_err();
    while encode.counters().captured < 5 {
        assert!(is_silent());
    }
    assert_eq!(encode.counters().encoded, 0);
    assert!(encode.preview().peek().is_some(), "the own picture stays");
    encode.set_limits(LIMITS);
    assert_eq!(next(&received).kind, FrameKind::VideoKey);
    encode.set_limits(nobody);
    // One frame may be on its way.
    while received.recv_timeout(Duration::from_millis(150)).is_ok() {}
    let (encoded, captured) = (encode.counters().encoded, encode.counters().captured);
    while encode.counters().captured < captured + 3 {
        assert!(is_silent());
    }
    assert_eq!(encode.counters().encoded, encoded);
    encode.set_limits(LIMITS);
    assert_eq!(
        next(&received).kind,
        FrameKind::VideoKey,
        "whoever looks again begins anew"
    );
}

#[test]
fn muting_lets_one_faded_block_out_and_nothing_more() {
    let (sender, received) = unbounded();
    let encode = AudioEncode::start(Box::new(Loud), frames(sender), false);
    let mut decoder = opus::Decoder::new().expect("starts");
    let mut sound = Vec::new();
    for _ in 0..10 {
        decoder
            .decode(&next(&received).data, &mut sound)
            .expect("decodes");
    }
    let before = encode.captured_blocks() + received.len() as u64;
    encode.set_muted(true);
    while let Ok(frame) = received.recv_timeout(Duration::from_millis(200)) {
        decoder.decode(&frame.data, &mut sound).expect("decodes");
    }
    let peak = |samples: &[f32]| {
        samples
            .iter()
            .fold(0.0f32, |peak, sample| peak.max(sample.abs()))
    };
    assert!(peak(&sound[4_800..6_000]) > 0.2, "it was loud before");
    assert!(
        peak(&sound[sound.len() - 96..]) < 0.03,
        "and ends softly: {}",
        peak(&sound[sound.len() - 96..])
    );
    assert!(
        encode.captured_blocks() > before,
        "the microphone goes on being read"
    );
    encode.set_muted(false);
    assert_eq!(next(&received).kind, FrameKind::Audio);
}

#[test]
fn muting_is_silence_at_the_far_side_and_not_a_loss() {
    let mut encoder = opus::Encoder::new().expect("starts");
    let decoder = opus::Decoder::new().expect("starts");
    let mut buffer = JitterBuffer::new(Box::new(decoder), Duration::from_millis(40));
    let (mut now, mut fader) = (clock::now(), fade::Fader::new(false));
    let mut silent = 0;
    for seq in 0..60u64 {
        let elapsed = BLOCK_TIME * seq as u32;
        let mut block = [0.0; BLOCK_SAMPLES];
        Loud.read(
            CaptureTime {
                elapsed,
                clock_us: 0,
            },
            &mut block,
        )
        .expect("a tone");
        if fader.apply(&mut block, seq >= 40) {
            let data = AudioEncoder::encode(&mut encoder, &block).expect("encodes");
            buffer.push(
                now,
                AudioFrame {
                    seq,
                    media_time_samples: seq * 960,
                    data,
                    is_copy: false,
                },
            );
        }
        silent += u32::from(buffer.pull(now) == Pull::Silence);
        now += BLOCK_TIME;
    }
    // Two blocks of delay, then blocks 0 to 40, then nothing.
    assert_eq!((buffer.stats().concealed_ms, silent), (0, 60 - 41));
}

/// A steady tone.
struct Loud;

impl AudioSource for Loud {
    fn is_device(&self) -> bool {
        false
    }

    fn read(&mut self, at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        let start = at.elapsed.as_micros() as usize * 48 / 1000;
        for (index, sample) in block.iter_mut().enumerate() {
            *sample =
                0.5 * (std::f32::consts::TAU * 500.0 * (start + index) as f32 / 48_000.0).sin();
        }
        Ok(())
    }
}

#[test]
fn the_tone_reaches_the_file_whole_and_in_real_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("far.wav");
    let sink = WavSink::create(&path).expect("writable");
    let decode = Arc::new(AudioDecode::start(
        Box::new(sink),
        Duration::from_millis(40),
    ));
    let (pushed, seq) = (Arc::clone(&decode), AtomicU64::new(0));
    let (sent, counted) = unbounded();
    let sink = move |frame: EncodedFrame| {
        let seq = seq.fetch_add(1, Relaxed);
        pushed.push(AudioFrame {
            seq,
            media_time_samples: seq * 960,
            data: frame.data,
            is_copy: false,
        });
        sent.send(frame.captured_at).unwrap_or(());
    };
    let began = clock::now();
    let encode = AudioEncode::start(Box::new(TestTone), sink, false);
    let captured: Vec<Instant> = (0..75)
        .map(|_| counted.recv_timeout(PATIENCE).expect("a packet in time"))
        .collect();
    assert!(
        began.elapsed() >= Duration::from_millis(74 * 20),
        "a file is played at its own pace"
    );
    let gaps = captured.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.clone().all(|gap| gap.as_micros() % 20_000 == 0),
        "{:?}",
        gaps.collect::<Vec<_>>()
    );
    drop(encode);
    drop(Arc::into_inner(decode).expect("the encoder let go of it"));
    let mut reader = hound::WavReader::open(&path).expect("a valid file");
    let samples: Vec<i16> = reader
        .samples()
        .map(|sample| sample.expect("a sample"))
        .collect();
    assert!(
        samples.len() >= 60 * BLOCK_SAMPLES,
        "{} samples",
        samples.len()
    );
    // A second and a half holds at least one whole beep of 50 ms.
    let loud = samples
        .iter()
        .filter(|sample| sample.unsigned_abs() > 3_000)
        .count();
    assert!((1_500..7_000).contains(&loud), "{loud} loud samples");
}

#[test]
fn a_loudspeaker_that_fails_is_reported_and_the_counting_goes_on() {
    struct Broken;
    impl AudioSink for Broken {
        fn is_device(&self) -> bool {
            true
        }
        fn write(&mut self, _block: &Block) -> Result<(), DeviceError> {
            Err(DeviceError::Gone { what: "speaker" })
        }
    }
    let decode = AudioDecode::start(Box::new(Broken), Duration::from_millis(20));
    let mut encoder = opus::Encoder::new().expect("starts");
    let data = AudioEncoder::encode(&mut encoder, &[0.1; BLOCK_SAMPLES]).expect("encodes");
    let deadline = clock::now() + PATIENCE;
    let mut seq = 0;
    while decode.counters().played_ms < 100 {
        assert!(clock::now() < deadline, "{:?}", decode.counters());
        decode.push(AudioFrame {
            seq,
            media_time_samples: seq * BLOCK_SAMPLES as u64,
            data: data.clone(),
            is_copy: false,
        });
        seq += 1;
        // As packets come, a little faster: a flood would keep the other thread from the buffer.
        std::thread::sleep(Duration::from_millis(15));
    }
    assert!(matches!(
        decode.failure(),
        Some(DeviceError::Gone { what: "speaker" })
    ));
}

#[test]
fn a_screen_that_stands_still_costs_frames_up_to_the_next_key_frame_and_no_more() {
    let (release, gate) = bounded::<()>(0);
    let (shown, pictures) = unbounded();
    let (asked, requests) = unbounded();
    let on_picture = move |_picture, at: Instant| {
        shown.send(at).unwrap_or(());
        let _ = gate.recv();
    };
    let wants_keyframe = move || asked.send(()).unwrap_or(());
    let decode = VideoDecode::start(None, Box::new(on_picture), Box::new(wants_keyframe));
    let mut encoder = h264::Encoder::new(600_000, 30);
    let start = clock::now();
    let mut card = TestCard::new();
    let mut frame = |index: u32, encoder: &mut h264::Encoder| {
        let elapsed = Duration::from_secs(1) * index / 30;
        let picture = card
            .picture(CaptureTime {
                elapsed,
                clock_us: 0,
            })
            .expect("a card");
        encoder.encode(&picture, start + elapsed).expect("encodes")
    };
    for index in 0..60 {
        frame(index, &mut encoder)
            .into_iter()
            .for_each(|frame| decode.push(frame));
    }
    drop(release);
    // What fitted the queue is shown; the rest hangs on the next key frame.
    let mut last = pictures.recv_timeout(PATIENCE).expect("a first picture");
    let mut index = 60;
    while requests.recv_timeout(Duration::from_millis(30)).is_err() {
        frame(index, &mut encoder)
            .into_iter()
            .for_each(|frame| decode.push(frame));
        index += 1;
        assert!(index < 600, "a key frame is asked for");
    }
    last = pictures.try_iter().last().unwrap_or(last);
    assert!(
        last < start + Duration::from_millis(1_500),
        "shown up to {:?}",
        last - start
    );
    encoder.request_keyframe();
    frame(index, &mut encoder)
        .into_iter()
        .for_each(|frame| decode.push(frame));
    let want = start + Duration::from_secs(1) * index / 30;
    let healed = pictures.recv_timeout(PATIENCE).expect("a picture in time");
    assert_eq!(
        healed, want,
        "the key frame heals, and nothing before it is shown"
    );
    assert!(decode.counters().decoded < 40);
}

#[test]
fn a_camera_that_goes_away_is_reported() {
    struct Unplugged;
    impl VideoSource for Unplugged {
        fn size(&self) -> (u32, u32) {
            (640, 360)
        }
        fn interval(&self) -> Option<Duration> {
            None
        }
        fn read(&mut self, _at: CaptureTime) -> Result<Arc<Picture>, DeviceError> {
            Err(DeviceError::Gone { what: "camera" })
        }
    }
    let encode = VideoEncode::start(Box::new(Unplugged), |_frame| (), true, LIMITS);
    let deadline = clock::now() + PATIENCE;
    let failure = std::iter::repeat_with(|| {
        std::thread::yield_now();
        assert!(clock::now() < deadline);
        encode.failure()
    });
    assert!(matches!(
        failure.flatten().next(),
        Some(DeviceError::Gone { what: "camera" })
    ));
}
