//! The commands that ask or change one thing and end: `name`, `invite`, `add`, `contacts` and its changes, `history`,
//! `send`, `group`, `ctl`.
//!
//! When another Hullo owns the profile they run through its control socket, else they own it for a moment.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::Read as _;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use hullo_signalling::channel::{
    ChannelCommand, ChannelError, ChannelEvent, CodeEnd, ContactId, PersonChange, TEXT_BYTES_MAX,
    Wish,
};
use hullo_signalling::group::{GroupCommand, GroupEvent, GroupState};
use hullo_signalling::history::{EntryKind, TextState};
use hullo_signalling::link::{Link, LinkError};
use hullo_signalling::server_url::{ServerUrl, ServerUrlError};
use hullo_signalling::short_link::ShortLink;
use serde_json::{Value, json};

use crate::cli::ContactChange;
use crate::front::Front;
use crate::groups::{self, GroupErrand};
use crate::net::{Net, NetEvent};
use crate::people;
use crate::profile::control::{self, ControlError};
use crate::profile::group_calls::GroupCalls;
use crate::profile::settings::SettingsFile;
use crate::profile::{Profile, ProfileError};
use crate::program::{Failure, USAGE};
use crate::report::{EntryReport, Report};
use crate::{qr, text};

use asking::{ask, until};
pub use past::entries;
use person::pass_on_person;

mod asking;
mod links;
mod past;
mod person;

/// A link is made or used within this, or the server is not there.
const PATIENCE: Duration = Duration::from_secs(20);
/// A text is with the server within this, or is left waiting.
const SEND_PATIENCE: Duration = Duration::from_secs(10);
/// Events that wait for this thread.
const EVENTS_MAX: usize = 256;
/// How long to wait for another short command on the profile before it is named.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// Longest link read from stdin, with room for broken lines.
const LINK_BYTES_MAX: u64 = 8_192;

/// One thing to ask or change.
#[derive(Clone, Debug)]
pub enum Small {
    /// Show or set the name.
    Name(Option<String>),
    /// Make a link, and maybe wait until it is used.
    Invite {
        /// Wait.
        wait: bool,
    },
    /// List the links that are out.
    Links,
    /// Let none of them work any more.
    Withdraw,
    /// Redeem a link; `-` reads stdin.
    Add(String),
    /// List.
    Contacts,
    /// Forget a contact.
    Remove(String),
    /// List entries of conversations.
    History {
        /// Of this contact only.
        name: Option<String>,
        /// At most so many.
        limit: u16,
        /// A person reads them.
        marks_seen: bool,
    },
    /// Send a text; `-` reads stdin.
    Send {
        /// To whom.
        name: String,
        /// The words.
        text: String,
    },
    /// About groups.
    Group(GroupErrand),
    /// Change something about a contact.
    Person(String, PersonChange),
    /// A line for the running program.
    Ctl(String),
}

impl Small {
    /// What `hullo contacts` was asked for.
    #[must_use]
    pub fn of(change: ContactChange) -> Self {
        let ContactChange {
            remove,
            rename,
            block,
            unblock,
            words,
        } = change;
        let person = |name: Option<String>, change| Some(Self::Person(name?, change));
        let renamed = rename.and_then(|names| {
            let [old, new] = <[String; 2]>::try_from(names).ok()?;
            Some(Self::Person(old, PersonChange::Rename(new)))
        });
        (remove.map(Self::Remove))
            .or(renamed)
            .or(person(block, PersonChange::Block))
            .or(person(unblock, PersonChange::Unblock))
            .or(person(words, PersonChange::CompareWords))
            .unwrap_or(Self::Contacts)
    }

    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] with words and exit status.
    pub fn run(
        self,
        folder: &std::path::Path,
        server: Option<&str>,
        seconds: Option<Duration>,
        front: &mut dyn Front,
    ) -> Result<(), Failure> {
        let this = self.with_link()?.with_text()?;
        let server = server.map(parse_server).transpose()?;
        if let Self::Ctl(line) = &this {
            return ask(folder, &json!({ "command": "ctl", "line": line }), front);
        }
        let end = Instant::now() + BUSY_TIME_MAX;
        loop {
            match Profile::open(folder) {
                Ok(profile) => return this.own(&profile, server, seconds, front),
                Err(ProfileError::Busy { .. }) if server.is_none() && control::answers(folder) => {
                    return this.pass_on(folder, front);
                }
                // Another errand, or a program that has just begun: neither takes long.
                Err(ProfileError::Busy { .. }) if Instant::now() < end => {
                    std::thread::sleep(BUSY_PAUSE)
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the link where it was left to stdin.
    fn with_link(self) -> Result<Self, Failure> {
        let Self::Add(link) = &self else {
            return Ok(self);
        };
        if link != "-" {
            return Ok(self);
        }
        let mut stdin = std::io::BufReader::new(std::io::stdin().take(LINK_BYTES_MAX));
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            let read = std::io::BufRead::read_until(&mut stdin, b'\n', &mut line);
            text.push_str(String::from_utf8_lossy(&line).trim());
            // A link that was broken into lines goes on; whoever pipes a whole one may keep the pipe open.
            let goes_on = is_cut(&text);
            if !goes_on || !matches!(read, Ok(1..)) {
                break;
            }
        }
        if text.trim().is_empty() {
            return Err(Failure::usage(
                "Nothing came on stdin: pipe the link into `hullo add -`.",
            ));
        }
        Ok(Self::Add(text))
    }

    /// Reads the text where it was left to stdin.
    fn with_text(self) -> Result<Self, Failure> {
        match self {
            Self::Send { name, text } if text == "-" => {
                let mut bytes = Vec::new();
                // One more than allowed, so that too much is told and not cut.
                let limit = u64::try_from(TEXT_BYTES_MAX * 2).unwrap_or(u64::MAX);
                std::io::stdin()
                    .take(limit)
                    .read_to_end(&mut bytes)
                    .map_err(|error| Failure::other(format!("stdin cannot be read: {error}.")))?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Ok(Self::Send { name, text })
            }
            other => Ok(other),
        }
    }

    fn pass_on(&self, folder: &std::path::Path, front: &mut dyn Front) -> Result<(), Failure> {
        let request = match self {
            Self::Name(None) => json!({ "command": "name" }),
            Self::Name(Some(name)) => json!({ "command": "name", "name": name }),
            Self::Invite { .. } => json!({ "command": "invite" }),
            Self::Links => json!({ "command": "links" }),
            Self::Withdraw => json!({ "command": "withdraw" }),
            Self::Add(link) => json!({ "command": "add", "link": link }),
            Self::Contacts => json!({ "command": "contacts" }),
            Self::Remove(name) => json!({ "command": "remove", "name": name }),
            Self::History {
                name,
                limit,
                marks_seen,
            } => {
                json!({ "command": "history", "name": name, "limit": limit, "seen": marks_seen })
            }
            Self::Send { name, text } => json!({ "command": "send", "name": name, "text": text }),
            Self::Group(errand) => json!({ "command": "group", "group": errand }),
            Self::Person(name, change) => return pass_on_person(folder, name, change, front),
            Self::Ctl(line) => json!({ "command": "ctl", "line": line }),
        };
        ask(folder, &request, front)
    }

    fn own(
        self,
        profile: &Profile,
        server: Option<ServerUrl>,
        seconds: Option<Duration>,
        front: &mut dyn Front,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let (sender, events) = bounded(EVENTS_MAX);
        let net = Net::start_for_errand(profile, move |event| {
            // The receiver ends with this function; the thread soon after.
            let _ = sender.send(event);
        })?;
        let mut errand = Errand {
            net,
            events,
            front,
            started,
            ends_at: seconds.map(|seconds| started + seconds),
            memory: SettingsFile::of_profile(profile.folder()),
            group_calls: GroupCalls::of_profile(profile.folder()).ok(),
        };
        let has_server = server.is_some();
        if let Some(server) = server {
            errand.net.command(ChannelCommand::SetServer(server))?;
        }
        match self {
            Self::Name(new) => errand.name(new),
            Self::Contacts => errand.contacts(),
            Self::Remove(name) => errand.remove(&name),
            Self::Group(about) => errand.group(&about),
            Self::Person(name, change) => errand.person(&name, change),
            Self::Invite { wait } => errand.invite(has_server, wait),
            Self::Links => errand.links(),
            Self::Withdraw => errand.withdraw(),
            Self::Add(link) => errand.add(link),
            Self::History {
                name,
                limit,
                marks_seen,
            } => errand.history(name.as_deref(), limit, marks_seen),
            Self::Send { name, text } => errand.send(&name, text),
            Self::Ctl(_) => Err(ControlError::NotRunning.into()),
        }
    }
}

/// Whether this is the beginning of a link of either kind.
fn is_cut(text: &str) -> bool {
    if ShortLink::is_meant(text) {
        return matches!(ShortLink::from_text(text), Err(LinkError::Truncated));
    }
    matches!(Link::from_text(text), Err(LinkError::Truncated))
}

/// The profile is ours for a moment.
struct Errand<'a> {
    net: Net,
    events: Receiver<NetEvent>,
    front: &'a mut dyn Front,
    started: Instant,
    /// When `--seconds` are over, for what waits for somebody.
    ends_at: Option<Instant>,
    /// What the profile remembers.
    memory: SettingsFile,
    /// `None` where they cannot be read, which the next program on the profile says.
    group_calls: Option<GroupCalls>,
}

impl Errand<'_> {
    fn name(&mut self, new: Option<String>) -> Result<(), Failure> {
        if let Some(name) = new {
            if hullo_signalling::name::clean(&name).as_deref() != Some(name.trim()) {
                return Err(Failure::usage(
                    "A name is one line of visible characters, at most 64 bytes.",
                ));
            }
            self.net.command(ChannelCommand::SetName(name))?;
        }
        let own = self.net.own()?;
        // What failed was told before the question was answered.
        for event in self.events.try_iter() {
            if let NetEvent::Channel(ChannelEvent::Failed { what, reason }) = event
                && what == Wish::Set
            {
                return Err(reason.into());
            }
        }
        self.tell(&Report::Name {
            key: people::key(&own),
            name: own.name,
            id: own.short_id,
        })
    }

    fn contacts(&mut self) -> Result<(), Failure> {
        for contact in self.net.contacts()? {
            let report = self.remembered(&contact);
            self.tell(&report)?;
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let contacts = self.net.contacts()?;
        let contact = contacts.iter().find(|contact| contact.name == name);
        let id = contact.ok_or(ChannelError::NoContact)?.id;
        self.net.command(ChannelCommand::RemoveContact(id))?;
        until(&self.events, Wish::Remove(id), Some(PATIENCE), |event| {
            matches!(event, ChannelEvent::ContactRemoved { contact } if contact == id).then_some(())
        })?;
        let text = format!("{name} is forgotten. A new link makes you contacts again.");
        self.tell(&Report::Notice { text })
    }

    fn group(&mut self, errand: &GroupErrand) -> Result<(), Failure> {
        let (known, contacts) = (self.net.groups()?, self.net.contacts()?);
        let differ = self.memory.read().unwrap_or_default().words_differ;
        let Some(command) = groups::command(errand, None, &known, &contacts)? else {
            for group in &known {
                self.tell(&groups::report(&groups::line(group), &differ))?;
            }
            return Ok(());
        };
        let wish = Wish::Group(groups::number(&command));
        let invited = match &command {
            GroupCommand::Add { contact, .. } => Some(*contact),
            _ => None,
        };
        let is_new = matches!(command, GroupCommand::New { .. });
        self.net.command(ChannelCommand::Group(command))?;
        let report = until(&self.events, wish, Some(PATIENCE), |event| match event {
            ChannelEvent::Group(GroupEvent::Changed { group })
                if !is_new || group.state == GroupState::In =>
            {
                Some(groups::report(&groups::line(&group), &differ))
            }
            ChannelEvent::Group(GroupEvent::Left { name, .. }) => Some(Report::GroupLeft { name }),
            _ => None,
        })?;
        if let Some(invited) = invited {
            // The invitation is to leave before this program does.
            until(&self.events, Wish::Send(invited), Some(PATIENCE), |event| {
                matches!(event, ChannelEvent::Delivered { contact, waiting: 0 } if contact == invited)
                    .then_some(())
            })?;
        }
        self.tell(&report)
    }

    fn invite(&mut self, has_server: bool, wait: bool) -> Result<(), Failure> {
        if !has_server && self.net.own()?.server.is_none() {
            return Err(ChannelError::NoServer.into());
        }
        self.net.command(if wait {
            ChannelCommand::InviteCode { server: None }
        } else {
            ChannelCommand::Invite { server: None }
        })?;
        let made = |event| match event {
            ChannelEvent::InviteReady { link, .. } => Some(link),
            _ => None,
        };
        let link = until(&self.events, Wish::Invite, Some(PATIENCE), made)?;
        if !wait {
            // Capital letters make the smaller code, and are read as the small ones are.
            self.show_qr(&link.to_ascii_uppercase())?;
            return self.tell(&Report::Invite { link, code: None });
        }
        let code = until(&self.events, Wish::Invite, Some(PATIENCE), code)?;
        let (code, scanned) = match code {
            Ok(both) => both,
            Err(reason) => {
                self.tell(&Report::Invite { link, code: None })?;
                self.tell(&notice(&reason))?;
                return self.wait_for_contact();
            }
        };
        // What is said aloud stands last, where it is seen.
        self.show_qr(&scanned)?;
        let code = Some(code);
        self.tell(&Report::Invite { link, code })?;
        self.wait_for_contact()
    }

    /// For a camera, where it is small enough for a terminal.
    fn show_qr(&mut self, scanned: &str) -> Result<(), Failure> {
        match qr::half_blocks(scanned) {
            Some(lines) => self.front.picture(&lines).map_err(|_| nobody_reads()),
            None => Ok(()),
        }
    }

    /// Until the link or the code was used; a code that died is said so, the link goes on.
    fn wait_for_contact(&mut self) -> Result<(), Failure> {
        loop {
            let left = self
                .ends_at
                .map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            let pick = |event| match event {
                ChannelEvent::ContactAdded { contact } => Some(report(&contact)),
                ChannelEvent::CodeEnded { reason } if reason != CodeEnd::Used => {
                    Some(notice(&reason))
                }
                _ => None,
            };
            let event = match until(&self.events, Wish::Invite, left, pick) {
                // The time that was given is over.
                Err(_) if self.ends_at.is_some_and(|at| at <= Instant::now()) => return Ok(()),
                event => event?,
            };
            self.tell(&event)?;
            if matches!(event, Report::Contact { .. }) {
                return Ok(());
            }
        }
    }

    fn add(&mut self, link: String) -> Result<(), Failure> {
        self.net.command(ChannelCommand::Add { link })?;
        let contact = until(&self.events, Wish::Add, Some(PATIENCE), added)?;
        self.tell(&contact)
    }

    fn history(&mut self, name: Option<&str>, limit: u16, marks_seen: bool) -> Result<(), Failure> {
        let groups = self.group_calls.as_ref();
        for entry in entries(&self.net, groups, name, usize::from(limit), marks_seen)? {
            self.tell(&Report::Entry(Box::new(entry)))?;
        }
        Ok(())
    }

    /// Until the relay has it. A server that does not answer leaves it waiting, which is said.
    fn send(&mut self, name: &str, text: String) -> Result<(), Failure> {
        let contacts = self.net.contacts()?;
        let contact = contacts.iter().find(|contact| contact.name == name);
        let contact = contact.ok_or(ChannelError::NoContact)?.id;
        self.net
            .command(ChannelCommand::SendText { contact, text })?;
        let mut last = None;
        let sent = until(
            &self.events,
            Wish::Send(contact),
            Some(SEND_PATIENCE),
            |event| {
                let ChannelEvent::History { entry } = event else {
                    return None;
                };
                let is_ours = entry.contact == contact
                    && matches!(&entry.kind, EntryKind::Text { state, .. } if *state != TextState::Received)
                    && last.as_ref().is_none_or(|(id, _)| *id == entry.id);
                if is_ours {
                    let is_sent = matches!(
                        &entry.kind,
                        EntryKind::Text {
                            state: TextState::Sent,
                            ..
                        }
                    );
                    // An older text may leave first; ours is the one that begins by waiting.
                    if last.is_some() || !is_sent {
                        last = Some((entry.id, entry));
                        return is_sent.then_some(());
                    }
                }
                None
            },
        );
        match (sent, last) {
            (Ok(()), Some((_, entry))) => {
                self.tell(&Report::Entry(Box::new(EntryReport::of(&entry, name))))
            }
            (Err(failure), Some((_, entry))) => {
                self.tell(&Report::Entry(Box::new(EntryReport::of(&entry, name))))?;
                let words = format!("{} {}", failure.words, text::KEPT);
                Err(Failure { words, ..failure })
            }
            (Err(failure), None) => Err(failure),
            (Ok(()), None) => Ok(()),
        }
    }

    fn tell(&mut self, report: &Report) -> Result<(), Failure> {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.front.report(at_ms, report).map_err(|_| nobody_reads())
    }
}

fn nobody_reads() -> Failure {
    Failure::other("Nobody reads the output.")
}

fn notice(reason: &CodeEnd) -> Report {
    Report::Notice {
        text: people::sentence(&reason.to_string()),
    }
}

/// The code with its server, or why there is none.
fn code(event: ChannelEvent) -> Option<Result<(String, String), CodeEnd>> {
    match event {
        ChannelEvent::CodeReady { code, link, .. } => Some(Ok((code, link))),
        ChannelEvent::CodeEnded { reason } => Some(Err(reason)),
        _ => None,
    }
}

fn added(event: ChannelEvent) -> Option<Report> {
    match event {
        ChannelEvent::ContactAdded { contact } => Some(report(&contact)),
        _ => None,
    }
}

fn report(contact: &hullo_signalling::channel::Contact) -> Report {
    Report::contact(&people::contact(contact), false)
}

/// Reads a server's URL.
///
/// # Errors
/// The user's.
pub fn parse_server(text: &str) -> Result<ServerUrl, Failure> {
    text.parse()
        .map_err(|error: ServerUrlError| Failure::usage(people::sentence(&error.to_string())))
}
