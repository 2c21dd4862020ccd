//! Commands from stdin, the control socket and the command line: the same deeds as the keys, failures told outside.

use super::call::{self, focus, hold, ring, seat, talk};
use super::{fail, group, history, menu, people, settings, sound, stop};
use crate::effect::Effect;
use crate::event::{Command, GroupNumber, Party, StopReason};
use crate::model::{Incoming, Model};
use crate::report::{Report, Status};
use crate::text;

/// A number typed so soon after a call began to ring answers an earlier question: nobody hears it out and types so fast.
const CHOICE_GUARD_MS: u64 = 1_000;

/// Does what was asked for, or reports why not.
pub(super) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let done = match command {
        Command::Call(name, media) => {
            match model.contacts().iter().find(|contact| contact.name == name) {
                Some(contact) => call::start(model, Party::Contact(contact.id), media, effects),
                None => Err(text::no_such_contact(&name)),
            }
        }
        Command::Join(name, media) => {
            let found = model.groups().iter().find(|group| group.name == name);
            match found.map(|group| GroupNumber(group.number)) {
                Some(group) => call::start(model, Party::Group(group), media, effects),
                None => Err(text::no_such_group(&name)),
            }
        }
        Command::JoinRunning => group::join_running(model, effects),
        Command::Screen(switch) => call::set_screen(model, switch, effects),
        Command::Accept(media, meanwhile) => ring::accept(model, media, meanwhile, effects),
        Command::Reject => ring::reject(model, effects),
        Command::Ignore => ring::ignore(model, effects),
        Command::HangUp => call::hang_up(model, effects),
        Command::Mute(switch) => call::set_mute(model, switch, effects),
        Command::Video(switch) => call::set_camera(model, switch, effects),
        Command::Hold(switch) => hold::set_hold(model, switch, effects),
        Command::Swap => hold::swap(model, effects),
        Command::Deafen(switch) => seat::set_deafened(model, switch, effects),
        Command::Talk(switch) => talk::set(model, switch, effects),
        Command::Focus(name) => focus::on_name(model, &name, effects),
        Command::Volume(name, percent) => seat::set_volume_of(model, &name, percent, effects),
        Command::Silence(name, switch) => seat::silence(model, &name, switch, effects),
        Command::Who => who(model, effects),
        Command::Figures => figures(model, effects),
        Command::Choose(number) => return choose(model, number, effects),
        Command::Quit => {
            stop(model, StopReason::Quit, effects);
            Ok(())
        }
        other => run_beside(model, other, effects),
    };
    if let Err(words) = done {
        let words = model.keymap.fill(&words);
        fail(model, words, effects);
    }
}

/// The same for what is no call's: people, messages, settings.
fn run_beside(
    model: &mut Model,
    command: Command,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    match command {
        Command::Process(part, switch) => {
            sound::set_processing(model, part, switch, effects);
            Ok(())
        }
        Command::Help => {
            tell_all(crate::command::help(), effects);
            Ok(())
        }
        Command::Remove(name) => menu::remove(model, &name, effects),
        Command::Set(name, value) => settings::set(model, &name, &value, effects),
        Command::DoNotDisturb(switch) => {
            call::set_do_not_disturb(model, switch, effects);
            Ok(())
        }
        Command::Send(name, words) => history::send(model, &name, &words, effects),
        Command::Seen(name) => history::seen(model, &name, effects),
        Command::Invite => invite(model, effects),
        Command::Withdraw => {
            effects.push(Effect::Withdraw);
            Ok(())
        }
        Command::Add(link) if link.trim().is_empty() => Err(text::NOTHING_TYPED.to_owned()),
        Command::Add(link) => {
            effects.push(Effect::Add(link.trim().to_owned()));
            Ok(())
        }
        Command::Name(name) if name.trim().is_empty() => Err(text::NAME_EMPTY.to_owned()),
        Command::Name(name) => {
            effects.push(Effect::SetName(name.trim().to_owned()));
            Ok(())
        }
        Command::Person(name, change) => people::change(model, &name, change, effects),
        Command::Status => {
            let status = Box::new(Status::of(model));
            effects.push(Effect::Report(Report::Status(status)));
            Ok(())
        }
        // Done above.
        _ => Ok(()),
    }
}

/// Tells who is in the call, a sentence for each.
fn who(model: &Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let call = model.taken_call().ok_or(text::NO_CALL)?;
    tell_all(text::who(model, call), effects);
    Ok(())
}

fn tell_all(sentences: Vec<String>, effects: &mut Vec<Effect>) {
    let notices = sentences.into_iter();
    effects.extend(notices.map(|text| Effect::Report(Report::Notice { text })));
}

/// Tells what is wrong with the call, and its figures of the last second.
fn figures(model: &Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let call = model.taken_call().ok_or(text::NO_CALL)?;
    let stats = call.stats.as_ref().ok_or(text::STATS_NONE)?;
    tell_all(text::stats_sentences(model, call, stats), effects);
    effects.push(Effect::Report(Report::Stats(stats.clone())));
    Ok(())
}

/// Does what the answer of this number to the last question says.
fn choose(model: &mut Model, number: usize, effects: &mut Vec<Effect>) {
    let now_ms = model.now_ms;
    let rang_at = |incoming: &Incoming| now_ms < incoming.since_ms + CHOICE_GUARD_MS;
    if model.incoming.as_ref().is_some_and(rang_at) {
        return fail(model, text::ASKED_JUST_NOW, effects);
    }
    let choices = crate::choice::now(model);
    match number.checked_sub(1).and_then(|at| choices.get(at)) {
        Some(choice) => run(model, choice.command.clone(), effects),
        None => fail(model, text::no_such_choice(choices.len()), effects),
    }
}

/// Asks for an invitation link.
pub(super) fn invite(model: &Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model
        .profile
        .as_ref()
        .is_some_and(|profile| !profile.has_server)
    {
        return Err(text::NO_SERVER_SET.to_owned());
    }
    effects.push(Effect::Invite);
    Ok(())
}
