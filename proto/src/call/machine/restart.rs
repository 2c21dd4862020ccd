//! A new session beside one that lost its way (`x.hullo.restart`), under the call's old keys.
//!
//! ```text
//! Restart ─▶ MakeRestartOffer ─▶ description ─▶ offer n ─────▶ MakeRestartAnswer ─▶ description
//!            ApplyRestartAnswer ◀──────────────── answer n ◀──────────────────────┘
//! ```
//!
//! Each try has a number of its own, higher than any before. Where both offer the same number at once the callee's
//! offer stands, as its first one did, and the caller answers it. Nothing of this is sent to a program that is not ours.

use std::time::{Duration, Instant};

use super::{CallMachine, State};
use crate::call::event::{CallEvent, Role};
use crate::call::message::{DescriptionKind, IceCandidate, Message, Restart};

/// Offers of the other side are taken no faster than this: each costs a session. Lower heals a broken try sooner.
const OFFER_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Which try there is.
#[derive(Default)]
pub(super) struct Restarts {
    /// The other program is ours.
    pub(super) is_possible: bool,
    generation: u32,
    pending: Option<Pending>,
    offered_at: Option<Instant>,
}

/// What the newest try waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    OwnOffer,
    Answer,
    OwnAnswer,
}

impl CallMachine {
    pub(super) fn restart(&mut self) {
        if !matches!(self.state, State::Connected) || !self.restarts.is_possible {
            return;
        }
        self.begin_restart(
            self.restarts.generation.saturating_add(1),
            Pending::OwnOffer,
        );
        let generation = self.restarts.generation;
        self.event(CallEvent::MakeRestartOffer { generation });
    }

    pub(super) fn describe_restart(
        &mut self,
        generation: u32,
        sdp: String,
        candidates: Vec<IceCandidate>,
    ) {
        if !matches!(self.state, State::Connected) || generation != self.restarts.generation {
            return;
        }
        let (kind, next) = match self.restarts.pending {
            Some(Pending::OwnOffer) => (DescriptionKind::Offer, Some(Pending::Answer)),
            Some(Pending::OwnAnswer) => (DescriptionKind::Answer, None),
            _ => return,
        };
        self.restarts.pending = next;
        let candidates = self.first_local(candidates);
        self.transmit(Message::Restart(Restart {
            call_id: self.call_id,
            generation,
            kind,
            sdp,
            candidates,
        }));
        self.send_extra();
    }

    pub(super) fn receive_restart(&mut self, now: Instant, restart: &Restart) {
        let (generation, sdp) = (restart.generation, restart.sdp.clone());
        match restart.kind {
            DescriptionKind::Offer if self.takes_offer(now, generation) => {
                self.begin_restart(generation, Pending::OwnAnswer);
                self.restarts.offered_at = Some(now);
                let candidates = self.count_remote(&restart.candidates);
                self.event(CallEvent::MakeRestartAnswer {
                    generation,
                    offer_sdp: sdp,
                    candidates,
                });
            }
            DescriptionKind::Answer
                if generation == self.restarts.generation
                    && self.restarts.pending == Some(Pending::Answer) =>
            {
                self.restarts.pending = None;
                let candidates = self.count_remote(&restart.candidates);
                self.event(CallEvent::ApplyRestartAnswer {
                    generation,
                    sdp,
                    candidates,
                });
            }
            _ => self.ignore(),
        }
    }

    fn takes_offer(&self, now: Instant, generation: u32) -> bool {
        let own = &self.restarts;
        let is_soon = (own.offered_at)
            .is_some_and(|at| now.saturating_duration_since(at) < OFFER_INTERVAL_MIN);
        let yields = generation == own.generation
            && matches!(own.pending, Some(Pending::OwnOffer | Pending::Answer))
            && self.role == Role::Caller;
        own.is_possible && !is_soon && (generation > own.generation || yields)
    }

    fn begin_restart(&mut self, generation: u32, pending: Pending) {
        self.restarts.generation = generation;
        self.restarts.pending = Some(pending);
        // Candidates of a session before it have had their turn.
        self.local_candidates.clear();
        (self.local_count, self.remote_count) = (0, 0);
    }
}
