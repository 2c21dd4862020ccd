//! Our own media keys: ratchet on join, rekey on leave, and the frames sealed under them
//! (protocol text, *Join/Leave of Other Participants*).

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use super::key::{GroupCallKeyHash, KeyError, MediaKey};
use super::media_frame::{Codec, Footer, FrameCipher, FrameError, SealedGroupFrame, Track};
use super::wire::SentKey;

/// From announcing a new media key to using it: time for the announcement to arrive everywhere,
/// and the rate limit on rekeying (so everyone catches up within twice this).
pub const REKEY_DELAY: Duration = Duration::from_secs(2);

/// A frame of ours cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFrameError {
    /// The frame is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// All 2³² − 1 frame numbers are used (about a year of sound and pictures); the call must end.
    #[error("all frame numbers of this call are used up; leave the call and join again")]
    NumbersUsedUp,
}

/// The keys and the counter of everything we send. One per call: a nonce is never used twice.
pub struct MediaSender {
    hash: GroupCallKeyHash,
    applied: Applied,
    pending: Option<Pending>,
    /// MFSN of the next frame; shared by all tracks and layers, never reset.
    number: u32,
    rng: ChaCha20Rng,
}

/// The key in use.
struct Applied {
    /// Counts PCMKs of this call; the epoch is its last byte.
    generation: u64,
    ratchet_counter: u8,
    key: MediaKey,
    cipher: FrameCipher,
}

/// The key announced and not in use yet.
struct Pending {
    generation: u64,
    key: MediaKey,
    apply_at: Instant,
    /// Somebody left who knows this key.
    stale: bool,
}

impl MediaSender {
    /// Starts with a random key, epoch 0, ratchet counter 0, frame number 0.
    #[must_use]
    pub fn new(hash: GroupCallKeyHash, mut rng: ChaCha20Rng) -> Self {
        let key = MediaKey::random(&mut rng);
        let cipher = FrameCipher::new(&key.frame_key(&hash));
        let applied = Applied {
            generation: 0,
            ratchet_counter: 0,
            key,
            cipher,
        };
        Self {
            hash,
            applied,
            pending: None,
            number: 0,
            rng,
        }
    }

    /// *When a new participant joins*, steps 1 to 3:
    /// 1. Let `pcmk` be the currently applied PCMK (even when another is pending).
    /// 2. If its ratchet counter is 255, abort the call with an error condition.
    /// 3. Advance the ratchet once and apply immediately. The MFSN is not reset.
    ///
    /// # Errors
    /// The call must end: the ratchet is at its end.
    pub fn participant_joined(&mut self) -> Result<(), KeyError> {
        let ratchet_counter = self
            .applied
            .ratchet_counter
            .checked_add(1)
            .ok_or(KeyError::RatchetExhausted)?;
        let key = self.applied.key.ratcheted();
        self.apply(self.applied.generation, ratchet_counter, key);
        Ok(())
    }

    /// *When a participant leaves*; gives the key to send to all authenticated participants:
    ///
    /// - 1 and 2: if a key is pending, mark it stale and stop.
    /// - 3 and 4: otherwise make a new random key. Its epoch is the current one + 1, wrapping to 0,
    ///   its ratchet counter is 0; the MFSN is not reset.
    /// - 5: send it.
    /// - 6: schedule the rest in 2 s.
    #[must_use]
    pub fn participant_left(&mut self, now: Instant) -> Option<SentKey> {
        if let Some(pending) = &mut self.pending {
            pending.stale = true;
            return None;
        }
        let pending = Pending {
            generation: self.applied.generation + 1,
            key: MediaKey::random(&mut self.rng),
            apply_at: now + REKEY_DELAY,
            stale: false,
        };
        let sent = pending.to_sent();
        self.pending = Some(pending);
        Some(sent)
    }

    /// Step 6, when due: 6.1 apply the pending key; 6.2 if it was stale, run the steps from the beginning,
    /// which gives another key to send.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> Option<SentKey> {
        let pending = self.pending.take_if(|pending| pending.apply_at <= now)?;
        self.apply(pending.generation, 0, pending.key);
        if pending.stale {
            self.participant_left(now)
        } else {
            None
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.apply_at)
    }

    /// The applied key, then the pending one if there is one: what an `Auth` carries.
    #[must_use]
    pub fn keys(&self) -> Vec<SentKey> {
        let applied = SentKey {
            epoch: epoch(self.applied.generation),
            ratchet_counter: self.applied.ratchet_counter,
            key: self.applied.key.clone(),
        };
        std::iter::once(applied)
            .chain(self.pending.as_ref().map(Pending::to_sent))
            .collect()
    }

    /// The newest key's place in the sequence of all our keys.
    #[must_use]
    pub fn newest_generation(&self) -> u64 {
        self.pending
            .as_ref()
            .map_or(self.applied.generation, |pending| pending.generation)
    }

    /// The keys a participant lacks who was last sent the key of `generation`, oldest first.
    #[must_use]
    pub fn keys_after(&self, generation: u64) -> Vec<SentKey> {
        let applied = (self.applied.generation > generation).then(|| SentKey {
            epoch: epoch(self.applied.generation),
            ratchet_counter: self.applied.ratchet_counter,
            key: self.applied.key.clone(),
        });
        let pending = self
            .pending
            .as_ref()
            .filter(|pending| pending.generation > generation);
        applied
            .into_iter()
            .chain(pending.map(Pending::to_sent))
            .collect()
    }

    /// Epoch and ratchet counter in use.
    #[must_use]
    pub fn position(&self) -> (u8, u8) {
        (epoch(self.applied.generation), self.applied.ratchet_counter)
    }

    /// Seals one encoded frame. An empty Opus frame (DTX) passes as it is and uses no number.
    ///
    /// The text's frame description counts the MFSN up twice; clients count once, and so do we.
    ///
    /// # Errors
    /// The frame is none, or the numbers are used up and the call must end.
    pub fn seal(&mut self, track: Track, frame: &[u8]) -> Result<SealedGroupFrame, SealFrameError> {
        if frame.is_empty() && track.codec() == Codec::Opus {
            return Ok(SealedGroupFrame::new(track, Vec::new()));
        }
        // The last number is left unused, as the strictest client does.
        if self.number == u32::MAX {
            return Err(SealFrameError::NumbersUsedUp);
        }
        let (epoch, ratchet_counter) = self.position();
        let footer = Footer {
            epoch,
            ratchet_counter,
            number: self.number,
        };
        let sealed = self.applied.cipher.seal(track.codec(), footer, frame)?;
        self.number += 1;
        Ok(SealedGroupFrame::new(track, sealed))
    }

    fn apply(&mut self, generation: u64, ratchet_counter: u8, key: MediaKey) {
        assert!(
            (generation, ratchet_counter) > (self.applied.generation, self.applied.ratchet_counter),
            "a media key is only ever followed by its successor"
        );
        let cipher = FrameCipher::new(&key.frame_key(&self.hash));
        self.applied = Applied {
            generation,
            ratchet_counter,
            key,
            cipher,
        };
    }
}

impl Pending {
    fn to_sent(&self) -> SentKey {
        SentKey {
            epoch: epoch(self.generation),
            ratchet_counter: 0,
            key: self.key.clone(),
        }
    }
}

fn epoch(generation: u64) -> u8 {
    generation.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to begin at"
    )]

    use super::*;
    use crate::group::key::GroupCallKey;
    use rand_chacha::rand_core::SeedableRng;

    fn sender() -> MediaSender {
        MediaSender::new(
            GroupCallKey::from_bytes([1; 32]).hash(),
            ChaCha20Rng::seed_from_u64(1),
        )
    }

    #[test]
    fn join_ratchets_the_applied_key_even_while_another_is_pending() {
        let (mut sender, now) = (sender(), Instant::now());
        let pending = sender.participant_left(now).expect("first");
        sender.participant_joined().expect("fresh");
        assert_eq!(sender.position(), (0, 1));
        let keys = sender.keys();
        assert_eq!(
            (keys.len(), keys[1].epoch, keys[1].ratchet_counter),
            (2, 1, 0)
        );
        assert_eq!(keys[1].key.as_bytes(), pending.key.as_bytes());
    }

    #[test]
    fn join_at_ratchet_counter_255_is_an_error() {
        let mut sender = sender();
        for _ in 0..255 {
            sender.participant_joined().expect("below 255");
        }
        assert_eq!(sender.position(), (0, 255));
        assert_eq!(sender.participant_joined(), Err(KeyError::RatchetExhausted));
        assert_eq!(sender.position(), (0, 255));
    }

    #[test]
    fn leave_applies_the_new_key_after_2_s_and_not_before() {
        let (mut sender, now) = (sender(), Instant::now());
        let sent = sender.participant_left(now).expect("first");
        assert_eq!((sent.epoch, sent.ratchet_counter), (1, 0));
        // Nothing derives the new key from the one the leaver knows.
        let mut known = sender.keys().remove(0).key;
        for _ in 0..=255 {
            assert_ne!(sent.key.as_bytes(), known.as_bytes());
            known = known.ratcheted();
        }
        assert_eq!(sender.poll_timeout(), Some(now + REKEY_DELAY));
        assert!(
            sender
                .handle_timeout(now + REKEY_DELAY - Duration::from_millis(1))
                .is_none()
        );
        assert_eq!(sender.position(), (0, 0));
        assert!(sender.handle_timeout(now + REKEY_DELAY).is_none());
        assert_eq!((sender.position(), sender.poll_timeout()), ((1, 0), None));
    }

    #[test]
    fn leave_while_pending_marks_it_stale_and_runs_the_steps_again() {
        let (mut sender, now) = (sender(), Instant::now());
        sender.participant_left(now).expect("first");
        assert!(
            sender
                .participant_left(now + Duration::from_secs(1))
                .is_none()
        );
        assert!(
            sender
                .participant_left(now + Duration::from_secs(1))
                .is_none()
        );
        let second = sender.handle_timeout(now + REKEY_DELAY).expect("stale");
        assert_eq!((second.epoch, sender.position()), (2, (1, 0)));
        assert!(sender.handle_timeout(now + 2 * REKEY_DELAY).is_none());
        assert_eq!(sender.position(), (2, 0));
    }

    #[test]
    fn the_epoch_wraps_from_255_to_0() {
        let (mut sender, mut now) = (sender(), Instant::now());
        for _ in 0..256 {
            let _key = sender.participant_left(now);
            now += REKEY_DELAY;
            let _none = sender.handle_timeout(now);
        }
        assert_eq!(
            (sender.position(), sender.newest_generation()),
            ((0, 0), 256)
        );
    }

    #[test]
    fn frame_numbers_go_on_over_ratchet_and_epoch_and_stop_before_wrapping() {
        let (mut sender, now) = (sender(), Instant::now());
        let number = |bytes: SealedGroupFrame| {
            let tail = bytes.last_chunk::<4>().copied().expect("a footer");
            u32::from_le_bytes(tail)
        };
        assert_eq!(sender.seal(Track::Microphone, &[1]).map(number), Ok(0));
        sender.participant_joined().expect("fresh");
        assert_eq!(sender.seal(Track::Camera, &[1; 5]).map(number), Ok(1));
        let _key = sender.participant_left(now);
        let _none = sender.handle_timeout(now + REKEY_DELAY);
        assert_eq!(sender.seal(Track::Screen, &[1; 5]).map(number), Ok(2));
        assert!(
            sender
                .seal(Track::Microphone, &[])
                .is_ok_and(|frame| frame.is_empty())
        );
        assert!(sender.seal(Track::Camera, &[1; 2]).is_err());
        assert_eq!(sender.seal(Track::Microphone, &[1]).map(number), Ok(3));
        sender.number = u32::MAX - 1;
        assert_eq!(
            sender.seal(Track::Microphone, &[1]).map(number),
            Ok(u32::MAX - 1)
        );
        assert_eq!(
            sender.seal(Track::Microphone, &[1]),
            Err(SealFrameError::NumbersUsedUp)
        );
    }
}
