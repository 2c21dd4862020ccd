use super::watch::{Follower, Found};
use super::*;
use crate::frame::BLOCK_SAMPLES;

/// Devices that can be plugged in and out, by name; the first is the default one.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<Vec<&'static str>>>);

impl Table {
    fn of(names: &[&'static str]) -> Self {
        let table = Self::default();
        table.set(names);
        table
    }

    fn set(&self, names: &[&'static str]) {
        *self.0.lock().unwrap() = names.to_vec();
    }

    fn find(&self, name: Option<&str>) -> Option<&'static str> {
        let names = self.0.lock().unwrap();
        match name {
            None => names.first().copied(),
            Some(name) => names.iter().find(|there| **there == name).copied(),
        }
    }
}

/// Gives its own name as loudness, in a manner of speaking, and fails when it is unplugged.
struct Plugged(Table, &'static str);

impl AudioSource for Plugged {
    fn is_device(&self) -> bool {
        true
    }

    fn read(&mut self, _at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        clock::sleep(Duration::from_millis(5));
        if self.0.find(Some(self.1)).is_none() {
            return Err(DeviceError::Gone { what: "microphone" });
        }
        block.fill(self.1.len() as f32 / 10.0);
        Ok(())
    }
}

impl System for Table {
    type Handle = AnySource;

    fn what(&self) -> &'static str {
        "microphone"
    }

    fn open(&self, name: Option<&str>) -> Result<AnySource, DeviceError> {
        let name = self.find(name).ok_or(DeviceError::NoDevice {
            what: "microphone",
            option: "",
        })?;
        Ok(Box::new(Plugged(self.clone(), name)))
    }

    fn default_name(&self) -> Option<String> {
        self.find(None).map(str::to_owned)
    }

    fn is_there(&self, name: &str) -> Option<bool> {
        Some(self.find(Some(name)).is_some())
    }
}

/// What a look said; whether it gave a device.
fn told(found: Found<AnySource>) -> (bool, String) {
    (found.handle.is_some(), found.news.join(" "))
}

#[test]
fn a_new_default_is_followed_and_said() {
    let table = Table::of(&["desk"]);
    let mut follower = Follower::new(table.clone(), None, true);
    assert_eq!(told(follower.look()), (false, String::new()));
    table.set(&["headset", "desk"]);
    let words = "The microphone is headset now.".to_owned();
    assert_eq!(told(follower.look()), (true, words));
    assert_eq!(told(follower.look()), (false, String::new()));
}

#[test]
fn a_lost_device_is_said_once_and_taken_up_again() {
    let table = Table::of(&["desk"]);
    let mut follower = Follower::new(table.clone(), None, true);
    table.set(&[]);
    follower.lost();
    let (found, words) = told(follower.look());
    assert!(!found && words.contains("you are not heard"), "{words}");
    let soon = follower.wait();
    for _ in 0..30 {
        assert_eq!(told(follower.look()), (false, String::new()));
    }
    assert!(follower.wait() > soon, "asked less often after a while");
    table.set(&["desk"]);
    let words = "The microphone is desk now.".to_owned();
    assert_eq!(told(follower.look()), (true, words));
    assert_eq!(follower.wait(), soon);
}

#[test]
fn the_default_stands_in_for_a_chosen_device_until_it_is_back() {
    let table = Table::of(&["desk", "headset"]);
    let mut follower = Follower::new(table.clone(), Some("headset".to_owned()), true);
    // The default may change as it likes: something else was chosen.
    table.set(&["camera", "desk", "headset"]);
    assert_eq!(told(follower.look()), (false, String::new()));
    table.set(&["camera"]);
    let (found, words) = told(follower.look());
    assert!(
        found,
        "a server moved it without a word; it is missed all the same"
    );
    assert!(
        words.contains("headset went away: camera is used"),
        "{words}"
    );
    table.set(&["camera", "headset"]);
    let back: Vec<_> = (0..4).map(|_| told(follower.look())).collect();
    let words = "The microphone headset is back.".to_owned();
    assert_eq!(
        back.iter().filter(|(found, _)| *found).count(),
        1,
        "{back:?}"
    );
    assert!(back.contains(&(true, words)), "{back:?}");
}

#[test]
fn none_at_the_start_was_told_already() {
    let mut follower = Follower::new(Table::default(), None, false);
    assert_eq!(told(follower.look()), (false, String::new()));
}

#[test]
fn a_call_goes_on_without_its_microphone_and_takes_the_next() {
    let table = Table::of(&["desk"]);
    let (mut mic, error) = FollowedMic::of(table.clone(), &DeviceChoice::default());
    assert!(error.is_none() && mic.is_live());
    let at = CaptureTime {
        elapsed: Duration::ZERO,
        clock_us: 0,
    };
    let mut block = [0.0; BLOCK_SAMPLES];
    mic.read(at, &mut block).unwrap();
    assert_eq!(block[0], 0.4);
    table.set(&[]);
    mic.read(at, &mut block).unwrap();
    assert!(block[0] == 0.0 && !mic.is_live(), "silence, not an error");
    let mut news = Vec::new();
    let deadline = clock::now() + Duration::from_secs(10);
    let mut read_until = |mic: &mut FollowedMic, loud: f32| {
        while block[0] != loud || news.len() < 2 {
            mic.read(at, &mut block).unwrap();
            news.extend(mic.news());
            if news.len() == 1 {
                table.set(&["headset"]);
            }
            assert!(clock::now() < deadline, "{news:?}");
        }
    };
    read_until(&mut mic, 0.7);
    assert!(mic.is_live());
    assert!(news[0].contains("went away"), "{news:?}");
    assert!(news[1].contains("headset"), "{news:?}");
}

#[test]
fn another_choice_is_taken_during_a_call_and_one_that_is_not_there_is_said() {
    let table = Table::of(&["desk", "headset"]);
    let mut follower = Follower::new(table.clone(), None, true);
    assert!(follower.choose(None).is_none());
    let other = follower.choose(Some("headset".to_owned())).map(told);
    let words = "The microphone is headset now.".to_owned();
    assert_eq!(other, Some((true, words)));
    let (found, words) = follower.choose(Some("gone".to_owned())).map(told).unwrap();
    assert!(!found && words.contains("stays as it is"), "{words}");
    table.set(&["desk", "headset", "gone"]);
    let back = (0..4).any(|_| told(follower.look()).1.contains("gone is back"));
    assert!(back, "it is taken when it comes");
}
