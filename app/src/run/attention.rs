//! Lets [`Attention`](crate::attention::Attention) look at the model after every turn of the loop, and does what it says.

use super::Runner;
use crate::attention::alerts::Ask;
use crate::attention::{AttentionSettings, Caller, Situation};
use crate::event::{Event, Media};
use crate::model::Model;

impl Runner<'_> {
    /// From now on calls draw attention like this, as far as this front end may.
    pub(super) fn attend(&mut self, wanted: AttentionSettings) {
        let may = &self.may_attend;
        self.attention.change(AttentionSettings {
            desktop: wanted.desktop && may.desktop,
            ring: wanted.ring && may.ring,
            ..wanted
        });
    }

    /// Starts and stops what is to draw attention.
    pub(super) fn look_for_attention(&mut self) {
        let now_ms = self.now_ms();
        let situation = self.model.situation();
        for alert in self.attention.look(now_ms, &situation) {
            match self.alerts.carry_out(alert) {
                Some(Ask::Bell) => self.front.bell(),
                Some(Ask::Sequence(sequence)) => self.front.sequence(&sequence),
                Some(Ask::Words(words)) => {
                    self.event(Event::Failed(crate::people::sentence(&words)))
                }
                None => {}
            }
        }
    }
}

impl Model {
    /// Who waits for an answer, and whether anybody looks.
    #[must_use]
    pub fn situation(&self) -> Situation {
        let is_heard = crate::update::call::ring::is_heard(self);
        let caller = self.incoming.as_ref().filter(|_| is_heard);
        let unseen = self.unseen.iter().flat_map(|unseen| unseen.values());
        Situation {
            caller: caller.map(|incoming| Caller {
                name: self.name_of_party(incoming.party).to_owned(),
                video: incoming.media == Media::Video,
                verified: self.is_verified(incoming.party),
            }),
            is_in_call: self.taken_call().is_some(),
            is_focused: self.is_focused,
            unseen: unseen.map(|unseen| unseen.texts + unseen.calls).sum(),
        }
    }
}
