//! When the peer was last heard, and from where: notices silence before ICE does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Without a single datagram for so long the connection counts as silent. A muted peer still sends two or three
/// datagrams a second (checks of the way and their answers); sooner would take loss for silence.
const SILENCE: Duration = Duration::from_millis(2_500);
/// While it lasts every way is checked anew this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Media from the old address missing for so long, and checks coming from another: the peer has moved.
const MOVED_AFTER: Duration = Duration::from_millis(600);

/// What a look at the clock tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    Begun,
    LastsOn,
    /// The peer speaks from another address.
    Moved,
}

/// Since when and from where.
#[derive(Default)]
pub(super) struct Hearing {
    heard_at: Option<Instant>,
    media: Option<(SocketAddr, Instant)>,
    is_silent: bool,
    has_moved: bool,
    checked_at: Option<Instant>,
}

impl Hearing {
    pub(super) fn begin(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// A datagram of the peer came. True: it ends a silence.
    pub(super) fn note(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) -> bool {
        self.heard_at = Some(now);
        // RFC 7983: below 4 it is STUN.
        if bytes.first().is_some_and(|first| *first > 3) {
            let before = self.media.replace((source, now));
            // Its media come from elsewhere: ours may still go where it no longer is.
            self.has_moved |= before.is_some_and(|(from, _)| from != source);
        } else if let Some((from, at)) = self.media
            && from != source
            && now.saturating_duration_since(at) > MOVED_AFTER
        {
            self.has_moved = true;
        }
        std::mem::take(&mut self.is_silent)
    }

    /// When [`Self::look`] may have something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let silence = self.heard_at? + SILENCE;
        Some(match self.checked_at {
            Some(at) if self.is_silent => at + CHECK_INTERVAL,
            _ => silence,
        })
    }

    pub(super) fn look(&mut self, now: Instant) -> Option<Silence> {
        let heard_at = self.heard_at?;
        let may_check = (self.checked_at).is_none_or(|at| now >= at + CHECK_INTERVAL);
        if self.has_moved && may_check {
            self.has_moved = false;
            self.checked_at = Some(now);
            return Some(Silence::Moved);
        }
        if now < heard_at + SILENCE {
            return None;
        }
        let is_new = !std::mem::replace(&mut self.is_silent, true);
        if is_new || may_check {
            self.checked_at = Some(now);
            return Some(if is_new {
                Silence::Begun
            } else {
                Silence::LastsOn
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Hearing, Instant) {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
        let now = Instant::now();
        let mut hearing = Hearing::default();
        hearing.begin(now);
        (hearing, now)
    }

    #[test]
    fn silence_is_told_once_and_checked_every_second_until_a_datagram_comes() {
        let (mut hearing, begin) = start();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(hearing.look(at(2_499)), None);
        assert_eq!(hearing.deadline(), Some(at(2_500)));
        assert_eq!(hearing.look(at(2_500)), Some(Silence::Begun));
        assert_eq!(hearing.look(at(2_600)), None);
        assert_eq!(hearing.deadline(), Some(at(3_500)));
        assert_eq!(hearing.look(at(3_500)), Some(Silence::LastsOn));
        let peer = "192.0.2.1:9".parse().unwrap();
        assert!(hearing.note(at(3_600), peer, &[128]));
        assert!(!hearing.note(at(3_700), peer, &[128]));
        assert_eq!(hearing.look(at(3_700)), None);
    }

    #[test]
    fn a_check_from_another_address_while_the_old_one_is_quiet_is_a_move() {
        let (mut hearing, begin) = start();
        let at = |ms| begin + Duration::from_millis(ms);
        let (old, new) = (
            "192.0.2.1:9".parse().unwrap(),
            "192.0.2.2:9".parse().unwrap(),
        );
        hearing.note(at(0), old, &[128]);
        hearing.note(at(500), new, &[0]);
        assert_eq!(hearing.look(at(500)), None, "it may try several at once");
        hearing.note(at(700), new, &[0]);
        assert_eq!(hearing.look(at(700)), Some(Silence::Moved));
        hearing.note(at(800), new, &[0]);
        assert_eq!(hearing.look(at(800)), None, "not more than once a second");
    }

    #[test]
    fn media_from_another_address_are_a_move_at_once() {
        let (mut hearing, begin) = start();
        let at = |ms| begin + Duration::from_millis(ms);
        let (old, new) = (
            "192.0.2.1:9".parse().unwrap(),
            "192.0.2.2:9".parse().unwrap(),
        );
        hearing.note(at(0), old, &[128]);
        assert_eq!(hearing.look(at(0)), None);
        hearing.note(at(20), new, &[128]);
        assert_eq!(hearing.look(at(20)), Some(Silence::Moved));
        hearing.note(at(40), new, &[128]);
        assert_eq!(hearing.look(at(1_500)), None, "it stays there");
    }
}
