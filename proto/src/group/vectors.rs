//! Known answers: every value of `vectors/groupcall-vectors.json`, and of any file of that
//! format named by `HULLO_VECTORS`, is computed again here.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot read its answers must fail"
)]

mod handshake;

use serde_json::Value;

use super::id::{CallId, GroupId, Identity, ParticipantId};
use super::key::{
    AdministratorKey, ClientKey, GroupCallKey, GroupCallKeyHash, MediaKey, PublicKey, StateKey,
    blake2b,
};
use super::media_frame::{Codec, Footer, FrameCipher, Sealed, Track};
use super::media_receiver::MediaReceiver;
use super::mid::{ALPHABET, Mids, PARTICIPANT_ID_MAX, PER_PARTICIPANT};
use super::wire::{CallState, SentKey};

type Check = Result<(), String>;

/// A section's name with what computes it again.
type Section = (&'static str, fn(&Value) -> Check);

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/vectors/groupcall-vectors.json"
);

/// BLAKE2b (32 bytes, personal `3ma-call`) of that file. X25519 ignores five bits of a secret key, so a change there
/// gives the same key and shows in nothing that is computed; here it shows.
const DIGEST: &str = "87d3e8affff143cf65b249edbd831417aab1930a605642c2b9b61d550be5e0d3";

/// Each section with what computes it again.
const SECTIONS: [Section; 8] = [
    ("call_id_upstream", |v| each(v, call_id)),
    ("call_id", |v| each(v, call_id)),
    ("key_derivation", |v| each(v, key_derivation)),
    ("gcnhak", |v| each(v, gcnhak)),
    ("handshake", handshake::normal),
    ("call_state", |v| each(v, call_state)),
    ("frames", |v| each(v, frame)),
    ("mids", mids),
];

/// Leaves that are prose: nothing can be computed from them.
const PROSE: [&str; 2] = ["about", "source"];

#[test]
fn the_repository_s_file_matches() {
    check_file(FILE).unwrap();
}

#[test]
fn the_repository_s_file_is_the_published_one() {
    let digest = blake2b(None, b"", &[&std::fs::read(FILE).unwrap()]);
    assert_eq!(CallId::from_bytes(*digest).to_hex(), DIGEST);
}

#[test]
fn the_file_named_by_the_environment_matches() {
    if let Ok(path) = std::env::var("HULLO_VECTORS") {
        check_file(&path).unwrap();
    }
}

#[test]
fn a_missing_or_empty_file_fails() {
    assert!(check_file("vectors/there-is-no-such-file.json").is_err());
    for text in ["", "{}", "[]", "null", "{\"call_id\": []}"] {
        assert!(check_text(text).is_err(), "{text}");
    }
}

#[test]
fn a_missing_or_empty_section_fails() {
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let sections: Vec<_> = whole
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| *key != "about")
        .cloned()
        .collect();
    assert_eq!(sections.len(), SECTIONS.len() + 1);
    for section in sections {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(&section);
        assert!(check_value(&lacking).is_err(), "without {section}");
        lacking[&section] = Value::Array(Vec::new());
        assert!(check_value(&lacking).is_err(), "with an empty {section}");
    }
}

/// Every leaf is changed in three places, one after the other; each change must be noticed.
#[test]
fn one_altered_byte_in_any_value_fails() {
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let mut altered = 0;
    for section in whole
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !PROSE.contains(&key.as_str()))
    {
        let mut paths = Vec::new();
        leaves(&whole[section], &mut String::new(), &mut paths);
        for path in paths {
            for change in changes(whole[section].pointer(&path).unwrap()) {
                let mut copy = whole.clone();
                *copy[section].pointer_mut(&path).unwrap() = change;
                assert!(
                    check_section(&copy, section).is_err(),
                    "{section}{path} was altered and nobody noticed"
                );
                altered += 1;
            }
        }
    }
    assert!(altered > 1_000, "only {altered} alterations");
}

fn leaves(value: &Value, path: &mut String, found: &mut Vec<String>) {
    let descend = |key: &str, inner: &Value, path: &mut String, found: &mut Vec<String>| {
        let len = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        leaves(inner, path, found);
        path.truncate(len);
    };
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !PROSE.contains(&key.as_str()))
            .for_each(|(key, inner)| descend(key, inner, path, found)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, inner)| descend(&index.to_string(), inner, path, found));
        }
        _ => found.push(path.clone()),
    }
}

fn changes(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Number(number) => vec![Value::from(number.as_u64().unwrap() ^ 1)],
        Value::String(text) => {
            let mut places = vec![0, text.len() / 2, text.len().saturating_sub(1)];
            places.dedup();
            let change = |place: usize| {
                let mut bytes = text.clone().into_bytes();
                match bytes.get_mut(place) {
                    Some(byte) => *byte = if *byte == b'0' { b'1' } else { b'0' },
                    None => bytes.push(b'0'),
                }
                Value::String(String::from_utf8(bytes).unwrap())
            };
            places.into_iter().map(change).collect()
        }
        other => panic!("unexpected leaf {other}"),
    }
}

fn check_file(path: &str) -> Check {
    check_text(&std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?)
}

fn check_text(text: &str) -> Check {
    check_value(&serde_json::from_str(text).map_err(|error| error.to_string())?)
}

fn check_value(whole: &Value) -> Check {
    for (section, _) in SECTIONS {
        check_section(whole, section)?;
    }
    check_section(whole, "guest_handshake")
}

fn check_section(whole: &Value, section: &str) -> Check {
    let value = whole
        .get(section)
        .ok_or(format!("section `{section}` is missing"))?;
    let check = match SECTIONS.iter().find(|(name, _)| *name == section) {
        Some((_, check)) => check(value),
        // Its keys stand in the section before it.
        None => handshake::guest(
            value,
            whole
                .get("handshake")
                .ok_or("section `handshake` is missing")?,
        ),
    };
    check.map_err(|error| format!("{section}: {error}"))
}

fn each(list: &Value, check: fn(&Value) -> Check) -> Check {
    let list = list
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or("no entries")?;
    list.iter()
        .enumerate()
        .try_for_each(|(index, entry)| check(entry).map_err(|error| format!("{index}: {error}")))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .ok_or(format!("`{key}` is no text"))
}

fn number<T: TryFrom<u64>>(value: &Value, key: &str) -> Result<T, String> {
    let number = value
        .get(key)
        .and_then(Value::as_u64)
        .ok_or(format!("`{key}` is no number"))?;
    T::try_from(number).map_err(|_| format!("`{key}` is out of range"))
}

fn bytes(value: &Value, key: &str) -> Result<Vec<u8>, String> {
    let digits = text(value, key)?;
    let wrong = || format!("`{key}` is not lower-case hex");
    if !digits
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        || digits.len() % 2 != 0
    {
        return Err(wrong());
    }
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong());
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn array<const N: usize>(value: &Value, key: &str) -> Result<[u8; N], String> {
    bytes(value, key)?
        .try_into()
        .map_err(|_| format!("`{key}` does not have {N} bytes"))
}

fn same(value: &Value, key: &str, computed: &[u8]) -> Check {
    if bytes(value, key)? == computed {
        Ok(())
    } else {
        Err(format!("`{key}` differs"))
    }
}

fn ensure(condition: bool, what: &str) -> Check {
    if condition {
        Ok(())
    } else {
        Err(format!("{what} differs"))
    }
}

fn call_id(v: &Value) -> Check {
    let creator: Identity = text(v, "creator_identity")?
        .try_into()
        .map_err(|_| "creator_identity")?;
    let id: [u8; 8] = array(v, "group_id")?;
    if v.get("group_id_u64_le")
        .is_some_and(|number| !number.is_null())
    {
        ensure(
            number::<u64>(v, "group_id_u64_le")? == u64::from_le_bytes(id),
            "group_id_u64_le",
        )?;
    }
    let key = GroupCallKey::from_bytes(array(v, "gck")?);
    let group = GroupId { creator, id };
    let call_id = CallId::derive(
        &group,
        number(v, "protocol_version")?,
        &key,
        text(v, "sfu_base_url")?,
    );
    same(
        v,
        "call_id",
        call_id.map_err(|error| error.to_string())?.as_bytes(),
    )?;
    ensure(
        CallId::from_hex(text(v, "call_id")?) == Ok(CallId::from_bytes(array(v, "call_id")?)),
        "call id in hex",
    )
}

fn key_derivation(v: &Value) -> Check {
    let key = GroupCallKey::from_bytes(array(v, "gck")?);
    let hash = key.hash();
    same(v, "gckh", hash.as_bytes())?;
    same(v, "gchk", key.handshake_key().as_bytes())?;
    same(v, "gcsk", key.state_key().as_bytes())?;
    let administrator = AdministratorKey::from_bytes(array(v, "gcak")?).message_key(&hash);
    same(v, "gcamk_secret", administrator.as_bytes())?;
    same(v, "gcamk_public", administrator.public().as_bytes())?;
    let mut media_key = MediaKey::from_bytes(array(v, "pcmk")?);
    for rounds in 0..=255 {
        if rounds > 0 {
            media_key = media_key.ratcheted();
        }
        if [0, 1, 2, 255].contains(&rounds) {
            same(
                v,
                &format!("pcmfk_ratchet_{rounds}"),
                media_key.frame_key(&hash).as_bytes(),
            )?;
            if rounds > 0 {
                same(v, &format!("pcmk_ratchet_{rounds}"), media_key.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn gcnhak(v: &Value) -> Check {
    let hash = GroupCallKeyHash::from_bytes(array(v, "gckh")?);
    for (own, other) in [("np", "ep"), ("ep", "np")] {
        let secret = ClientKey::from_bytes(array(v, &format!("ck_{own}_secret"))?);
        same(v, &format!("ck_{own}_public"), secret.public().as_bytes())?;
        let public = PublicKey::from_bytes(array(v, &format!("ck_{other}_public"))?);
        same(
            v,
            "shared_s",
            secret
                .shared(&public)
                .map_err(|error| error.to_string())?
                .as_bytes(),
        )?;
        let key = secret
            .normal_handshake_key(&public, &hash)
            .map_err(|error| error.to_string())?;
        same(v, "gcnhak", key.as_bytes())?;
    }
    Ok(())
}

fn call_state(v: &Value) -> Check {
    let key = StateKey::from_bytes(array(v, "gcsk")?);
    let plain = bytes(v, "plain_call_state")?;
    same(
        v,
        "encrypted_call_state",
        &key.seal_with(&array(v, "nonce")?, &plain),
    )?;
    let opened = key
        .open(&bytes(v, "encrypted_call_state")?)
        .map_err(|error| error.to_string())?;
    ensure(*opened == plain, "the opened call state")?;
    CallState::decode(&opened)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn frame(v: &Value) -> Check {
    let hash = GroupCallKeyHash::from_bytes(array(v, "gckh")?);
    let first = MediaKey::from_bytes(array(v, "pcmk_at_ratchet_0")?);
    let footer = Footer {
        epoch: number(v, "epoch")?,
        ratchet_counter: number(v, "ratchet_counter")?,
        number: number(v, "mfsn")?,
    };
    let ratcheted = (0..footer.ratchet_counter).fold(first.clone(), |key, _| key.ratcheted());
    let frame_key = ratcheted.frame_key(&hash);
    same(v, "pcmfk", frame_key.as_bytes())?;
    same(v, "nonce", &footer.nonce())?;
    let (codec, track) = match text(v, "codec")? {
        "opus" => (Codec::Opus, Track::Microphone),
        "vp8" => (Codec::Vp8, Track::Camera),
        _ => return Err("`codec` is unknown".into()),
    };
    let (plain, encrypted) = (bytes(v, "plain_frame")?, bytes(v, "encrypted_frame")?);
    let cipher = FrameCipher::new(&frame_key);
    ensure(
        cipher.seal(codec, footer, &plain).as_ref() == Ok(&encrypted),
        "`encrypted_frame`",
    )?;
    let sealed = Sealed::parse(codec, &encrypted).map_err(|error| error.to_string())?;
    ensure(sealed.footer == footer, "the footer")?;
    ensure(
        sealed.header.len() == number::<usize>(v, "unencrypted_header_length")?,
        "`unencrypted_header_length`",
    )?;
    same(
        v,
        "additional_data",
        &sealed.additional_data()[..6 + sealed.header.len()],
    )?;
    ensure(cipher.open(&sealed).as_ref() == Ok(&plain), "`plain_frame`")?;
    let mut receiver = MediaReceiver::new(hash);
    receiver.add(SentKey {
        epoch: footer.epoch,
        ratchet_counter: 0,
        key: first,
    });
    let opened = receiver.open(std::time::Instant::now(), track, &encrypted);
    ensure(
        opened.as_ref() == Ok(&plain),
        "the frame opened by ratcheting",
    )
}

fn mids(v: &Value) -> Check {
    ensure(text(v, "alphabet")?.as_bytes() == ALPHABET, "`alphabet`")?;
    ensure(
        number::<usize>(v, "per_participant")? == PER_PARTICIPANT,
        "`per_participant`",
    )?;
    ensure(
        number::<u16>(v, "max_participants")? == PARTICIPANT_ID_MAX + 1,
        "`max_participants`",
    )?;
    let examples = v
        .get("examples")
        .and_then(Value::as_object)
        .filter(|map| !map.is_empty())
        .ok_or("no examples")?;
    for (id, example) in examples {
        let id: u32 = id.parse().map_err(|_| "an example's id")?;
        let mids = Mids::of(id.try_into().map_err(|_| "an example's id")?);
        ensure(
            text(example, "microphone")? == mids.microphone().as_str(),
            "microphone",
        )?;
        ensure(text(example, "camera")? == mids.camera().as_str(), "camera")?;
        ensure(text(example, "data")? == mids.data().as_str(), "data")?;
        let reserved = example
            .get("reserved")
            .and_then(Value::as_array)
            .ok_or("no reserved mids")?;
        let computed: Vec<_> = mids
            .reserved()
            .iter()
            .map(|mid| Value::from(mid.as_str()))
            .collect();
        ensure(*reserved == computed, "reserved")?;
    }
    let ids = v
        .get("ids_whose_used_mids_are_alphanumeric")
        .and_then(Value::as_array)
        .ok_or("no ids")?;
    let computed: Vec<_> = (0..=u32::from(PARTICIPANT_ID_MAX))
        .filter(|&id| {
            let mids = Mids::of(ParticipantId::try_from(id).unwrap());
            mids.microphone().is_alphanumeric() && mids.camera().is_alphanumeric()
        })
        .map(Value::from)
        .collect();
    ensure(*ids == computed, "`ids_whose_used_mids_are_alphanumeric`")
}
