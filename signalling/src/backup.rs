//! An identity in one file under a passphrase: keys, name, server and contacts, to be restored on a new machine.
//!
//! | bytes | field |
//! |---|---|
//! | 12 | `hullo-backup` |
//! | 1 | version, 1 |
//! | 4, 4, 4 | Argon2id (RFC 9106): memory in KiB, passes, lanes; big endian like all here |
//! | 16 | salt |
//! | 24 | nonce |
//! | rest | XSalsa20-Poly1305 of length 4 ‖ JSON ‖ zeros to a multiple of 4096 |
//!
//! Neither ratchets nor queues nor history are in it: an old ratchet used again would destroy messages. So a restored
//! contact keeps its name and its verified mark, and is out of touch until one of the two uses a link of the other.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vodozemac::olm::{Account, AccountPickle};
use xsalsa20poly1305::XSalsa20Poly1305;
use xsalsa20poly1305::aead::{Aead, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bytes::Bytes;
use crate::identity::{Identity, KeySet};

/// Shortest passphrase taken, in characters: below it guessing is too cheap whatever the file does.
pub const PASSPHRASE_CHARS_MIN: usize = 8;
/// Longest file read: room for 100,000 contacts.
pub const BACKUP_BYTES_MAX: u64 = 64 * 1024 * 1024;

const MAGIC: &[u8; 12] = b"hullo-backup";
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// RFC 9106 §4, second recommendation: 64 MiB and three passes, here on one lane.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Most a file may ask of the machine that reads it.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 8;
/// The file's size tells little about how many contacts are in it.
const PAD_BYTES: usize = 4096;

/// Why a backup cannot be made or read: the user's to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BackupError {
    /// Too easy to guess.
    #[error("the passphrase needs at least {PASSPHRASE_CHARS_MIN} characters")]
    ShortPassphrase,
    /// Something else.
    #[error("this file is no backup of a Hullo identity")]
    NoBackup,
    /// The end is missing.
    #[error("the backup is cut off: copy the whole file")]
    Truncated,
    /// Made by a later Hullo.
    #[error("the backup was made by a newer Hullo: update this one")]
    Newer,
    /// Cannot be told apart.
    #[error("the passphrase is wrong, or the backup was damaged")]
    Passphrase,
    /// Asks for more than is sensible, or holds keys that cannot be.
    #[error("the backup holds what no Hullo writes: use another copy of it")]
    Content,
    /// No memory for the passphrase's protection.
    #[error("there is not enough memory to open the backup")]
    Memory,
}

/// What a backup holds. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Backup {
    x25519: String,
    account_key: String,
    account: String,
    /// What others see.
    pub(crate) name: String,
    /// Where invitations are made.
    #[zeroize(skip)]
    pub(crate) server: Option<String>,
    #[zeroize(skip)]
    pub(crate) contacts: Vec<BackupContact>,
}

/// A contact as a backup holds it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct BackupContact {
    pub(crate) name: String,
    key_set: String,
    pub(crate) verified: bool,
    pub(crate) blocked: bool,
}

impl BackupContact {
    pub(crate) fn new(name: String, key_set: &KeySet, verified: bool, blocked: bool) -> Self {
        Self {
            name,
            key_set: BASE64_URL_SAFE_NO_PAD.encode(key_set.to_bytes()),
            verified,
            blocked,
        }
    }

    /// # Errors
    /// [`BackupError::Content`].
    pub(crate) fn key_set(&self) -> Result<KeySet, BackupError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.key_set);
        let bytes = bytes.map_err(|_| BackupError::Content)?;
        KeySet::from_bytes(&bytes).map_err(|_| BackupError::Content)
    }
}

impl Backup {
    pub(crate) fn new(
        identity: &Identity,
        name: String,
        server: Option<String>,
        contacts: Vec<BackupContact>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *key);
        Self {
            x25519: BASE64_URL_SAFE_NO_PAD.encode(identity.x25519().as_bytes()),
            account_key: BASE64_URL_SAFE_NO_PAD.encode(*key),
            account: identity.account().pickle().encrypt(&key),
            name,
            server,
            contacts,
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`BackupError::Content`].
    pub(crate) fn identity(&self) -> Result<Identity, BackupError> {
        let key = |text: &str| -> Result<Zeroizing<[u8; 32]>, BackupError> {
            let bytes = Zeroizing::new(
                (BASE64_URL_SAFE_NO_PAD.decode(text)).map_err(|_| BackupError::Content)?,
            );
            let key = bytes.as_slice().try_into();
            Ok(Zeroizing::new(key.map_err(|_| BackupError::Content)?))
        };
        let pickle = AccountPickle::from_encrypted(&self.account, &*key(&self.account_key)?)
            .map_err(|_| BackupError::Content)?;
        Ok(Identity::from_parts(
            &*key(&self.x25519)?,
            Account::from_pickle(pickle),
        ))
    }

    /// Closes it under a passphrase.
    ///
    /// # Errors
    /// [`BackupError::ShortPassphrase`], [`BackupError::Memory`].
    pub fn seal(&self, passphrase: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, BackupError> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(BackupError::ShortPassphrase);
        }
        let json = Zeroizing::new(serde_json::to_vec(self).map_err(|_| BackupError::Content)?);
        let length = u32::try_from(json.len()).map_err(|_| BackupError::Content)?;
        let mut plain = Zeroizing::new(length.to_be_bytes().to_vec());
        plain.extend_from_slice(&json);
        let padded = plain.len().next_multiple_of(PAD_BYTES);
        plain.resize(padded, 0);
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).expect("within its bounds");
        let key = derive(passphrase, &salt, params)?;
        let sealed = XSalsa20Poly1305::new((&*key).into())
            .encrypt((&nonce).into(), plain.as_slice())
            .expect("64 MiB are no problem for the cipher");
        let costs = [MEMORY_KIB, PASSES, LANES].map(u32::to_be_bytes).concat();
        Ok([&MAGIC[..], &[VERSION], &costs, &salt, &nonce, &sealed].concat())
    }

    /// Opens a file.
    ///
    /// # Errors
    /// The file's or the passphrase's fault, see [`BackupError`].
    pub fn open(file: &[u8], passphrase: &str) -> Result<Self, BackupError> {
        let mut rest = Bytes(file);
        let head: [u8; MAGIC.len()] = rest.array().ok_or(BackupError::NoBackup)?;
        if head != *MAGIC {
            return Err(BackupError::NoBackup);
        }
        match rest.u8().ok_or(BackupError::Truncated)? {
            VERSION => {}
            _ => return Err(BackupError::Newer),
        }
        let mut cost = || rest.array().map(u32::from_be_bytes);
        let costs = (cost(), cost(), cost());
        let (Some(memory), Some(passes), Some(lanes)) = costs else {
            return Err(BackupError::Truncated);
        };
        if memory > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(BackupError::Content);
        }
        let params =
            Params::new(memory, passes, lanes, Some(32)).map_err(|_| BackupError::Content)?;
        let salt: [u8; SALT_BYTES] = rest.array().ok_or(BackupError::Truncated)?;
        let nonce: [u8; NONCE_BYTES] = rest.array().ok_or(BackupError::Truncated)?;
        if rest.0.len() < PAD_BYTES {
            return Err(BackupError::Truncated);
        }
        let key = derive(passphrase, &salt, params)?;
        let plain = XSalsa20Poly1305::new((&*key).into())
            .decrypt((&nonce).into(), rest.0)
            .map_err(|_| BackupError::Passphrase)?;
        let plain = Zeroizing::new(plain);
        let mut plain = Bytes(&plain);
        let length = plain
            .array()
            .map(u32::from_be_bytes)
            .ok_or(BackupError::Content)?;
        let json = usize::try_from(length)
            .ok()
            .and_then(|length| plain.0.get(..length));
        serde_json::from_slice(json.ok_or(BackupError::Content)?).map_err(|_| BackupError::Content)
    }
}

fn derive(
    passphrase: &str,
    salt: &[u8; SALT_BYTES],
    params: Params,
) -> Result<Zeroizing<[u8; 32]>, BackupError> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| BackupError::Memory)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(3)
    }

    fn backup() -> (Identity, Backup) {
        let mut rng = rng();
        let [ann, bob] = [0, 1].map(|_| Identity::generate(&mut rng));
        let contacts = vec![BackupContact::new("bob".into(), bob.key_set(), true, false)];
        let backup = Backup::new(&ann, "ann".into(), None, contacts, &mut rng);
        (ann, backup)
    }

    #[test]
    fn what_was_sealed_opens_with_the_passphrase_alone() {
        let (ann, backup) = backup();
        let file = backup.seal("correct horse", &mut rng()).unwrap();
        assert!(!file.windows(3).any(|window| window == b"bob"));
        let opened = Backup::open(&file, "correct horse").ok().unwrap();
        assert!(opened.identity().ok().unwrap().key_set() == ann.key_set());
        assert!(opened.name == "ann" && opened.contacts[0].name == "bob");
        assert!(opened.contacts[0].key_set() == backup.contacts[0].key_set());
        let error = |file: &[u8]| Backup::open(file, "correct horse").err();
        assert_eq!(
            Backup::open(&file, "correct house").err(),
            Some(BackupError::Passphrase)
        );
        let mut changed = file.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_eq!(error(&changed), Some(BackupError::Passphrase));
    }

    #[test]
    fn other_files_are_told_apart_in_words() {
        let (_, backup) = backup();
        assert_eq!(
            backup.seal("seven77", &mut rng()).err(),
            Some(BackupError::ShortPassphrase)
        );
        let file = backup.seal("correct horse", &mut rng()).unwrap();
        let error = |file: &[u8]| Backup::open(file, "correct horse").err();
        assert_eq!(error(b""), Some(BackupError::NoBackup));
        assert_eq!(error(b"a shopping list"), Some(BackupError::NoBackup));
        for end in [12, 13, 20, 40, 64, 600] {
            assert_eq!(error(&file[..end]), Some(BackupError::Truncated), "{end}");
        }
        let with = |at: usize, value: u8| {
            let mut changed = file.clone();
            changed[at] = value;
            error(&changed)
        };
        assert_eq!(with(12, 2), Some(BackupError::Newer));
        // A file that asks for 4 GiB is not obeyed.
        assert_eq!(with(13, 0xff), Some(BackupError::Content));
        assert_eq!(with(17, 0xff), Some(BackupError::Content));
        assert_eq!(with(21, 0xff), Some(BackupError::Content));
    }
}
