//! The wish not to be seen, found in a text that is not understood: misspelt, or beside a slip elsewhere.

/// The letters of the name.
const NAME: &[u8] = b"relayonly";
/// Letters missing, wrong or too many that still leave it the name.
const SLIPS_MAX: usize = 2;

/// Whether anything in a text that is not understood is named like `relay_only` and does not plainly say `false`. Nul
/// characters are those of UTF-16.
pub(super) fn asks_for_relay_only(text: &str) -> bool {
    let text = text.replace('\0', "").to_ascii_lowercase();
    text.split(['\n', '\r']).any(|line| {
        let said = line.split('#').next().unwrap_or("");
        // Settings may stand beside each other in one line, inside braces.
        said.split(['{', '}', ',']).any(asks)
    })
}

/// Whether one setting does. Without `=` or `:` its last word may be the value, or all of it the name.
fn asks(setting: &str) -> bool {
    let setting = setting.trim();
    if let Some((key, value)) = setting.split_once(['=', ':']) {
        return is_name(key) && !is_false(value);
    }
    let parts = setting.rsplit_once(char::is_whitespace);
    is_name(setting) || parts.is_some_and(|(key, value)| is_name(key) && !is_false(value))
}

fn is_false(value: &str) -> bool {
    value.trim_matches(|c: char| c.is_whitespace() || "=:\"'".contains(c)) == "false"
}

/// By its letters alone, and whatever table it is put into with a dot.
fn is_name(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    let letters = |key: &str| -> Vec<u8> {
        let letters = key.bytes().filter(u8::is_ascii_lowercase);
        letters.take(NAME.len() + SLIPS_MAX + 1).collect()
    };
    slips(&letters(last)) <= SLIPS_MAX || slips(&letters(key)) <= SLIPS_MAX
}

/// Letters to add, drop or change until these are the name (Levenshtein).
fn slips(letters: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=NAME.len()).collect();
    for (above, letter) in letters.iter().enumerate() {
        let mut before = above;
        row[0] = above + 1;
        for (column, wanted) in NAME.iter().enumerate() {
            let changed = before + usize::from(letter != wanted);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[NAME.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_still_the_wish() {
        for text in [
            "relay_only = true",
            "relayonly = true",
            "relay_onlyy = true",
            "relay only",
            "relay only = true",
            "relay-only true",
            "relay_onyl = true",
            "rely_only: 1",
            "Relay.Only = yes",
            "calls.relay_only = true",
            "calls = { noise = 1, relay_only = true }",
            "\"relay only\" = \"on\"",
            "relayonly = \"true\"",
            "relay_only =",
        ] {
            assert!(asks_for_relay_only(text), "{text}");
        }
        for text in [
            "relayonly = false",
            "relay only: \"false\"",
            "relay only false",
            "# relayonly = true",
            "relay = true",
            "only = true",
            "relay_only_not = true",
            "stun = [\"stun:relay.example\"]",
            "",
        ] {
            assert!(!asks_for_relay_only(text), "{text}");
        }
    }
}
