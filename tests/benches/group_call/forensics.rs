//! Looks for secrets where they must not be: in the memory of a process, in what went over the wire.
//!
//! No program has a switch that gives its keys away, not even for this: a sender's media key is found in that sender's
//! own memory by trying what lies there on a frame it sealed. The same search in the memory of the server then means
//! something, since it is known to find what is there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use hullo_proto::group::key::{GroupCallKeyHash, MediaKey};
use hullo_proto::group::media_frame::{FrameCipher, Sealed, Track};

/// Length of a run that counts as found.
const RUN_BYTES: usize = 16;
/// A run with fewer different bytes may be anywhere by chance: zeros, text, silence.
const DIFFERENT_MIN: usize = 11;
/// A key has hardly fewer different bytes among its 32: one of a million.
const KEY_DIFFERENT_MIN: usize = 22;
/// Allocators align what they give out so.
const ALIGNMENT: usize = 8;
/// Mappings larger than this are no heap of these programs.
const MAPPING_BYTES_MAX: u64 = 1 << 30;

/// Everything a process has in writable memory, mapping after mapping.
///
/// # Errors
/// The process is gone, or not ours to look into.
pub(crate) fn memory_of(process: u32) -> io::Result<Vec<Vec<u8>>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut mappings = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((from, to)) = range.split_once('-') else {
            continue;
        };
        let address = |text| u64::from_str_radix(text, 16).map_err(io::Error::other);
        let (from, to) = (address(from)?, address(to)?);
        if !rights.starts_with("rw") || to - from > MAPPING_BYTES_MAX {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
        // Some mappings of the kernel's cannot be read; they hold nothing of the program's.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            mappings.push(bytes);
        }
    }
    Ok(mappings)
}

/// The media key that sealed this frame, out of what lies in a process's memory.
pub(crate) fn find_media_key(
    mappings: &[Vec<u8>],
    hash: &GroupCallKeyHash,
    track: Track,
    sealed: &[u8],
) -> Option<[u8; 32]> {
    let sealed = Sealed::parse(track.codec(), sealed).ok()?;
    let mut tried = HashSet::new();
    for mapping in mappings {
        for window in mapping.windows(32).step_by(ALIGNMENT) {
            let bytes: [u8; 32] = window.try_into().ok()?;
            if different(&bytes) < KEY_DIFFERENT_MIN || !tried.insert(bytes) {
                continue;
            }
            let key = MediaKey::from_bytes(bytes).frame_key(hash);
            if FrameCipher::new(&key).open(&sealed).is_ok() {
                return Some(bytes);
            }
        }
    }
    None
}

/// Runs of 16 bytes to look for.
#[derive(Default)]
pub(crate) struct Runs(HashSet<[u8; RUN_BYTES]>);

impl Runs {
    /// Adds every run of these bytes that is no chance.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for window in bytes.windows(RUN_BYTES) {
            if different(window) >= DIFFERENT_MIN
                && let Ok(run) = window.try_into()
            {
                self.0.insert(run);
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many places of `bytes` hold one.
    pub(crate) fn count_in(&self, bytes: &[u8]) -> usize {
        let is_run = |window: &&[u8]| {
            let run: Result<[u8; RUN_BYTES], _> = (**window).try_into();
            run.is_ok_and(|run| self.0.contains(&run))
        };
        bytes.windows(RUN_BYTES).filter(is_run).count()
    }
}

fn different(bytes: &[u8]) -> usize {
    let mut seen = [0_u64; 4];
    for byte in bytes {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|bits| bits.count_ones() as usize).sum()
}
