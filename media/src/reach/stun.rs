//! One STUN question: how does this server see this socket? (RFC 8489 §2, Binding over UDP.)

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::attribute::XorMappedAddress;
use turn_client_proto::stun::types::message::{
    BINDING, Message, MessageClass, MessageType, MessageWrite as _, MessageWriteVec, TransactionId,
};

/// First wait for an answer; doubled each time. Less than RFC 8489's 500 ms, because a call waits for it.
const RTO: Duration = Duration::from_millis(250);
/// Questions asked at most: the last is given up after 4 s.
const ATTEMPTS_MAX: u32 = 4;

/// One question on its way.
pub(super) struct Binding {
    server: SocketAddr,
    base: SocketAddr,
    id: u128,
    attempts: u32,
    next_at: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    Answered,
    Silent,
}

/// What is to be done about it now.
pub(super) enum Due {
    /// Send this from the base to the server.
    Ask(Vec<u8>),
    /// Nobody answered.
    GiveUp,
}

impl Binding {
    /// A question from the socket `base`. `id` must be random: it is what keeps strangers from answering.
    pub(super) fn new(now: Instant, server: SocketAddr, base: SocketAddr, id: u128) -> Self {
        Self {
            server,
            base,
            id: TransactionId::from(id).into(),
            attempts: 0,
            next_at: now,
            state: State::Asking,
        }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn base(&self) -> SocketAddr {
        self.base
    }

    pub(super) fn is_asking(&self) -> bool {
        self.state == State::Asking
    }

    /// When [`Self::due`] has something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.is_asking().then_some(self.next_at)
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if !self.is_asking() || now < self.next_at {
            return None;
        }
        if self.attempts == ATTEMPTS_MAX {
            self.state = State::Silent;
            return Some(Due::GiveUp);
        }
        self.next_at = now + RTO * 2_u32.pow(self.attempts);
        self.attempts += 1;
        Some(Due::Ask(request(self.id)))
    }

    /// The address that the server saw, if this is its answer.
    pub(super) fn answer(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) -> Option<SocketAddr> {
        if !self.is_asking() || (source, destination) != (self.server, self.base) {
            return None;
        }
        let seen = parse(self.id, bytes)?;
        self.state = State::Answered;
        Some(seen)
    }
}

/// A Binding request.
pub fn request(id: u128) -> Vec<u8> {
    let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
    Message::builder(kind, id.into(), MessageWriteVec::new()).finish()
}

/// The mapped address in a Binding success of this transaction; `None` for everything else.
pub fn parse(id: u128, bytes: &[u8]) -> Option<SocketAddr> {
    let message = Message::from_bytes(bytes).ok()?;
    let wanted = TransactionId::from(id);
    if message.class() != MessageClass::Success
        || message.method() != BINDING
        || message.transaction_id() != wanted
    {
        return None;
    }
    let mapped = message.attribute::<XorMappedAddress>().ok()?;
    Some(mapped.addr(wanted))
}

#[cfg(test)]
pub(super) fn answer_to(request: &[u8], seen: SocketAddr) -> Vec<u8> {
    use turn_client_proto::stun::types::message::MessageWriteExt as _;
    let request = Message::from_bytes(request).expect("ours");
    let mut answer = Message::builder_success(&request, MessageWriteVec::new());
    answer
        .add_attribute(&XorMappedAddress::new(seen, request.transaction_id()))
        .expect("fits");
    answer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_in_the_answer_is_found_and_only_the_server_is_believed() {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
        let now = Instant::now();
        let (server, base) = (address("192.0.2.1:3478"), address("10.0.0.2:5000"));
        let mut binding = Binding::new(now, server, base, 7);
        let Some(Due::Ask(request)) = binding.due(now) else {
            panic!("asks at once")
        };
        assert_eq!(request.len(), 20);
        let answer = answer_to(&request, address("198.51.100.7:61000"));
        assert_eq!(
            binding.answer(address("192.0.2.9:3478"), base, &answer),
            None
        );
        let other = answer_to(&super::request(8), address("198.51.100.8:1"));
        assert_eq!(binding.answer(server, base, &other), None);
        let seen = binding.answer(server, base, &answer);
        assert_eq!(seen, Some(address("198.51.100.7:61000")));
        assert_eq!(binding.answer(server, base, &answer), None, "once");
        assert!(binding.due(now + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn an_answer_over_ipv6_is_found_too() {
        let request = super::request(u128::MAX);
        let answer = answer_to(&request, address("[2001:db8::7]:9"));
        assert_eq!(parse(u128::MAX, &answer), Some(address("[2001:db8::7]:9")));
    }

    #[test]
    fn silence_is_noticed_within_four_seconds() {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
        let begin = Instant::now();
        let mut binding = Binding::new(begin, address("192.0.2.1:1"), address("10.0.0.2:1"), 7);
        let (mut now, mut asked) = (begin, 0);
        while let Some(at) = binding.deadline() {
            now = at;
            match binding.due(now) {
                Some(Due::Ask(_)) => asked += 1,
                Some(Due::GiveUp) => break,
                None => panic!("a deadline is due"),
            }
        }
        assert_eq!(asked, ATTEMPTS_MAX);
        assert_eq!(now - begin, Duration::from_millis(3_750));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(id: u128, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(id, &bytes);
        }

        #[test]
        fn an_answer_with_changed_bytes_never_panics(at in 0_usize..32, to: u8) {
            let mut answer = answer_to(&request(5), address("198.51.100.7:61000"));
            answer[at] = to;
            let _ = parse(5, &answer);
        }
    }
}
