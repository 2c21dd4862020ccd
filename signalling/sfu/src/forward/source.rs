//! Which of a participant's streams an RTP packet belongs to, and how many streams one participant may have.

use std::time::{Duration, Instant};

use crate::rate::{Bucket, Rate};

/// SSRCs of one participant at once: microphone, three camera layers, three of the screen, a repair stream for each picture,
/// one for probing, and as many again for a client that started anew.
const SSRCS_MAX: usize = 32;

/// New SSRCs: each costs the WebRTC stack a stream before anything is authenticated.
const NEW_SSRCS: Rate = Rate {
    burst: 32,
    count: 1,
    per: Duration::from_secs(1),
};

/// What a participant sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Feed {
    /// The microphone.
    Microphone,
    /// The camera.
    Camera,
    /// The screen.
    Screen,
}

/// A feed and, for pictures, its layer.
pub(super) type Stream = (Feed, usize);

struct Source {
    ssrc: u32,
    stream: Option<Stream>,
    last_used_at: Instant,
}

/// The SSRCs of one participant.
pub(super) struct Sources {
    known: Vec<Source>,
    new: Bucket,
}

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Give it to the connection.
    Admitted,
    /// Give it to the connection after it forgot this other SSRC.
    Replaces(u32),
    /// Too many new ones.
    Refused,
}

impl Sources {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: Vec::new(),
            new: Bucket::new(now, NEW_SSRCS),
        }
    }

    /// Whether a packet of `ssrc` may be handled.
    pub(super) fn admit(&mut self, now: Instant, ssrc: u32) -> Admission {
        if let Some(source) = self.known.iter_mut().find(|source| source.ssrc == ssrc) {
            source.last_used_at = now;
            return Admission::Admitted;
        }
        if !self.new.take(now, NEW_SSRCS, 1) {
            return Admission::Refused;
        }
        let source = Source {
            ssrc,
            stream: None,
            last_used_at: now,
        };
        if self.known.len() < SSRCS_MAX {
            self.known.push(source);
            return Admission::Admitted;
        }
        let oldest = self
            .known
            .iter_mut()
            .min_by_key(|source| source.last_used_at);
        let oldest = oldest.expect("the table is full, so it has an oldest");
        Admission::Replaces(std::mem::replace(oldest, source).ssrc)
    }

    /// Which stream an authenticated packet belongs to; `find` looks it up the first time.
    pub(super) fn stream(
        &mut self,
        ssrc: u32,
        find: impl FnOnce() -> Option<Stream>,
    ) -> Option<Stream> {
        let source = self.known.iter_mut().find(|source| source.ssrc == ssrc)?;
        if source.stream.is_none() {
            source.stream = find();
        }
        source.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_floods_are_refused() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        for ssrc in 0..32 {
            let now = start + Duration::from_millis(ssrc.into());
            assert_eq!(sources.admit(now, ssrc), Admission::Admitted);
        }
        assert_eq!(
            sources.admit(start + Duration::from_millis(40), 100),
            Admission::Refused
        );
        let later = start + Duration::from_secs(10);
        assert_eq!(sources.admit(later, 0), Admission::Admitted);
        assert_eq!(
            sources.admit(later, 100),
            Admission::Replaces(1),
            "0 was used since"
        );
        let refused = (1_000..2_000)
            .filter(|&ssrc| sources.admit(later, ssrc) == Admission::Refused)
            .count();
        assert!(refused > 980 && sources.known.len() == SSRCS_MAX);
    }

    #[test]
    fn a_stream_is_looked_up_once() {
        let now = Instant::now();
        let mut sources = Sources::new(now);
        assert_eq!(
            sources.stream(5, || Some((Feed::Camera, 1))),
            None,
            "never admitted"
        );
        sources.admit(now, 5);
        assert_eq!(sources.stream(5, || None), None);
        assert_eq!(
            sources.stream(5, || Some((Feed::Camera, 1))),
            Some((Feed::Camera, 1))
        );
        assert_eq!(
            sources.stream(5, || panic!("known")),
            Some((Feed::Camera, 1))
        );
    }
}
