//! The call state others can peek (protocol text, *State Update*).

use std::time::Instant;

use super::{GroupCall, STATE_UPDATE_INTERVAL};
use crate::group::wire::{CallState, ParticipantName, ToSfu};

impl GroupCall {
    /// 1. Cancel any running timer.
    /// 2. Let `candidates` be all currently authenticated non-guest participants (the user is one of them).
    /// 3. If there is none, add all currently authenticated guests.
    /// 4. If the user is not in `candidates`, abort.
    /// 5. If the user does not have the lowest id in `candidates`, abort.
    /// 6. Send the call state, and again every 10 s.
    pub(super) fn update_state(&mut self, now: Instant) {
        self.timers.state_update = None;
        let mut participants: std::collections::BTreeMap<_, _> = self
            .roster
            .authenticated()
            .map(|(id, name)| (id, name.clone()))
            .collect();
        participants.insert(self.participant_id, self.local.name());
        let is_normal = |name: &ParticipantName| matches!(name, ParticipantName::Normal(..));
        let designated = participants
            .iter()
            .find(|(_, name)| is_normal(name))
            .or_else(|| participants.iter().next())
            .map(|(id, _)| *id);
        if designated != Some(self.participant_id) {
            return;
        }
        let state = CallState {
            created_by: self.participant_id,
            created_at_ms: self.unix_ms(now),
            participants,
        };
        let plain = state.encode(&mut self.rng);
        let sealed = self.local.state_key.seal(&plain, &mut self.rng);
        self.transmit(&ToSfu::UpdateCallState(sealed));
        self.timers.state_update = Some(now + STATE_UPDATE_INTERVAL);
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        let (start, unix_ms) = self.clock;
        let elapsed_ms = now.saturating_duration_since(start).as_millis();
        unix_ms.saturating_add(u64::try_from(elapsed_ms).unwrap_or(u64::MAX))
    }
}
