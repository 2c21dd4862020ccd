//! A participant's media keys as we received them, and the frames opened with them
//! (protocol text, *When a participant receives a rekey message*; protocol facts, section 2).
//!
//! The switch to a successor happens when the first frame of its epoch arrives. Known clients
//! move before the frame is authenticated, so an SFU can make them ratchet ahead or lose keys;
//! here everything is tried on a copy and kept only after the tag verified.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::key::{GroupCallKeyHash, MediaKey};
use super::media_frame::{Codec, FrameCipher, FrameError, Sealed, Track};
use super::wire::SentKey;
use crate::replay::ReplayWindow;

/// Keys kept per participant. A sender makes one in 2 s at most and uses the previous one until then,
/// so a silent participant's oldest keys, dropped here, open nothing any more. Higher costs memory, and
/// time on forged frames (up to 255 rounds of the ratchet per key of the epoch they claim).
pub const KEYS_MAX: usize = 8;

/// How long frames sealed just before a switch are still opened. Sound and pictures travel apart, so
/// a late picture is common at each join; dropping it would freeze the picture until the next key frame.
pub const LATE_FRAME_GRACE: Duration = Duration::from_secs(1);

/// A received frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFrameError {
    /// It is none, or no key opens it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its number was seen before, or is too old to tell.
    #[error("a frame was received before")]
    Replayed,
    /// No key of its epoch, or only a later ratchet.
    #[error("no key for epoch {0}, ratchet counter {1}")]
    NoKey(u8, u8),
    /// The participant is not here or not authenticated.
    #[error("the sender is not authenticated")]
    UnknownSender,
}

/// The receiving end of one participant's media.
pub struct MediaReceiver {
    hash: GroupCallKeyHash,
    /// The key in use first, then its successors in the order received.
    keys: VecDeque<Held>,
    /// The key before the last switch; only its frame cipher.
    previous: Option<Previous>,
    windows: [ReplayWindow; 3],
}

struct Held {
    epoch: u8,
    ratchet_counter: u8,
    key: MediaKey,
    cipher: FrameCipher,
}

struct Previous {
    epoch: u8,
    ratchet_counter: u8,
    cipher: FrameCipher,
    until: Instant,
}

impl MediaReceiver {
    /// No key yet.
    #[must_use]
    pub fn new(hash: GroupCallKeyHash) -> Self {
        Self {
            hash,
            keys: VecDeque::new(),
            previous: None,
            windows: std::array::from_fn(|_| ReplayWindow::new()),
        }
    }

    /// Rekey, step 3: store the key as a successor. Ignored if its epoch is older than the newest
    /// stored one, unless that is 255 and this one 0; the same epoch is accepted (as clients do).
    pub fn add(&mut self, sent: SentKey) {
        if let Some(newest) = self.keys.back()
            && sent.epoch < newest.epoch
            && !(newest.epoch == u8::MAX && sent.epoch == 0)
        {
            return;
        }
        if self.keys.len() == KEYS_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(Held::new(
            sent.epoch,
            sent.ratchet_counter,
            sent.key,
            &self.hash,
        ));
    }

    /// Epoch and ratchet counter of the key in use.
    #[must_use]
    pub fn position(&self) -> Option<(u8, u8)> {
        self.keys
            .front()
            .map(|held| (held.epoch, held.ratchet_counter))
    }

    /// Opens one frame of a track. An empty Opus frame (DTX) passes as it is; it is not authenticated.
    ///
    /// # Errors
    /// The sender, the SFU or the network is wrong: the frame is to be dropped. Nothing changed then.
    pub fn open(
        &mut self,
        now: Instant,
        track: Track,
        bytes: &[u8],
    ) -> Result<Vec<u8>, OpenFrameError> {
        if bytes.is_empty() && track.codec() == Codec::Opus {
            return Ok(Vec::new());
        }
        self.previous.take_if(|previous| previous.until < now);
        let sealed = Sealed::parse(track.codec(), bytes)?;
        let window = track as usize;
        let number = u64::from(sealed.footer.number);
        if self.windows[window].check(number).is_err() {
            return Err(OpenFrameError::Replayed);
        }
        let frame = self.open_with_keys(now, &sealed)?;
        self.windows[window].commit(number);
        Ok(frame)
    }

    fn open_with_keys(
        &mut self,
        now: Instant,
        sealed: &Sealed<'_>,
    ) -> Result<Vec<u8>, OpenFrameError> {
        let (epoch, ratchet_counter) = (sealed.footer.epoch, sealed.footer.ratchet_counter);
        let mut error = OpenFrameError::NoKey(epoch, ratchet_counter);
        for index in 0..self.keys.len() {
            let held = &self.keys[index];
            if held.epoch != epoch || held.ratchet_counter > ratchet_counter {
                continue;
            }
            let ahead = (held.ratchet_counter < ratchet_counter)
                .then(|| held.ahead(ratchet_counter, &self.hash));
            match ahead.as_ref().unwrap_or(held).cipher.open(sealed) {
                Ok(frame) => {
                    self.switch(now, index, ahead);
                    return Ok(frame);
                }
                Err(failed) => error = failed.into(),
            }
        }
        match &self.previous {
            Some(previous) if previous.fits(epoch, ratchet_counter) => {
                Ok(previous.cipher.open(sealed)?)
            }
            Some(_) | None => Err(error),
        }
    }

    /// Makes the key at `index`, or what it was ratcheted to, the one in use. Only after a tag verified.
    fn switch(&mut self, now: Instant, index: usize, ahead: Option<Held>) {
        if index == 0 && ahead.is_none() {
            return;
        }
        self.previous = self.keys.pop_front().map(|used| used.retired(now));
        if index > 0 {
            // Keys between the two were announced and never used.
            self.keys.drain(..index - 1);
        }
        if let Some(ahead) = ahead {
            if index > 0 {
                self.keys.pop_front();
            }
            self.keys.push_front(ahead);
        }
    }
}

impl Held {
    fn new(epoch: u8, ratchet_counter: u8, key: MediaKey, hash: &GroupCallKeyHash) -> Self {
        let cipher = FrameCipher::new(&key.frame_key(hash));
        Self {
            epoch,
            ratchet_counter,
            key,
            cipher,
        }
    }

    /// A copy at a later ratchet counter.
    fn ahead(&self, ratchet_counter: u8, hash: &GroupCallKeyHash) -> Self {
        let mut key = self.key.clone();
        for _ in self.ratchet_counter..ratchet_counter {
            key = key.ratcheted();
        }
        Self::new(self.epoch, ratchet_counter, key, hash)
    }

    fn retired(self, now: Instant) -> Previous {
        let Self {
            epoch,
            ratchet_counter,
            cipher,
            ..
        } = self;
        Previous {
            epoch,
            ratchet_counter,
            cipher,
            until: now + LATE_FRAME_GRACE,
        }
    }
}

impl Previous {
    fn fits(&self, epoch: u8, ratchet_counter: u8) -> bool {
        (self.epoch, self.ratchet_counter) == (epoch, ratchet_counter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to begin at"
    )]

    use super::*;
    use crate::group::key::GroupCallKey;
    use crate::group::media_sender::{MediaSender, REKEY_DELAY};
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    struct Ends {
        sender: MediaSender,
        receiver: MediaReceiver,
        now: Instant,
    }

    impl Ends {
        fn new() -> Self {
            let hash = || GroupCallKey::from_bytes([1; 32]).hash();
            let sender = MediaSender::new(hash(), ChaCha20Rng::seed_from_u64(1));
            let mut receiver = MediaReceiver::new(hash());
            sender.keys().into_iter().for_each(|key| receiver.add(key));
            Self {
                sender,
                receiver,
                now: Instant::now(),
            }
        }

        fn rekey(&mut self) {
            let key = self
                .sender
                .participant_left(self.now)
                .expect("none pending");
            self.receiver.add(key);
            self.now += REKEY_DELAY;
            assert!(self.sender.handle_timeout(self.now).is_none());
        }

        fn seal(&mut self) -> Vec<u8> {
            self.sender
                .seal(Track::Microphone, b"sound")
                .expect("valid")
                .into_bytes()
        }

        fn open(&mut self, bytes: &[u8]) -> Result<Vec<u8>, OpenFrameError> {
            self.receiver.open(self.now, Track::Microphone, bytes)
        }
    }

    #[test]
    fn frames_open_over_ratchets_and_rekeys() {
        let mut ends = Ends::new();
        for round in 0..300 {
            if round % 3 == 0 {
                ends.rekey()
            } else {
                ends.sender.participant_joined().expect("fresh")
            }
            let frame = ends.seal();
            assert_eq!(
                ends.open(&frame).as_deref(),
                Ok(&b"sound"[..]),
                "round {round}"
            );
            assert_eq!(ends.receiver.position(), Some(ends.sender.position()));
        }
    }

    #[test]
    fn a_forged_frame_moves_nothing() {
        let mut ends = Ends::new();
        let key = ends
            .sender
            .participant_left(ends.now)
            .expect("none pending");
        ends.receiver.add(key);
        let honest = ends.seal();
        for (epoch, ratchet_counter) in [(0, 255), (1, 0), (1, 200), (9, 9)] {
            let mut forged = honest.clone();
            let at = forged.len() - 6;
            forged[at..at + 2].copy_from_slice(&[epoch, ratchet_counter]);
            assert!(ends.open(&forged).is_err());
            assert_eq!(
                (ends.receiver.position(), ends.receiver.keys.len()),
                (Some((0, 0)), 2)
            );
        }
        assert!(ends.open(&honest).is_ok());
    }

    #[test]
    fn a_frame_opens_once() {
        let mut ends = Ends::new();
        let frame = ends.seal();
        assert!(ends.open(&frame).is_ok());
        assert_eq!(ends.open(&frame), Err(OpenFrameError::Replayed));
    }

    #[test]
    fn frames_of_before_the_switch_open_for_a_second_only() {
        let mut ends = Ends::new();
        let (late, too_late) = (ends.seal(), ends.seal());
        ends.sender.participant_joined().expect("fresh");
        let frame = ends.seal();
        assert!(ends.open(&frame).is_ok());
        ends.now += LATE_FRAME_GRACE;
        assert!(ends.open(&late).is_ok());
        ends.now += Duration::from_millis(1);
        assert_eq!(ends.open(&too_late), Err(OpenFrameError::NoKey(0, 0)));
    }

    #[test]
    fn an_older_key_is_ignored_but_255_goes_on_to_0() {
        let mut receiver = MediaReceiver::new(GroupCallKey::from_bytes([1; 32]).hash());
        let mut add = |epoch| {
            receiver.add(SentKey {
                epoch,
                ratchet_counter: 0,
                key: MediaKey::from_bytes([epoch; 32]),
            });
            receiver
                .keys
                .iter()
                .map(|held| held.epoch)
                .collect::<Vec<_>>()
        };
        assert_eq!(add(7), [7]);
        assert_eq!(add(6), [7]);
        assert_eq!(add(7), [7, 7]);
        assert_eq!(add(255), [7, 7, 255]);
        assert_eq!(add(0), [7, 7, 255, 0]);
    }

    #[test]
    fn a_silent_participants_keys_stay_bounded_and_the_newest_opens() {
        let mut ends = Ends::new();
        for _ in 0..600 {
            ends.rekey();
        }
        assert_eq!(ends.receiver.keys.len(), KEYS_MAX);
        let frame = ends.seal();
        assert!(ends.open(&frame).is_ok());
        assert_eq!(ends.receiver.keys.len(), 1);
    }

    #[test]
    fn of_two_keys_of_one_epoch_the_fitting_one_is_found() {
        let hash = GroupCallKey::from_bytes([1; 32]).hash();
        let mut receiver = MediaReceiver::new(hash.clone());
        receiver.add(SentKey {
            epoch: 0,
            ratchet_counter: 0,
            key: MediaKey::from_bytes([8; 32]),
        });
        let sender = MediaSender::new(hash, ChaCha20Rng::seed_from_u64(1));
        receiver.add(sender.keys().remove(0));
        let mut ends = Ends {
            sender,
            receiver,
            now: Instant::now(),
        };
        let frame = ends.seal();
        assert!(ends.open(&frame).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic_or_open(bytes in proptest::collection::vec(any::<u8>(), 1..100), camera: bool) {
            let mut ends = Ends::new();
            let track = if camera { Track::Camera } else { Track::Microphone };
            prop_assert!(ends.receiver.open(ends.now, track, &bytes).is_err());
        }

        /// Frames of one key open in any order, each once.
        #[test]
        fn any_order_within_a_key_opens(order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ends = Ends::new();
            let frames: Vec<_> = (0..40).map(|_| ends.seal()).collect();
            for index in order {
                prop_assert!(ends.open(&frames[index]).is_ok());
                prop_assert!(ends.open(&frames[index]).is_err());
            }
        }
    }
}
