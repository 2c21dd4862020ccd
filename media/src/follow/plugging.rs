//! Devices that come and go while sound flows, at a real sound server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::*;
use crate::frame::BLOCK_SAMPLES;
use crate::level::level_db;
use crate::sound::server::{SoundServer, pactl, skip};
use crate::thread::Thread;

/// Set in the process that plays and listens; its parent runs the sound server.
const INNER: &str = "HULLO_TEST_PLUGGING";
/// How long anything may take that happens by itself. Machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_call_follows_its_devices_as_they_are_plugged_in_and_out() {
    if std::env::var_os(INNER).is_some() {
        return plug_in_and_out();
    }
    let desk = "module-null-sink sink_name=desk rate=48000 sink_properties=device.description=Desk";
    let Some(server) = SoundServer::start(&[desk]) else {
        return;
    };
    let test = "follow::plugging::a_call_follows_its_devices_as_they_are_plugged_in_and_out";
    let inner = server.run_inner(test, INNER);
    let words = String::from_utf8_lossy(&inner.stdout);
    if words.contains("no plugin") {
        return skip("ALSA's pulse plugin is not installed");
    }
    let followed = inner.status.success() && words.contains("followed to the end");
    assert!(
        followed,
        "{words}{}",
        String::from_utf8_lossy(&inner.stderr)
    );
}

/// Sound from the speaker to the microphone, and what is said about the two.
struct Loop {
    mic: FollowedMic,
    said: Vec<String>,
    speaker_said: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    _speaker: Thread,
}

impl Loop {
    fn begin(mic: FollowedMic, mut speaker: FollowedSpeaker) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let speaker_said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stopped, said) = (Arc::clone(&stop), Arc::clone(&speaker_said));
        let thread = Thread::spawn("tone", move || {
            let block: Block = std::array::from_fn(|at| {
                0.3 * (std::f32::consts::TAU * (at % 48) as f32 / 48.0).sin()
            });
            while !stopped.load(Relaxed) {
                speaker.wait().expect("never fails");
                speaker.write(&block).expect("never fails");
                if let (Some(words), Ok(mut said)) = (speaker.news(), said.lock()) {
                    said.push(words);
                }
            }
        });
        Self {
            mic,
            said: Vec::new(),
            speaker_said,
            stop,
            _speaker: thread,
        }
    }

    /// Listens until this holds; `tone`: with the tone in the microphone or in silence.
    fn until(&mut self, what: &str, tone: bool, holds: impl Fn(&[String], &[String]) -> bool) {
        let deadline: Instant = clock::now() + PATIENCE;
        let at = CaptureTime {
            elapsed: Duration::ZERO,
            clock_us: 0,
        };
        let mut block = [0.0; BLOCK_SAMPLES];
        loop {
            self.mic.read(at, &mut block).expect("never fails");
            self.said.extend(self.mic.news());
            let is_heard = level_db(&block) > -30.0;
            let speaker_said = self.speaker_said.lock().expect("whole").clone();
            if is_heard == tone && holds(&self.said, &speaker_said) {
                println!("{what}: {:?} {speaker_said:?}", self.said);
                self.said.clear();
                self.speaker_said.lock().expect("whole").clear();
                return;
            }
            assert!(
                clock::now() < deadline,
                "{what}: heard {is_heard}, said {:?} {speaker_said:?}",
                self.said
            );
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn any(said: &[String], words: &str) -> bool {
    said.iter().any(|sentence| sentence.contains(words))
}

fn plug_in_and_out() {
    let choice = DeviceChoice::default();
    let (speaker, error) = follow_speaker(&DeviceChoice::default());
    if let Some(error) = error {
        return println!("no plugin: {error}");
    }
    let (mic, error) = follow_mic(&choice);
    assert!(error.is_none(), "{error:?}");
    let mut flow = Loop::begin(mic, speaker);
    flow.until("the tone is heard", true, |_, _| true);
    let names: Vec<String> = crate::sound::speakers()
        .into_iter()
        .map(|device| device.name)
        .collect();
    assert_eq!(names, ["Desk"]);

    let load = |name: &str| {
        let (sink, title) = (
            format!("sink_name={name}"),
            format!("sink_properties=device.description={name}"),
        );
        pactl(&[
            "load-module",
            "module-null-sink",
            &sink,
            "rate=48000",
            &title,
        ])
    };
    let headset = load("headset");
    pactl(&["set-default-sink", "headset"]);
    pactl(&["set-default-source", "headset.monitor"]);
    flow.until("a new default is followed", true, |mic, speaker| {
        any(mic, "headset") && any(speaker, "headset")
    });

    pactl(&["unload-module", &headset]);
    flow.until("the old one takes over", true, |mic, speaker| {
        any(mic, "Desk") && any(speaker, "Desk")
    });

    pactl(&["unload-module", "module-null-sink"]);
    flow.until("nothing is left", false, |mic, speaker| {
        any(mic, "you are not heard") && any(speaker, "you hear nothing")
    });
    assert!(!flow.mic.is_live());

    load("lamp");
    flow.until("what comes is taken", true, |mic, speaker| {
        any(mic, "lamp") && any(speaker, "lamp")
    });

    let radio = load("radio");
    choice.set(Some("radio.monitor".to_owned()));
    flow.until("another is chosen by its name", false, |mic, _| {
        any(mic, "radio")
    });
    pactl(&["unload-module", &radio]);
    flow.until("the default stands in for it", true, |mic, _| {
        any(mic, "went away")
    });
    println!("followed to the end");
}
