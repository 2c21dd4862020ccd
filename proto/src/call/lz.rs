//! LZString in its base64 form, as session descriptions and candidates travel in `x.call.*` messages.
//!
//! The compression is that of the `lz-str` crate. Here is what the crate leaves open: its decompressor has no limit (a
//! few kilobytes unfold to a gigabyte), skips characters outside the alphabet, and its compressor writes one `=` too
//! many.

/// Longest compressed text taken, in characters: four times the longest message a channel carries.
const COMPRESSED_BYTES_MAX: usize = 64 * 1024;

/// Longest text unfolded, in UTF-16 units: eight times the longest session description taken.
const UNITS_MAX: usize = 256 * 1024;

/// Why a compressed text cannot be read: the sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LzError {
    /// Longer than 65,536 characters compressed or 262,144 UTF-16 units unfolded.
    #[error("the compressed text is too long")]
    TooLong,
    /// A character outside the base64 alphabet.
    #[error("the compressed text holds a character that is not base64")]
    Alphabet,
    /// The codes do not form a text, or end early.
    #[error("the compressed text is damaged")]
    Damaged,
    /// The result is not Unicode.
    #[error("the compressed text does not unfold to Unicode")]
    NotUnicode,
}

/// LZString `compressToBase64`.
pub(super) fn compress(text: &str) -> String {
    let mut compressed = lz_str::compress_to_base64(text);
    let length = compressed.trim_end_matches('=').len();
    compressed.truncate(length);
    let padded = length.next_multiple_of(4);
    compressed.extend(std::iter::repeat_n('=', padded - length));
    compressed
}

/// LZString `decompressFromBase64`, bounded.
///
/// # Errors
/// See [`LzError`].
pub(super) fn decompress(compressed: &str) -> Result<String, LzError> {
    if compressed.len() > COMPRESSED_BYTES_MAX {
        return Err(LzError::TooLong);
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if !compressed.bytes().all(is_base64) {
        return Err(LzError::Alphabet);
    }
    // The crate unfolds whatever it is given, so the length is counted first.
    check_length(compressed)?;
    let units = lz_str::decompress_from_base64(compressed).ok_or(LzError::Damaged)?;
    String::from_utf16(&units).map_err(|_| LzError::NotUnicode)
}

/// Walks the codes with a dictionary of lengths alone, and stops where the text would be too long.
fn check_length(compressed: &str) -> Result<(), LzError> {
    let mut bits = Bits {
        characters: compressed.bytes(),
        value: 0,
        left: 0,
    };
    match bits.read(2)? {
        0 => bits.read(8)?,
        1 => bits.read(16)?,
        2 => return Ok(()),
        _ => return Err(LzError::Damaged),
    };
    // Codes 0, 1 and 2 announce a new 8-bit unit, a new 16-bit unit and the end; then the first unit itself.
    let mut lengths = vec![1_usize; 4];
    let mut previous = 1;
    let mut total = 1;
    let mut width = 3;
    let mut until_wider: u64 = 4;
    loop {
        let mut code = bits.read(width)? as usize;
        if code == 2 {
            return Ok(());
        }
        if code < 2 {
            bits.read(8 + 8 * code as u32)?;
            code = lengths.len();
            lengths.push(1);
            widen(&mut width, &mut until_wider);
        }
        let length = match lengths.get(code) {
            Some(length) => *length,
            None if code == lengths.len() => previous + 1,
            None => return Err(LzError::Damaged),
        };
        total += length;
        if total > UNITS_MAX {
            return Err(LzError::TooLong);
        }
        lengths.push(previous + 1);
        widen(&mut width, &mut until_wider);
        previous = length;
    }
}

/// Counts one dictionary entry; codes grow by a bit whenever their range is used up.
fn widen(width: &mut u32, until_wider: &mut u64) {
    *until_wider -= 1;
    if *until_wider == 0 {
        *until_wider = 1 << *width;
        *width += 1;
    }
}

/// Bits of a base64 text: each character's six from the top, numbers from their lowest bit.
struct Bits<I> {
    characters: I,
    value: u8,
    left: u32,
}

impl<I: Iterator<Item = u8>> Bits<I> {
    fn read(&mut self, count: u32) -> Result<u32, LzError> {
        let mut number = 0;
        for bit in 0..count {
            if self.left == 0 {
                self.value = sextet(self.characters.next().ok_or(LzError::Damaged)?);
                self.left = 6;
            }
            self.left -= 1;
            number |= u32::from(self.value >> self.left & 1) << bit;
        }
        Ok(number)
    }
}

/// The six bits of a base64 character; padding counts as zeros.
fn sextet(character: u8) -> u8 {
    match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        json: String,
        base64: String,
    }

    #[test]
    fn texts_agree_with_the_reference_library_both_ways() {
        let text = include_str!("../../vectors/simplex-lzstring-vectors.json");
        let vectors: Vectors = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.vectors.len(), 17);
        for vector in vectors.vectors {
            assert_eq!(compress(&vector.json), vector.base64);
            assert_eq!(decompress(&vector.base64), Ok(vector.json));
        }
    }

    #[test]
    fn a_text_of_the_greatest_length_unfolds_and_one_more_unit_does_not() {
        let text = "a".repeat(UNITS_MAX);
        assert!(decompress(&compress(&text)) == Ok(text.clone()));
        let bomb = compress(&(text + "a"));
        assert!(bomb.len() < 2_500, "{}", bomb.len());
        assert_eq!(decompress(&bomb), Err(LzError::TooLong));
        assert_eq!(
            decompress(&"A".repeat(COMPRESSED_BYTES_MAX + 1)),
            Err(LzError::TooLong)
        );
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(decompress("N4Ig zg"), Err(LzError::Alphabet));
        assert_eq!(decompress(""), Err(LzError::Damaged));
        assert_eq!(decompress("////"), Err(LzError::Damaged));
        let mut cut = compress("a session description of some length");
        cut.truncate(12);
        assert_eq!(decompress(&cut), Err(LzError::Damaged));
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".{0,300}") {
            prop_assert_eq!(decompress(&compress(&text)), Ok(text));
        }

        #[test]
        fn any_characters_never_panic(text in "[A-Za-z0-9+/=]{0,400}", other in ".{0,40}") {
            for text in [text, other] {
                if let Ok(unfolded) = decompress(&text) {
                    prop_assert!(unfolded.len() <= 3 * UNITS_MAX);
                }
            }
        }
    }
}
