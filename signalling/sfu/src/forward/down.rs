//! One feed on its way to one viewer: which layer, and how its packets are renumbered.

use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{ParticipantId, View};
use str0m::media::Mid;
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc, Vp8Descriptor, Vp8Patch};

use super::rewrite::{Position, Rewriter};
use super::source::Feed;

/// What a packet of pictures says in clear.
pub(super) struct Picture {
    descriptor: Vp8Descriptor,
    pub(super) starts_key_frame: bool,
    pub(super) size: Option<(u32, u32)>,
}

impl Picture {
    /// Reads the payload descriptor and, of a key frame, the 10 clear bytes behind it.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let descriptor = Vp8Descriptor::parse(payload).ok()?;
        let starts_key_frame = descriptor.starts_keyframe(payload);
        let size = starts_key_frame
            .then(|| super::layer::key_frame_size(&payload[descriptor_len(payload)?..]))
            .flatten();
        Some(Self {
            descriptor,
            starts_key_frame,
            size,
        })
    }
}

/// Length of the VP8 payload descriptor (RFC 7741 section 4.2); `None` if the payload ends within.
fn descriptor_len(payload: &[u8]) -> Option<usize> {
    if payload.first()? & 0x80 == 0 {
        return Some(1);
    }
    let extension = *payload.get(1)?;
    let mut len = 2;
    if extension & 0x80 != 0 {
        len += if payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
    }
    len += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    (len < payload.len()).then_some(len)
}

/// A feed as a viewer gets it.
pub(super) struct Down {
    pub(super) publisher: ParticipantId,
    pub(super) publisher_slot: usize,
    pub(super) feed: Feed,
    pub(super) mid: Mid,
    pub(super) ssrc: Ssrc,
    /// What the viewer can show; `None` while not subscribed.
    pub(super) view: Option<View>,
    /// The layer forwarded now.
    pub(super) current: Option<usize>,
    /// The layer to change to with its next key frame.
    pub(super) target: Option<usize>,
    /// When this viewer last asked for a key frame.
    pub(super) key_frame_asked_at: Option<Instant>,
    rewriter: Rewriter,
    source_ssrc: Option<Ssrc>,
    last_sent_at: Option<Instant>,
}

/// What became of a packet.
pub(super) enum Forwarded {
    /// Not for this viewer now.
    No,
    /// To be written; true if the viewer changed its layer with it.
    Yes(Box<RtpWrite>, bool),
}

impl Down {
    pub(super) fn new(
        publisher: (ParticipantId, usize),
        feed: Feed,
        mid: Mid,
        ssrc: Ssrc,
        first: (u16, u32),
    ) -> Self {
        Self {
            publisher: publisher.0,
            publisher_slot: publisher.1,
            feed,
            mid,
            ssrc,
            view: None,
            current: None,
            target: None,
            key_frame_asked_at: None,
            rewriter: Rewriter::new(first.0, first.1),
            source_ssrc: None,
            last_sent_at: None,
        }
    }

    /// Forwards nothing until told otherwise.
    pub(super) fn pause(&mut self) {
        self.current = None;
        self.target = None;
        self.rewriter.pause();
    }

    /// Whether a key frame is awaited.
    pub(super) fn awaits_key_frame(&self) -> Option<usize> {
        self.target.filter(|_| self.target != self.current)
    }

    /// A packet of layer `layer` of the feed.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        layer: usize,
        packet: &RtpPacket,
        picture: Option<&Picture>,
    ) -> Forwarded {
        let changes = match picture {
            None => false,
            Some(picture) => {
                let changes = self.awaits_key_frame() == Some(layer) && picture.starts_key_frame;
                if changes {
                    self.current = Some(layer);
                } else if self.current != Some(layer) {
                    return Forwarded::No;
                }
                changes
            }
        };
        let source = Position {
            seq: *packet.seq_no,
            time: packet.header.timestamp,
            picture: picture.and_then(|picture| picture.descriptor.picture_id()),
            base: picture.and_then(|picture| picture.descriptor.tl0_pic_idx()),
        };
        let other_source = self.source_ssrc != Some(packet.header.ssrc);
        if changes || other_source || !self.rewriter.is_running() {
            // A layer that began anew in the middle of a frame is of no use before its next key frame.
            if picture.is_some_and(|picture| !picture.starts_key_frame) {
                self.current = None;
                return Forwarded::No;
            }
            let elapsed = self
                .last_sent_at
                .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            self.rewriter.begin(source, ticks(self.feed, elapsed));
            self.source_ssrc = Some(packet.header.ssrc);
        }
        let Some(sent) = self.rewriter.rewrite(source) else {
            return Forwarded::No;
        };
        self.last_sent_at = Some(now);
        Forwarded::Yes(Box::new(write(packet, sent, picture)), changes)
    }
}

fn ticks(feed: Feed, elapsed: Duration) -> u32 {
    let per_ms = if feed == Feed::Microphone { 48 } else { 90 };
    // A pause of hours is a jump like any other.
    u32::try_from(elapsed.as_millis() * per_ms).unwrap_or(u32::MAX / 2)
}

fn write(packet: &RtpPacket, sent: Position, picture: Option<&Picture>) -> RtpWrite {
    let header = &packet.header;
    let payload = std::sync::Arc::clone(&packet.payload);
    let mut write = RtpWrite::new(
        header.payload_type,
        sent.seq.into(),
        sent.time,
        packet.timestamp,
        payload,
    )
    .marker(header.marker)
    .nackable(picture.is_some());
    if header.ext_vals.video_orientation.is_some() {
        let values = str0m::rtp::ExtensionValues {
            video_orientation: header.ext_vals.video_orientation,
            ..str0m::rtp::ExtensionValues::default()
        };
        write = write.ext_vals(values);
    }
    if let Some(patch) = picture.and_then(|picture| patch(&picture.descriptor, sent)) {
        write = write.vp8_patch(patch);
    }
    write
}

/// The picture ids as the viewer counts them; `None` for a descriptor without any.
fn patch(descriptor: &Vp8Descriptor, sent: Position) -> Option<Vp8Patch> {
    let picture = sent.picture?;
    let narrow = |picture: u16| {
        let mut builder = descriptor.patch().picture_id(picture);
        if let Some(base) = sent.base {
            builder = builder.tl0_pic_idx(base);
        }
        builder.build().ok()
    };
    // A 7-bit id wraps sooner.
    narrow(picture).or_else(|| narrow(picture & 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_found_behind_every_kind_of_descriptor() {
        let frame = [0x10, 2, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        for descriptor in [
            &[0x10][..],
            &[0x90, 0x80, 0x05],
            &[0x90, 0x80, 0x85, 0x11],
            &[0x90, 0xe0, 0x85, 0x11, 9, 0x20],
            &[0x90, 0xf0, 0x05, 9, 0x20],
            &[0x90, 0x20, 0x20],
        ] {
            let payload = [descriptor, &frame].concat();
            let picture = Picture::parse(&payload).expect("valid");
            assert_eq!(
                (picture.starts_key_frame, picture.size),
                (true, Some((320, 180))),
                "{descriptor:02x?}"
            );
            let later = [&[descriptor[0] & 0xef], &payload[1..]].concat();
            assert!(!Picture::parse(&later).expect("valid").starts_key_frame);
        }
        assert!(Picture::parse(&[]).is_none() && Picture::parse(&[0x90]).is_none());
    }
}
