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
    let refused = Error::with_message(
        ErrorKind::BackendError,
        "ALSA function 'snd_pcm_open' failed with error 'Connection refused (111)'",
    );
    let words = Direction::Microphone.error(&refused).to_string();
    assert!(words.contains("sound server does not answer"), "{words}");
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
    // A second in which nothing was lost: the server needs up to two until it begins, and a busy machine loses sound.
    let mut heard = Heard::default();
    let began = clock::now();
    while !heard.is_right() && clock::now() < began + Duration::from_secs(20) {
        heard = Heard::second(&mut microphone);
    }
    stop.store(true, Relaxed);
    playing.join().expect("it played");
    println!(
        "{heard:?}, {} periods, {} glitches",
        heard.periods,
        microphone.glitches()
    );
    assert!(heard.is_right(), "{heard:?}");
}

/// What was heard in a second.
#[derive(Debug, Default)]
struct Heard {
    rms: f32,
    periods: usize,
    took: Duration,
}

impl Heard {
    fn second(microphone: &mut Microphone) -> Self {
        let (mut sound, mut block) = (Vec::new(), [0.0; BLOCK_SAMPLES]);
        let began = clock::now();
        while sound.len() < 48_000 {
            let at = CaptureTime {
                elapsed: Duration::ZERO,
                clock_us: 0,
            };
            microphone.read(at, &mut block).expect("it hears");
            sound.extend_from_slice(&block);
        }
        let energy: f32 = sound.iter().map(|sample| sample * sample).sum();
        let crosses = |pair: &&[f32]| pair[0] < 0.0 && pair[1] >= 0.0;
        Self {
            rms: (energy / sound.len() as f32).sqrt(),
            periods: sound.windows(2).filter(crosses).count(),
            took: clock::now() - began,
        }
    }

    /// The tone as it was played, in about the time it takes.
    fn is_right(&self) -> bool {
        (self.rms / (0.4 / 2f32.sqrt()) - 1.0).abs() < 0.1
            && self.periods.abs_diff(997) <= 10
            && self.took > Duration::from_millis(700)
            && self.took < Duration::from_secs(3)
    }
}
