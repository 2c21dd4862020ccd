//! A description as text.

use std::fmt::Write as _;

use super::{
    ABS_SEND_TIME, Codec, CodecKind, Description, Direction, SDES_MID, Setup, TRANSPORT_CC, Track,
    is_audio,
};

pub(super) fn write(description: &Description) -> String {
    let mut text = String::with_capacity(4_096);
    text.push_str("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    text.push_str("a=group:BUNDLE 0 1 2 3\r\na=msid-semantic: WMS *\r\n");
    for (mid, track) in description.tracks.iter().enumerate() {
        write_track(&mut text, description, mid, track).expect("writing to a string cannot fail");
    }
    text
}

fn write_track(
    text: &mut String,
    description: &Description,
    mid: usize,
    track: &Track,
) -> std::fmt::Result {
    let media = if is_audio(mid) { "audio" } else { "video" };
    write!(text, "m={media} 9 UDP/TLS/RTP/SAVPF")?;
    for codec in &track.codecs {
        write!(text, " {}", codec.payload_type)?;
        if let Some(rtx) = codec.rtx_payload_type {
            write!(text, " {rtx}")?;
        }
    }
    text.push_str("\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
    write!(
        text,
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
        description.ice_ufrag, description.ice_pwd
    )?;
    text.push_str("a=ice-options:trickle\r\na=fingerprint:sha-256 ");
    for (at, byte) in description.fingerprint.iter().enumerate() {
        write!(text, "{}{byte:02X}", if at == 0 { "" } else { ":" })?;
    }
    let setup = match description.setup {
        Setup::ActPass => "actpass",
        Setup::Active => "active",
        Setup::Passive => "passive",
    };
    write!(text, "\r\na=setup:{setup}\r\na=mid:{mid}\r\n")?;
    let extensions = &track.extensions;
    for (number, uri) in [
        (extensions.abs_send_time, ABS_SEND_TIME),
        (extensions.transport_cc, TRANSPORT_CC),
        (extensions.mid, SDES_MID),
    ] {
        if let Some(number) = number {
            write!(text, "a=extmap:{number} {uri}\r\n")?;
        }
    }
    let direction = match track.direction {
        Direction::Inactive => "inactive",
        Direction::RecvOnly => "recvonly",
        Direction::SendOnly => "sendonly",
        Direction::SendRecv => "sendrecv",
    };
    // Microphone and camera are one stream, screen sound and picture another: browsers play each in step.
    let stream = if mid < 2 { "main" } else { "screen" };
    write!(
        text,
        "a={direction}\r\na=msid:{stream} track{mid}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
    )?;
    for codec in &track.codecs {
        write_codec(text, *codec)?;
    }
    if let (Some(ssrc), Some(rtx)) = (track.ssrc, track.rtx_ssrc) {
        write!(text, "a=ssrc-group:FID {ssrc} {rtx}\r\n")?;
    }
    for ssrc in [track.ssrc, track.rtx_ssrc].into_iter().flatten() {
        // The fragment is random, and new for each session: it does as the canonical name.
        write!(text, "a=ssrc:{ssrc} cname:{}\r\n", description.ice_ufrag)?;
    }
    Ok(())
}

fn write_codec(text: &mut String, codec: Codec) -> std::fmt::Result {
    let number = codec.payload_type;
    let name = match codec.kind {
        CodecKind::H264 => "H264/90000",
        CodecKind::Opus => "opus/48000/2",
        CodecKind::Vp8 => "VP8/90000",
    };
    write!(
        text,
        "a=rtpmap:{number} {name}\r\na=rtcp-fb:{number} transport-cc\r\n"
    )?;
    if codec.kind != CodecKind::Opus {
        write!(
            text,
            "a=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} nack pli\r\n"
        )?;
    }
    match codec.kind {
        CodecKind::H264 => write!(text, "a=fmtp:{number} {H264_PARAMETERS}\r\n")?,
        CodecKind::Opus => write!(text, "a=fmtp:{number} minptime=10;useinbandfec=1\r\n")?,
        CodecKind::Vp8 => {}
    }
    if let Some(rtx) = codec.rtx_payload_type {
        write!(
            text,
            "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n"
        )?;
    }
    Ok(())
}

/// Constrained baseline, level 3.1, packets up to the path's size (RFC 6184 §8.1).
const H264_PARAMETERS: &str =
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
