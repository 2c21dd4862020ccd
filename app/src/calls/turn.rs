//! TURN servers that our own server gives for a while, for those who name none in their settings.

use std::time::{Duration, Instant};

use hullo_media::reach::Carrier;
use hullo_proto::call::{Invitation, Message};
use hullo_proto::service::turn::TurnGrant;

use super::{Calls, Outcome, missed};
use crate::call::driver::Command;
use crate::call::servers::{CallServers, NamedTurn, resolve};
use crate::config::TurnUrl;
use crate::event::{ContactId, Event, Media, Party, Unrung};

/// What was given is good for twelve hours; a call that begins late in them should last.
const GRANT_LIFE: Duration = Duration::from_secs(6 * 3_600);
/// A server that had none to give is asked again after this, and one that is being asked not before.
const ASK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// One that does not answer is asked again after this, which is longer than any answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Calls that wait for its answer; more were not made by people.
const WAITING_MAX: usize = 8;

/// When we were given what.
pub(super) struct Given {
    /// The settings name their own: nobody is asked.
    has_own: bool,
    given_at: Option<Instant>,
    asked_at: Option<Instant>,
    /// The answer to that has not come.
    is_asked: bool,
    /// Calls that may only go over a TURN server while none is known.
    waiting: Vec<Waiting>,
}

/// A call that is made, or rings, once there is a way.
enum Waiting {
    Start(Party, Media),
    Ring(ContactId, Invitation),
}

impl Given {
    pub(super) fn new(servers: &CallServers) -> Self {
        Self {
            has_own: !servers.turn.is_empty(),
            given_at: None,
            asked_at: None,
            is_asked: false,
            waiting: Vec::new(),
        }
    }
}

impl Calls {
    /// No call is possible until a TURN server is known.
    pub fn depends_on_turn(&self) -> bool {
        !self.servers.allows_calls()
    }

    /// A call waits for our server's answer: it must be asked.
    pub fn waits_for_turn(&self) -> bool {
        !self.turn.waiting.is_empty()
    }

    /// Whether our server is to be asked now. Asked so, it counts as done.
    pub fn wants_turn(&mut self, now: Instant) -> bool {
        let waits = self.waits_for_turn();
        let given = &mut self.turn;
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let is_good = since(given.given_at).is_some_and(|age| age < GRANT_LIFE);
        let interval = match (waits, given.is_asked) {
            (true, false) => Duration::ZERO,
            (true, true) => ANSWER_TIME_MAX,
            (false, _) => ASK_INTERVAL,
        };
        let is_asked = since(given.asked_at).is_some_and(|age| age < interval);
        let wants = !given.has_own && !is_good && !is_asked;
        if wants {
            given.asked_at = Some(now);
            given.is_asked = true;
        }
        wants
    }

    /// A call of ours that may only go over a TURN server while none is known: it begins once our server gave one.
    pub(super) fn start_with_turn(&mut self, party: Party, media: Media) -> Vec<Outcome> {
        let is_it =
            |waiting: &Waiting| matches!(waiting, Waiting::Start(other, _) if *other == party);
        self.turn.waiting.retain(|waiting| !is_it(waiting));
        if self.turn.waiting.len() >= WAITING_MAX {
            let words = crate::text::NO_TURN.to_owned();
            return vec![Outcome::Event(Event::Failed(words))];
        }
        self.turn.waiting.push(Waiting::Start(party, media));
        Vec::new()
    }

    /// The same for a call that comes in: it rings then.
    pub(super) fn ring_with_turn(
        &mut self,
        contact: ContactId,
        invitation: Invitation,
    ) -> Vec<Outcome> {
        let mut outcomes = self.take_back(|other, _| other == contact);
        if self.turn.waiting.len() >= WAITING_MAX {
            outcomes.extend(without_turn(contact, &invitation));
        } else {
            self.turn.waiting.push(Waiting::Ring(contact, invitation));
        }
        outcomes
    }

    /// A call that waits to ring is taken back by who makes it.
    pub(super) fn no_longer_waits(
        &mut self,
        contact: ContactId,
        message: &Message,
    ) -> Vec<Outcome> {
        match message {
            Message::End(id) | Message::Gone(id) => {
                self.take_back(|other, invitation| (other, invitation.call_id) == (contact, *id))
            }
            _ => Vec::new(),
        }
    }

    fn take_back(&mut self, which: impl Fn(ContactId, &Invitation) -> bool) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.turn.waiting.retain(|waiting| match waiting {
            Waiting::Ring(contact, invitation) if which(*contact, invitation) => {
                outcomes.extend(missed(*contact, invitation.call_id, Unrung::Late));
                false
            }
            _ => true,
        });
        outcomes
    }

    /// Takes what our server gave, for the calls there are, those that wait for it, and those to come.
    pub fn granted(&mut self, now: Instant, grant: Option<TurnGrant>) -> Vec<Outcome> {
        self.turn.is_asked = false;
        if let Some(grant) = grant.filter(|_| !self.turn.has_own) {
            self.take_grant(now, &grant);
        }
        let mut outcomes = Vec::new();
        let is_possible = self.servers.allows_calls();
        for waiting in std::mem::take(&mut self.turn.waiting) {
            outcomes.extend(match waiting {
                Waiting::Start(party, media) if is_possible => self
                    .start(now, party, media)
                    .unwrap_or_else(|words| vec![Outcome::Event(Event::Failed(words))]),
                Waiting::Start(..) => {
                    let words = crate::text::NO_TURN.to_owned();
                    vec![Outcome::Event(Event::Failed(words))]
                }
                // Anew, for we may be calling this contact by now.
                Waiting::Ring(contact, invitation) if is_possible => {
                    let message = Message::Invitation(invitation);
                    self.message(now, contact, message, Duration::ZERO)
                }
                Waiting::Ring(contact, invitation) => without_turn(contact, &invitation),
            });
        }
        outcomes
    }

    fn take_grant(&mut self, now: Instant, grant: &TurnGrant) {
        let named = |url: &String| {
            let url = TurnUrl::try_from(url.clone()).ok()?;
            Some(NamedTurn {
                carrier: match (url.is_tls, url.is_tcp) {
                    (true, _) => Carrier::Tls,
                    (false, true) => Carrier::Tcp,
                    (false, false) => Carrier::Udp,
                },
                address: url.address,
                username: grant.username.clone(),
                password: grant.password.clone(),
            })
        };
        self.servers.turn = grant.urls.iter().filter_map(named).collect();
        self.turn.given_at = (!self.servers.turn.is_empty()).then_some(now);
        let servers = CallServers {
            stun: Vec::new(),
            ..self.servers.clone()
        };
        for current in &self.current {
            let commands = current.handle.commands();
            resolve(&servers, move |it| commands.send(Command::Resolved(it)));
        }
    }
}

/// A call came in and cannot be.
fn without_turn(contact: ContactId, invitation: &Invitation) -> Vec<Outcome> {
    let call_id = invitation.call_id;
    let mut outcomes = vec![Outcome::Send(contact, Message::End(call_id))];
    outcomes.extend(missed(contact, call_id, Unrung::NoTurn));
    outcomes
}
