//! The threads of a group call for real, with test cards and tones, against bounded waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use hullo_proto::group::media_frame::Track;
use hullo_proto::service::sfu::{LayersWanted, ParticipantId, View};

use super::*;
use crate::clock;
use crate::codec::{AudioEncoder, VideoEncoder, opus, vp8};
use crate::frame::{BLOCK_SAMPLES, Block, FrameKind, Picture};
use crate::group_session::{Layer, OwnTrack};
use crate::jitter::{AudioFrame, TARGET_START};
use crate::layers::everything_wanted;
use crate::sink::AudioSink;
use crate::source::card::{TestCard, read_time_code, time_code};

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const BUDGET_BPS: u32 = 2_000_000;

type Sent = (OwnTrack, EncodedFrame);

fn id(number: u32) -> ParticipantId {
    ParticipantId::try_from(number).expect("in range")
}

fn next(frames: &Receiver<Sent>) -> Sent {
    frames.recv_timeout(PATIENCE).expect("a frame in time")
}

fn wanted(camera: [bool; 3], width: u32) -> LayersWanted {
    LayersWanted {
        camera,
        camera_view: View {
            width,
            height: width * 9 / 16,
            fps: 15,
        },
        screen: None,
    }
}

fn card_into(published: Published) -> (LayersEncode, Receiver<Sent>) {
    let (sender, received) = unbounded();
    let sink = move |track, frame| sender.send((track, frame)).unwrap_or(());
    let encode = LayersEncode::start(Box::new(TestCard::new()), published, sink, true, 30);
    (encode, received)
}

#[test]
fn nothing_is_encoded_before_somebody_wants_it_and_then_only_that() {
    let (encode, received) = card_into(Published::Camera);
    while encode.counters().captured < 5 {
        std::thread::yield_now();
    }
    assert!(received.try_recv().is_err());
    encode.set_wanted(wanted([true, false, true], 320), BUDGET_BPS);
    let mut begun = BTreeSet::new();
    for _ in 0..20 {
        let (track, frame) = next(&received);
        let first = begun.insert(track);
        assert_eq!(frame.kind == FrameKind::VideoKey, first, "{track:?}");
        let size = match track {
            OwnTrack::Camera(Layer::Low) => (80, 44),
            OwnTrack::Camera(Layer::High) => (320, 180),
            other => panic!("{other:?} was not wanted"),
        };
        assert!(!first || vp8::key_frame_size(&frame.data) == Some(size));
    }
    encode.request_keyframe(OwnTrack::Camera(Layer::High));
    let key = std::iter::repeat_with(|| next(&received))
        .find(|(_, frame)| frame.kind == FrameKind::VideoKey);
    assert!(key.is_some_and(|(track, _)| track == OwnTrack::Camera(Layer::High)));
    encode.set_enabled(false);
    while received.recv_timeout(Duration::from_millis(200)).is_ok() {}
    encode.set_enabled(true);
    assert_eq!(next(&received).1.kind, FrameKind::VideoKey);
}

#[test]
fn the_screen_is_one_stream_as_large_as_somebody_shows_it() {
    let (encode, received) = card_into(Published::Screen);
    let mut wishes = everything_wanted();
    encode.set_wanted(wishes, BUDGET_BPS);
    let (track, frame) = next(&received);
    assert_eq!(track, OwnTrack::Screen);
    assert_eq!(vp8::key_frame_size(&frame.data), Some((640, 360)));
    wishes.screen = Some(View {
        width: 200,
        height: 200,
        fps: 10,
    });
    encode.set_wanted(wishes, BUDGET_BPS);
    let smaller = std::iter::repeat_with(|| next(&received))
        .find(|(_, frame)| vp8::key_frame_size(&frame.data) == Some((200, 112)));
    assert!(smaller.is_some());
}

#[test]
fn pictures_of_several_people_are_shown_each_with_its_own_time() {
    let (shown, pictures) = unbounded();
    let on_picture = move |of: PictureOf, picture: Arc<Picture>, _at| {
        shown.send((of, picture, clock::unix_us())).unwrap_or(());
    };
    let (asked, requests) = unbounded();
    let wants_keyframe = move |of| asked.send(of).unwrap_or(());
    let decode = PicturesDecode::start(Box::new(on_picture), Box::new(wants_keyframe));
    let decode = Arc::new(decode);
    let people = [
        (id(2), Track::Camera),
        (id(3), Track::Camera),
        (id(3), Track::Screen),
    ];
    let cameras: Vec<_> = people
        .iter()
        .map(|&of| {
            let pushed = Arc::clone(&decode);
            let sink = move |_track, frame| pushed.push(of, frame, true);
            let card = Box::new(TestCard::new());
            let camera = LayersEncode::start(card, Published::Camera, sink, true, 15);
            camera.set_wanted(wanted([false, false, true], 320), BUDGET_BPS);
            camera
        })
        .collect();
    let mut seen = BTreeSet::new();
    for _ in 0..45 {
        let (of, picture, at_us) = pictures.recv_timeout(PATIENCE).expect("a picture in time");
        let age = time_code(at_us).wrapping_sub(read_time_code(&picture).expect("a readable time"));
        assert!(age < 20_000, "{} ms from camera to screen", age / 10);
        assert_eq!(picture.size(), (320, 180));
        seen.insert(of);
    }
    assert_eq!(seen, BTreeSet::from(people));
    drop(cameras);
    let counters = decode.counters();
    assert!(
        counters
            .values()
            .all(|one| one.decoded > 3 && one.width == 320),
        "{counters:?}"
    );
    assert!(requests.try_recv().is_err());
    decode.forget(people[0]);
    assert_eq!(decode.counters().len(), 2);
}

#[test]
fn a_hole_asks_for_a_key_frame_of_that_picture_and_the_others_go_on() {
    let (shown, pictures) = unbounded();
    let on_picture = move |of: PictureOf, _: Arc<Picture>, _| shown.send(of).unwrap_or(());
    let (asked, requests) = unbounded();
    let wants_keyframe = move |of| asked.send(of).unwrap_or(());
    let decode = PicturesDecode::start(Box::new(on_picture), Box::new(wants_keyframe));
    let (one, other) = ((id(2), Track::Camera), (id(3), Track::Camera));
    let mut encoder = vp8::Encoder::new(vp8::Content::Camera, 200_000, 15);
    let mut frame = |key: bool| {
        if key {
            encoder.request_keyframe();
        }
        let picture = Picture::grey(64, 64, 90).expect("allowed");
        encoder
            .encode(&picture, clock::now())
            .expect("encodes")
            .expect("a grey picture is never left out")
    };
    let (key, delta) = (frame(false), frame(false));
    for of in [one, other] {
        decode.push(of, key.clone(), true);
    }
    decode.push(one, delta.clone(), false);
    decode.push(other, delta.clone(), true);
    assert_eq!(requests.recv_timeout(PATIENCE), Ok(one));
    decode.push(one, delta, true);
    decode.push(one, frame(true), true);
    let shown: Vec<_> = std::iter::repeat_with(|| pictures.recv_timeout(PATIENCE))
        .take(4)
        .collect::<Result<_, _>>()
        .expect("pictures in time");
    assert_eq!(shown, [one, other, other, one]);
    // One more than there are decoders: the table stays bounded.
    for number in 110..111 + DECODERS_MAX as u32 {
        decode.push((id(number), Track::Camera), key.clone(), true);
    }
    for _ in 0..=DECODERS_MAX {
        pictures.recv_timeout(PATIENCE).expect("a picture in time");
    }
    assert!(decode.counters().len() <= DECODERS_MAX);
}

/// Keeps what was played.
struct Tape(crossbeam_channel::Sender<Box<Block>>);

impl AudioSink for Tape {
    fn is_device(&self) -> bool {
        false
    }

    fn write(&mut self, block: &Block) -> Result<(), crate::device::DeviceError> {
        self.0.send(Box::new(*block)).unwrap_or(());
        Ok(())
    }
}

#[test]
fn the_sound_of_two_is_heard_together_and_one_can_be_turned_down() {
    let (played, blocks) = unbounded();
    let mix = AudioMix::start(Box::new(Tape(played)), TARGET_START);
    let mut encoders = [(); 2].map(|()| opus::Encoder::new().expect("starts"));
    let mut loudness = |seq: u64, amplitude: f32| {
        for (index, encoder) in encoders.iter_mut().enumerate() {
            let block: Block = std::array::from_fn(|sample| {
                let at = (seq as usize * BLOCK_SAMPLES + sample) as f32 / 48_000.0;
                amplitude * (at * 440.0 * (index + 1) as f32 * std::f32::consts::TAU).sin()
            });
            let frame = AudioFrame {
                seq,
                media_time_samples: seq * BLOCK_SAMPLES as u64,
                data: encoder.encode(&block).expect("encodes"),
                is_copy: false,
            };
            mix.push(id(2 + index as u32), frame);
        }
        let block = blocks.recv_timeout(PATIENCE).expect("a block in time");
        block
            .iter()
            .fold(0.0_f32, |peak, sample| peak.max(sample.abs()))
    };
    let both = (0..40).map(|seq| loudness(seq, 0.3)).fold(0.0, f32::max);
    assert!(both > 0.4, "two tones of 0.3 have peaks of {both}");
    let people = mix.people();
    assert!(
        people.len() == 2 && people.iter().all(|person| person.speaking),
        "{people:?}"
    );
    mix.set_volume(id(2), 0.0);
    let one: Vec<_> = (40..80).map(|seq| loudness(seq, 0.3)).collect();
    let late = one[20..].iter().copied().fold(0.0, f32::max);
    assert!(
        late > 0.2 && late < 0.4,
        "one tone of 0.3 has peaks of {late}"
    );
    mix.remove(id(2));
    mix.remove(id(3));
    std::iter::repeat_with(|| mix.people().len())
        .find(|&count| count == 0)
        .expect("endless");
}
