//! Strikes out of a line what must stand in no log: addresses, keys, ids, links.

use std::net::{IpAddr, SocketAddr};

/// What stands in place of what was struck out.
const STRUCK: &str = "[...]";
/// Shortest run of letters and digits that is taken for a key or an id: no word is as long.
const KEY_CHARACTERS_MIN: usize = 22;
/// Length of the short id of a key set.
const SHORT_ID_CHARACTERS: usize = 8;

/// The line without what must not stand in it.
#[must_use]
pub fn redacted(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut token = String::new();
    for character in line.chars() {
        let is_part = character.is_alphanumeric() || ".:-_[]/#=+%@".contains(character);
        if is_part {
            token.push(character);
        } else {
            clean.push_str(&of_token(&token));
            token.clear();
            clean.push(character);
        }
    }
    clean + &of_token(&token)
}

/// The token, or what stands for it.
fn of_token(token: &str) -> String {
    let core = token.trim_matches(|c: char| ".:-_[]/#=+%@".contains(c));
    if core.is_empty() {
        return token.to_owned();
    }
    let whole = token.trim_end_matches(['.', ':']);
    let is_link = token.contains("hullo:") || token.contains("://");
    if is_link || is_address(whole) || is_address(core) || is_spoken_code(core) {
        return STRUCK.to_owned();
    }
    let parts = core.split(|c: char| ".:/#=@[]%".contains(c));
    if parts.into_iter().any(is_secret) {
        return STRUCK.to_owned();
    }
    token.to_owned()
}

fn is_address(text: &str) -> bool {
    // The interface of a link-local address.
    let text = text.split('%').next().unwrap_or(text);
    let without_port = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let is_v6_part = text.matches(':').count() >= 2
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || ":.[]%".contains(c));
    text.parse::<IpAddr>().is_ok()
        || text.parse::<SocketAddr>().is_ok()
        || without_port.parse::<IpAddr>().is_ok()
        || is_v6_part
}

/// `7314-orbit-velvet`: it lets a stranger in while it stands.
fn is_spoken_code(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = parts.next().unwrap_or("");
    let words: Vec<&str> = parts.collect();
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
    is_number && words.len() == 2 && words.iter().all(is_word)
}

/// Whether this looks like a key or an id in base64, hexadecimal or base32.
fn is_secret(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_ascii_alphanumeric());
    let is_code = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c));
    let has_digit = text.chars().any(|c| c.is_ascii_digit());
    let has_both =
        letters().any(|c| c.is_ascii_uppercase()) && letters().any(|c| c.is_ascii_lowercase());
    let is_key = is_code && letters().count() >= KEY_CHARACTERS_MIN && (has_digit || has_both);
    let is_short_id = text.len() == SHORT_ID_CHARACTERS
        && text.chars().all(|c| matches!(c, 'A'..='Z' | '2'..='7'));
    is_key || is_short_id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_must_not_be_logged_is_struck_out() {
        for secret in [
            "192.0.2.7",
            "192.0.2.7:4433",
            "2001:db8::1",
            "[2001:db8::1]:4433",
            "fe80::1%eth0",
            "hullo:AbCdEf123",
            "https://call.example.org:4433/#pin=abc",
            "ABCDEFG2",
            "7314-orbit-velvet",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ] {
            for line in [
                secret.to_owned(),
                format!("reached {secret}."),
                format!("from: \"{secret}\", again"),
                format!("Some({secret})"),
            ] {
                let clean = redacted(&line);
                assert!(!clean.contains(secret), "{line} -> {clean}");
                assert!(clean.contains(STRUCK), "{line} -> {clean}");
            }
        }
    }

    #[test]
    fn words_and_figures_stay() {
        for line in [
            "the camera is open: 640x360 at 30.0 fps, best: MJPEG",
            "a conversation could not be read: database is locked (5)",
            "thread: \"audio-encode\", took 1.5 ms",
        ] {
            assert_eq!(redacted(line), line);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_taken_and_addresses_never_stay(before in ".{0,40}", parts in any::<[u8; 4]>()) {
            let address = std::net::Ipv4Addr::from(parts).to_string();
            let clean = redacted(&format!("{before} {address} after"));
            let needle = format!(" {address} ");
            prop_assert!(!clean.contains(&needle));
        }
    }
}
