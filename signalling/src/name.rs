//! What people are called: short, printable, on one line.

/// Longest name in bytes: a roster column and a banner must hold it.
pub const NAME_BYTES_MAX: usize = 64;

/// The name as it may be shown and stored, or `None` when nothing of it is left.
///
/// Names come from strangers: control characters, line breaks and the marks that turn writing direction around go,
/// runs of white space become one space, and what is over [`NAME_BYTES_MAX`] is cut.
pub fn clean(name: &str) -> Option<String> {
    let unwanted = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    // White space first: some of it is also control characters, and must still part words.
    let words: Vec<String> = (name.split_whitespace())
        .map(|word| word.chars().filter(|c| !unwanted(c)).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    let mut clean = words.join(" ");
    clean.truncate(clean.floor_char_boundary(NAME_BYTES_MAX));
    let clean = clean.trim_end();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// `name`, or `name-2`, `name-3`, …: the first that is not `taken`.
pub(crate) fn unique<E>(
    name: &str,
    mut taken: impl FnMut(&str) -> Result<bool, E>,
) -> Result<String, E> {
    let mut candidate = name.to_owned();
    let mut number = 2u64;
    // Ends: there are finitely many contacts, and every round tries another name.
    while taken(&candidate)? {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    Ok(candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_cleaned() {
        assert_eq!(
            clean("  Ann\tof\n Green\u{7} Gables ").as_deref(),
            Some("Ann of Green Gables")
        );
        assert_eq!(clean("bob\u{202e}gpj").as_deref(), Some("bobgpj"));
        assert_eq!(clean(" \u{200b}\n"), None);
        assert_eq!(clean(&"é".repeat(50)).map(|name| name.len()), Some(64));
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let taken = |name: &str| Ok::<_, ()>(["bob", "bob-2"].contains(&name));
        assert_eq!(unique("bob", taken), Ok("bob-3".to_owned()));
        assert_eq!(unique("ann", taken), Ok("ann".to_owned()));
    }

    proptest! {
        #[test]
        fn a_clean_name_is_short_one_line_and_stays(name in any::<String>()) {
            if let Some(cleaned) = clean(&name) {
                prop_assert!(cleaned.len() <= NAME_BYTES_MAX && !cleaned.chars().any(char::is_control));
                prop_assert_eq!(clean(&cleaned), Some(cleaned.clone()));
            }
        }
    }
}
