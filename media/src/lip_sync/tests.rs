use super::*;
use proptest::prelude::*;

const PICTURE: u64 = 66;

/// A far side whose sound plays `sound_ms` after it was heard there, and whose pictures are ready `picture(index)` ms
/// after they were taken; both count from `far_zero` ticks apart. Gives how late each picture is shown after it was ready,
/// in milliseconds, and the machine.
struct Call {
    sync: LipSync,
    zero: Instant,
    /// Added to the pictures' count, milliseconds.
    far_zero_ms: u64,
    sound_ms: u64,
    /// Of it, what the buffer holds.
    delay_ms: u64,
    is_key: bool,
}

impl Call {
    fn new(sound_ms: u64) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
        let zero = Instant::now();
        Self {
            sync: LipSync::default(),
            zero,
            far_zero_ms: 0,
            sound_ms,
            delay_ms: 20,
            is_key: true,
        }
    }

    fn run(&mut self, from: u64, pictures: u64, ready_ms: impl Fn(u64) -> u64) -> Vec<u64> {
        let ms = Duration::from_millis;
        let mut last = 0;
        (from..from + pictures)
            .map(|index| {
                let taken = index * PICTURE;
                last = last.max(taken + ready_ms(index));
                let now = self.zero + ms(last);
                let clock = SoundClock {
                    at: now,
                    media_time: (last.saturating_sub(self.sound_ms)) * 48,
                    delay: ms(self.delay_ms),
                    delay_max: ms(self.delay_ms + 150),
                };
                if last >= self.sound_ms {
                    self.sync.sound(now, Some(clock));
                }
                let media_time = (taken + self.far_zero_ms) * 90;
                let due = self
                    .sync
                    .due(now, media_time, std::mem::take(&mut self.is_key));
                self.sync.shown(due, media_time);
                (due - now).as_millis() as u64
            })
            .collect()
    }

    fn take_key(&mut self) {
        self.is_key = true;
    }

    fn skew(&mut self) -> Skew {
        self.sync.take_skew().expect("pictures were shown")
    }

    fn wait_ms(&mut self) -> Option<u128> {
        let now = self.sync.last_picture.expect("ran");
        self.sync.sound_wait(now).map(|wait| wait.as_millis())
    }
}

#[test]
fn what_nobody_notices_holds_nothing_up() {
    for (sound, picture) in [(60, 30), (60, 60), (60, 95)] {
        let mut call = Call::new(sound);
        let held = call.run(0, 60, |_| picture);
        assert!(held.iter().all(|held| *held == 0), "{held:?}");
        // What sound has already may be asked for.
        assert!(call.wait_ms().is_none_or(|wait| wait <= 20));
    }
}

#[test]
fn pictures_that_come_too_soon_wait_for_their_sound() {
    let mut call = Call::new(200);
    let held = call.run(0, 60, |_| 30);
    assert!(held[10..].iter().all(|held| *held == 130), "{held:?}");
    assert_eq!(call.skew().p95_ms, 40);
    assert_eq!(call.wait_ms(), None);
}

#[test]
fn no_picture_is_held_longer_than_the_limit() {
    let mut call = Call::new(1_500);
    call.delay_ms = 1_400;
    let held = call.run(0, 100, |_| 30);
    let most = u64::try_from(HOLD_MAX.as_millis()).expect("small");
    assert!(held.iter().all(|held| *held <= most), "{held:?}");
    assert_eq!(held.last(), Some(&most));
}

#[test]
fn sound_that_comes_too_soon_is_told_to_wait_as_long_as_most_pictures_need() {
    let mut call = Call::new(60);
    call.run(0, 100, |index| if index % 75 == 0 { 400 } else { 180 });
    // The quickest sound plays 40 ms after it was heard; pictures are ready 180 ms after, less 40 that nobody notices.
    assert_eq!(call.wait_ms(), Some(100));
    assert_eq!(call.wait_ms(), None, "told once");
    call.run(100, 200, |_| 60);
    assert_eq!(call.wait_ms(), Some(0), "and when it is over");
}

#[test]
fn sound_waits_no_more_when_pictures_end() {
    let mut call = Call::new(60);
    call.run(0, 100, |_| 200);
    assert!(call.wait_ms().is_some_and(|wait| wait > 0));
    let later = call.sync.last_picture.expect("ran") + PICTURE_AGE_MAX * 2;
    assert_eq!(call.sync.sound_wait(later), Some(Duration::ZERO));
}

#[test]
fn clocks_that_have_nothing_in_common_are_brought_together_by_what_arrives_together() {
    let mut call = Call::new(200);
    call.delay_ms = 140;
    call.far_zero_ms = 7_000_000;
    // Sound comes 60 ms after it was heard, 20 of them the packet; pictures after 40.
    let held = call.run(0, 60, |_| 40);
    assert!(held[10..].iter().all(|held| *held == 120), "{held:?}");
}

#[test]
fn a_layer_whose_times_begin_elsewhere_is_followed_at_once() {
    let mut call = Call::new(200);
    call.delay_ms = 140;
    call.far_zero_ms = 7_000_000;
    call.run(0, 60, |_| 40);
    call.take_key();
    // The server counts 250 ms less than before.
    call.far_zero_ms -= 250;
    let held = call.run(60, 60, |_| 40);
    assert!(held[1..].iter().all(|held| *held == 120), "{held:?}");
}

#[test]
fn without_sound_nothing_waits() {
    let mut sync = LipSync::default();
    #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
    let now = Instant::now();
    for index in 0..50 {
        let now = now + Duration::from_millis(index * PICTURE);
        assert_eq!(sync.due(now, index * PICTURE * 90, index == 0), now);
        sync.shown(now, index * PICTURE * 90);
    }
    assert_eq!((sync.take_skew(), sync.sound_wait(now)), (None, None));
}

#[test]
fn pictures_keep_their_order_when_sound_suddenly_comes_sooner() {
    let mut held = HeldPictures::default();
    #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
    let zero = Instant::now();
    let at = |ms| zero + Duration::from_millis(ms);
    let clock = |at: Instant, media_ms: u64, delay| SoundClock {
        at,
        media_time: media_ms * 48,
        delay: Duration::from_millis(delay),
        delay_max: Duration::from_millis(delay + 150),
    };
    held.sound(at(400), Some(clock(at(400), 200, 150)));
    held.push(at(400), 390 * 90, true, 1);
    held.sound(at(433), Some(clock(at(433), 400, 0)));
    held.push(at(433), 423 * 90, false, 2);
    let due = held.deadline().expect("waits");
    assert!(due > at(433));
    assert_eq!(held.pop(at(433)), None);
    assert_eq!(
        (held.pop(due), held.pop(due), held.pop(due)),
        (Some(1), Some(2), None)
    );
}

#[test]
fn more_pictures_than_have_room_are_let_go_at_once() {
    let mut held = HeldPictures::default();
    #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
    let zero = Instant::now();
    let clock = SoundClock {
        at: zero + Duration::from_secs(2),
        media_time: 0,
        delay: Duration::from_millis(1_990),
        delay_max: Duration::from_millis(1_990),
    };
    for index in 0..40 {
        held.sound(zero, Some(clock));
        held.push(zero, index * 90, index == 0, index);
    }
    let out: Vec<u64> = std::iter::from_fn(|| held.pop(zero)).collect();
    assert_eq!(out, (0..40).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn no_times_are_too_strange(steps in proptest::collection::vec((0u64..400, any::<u64>(), any::<u64>(), 0u64..5_000), 1..100)) {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
        let mut now = Instant::now();
        let mut held = HeldPictures::default();
        for (ms, picture, sound, delay) in steps {
            now += Duration::from_millis(ms);
            let delay = Duration::from_millis(delay);
            let clock = SoundClock { at: now, media_time: sound, delay, delay_max: delay };
            held.sound(now, Some(clock));
            held.push(now, picture, ms % 7 == 0, ());
            prop_assert!(held.deadline().is_none_or(|due| due <= now + HOLD_MAX));
            while held.pop(now).is_some() {}
            held.sound_wait(now);
        }
        held.take_skew();
    }
}
