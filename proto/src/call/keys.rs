//! The keys of one call: made for it, never stored.

use x25519_dalek::{PublicKey, StaticSecret};

use super::message::Hullo;
use crate::frame::{CallSecret, FrameContext, SecretError};
use rand_chacha::ChaCha20Rng;

/// What seals and opens the frames of a call. Belongs to the one thread that does.
pub struct CallKeys {
    /// Shared by both sides.
    pub secret: CallSecret,
    /// The call's id.
    pub call_id: [u8; 16],
    /// This side's X25519 public key of the call.
    pub own_public: [u8; 32],
    /// The other side's.
    pub peer_public: [u8; 32],
    /// How the other side expects its frames.
    pub layout: Layout,
    /// It reads parity over the packets of a picture.
    pub takes_parity: bool,
    /// Who answers leads the search for a way: both programs said that they do so.
    pub answerer_leads: bool,
}

/// The frame layout of a one-to-one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Ours: [`crate::frame::hullo`].
    Hullo,
    /// The other program is not ours. It must never be sent a frame of another layout: a single one stops its track.
    Simplex,
}

/// An X25519 pair of one call, wiped when dropped.
pub(super) struct KeyPair(StaticSecret);

impl CallKeys {
    /// What sealers and openers take.
    pub fn context(&self) -> FrameContext<'_> {
        FrameContext {
            secret: &self.secret,
            call_id: self.call_id,
            own_public: self.own_public,
            peer_public: self.peer_public,
        }
    }
}

impl Layout {
    /// The layout towards a program that said this of itself; `None` if it is ours and shares none.
    pub(super) fn agreed(hullo: Option<&Hullo>) -> Option<Self> {
        match hullo {
            None => Some(Self::Simplex),
            Some(hullo) => hullo.is_compatible().then_some(Self::Hullo),
        }
    }
}

impl KeyPair {
    pub(super) fn random(rng: &mut ChaCha20Rng) -> Self {
        Self(StaticSecret::random_from_rng(rng))
    }

    pub(super) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// # Errors
    /// [`SecretError::AllZero`]: the peer's key is a point of small order.
    pub(super) fn agree(&self, peer_public: &[u8; 32]) -> Result<CallSecret, SecretError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer_public));
        CallSecret::from_bytes(shared.to_bytes())
    }
}
