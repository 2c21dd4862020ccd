//! Between connections and rooms: who comes and goes, and what is said.

use hullo_proto::service::sfu::{CallId, ParticipantId};

use super::Forwarder;
use super::peer::Said;
use super::stack::UNREAD_BYTES_MAX;
use crate::room::{Input, Output};

impl Forwarder {
    /// Makes one change to a room and does what it asks for.
    pub(super) fn tell_room(&mut self, call_id: &CallId, input: Input) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(call_id) else {
            return;
        };
        call.room.handle_input(now, input);
        self.room_changed(call_id);
    }

    /// Drains a room, and forgets it when it is over.
    pub(super) fn room_changed(&mut self, call_id: &CallId) {
        loop {
            let Some(call) = self.calls.get_mut(call_id) else {
                return;
            };
            match call.room.poll_output() {
                Output::Send { to, bytes, relayed } => self.say(call_id, to, &bytes, relayed),
                Output::Watch { viewer, publisher } => self.watch(call_id, viewer, publisher),
                Output::Remove(id) => self.remove(call_id, id),
                Output::Timeout(deadline) => {
                    call.deadline = deadline;
                    if call.room.is_over() {
                        self.calls.remove(call_id);
                    }
                    return;
                }
            }
        }
    }

    fn say(&mut self, call_id: &CallId, to: ParticipantId, bytes: &[u8], relayed: bool) {
        let slot = self
            .calls
            .get(call_id)
            .and_then(|call| call.slots.get(&to))
            .copied();
        let Some((slot, peer)) = slot.and_then(|slot| Some((slot, self.peers[slot].as_mut()?)))
        else {
            return;
        };
        // What others send may fill half: then who does not read still hears who came and went until it is dropped.
        let room = if relayed { UNREAD_BYTES_MAX / 2 } else { 0 };
        match peer.say(bytes, room) {
            Said::Yes => self.touch(slot),
            Said::NoRoom => {
                // One lost message would break the sequence numbers between two participants for good.
                self.metrics.dropped_slow_total.add_one();
                self.doomed.push((slot, super::Broken::Closed));
            }
        }
    }

    /// The room let go of `id`: its connection ends, or the place that was kept for it.
    fn remove(&mut self, call_id: &CallId, id: ParticipantId) {
        let Some(call) = self.calls.get_mut(call_id) else {
            return;
        };
        match call.slots.get(&id).copied() {
            Some(slot) => self.detach(slot),
            None => {
                if let Some(fragment) = call.fragments.remove(&id) {
                    self.seats.remove(&fragment);
                }
            }
        }
    }

    /// The connection ended: the room is told, and everything about it forgotten.
    pub(super) fn leave(&mut self, slot: usize) {
        let Some((call, id)) = self.peers[slot].as_ref().map(|peer| (peer.call, peer.id)) else {
            return;
        };
        self.detach(slot);
        self.tell_room(&call, Input::Left(id));
    }

    /// Forgets a connection, its seat and what it was sent and sent to others.
    pub(super) fn detach(&mut self, slot: usize) {
        let Some(mut peer) = self.peers[slot].take() else {
            return;
        };
        let mut sent = Vec::new();
        peer.close(self.now, &mut sent);
        self.sent.extend(sent);
        self.deadlines[slot] = None;
        self.free.push(slot);
        self.seats.remove(&peer.fragment);
        for address in &peer.addresses {
            self.addresses.remove(address);
        }
        if let Some(call) = self.calls.get_mut(&peer.call) {
            call.slots.remove(&peer.id);
            call.fragments.remove(&peer.id);
        }
        self.detach_media(slot, &mut peer);
    }
}
