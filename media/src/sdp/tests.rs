use proptest::prelude::*;

use super::*;

const CHROMIUM_OFFER: &str = include_str!("data/chromium-offer.sdp");
const CHROMIUM_ANSWER: &str = include_str!("data/chromium-answer.sdp");

fn own(kind: DescriptionKind) -> Description {
    let setup = match kind {
        DescriptionKind::Offer => Setup::ActPass,
        DescriptionKind::Answer => Setup::Active,
    };
    Description {
        kind,
        ice_ufrag: "a1B/".into(),
        ice_pwd: "0123456789abcdefghij+/".into(),
        fingerprint: std::array::from_fn(|at| (at * 11) as u8),
        setup,
        tracks: [
            Track::audio(1),
            Track::video(2, 3),
            Track::audio(4),
            Track::video(u32::MAX, 6),
        ],
    }
}

fn parse_offer(text: &str) -> Result<Description, SdpError> {
    Description::parse(DescriptionKind::Offer, text)
}

#[test]
fn the_text_of_an_offer_is_the_agreed_one() {
    let text = own(DescriptionKind::Offer).write();
    assert!(text.starts_with("v=0\r\n") && text.ends_with("\r\n") && text.len() < 4_096);
    assert!(
        text.replace("\r\n", "")
            .chars()
            .all(|character| !character.is_control())
    );
    let media: Vec<_> = text.lines().filter(|line| line.starts_with("m=")).collect();
    let (audio, video) = (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    );
    assert_eq!(media, [audio, video, audio, video]);
    let camera = text.split("m=").nth(2).unwrap();
    let want = "a=mid:1\r\n\
        a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
        a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
        a=sendrecv\r\n\
        a=msid:main track1\r\n\
        a=rtcp-mux\r\n\
        a=rtcp-rsize\r\n\
        a=rtpmap:96 H264/90000\r\n\
        a=rtcp-fb:96 transport-cc\r\n\
        a=rtcp-fb:96 nack\r\n\
        a=rtcp-fb:96 nack pli\r\n\
        a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
        a=rtpmap:97 rtx/90000\r\n\
        a=fmtp:97 apt=96\r\n\
        a=ssrc-group:FID 2 3\r\n\
        a=ssrc:2 cname:a1B/\r\n\
        a=ssrc:3 cname:a1B/\r\n";
    assert!(camera.ends_with(want), "{camera}");
}

#[test]
fn browser_descriptions_are_understood() {
    let offer = parse_offer(CHROMIUM_OFFER).unwrap();
    assert_eq!(
        (offer.ice_ufrag.as_str(), offer.setup),
        ("uPk5", Setup::ActPass)
    );
    assert_eq!((offer.fingerprint[0], offer.fingerprint[31]), (0x16, 0xd7));
    let opus = Codec {
        kind: CodecKind::Opus,
        payload_type: 111,
        rtx_payload_type: None,
    };
    assert_eq!(offer.tracks[0].codecs, [opus]);
    assert_eq!(offer.tracks[0].ssrc, Some(868_394_109));
    let vp8 = Codec {
        kind: CodecKind::Vp8,
        payload_type: 96,
        rtx_payload_type: Some(97),
    };
    // The constrained one, although a plain baseline comes first.
    let h264 = Codec {
        kind: CodecKind::H264,
        payload_type: 108,
        rtx_payload_type: Some(109),
    };
    assert_eq!(offer.tracks[3].codecs, [vp8, h264]);
    assert_eq!(offer.tracks[3].codec(CodecKind::H264), Some(h264));
    assert_eq!(
        (offer.tracks[3].ssrc, offer.tracks[3].rtx_ssrc),
        (Some(2_882_031_455), Some(2_774_020_857))
    );
    assert_eq!(offer.tracks[3].extensions, OWN_EXTENSIONS);
    assert!(
        offer
            .tracks
            .iter()
            .all(|track| track.direction == Direction::SendRecv)
    );

    let answer = Description::parse(DescriptionKind::Answer, CHROMIUM_ANSWER).unwrap();
    assert_eq!(answer.setup, Setup::Active);
    assert_eq!(
        (answer.tracks[1].ssrc, answer.tracks[1].rtx_ssrc),
        (Some(3_726_463_954), Some(4_268_909_594))
    );
    // Read, written and read again, nothing is lost.
    for description in [offer, answer] {
        assert!(Description::parse(description.kind, &description.write()) == Ok(description));
    }
}

/// Changes our own offer by replacing text, and gives what the parser says.
fn changed(from: &str, to: &str) -> Option<SdpError> {
    let text = own(DescriptionKind::Offer).write();
    assert!(text.contains(from), "{from}");
    parse_offer(&text.replace(from, to)).err()
}

/// What is replaced in our own offer, by what, and what the parser then says.
const LIES: [(&str, &str, Option<SdpError>); 41] = [
    ("\r\n", "\n", None),
    ("v=0", "v=1", Some(SdpError::NotSdp(1))),
    ("s=-\r\n", "s=-\r\n\r\n", Some(SdpError::NotSdp(4))),
    ("s=-", "session=-", Some(SdpError::NotSdp(3))),
    ("s=-", "s=\u{1b}[2J", Some(SdpError::ControlCharacter(3))),
    ("s=-", "s=\r-", Some(SdpError::ControlCharacter(3))),
    ("a=mid:1\r\n", "", Some(SdpError::Tracks)),
    ("a=mid:1", "a=mid:2", Some(SdpError::Tracks)),
    ("a=mid:3", "a=mid:03", Some(SdpError::Tracks)),
    ("m=video", "m=audio", Some(SdpError::Tracks)),
    ("UDP/TLS/RTP/SAVPF", "RTP/AVP", Some(SdpError::Tracks)),
    ("BUNDLE 0 1 2 3", "BUNDLE 0 1 2", Some(SdpError::NotBundled)),
    ("a=group:BUNDLE 0 1 2 3\r\n", "", Some(SdpError::NotBundled)),
    ("a=rtcp-mux\r\n", "", Some(SdpError::NotBundled)),
    (
        "a=ice-pwd:0123456789abcdefghij+/\r\n",
        "",
        Some(SdpError::NoCredentials),
    ),
    ("a=ice-ufrag:a1B/\r\n", "", Some(SdpError::NoCredentials)),
    (
        "a=ice-ufrag:a1B/",
        "a=ice-ufrag:a1B",
        Some(SdpError::Credentials),
    ),
    (
        "a=ice-ufrag:a1B/",
        "a=ice-ufrag:a1 B",
        Some(SdpError::Credentials),
    ),
    ("hij+/", "hij+", Some(SdpError::Credentials)),
    (
        "a=fingerprint:sha-256 ",
        "a=note:",
        Some(SdpError::NoFingerprint),
    ),
    ("sha-256", "sha-1", Some(SdpError::NotSha256)),
    ("sha-256", "SHA-256", None),
    ("00:0B:16", "00:0B", Some(SdpError::Malformed(13))),
    ("00:0B:16", "00:0B:+6", Some(SdpError::Malformed(13))),
    ("00:0B:16", "00:0B:16:17", Some(SdpError::Malformed(13))),
    ("a=setup:actpass\r\n", "", Some(SdpError::Setup)),
    ("a=setup:actpass", "a=setup:holdconn", Some(SdpError::Setup)),
    ("a=setup:actpass", "a=setup:active", Some(SdpError::Setup)),
    (
        "SAVPF 96 97",
        "SAVPF 96 96",
        Some(SdpError::DuplicatePayloadType(96)),
    ),
    (
        "SAVPF 96 97",
        "SAVPF 96 97 128",
        Some(SdpError::Malformed(27)),
    ),
    ("SAVPF 96 97", "SAVPF 96 +97", Some(SdpError::Malformed(27))),
    (
        "a=rtpmap:97 rtx/90000",
        "a=rtpmap:96 rtx/90000",
        Some(SdpError::DuplicatePayloadType(96)),
    ),
    ("a=extmap:4 ", "a=extmap:15 ", Some(SdpError::Malformed(18))),
    ("opus/48000/2", "G722/8000", Some(SdpError::NoCodec)),
    (
        "packetization-mode=1",
        "packetization-mode=0",
        Some(SdpError::NoCodec),
    ),
    ("a=ssrc:1 ", "a=ssrc:0 ", Some(SdpError::SsrcZero)),
    ("a=ssrc:1 ", "a=ssrc:4 ", Some(SdpError::DuplicateSsrc)),
    ("FID 2 3", "FID 2 2", Some(SdpError::DuplicateSsrc)),
    ("FID 2 3", "FID 2 7", Some(SdpError::TooManySsrcs)),
    ("a=ssrc-group:FID 2 3\r\n", "", Some(SdpError::TooManySsrcs)),
    (
        "a=ssrc:1 ",
        "a=ssrc:4294967296 ",
        Some(SdpError::Malformed(26)),
    ),
];

#[test]
fn lies_are_named() {
    for (from, to, want) in LIES {
        assert_eq!(changed(from, to), want, "{from:?} → {to:?}");
    }
}

#[test]
fn what_contradicts_itself_or_is_too_much_is_refused() {
    let text = own(DescriptionKind::Offer).write();
    let first_only = text.replacen("a=ice-ufrag:a1B/", "a=ice-ufrag:other", 1);
    assert_eq!(parse_offer(&first_only), Err(SdpError::Contradiction));
    let fifth = format!("{text}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n");
    assert_eq!(parse_offer(&fifth), Err(SdpError::Tracks));
    let fourth_missing = &text[..text.rfind("m=").unwrap()];
    assert_eq!(parse_offer(fourth_missing), Err(SdpError::Tracks));
    assert_eq!(
        parse_offer(&"a".repeat(SDP_BYTES_MAX + 1)),
        Err(SdpError::TooLong)
    );
    assert_eq!(
        Description::parse(DescriptionKind::Answer, &text),
        Err(SdpError::Setup),
        "an offer is no answer"
    );
}

#[test]
fn a_refused_track_is_inactive_and_needs_nothing_more() {
    let answer = own(DescriptionKind::Answer).write();
    let screen = answer.rfind("m=").unwrap();
    let refused = format!(
        "{}m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:3\r\n",
        &answer[..screen]
    );
    let description = Description::parse(DescriptionKind::Answer, &refused).unwrap();
    assert_eq!(description.tracks[3].direction, Direction::Inactive);
    assert_eq!(
        (
            description.tracks[3].ssrc,
            description.tracks[3].codecs.len()
        ),
        (None, 0)
    );
}

#[test]
fn debugging_shows_no_credentials() {
    let shown = format!("{:?}", own(DescriptionKind::Offer));
    assert!(
        shown.contains("tracks") && !shown.contains("0123456789abcdef") && !shown.contains("a1B/")
    );
}

fn direction() -> impl Strategy<Value = Direction> {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    prop::sample::select(vec![Inactive, RecvOnly, SendOnly, SendRecv])
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        ufrag in "[A-Za-z0-9+/]{4,256}",
        pwd in "[A-Za-z0-9+/]{22,256}",
        fingerprint: [u8; 32],
        directions in prop::array::uniform4(direction()),
        first_ssrc in 1..u32::MAX - 8,
        is_offer: bool,
        is_active: bool,
    ) {
        let kind = if is_offer { DescriptionKind::Offer } else { DescriptionKind::Answer };
        let mut description = own(kind);
        description.ice_ufrag = ufrag;
        description.ice_pwd = pwd;
        description.fingerprint = fingerprint;
        if !is_offer && !is_active {
            description.setup = Setup::Passive;
        }
        for ((track, direction), at) in description.tracks.iter_mut().zip(directions).zip(0_u32..) {
            track.direction = direction;
            track.ssrc = Some(first_ssrc + 2 * at);
            track.rtx_ssrc = track.rtx_ssrc.map(|_| first_ssrc + 2 * at + 1);
        }
        prop_assert_eq!(Description::parse(kind, &description.write()), Ok(description));
    }

    /// Real descriptions with pieces of SDP thrown in, lines lost and bytes changed.
    #[test]
    fn a_damaged_description_never_panics(
        browser: bool,
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        piece in "([amvcs]=)?(ssrc|fmtp|rtpmap|extmap|mid|ssrc-group|fingerprint|setup|group)?[: =0-9A-Za-z/;+\\r\\n]{0,30}",
    ) {
        let text = if browser { CHROMIUM_OFFER.to_owned() } else { own(DescriptionKind::Offer).write() };
        let at = at.index(text.len());
        let damaged = format!("{}{piece}{}", &text[..at], text.get(at + length..).unwrap_or_default());
        if let Ok(description) = parse_offer(&damaged) {
            prop_assert_eq!(parse_offer(&description.write()), Ok(description));
        }
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,80}", lines in "v=0\n([a-z]=[a-z0-9: /-]{0,30}\n){0,20}") {
        for text in [text, lines] {
            prop_assert!(parse_offer(&text).is_err());
        }
    }
}
