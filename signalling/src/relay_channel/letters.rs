//! Letters: whole links left sealed at a relay, so that a link short enough for a small QR code leads to them.
//!
//! ```text
//! inviter                        relay                       adder
//!                CREATE  ->  letter's queue
//!          SECURE, SEND  ->                     letter  <- SUBSCRIBE
//! ```
//!
//! The letter stays until its invitation is too old; the inviter then deletes it. What it holds is an ordinary link: the
//! relay lets one sender into the invitation's queue, so a letter that two people read serves one of them, and the other
//! is told that the link was used.
//! Where a relay does not take the letter, the whole link is given out instead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{BLOCK_BYTES, Command, RecipientId, RefusedReason, SenderId};
use vodozemac::Ed25519SecretKey;
use zeroize::Zeroizing;

use super::server::{Asked, Purpose, Task};
use super::{RelayChannel, TASK_TIME_MAX};
use crate::block;
use crate::channel::{ChannelError, ChannelEvent, ServerId, Wish};
use crate::link::LinkError;
use crate::server_url::ServerUrl;
use crate::short_link::{LetterSecret, ShortLink};
use crate::store::{InboundQueue, QueueUse, StoreError};

/// Kind of the block that a letter is; ratchet messages have 0 and 1.
const LETTER: u8 = 2;
/// Short links being used at once: a person pastes one at a time.
const FETCHES_MAX: usize = 8;

/// What is to be left at a relay.
pub(super) struct Letter {
    pub(super) secret: LetterSecret,
    /// The whole link.
    pub(super) link: Zeroizing<String>,
    /// The queue it leads to.
    pub(super) invitation: RecipientId,
    /// As the link itself.
    pub(super) expires: Duration,
    /// A spoken code is wanted as well.
    pub(super) with_code: bool,
}

/// The letters under way. They live as long as the program.
#[derive(Default)]
pub(super) struct Letters {
    /// Being left, by the number of the connection.
    leaving: BTreeMap<u32, Leaving>,
    /// Being fetched, by the number of the connection.
    fetches: BTreeMap<u32, Fetch>,
}

struct Leaving {
    letter: Letter,
    server: ServerUrl,
    recipient: RecipientId,
    sender: SenderId,
    sender_secret: Zeroizing<[u8; 32]>,
    is_claimed: bool,
    until: Instant,
}

struct Fetch {
    link: ShortLink,
    until: Instant,
}

impl Letters {
    pub(super) fn is_leaving(&self, line: u32) -> bool {
        self.leaving.contains_key(&line)
    }

    pub(super) fn is_fetching(&self, line: u32) -> bool {
        self.fetches.contains_key(&line)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let leaving = self.leaving.values().map(|leaving| leaving.until);
        let fetches = self.fetches.values().map(|fetch| fetch.until);
        leaving.chain(fetches).min()
    }
}

impl RelayChannel {
    /// An invitation exists: its link goes out once the letter lies.
    pub(super) fn leave_letter(&mut self, server: &ServerUrl, letter: Letter) {
        let (letter, by) = (Box::new(letter), self.now + TASK_TIME_MAX);
        self.start_task(server, Task::Letter { letter, by });
    }

    /// The letter's queue exists: who writes to it is to look like anybody else.
    pub(super) fn letter_made(
        &mut self,
        mut queue: InboundQueue,
        sender: SenderId,
        letter: Letter,
    ) {
        queue.used_for = QueueUse::Letter {
            expires: letter.expires,
        };
        if let Err(error) = self.store.rows().add_inbound(&queue) {
            tracing::error!(%error, "a letter could not be noted");
            return self.give_out(&queue.server, letter, None);
        }
        let leaving = Leaving {
            letter,
            server: queue.server,
            recipient: queue.recipient,
            sender,
            sender_secret: self.new_secret(),
            is_claimed: false,
            until: self.now + TASK_TIME_MAX,
        };
        let line = self.line_number();
        let (id, now) = (self.line(&leaving.server, Purpose::Leave(line)), self.now);
        self.letters.leaving.insert(line, leaving);
        if let Some(server) = self.servers.get_mut(&id) {
            server.hurry(now);
        }
    }

    /// The connection for leaving a letter stands.
    pub(super) fn ask_to_leave(&mut self, id: ServerId, line: u32) {
        let Some(leaving) = self.letters.leaving.get(&line) else {
            return;
        };
        let (sender, secret) = (leaving.sender, leaving.sender_secret.clone());
        let key = Ed25519SecretKey::from_slice(&secret);
        let sender_key = *key.public_key().as_bytes();
        let secure = Command::Secure { sender, sender_key };
        self.ask(id, &secret, &secure, Asked::Leave);
    }

    /// The relay took our key, then the letter; or it did not.
    pub(super) fn letter_answered(
        &mut self,
        id: ServerId,
        refused: Option<RefusedReason>,
    ) -> Result<(), StoreError> {
        let purpose = self.servers.get(&id).map(|server| server.purpose);
        let Some(Purpose::Leave(line)) = purpose else {
            return Ok(());
        };
        if let Some(reason) = refused {
            tracing::warn!(?reason, "the relay does not take a letter");
            return self.end_leaving(line, false);
        }
        let Some(leaving) = self.letters.leaving.get_mut(&line) else {
            return Ok(());
        };
        if leaving.is_claimed {
            return self.end_leaving(line, true);
        }
        leaving.is_claimed = true;
        let (sender, secret) = (leaving.sender, leaving.sender_secret.clone());
        let (key, link) = (leaving.letter.secret.seal_key(), &leaving.letter.link);
        let block = block::seal_bytes(&key, &mut self.rng, LETTER, link.as_bytes())
            .expect("a link is shorter than a block");
        let send = Command::Send {
            sender,
            block: &block,
        };
        self.ask(id, &secret, &send, Asked::Leave);
        Ok(())
    }

    /// Gives the link out: the short one when the letter lies, otherwise the whole one.
    fn end_leaving(&mut self, line: u32, is_left: bool) -> Result<(), StoreError> {
        let Some(leaving) = self.letters.leaving.remove(&line) else {
            return Ok(());
        };
        let recipient = leaving.recipient;
        self.give_out(
            &leaving.server,
            leaving.letter,
            is_left.then_some(recipient),
        );
        if !is_left {
            self.store.rows().close_inbound(recipient)?;
        }
        Ok(())
    }

    /// Says the link, and makes the code that was asked for with it.
    pub(super) fn give_out(
        &mut self,
        server: &ServerUrl,
        letter: Letter,
        queue: Option<RecipientId>,
    ) {
        let short = queue.map(|recipient| ShortLink {
            secret: letter.secret.clone(),
            recipient,
            expires: letter.expires,
            server: server.clone(),
        });
        let whole = letter.link.to_string();
        let link = short.map_or_else(|| whole.clone(), |short| short.to_text());
        self.event(ChannelEvent::InviteReady { link, whole });
        if letter.with_code {
            self.make_offer(server, letter.invitation, &letter.link);
        }
    }

    /// Begins with a short link.
    pub(super) fn start_fetch(&mut self, text: &str) -> Result<(), ChannelError> {
        let link = ShortLink::from_text(text)?;
        if self.store.rows().inbound(link.recipient)?.is_some() {
            return Err(ChannelError::OwnLink);
        }
        if self.clock() >= link.expires {
            return Err(LinkError::Expired.into());
        }
        if self.copied.contains(&link.server) {
            return Err(ChannelError::CopiedProfile);
        }
        if self.letters.fetches.len() >= FETCHES_MAX {
            return Err(ChannelError::CodeBusy);
        }
        let line = self.line_number();
        let (id, now) = (self.line(&link.server, Purpose::Fetch(line)), self.now);
        let until = now + TASK_TIME_MAX;
        self.letters.fetches.insert(line, Fetch { link, until });
        if let Some(server) = self.servers.get_mut(&id) {
            server.hurry(now);
        }
        Ok(())
    }

    /// The connection for a letter stands.
    pub(super) fn ask_for_letter(&mut self, id: ServerId, line: u32) {
        let Some(fetch) = self.letters.fetches.get(&line) else {
            return;
        };
        let (recipient, seed) = (fetch.link.recipient, fetch.link.secret.reading_seed());
        self.ask(id, &seed, &Command::Subscribe { recipient }, Asked::Fetch);
    }

    /// The letter came: its link is used as if it had been pasted.
    pub(super) fn letter_came(&mut self, id: ServerId, line: u32, block: &[u8; BLOCK_BYTES]) {
        let Some(Fetch { link, .. }) = self.letters.fetches.remove(&line) else {
            return;
        };
        self.close(id);
        let whole = match block::open_bytes(&link.secret.seal_key(), block) {
            Ok((LETTER, bytes)) => String::from_utf8(bytes).ok().map(Zeroizing::new),
            Ok(_) | Err(_) => None,
        };
        let joined = match whole {
            Some(whole) => self.start_join(&whole),
            None => Err(LinkError::Content.into()),
        };
        if let Err(reason) = joined {
            self.fail(Wish::Add, reason);
        }
    }

    /// The relay does not show the letter's queue.
    pub(super) fn fetch_refused(&mut self, id: ServerId, reason: RefusedReason) {
        let purpose = self.servers.get(&id).map(|server| server.purpose);
        if let Some(Purpose::Fetch(line)) = purpose {
            let reason = match reason {
                RefusedReason::NoQueue => ChannelError::LinkGone,
                reason => ChannelError::Refused(reason),
            };
            self.end_fetch(id, line, reason);
        }
    }

    fn end_fetch(&mut self, id: ServerId, line: u32, reason: ChannelError) {
        if self.letters.fetches.remove(&line).is_some() {
            self.fail(Wish::Add, reason);
        }
        self.retire(id);
    }

    /// A connection is gone, whatever it was for.
    pub(super) fn letter_line_lost(&mut self, purpose: Purpose, server: &ServerUrl, reason: &str) {
        match purpose {
            Purpose::Leave(line) => {
                if let Err(error) = self.end_leaving(line, false) {
                    tracing::error!(%error, "the queue of a letter could not be closed");
                }
            }
            Purpose::Fetch(line) if self.letters.fetches.remove(&line).is_some() => {
                let (server, reason) = (server.authority(), reason.to_owned());
                self.fail(Wish::Add, ChannelError::Unreachable { server, reason });
            }
            _ => {}
        }
    }

    pub(super) fn run_letter_timers(&mut self) {
        let now = self.now;
        let late: Vec<u32> = (self.letters.leaving.iter())
            .filter(|(_, leaving)| leaving.until <= now)
            .map(|(line, _)| *line)
            .collect();
        for line in late {
            if let Err(error) = self.end_leaving(line, false) {
                tracing::error!(%error, "the queue of a letter could not be closed");
            }
        }
        let late: Vec<(u32, ServerUrl)> = (self.letters.fetches.iter())
            .filter(|(_, fetch)| fetch.until <= now)
            .map(|(line, fetch)| (*line, fetch.link.server.clone()))
            .collect();
        for (line, url) in late {
            let id = self.line(&url, Purpose::Fetch(line));
            let (server, reason) = (url.authority(), "it does not answer".to_owned());
            self.end_fetch(id, line, ChannelError::Unreachable { server, reason });
        }
    }
}
