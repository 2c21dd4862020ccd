//! What one source file may not hold: too much, or names that belong elsewhere.

/// Lines of a file before its inline tests. Good codebases keep nine files of ten under this.
const BODY_LINES_MAX: usize = 600;

/// The only files in which `unsafe` may stand, each with its reason at the top of the file.
const UNSAFE_LEAVES: &[&str] = &[
    "media/src/codec/h264_rate.rs",
    "media/src/codec/vp8_library.rs",
];

/// `str0m` changes about once a month: beginnings of the paths that may name it.
const STR0M_FILES: &[&str] = &[
    "media/src/group_session",
    "media/src/session",
    "signalling/sfu/src/forward",
    "signalling/sfu/src/room",
];

/// What a pure crate may not name: the world outside, and the clock.
const WORLD: &[&str] = &[
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "SystemTime",
    "fs",
    "process",
    "thread",
    "env",
];

/// Everything wrong with one source file; `path` is relative to the root.
pub(super) fn source_faults(path: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = body(source).lines().count();
    if lines > BODY_LINES_MAX {
        faults.push(format!(
            "{path}: {lines} lines of body, at most {BODY_LINES_MAX}: split it where the ideas part"
        ));
    }
    let code = code(source);
    let names = |name: &str| words(&code).any(|word| word == name);
    if code.contains("#[ignore") {
        faults.push(format!(
            "{path}: an ignored test proves nothing: mend it or remove it"
        ));
    }
    if names("unsafe") && !UNSAFE_LEAVES.contains(&path) {
        faults.push(format!(
            "{path}: `unsafe` outside the named leaf files: take a safe wrapper"
        ));
    }
    let product = path.contains("src/");
    if product && names("str0m") && !STR0M_FILES.iter().any(|start| path.starts_with(start)) {
        faults.push(format!(
            "{path}: only the session, room and forwarding files name str0m"
        ));
    }
    // Known answers are read from files, by test code that has a file of its own.
    let is_test = path.ends_with("/tests.rs") || path.ends_with("/vectors.rs");
    if path.starts_with("proto/src/") && !is_test {
        faults.extend(world_faults(path, &self::code(body(source))));
    }
    if path.starts_with("signalling/relay/src/") || path.starts_with("signalling/sfu/src/") {
        faults.extend(server_faults(path, &code));
    }
    faults
}

fn world_faults(path: &str, code: &str) -> Vec<String> {
    let named =
        |outside: &str| code.contains(&format!("std::{outside}")) || names_type(code, outside);
    WORLD
        .iter()
        .filter(|outside| named(outside))
        .map(|outside| format!("{path}: {outside}: proto does no I/O and reads no clock"))
        .collect()
}

/// A type (capitalised) is found wherever it stands; a module only behind `std::`.
fn names_type(code: &str, name: &str) -> bool {
    name.starts_with(char::is_uppercase) && words(code).any(|word| word == name)
}

/// Servers and clients share `service`, and nothing else of `proto`.
fn server_faults(path: &str, code: &str) -> Vec<String> {
    let paths = code
        .match_indices("hullo_proto")
        .map(|(at, name)| code[at + name.len()..].trim_start());
    let others = paths.filter(|after| !after.starts_with("::service"));
    others
        .map(|_| {
            format!("{path}: a server names nothing of hullo_proto but `hullo_proto::service`")
        })
        .collect()
}

/// The lines before the first inline test module.
fn body(source: &str) -> &str {
    let mut offset = 0;
    let mut marked_at = None;
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        if text == "#[cfg(test)]" {
            marked_at = Some(offset);
        } else if let Some(start) = marked_at
            && !text.starts_with("#[")
        {
            if text.contains("mod ") && text.ends_with('{') {
                return &source[..start];
            }
            marked_at = None;
        }
        offset += line.len();
    }
    source
}

/// `source` with comments, strings and characters blanked out, so that only code is searched.
fn code(source: &str) -> String {
    let mut rest = source;
    let mut kept = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let skipped = comment_len(rest).or_else(|| literal_len(rest));
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if let Some(length) = skipped {
            kept.push(' ');
            rest = &rest[length..];
        } else {
            // A whole word at once: the `r` at the end of `for` begins no raw string.
            let length = word.max(first.len_utf8());
            kept.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    kept
}

fn comment_len(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let inside = text.strip_prefix("/*")?;
    Some(inside.find("*/").map_or(text.len(), |end| end + 4))
}

fn literal_len(text: &str) -> Option<usize> {
    if let Some(raw) = text.strip_prefix("br").or_else(|| text.strip_prefix('r')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = text.len() - raw.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            return Some(
                text[start..]
                    .find(&close)
                    .map_or(text.len(), |end| start + end + close.len()),
            );
        }
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut characters = text.char_indices().skip(1);
    if quote == '\'' {
        let (_, first) = characters.next()?;
        if first != '\\' {
            // `'a'` is a character, `'a` a lifetime.
            return characters
                .next()
                .filter(|&(_, c)| c == '\'')
                .map(|(at, _)| at + 1);
        }
        characters.next();
    }
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return Some(at + 1);
        }
    }
    Some(text.len())
}

pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

mod checker_finds_faults {
    use super::super::check;
    use super::*;

    #[test]
    fn in_sources() {
        let long = "\n".repeat(BODY_LINES_MAX + 1);
        let wrong = [
            ("app/src/x.rs", long.as_str()),
            ("app/src/x.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
            ("app/src/x.rs", "fn f<'a>(x: &'a u8) { unsafe { g(x) } }"),
            ("media/src/audio.rs", "use str0m::Rtc;"),
            ("proto/src/x.rs", "use std::net::UdpSocket;"),
            ("proto/src/x.rs", "fn f() { std::fs::read(x); }"),
            ("proto/src/x.rs", "use std::time::{Duration, SystemTime};"),
            (
                "signalling/relay/src/x.rs",
                "use hullo_proto::frame::Opener;",
            ),
            (
                "signalling/sfu/src/x.rs",
                "use hullo_proto::{frame, service};",
            ),
        ];
        for (path, source) in wrong {
            assert_eq!(source_faults(path, source).len(), 1, "{path}: {source:.60}");
        }
        let right = [
            ("media/src/session/rtc.rs", "use str0m::Rtc;"),
            (
                "media/src/audio.rs",
                "/* str0m */ // unsafe\nconst A: &str = \"str0m \\\" unsafe\"; const B: &str = r#\"str0m\"unsafe\"#;",
            ),
            (
                "media/src/audio.rs",
                "#![deny(unsafe_code)]\nconst QUOTE: char = '\"'; const ESCAPED: char = '\\''; // str0m",
            ),
            (
                "proto/src/x.rs",
                "use std::net::IpAddr; use std::time::Instant;\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}",
            ),
            (
                "signalling/relay/src/x.rs",
                "use hullo_proto::service::relay;",
            ),
        ];
        for (path, source) in right {
            check(&source_faults(path, source));
        }
    }

    #[test]
    fn in_bodies_only_before_inline_tests() {
        let tests = "\n".repeat(BODY_LINES_MAX + 1);
        check(&source_faults(
            "app/src/x.rs",
            &format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{tests}}}"),
        ));
        let early = format!("#[cfg(test)]\nuse a::b;\n#[cfg(test)]\nmod tests;\n{tests}");
        assert_eq!(
            source_faults("app/src/x.rs", &early).len(),
            1,
            "neither ends the body"
        );
    }
}
