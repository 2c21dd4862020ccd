//! What a call is asked about.

use hullo_media::frame::Picture;

use super::{Call, Switches};
use crate::event::{CallNumber, CallState, Direction, Media, Party};
use crate::seat::Seat;

/// Without a new picture for so long, one stands still: at the lowest rate pictures come thrice a second.
pub(crate) const STILL_MS_MIN: u64 = 3_000;

/// How long a picture of this time has stood still, where that is worth saying.
pub(crate) fn still_ms(at_ms: u64, now_ms: u64) -> Option<u64> {
    let ms = now_ms.saturating_sub(at_ms);
    (ms >= STILL_MS_MIN).then_some(ms)
}

impl Call {
    /// A call that begins now.
    pub(crate) fn new(
        number: Option<CallNumber>,
        party: Party,
        direction: Direction,
        media: Media,
        state: CallState,
    ) -> Self {
        Self {
            number,
            party,
            direction,
            media,
            state,
            reported: None,
            is_ours: false,
            connected_at_ms: None,
            own: Switches {
                mic_muted: false,
                camera_on: media == Media::Video,
                on_hold: false,
            },
            own_reported: None,
            mute_asked: None,
            camera_asked: None,
            far: None,
            far_speaks: false,
            far_picture: None,
            far_picture_at_ms: 0,
            own_picture: None,
            people: Vec::new(),
            own_screen: false,
            seat: Seat::default(),
            stats: None,
            step: None,
            hanging_up_at_ms: None,
            inviting_at_ms: None,
            is_unsent: false,
            shows_ip_warning: false,
            gone_group: None,
        }
    }

    /// The invitation was sent so long ago that a program that runs would have answered.
    #[must_use]
    pub fn waits_long(&self, now_ms: u64) -> bool {
        /// Longer than any server takes to hand a message over.
        const ANSWER_MS: u64 = 5_000;
        let sent_at = self
            .inviting_at_ms
            .filter(|_| self.state == CallState::Inviting && self.direction == Direction::Outgoing);
        sent_at.is_some_and(|at| now_ms.saturating_sub(at) > ANSWER_MS)
    }

    /// Not ended yet.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state, CallState::Ended { .. })
    }

    /// Sound flows, or did a moment ago and is being repaired.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state, CallState::Connected | CallState::Reconnecting)
    }

    /// Its end was asked for and has not come yet.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_live() && self.hanging_up_at_ms.is_some()
    }

    /// It rang here and was not taken: its end is only waited for.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        self.is_live() && self.direction == Direction::Incoming && !self.is_ours
    }

    /// It is that of a group.
    #[must_use]
    pub fn is_of_a_group(&self) -> bool {
        matches!(self.party, Party::Group(_))
    }

    /// It waits on hold by our wish.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_live() && self.own.on_hold
    }

    /// How many are in it, we too.
    #[must_use]
    pub fn people_count(&self) -> usize {
        self.people.len() + 1
    }

    /// The far picture, unless its camera is off: a last one that comes late must not stand there as if it were live.
    #[must_use]
    pub fn shown_far_picture(&self) -> Option<&Picture> {
        let is_on = self.far.is_none_or(|far| far.camera_on);
        self.far_picture.as_deref().filter(|_| is_on)
    }

    /// For how long the far picture that is shown has stood still at `now_ms`; `None` while it moves.
    #[must_use]
    pub fn far_picture_still_ms(&self, now_ms: u64) -> Option<u64> {
        self.shown_far_picture().filter(|_| self.is_connected())?;
        still_ms(self.far_picture_at_ms, now_ms)
    }

    /// Milliseconds since sound flows, at `now_ms`.
    #[must_use]
    pub fn connected_ms(&self, now_ms: u64) -> u64 {
        self.connected_at_ms
            .map_or(0, |since| now_ms.saturating_sub(since))
    }
}
