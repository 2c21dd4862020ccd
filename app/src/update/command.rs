//! Commands from stdin, the control socket and the command line: the same deeds as the keys, failures told outside.

use super::call::{self, hold, ring};
use super::{fail, group, history, people, stop};
use crate::effect::Effect;
use crate::event::{Command, GroupNumber, Party, StopReason};
use crate::model::Model;
use crate::report::Report;
use crate::text;

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
            effects.push(Effect::Report(Report::Notice {
                text: text::status(model),
            }));
            Ok(())
        }
        Command::Quit => {
            stop(model, StopReason::Quit, effects);
            Ok(())
        }
    };
    if let Err(words) = done {
        let words = model.keymap.fill(&words);
        fail(model, words, effects);
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
