//! Text messages on the wire: the `x.msg.new` of the SimpleX chat protocol.
//!
//! ```json
//! {"v":"1","msgId":"<base64url>","event":"x.msg.new","params":{"content":{"type":"text","text":"hello"}}}
//! ```
//!
//! Texts come from outside and go to a terminal: nothing that a terminal would obey is kept. Pictures, files and other
//! kinds of content, which this program cannot show, are taken as the words that came with them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};

/// Longest text sent, in bytes. JSON may double it, and a chat message may have 15,602 bytes in all.
pub const TEXT_BYTES_MAX: usize = 7_500;

/// Longest id of a message that is remembered: those of SimpleX have 16 characters.
const MESSAGE_ID_BYTES_MAX: usize = 64;
/// Longest name of a kind of content, in characters: `image`, `voice`, `file`.
const KIND_CHARS_MAX: usize = 16;
const EVENT: &str = "x.msg.new";

#[derive(Serialize)]
struct Out<'a> {
    v: &'static str,
    #[serde(rename = "msgId")]
    message_id: &'a str,
    event: &'static str,
    params: ParamsOut<'a>,
}

#[derive(Serialize)]
struct ParamsOut<'a> {
    content: ContentOut<'a>,
}

#[derive(Serialize)]
struct ContentOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Deserialize)]
struct In {
    event: String,
    #[serde(rename = "msgId")]
    message_id: Option<String>,
    params: ParamsIn,
}

#[derive(Deserialize)]
struct ParamsIn {
    content: ContentIn,
}

#[derive(Deserialize)]
struct ContentIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// A text as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TextMessage {
    /// The sender's name for it, the same when it comes again.
    pub(crate) id: Option<String>,
    /// Clean and not empty.
    pub(crate) text: String,
}

/// The id of a message with these random bytes.
pub(crate) fn id(bytes: [u8; 12]) -> String {
    URL_SAFE.encode(bytes)
}

/// The payload of a text of at most [`TEXT_BYTES_MAX`].
pub(crate) fn write(id: &str, text: &str) -> Vec<u8> {
    let message = Out {
        v: "1",
        message_id: id,
        event: EVENT,
        params: ParamsOut {
            content: ContentOut { kind: "text", text },
        },
    };
    serde_json::to_vec(&message).expect("strings always have a JSON form")
}

/// The text in a payload; `None` when it holds none.
pub(crate) fn parse(payload: &[u8]) -> Option<TextMessage> {
    let message: In = serde_json::from_slice(payload).ok()?;
    if message.event != EVENT {
        return None;
    }
    let content = message.params.content;
    let words = clean(&content.text);
    let text = if matches!(content.kind.as_str(), "text" | "link") {
        words?
    } else {
        let kind: String = one_line(&content.kind)
            .chars()
            .take(KIND_CHARS_MAX)
            .collect();
        let words = words.unwrap_or_default();
        format!("[{kind}] {words}").trim_end().to_owned()
    };
    let id = message
        .message_id
        .filter(|id| !id.is_empty() && id.len() <= MESSAGE_ID_BYTES_MAX);
    Some(TextMessage { id, text })
}

/// The text as it may be shown and stored: line feeds stay, tabs become blanks, everything else that a terminal obeys
/// or that turns writing around goes. `None` when nothing of it is left.
pub fn clean(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let unwanted = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let clean: String = (text.chars())
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !unwanted(c))
        .collect();
    let clean = clean.trim_end().trim_start_matches('\n');
    (!clean.trim().is_empty()).then(|| clean.to_owned())
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    let clean = clean(text).unwrap_or_default();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_simplex_is_read() {
        let json = br#"{"v":"1-19","msgId":"AAECAwQFBgcICQoL","event":"x.msg.new","params":{"content":{"text":"hello\nthere","type":"text"},"ttl":5}}"#;
        let message = parse(json).expect("a text");
        assert_eq!(message.id.as_deref(), Some("AAECAwQFBgcICQoL"));
        assert_eq!(message.text, "hello\nthere");
    }

    #[test]
    fn what_cannot_be_shown_is_told_in_words() {
        let json = |kind: &str, text: &str| {
            format!(
                r#"{{"event":"x.msg.new","params":{{"content":{{"type":"{kind}","text":"{text}"}}}}}}"#
            )
        };
        let text = |kind, words| parse(json(kind, words).as_bytes()).map(|message| message.text);
        assert_eq!(text("image", "a cat").as_deref(), Some("[image] a cat"));
        assert_eq!(text("voice", "").as_deref(), Some("[voice]"));
        assert_eq!(text("link", "see").as_deref(), Some("see"));
        assert_eq!(text("text", " \\n"), None);
    }

    #[test]
    fn other_events_and_garbage_are_no_texts() {
        for json in [
            &b""[..],
            b"{}",
            b"\xff",
            br#"{"event":"x.call.end","params":{"callId":"x"}}"#,
            br#"{"event":"x.msg.new","params":{}}"#,
            br#"{"event":"x.msg.new","params":{"content":"x"}}"#,
        ] {
            assert!(parse(json).is_none());
        }
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{7}\u{9b}31m\u{202e}c\td\r\ne").as_deref(),
            Some("a[2Jb31mc d\ne")
        );
        assert_eq!(clean("\u{1b}\u{200f}\n\n"), None);
        // A family of emoji is held together by joiners.
        assert_eq!(clean("👩\u{200d}👧").as_deref(), Some("👩\u{200d}👧"));
    }

    #[test]
    fn the_longest_text_fits_a_message() {
        for text in [
            "\"".repeat(TEXT_BYTES_MAX),
            "\n".repeat(TEXT_BYTES_MAX - 1) + "x",
            "é".repeat(TEXT_BYTES_MAX / 2),
        ] {
            assert!(write(&id([255; 12]), &text).len() <= hullo_proto::call::MESSAGE_BYTES_MAX);
        }
    }

    proptest! {
        #[test]
        fn any_payload_is_a_clean_text_or_none(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse(&payload).is_none_or(|message| clean(&message.text) == Some(message.text)));
        }

        #[test]
        fn what_was_written_is_read(text in any::<String>(), bytes: [u8; 12]) {
            if let Some(text) = clean(&text) {
                prop_assert!(clean(&text).as_deref() == Some(text.as_str()));
                let message = parse(&write(&id(bytes), &text)).expect("our own");
                prop_assert_eq!(message.id, Some(id(bytes)));
                prop_assert!(message.text == text);
            }
        }
    }
}
