//! Spoken codes over a relay: one shown here, one typed here at a time. What they say to one another is [`crate::code`].
//!
//! ```text
//! inviter                        relay                       adder
//!   CREATE, PUBLISH  ->  number                    number  <- CLAIM            (one claim spends it)
//!                                            reply queue   <- CREATE
//!             HELLO  <-  code's queue                      <- SEND
//!            ANSWER  ->                     reply queue    -> ANSWER
//! ```
//!
//! Both queues are for this alone: they are deleted when it is over, and with the next start when the program died.
//! The link that goes through at last is an ordinary one, for queues and connections that have nothing to do with these.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{
    BLOCK_BYTES, CodeNumber, Command, RecipientId, RefusedReason, SenderId,
};
use rand::Rng;
use vodozemac::Ed25519SecretKey;
use zeroize::Zeroizing;

use super::server::{Asked, Purpose, Task};
use super::{RelayChannel, TASK_TIME_MAX};
use crate::channel::{ChannelError, ChannelEvent, CodeEnd, ServerId, Wish};
use crate::code::{self, AwaitAnswer, AwaitConfirm, AwaitHello, AwaitLink, Code, CodeError};
use crate::server_url::ServerUrl;
use crate::store::{InboundQueue, StoreError};

/// Each answer of the other program: both run and a person waits beside each.
const TURN_TIME_MAX: Duration = Duration::from_secs(30);

/// The codes in use. They live as long as the program.
#[derive(Default)]
pub(super) struct Codes {
    offer: Option<Offer>,
    entry: Option<Entry>,
}

/// A code shown here.
struct Offer {
    server: ServerUrl,
    /// What it leads to, and the queue of that.
    link: Zeroizing<String>,
    invitation: RecipientId,
    queue: Option<RecipientId>,
    number: Option<CodeNumber>,
    stage: OfferStage,
    until: Instant,
    speech: Option<Speech>,
}

enum OfferStage {
    /// The queue or its number is not there yet.
    Making,
    Waiting(AwaitHello),
    Proving(AwaitConfirm),
    /// The link is on its way; nothing more is heard.
    Sending,
}

/// A code typed here.
struct Entry {
    code: Code,
    server: ServerUrl,
    queue: Option<RecipientId>,
    stage: EntryStage,
    until: Instant,
    speech: Option<Speech>,
}

enum EntryStage {
    /// The reply queue is not there yet.
    Making,
    /// The number is being claimed; where we read.
    Claiming(SenderId),
    Asking(AwaitAnswer),
    Receiving(AwaitLink),
    /// It failed and the user knows; the other side is being told.
    Leaving,
}

/// What is said to the other side, over a connection of its own.
struct Speech {
    line: u32,
    to: Addressee,
    secret: Zeroizing<[u8; 32]>,
    blocks: VecDeque<code::Block>,
}

#[derive(Clone, Copy)]
enum Addressee {
    /// A queue whose writing end is to be claimed.
    Number(CodeNumber),
    Queue(SenderId),
    /// A queue that knows our key.
    Ours(SenderId),
}

impl Codes {
    /// Whether this queue is a code's.
    pub(super) fn reads(&self, recipient: RecipientId) -> bool {
        let queues = [
            self.offer.as_ref().and_then(|offer| offer.queue),
            self.entry.as_ref().and_then(|entry| entry.queue),
        ];
        queues.contains(&Some(recipient))
    }

    /// Whether this queue has no number yet.
    pub(super) fn wants_number(&self, recipient: RecipientId) -> bool {
        self.offer.as_ref().is_some_and(|offer| {
            offer.queue == Some(recipient) && matches!(offer.stage, OfferStage::Making)
        })
    }

    pub(super) fn speaks_over(&self, line: u32) -> bool {
        self.speeches().any(|(_, speech)| speech.line == line)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let offer = self.offer.as_ref().map(|offer| offer.until);
        let entry = self.entry.as_ref().map(|entry| entry.until);
        offer.into_iter().chain(entry).min()
    }

    fn speeches(&self) -> impl Iterator<Item = (&ServerUrl, &Speech)> {
        let offer = self
            .offer
            .iter()
            .map(|offer| (&offer.server, &offer.speech));
        let entry = self
            .entry
            .iter()
            .map(|entry| (&entry.server, &entry.speech));
        offer
            .chain(entry)
            .filter_map(|(server, speech)| Some((server, speech.as_ref()?)))
    }

    fn speech_over(&mut self, line: u32) -> Option<&mut Speech> {
        let offer = self.offer.iter_mut().map(|offer| &mut offer.speech);
        let entry = self.entry.iter_mut().map(|entry| &mut entry.speech);
        let mut speeches = offer.chain(entry).filter_map(Option::as_mut);
        speeches.find(|speech| speech.line == line)
    }

    fn is_entry(&self, line: u32) -> bool {
        let speech = self.entry.as_ref().and_then(|entry| entry.speech.as_ref());
        speech.is_some_and(|speech| speech.line == line)
    }
}

impl RelayChannel {
    /// A code that leads to this link.
    pub(super) fn make_offer(&mut self, server: &ServerUrl, invitation: RecipientId, link: &str) {
        self.end_offer(CodeEnd::Replaced);
        let by = self.now + TASK_TIME_MAX;
        self.codes.offer = Some(Offer {
            server: server.clone(),
            link: Zeroizing::new(link.to_owned()),
            invitation,
            queue: None,
            number: None,
            stage: OfferStage::Making,
            until: by + TASK_TIME_MAX,
            speech: None,
        });
        self.start_task(server, Task::Offer { by });
    }

    /// The queue of our code exists: a number for it.
    pub(super) fn offer_made(&mut self, id: ServerId, queue: &InboundQueue) {
        if let Err(error) = self.store.rows().add_inbound(queue) {
            return self.end_offer(CodeEnd::Failed(error.to_string()));
        }
        let Some(offer) = &mut self.codes.offer else {
            return self.sweep();
        };
        offer.queue = Some(queue.recipient);
        if let Err(error) = self.publish(id, queue.recipient) {
            self.end_offer(CodeEnd::Failed(error.to_string()));
        }
    }

    pub(super) fn publish(
        &mut self,
        id: ServerId,
        recipient: RecipientId,
    ) -> Result<(), StoreError> {
        self.ask_as_reader(
            id,
            recipient,
            Command::Publish { recipient },
            Asked::Publish,
        )
    }

    pub(super) fn published(
        &mut self,
        id: ServerId,
        number: CodeNumber,
        stands: Duration,
    ) -> Result<(), StoreError> {
        let purpose = self.servers.get(&id).map(|server| server.purpose);
        let Some(offer) = &mut self.codes.offer else {
            return Ok(());
        };
        let Some(queue) = offer
            .queue
            .filter(|queue| purpose == Some(Purpose::Read(*queue)))
        else {
            return Ok(());
        };
        let code = Code::generate(number, &mut self.rng);
        let (text, link) = (code.to_text(), code.to_link(&offer.server));
        offer.number = Some(number);
        offer.stage = OfferStage::Waiting(AwaitHello::new(code));
        offer.until = self.now + stands;
        self.event(ChannelEvent::CodeReady {
            code: text,
            link,
            stands,
        });
        self.subscribe(id, queue)
    }

    /// Somebody became a contact by this queue's link: its code has nothing more to do.
    pub(super) fn link_used(&mut self, invitation: RecipientId) {
        let offer = self.codes.offer.as_ref();
        if offer.is_some_and(|offer| offer.invitation == invitation) {
            self.end_offer(CodeEnd::Used);
        }
    }

    pub(super) fn end_offer(&mut self, reason: CodeEnd) {
        if self.codes.offer.take().is_some() {
            self.event(ChannelEvent::CodeEnded { reason });
            self.sweep();
        }
    }

    /// Begins with a code that was typed.
    pub(super) fn enter_code(&mut self, text: &str) -> Result<(), ChannelError> {
        let (code, server) = match Code::from_link(text) {
            Some(whole) => whole?,
            None => (Code::from_text(text)?, self.own_server()?),
        };
        if self.codes.entry.is_some() {
            return Err(ChannelError::CodeBusy);
        }
        let own = self.codes.offer.as_ref();
        if own.is_some_and(|own| own.server == server && own.number == Some(code.number())) {
            return Err(ChannelError::OwnLink);
        }
        let by = self.now + TASK_TIME_MAX;
        self.codes.entry = Some(Entry {
            code,
            server: server.clone(),
            queue: None,
            stage: EntryStage::Making,
            until: by + TASK_TIME_MAX,
            speech: None,
        });
        self.start_task(&server, Task::Enter { by });
        Ok(())
    }

    /// The queue where we are answered exists: claim the number.
    pub(super) fn entry_made(&mut self, id: ServerId, queue: &InboundQueue, sender: SenderId) {
        if let Err(error) = self.store.rows().add_inbound(queue) {
            return self.end_entry(Some(error.into()));
        }
        let (line, until) = (self.line_number(), self.now + TASK_TIME_MAX);
        let secret = self.new_secret();
        let Some(entry) = &mut self.codes.entry else {
            return self.sweep();
        };
        entry.queue = Some(queue.recipient);
        entry.stage = EntryStage::Claiming(sender);
        entry.until = until;
        let to = Addressee::Number(entry.code.number());
        entry.speech = Some(Speech {
            line,
            to,
            secret,
            blocks: VecDeque::new(),
        });
        if let Err(error) = self.subscribe(id, queue.recipient) {
            self.end_entry(Some(error.into()));
        }
    }

    /// With a reason the user is told, unless that was done.
    pub(super) fn end_entry(&mut self, reason: Option<ChannelError>) {
        let Some(entry) = self.codes.entry.take() else {
            return;
        };
        if let Some(reason) = reason.filter(|_| !matches!(entry.stage, EntryStage::Leaving)) {
            self.fail(Wish::Add, reason);
        }
        self.sweep();
    }

    /// Deletes queues and leaves connections of codes that are over.
    fn sweep(&mut self) {
        if let Err(error) = self.delete_closing() {
            tracing::error!(%error, "the queue of a code could not be deleted");
        }
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.retire(id));
    }

    pub(super) fn new_secret(&mut self) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *secret);
        secret
    }

    /// A block in the queue of a code.
    pub(super) fn code_block(&mut self, recipient: RecipientId, block: &[u8; BLOCK_BYTES]) {
        let offer = self.codes.offer.as_ref();
        if offer.is_some_and(|offer| offer.queue == Some(recipient)) {
            if let Err(error) = self.offer_heard(block) {
                tracing::warn!(%error, "a code was tried and failed");
                self.end_offer(CodeEnd::WrongWords);
            }
        } else {
            self.entry_heard(block);
        }
    }

    fn offer_heard(&mut self, block: &[u8; BLOCK_BYTES]) -> Result<(), CodeError> {
        let (line, secret) = (self.line_number(), self.new_secret());
        let Some(offer) = &mut self.codes.offer else {
            return Ok(());
        };
        // Failing leaves a stage that hears nothing: a code has one try.
        match std::mem::replace(&mut offer.stage, OfferStage::Sending) {
            OfferStage::Waiting(waiting) => {
                let (proving, reply, answer) = waiting.hear(block, &mut self.rng)?;
                offer.stage = OfferStage::Proving(proving);
                offer.speech = Some(Speech {
                    line,
                    to: Addressee::Queue(reply),
                    secret,
                    blocks: VecDeque::from([answer]),
                });
            }
            OfferStage::Proving(proving) => {
                let link = proving.hear(block)?.seal(&offer.link, &mut self.rng);
                offer
                    .speech
                    .iter_mut()
                    .for_each(|speech| speech.blocks.push_back(link.clone()));
            }
            stage @ (OfferStage::Making | OfferStage::Sending) => {
                offer.stage = stage;
                return Ok(());
            }
        }
        offer.until = self.now + TURN_TIME_MAX;
        Ok(())
    }

    fn entry_heard(&mut self, block: &[u8; BLOCK_BYTES]) {
        let Some(entry) = &mut self.codes.entry else {
            return;
        };
        entry.until = self.now + TURN_TIME_MAX;
        match std::mem::replace(&mut entry.stage, EntryStage::Leaving) {
            EntryStage::Asking(asking) => {
                let (receiving, said) = asking.hear(block, &mut self.rng);
                if let Some(speech) = &mut entry.speech {
                    speech.blocks.push_back(said);
                }
                match receiving {
                    Ok(receiving) => entry.stage = EntryStage::Receiving(receiving),
                    Err(error) => self.fail(Wish::Add, error),
                }
            }
            EntryStage::Receiving(receiving) => {
                let link = receiving.hear(block).map(Zeroizing::new);
                self.end_entry(None);
                let joined = match link {
                    Ok(link) => self.start_join(&link),
                    Err(error) => Err(error.into()),
                };
                if let Err(reason) = joined {
                    self.fail(Wish::Add, reason);
                }
            }
            stage => entry.stage = stage,
        }
    }

    /// Says what is to be said next, over connections that stand; opens those that do not.
    pub(super) fn speak_all(&mut self) {
        let has_to =
            |speech: &Speech| !speech.blocks.is_empty() || !matches!(speech.to, Addressee::Ours(_));
        let speeches: Vec<(ServerUrl, u32)> = (self.codes.speeches())
            .filter(|(_, speech)| has_to(speech))
            .map(|(server, speech)| (server.clone(), speech.line))
            .collect();
        for (server, line) in speeches {
            let id = self.line(&server, Purpose::Speak(line));
            let is_free = (self.servers.get(&id))
                .is_some_and(|server| server.is_up() && server.asked.is_empty());
            if is_free {
                self.speak(id, line);
            }
        }
    }

    fn speak(&mut self, id: ServerId, line: u32) {
        let Some(speech) = self.codes.speech_over(line) else {
            return;
        };
        let (to, secret) = (speech.to, speech.secret.clone());
        let sender_key = *Ed25519SecretKey::from_slice(&secret)
            .public_key()
            .as_bytes();
        match to {
            Addressee::Number(code) => {
                let claim = Command::Claim { code, sender_key };
                self.ask(id, &secret, &claim, Asked::Claim);
            }
            Addressee::Queue(sender) => {
                let secure = Command::Secure { sender, sender_key };
                self.ask(id, &secret, &secure, Asked::Claim);
            }
            Addressee::Ours(sender) => {
                if let Some(block) = speech.blocks.front().cloned() {
                    let send = Command::Send {
                        sender,
                        block: &block,
                    };
                    self.ask(id, &secret, &send, Asked::Speak);
                }
            }
        }
    }

    fn line_of(&self, id: ServerId) -> Option<u32> {
        match self.servers.get(&id)?.purpose {
            Purpose::Speak(line) => Some(line),
            _ => None,
        }
    }

    /// The writing end is ours; `sender` is told when only its number was known.
    pub(super) fn claimed(&mut self, id: ServerId, sender: Option<SenderId>) {
        let Some(line) = self.line_of(id) else {
            return;
        };
        let is_entry = self.codes.is_entry(line);
        let Some(speech) = self.codes.speech_over(line) else {
            return;
        };
        speech.to = match (speech.to, sender) {
            (Addressee::Number(_), Some(sender)) | (Addressee::Queue(sender), _) => {
                Addressee::Ours(sender)
            }
            (other, _) => other,
        };
        let Some(entry) = self.codes.entry.as_mut().filter(|_| is_entry) else {
            return;
        };
        if let (EntryStage::Claiming(reply), Some(speech)) = (&entry.stage, &mut entry.speech) {
            let (asking, hello) = AwaitAnswer::new(&entry.code, *reply, &mut self.rng);
            speech.blocks.push_back(hello);
            entry.stage = EntryStage::Asking(asking);
            entry.until = self.now + TURN_TIME_MAX;
        }
    }

    /// A block of ours is with the relay.
    pub(super) fn spoken(&mut self, id: ServerId) {
        let Some(line) = self.line_of(id) else {
            return;
        };
        let is_entry = self.codes.is_entry(line);
        let Some(speech) = self.codes.speech_over(line) else {
            return;
        };
        speech.blocks.pop_front();
        if !speech.blocks.is_empty() {
            return;
        }
        let (offer, entry) = (&self.codes.offer, &self.codes.entry);
        if is_entry {
            let is_over = entry
                .as_ref()
                .is_some_and(|entry| matches!(entry.stage, EntryStage::Leaving));
            if is_over {
                self.end_entry(None);
            }
        } else if offer
            .as_ref()
            .is_some_and(|offer| matches!(offer.stage, OfferStage::Sending))
        {
            self.end_offer(CodeEnd::Used);
        }
    }

    pub(super) fn speech_refused(&mut self, id: ServerId, reason: RefusedReason) {
        let Some(line) = self.line_of(id) else {
            return;
        };
        if self.codes.is_entry(line) {
            self.end_entry(Some(ChannelError::Refused(reason)));
        } else if reason == RefusedReason::NoQueue {
            self.end_offer(CodeEnd::WrongWords);
        } else {
            self.end_offer(CodeEnd::Failed(ChannelError::Refused(reason).to_string()));
        }
    }

    pub(super) fn run_code_timers(&mut self) {
        let now = self.now;
        if let Some(offer) = self.codes.offer.as_ref().filter(|offer| offer.until <= now) {
            let reason = match offer.stage {
                OfferStage::Waiting(_) => CodeEnd::Expired,
                OfferStage::Making => CodeEnd::Failed("the server does not answer".to_owned()),
                OfferStage::Proving(_) | OfferStage::Sending => CodeEnd::WrongWords,
            };
            self.end_offer(reason);
        }
        if let Some(entry) = self.codes.entry.as_ref().filter(|entry| entry.until <= now) {
            let server = entry.server.authority();
            let reason = "it does not answer".to_owned();
            let reason = match entry.stage {
                EntryStage::Making | EntryStage::Claiming(_) => {
                    ChannelError::Unreachable { server, reason }
                }
                _ => ChannelError::CodeSilent,
            };
            self.end_entry(Some(reason));
        }
    }
}
