//! How one sits in a call: the list of people, how loud each is, and hearing nothing at all.

use super::{mute, report_own, say, switched, taken_mut};
use crate::effect::Effect;
use crate::event::{CallNumber, ParticipantId, Party, Switch};
use crate::model::{Call, Model};
use crate::report::Report;
use crate::seat::Volume;
use crate::text;

/// Opens the list of people of a group's call, or closes it.
pub(crate) fn turn_roster(model: &mut Model) -> Result<(), String> {
    let (call, _) = taken_mut(model)?;
    if !call.is_of_a_group() {
        return Err(text::NO_ROSTER.to_owned());
    }
    let seat = &mut call.seat;
    if seat.is_roster_open {
        seat.close_roster();
        return Ok(());
    }
    seat.is_roster_open = true;
    if seat.selected.is_none() {
        seat.selected = call.people.first().map(|person| person.id);
    }
    Ok(())
}

/// Closes the list of people; false where it is not open, or something lies above it.
pub(crate) fn close_roster(model: &mut Model) -> bool {
    let is_open = model.roster().is_some();
    if let Some(call) = model.live_call_mut().filter(|_| is_open) {
        call.seat.close_roster();
    }
    is_open
}

/// Who is chosen is among those whom the filter leaves, where there is anybody.
pub(crate) fn choose_listed(model: &mut Model) {
    let Some(call) = model.live_call_mut() else {
        return;
    };
    let mut listed = (call.people.iter()).filter(|person| call.seat.lists(&person.name));
    let first = listed.next().map(|person| person.id);
    let is_listed = first.is_some() && first == call.seat.selected
        || listed.any(|person| Some(person.id) == call.seat.selected);
    if !is_listed && first.is_some() {
        call.seat.selected = first;
    }
}

/// One line up or down in the list of people; false where it is not open.
pub(crate) fn step(model: &mut Model, by: isize) -> bool {
    let Some(call) = model.live_call_mut() else {
        return false;
    };
    if !call.seat.is_roster_open || call.people.is_empty() {
        return false;
    }
    let listed = (call.people.iter()).filter(|person| call.seat.lists(&person.name));
    let listed: Vec<ParticipantId> = listed.map(|person| person.id).collect();
    let at = (listed.iter()).position(|id| Some(*id) == call.seat.selected);
    let last = listed.len().saturating_sub(1);
    let next = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
    if let Some(id) = listed.get(next) {
        call.seat.selected = Some(*id);
    }
    true
}

/// Turns pages of pictures, one at a time; false where all are on one.
pub(crate) fn turn_page(model: &mut Model, is_back: bool) -> bool {
    let pages = crate::view::picture_pages(model);
    let Some(call) = model.live_call_mut().filter(|_| pages > 1) else {
        return false;
    };
    let page = call.seat.page.min(pages - 1);
    call.seat.page = if is_back {
        page.saturating_sub(1)
    } else {
        (page + 1).min(pages - 1)
    };
    true
}

/// Hears nothing and is not heard, or as before. Whoever cannot hear should not talk over the others, and that they see
/// as muted; coming back, the microphone is as it was.
pub(crate) fn set_deafened(
    model: &mut Model,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    super::talk::end(model, effects);
    let (call, number) = taken_mut(model)?;
    let on = switched(switch, call.seat.is_deafened());
    if on == call.seat.is_deafened() {
        return Ok(());
    }
    if on {
        let is_muted = call.mute_asked.unwrap_or(call.own.mic_muted);
        call.seat.deafened = Some(is_muted);
        mute(call, number, true, effects);
    } else {
        let was_muted = call.seat.deafened.take().unwrap_or_default();
        mute(call, number, was_muted, effects);
    }
    tell_own_volume(model, number, effects);
    let confirmed = |call: &Call| {
        call.mute_asked
            .is_none_or(|asked| asked == call.own.mic_muted)
    };
    if model.live_call().is_some_and(confirmed) {
        report_own(model, number, effects);
    }
    // Else the microphone's answer tells both: nobody is to read "muted" of one that is about to open.
    let is_muted = on || (model.live_call()).is_some_and(|call| call.mute_asked == Some(true));
    say(model, text::deafened(on, is_muted));
    Ok(())
}

/// Whom the keys for loudness mean: the contact, or the one chosen in the list, or the one in focus.
fn chosen(call: &Call) -> Option<Option<ParticipantId>> {
    if !call.is_of_a_group() {
        return Some(None);
    }
    let seat = &call.seat;
    let selected = seat.selected.filter(|_| seat.is_roster_open);
    let id = selected.or(seat.focus.on())?;
    let is_here = call.people.iter().any(|person| person.id == id);
    is_here.then_some(Some(id))
}

/// Makes whoever is chosen a step louder or softer.
pub(crate) fn step_volume(
    model: &mut Model,
    is_up: bool,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    change_volume(model, |volume| volume.stepped(is_up), effects)
}

/// Silences whoever is chosen, here alone, or lets it be heard again.
pub(crate) fn turn_silence(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let turned = |volume: Volume| Volume {
        is_silenced: !volume.is_silenced,
        ..volume
    };
    change_volume(model, turned, effects)
}

fn change_volume(
    model: &mut Model,
    change: impl FnOnce(Volume) -> Volume,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, _) = taken_mut(model)?;
    let id = chosen(call).ok_or(text::CHOOSE_SOMEBODY)?;
    let name = name_of(model, id).ok_or(text::CHOOSE_SOMEBODY)?;
    let (call, _) = taken_mut(model)?;
    let volume = change(call.seat.volume(&name));
    apply_volume(model, id, &name, volume, effects)
}

/// Makes the person of this name so loud, in per cent of what is sent.
pub(crate) fn set_volume_of(
    model: &mut Model,
    name: &str,
    percent: u16,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let id = named(model, name)?;
    let volume = Volume {
        percent,
        is_silenced: false,
    };
    apply_volume(model, id, name, volume, effects)
}

/// The person of this name is not heard here, or is again.
pub(in crate::update) fn silence(
    model: &mut Model,
    name: &str,
    switch: Switch,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, _) = taken_mut(model)?;
    let before = call.seat.volume(name);
    let id = named(model, name)?;
    let volume = Volume {
        is_silenced: switched(switch, before.is_silenced),
        ..before
    };
    apply_volume(model, id, name, volume, effects)
}

/// Whom this name means: somebody in the call of a group, or (`None`) the contact in a call of two.
fn named(model: &mut Model, name: &str) -> Result<Option<ParticipantId>, String> {
    let (call, _) = taken_mut(model)?;
    let id = if call.is_of_a_group() {
        let mut people = call.people.iter();
        let person = people.find(|person| person.name == name);
        Some(person.ok_or_else(|| text::not_in_call(name))?.id)
    } else {
        None
    };
    if name_of(model, id).as_deref() != Some(name) {
        return Err(text::not_in_call(name));
    }
    Ok(id)
}

fn apply_volume(
    model: &mut Model,
    id: Option<ParticipantId>,
    name: &str,
    volume: Volume,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let (call, number) = taken_mut(model)?;
    let mut people = call.people.iter();
    if people.any(|person| Some(person.id) == id && person.is_blocked) {
        return Err(text::blocked_in_call(name));
    }
    let was_silenced = call.seat.volume(name).is_silenced;
    call.seat.set_volume(name, volume);
    match id {
        Some(_) => effects.push(Effect::SetVolume(number, id, volume.factor())),
        None => tell_own_volume(model, number, effects),
    }
    effects.push(Effect::Report(Report::Volume {
        name: name.to_owned(),
        percent: volume.percent,
        silenced: volume.is_silenced,
    }));
    let words = if was_silenced && volume.is_silenced {
        text::volume_of_silenced(name, volume)
    } else {
        text::volume(name, volume)
    };
    say(model, words);
    Ok(())
}

fn name_of(model: &Model, id: Option<ParticipantId>) -> Option<String> {
    let call = model.live_call()?;
    match id {
        None => Some(model.name_of_party(call.party).to_owned()),
        Some(id) => {
            let person = call.people.iter().find(|person| person.id == id)?;
            Some(person.name.clone())
        }
    }
}

/// Tells a call how loud all of it is: nothing while deafened; between two people also how loud the other is.
pub(super) fn tell_own_volume(model: &Model, number: CallNumber, effects: &mut Vec<Effect>) {
    let Some(call) = model.live_calls().find(|call| call.number == Some(number)) else {
        return;
    };
    let volume = match call.party {
        _ if call.seat.is_deafened() => 0.0,
        Party::Group(_) => 1.0,
        Party::Contact(_) => call.seat.volume(model.name_of_party(call.party)).factor(),
    };
    effects.push(Effect::SetVolume(number, None, volume));
}

/// Somebody came (again): as loud as before.
pub(super) fn came(call: &Call, id: ParticipantId, name: &str, effects: &mut Vec<Effect>) {
    let volume = call.seat.volume(name);
    if let Some(number) = call.number.filter(|_| volume != Volume::default()) {
        effects.push(Effect::SetVolume(number, Some(id), volume.factor()));
    }
}

/// Somebody went; `at` is where it stood among the people.
pub(super) fn went(call: &mut Call, id: ParticipantId, at: usize) {
    if call.seat.selected == Some(id) {
        let next = call.people.get(at).or(call.people.last());
        call.seat.selected = next.map(|person| person.id);
    }
}
