use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ed25519_dalek::{Signer, SigningKey};
use hullo_proto::service::relay::BLOCK_BYTES;
use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::store::{MemoryStore, StoreLimits};
use hullo_proto::service::relay::{
    CODE_TIME_MAX, CodeNumber, Command, MessageId, SenderId, WINDOW_MESSAGES,
};

/// One relay, its virtual clock, and what each client got.
struct World {
    mailbox: Mailbox<store::Flaky>,
    fails: Arc<AtomicBool>,
    now: Instant,
    got: HashMap<ConnectionId, Vec<Vec<u8>>>,
    closed: Vec<(ConnectionId, CloseReason)>,
    number: u32,
}

const READER: ConnectionId = ConnectionId(1);
const WRITER: ConnectionId = ConnectionId(2);
const HOME: AddressKey = AddressKey(1);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn block(first: u8) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[0] = first;
    block
}

impl World {
    fn new(limits: ConnectionLimits) -> Self {
        Self::with_limits(Limits {
            connection: limits,
            ..Limits::default()
        })
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the first instant of a virtual clock has to come from somewhere"
    )]
    fn with_limits(limits: Limits) -> Self {
        let now = Instant::now();
        let fails = Arc::new(AtomicBool::new(false));
        let store = store::Flaky::new(Arc::clone(&fails));
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mailbox = Mailbox::new(store, limits, rng, now, Duration::from_secs(1000));
        let mut world = Self {
            mailbox,
            fails,
            now,
            got: HashMap::new(),
            closed: Vec::new(),
            number: 0,
        };
        world.open(READER);
        world.open(WRITER);
        world
    }

    fn open(&mut self, connection: ConnectionId) {
        self.open_from(connection, HOME);
    }

    fn open_from(&mut self, connection: ConnectionId, address: AddressKey) {
        self.input(Input::Opened {
            connection,
            address,
        });
    }

    fn input(&mut self, input: Input<'_>) {
        self.mailbox.handle_input(self.now, input);
        loop {
            match self.mailbox.poll_output() {
                Output::Transmit { connection, bytes } => {
                    self.got.entry(connection).or_default().push(bytes);
                }
                Output::Close { connection, reason } => self.closed.push((connection, reason)),
                Output::Timeout(_) => return,
            }
        }
    }

    fn challenge(&self, connection: ConnectionId) -> Challenge {
        match Reply::read(&self.got[&connection][0]) {
            Ok(Reply::Hello { challenge, .. }) => challenge,
            other => panic!("the first frame was {other:?}"),
        }
    }

    fn frame(
        &mut self,
        connection: ConnectionId,
        key: &SigningKey,
        command: Command<'_>,
    ) -> Vec<u8> {
        self.number += 1;
        command.write(self.number, &self.challenge(connection), |message| {
            key.sign(message).to_bytes()
        })
    }

    /// Sends a command and returns what came back to the same connection.
    fn ask(
        &mut self,
        connection: ConnectionId,
        key: &SigningKey,
        command: Command<'_>,
    ) -> Vec<Vec<u8>> {
        let frame = self.frame(connection, key, command);
        let before = self.got[&connection].len();
        self.input(Input::Frame {
            connection,
            bytes: &frame,
        });
        self.got[&connection][before..].to_vec()
    }

    fn refused(
        &mut self,
        connection: ConnectionId,
        key: &SigningKey,
        command: Command<'_>,
    ) -> RefusedReason {
        let replies = self.ask(connection, key, command);
        match Reply::read(&replies[0]) {
            Ok(Reply::Refused { reason, .. }) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn ok(&mut self, connection: ConnectionId, key: &SigningKey, command: Command<'_>) {
        let replies = self.ask(connection, key, command);
        assert_eq!(
            Reply::read(&replies[0]),
            Ok(Reply::Ok {
                number: self.number
            })
        );
    }

    fn create(&mut self, connection: ConnectionId, key: &SigningKey) -> (RecipientId, SenderId) {
        let command = Command::Create {
            recipient_key: key.verifying_key().to_bytes(),
        };
        let replies = self.ask(connection, key, command);
        match Reply::read(&replies[0]) {
            Ok(Reply::Created {
                recipient, sender, ..
            }) => (recipient, sender),
            other => panic!("not created: {other:?}"),
        }
    }

    /// A queue that [`WRITER`] may write to with `key(2)` and [`READER`] reads with `key(1)`.
    fn queue(&mut self) -> (RecipientId, SenderId) {
        let (recipient, sender) = self.create(READER, &key(1));
        self.ok(WRITER, &key(2), secure(sender, &key(2)));
        (recipient, sender)
    }

    /// First bytes of the blocks `connection` was handed since it had got `before` frames, with their ids.
    fn messages(&self, connection: ConnectionId, before: usize) -> Vec<(u8, MessageId)> {
        let frames = self.got[&connection][before..].iter();
        let messages = frames.filter_map(|frame| match Reply::read(frame) {
            Ok(Reply::Message { block, message, .. }) => Some((block[0], message)),
            _ => None,
        });
        messages.collect()
    }
}

mod addresses;
mod codes;
mod store;

fn secure(sender: SenderId, key: &SigningKey) -> Command<'static> {
    Command::Secure {
        sender,
        sender_key: key.verifying_key().to_bytes(),
    }
}

#[test]
fn a_block_goes_from_writer_to_reader_and_is_forgotten_when_acknowledged() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ok(
        WRITER,
        &key(2),
        Command::Send {
            sender,
            block: &block(1),
        },
    );
    world.now += Duration::from_millis(1500);
    let replies = world.ask(READER, &key(1), Command::Subscribe { recipient });
    let Ok(Reply::Message {
        message, age_ms, ..
    }) = Reply::read(&replies[1])
    else {
        panic!("no message")
    };
    assert_eq!(age_ms, 1500);
    let before = world.got[&READER].len();
    world.ok(
        WRITER,
        &key(2),
        Command::Send {
            sender,
            block: &block(2),
        },
    );
    assert_eq!(
        world.messages(READER, before)[0].0,
        2,
        "a subscribed reader gets it at once"
    );
    world.ok(READER, &key(1), Command::Acknowledge { recipient, message });
    world.input(Input::Closed { connection: READER });
    let back = ConnectionId(3);
    world.open(back);
    world.ask(back, &key(1), Command::Subscribe { recipient });
    assert_eq!(
        world
            .messages(back, 0)
            .iter()
            .map(|message| message.0)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn an_invitation_queue_takes_one_sender_key_only() {
    let mut world = World::new(ConnectionLimits::default());
    let (_, sender) = world.create(READER, &key(1));
    let send = block(1);
    assert_eq!(
        world.refused(
            WRITER,
            &key(2),
            Command::Send {
                sender,
                block: &send
            }
        ),
        RefusedReason::NotSecured
    );
    world.ok(WRITER, &key(2), secure(sender, &key(2)));
    world.ok(WRITER, &key(2), secure(sender, &key(2)));
    assert_eq!(
        world.refused(WRITER, &key(3), secure(sender, &key(3))),
        RefusedReason::AlreadySecured
    );
    assert_eq!(
        world.refused(
            WRITER,
            &key(3),
            Command::Send {
                sender,
                block: &send
            }
        ),
        RefusedReason::NoQueue
    );
}

#[test]
fn only_the_recipient_key_reads_acknowledges_and_deletes() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, _) = world.queue();
    let foreign = [
        Command::Subscribe { recipient },
        Command::Acknowledge {
            recipient,
            message: MessageId(1),
        },
        Command::Delete { recipient },
    ];
    for command in foreign {
        assert_eq!(
            world.refused(WRITER, &key(2), command),
            RefusedReason::NoQueue
        );
    }
    world.ok(READER, &key(1), Command::Delete { recipient });
    assert_eq!(
        world.refused(READER, &key(1), Command::Subscribe { recipient }),
        RefusedReason::NoQueue
    );
}

#[test]
fn a_recorded_command_works_in_no_other_connection_and_not_twice() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, _) = world.queue();
    let frame = world.frame(READER, &key(1), Command::Subscribe { recipient });
    let before = world.got[&WRITER].len();
    world.input(Input::Frame {
        connection: WRITER,
        bytes: &frame,
    });
    let reply = Reply::read(&world.got[&WRITER][before]).unwrap();
    assert!(matches!(
        reply,
        Reply::Refused {
            reason: RefusedReason::NoQueue,
            ..
        }
    ));
    world.input(Input::Frame {
        connection: READER,
        bytes: &frame,
    });
    assert!(world.closed.is_empty());
    world.input(Input::Frame {
        connection: READER,
        bytes: &frame,
    });
    assert_eq!(world.closed, [(READER, CloseReason::NumberUsed)]);
}

#[test]
fn a_reader_that_does_not_acknowledge_gets_a_window_and_then_the_rest_in_order() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ask(READER, &key(1), Command::Subscribe { recipient });
    for first in 0..40 {
        world.ok(
            WRITER,
            &key(2),
            Command::Send {
                sender,
                block: &block(first),
            },
        );
    }
    let mut got = world.messages(READER, 0);
    assert_eq!(got.len(), WINDOW_MESSAGES);
    while got.len() < 40 {
        let message = got.last().unwrap().1;
        world.ok(READER, &key(1), Command::Acknowledge { recipient, message });
        let more = world.messages(READER, 0);
        assert!(more.len() > got.len(), "an acknowledgement makes room");
        got = more;
    }
    assert_eq!(
        got.iter().map(|message| message.0).collect::<Vec<_>>(),
        (0..40).collect::<Vec<_>>()
    );
}

#[test]
fn queues_share_the_window_of_a_connection_and_none_is_forgotten() {
    let limits = ConnectionLimits {
        in_flight_max: 3,
        ..ConnectionLimits::default()
    };
    let mut world = World::new(limits);
    let queues: Vec<_> = (0..4).map(|_| world.queue()).collect();
    for (recipient, sender) in &queues {
        world.ask(
            READER,
            &key(1),
            Command::Subscribe {
                recipient: *recipient,
            },
        );
        for first in 0..2 {
            world.ok(
                WRITER,
                &key(2),
                Command::Send {
                    sender: *sender,
                    block: &block(first),
                },
            );
        }
    }
    assert_eq!(world.messages(READER, 0).len(), 3);
    let mut acknowledged = 0;
    while acknowledged < world.got[&READER].len() {
        let frame = world.got[&READER][acknowledged].clone();
        acknowledged += 1;
        if let Ok(Reply::Message {
            recipient, message, ..
        }) = Reply::read(&frame)
        {
            world.ok(READER, &key(1), Command::Acknowledge { recipient, message });
        }
    }
    assert_eq!(
        world.messages(READER, 0).len(),
        8,
        "every block of every queue came"
    );
}

#[test]
fn the_newest_subscription_wins_and_the_older_is_told() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ask(READER, &key(1), Command::Subscribe { recipient });
    let newer = ConnectionId(3);
    world.open(newer);
    world.ask(newer, &key(1), Command::Subscribe { recipient });
    let last = world.got[&READER].last().unwrap();
    assert_eq!(Reply::read(last), Ok(Reply::Taken { recipient }));
    world.input(Input::Closed { connection: READER });
    world.ok(
        WRITER,
        &key(2),
        Command::Send {
            sender,
            block: &block(1),
        },
    );
    assert_eq!(world.messages(newer, 0).len(), 1);
}

#[test]
fn too_many_queues_and_too_fast_are_refused_and_time_heals_the_second() {
    let limits = ConnectionLimits {
        created_max: 2,
        burst_commands: 5,
        ..ConnectionLimits::default()
    };
    let mut world = World::new(limits);
    world.create(READER, &key(1));
    world.create(READER, &key(1));
    let create = Command::Create {
        recipient_key: key(1).verifying_key().to_bytes(),
    };
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooManyQueues
    );
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooManyQueues
    );
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooManyQueues
    );
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooFast
    );
    world.now += Duration::from_secs(1);
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooManyQueues
    );
    assert_eq!(world.mailbox.counts().refused, 5);
}

#[test]
fn garbage_ends_its_connection_and_no_other() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, _) = world.queue();
    world.input(Input::Frame {
        connection: WRITER,
        bytes: b"GET / HTTP/1.1",
    });
    assert_eq!(
        world.closed,
        [(WRITER, CloseReason::Frame(FrameError::Kind(b'G')))]
    );
    assert_eq!(world.mailbox.counts().garbage, 1);
    world.input(Input::Frame {
        connection: WRITER,
        bytes: b"again",
    });
    assert_eq!(world.closed.len(), 1);
    world.ok(READER, &key(1), Command::Subscribe { recipient });
}

proptest! {
    #[test]
    fn any_bytes_never_panic(frames in proptest::collection::vec(
        (0u64..4, 1u8..8, proptest::collection::vec(any::<u8>(), 0..130)), 0..40,
    )) {
        let mut world = World::new(ConnectionLimits::default());
        for (connection, kind, bytes) in frames {
            let frame = [&[kind][..], &bytes].concat();
            world.input(Input::Frame { connection: ConnectionId(connection), bytes: &frame });
        }
        prop_assert_eq!(world.mailbox.counts().received, 0);
    }
}
