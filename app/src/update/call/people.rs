//! Those who are in the call of a group: who comes, goes, is heard, and how large their pictures are drawn.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::effect::Effect;
use crate::event::{CallNumber, ParticipantChange, ParticipantId, Party};
use crate::model::Model;
use crate::participant::Participant;
use crate::report::{Report, Stats};
use crate::seat::Focus;
use crate::{text, view};

/// One change of one of them.
pub(super) fn take(
    model: &mut Model,
    number: CallNumber,
    id: ParticipantId,
    change: ParticipantChange,
    effects: &mut Vec<Effect>,
) {
    let now_ms = model.now_ms;
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    let at = call.people.binary_search_by_key(&id, |person| person.id);
    let (change, name, on) = match (at, change) {
        (Err(_), ParticipantChange::Moved { from }) => {
            let Some(was) = call.people.iter().position(|person| person.id == from) else {
                return;
            };
            // Devices are announced anew.
            let name = call.people.remove(was).name;
            let at = call.people.partition_point(|person| person.id < id);
            call.people.insert(at, Participant::new(id, name.clone()));
            call.seat.moved(from, id);
            super::seat::came(call, id, &name, effects);
            ("reconnected", name, Some(true))
        }
        (Err(at), ParticipantChange::Joined { name }) => {
            call.people.insert(at, Participant::new(id, name.clone()));
            call.seat.came(id, &name);
            super::seat::came(call, id, &name, effects);
            ("joined", name, None)
        }
        (Ok(at), ParticipantChange::Left { is_removed }) => {
            let name = call.people.remove(at).name;
            if call.seat.focus == Focus::Pinned(id) {
                // A program that is started again comes back under another number.
                call.seat.pin_awaited = Some(name.clone());
            }
            super::seat::went(call, id, at);
            // The switch of `left` says whether it went by itself; most readers need not know.
            ("left", name, is_removed.then_some(false))
        }
        (Ok(at), ParticipantChange::Renamed { name }) => {
            let before = std::mem::replace(&mut call.people[at].name, name.clone());
            call.seat.renamed(&before, &name);
            ("renamed", name, Some(true))
        }
        (Ok(at), change) => match call.people[at].take(change, now_ms) {
            Some((word, on)) => (word, call.people[at].name.clone(), Some(on)),
            None => return,
        },
        (Err(_), _) => return,
    };
    let count = call.people_count();
    effects.push(Effect::Report(Report::Participant {
        participant: Some(id.number()),
        change,
        name: name.clone(),
        on,
    }));
    // In the demo all come at once, and the first words say what to press.
    let is_read = model.is_demo && model.message.is_some();
    if (on.is_none() || change == "left") && !is_read {
        super::say(model, text::came_or_went(&name, change, count));
    }
}

/// Figures of a second of a call, and of each in it.
pub(super) fn measure(model: &mut Model, number: CallNumber, stats: Box<Stats>) {
    let Some(call) = model.numbered_mut(number) else {
        return;
    };
    for figures in &stats.people {
        let mut people = call.people.iter_mut();
        let of = people.find(|person| person.id.number() == figures.participant);
        if let Some(person) = of {
            person.quality.take(figures);
        }
    }
    call.stats = Some(stats);
}

/// Tells the call how large each picture is drawn, when that changed. Without a screen nothing is said: recordings
/// and programs want the size of the source.
pub(in crate::update) fn want_views(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some((columns, rows)) = model.size else {
        return;
    };
    let in_group = (model.taken_call()).filter(|call| matches!(call.party, Party::Group(_)));
    let Some(number) = in_group.and_then(|call| call.number) else {
        return model.views_wanted.clear();
    };
    let area = Rect::new(0, 0, columns, rows);
    let wanted: BTreeMap<_, _> = view::feed_areas(model, area)
        .into_iter()
        .map(|(id, feed, cells)| {
            let pixels = (u32::from(cells.width), u32::from(cells.height) * 2);
            ((id, feed), pixels)
        })
        .collect();
    let before = std::mem::take(&mut model.views_wanted);
    // What is no longer drawn first: its rate is free for the others.
    for (id, feed) in before.keys().filter(|key| !wanted.contains_key(key)) {
        effects.push(Effect::View(number, *id, *feed, None));
    }
    let now_ms = model.now_ms;
    for ((id, feed), size) in &wanted {
        let asked = before.get(&(*id, *feed));
        let mut people = model.call.iter_mut().flat_map(|call| &mut call.people);
        if asked.is_none()
            && let Some(person) = people.find(|person| person.id == *id)
        {
            person.look_again(now_ms);
        }
        if asked != Some(size) {
            effects.push(Effect::View(number, *id, *feed, Some(*size)));
        }
    }
    model.views_wanted = wanted;
}
