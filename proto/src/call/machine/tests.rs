use rand::SeedableRng;

use super::*;

mod candidates;
mod ending;
mod meeting;
mod outside;
mod restart;

const ID: CallId = CallId([5; 16]);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A candidate that can be told from others.
fn candidate(n: usize) -> IceCandidate {
    IceCandidate {
        candidate: format!("candidate:{n}"),
        mid: None,
        m_line_index: None,
        username_fragment: None,
    }
}

fn candidates(range: std::ops::Range<usize>) -> Vec<IceCandidate> {
    range.map(candidate).collect()
}

/// A machine with its clock, and what it has said and not yet been asked for.
struct Side {
    machine: CallMachine,
    now: Instant,
    keys: Option<CallKeys>,
}

impl Side {
    fn caller(now: Instant) -> Self {
        Self {
            machine: CallMachine::call(ID, Media::Video, rng(1), now),
            now,
            keys: None,
        }
    }

    fn callee(now: Instant, invitation: &Message) -> Self {
        let Message::Invitation(invitation) = invitation.clone() else {
            panic!("{invitation:?}")
        };
        Self {
            machine: CallMachine::incoming(now, invitation, rng(2)).unwrap(),
            now,
            keys: None,
        }
    }

    /// Drains to `Timeout`: messages to send, and the rest in words.
    fn drain(&mut self) -> (Vec<Message>, Vec<String>) {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        loop {
            match self.machine.poll_output() {
                Output::Transmit(message) => sent.push(message),
                Output::Event(event) => {
                    told.push(format!("{event:?}"));
                    if let CallEvent::MakeOffer { keys } | CallEvent::MakeAnswer { keys, .. } =
                        event
                    {
                        assert!(self.keys.replace(keys).is_none(), "keys come once");
                    }
                }
                Output::Timeout(_) => return (sent, told),
            }
        }
    }

    fn input(&mut self, input: Input<'_>) -> (Vec<Message>, Vec<String>) {
        self.machine.handle_input(self.now, input);
        self.drain()
    }

    fn message(&mut self, message: &Message) -> (Vec<Message>, Vec<String>) {
        self.input(Input::Message(message))
    }

    fn describe(
        &mut self,
        sdp: &str,
        candidates: Vec<IceCandidate>,
    ) -> (Vec<Message>, Vec<String>) {
        self.input(Input::LocalDescription {
            sdp: sdp.into(),
            candidates,
        })
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Invited,
    Accepted,
    Offered,
    OfferReceived,
    Answered,
    AnswerReceived,
    Connected,
}

const STAGES: [Stage; 7] = [
    Stage::Invited,
    Stage::Accepted,
    Stage::Offered,
    Stage::OfferReceived,
    Stage::Answered,
    Stage::AnswerReceived,
    Stage::Connected,
];

/// Both sides of a call that went well up to `stage`.
fn pair(stage: Stage) -> (Side, Side) {
    let now = Instant::now();
    let mut caller = Side::caller(now);
    let (invitation, _) = caller.drain();
    let mut callee = Side::callee(now, &invitation[0]);
    let (ringing, _) = callee.drain();
    caller.message(&ringing[0]);
    let mut last = Vec::new();
    for step in STAGES.into_iter().skip(1).take_while(|step| *step <= stage) {
        last = match step {
            Stage::Invited => unreachable!("skipped"),
            Stage::Accepted => {
                callee
                    .input(Input::Accept {
                        media: Media::Audio,
                    })
                    .0
            }
            Stage::Offered => callee.describe("offer", candidates(0..2)).0,
            Stage::OfferReceived => caller.message(&last[0]).0,
            Stage::Answered => caller.describe("answer", candidates(2..4)).0,
            Stage::AnswerReceived => callee.message(&last[0]).0,
            Stage::Connected => {
                caller.input(Input::SessionConnected);
                callee.input(Input::SessionConnected).0
            }
        };
    }
    (caller, callee)
}

fn ends(sent: &[Message]) -> bool {
    matches!(sent, [Message::End(ID)])
}

#[test]
fn a_call_goes_from_invitation_to_connected_with_the_same_secret_on_both_sides() {
    let now = Instant::now();
    let mut caller = Side::caller(now);
    let (sent, told) = caller.drain();
    assert_eq!(told, ["State(Inviting)"]);
    let mut callee = Side::callee(now, &sent[0]);
    let (sent, told) = callee.drain();
    assert_eq!(told, ["Incoming(Video)", "State(Ringing)"]);
    assert_eq!(caller.message(&sent[0]).1, ["State(Ringing)"]);
    let (sent, told) = callee.input(Input::Accept {
        media: Media::Audio,
    });
    assert_eq!(
        (sent.len(), told),
        (0, vec!["State(Connecting)".into(), "MakeOffer".into()])
    );
    let (sent, _) = callee.describe("offer", candidates(0..2));
    let Message::Offer(offer) = &sent[0] else {
        panic!("{sent:?}")
    };
    assert!(
        offer.sdp == "offer" && offer.media == Media::Audio && offer.candidates == candidates(0..2)
    );
    assert_eq!(
        caller.message(&sent[0]).1,
        ["State(Connecting)", "MakeAnswer(2 candidates)"]
    );
    let (sent, _) = caller.describe("answer", Vec::new());
    assert_eq!(callee.message(&sent[0]).1, ["ApplyAnswer(0 candidates)"]);
    assert_eq!(
        caller.input(Input::SessionConnected).1,
        ["State(Connected)"]
    );
    assert_eq!(
        callee.input(Input::SessionConnected).1,
        ["State(Connected)"]
    );
    assert!(matches!(
        caller.machine.poll_output(),
        Output::Timeout(None)
    ));
    assert_eq!(
        (
            caller.machine.ignored_messages(),
            callee.machine.ignored_messages()
        ),
        (0, 0)
    );

    let (one, other) = (caller.keys.unwrap(), callee.keys.unwrap());
    assert_eq!(one.secret.as_bytes(), other.secret.as_bytes());
    assert_eq!(
        (one.own_public, one.peer_public),
        (other.peer_public, other.own_public)
    );
    assert_eq!((one.layout, one.call_id), (Layout::Hullo, ID.0));
    use crate::frame::{FrameKind, Opener, Sealer};
    let sealed = Sealer::new(one.context(), "0")
        .seal(FrameKind::Audio, b"hullo")
        .unwrap();
    assert_eq!(
        Opener::new(other.context(), "0")
            .open(sealed.as_bytes())
            .unwrap()
            .frame,
        b"hullo"
    );
}

#[test]
fn two_calls_never_share_a_key() {
    let now = Instant::now();
    let public = |seed| {
        let mut machine = CallMachine::call(ID, Media::Audio, rng(seed), now);
        match machine.poll_output() {
            Output::Transmit(Message::Invitation(invitation)) => invitation.public_key.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(public(1), public(2));
    assert_eq!(public(1), public(1), "the same seed repeats a scenario");
}
