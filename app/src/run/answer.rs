//! What other processes of the same user ask, and the answers.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::time::Instant;

use hullo_signalling::channel::{self, ChannelCommand};

use super::Runner;
use crate::command;
use crate::control::{self, Ask};
use crate::effect::Effect;
use crate::event::{Command, Event, PersonChange};
use crate::profile::control::{ControlRequest, Responder};
use crate::program::{Failure, REFUSED};
use crate::report::Report;

/// The asker's exit status where a name is nobody's.
const NO_SUCH_NAME: u8 = 3;

impl Runner<'_> {
    /// Does what another process of the same user asks, and answers.
    pub(super) fn answer(&mut self, request: &ControlRequest, responder: &Responder) {
        let now = Instant::now();
        let ask = match control::parse(request) {
            // These take time and have an answer of their own.
            Ok(Ask::Line(line)) => match command::parse(&line) {
                Ok(Command::Invite) => Ask::Invite,
                Ok(Command::Withdraw) => Ask::Withdraw,
                Ok(Command::Add(link)) => Ask::Add(link),
                Ok(Command::Name(name)) => Ask::Name(Some(name)),
                Ok(Command::Remove(name)) => Ask::Remove(name),
                Ok(Command::Person(name, change)) => Ask::Person(name, change),
                Ok(Command::Send(name, text)) => Ask::Send { name, text },
                _ => Ask::Line(line),
            },
            Ok(ask) => ask,
            Err(words) => return control::say(responder, &words),
        };
        if self.is_about_nobody(&ask) {
            return control::refuse(responder, &channel::ChannelError::NoContact.into());
        }
        match ask {
            Ask::Line(line) => match command::parse(&line) {
                Ok(command) => {
                    let device = crate::devices::named_in(&command);
                    let status = if self.names_nobody(&command) {
                        NO_SUCH_NAME
                    } else {
                        REFUSED
                    };
                    let is_done = self.answer_at_once(Event::Command(command), status, responder);
                    match device {
                        Some((kind, name)) if is_done => {
                            crate::calls::devices::tell_whether_there(kind, name, responder);
                        }
                        _ if is_done => done(responder),
                        _ => {}
                    }
                }
                Err(words) => control::refuse(responder, &Failure::usage(words)),
            },
            Ask::Attach => self.attach(responder),
            Ask::Contacts => self.contacts(responder),
            Ask::Remove(name) => self.remove(&name, responder),
            ask @ (Ask::Send { .. } | Ask::History { .. }) => {
                self.answer_of_history(ask, responder)
            }
            Ask::Group(errand) => self.group(&errand, responder),
            Ask::Person(name, change) => self.change_person(name, change, responder),
            Ask::Name(None) => self.tell_name(responder),
            // It is so already: no news will tell.
            Ask::Name(Some(name)) if self.is_own_name(&name) => self.tell_name(responder),
            Ask::Name(Some(name)) => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Name { .. })
                });
                self.do_effect(Effect::SetName(name));
            }
            Ask::Invite => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Invite { .. })
                });
                self.do_effect(Effect::Invite);
            }
            ask @ (Ask::Links | Ask::Withdraw) => self.links(&ask, responder),
            Ask::Add(link) => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Contact { .. })
                });
                self.do_effect(Effect::Add(link));
            }
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        let profile = self.model.profile.as_ref();
        profile.is_some_and(|profile| profile.name == name.trim())
    }

    fn tell_name(&self, responder: &Responder) {
        match &self.model.profile {
            Some(profile) => control::send(
                responder,
                &Report::Name {
                    name: profile.name.clone(),
                    id: profile.short_id.clone(),
                    key: profile.key.clone(),
                },
            ),
            None => control::say(responder, "the profile is still being read, try again"),
        }
    }

    /// It names a contact that there is not.
    fn is_about_nobody(&self, ask: &Ask) -> bool {
        let (Ask::Remove(name) | Ask::Send { name, .. } | Ask::Person(name, _)) = ask else {
            return false;
        };
        !self
            .model
            .contacts()
            .iter()
            .any(|contact| contact.name == *name)
    }

    /// The command names a contact, a group or somebody in the call whom there is not.
    fn names_nobody(&self, command: &Command) -> bool {
        let (contacts, groups) = (self.model.contacts(), self.model.groups());
        match command {
            Command::Call(name, _) | Command::Seen(name) => {
                contacts.iter().all(|contact| contact.name != *name)
            }
            Command::Join(name, _) => groups.iter().all(|group| group.name != *name),
            Command::Volume(name, _) | Command::Focus(name) => {
                self.model.taken_call().is_some_and(|call| {
                    let is_word = matches!(name.as_str(), "speaker" | "off");
                    let is_far = self.model.name_of_party(call.party) == name;
                    let is_here = call.people.iter().any(|person| person.name == *name);
                    !(is_word || is_far || is_here)
                })
            }
            _ => false,
        }
    }

    /// Another terminal of the same user follows: it is told how things stand, and all news from now on.
    fn attach(&mut self, responder: &Responder) {
        if !self.notes.followers.add(responder.clone()) {
            return control::say(responder, "too many programs follow this one already");
        }
        let text = "Another terminal follows this program.".to_owned();
        self.report(&Report::Notice { text });
        let now_ms = self.now_ms();
        for report in crate::update::standing(&self.model) {
            // Whoever is gone again is forgotten at the next report.
            let _ = responder.send(&crate::attach::line(now_ms, &report));
        }
    }

    fn contacts(&self, responder: &Responder) {
        for contact in self.model.contacts() {
            control::send(
                responder,
                &Report::contact(contact, self.model.do_words_differ(contact)),
            );
        }
    }

    /// Links that are out: until when they work, or that none does any more.
    fn links(&mut self, ask: &Ask, responder: &Responder) {
        if *ask == Ask::Links {
            return match self.net.own() {
                Ok(own) => control::send(responder, &Report::links(&own.open_links)),
                Err(error) => control::say(responder, &error.to_string()),
            };
        }
        let is_answer = |report: &Report| matches!(report, Report::Notice { .. });
        (self.notes.waiting).add(Instant::now(), responder.clone(), is_answer);
        self.do_effect(Effect::Withdraw);
    }

    fn remove(&mut self, name: &str, responder: &Responder) {
        let contacts = self.model.contacts();
        let Some(contact) = contacts.iter().find(|contact| contact.name == name) else {
            return;
        };
        let party = crate::event::Party::Contact(contact.id);
        if self.model.live_calls().any(|call| call.party == party) {
            let words = self.model.keymap.fill(crate::text::HANG_UP_FIRST);
            return control::refuse(
                responder,
                &Failure {
                    words,
                    status: REFUSED,
                },
            );
        }
        let command = ChannelCommand::RemoveContact(channel::ContactId(contact.id.0));
        if let Some(failed) = self.tell_net(command) {
            return self.event(failed);
        }
        let text = format!("{name} is forgotten. A new link makes you contacts again.");
        control::send(responder, &Report::Notice { text });
    }

    fn change_person(&mut self, name: String, change: PersonChange, responder: &Responder) {
        let now = Instant::now();
        let so_already = self.as_wanted(&name, &change);
        let waiting = &mut self.notes.waiting;
        if change == PersonChange::CompareWords {
            // Twelve words at once, four when the other program has answered.
            waiting.add(
                now,
                responder.clone(),
                |report| matches!(report, Report::Words { safety, .. } if safety.is_some()),
            );
            let text = crate::text::words_alone(&name);
            let late = Some(Report::Notice { text });
            let wants = |report: &Report| matches!(report, Report::Words { words: Some(_), .. });
            waiting.add_or(now, responder.clone(), wants, late);
        } else if let Some(contact) = so_already {
            // It is so already: no news will tell.
            control::send(responder, &contact);
        } else {
            waiting.add(now, responder.clone(), |report| {
                matches!(report, Report::Contact { .. })
            });
        }
        self.event(Event::Command(Command::Person(name, change)));
    }

    /// The contact of this name, where the change would leave it as it is.
    fn as_wanted(&self, name: &str, change: &PersonChange) -> Option<Report> {
        let mut contacts = self.model.contacts().iter();
        let contact = contacts.find(|contact| contact.name == name)?;
        let do_differ = self.model.do_words_differ(contact);
        let is_so = match change {
            PersonChange::Rename(new) => new.trim() == name,
            PersonChange::Block => contact.blocked,
            PersonChange::Unblock => !contact.blocked,
            PersonChange::WordsMatch => contact.verified,
            // Verified it is no longer: that is news. Else only the mark is, which is ours.
            PersonChange::WordsDiffer => !contact.verified,
            PersonChange::CompareWords => false,
        };
        let do_differ = do_differ || *change == PersonChange::WordsDiffer;
        is_so.then(|| Report::contact(contact, do_differ))
    }

    /// Answers with what is told right away; `status`: how the asker ends where that is an error. True where nothing is
    /// told: it was done, and that remains to be said.
    fn answer_at_once(&mut self, event: Event, status: u8, responder: &Responder) -> bool {
        self.notes.captured = Some(Vec::new());
        self.event(event);
        let reports = self.notes.captured.take().unwrap_or_default();
        for report in &reports {
            match report {
                Report::Error { text } => {
                    let words = text.clone();
                    control::refuse(responder, &Failure { words, status });
                }
                report => control::send_at(responder, self.now_ms(), report),
            }
        }
        reports.is_empty()
    }

    fn do_effect(&mut self, effect: Effect) {
        for event in self.effect(effect) {
            self.event(event);
        }
    }
}

/// There is nothing else to say.
fn done(responder: &Responder) {
    let text = crate::text::DONE.to_owned();
    control::send(responder, &Report::Notice { text });
}
