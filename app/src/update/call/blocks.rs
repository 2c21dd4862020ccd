//! What a block means in the call of a group: whoever is blocked here is neither heard nor seen here. The others of the
//! call, and the server, are not told: in a group everybody sends to everybody.

use crate::effect::Effect;
use crate::event::Party;
use crate::model::{Call, Model};
use crate::participant::Participant;
use crate::status::vouched;

/// After every event: blocks reach calls that run, and their end does.
pub(in crate::update) fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    let is_touched = |call: &Call| call.people.iter().any(|person| person.is_blocked);
    let has_blocks = model.contacts().iter().any(|contact| contact.blocked);
    if !has_blocks && !model.live_calls().any(is_touched) {
        return;
    }
    let changed: Vec<_> = (model.live_calls())
        .filter_map(|call| Some((call.number?, call)))
        .flat_map(|(number, call)| {
            let people = call.people.iter();
            people.map(move |person| (number, call.party, person))
        })
        .map(|(number, party, person)| (number, person, is_blocked(model, party, person)))
        .filter(|(_, person, is_blocked)| person.is_blocked != *is_blocked)
        .map(|(number, person, is_blocked)| (number, person.id, is_blocked))
        .collect();
    for (number, id, is_blocked) in changed {
        let Some(call) = model.numbered_mut(number) else {
            continue;
        };
        let Some(person) = call.people.iter_mut().find(|person| person.id == id) else {
            continue;
        };
        person.is_blocked = is_blocked;
        let volume = if is_blocked {
            0.0
        } else {
            call.seat.volume(&person.name).factor()
        };
        effects.push(Effect::SetVolume(number, Some(id), volume));
    }
}

/// Whether somebody in the call of a group is a contact that is blocked.
fn is_blocked(model: &Model, party: Party, person: &Participant) -> bool {
    let mut blocked = model.contacts().iter().filter(|contact| contact.blocked);
    blocked.any(|contact| contact.name == person.name)
        && matches!(
            vouched(model, party, &person.name),
            Some("verified" | "contact")
        )
}
