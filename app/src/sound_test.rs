//! `hullo test`: your own voice through the whole path of sound, without a network: captured, processed, encoded, sealed,
//! opened, put in order, decoded, played. With numbers for each part, so that what is wrong can be named.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use hullo_media::device::DeviceError;
use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::{AudioFrame, TARGET_START};
use hullo_media::level::LEVEL_DB_MIN;
use hullo_media::pipeline::{AudioDecode, AudioEncode, FrameSink};
use hullo_media::process::ProcessSwitch;
use hullo_media::sink::Nowhere;
use hullo_media::source::MicSpec;
use hullo_proto::frame::{Opener, Sealer};
use serde::Serialize;

use crate::call::media::MediaSpecs;
use crate::call::open_sound::open_sound;
use crate::cli::Options;
use crate::event::{Event, Levels, StopReason};
use crate::front::Front;
use crate::program::{DEVICE, Failure};
use crate::report::{AudioSummary, Report, Summary};
use crate::run::{Wake, wakes};
use crate::terminal;

/// Time between two lines of figures.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Time between two pictures of the meters on a terminal.
const METER_EVERY: Duration = Duration::from_millis(100);
/// A microphone that never was louder than this is muted, or hears nothing: the noise of the quietest room is louder.
const FLAT_DB: f32 = -75.0;
/// What is taken out of an echo at least, where there is one.
const ECHO_DB_MIN: f32 = 1.0;
/// Seconds until a flat microphone is named.
const FLAT_LINES: u32 = 3;

/// Figures of `hullo test`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SoundFigures {
    /// The loudest 20 ms of the microphone, dB of full scale.
    pub mic_db: f64,
    /// The loudest 20 ms that the speaker played, dB of full scale.
    pub speaker_db: f64,
    /// From mouth to ear, milliseconds, as far as the devices tell their part.
    pub delay_ms: f64,
    /// Packets made so far.
    pub packets: u64,
    /// Of these, those that did not open, came too late, or found the speaker standing still.
    pub lost: u64,
    /// Sound made up for them.
    pub concealed_ms: u64,
    /// How much quieter the echo comes back than it is played, dB, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_return_loss_db: Option<f64>,
    /// How much more of it is taken out, dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_reduction_db: Option<f64>,
    /// CPU time of the program, per cent of one core.
    pub cpu_percent: f64,
}

/// The whole path of sound in one place.
struct Path {
    ciphers: Mutex<(Sealer, Opener)>,
    decode: Arc<AudioDecode>,
    counts: Arc<Counts>,
    began: Instant,
}

#[derive(Default)]
struct Counts {
    sealed: AtomicU64,
    opened: AtomicU64,
    /// From the first sample of the newest packet until it was opened, microseconds.
    transit_us: AtomicU64,
}

impl FrameSink for Path {
    fn push(&self, frame: EncodedFrame) {
        let mut ciphers = self.ciphers.lock().unwrap_or_else(PoisonError::into_inner);
        let (sealer, opener) = &mut *ciphers;
        let Ok(sealed) = sealer.seal(frame.kind, &frame.data) else {
            return;
        };
        self.counts.sealed.fetch_add(1, Relaxed);
        let Ok(opened) = opener.open(sealed.as_bytes()) else {
            return;
        };
        let number = self.counts.opened.fetch_add(1, Relaxed);
        let transit = frame.captured_at.elapsed();
        let transit_us = u64::try_from(transit.as_micros()).unwrap_or(u64::MAX);
        self.counts.transit_us.store(transit_us, Relaxed);
        // By the clock of the microphone, as in a call: a pause while it is replaced is a pause.
        let since = (frame.captured_at).saturating_duration_since(self.began);
        let media_time_samples = u64::try_from(since.as_micros() * 48 / 1_000).unwrap_or(u64::MAX);
        self.decode.push(AudioFrame {
            seq: number,
            media_time_samples,
            data: opened.frame,
            is_copy: false,
        });
    }
}

/// Runs until the user, a signal or `--seconds` ends it. `is_terminal`: somebody looks at meters that move.
///
/// # Errors
/// [`Failure`]: no microphone, nobody reads.
pub fn run(
    options: &Options,
    specs: &MediaSpecs,
    is_terminal: bool,
    lines: &mut dyn Front,
) -> Result<u8, Failure> {
    let started = Instant::now();
    let quiet = hullo_media::quiet::redirect_stderr(None).ok();
    specs.check(false)?;
    let sound = open_sound(specs, true);
    let Some(mic) = sound.mic.filter(|mic| mic.is_live()) else {
        let none = DeviceError::NoDevice {
            what: "microphone",
            option: "--mic device:NAME, --mic file:PATH or --mic test",
        };
        return Err(sound.mic_error.unwrap_or(none).into());
    };
    if matches!(specs.mic, Some(MicSpec::None)) {
        return Err(Failure::other("There is nothing to hear with --mic none."));
    }
    let speaker = sound.speaker.unwrap_or_else(|| Box::new(Nowhere));
    let decode = Arc::new(AudioDecode::start(speaker, TARGET_START));
    let counts = Arc::new(Counts::default());
    let path = Path {
        ciphers: Mutex::new(crate::mirror::ciphers()?),
        decode: Arc::clone(&decode),
        counts: Arc::clone(&counts),
        began: started,
    };
    let encode = AudioEncode::start(mic, path, false);
    let (wake, inbox) = wakes();
    if is_terminal {
        end_at_a_line(wake.clone());
    }
    terminal::spawn_signals(move |event| wake.send(Wake::Event(event)).is_ok())
        .map_err(|error| Failure::other(format!("Signals cannot be heard: {error}.")))?;
    let mut test = Test {
        encode,
        decode,
        counts,
        switch: specs.process.clone(),
        inbox,
        started,
        ends_at: options.seconds.map(|seconds| started + seconds),
        is_terminal,
        loudest_db: LEVEL_DB_MIN,
        peak_db: LEVEL_DB_MIN,
        speaker_db: LEVEL_DB_MIN,
        speaker_peak_db: LEVEL_DB_MIN,
        speaker_loudest_db: LEVEL_DB_MIN,
        cpu: Cpu::begin(),
        lines_told: 0,
    };
    if let Some(error) = sound.speaker_error {
        let text = crate::people::sentence(&format!("no speaker, you hear nothing: {error}"));
        test.tell(lines, &Report::Notice { text })?;
    }
    if is_terminal {
        let text = crate::text::TEST_BEGINS.to_owned();
        test.tell(lines, &Report::Notice { text })?;
    }
    let reason = test.listen(lines)?;
    let status = test.end(reason, lines);
    drop(quiet);
    status
}

struct Test {
    encode: AudioEncode,
    decode: Arc<AudioDecode>,
    counts: Arc<Counts>,
    switch: ProcessSwitch,
    inbox: Receiver<Wake>,
    started: Instant,
    ends_at: Option<Instant>,
    is_terminal: bool,
    /// Since the start.
    loudest_db: f32,
    /// Since the last line.
    peak_db: f32,
    /// The same of the speaker: now, since the last line, since the start.
    speaker_db: f32,
    speaker_peak_db: f32,
    speaker_loudest_db: f32,
    cpu: Cpu,
    lines_told: u32,
}

impl Test {
    fn listen(&mut self, lines: &mut dyn Front) -> Result<&'static str, Failure> {
        let mut line_at = self.started + LINE_EVERY;
        loop {
            let now = Instant::now();
            if self.ends_at.is_some_and(|at| at <= now) {
                return Ok("seconds");
            }
            // What the microphone gave: noise suppression and gain make something of nothing.
            let heard_db = self.switch.figures().heard_db;
            let peak_db = self.encode.take_peak_db();
            let level = heard_db.unwrap_or(peak_db);
            self.peak_db = self.peak_db.max(level);
            self.loudest_db = self.loudest_db.max(level);
            self.hear_speaker();
            if let Some(error) = self.encode.failure() {
                return Err(error.into());
            }
            let news = self.encode.news().into_iter();
            for text in news.chain(self.decode.news()) {
                self.tell(lines, &Report::Notice { text })?;
            }
            if now >= line_at {
                line_at += LINE_EVERY;
                self.line(lines)?;
            }
            if self.is_terminal {
                self.draw_meters();
            }
            let wait = self.ends_at.map_or(METER_EVERY, |at| {
                at.saturating_duration_since(now).min(METER_EVERY)
            });
            match self.inbox.recv_timeout(wait) {
                Ok(Wake::Event(Event::Stop(StopReason::Signal))) => return Ok("signal"),
                Ok(Wake::Event(Event::Stop(StopReason::Quit))) => return Ok("quit"),
                _ => continue,
            }
        }
    }

    fn hear_speaker(&mut self) {
        self.speaker_db = self.decode.take_peak_db();
        self.speaker_peak_db = self.speaker_peak_db.max(self.speaker_db);
        self.speaker_loudest_db = self.speaker_loudest_db.max(self.speaker_db);
    }

    /// One line of figures, and what is wrong with them.
    fn line(&mut self, lines: &mut dyn Front) -> Result<(), Failure> {
        self.lines_told += 1;
        let figures = self.figures();
        (self.peak_db, self.speaker_peak_db) = (LEVEL_DB_MIN, LEVEL_DB_MIN);
        if !self.is_terminal {
            self.tell(lines, &Report::Sound(figures))?;
        }
        if self.lines_told == FLAT_LINES && self.loudest_db <= FLAT_DB {
            let text = flat_words();
            self.tell(lines, &Report::Notice { text })?;
        }
        Ok(())
    }

    fn figures(&mut self) -> SoundFigures {
        let stats = self.decode.counters();
        let process = self.switch.figures();
        // Without an echo the canceller's figures mean nothing.
        let is_echo = process
            .echo_reduction_db
            .is_some_and(|db| db >= ECHO_DB_MIN);
        let transit = Duration::from_micros(self.counts.transit_us.load(Relaxed));
        let path_ms = transit.as_secs_f64() * 1_000.0;
        let played_ms = stats.delay_ms as f64 + self.decode.speaker_delay().as_secs_f64() * 1e3;
        let sealed = self.counts.sealed.load(Relaxed);
        let lost = sealed - self.counts.opened.load(Relaxed).min(sealed)
            + stats.late
            + self.decode.dropped();
        SoundFigures {
            mic_db: tenth(self.peak_db),
            speaker_db: tenth(self.speaker_peak_db),
            delay_ms: ((path_ms + played_ms) * 10.0).round() / 10.0,
            packets: sealed,
            lost,
            concealed_ms: stats.concealed_ms,
            echo_return_loss_db: process.echo_return_loss_db.filter(|_| is_echo).map(tenth),
            echo_reduction_db: process.echo_reduction_db.filter(|_| is_echo).map(tenth),
            cpu_percent: self.cpu.percent(),
        }
    }

    /// One line that is written anew in its place.
    fn draw_meters(&mut self) {
        let levels = Levels::of(self.encode.level_db(), self.speaker_db);
        let figures = self.figures();
        let line = format!(
            "\r\u{1b}[K{}",
            crate::text::test_meters(levels, &figures, self.loudest_db <= FLAT_DB)
        );
        let mut out = std::io::stdout().lock();
        // Whoever looks at nothing misses nothing.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }

    fn end(mut self, reason: &str, lines: &mut dyn Front) -> Result<u8, Failure> {
        if self.is_terminal {
            let _ = std::io::stdout().write_all(b"\r\n");
        }
        self.hear_speaker();
        (self.peak_db, self.speaker_peak_db) = (self.loudest_db, self.speaker_loudest_db);
        let figures = self.figures();
        self.tell(lines, &Report::Sound(figures))?;
        let stats = self.decode.counters();
        let summary = Summary {
            reason: reason.to_owned(),
            duration_ms: self.now_ms(),
            audio: AudioSummary {
                sent: self.counts.sealed.load(Relaxed),
                received: stats.received,
                concealed_ms: stats.concealed_ms,
                played_ms: stats.played_ms,
            },
            ..Summary::default()
        };
        self.tell(lines, &Report::Summary(Box::new(summary)))?;
        if self.loudest_db <= FLAT_DB {
            if self.lines_told < FLAT_LINES {
                let text = flat_words();
                self.tell(lines, &Report::Notice { text })?;
            }
            return Ok(DEVICE);
        }
        Ok(0)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tell(&self, lines: &mut dyn Front, report: &Report) -> Result<(), Failure> {
        if self.is_terminal && !matches!(report, Report::Sound(_)) {
            let _ = std::io::stdout().write_all(b"\r\x1b[K");
        }
        lines
            .report(self.now_ms(), report)
            .map_err(|_| Failure::other("Nobody reads the output."))
    }
}

/// Ends the test once a line was typed: Enter, with `q` before it or without.
fn end_at_a_line(wake: crossbeam_channel::Sender<Wake>) {
    crate::threads::detach("keys", move || {
        // Also where it cannot be read: then nobody types.
        if std::io::stdin().read_line(&mut String::new()).is_ok() {
            // The test is over already where nobody takes it.
            let _ = wake.send(Wake::Event(Event::Stop(StopReason::Quit)));
        }
    });
}

/// What a microphone is that gives nothing, and which others there are.
fn flat_words() -> String {
    let others: Vec<String> = hullo_media::sound::microphones()
        .into_iter()
        .map(|device| device.name)
        .collect();
    crate::text::flat_microphone(&others)
}

fn tenth(db: f32) -> f64 {
    (f64::from(db) * 10.0).round() / 10.0
}

/// CPU time of the whole program.
struct Cpu {
    at: Instant,
    used: Duration,
    percent: f64,
}

impl Cpu {
    fn begin() -> Self {
        Self {
            at: Instant::now(),
            used: cpu_time(),
            percent: 0.0,
        }
    }

    /// Of one core, over at least the last half second.
    fn percent(&mut self) -> f64 {
        let (now, used) = (Instant::now(), cpu_time());
        let elapsed = now.saturating_duration_since(self.at);
        if elapsed >= Duration::from_millis(500) {
            let busy = used.saturating_sub(self.used).as_secs_f64() / elapsed.as_secs_f64();
            self.percent = (busy * 1_000.0).round() / 10.0;
            (self.at, self.used) = (now, used);
        }
        self.percent
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
