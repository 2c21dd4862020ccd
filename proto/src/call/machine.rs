//! The state machine of one call, for both roles.
//!
//! ```text
//! caller  AwaitOffer ──offer──▶ AwaitOwnAnswer ──local description──▶ AwaitSession ──connected──▶ Connected
//! callee  AwaitAccept ──accept──▶ AwaitOwnOffer ──local description──▶ AwaitAnswer ──answer──▶ AwaitSession ──▶ …
//! ```
//!
//! A caller that is called by the same contact while it awaits the offer has met it half-way: of the two calls the one
//! with the smaller id stays, on both sides, and its callee accepts it at once with what it asked for itself.
//!
//! From everywhere a hang-up, either side's end, a deadline or a lost session leads to `Ended`, which is never left.
//! Driving: one [`CallMachine::handle_input`], then [`CallMachine::poll_output`] until it gives a `Timeout`, then the
//! next input.
//!
//! What this does not do: it opens no session, knows no contact and no further call (being busy is for the caller of
//! this machine to say, and that a contact's invitation belongs to this call too). When the way is lost it agrees on a new
//! session with the other side (`restart.rs`); whether one is needed is for the caller to say.
//!
//! Source: the SimpleX call flow (the callee offers, the caller answers; extra candidates of the caller only after its
//! answer), with ringing, refusal and both time-outs of our own. Every wait but that of a connected call has a
//! deadline.

mod restart;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use super::event::{CallEvent, CallState, EndReason, Input, Output, Refused, Role};
use super::keys::{CallKeys, KeyPair, Layout};
use super::message::{
    Answer, CallId, Extra, Hullo, IceCandidate, Invitation, Media, Message, Offer, RefusalReason,
};
use super::wire::CANDIDATES_MAX;
use crate::frame::CallSecret;
use restart::Restarts;

/// How long a call rings, on both sides. Longer annoys, shorter leaves no time to find the window.
pub const RING_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a call may take from its acceptance until the session carries media. Covers both descriptions over a slow
/// relay and a whole round of ICE checks; longer only delays the bad news.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Most candidates sent in one message, so that it stays far below the message limit.
const CANDIDATES_IN_MESSAGE: usize = 16;

/// Most candidates taken from either side during a call: two full messages, more than any host has addresses.
const CANDIDATES_IN_CALL_MAX: usize = 2 * CANDIDATES_MAX;

/// One call, from its invitation to its end.
pub struct CallMachine {
    call_id: CallId,
    media: Media,
    role: Role,
    rng: ChaCha20Rng,
    state: State,
    outputs: VecDeque<Output>,
    /// Found before they may be sent.
    local_candidates: Vec<IceCandidate>,
    local_count: usize,
    remote_count: usize,
    ignored_messages: u64,
    restarts: Restarts,
    peer: Peer,
}

/// What the other program said of itself; nothing before it spoke.
#[derive(Clone, Copy, Default)]
struct Peer {
    takes_parity: bool,
    answerer_leads: bool,
}

/// What is awaited, with what only that wait needs.
enum State {
    AwaitOffer {
        own: KeyPair,
        deadline: Instant,
    },
    AwaitOwnAnswer {
        deadline: Instant,
    },
    AwaitAccept {
        peer_public: [u8; 32],
        layout: Layout,
        deadline: Instant,
    },
    AwaitOwnOffer {
        media: Media,
        own_public: [u8; 32],
        deadline: Instant,
    },
    AwaitAnswer {
        deadline: Instant,
    },
    AwaitSession {
        deadline: Instant,
    },
    Connected,
    Ended,
}

impl CallMachine {
    /// A call to a contact: sends the invitation and waits [`RING_TIMEOUT`] for an offer. `call_id` must be new; `rng`
    /// must be seeded from the system's random source, since the call's key comes from it.
    pub fn call(call_id: CallId, media: Media, mut rng: ChaCha20Rng, now: Instant) -> Self {
        let own = KeyPair::random(&mut rng);
        let invitation = Message::Invitation(Invitation {
            call_id,
            media,
            public_key: Some(own.public()),
            hullo: Some(Hullo::ours()),
        });
        let state = State::AwaitOffer {
            own,
            deadline: now + RING_TIMEOUT,
        };
        let mut machine = Self::new(call_id, media, Role::Caller, rng, state);
        machine.transmit(invitation);
        machine.tell(CallState::Inviting);
        machine
    }

    /// A call from a contact: says that it rings and waits [`RING_TIMEOUT`] for the person. `rng` as for
    /// [`Self::call`].
    ///
    /// # Errors
    /// [`Refused`]: the invitation cannot lead to a call that is encrypted end to end.
    pub fn incoming(
        now: Instant,
        invitation: Invitation,
        mut rng: ChaCha20Rng,
    ) -> Result<Self, Refused> {
        let (peer_public, layout) = acceptable(&invitation, &mut rng)?;
        let peer = Peer::of(invitation.hullo.as_ref());
        let Invitation { call_id, media, .. } = invitation;
        let state = State::AwaitAccept {
            peer_public,
            layout,
            deadline: now + RING_TIMEOUT,
        };
        let mut machine = Self::new(call_id, media, Role::Callee, rng, state);
        machine.peer = peer;
        machine.transmit(Message::Ringing(call_id));
        machine.event(CallEvent::Incoming { media });
        machine.tell(CallState::Ringing);
        Ok(machine)
    }

    /// Takes in one thing that happened. Deadlines that have passed by `now` count first.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.expire();
        }
        match input {
            Input::Accept { media } => self.accept(now, media),
            Input::Reject => self.reject(RefusalReason::Declined),
            Input::RejectAsBusy => self.reject(RefusalReason::Busy),
            Input::HangUp => self.hang_up(),
            Input::Message(message) => self.receive(now, message),
            Input::LocalDescription { sdp, candidates } => self.describe(sdp, candidates),
            Input::LocalCandidates(candidates) => {
                self.queue_local(candidates);
                self.send_extra();
            }
            Input::SessionConnected => {
                if let State::AwaitSession { .. } = self.state {
                    self.state = State::Connected;
                    self.tell(CallState::Connected);
                }
            }
            Input::Restart => self.restart(),
            Input::RestartDescription {
                generation,
                sdp,
                candidates,
            } => self.describe_restart(generation, sdp, candidates),
            Input::SessionLost => self.lose_session(),
            Input::SessionClosed => match self.state {
                State::Connected => self.end(EndReason::FarHungUp),
                _ => self.lose_session(),
            },
            Input::PeerIncompatible(words) => {
                if !self.is_ended() {
                    self.end_and_say(EndReason::PeerIncompatible(words));
                }
            }
            Input::Timeout => {}
        }
    }

    /// What to do next; `Timeout` when there is nothing more.
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// The call's id.
    pub fn call_id(&self) -> CallId {
        self.call_id
    }

    /// What the caller started with.
    pub fn media(&self) -> Media {
        self.media
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the call is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// How many messages were dropped: for another call, or not awaited.
    pub fn ignored_messages(&self) -> u64 {
        self.ignored_messages
    }

    fn new(call_id: CallId, media: Media, role: Role, rng: ChaCha20Rng, state: State) -> Self {
        Self {
            call_id,
            media,
            role,
            rng,
            state,
            outputs: VecDeque::new(),
            local_candidates: Vec::new(),
            local_count: 0,
            remote_count: 0,
            ignored_messages: 0,
            restarts: Restarts::default(),
            peer: Peer::default(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::AwaitOffer { deadline, .. }
            | State::AwaitOwnAnswer { deadline }
            | State::AwaitAccept { deadline, .. }
            | State::AwaitOwnOffer { deadline, .. }
            | State::AwaitAnswer { deadline }
            | State::AwaitSession { deadline } => Some(deadline),
            State::Connected | State::Ended => None,
        }
    }

    fn expire(&mut self) {
        match self.state {
            State::AwaitOffer { .. } => self.end_and_say(EndReason::Unanswered),
            State::AwaitAccept { .. } => {
                self.refuse(RefusalReason::Unanswered, EndReason::Unanswered)
            }
            State::AwaitOwnAnswer { .. }
            | State::AwaitOwnOffer { .. }
            | State::AwaitAnswer { .. }
            | State::AwaitSession { .. } => self.end_and_say(EndReason::FailedToConnect),
            State::Connected | State::Ended => {}
        }
    }

    fn accept(&mut self, now: Instant, media: Media) {
        let State::AwaitAccept {
            peer_public,
            layout,
            ..
        } = self.state
        else {
            return;
        };
        let own = KeyPair::random(&mut self.rng);
        let own_public = own.public();
        let Ok(secret) = own.agree(&peer_public) else {
            return self.end_and_say(EndReason::PeerIncompatible(Refused::WeakKey.to_string()));
        };
        self.state = State::AwaitOwnOffer {
            media,
            own_public,
            deadline: now + CONNECT_TIMEOUT,
        };
        self.tell(CallState::Connecting);
        let keys = self.keys(secret, own_public, peer_public, layout);
        self.event(CallEvent::MakeOffer { keys });
    }

    fn reject(&mut self, reason: RefusalReason) {
        if let State::AwaitAccept { .. } = self.state {
            self.refuse(reason, EndReason::Declined);
        }
    }

    fn hang_up(&mut self) {
        match self.state {
            State::AwaitOffer { .. } => self.end_and_say(EndReason::Cancelled),
            State::AwaitAccept { .. } => self.reject(RefusalReason::Declined),
            State::Ended => {}
            _ => self.end_and_say(EndReason::HungUp),
        }
    }

    fn lose_session(&mut self) {
        match self.state {
            State::AwaitOwnAnswer { .. }
            | State::AwaitOwnOffer { .. }
            | State::AwaitAnswer { .. }
            | State::AwaitSession { .. } => self.end_and_say(EndReason::FailedToConnect),
            State::Connected => self.end_and_say(EndReason::Lost),
            State::AwaitOffer { .. } | State::AwaitAccept { .. } | State::Ended => {}
        }
    }

    fn receive(&mut self, now: Instant, message: &Message) {
        if let (State::AwaitOffer { .. }, Message::Invitation(theirs)) = (&self.state, message)
            && theirs.call_id != self.call_id
        {
            return self.meet(now, theirs);
        }
        if message.call_id() != Some(self.call_id) {
            return self.ignore();
        }
        match (&self.state, message) {
            (State::Ended, _) => self.ignore(),
            (State::AwaitAccept { .. }, Message::End(_) | Message::Gone(_)) => {
                self.end(EndReason::Cancelled);
            }
            (_, Message::End(_)) => self.end(EndReason::FarHungUp),
            (_, Message::Gone(_)) => self.end(EndReason::FarGone),
            (State::AwaitOffer { .. }, Message::Ringing(_)) => self.tell(CallState::Ringing),
            (State::AwaitOffer { .. }, Message::Refused { reason, .. }) => self.end(match reason {
                RefusalReason::Busy => EndReason::Busy,
                RefusalReason::Declined => EndReason::Declined,
                RefusalReason::Unanswered => EndReason::Unanswered,
                RefusalReason::AnsweredElsewhere => EndReason::AnsweredElsewhere,
            }),
            (State::AwaitOffer { .. }, Message::Offer(offer)) => self.receive_offer(now, offer),
            (State::AwaitAnswer { deadline }, Message::Answer(answer)) => {
                self.state = State::AwaitSession {
                    deadline: *deadline,
                };
                let candidates = self.count_remote(&answer.candidates);
                self.event(CallEvent::ApplyAnswer {
                    sdp: answer.sdp.clone(),
                    candidates,
                });
            }
            (
                State::AwaitOwnAnswer { .. } | State::AwaitSession { .. } | State::Connected,
                Message::Extra(extra),
            ) => {
                let candidates = self.count_remote(&extra.candidates);
                if candidates.is_empty() {
                    return self.ignore();
                }
                self.event(CallEvent::RemoteCandidates(candidates));
            }
            (State::Connected, Message::Restart(restart)) => self.receive_restart(now, restart),
            // A second offer above all: one offer for each call, so that its keys are fixed.
            _ => self.ignore(),
        }
    }

    /// Both called at once: the smaller id wins, so that both sides decide the same without a word.
    fn meet(&mut self, now: Instant, theirs: &Invitation) {
        if !theirs.call_id.wins_over(self.call_id) {
            // The other side will take this call.
            return self.ignore();
        }
        // They drop it anyway; where their own call ended before they heard of ours, this stops the ringing.
        self.transmit(Message::End(self.call_id));
        (self.call_id, self.role) = (theirs.call_id, Role::Callee);
        self.peer = Peer::of(theirs.hullo.as_ref());
        match acceptable(theirs, &mut self.rng) {
            Err(refused) => self.end_and_say(EndReason::PeerIncompatible(refused.to_string())),
            Ok((peer_public, layout)) => {
                self.state = State::AwaitAccept {
                    peer_public,
                    layout,
                    deadline: now + CONNECT_TIMEOUT,
                };
                self.accept(now, self.media);
            }
        }
    }

    fn receive_offer(&mut self, now: Instant, offer: &Offer) {
        // Taken out: with the offer the key has done its work, whatever becomes of it.
        let State::AwaitOffer { own, .. } = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let own_public = own.public();
        self.peer = Peer::of(offer.hullo.as_ref());
        match agree(&own, offer) {
            Err(refused) => self.end_and_say(EndReason::PeerIncompatible(refused.to_string())),
            Ok((secret, peer_public, layout)) => {
                self.state = State::AwaitOwnAnswer {
                    deadline: now + CONNECT_TIMEOUT,
                };
                self.tell(CallState::Connecting);
                let keys = self.keys(secret, own_public, peer_public, layout);
                let candidates = self.count_remote(&offer.candidates);
                let offer_sdp = offer.sdp.clone();
                self.event(CallEvent::MakeAnswer {
                    offer_sdp,
                    candidates,
                    keys,
                });
            }
        }
    }

    fn describe(&mut self, sdp: String, candidates: Vec<IceCandidate>) {
        let call_id = self.call_id;
        match self.state {
            State::AwaitOwnOffer {
                media,
                own_public,
                deadline,
            } => {
                self.state = State::AwaitAnswer { deadline };
                let candidates = self.first_local(candidates);
                let (public_key, hullo) = (Some(own_public), Some(Hullo::ours()));
                self.transmit(Message::Offer(Offer {
                    call_id,
                    media,
                    public_key,
                    sdp,
                    candidates,
                    hullo,
                }));
            }
            State::AwaitOwnAnswer { deadline } => {
                self.state = State::AwaitSession { deadline };
                let candidates = self.first_local(candidates);
                let hullo = Some(Hullo::ours());
                self.transmit(Message::Answer(Answer {
                    call_id,
                    sdp,
                    candidates,
                    hullo,
                }));
            }
            _ => return,
        }
        self.send_extra();
    }

    /// Puts the description's own candidates before those that came earlier, and takes the first message's share.
    fn first_local(&mut self, candidates: Vec<IceCandidate>) -> Vec<IceCandidate> {
        let earlier = std::mem::take(&mut self.local_candidates);
        self.local_count -= earlier.len();
        self.queue_local(candidates);
        self.queue_local(earlier);
        let share = self.local_candidates.len().min(CANDIDATES_IN_MESSAGE);
        self.local_candidates.drain(..share).collect()
    }

    fn queue_local(&mut self, mut candidates: Vec<IceCandidate>) {
        if !self.is_ended() {
            candidates.truncate(CANDIDATES_IN_CALL_MAX - self.local_count);
            self.local_count += candidates.len();
            self.local_candidates.append(&mut candidates);
        }
    }

    /// Sends queued candidates, once the own description is sent.
    fn send_extra(&mut self) {
        if let State::AwaitAnswer { .. } | State::AwaitSession { .. } | State::Connected =
            self.state
        {
            for share in std::mem::take(&mut self.local_candidates).chunks(CANDIDATES_IN_MESSAGE) {
                self.transmit(Message::Extra(Extra {
                    call_id: self.call_id,
                    candidates: share.to_vec(),
                }));
            }
        }
    }

    fn count_remote(&mut self, candidates: &[IceCandidate]) -> Vec<IceCandidate> {
        let share = candidates
            .len()
            .min(CANDIDATES_IN_CALL_MAX - self.remote_count);
        self.remote_count += share;
        candidates[..share].to_vec()
    }

    fn keys(
        &mut self,
        secret: CallSecret,
        own_public: [u8; 32],
        peer_public: [u8; 32],
        layout: Layout,
    ) -> CallKeys {
        self.restarts.is_possible = layout == Layout::Hullo;
        CallKeys {
            secret,
            call_id: self.call_id.0,
            own_public,
            peer_public,
            layout,
            takes_parity: self.peer.takes_parity,
            answerer_leads: self.peer.answerer_leads,
        }
    }

    fn refuse(&mut self, reason: RefusalReason, end: EndReason) {
        let call_id = self.call_id;
        // The reason first: once the message is out, a history knows the end by less than the reason.
        self.end(end);
        self.transmit(Message::Refused { call_id, reason });
    }

    fn end_and_say(&mut self, reason: EndReason) {
        self.end(reason);
        self.transmit(Message::End(self.call_id));
    }

    fn end(&mut self, reason: EndReason) {
        self.state = State::Ended;
        self.local_candidates.clear();
        self.tell(CallState::Ended(reason));
    }

    fn ignore(&mut self) {
        self.ignored_messages = self.ignored_messages.saturating_add(1);
    }

    fn transmit(&mut self, message: Message) {
        self.outputs.push_back(Output::Transmit(message));
    }

    fn tell(&mut self, state: CallState) {
        self.event(CallEvent::State(state));
    }

    fn event(&mut self, event: CallEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Peer {
    fn of(hullo: Option<&Hullo>) -> Self {
        hullo.map_or_else(Self::default, |hullo| Self {
            takes_parity: hullo.parity,
            answerer_leads: hullo.answerer_leads,
        })
    }
}

/// The caller's key and the layout of an invitation that can lead to an encrypted call.
fn acceptable(
    invitation: &Invitation,
    rng: &mut ChaCha20Rng,
) -> Result<([u8; 32], Layout), Refused> {
    let peer_public = invitation.public_key.ok_or(Refused::NotEncrypted)?;
    let layout = Layout::agreed(invitation.hullo.as_ref()).ok_or(Refused::Incompatible)?;
    // Whether a key is weak does not depend on ours, so nobody is disturbed for it. The real pair is made when the
    // call is accepted.
    KeyPair::random(rng)
        .agree(&peer_public)
        .map_err(|_| Refused::WeakKey)?;
    Ok((peer_public, layout))
}

/// The secret, the callee's key and the layout that an offer leads to; never one without encryption.
fn agree(own: &KeyPair, offer: &Offer) -> Result<(CallSecret, [u8; 32], Layout), Refused> {
    let peer_public = offer.public_key.ok_or(Refused::NotEncrypted)?;
    let layout = Layout::agreed(offer.hullo.as_ref()).ok_or(Refused::Incompatible)?;
    let secret = own.agree(&peer_public).map_err(|_| Refused::WeakKey)?;
    Ok((secret, peer_public, layout))
}

#[cfg(test)]
mod tests;
