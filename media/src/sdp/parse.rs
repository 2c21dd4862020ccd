//! Text as a description.

use super::{
    ABS_SEND_TIME, Codec, CodecKind, Description, DescriptionKind, Direction, Extensions, SDES_MID,
    SDP_BYTES_MAX, SdpError, Setup, TRACKS, TRANSPORT_CC, Track, is_audio,
};

/// What every track shares, and each may repeat. A second value must be the same.
#[derive(Default)]
struct Transport<'a> {
    ice_ufrag: Option<&'a str>,
    ice_pwd: Option<&'a str>,
    fingerprint: Option<[u8; 32]>,
    setup: Option<Setup>,
}

/// One m-line and what follows it.
struct Section<'a> {
    is_refused: bool,
    mid: Option<&'a str>,
    is_muxed: bool,
    direction: Direction,
    payloads: Vec<Payload<'a>>,
    /// In order of their first appearance.
    ssrcs: Vec<u32>,
    fid: Option<(u32, u32)>,
    extensions: Extensions,
}

/// One payload type of an m-line.
struct Payload<'a> {
    number: u8,
    rtpmap: Option<&'a str>,
    fmtp: &'a str,
}

pub(super) fn parse(kind: DescriptionKind, text: &str) -> Result<Description, SdpError> {
    if text.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLong);
    }
    let mut transport = Transport::default();
    let mut bundled = None;
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut session_direction = Direction::SendRecv;
    for (at, line) in text
        .strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .enumerate()
    {
        let at = at + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().any(char::is_control) {
            return Err(SdpError::ControlCharacter(at));
        }
        let (letter, value) = match line.split_once('=') {
            Some(("v", "0")) if at == 1 => continue,
            Some((letter, value)) if at > 1 && is_type(letter) => (letter, value),
            _ => return Err(SdpError::NotSdp(at)),
        };
        if letter == "m" {
            if sections.len() == TRACKS {
                return Err(SdpError::Tracks);
            }
            let section = media_line(value, sections.len(), session_direction, at)?;
            sections.push(section);
        } else if letter == "a" {
            let (name, value) = value.split_once(':').unwrap_or((value, ""));
            if transport.attribute(name, value, at)? {
                continue;
            }
            match sections.last_mut() {
                Some(section) => section.attribute(name, value, at)?,
                None if name == "group" => bundled = value.strip_prefix("BUNDLE ").or(bundled),
                None => session_direction = direction(name).unwrap_or(session_direction),
            }
        }
    }
    describe(kind, &transport, bundled, sections)
}

fn describe(
    kind: DescriptionKind,
    transport: &Transport<'_>,
    bundled: Option<&str>,
    sections: Vec<Section<'_>>,
) -> Result<Description, SdpError> {
    let mids = sections.iter().map(|section| section.mid);
    if !mids.eq([Some("0"), Some("1"), Some("2"), Some("3")]) {
        return Err(SdpError::Tracks);
    }
    let is_bundled = |mid: Option<&str>| {
        let mut group = bundled.unwrap_or_default().split(' ');
        group.any(|entry| Some(entry) == mid)
    };
    let on_one_transport =
        |section: &Section<'_>| section.is_refused || section.is_muxed && is_bundled(section.mid);
    if !sections.iter().all(on_one_transport) {
        return Err(SdpError::NotBundled);
    }
    let (Some(ice_ufrag), Some(ice_pwd)) = (transport.ice_ufrag, transport.ice_pwd) else {
        return Err(SdpError::NoCredentials);
    };
    let fits = |text: &str, bytes_min| {
        (bytes_min..=256).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    // RFC 8839 §5.4.
    if !fits(ice_ufrag, 4) || !fits(ice_pwd, 22) {
        return Err(SdpError::Credentials);
    }
    let is_open = transport.setup == Some(Setup::ActPass);
    let setup = transport
        .setup
        .filter(|_| is_open == (kind == DescriptionKind::Offer))
        .ok_or(SdpError::Setup)?;
    let mut tracks = Vec::with_capacity(TRACKS);
    let mut ssrcs = Vec::new();
    for (mid, section) in sections.into_iter().enumerate() {
        ssrcs.extend_from_slice(&section.ssrcs);
        tracks.push(section.track(mid)?);
    }
    ssrcs.sort_unstable();
    if ssrcs.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(SdpError::DuplicateSsrc);
    }
    Ok(Description {
        kind,
        ice_ufrag: ice_ufrag.into(),
        ice_pwd: ice_pwd.into(),
        fingerprint: transport.fingerprint.ok_or(SdpError::NoFingerprint)?,
        setup,
        tracks: tracks.try_into().expect("the mids above are four"),
    })
}

fn is_type(letter: &str) -> bool {
    letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// `audio 9 UDP/TLS/RTP/SAVPF 111 …`
fn media_line(
    value: &str,
    mid: usize,
    direction: Direction,
    at: usize,
) -> Result<Section<'_>, SdpError> {
    let mut words = value.split(' ');
    let media = if is_audio(mid) { "audio" } else { "video" };
    if words.next() != Some(media) {
        return Err(SdpError::Tracks);
    }
    let port: u16 = number(words.next(), at)?;
    if words.next() != Some("UDP/TLS/RTP/SAVPF") {
        return Err(SdpError::Tracks);
    }
    let mut payloads: Vec<Payload<'_>> = Vec::new();
    for word in words {
        let number: u8 = number(Some(word), at)?;
        if number > 127 {
            return Err(SdpError::Malformed(at));
        }
        if payloads.iter().any(|payload| payload.number == number) {
            return Err(SdpError::DuplicatePayloadType(number));
        }
        payloads.push(Payload {
            number,
            rtpmap: None,
            fmtp: "",
        });
    }
    Ok(Section {
        is_refused: port == 0,
        mid: None,
        is_muxed: false,
        direction,
        payloads,
        ssrcs: Vec::new(),
        fid: None,
        extensions: Extensions::default(),
    })
}

impl<'a> Transport<'a> {
    /// Takes an attribute of the transport; says whether it is one.
    fn attribute(&mut self, name: &str, value: &'a str, at: usize) -> Result<bool, SdpError> {
        match name {
            "ice-ufrag" => once(&mut self.ice_ufrag, value)?,
            "ice-pwd" => once(&mut self.ice_pwd, value)?,
            "fingerprint" => once(&mut self.fingerprint, fingerprint(value, at)?)?,
            "setup" => {
                let setup = match value {
                    "actpass" => Setup::ActPass,
                    "active" => Setup::Active,
                    "passive" => Setup::Passive,
                    _ => return Err(SdpError::Setup),
                };
                once(&mut self.setup, setup)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'a> Section<'a> {
    fn attribute(&mut self, name: &str, value: &'a str, at: usize) -> Result<(), SdpError> {
        match name {
            "mid" => once(&mut self.mid, value)?,
            "rtcp-mux" => self.is_muxed = true,
            "rtpmap" => {
                let (payload, value) = self.payload(value, at)?;
                if payload.rtpmap.replace(value).is_some() {
                    return Err(SdpError::DuplicatePayloadType(payload.number));
                }
            }
            "fmtp" => {
                let (payload, value) = self.payload(value, at)?;
                payload.fmtp = value;
            }
            "extmap" => self.extension(value, at)?,
            "ssrc" => {
                let ssrc = number(value.split(' ').next(), at)?;
                self.source(ssrc)?;
            }
            "ssrc-group" => {
                if let Some(pair) = value.strip_prefix("FID ") {
                    let (media, rtx) = pair.split_once(' ').ok_or(SdpError::Malformed(at))?;
                    let (media, rtx) = (number(Some(media), at)?, number(Some(rtx), at)?);
                    if media == rtx {
                        return Err(SdpError::DuplicateSsrc);
                    }
                    self.source(media)?;
                    self.source(rtx)?;
                    if self.fid.replace((media, rtx)).is_some() {
                        return Err(SdpError::TooManySsrcs);
                    }
                }
            }
            _ => self.direction = direction(name).unwrap_or(self.direction),
        }
        Ok(())
    }

    /// Splits `96 …` into the payload type of this m-line and the rest.
    fn payload(
        &mut self,
        value: &'a str,
        at: usize,
    ) -> Result<(&mut Payload<'a>, &'a str), SdpError> {
        let (word, value) = value.split_once(' ').ok_or(SdpError::Malformed(at))?;
        let wanted: u8 = number(Some(word), at)?;
        let payload = self
            .payloads
            .iter_mut()
            .find(|payload| payload.number == wanted);
        Ok((payload.ok_or(SdpError::Malformed(at))?, value))
    }

    fn extension(&mut self, value: &str, at: usize) -> Result<(), SdpError> {
        let (word, uri) = value.split_once(' ').ok_or(SdpError::Malformed(at))?;
        let slot = match uri {
            ABS_SEND_TIME => &mut self.extensions.abs_send_time,
            SDES_MID => &mut self.extensions.mid,
            TRANSPORT_CC => &mut self.extensions.transport_cc,
            _ => return Ok(()),
        };
        let number: u8 = number(Some(word), at)?;
        // One-byte headers have no more (RFC 8285 §4.2).
        if !(1..=14).contains(&number) {
            return Err(SdpError::Malformed(at));
        }
        *slot = Some(number);
        Ok(())
    }

    /// Media and its retransmission at most, so that this list stays short.
    fn source(&mut self, ssrc: u32) -> Result<(), SdpError> {
        if ssrc == 0 {
            return Err(SdpError::SsrcZero);
        }
        if !self.ssrcs.contains(&ssrc) {
            if self.ssrcs.len() == 2 {
                return Err(SdpError::TooManySsrcs);
            }
            self.ssrcs.push(ssrc);
        }
        Ok(())
    }

    fn track(self, mid: usize) -> Result<Track, SdpError> {
        let direction = if self.is_refused {
            Direction::Inactive
        } else {
            self.direction
        };
        let codecs = self.codecs(mid);
        if codecs.is_empty() && direction != Direction::Inactive {
            return Err(SdpError::NoCodec);
        }
        let (ssrc, rtx_ssrc) = match (self.fid, self.ssrcs.as_slice()) {
            (Some((media, rtx)), _) => (Some(media), Some(rtx)),
            (None, []) => (None, None),
            (None, [one]) => (Some(*one), None),
            (None, _) => return Err(SdpError::TooManySsrcs),
        };
        Ok(Track {
            direction,
            codecs,
            ssrc,
            rtx_ssrc,
            extensions: self.extensions,
        })
    }

    /// The codecs we know, in the m-line's order; of several H.264 the first constrained one.
    fn codecs(&self, mid: usize) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = Vec::new();
        let mut h264_is_constrained = false;
        for payload in &self.payloads {
            let Some(kind) = payload.kind(mid) else {
                continue;
            };
            let codec = Codec {
                kind,
                payload_type: payload.number,
                rtx_payload_type: self.rtx_of(payload.number),
            };
            let is_constrained = kind == CodecKind::H264 && payload.is_constrained();
            match codecs.iter_mut().find(|known| known.kind == kind) {
                None => codecs.push(codec),
                Some(known) if is_constrained && !h264_is_constrained => *known = codec,
                Some(_) => {}
            }
            h264_is_constrained |= is_constrained;
        }
        codecs
    }

    fn rtx_of(&self, number: u8) -> Option<u8> {
        let is_rtx = |payload: &&Payload<'_>| {
            payload
                .rtpmap
                .is_some_and(|name| name.eq_ignore_ascii_case("rtx/90000"))
                && payload.parameter("apt").and_then(|apt| apt.parse().ok()) == Some(number)
        };
        self.payloads
            .iter()
            .find(is_rtx)
            .map(|payload| payload.number)
    }
}

impl Payload<'_> {
    /// Which codec we know this is.
    fn kind(&self, mid: usize) -> Option<CodecKind> {
        let is = |name: &str| {
            self.rtpmap
                .is_some_and(|map| map.eq_ignore_ascii_case(name))
        };
        if is_audio(mid) {
            return is("opus/48000/2").then_some(CodecKind::Opus);
        }
        if is("VP8/90000") {
            return Some(CodecKind::Vp8);
        }
        let is_baseline = |profile: &str| profile.get(..2) == Some("42");
        (is("H264/90000")
            && self.parameter("packetization-mode") == Some("1")
            && self.parameter("profile-level-id").is_some_and(is_baseline))
        .then_some(CodecKind::H264)
    }

    /// Whether a baseline H.264 is the constrained profile, the one everybody decodes (`constraint_set1_flag`).
    fn is_constrained(&self) -> bool {
        let flags = self
            .parameter("profile-level-id")
            .and_then(|profile| profile.get(2..4));
        flags
            .and_then(|flags| u8::from_str_radix(flags, 16).ok())
            .is_some_and(|flags| flags & 0x40 != 0)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self
            .fmtp
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

fn direction(name: &str) -> Option<Direction> {
    Some(match name {
        "inactive" => Direction::Inactive,
        "recvonly" => Direction::RecvOnly,
        "sendonly" => Direction::SendOnly,
        "sendrecv" => Direction::SendRecv,
        _ => return None,
    })
}

/// `sha-256 16:5D:…` (RFC 8122 §5).
fn fingerprint(value: &str, at: usize) -> Result<[u8; 32], SdpError> {
    let (hash, text) = value.split_once(' ').ok_or(SdpError::Malformed(at))?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return Err(SdpError::NotSha256);
    }
    let mut fingerprint = [0; 32];
    let mut bytes = text.split(':');
    for byte in &mut fingerprint {
        let digits = bytes.next().filter(|digits| {
            digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let digits = digits.ok_or(SdpError::Malformed(at))?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| SdpError::Malformed(at))?;
    }
    match bytes.next() {
        None => Ok(fingerprint),
        Some(_) => Err(SdpError::Malformed(at)),
    }
}

/// Digits alone: no sign, which the standard parser would take.
fn number<T: std::str::FromStr>(word: Option<&str>, at: usize) -> Result<T, SdpError> {
    word.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|word| word.parse().ok())
        .ok_or(SdpError::Malformed(at))
}

fn once<T: PartialEq>(slot: &mut Option<T>, value: T) -> Result<(), SdpError> {
    match slot {
        Some(known) if *known != value => Err(SdpError::Contradiction),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}
