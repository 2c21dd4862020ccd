//! An authenticated participant: what the two say to each other from then on
//! (protocol text, `ParticipantToParticipant.Envelope` and `Admin.Envelope`).

use rand_chacha::rand_core::CryptoRng;

use super::envelope::{Pair, open_admin};
use super::key::{AdministratorMessageKey, KeyError, PublicKey, SharedKey};
use super::nonce::CounterExhausted;
use super::warning::WarningKind;
use super::wire::{AdminMessage, ParticipantName, PeerMessage};

/// The other end of a finished handshake.
pub struct Peer {
    /// Who it is: proven for members towards members, self-assigned otherwise.
    pub name: ParticipantName,
    pair: Pair,
    call_key: PublicKey,
}

/// What a peer said.
pub enum Said {
    /// As a participant.
    Peer(PeerMessage),
    /// As an administrator, proven by GCAMK.
    Admin(AdminMessage),
}

/// A message to a peer cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Our numbers are used up.
    #[error(transparent)]
    Counter(#[from] CounterExhausted),
    /// The peer's key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Peer {
    pub(super) fn new(name: ParticipantName, pair: Pair, call_key: PublicKey) -> Self {
        Self {
            name,
            pair,
            call_key,
        }
    }

    /// Seals the next message for this peer.
    ///
    /// # Errors
    /// The numbers are used up.
    pub fn seal(
        &mut self,
        message: &PeerMessage,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        Ok(self.pair.seal(&message.encode(rng))?)
    }

    /// Seals the next message for this peer, as an administrator.
    ///
    /// # Errors
    /// The numbers are used up, or the peer's key is not usable.
    pub fn seal_admin(
        &mut self,
        message: &AdminMessage,
        key: &AdministratorMessageKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        let shared = key.shared(&self.call_key)?;
        Ok(self.pair.seal_admin(&shared, &message.encode(), |sealed| {
            PeerMessage::Admin(sealed).encode(rng)
        })?)
    }

    /// Opens the next message of this peer. `admin` is X25519HSalsa20 of our PCK and GCAMK.public,
    /// if the call has administrators.
    ///
    /// # Errors
    /// The peer is wrong; the message is to be dropped.
    pub fn open(&mut self, sealed: &[u8], admin: Option<&SharedKey>) -> Result<Said, WarningKind> {
        let (plain, nonce) = self.pair.open(sealed)?;
        match PeerMessage::decode(&plain)? {
            PeerMessage::Admin(sealed) => {
                let admin = admin.ok_or(WarningKind::NoAdministration)?;
                let plain = open_admin(admin, &nonce, &sealed)
                    .map_err(|_| WarningKind::NotAnAdministrator)?;
                Ok(Said::Admin(AdminMessage::decode(&plain)?))
            }
            message => Ok(Said::Peer(message)),
        }
    }
}
