//! Frames in and out of a call.

use std::time::Instant;

use super::{GroupCall, Phase};
use crate::group::id::ParticipantId;
use crate::group::media_frame::{SealedGroupFrame, Track};
use crate::group::media_receiver::OpenFrameError;
use crate::group::media_sender::SealFrameError;

/// A frame of ours is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnFrameError {
    /// The device is off (or everything is, on hold): nothing of it may leave.
    #[error("the device is off")]
    NotCapturing,
    /// The frame is none, or the numbers are used up.
    #[error(transparent)]
    Seal(#[from] SealFrameError),
}

impl GroupCall {
    /// Seals one encoded frame of a device that is on. Simulcast layers are sealed one by one.
    ///
    /// # Errors
    /// The frame must not, or cannot, be sent. [`SealFrameError::NumbersUsedUp`]: leave the call.
    pub fn seal(&mut self, track: Track, frame: &[u8]) -> Result<SealedGroupFrame, OwnFrameError> {
        let captures = self.own.captures();
        let on = match track {
            Track::Microphone => captures.microphone,
            Track::Camera => captures.camera,
            Track::Screen => captures.screen.is_some(),
        };
        if !on || self.phase != Phase::Joined {
            return Err(OwnFrameError::NotCapturing);
        }
        Ok(self.sender.seal(track, frame)?)
    }

    /// Opens one frame of a participant.
    ///
    /// # Errors
    /// The frame is to be dropped and counted; nothing else changes.
    pub fn open(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        track: Track,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenFrameError> {
        let participant = self
            .roster
            .participants
            .get_mut(&participant)
            .ok_or(OpenFrameError::UnknownSender)?;
        if !participant.is_authenticated() {
            return Err(OpenFrameError::UnknownSender);
        }
        participant.receiver.open(now, track, sealed)
    }

    /// Epoch and ratchet counter of what we send.
    #[must_use]
    pub fn sending_position(&self) -> (u8, u8) {
        self.sender.position()
    }

    /// Epoch and ratchet counter of what we last opened of a participant.
    #[must_use]
    pub fn receiving_position(&self, participant: ParticipantId) -> Option<(u8, u8)> {
        self.roster
            .participants
            .get(&participant)
            .and_then(|participant| participant.receiver.position())
    }
}
