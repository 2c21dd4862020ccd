//! What the passing of time does to the model, and when it must be looked at next.

use super::{call, once, quit};
use crate::effect::Effect;
use crate::model::Model;

/// How long the end of a call may take after it was asked for before the screen stops waiting for it.
const END_MS: u64 = 3_000;

/// Applies every deadline that has passed.
pub(super) fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    model.message.take_if(|message| now_ms >= message.until_ms);
    model.interrupt_until_ms.take_if(|until| now_ms >= *until);
    call::talk::settle(model, effects);
    if let Some(since_ms) = now_ms.checked_sub(END_MS) {
        call::end_unanswered(model, since_ms, effects);
    }
    if let Some(stopping) = model.stopping
        && now_ms >= stopping.deadline_ms
    {
        quit(model, once::stop_status(model, stopping.reason), effects);
    }
}

fn end_due_ms(model: &Model) -> Option<u64> {
    model
        .live_calls()
        .filter_map(|call| call.hanging_up_at_ms)
        .min()
        .map(|since| since + END_MS)
}

impl Model {
    /// When an [`Event::Tick`](crate::event::Event::Tick) is due next at the latest, beside the one each second that
    /// moves the clock of a call. In the past: at once.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        [
            self.message.as_ref().map(|message| message.until_ms),
            end_due_ms(self),
            call::talk::due_ms(self),
            (self.suspended.as_ref()).and_then(|suspended| suspended.stops_at_ms),
            self.stopping
                .filter(|_| !self.once.is_over)
                .map(|stopping| stopping.deadline_ms),
            once::due_ms(self),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
