//! 2,048 words to be said aloud: 11 bits each, in spoken codes and where two people compare what they have.
//!
//! The list is BIP-39's, see `words/README.md`: common words, told apart by their first four letters.

use std::sync::LazyLock;

use crate::hash::hash;
use crate::identity::{KEY_SET_BYTES, KeySet};

/// Words in the list.
pub const COUNT: u16 = 2048;
/// Bits in a word.
const BITS: usize = 11;
/// As many letters tell a word from all others.
const PREFIX_LETTERS: usize = 4;
/// Words two people compare while both are there: 44 bits, tried once.
pub const COMPARED: usize = 4;
/// Words compared with time to search for others that look alike: 132 bits.
pub const SAFETY: usize = 12;

static LIST: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("words/english.txt").lines().collect());

/// One word. Indices at or over [`COUNT`] begin again.
pub fn word(index: u16) -> &'static str {
    LIST[usize::from(index % COUNT)]
}

/// The index of a word, in any case, or of its first four letters or more.
pub fn find(text: &str) -> Option<u16> {
    let text = text.to_ascii_lowercase();
    let at = match LIST.binary_search(&text.as_str()) {
        Ok(at) => at,
        Err(at) if text.len() >= PREFIX_LETTERS && LIST.get(at)?.starts_with(&text) => at,
        Err(_) => return None,
    };
    u16::try_from(at).ok()
}

/// The first `N` words that `bits` spell.
fn spell<const N: usize>(bits: &[u8; 32]) -> [&'static str; N] {
    const { assert!(N * BITS <= 256) };
    std::array::from_fn(|place| {
        let index = (place * BITS..(place + 1) * BITS).fold(0, |index, bit| {
            index << 1 | u16::from(bits[bit / 8] >> (7 - bit % 8) & 1)
        });
        word(index)
    })
}

/// What two people read to one another over any way they trust, today or in a year: 132 bits of both whole key sets,
/// the same on both sides.
pub fn safety_words(one: &KeySet, other: &KeySet) -> [&'static str; SAFETY] {
    spell(&hash(b"hullo-safety", &both(one, other)))
}

/// The four words of one exchange of nonces ([`crate::compare`]), the same on both sides.
pub(crate) fn compared_words(
    one: &KeySet,
    other: &KeySet,
    nonces: &[[u8; 32]; 2],
) -> [&'static str; COMPARED] {
    spell(&hash(
        b"hullo-words",
        &[&both(one, other)[..], &nonces.concat()].concat(),
    ))
}

/// Both key sets, the smaller one first.
fn both(one: &KeySet, other: &KeySet) -> [u8; 2 * KEY_SET_BYTES] {
    let mut sets = [one.to_bytes(), other.to_bytes()];
    sets.sort_unstable();
    let mut both = [0; 2 * KEY_SET_BYTES];
    both[..KEY_SET_BYTES].copy_from_slice(&sets[0]);
    both[KEY_SET_BYTES..].copy_from_slice(&sets[1]);
    both
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::identity::Identity;

    #[test]
    fn the_list_is_whole_sorted_and_told_apart_by_four_letters() {
        assert_eq!(LIST.len(), usize::from(COUNT));
        assert!(LIST.is_sorted());
        let prefix = |word: &'static str| &word[..word.len().min(PREFIX_LETTERS)];
        assert!(
            LIST.windows(2)
                .all(|pair| prefix(pair[0]) != prefix(pair[1]))
        );
    }

    #[test]
    fn words_are_found_by_themselves_and_by_their_beginning() {
        for index in 0..COUNT {
            assert_eq!(find(word(index)), Some(index));
            let long = &word(index)[..word(index).len().min(PREFIX_LETTERS)];
            assert_eq!(find(&long.to_uppercase()), Some(index));
        }
        assert_eq!(find("velv"), find("velvet"));
        for wrong in ["", "v", "vel", "velvets", "qqqq", "zzzz", "é", "velvet "] {
            assert_eq!(find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bits_are_spelled_from_the_front() {
        let mut bits = [0; 32];
        bits[0] = 0xff;
        bits[1] = 0xe0;
        bits[2] = 0x04;
        // 11 ones, then 0b00000000001.
        assert_eq!(spell::<3>(&bits), ["zoo", "ability", "abandon"]);
    }

    #[test]
    fn both_sides_say_the_same_and_others_say_something_else() {
        let [ann, bob, cat] =
            [1, 2, 3].map(|seed| Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)));
        let words = safety_words(ann.key_set(), bob.key_set());
        assert_eq!(words, safety_words(bob.key_set(), ann.key_set()));
        assert_ne!(words, safety_words(ann.key_set(), cat.key_set()));
        let nonces = [[1; 32], [2; 32]];
        let compared = compared_words(ann.key_set(), bob.key_set(), &nonces);
        assert_eq!(
            compared,
            compared_words(bob.key_set(), ann.key_set(), &nonces)
        );
        assert_ne!(
            compared,
            compared_words(ann.key_set(), bob.key_set(), &[[1; 32], [3; 32]])
        );
    }
}
