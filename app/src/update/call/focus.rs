//! Whom the large picture shows: pinned by hand, or whoever speaks, without jumping at every word.

use super::{notice, taken_mut};
use crate::effect::Effect;
use crate::event::ParticipantId;
use crate::model::Model;
use crate::participant::Participant;
use crate::seat::Focus;
use crate::text;

/// Speech shorter than this moves nothing: a cough, a yes.
const SPEECH_MS_MIN: u64 = 600;
/// Whoever fell silent keeps the focus so long: people breathe.
const BREATH_MS: u64 = 1_500;
/// A picture that was just moved to is looked at for so long.
const DWELL_MS_MIN: u64 = 2_000;

/// The key: with somebody chosen in the list, pins that one or lets go. Without: everybody, then who speaks, then that one
/// whoever speaks, then everybody again.
pub(crate) fn turn(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let (call, _) = taken_mut(model)?;
    if !call.is_of_a_group() {
        return Err(text::NO_FOCUS.to_owned());
    }
    let seat = &call.seat;
    let chosen = seat.selected.filter(|_| seat.is_roster_open);
    let focus = match (chosen, seat.focus) {
        (Some(id), Focus::Pinned(pinned)) if pinned == id => Focus::Everybody,
        (Some(id), _) => Focus::Pinned(id),
        (None, Focus::Everybody) => Focus::Speaker(None),
        (None, Focus::Speaker(Some(id))) => Focus::Pinned(id),
        (None, Focus::Speaker(None) | Focus::Pinned(_)) => Focus::Everybody,
    };
    set(model, focus, effects)
}

/// Looks at the person of this name, at whoever `speaker` is, or at everybody (`off`).
pub(crate) fn on_name(
    model: &mut Model,
    name: &str,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, _) = taken_mut(model)?;
    if !call.is_of_a_group() {
        return Err(text::NO_FOCUS.to_owned());
    }
    let found = call.people.iter().find(|person| person.name == name);
    let focus = match (name, found) {
        (_, Some(person)) => Focus::Pinned(person.id),
        ("speaker", None) => Focus::Speaker(None),
        ("off", None) => Focus::Everybody,
        _ => return Err(text::not_in_call(name)),
    };
    set(model, focus, effects)
}

fn set(model: &mut Model, focus: Focus, effects: &mut Vec<Effect>) -> Result<(), String> {
    let now_ms = model.now_ms;
    let (call, _) = taken_mut(model)?;
    let focus = match focus {
        Focus::Speaker(before) => Focus::Speaker(follow(&call.people, before, 0, now_ms)),
        other => other,
    };
    (call.seat.focus, call.seat.focused_at_ms, call.seat.page) = (focus, now_ms, 0);
    call.seat.pin_awaited = None;
    let words = text::focus(call);
    notice(model, words, effects);
    Ok(())
}

/// After every event: the focus goes to whoever speaks, and leaves those who are gone.
pub(in crate::update) fn settle(model: &mut Model) {
    let now_ms = model.now_ms;
    let Some(call) = model.live_call_mut() else {
        return;
    };
    let is_here = |id: ParticipantId| call.people.iter().any(|person| person.id == id);
    match call.seat.focus {
        Focus::Pinned(id) if !is_here(id) => call.seat.focus = Focus::Everybody,
        Focus::Speaker(before) => {
            let next = follow(&call.people, before, call.seat.focused_at_ms, now_ms);
            if next != before {
                call.seat.focus = Focus::Speaker(next);
                call.seat.focused_at_ms = now_ms;
            }
        }
        _ => {}
    }
}

/// Who is to be in focus, who was so before since `focused_at_ms`.
fn follow(
    people: &[Participant],
    before: Option<ParticipantId>,
    focused_at_ms: u64,
    now_ms: u64,
) -> Option<ParticipantId> {
    let current = people.iter().find(|person| Some(person.id) == before);
    if let Some(current) = current {
        let since = |ms: u64| now_ms.saturating_sub(ms);
        let breathes = current.spoke_at_ms.is_some_and(|at| since(at) < BREATH_MS);
        if current.speaks() || breathes || since(focused_at_ms) < DWELL_MS_MIN {
            return before;
        }
    }
    let speaks = |person: &&Participant| {
        let spoken_ms = person.spoken_ms(now_ms);
        spoken_ms.is_some_and(|ms| ms >= SPEECH_MS_MIN)
    };
    let speaker = (people.iter().filter(speaks)).max_by_key(|person| person.spoken_ms(now_ms));
    speaker.or(current).map(|person| person.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ParticipantChange;

    fn id(number: u32) -> ParticipantId {
        ParticipantId::try_from(number).expect("in range")
    }

    /// Ann and bob; what each says from when to when, in milliseconds.
    fn watched(said: &[(u32, u64, u64)], until_ms: u64) -> Vec<(u64, Option<ParticipantId>)> {
        let mut people: Vec<Participant> = [(1, "ann"), (2, "bob")]
            .map(|(number, name)| Participant::new(id(number), name.to_owned()))
            .into();
        for person in &mut people {
            person.take(ParticipantChange::Muted(false), 0);
        }
        let (mut focus, mut since_ms, mut moves) = (None, 0, Vec::new());
        for now_ms in (0..until_ms).step_by(100) {
            for (whose, from, to) in said {
                let person = &mut people[*whose as usize - 1];
                if now_ms == *from || now_ms == *to {
                    person.take(ParticipantChange::Speaking(now_ms == *from), now_ms);
                }
            }
            let next = follow(&people, focus, since_ms, now_ms);
            if next != focus {
                (focus, since_ms) = (next, now_ms);
                moves.push((now_ms, next));
            }
        }
        moves
    }

    #[test]
    fn the_focus_follows_speech_and_not_coughs_and_breath() {
        let said = [
            (1, 1_000, 5_000),
            // A cough while ann speaks, and one in her silence.
            (2, 2_000, 2_300),
            (2, 5_200, 5_400),
            (1, 6_000, 9_000),
            // Bob begins before ann is done, and goes on.
            (2, 8_000, 15_000),
        ];
        assert_eq!(
            watched(&said, 20_000),
            [(1_600, Some(id(1))), (10_500, Some(id(2)))]
        );
    }

    #[test]
    fn two_who_talk_at_once_do_not_make_it_jump() {
        let mut said = Vec::new();
        for turn in 0..40 {
            let from = 1_000 + turn * 800;
            said.push((1 + (turn % 2) as u32, from, from + 900));
        }
        let moves = watched(&said, 34_000);
        assert!(moves.len() <= 2, "{moves:?}");
    }
}
