use super::server::{SoundServer, skip};
use super::*;
use crate::clock;
use crate::frame::{BLOCK_SAMPLES, Block};
use crate::sink::AudioSink;
use crate::sink::speaker::Speaker;
use crate::source::mic::Microphone;
use crate::source::{AudioSource, CaptureTime};

fn range(channels: u16, least: u32, most: u32, format: SampleFormat) -> SupportedStreamConfigRange {
    let buffer = SupportedBufferSize::Range {
        min: 64,
        max: 8_192,
    };
    SupportedStreamConfigRange::new(channels, least, most, buffer, format)
}

#[test]
fn the_form_that_needs_least_conversion_is_chosen() {
    let ranges = [
        range(2, 44_100, 44_100, SampleFormat::F32),
        range(8, 8_000, 192_000, SampleFormat::F32),
        range(2, 8_000, 48_000, SampleFormat::I16),
        range(1, 8_000, 48_000, SampleFormat::I16),
        range(1, 48_000, 48_000, SampleFormat::U8),
    ];
    let chosen = |direction, ranges: &[_]| choose(direction, ranges).expect("one is usable");
    let mic = chosen(Direction::Microphone, &ranges);
    assert_eq!(
        (mic.config.channels, mic.rate_hz(), mic.format),
        (1, 48_000, SampleFormat::I16)
    );
    assert_eq!(mic.config.buffer_size, BufferSize::Fixed(480));
    let speaker = chosen(Direction::Speaker, &ranges);
    assert_eq!((speaker.config.channels, speaker.rate_hz()), (2, 48_000));
    let old = chosen(Direction::Speaker, &ranges[..1]);
    assert_eq!(
        (old.rate_hz(), old.config.buffer_size, old.samples(RING)),
        (44_100, BufferSize::Fixed(441), 8_820)
    );
    assert_eq!(choose(Direction::Speaker, &ranges[4..]), None);
    assert_eq!(
        choose(
            Direction::Speaker,
            &[range(0, 8_000, 48_000, SampleFormat::F32)]
        ),
        None
    );
    assert_eq!(
        choose(
            Direction::Speaker,
            &[range(2, 384_000, 768_000, SampleFormat::F32)]
        ),
        None
    );
}

#[test]
fn errors_say_what_to_do() {
    for (kind, want) in [
        (ErrorKind::DeviceNotAvailable, "no microphone found"),
        (ErrorKind::HostUnavailable, "--mic file:PATH"),
        (ErrorKind::DeviceBusy, "close that program"),
        (ErrorKind::PermissionDenied, "group \"audio\""),
        (ErrorKind::UnsupportedConfig, "no usable format"),
        (ErrorKind::StreamInvalidated, "attach it again"),
        (ErrorKind::BackendError, "the microphone failed"),
    ] {
        let message = Direction::Microphone.error(&Error::from(kind)).to_string();
        assert!(message.contains(want), "{message}");
    }
    let speaker = Direction::Speaker
        .error(&Error::from(ErrorKind::DeviceNotAvailable))
        .to_string();
    assert!(speaker.contains("--speaker none"), "{speaker}");
}

/// Set in the process that plays and listens; its parent runs the sound server.
const INNER: &str = "HULLO_TEST_SOUND_LOOP";

/// A tone played to the speaker is heard by the microphone, which listens to what the speaker plays: a sound server of
/// our own without a sound card. The inner half needs the server's address in its environment from the start, so it
/// runs as a process of its own.
#[test]
fn a_tone_goes_through_the_speaker_to_the_microphone() {
    if std::env::var_os(INNER).is_some() {
        return play_and_listen();
    }
    let sink = "module-null-sink sink_name=spk rate=48000";
    let Some(server) = SoundServer::start(&[sink, "module-always-sink"]) else {
        return;
    };
    let inner = server.run_inner(
        "sound::tests::a_tone_goes_through_the_speaker_to_the_microphone",
        INNER,
    );
    let words = String::from_utf8_lossy(&inner.stdout);
    if words.contains("no plugin") {
        return skip("ALSA's pulse plugin is not installed");
    }
    let heard = inner.status.success() && words.contains("periods");
    assert!(heard, "{words}{}", String::from_utf8_lossy(&inner.stderr));
    println!("{words}");
}

fn play_and_listen() {
    const PITCH_HZ: f32 = 997.0;
    let mut speaker = match Speaker::open(None) {
        Ok(speaker) => speaker,
        Err(DeviceError::NoDevice { .. }) => return println!("no plugin"),
        Err(error) => panic!("{error}"),
    };
    let mut microphone = Microphone::open(None).expect("a microphone");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let playing = std::thread::spawn(move || {
        for index in (0..).step_by(BLOCK_SAMPLES) {
            if stopped.load(Relaxed) {
                return;
            }
            let sample =
                |at: usize| 0.4 * (std::f32::consts::TAU * PITCH_HZ * at as f32 / 48_000.0).sin();
            let block: Block = std::array::from_fn(|offset| sample((index + offset) % 48_000));
            speaker.wait().expect("it takes sound");
            speaker.write(&block).expect("it plays");
        }
    });
    let mut sound = Vec::new();
    let (mut block, began) = ([0.0; BLOCK_SAMPLES], clock::now());
    // Two seconds, of which the last is listened to. The server needs up to two more until it begins.
    let mut half_at = began;
    while sound.len() < 2 * 48_000 {
        let at = CaptureTime {
            elapsed: Duration::ZERO,
            clock_us: 0,
        };
        microphone.read(at, &mut block).expect("it hears");
        sound.extend_from_slice(&block);
        if sound.len() == 48_000 {
            half_at = clock::now();
        }
    }
    let took = clock::now() - half_at;
    stop.store(true, Relaxed);
    playing.join().expect("it played");
    let heard = &sound[48_000..];
    let rms = (heard.iter().map(|sample| sample * sample).sum::<f32>() / heard.len() as f32).sqrt();
    let periods = heard
        .windows(2)
        .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0)
        .count();
    println!(
        "rms {rms}, {periods} periods in {took:?}, begun after {:?}, {} glitches",
        half_at - began,
        microphone.glitches()
    );
    assert!((rms / (0.4 / 2f32.sqrt()) - 1.0).abs() < 0.1, "rms {rms}");
    assert!(periods.abs_diff(997) <= 10, "{periods} periods in a second");
    assert!(
        took > Duration::from_millis(800) && took < Duration::from_secs(3),
        "a second took {took:?}"
    );
}
