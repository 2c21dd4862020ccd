//! Whose streams may come in, and how many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_proto::group::media_frame::Track;
use hullo_proto::service::sfu::ParticipantId;
use str0m::Rtc;
use str0m::media::Mid;
use str0m::rtp::Ssrc;

use super::setup::{kind_of, mid_of};

/// Others whose streams are expected at once. Our own SFU takes fewer into one call; each costs the WebRTC library some
/// kilobytes, and a roster that fills ten screens is no call.
pub const PARTICIPANTS_MAX: usize = 128;

/// RTP streams known at once: microphone, camera, screen and a repair stream for each picture of everybody, and one for
/// probing.
const SSRCS_MAX: usize = PARTICIPANTS_MAX * 5 + 1;

/// RTP streams not seen before, at once and then in a second: the library gives each a place before it is authenticated,
/// so whoever forges the SFU's address must not be able to wash out the streams in use. Everybody's at once, after a
/// join; then as many as people coming in a row cause.
const NEW_SSRCS_BURST: u32 = 641;
const NEW_SSRCS_PER_S: u32 = 20;

const TRACKS: [Track; 3] = [Track::Microphone, Track::Camera, Track::Screen];

/// The others, and the RTP streams that came.
pub(super) struct People {
    mids: BTreeMap<Mid, (ParticipantId, Track)>,
    ssrcs: Vec<(u32, Instant)>,
    new_left: u32,
    refilled_at: Instant,
}

/// What is to become of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Give it to the library.
    Admitted,
    /// Give it to the library after it forgot this other stream.
    Replaces(u32),
    /// Too many new streams.
    Refused,
}

impl People {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mids: BTreeMap::new(),
            ssrcs: Vec::new(),
            new_left: NEW_SSRCS_BURST,
            refilled_at: now,
        }
    }

    /// Expects the streams of `id`; false when there is no place, or its streams cannot be told apart.
    pub(super) fn expect(&mut self, rtc: &mut Rtc, id: ParticipantId) -> bool {
        let mids = TRACKS.map(|track| (mid_of(id, track), track));
        let known = mids.iter().any(|(mid, _)| self.mids.contains_key(mid));
        let usable = hullo_proto::group::mid::Mids::of(id).survive_alphanumeric();
        if known || !usable || self.mids.len() >= PARTICIPANTS_MAX * TRACKS.len() {
            return false;
        }
        for (mid, track) in mids {
            rtc.direct_api().declare_media(mid, kind_of(track));
            self.mids.insert(mid, (id, track));
        }
        true
    }

    /// Forgets the streams of `id`.
    pub(super) fn forget(&mut self, rtc: &mut Rtc, id: ParticipantId) {
        for track in TRACKS {
            let mid = mid_of(id, track);
            if self.mids.remove(&mid).is_some() {
                rtc.direct_api().remove_media(mid);
            }
        }
    }

    /// How many are expected.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.mids.len() / TRACKS.len()
    }

    /// Whose stream `mid` is.
    pub(super) fn of(&self, mid: Mid) -> Option<(ParticipantId, Track)> {
        self.mids.get(&mid).copied()
    }

    /// Whether an RTP packet of the stream `ssrc` may be handled.
    pub(super) fn admit(&mut self, now: Instant, ssrc: u32) -> Admission {
        if let Some((_, last_used_at)) = self.ssrcs.iter_mut().find(|(known, _)| *known == ssrc) {
            *last_used_at = now;
            return Admission::Admitted;
        }
        let seconds = now.saturating_duration_since(self.refilled_at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds)
                .unwrap_or(u32::MAX)
                .saturating_mul(NEW_SSRCS_PER_S);
            self.new_left = self.new_left.saturating_add(more).min(NEW_SSRCS_BURST);
            self.refilled_at += Duration::from_secs(seconds);
        }
        let Some(left) = self.new_left.checked_sub(1) else {
            return Admission::Refused;
        };
        self.new_left = left;
        if self.ssrcs.len() < SSRCS_MAX {
            self.ssrcs.push((ssrc, now));
            return Admission::Admitted;
        }
        let oldest = self
            .ssrcs
            .iter_mut()
            .min_by_key(|(_, last_used_at)| *last_used_at)
            .expect("the table is full, so it has an oldest");
        Admission::Replaces(std::mem::replace(oldest, (ssrc, now)).0)
    }
}

/// The stream an RTP packet claims to belong to (RFC 3550 section 5.1), by the ranges of RFC 7983; `None`: no RTP.
pub(super) fn ssrc_of_rtp(datagram: &[u8]) -> Option<u32> {
    let header: &[u8; 12] = datagram.first_chunk()?;
    let is_rtcp = (192..=223).contains(&header[1]);
    ((128..=191).contains(&header[0]) && !is_rtcp)
        .then(|| u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

/// Makes the library forget a stream.
pub(super) fn forget_stream(rtc: &mut Rtc, ssrc: u32) {
    rtc.direct_api().remove_stream_rx(Ssrc::from(ssrc));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_and_a_flood_of_new_ones_does_not_wash_out_those_in_use() {
        let start = Instant::now();
        let mut people = People::new(start);
        for ssrc in 0..NEW_SSRCS_BURST {
            assert_eq!(people.admit(start, ssrc), Admission::Admitted);
        }
        let mut now = start;
        let mut replaced = Vec::new();
        for second in 1..=30 {
            now = start + Duration::from_secs(second);
            assert_eq!(people.admit(now, 7), Admission::Admitted);
            for ssrc in 0..1_000 {
                let forged = 1_000_000 + u32::try_from(second).expect("30") * 1_000 + ssrc;
                if let Admission::Replaces(old) = people.admit(now, forged) {
                    replaced.push(old);
                }
            }
        }
        assert!(!replaced.contains(&7), "a stream in use was forgotten");
        assert_eq!(replaced.len(), 30 * NEW_SSRCS_PER_S as usize);
        assert_eq!(people.ssrcs.len(), SSRCS_MAX);
        assert_eq!(people.admit(now, 7), Admission::Admitted);
    }

    #[test]
    fn only_rtp_has_a_stream() {
        let mut packet = [0; 20];
        for (first, second, wanted) in [
            (0x80, 111, Some(0x0102_0304)),
            (0x90, 0x80 | 96, Some(0x0102_0304)),
            (0x90, 0x80 | 111, Some(0x0102_0304)),
            (0x80, 200, None),
            (0x16, 111, None),
            (0x00, 1, None),
        ] {
            (packet[0], packet[1]) = (first, second);
            packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
            assert_eq!(ssrc_of_rtp(&packet), wanted, "{first:#x} {second}");
        }
        assert_eq!(ssrc_of_rtp(&packet[..11]), None);
    }
}
