#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use crate::group::key::ClientKey;
use crate::group::wire::{CallState, Name};
use proptest::prelude::*;

mod administration;
mod devices;
mod roster;

const GCK: [u8; 32] = [7; 32];

fn id(number: u32) -> ParticipantId {
    ParticipantId::try_from(number).expect("in range")
}

fn identity(number: u32) -> Identity {
    Identity::try_from(format!("PERSON{number:02}").as_str()).expect("valid")
}

fn client_key(number: u32) -> ClientKey {
    ClientKey::from_bytes([u8::try_from(number).expect("small") + 1; 32])
}

fn members(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<Identity, PublicKey> {
    numbers
        .into_iter()
        .map(|number| (identity(number), client_key(number).public()))
        .collect()
}

/// Calls that hear each other at once, an SFU that only relays and announces, and all that happened.
struct Net {
    now: Instant,
    calls: BTreeMap<ParticipantId, GroupCall>,
    events: Vec<(ParticipantId, Event)>,
    to_sfu: Vec<(ParticipantId, ToSfu)>,
    /// Relays are kept here while set.
    withheld: Option<Vec<Relay>>,
    queue: VecDeque<Relay>,
    delivering: bool,
    rng: ChaCha20Rng,
}

impl Net {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            calls: BTreeMap::new(),
            events: Vec::new(),
            to_sfu: Vec::new(),
            withheld: None,
            queue: VecDeque::new(),
            delivering: false,
            rng: ChaCha20Rng::seed_from_u64(1),
        }
    }

    /// A net of a group's members 1 to `count`, all in the call.
    fn of(count: u32) -> Self {
        let mut net = Self::new();
        for number in 1..=count {
            net.join(
                number,
                number,
                Scope::Group {
                    members: members(1..=9),
                },
            );
        }
        net
    }

    fn config(number: u32, person: u32, scope: Scope) -> Config {
        Config {
            participant_id: id(number),
            role: Role::Normal {
                identity: identity(person),
                nickname: Name::new("nick"),
                key: client_key(person),
            },
            key: GroupCallKey::from_bytes(GCK),
            scope,
            administrator: None,
            supported_features: SupportedFeatures::SCREEN_SHARE,
            unix_ms: 1_000_000,
        }
    }

    fn join(&mut self, number: u32, person: u32, scope: Scope) {
        self.join_with(Self::config(number, person, scope));
    }

    fn join_with(&mut self, config: Config) {
        let joining = config.participant_id;
        let call = GroupCall::new(
            self.now,
            config,
            ChaCha20Rng::seed_from_u64(joining.number().into()),
        )
        .expect("usable");
        let others: Vec<_> = self.calls.keys().copied().collect();
        for other in &others {
            self.tell(*other, &FromSfu::ParticipantJoined(joining));
        }
        self.calls.insert(joining, call);
        self.tell(joining, &FromSfu::Hello(others));
    }

    fn leave(&mut self, number: u32) {
        self.calls.remove(&id(number));
        for other in self.calls.keys().copied().collect::<Vec<_>>() {
            self.tell(other, &FromSfu::ParticipantLeft(id(number)));
        }
    }

    fn tell(&mut self, to: ParticipantId, message: &FromSfu) {
        let bytes = message.encode(&mut self.rng);
        self.input(to.number(), Input::Received(&bytes));
    }

    fn input(&mut self, number: u32, input: Input<'_>) {
        let now = self.now;
        if let Some(call) = self.calls.get_mut(&id(number)) {
            call.handle_input(now, input);
            self.drain(id(number));
        }
    }

    fn drain(&mut self, of: ParticipantId) {
        let mut relays = Vec::new();
        loop {
            match self.calls.get_mut(&of).expect("in the net").poll_output() {
                Output::Timeout(_) => break,
                Output::Event(event) => self.events.push((of, event)),
                Output::Transmit(bytes) => match ToSfu::decode(&bytes).expect("own message") {
                    ToSfu::Relay(relay) => relays.push(relay),
                    message => self.to_sfu.push((of, message)),
                },
            }
        }
        if let Some(withheld) = &mut self.withheld {
            return withheld.append(&mut relays);
        }
        // First in, first out: numbers are not transmitted, so order is all.
        self.queue.extend(relays);
        self.deliver();
    }

    fn release(&mut self) {
        self.queue.extend(self.withheld.take().unwrap_or_default());
        self.deliver();
    }

    fn deliver(&mut self) {
        if !std::mem::replace(&mut self.delivering, true) {
            while let Some(relay) = self.queue.pop_front() {
                self.tell(relay.receiver, &FromSfu::Relay(relay));
            }
            self.delivering = false;
        }
    }

    /// Lets time pass, waking every call at its deadlines.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let due = self
                .calls
                .iter()
                .filter_map(|(id, call)| Some((call.next_timeout()?, *id)))
                .min();
            match due {
                Some((at, of)) if at <= end => {
                    self.now = self.now.max(at);
                    self.input(of.number(), Input::Timeout);
                }
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn call(&mut self, number: u32) -> &mut GroupCall {
        self.calls.get_mut(&id(number)).expect("in the net")
    }

    /// All events of one call since the last look.
    fn events_of(&mut self, number: u32) -> Vec<Event> {
        let (of, rest) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(|(of, _)| *of == id(number));
        self.events = rest;
        let of: Vec<(ParticipantId, Event)> = of;
        of.into_iter().map(|(_, event)| event).collect()
    }

    fn warnings_of(&mut self, number: u32) -> Vec<WarningKind> {
        let warning = |event| match event {
            Event::Warning(warning) => Some(warning.kind),
            _ => None,
        };
        self.events_of(number)
            .into_iter()
            .filter_map(warning)
            .collect()
    }

    /// What a call asked of the SFU since the last look.
    fn asked_by(&mut self, number: u32) -> Vec<ToSfu> {
        let (of, rest) = std::mem::take(&mut self.to_sfu)
            .into_iter()
            .partition(|(of, _)| *of == id(number));
        self.to_sfu = rest;
        let of: Vec<(ParticipantId, ToSfu)> = of;
        of.into_iter().map(|(_, message)| message).collect()
    }

    /// Every microphone frame of `from` opens at `to`.
    fn hears(&mut self, to: u32, from: u32) -> bool {
        self.input(from, Input::Capture(Device::Microphone, true));
        let now = self.now;
        let sealed = self
            .call(from)
            .seal(Track::Microphone, b"sound")
            .expect("on");
        self.call(to)
            .open(now, id(from), Track::Microphone, &sealed)
            .as_deref()
            == Ok(b"sound")
    }
}

fn view() -> View {
    View {
        width: 160,
        height: 120,
        fps: 30,
    }
}

fn subscribes(messages: &[ToSfu], subscription: &ToSfu) -> usize {
    messages
        .iter()
        .filter(|message| *message == subscription)
        .count()
}

proptest! {
    #[test]
    fn any_bytes_from_the_sfu_never_panic(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut net = Net::of(2);
        for message in messages {
            net.input(1, Input::Received(&message));
        }
    }

    #[test]
    fn any_relayed_bytes_cost_only_that_message(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut net = Net::of(2);
        net.tell(id(1), &FromSfu::Relay(Relay { sender: id(2), receiver: id(1), encrypted_data: bytes }));
        net.input(2, Input::Hold(true));
        prop_assert!(net.call(1).participants().all(|entry| entry.on_hold));
    }
}
