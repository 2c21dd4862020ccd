//! Spoken codes: a number is published, claimed once, and guessing has an end.

use super::*;

const STRANGER: AddressKey = AddressKey(2);

fn claim(code: CodeNumber, key: &SigningKey) -> Command<'static> {
    Command::Claim {
        code,
        sender_key: key.verifying_key().to_bytes(),
    }
}

impl World {
    fn publish(&mut self, connection: ConnectionId, recipient: RecipientId) -> CodeNumber {
        let replies = self.ask(connection, &key(1), Command::Publish { recipient });
        match Reply::read(&replies[0]) {
            Ok(Reply::Published { code, seconds, .. }) => {
                assert_eq!(u64::from(seconds), CODE_TIME_MAX.as_secs());
                code
            }
            other => panic!("not published: {other:?}"),
        }
    }

    fn claimed(&mut self, code: CodeNumber, by: &SigningKey) -> SenderId {
        let replies = self.ask(WRITER, by, claim(code, by));
        match Reply::read(&replies[0]) {
            Ok(Reply::Claimed { sender, .. }) => sender,
            other => panic!("not claimed: {other:?}"),
        }
    }

    /// A number nobody published.
    fn wrong(&self, right: CodeNumber) -> CodeNumber {
        CodeNumber((right.0 + 1) % hullo_proto::service::relay::CODE_NUMBERS)
    }
}

#[test]
fn who_claims_the_number_writes_to_the_queue() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.create(READER, &key(1));
    let code = world.publish(READER, recipient);
    assert_eq!(world.claimed(code, &key(2)), sender);
    let send = block(1);
    let command = Command::Send {
        sender,
        block: &send,
    };
    world.ok(WRITER, &key(2), command);
    assert_eq!(
        world.refused(WRITER, &key(3), claim(code, &key(3))),
        RefusedReason::NoCode,
        "one claim"
    );
    assert_eq!(
        world.refused(READER, &key(1), Command::Publish { recipient }),
        RefusedReason::AlreadySecured
    );
}

#[test]
fn a_number_ends_with_its_time_and_with_its_successor() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, _) = world.create(READER, &key(1));
    let first = world.publish(READER, recipient);
    let second = world.publish(READER, recipient);
    assert_ne!(first, second);
    assert_eq!(
        world.refused(WRITER, &key(2), claim(first, &key(2))),
        RefusedReason::NoCode
    );
    world.now += CODE_TIME_MAX;
    assert_eq!(
        world.refused(WRITER, &key(2), claim(second, &key(2))),
        RefusedReason::NoCode
    );
}

#[test]
fn only_the_reader_publishes_and_only_a_signed_claim_counts() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, _) = world.create(READER, &key(1));
    assert_eq!(
        world.refused(WRITER, &key(2), Command::Publish { recipient }),
        RefusedReason::NoQueue
    );
    let code = world.publish(READER, recipient);
    assert_eq!(
        world.refused(WRITER, &key(3), claim(code, &key(2))),
        RefusedReason::NoQueue,
        "another's key"
    );
    world.claimed(code, &key(2));
}

#[test]
fn an_address_has_eight_numbers_and_gets_more_when_one_is_spent() {
    let mut world = World::new(ConnectionLimits::default());
    let queues: Vec<RecipientId> = (0..9).map(|_| world.create(READER, &key(1)).0).collect();
    let codes: Vec<CodeNumber> = queues[..8]
        .iter()
        .map(|recipient| world.publish(READER, *recipient))
        .collect();
    let ninth = Command::Publish {
        recipient: queues[8],
    };
    assert_eq!(
        world.refused(READER, &key(1), ninth),
        RefusedReason::TooManyCodes
    );
    let elsewhere = ConnectionId(3);
    world.open_from(elsewhere, STRANGER);
    world.publish(elsewhere, queues[8]);
    let renewed = world.publish(READER, queues[0]);
    assert_ne!(renewed, codes[0], "its own number may be replaced");
    world.claimed(codes[1], &key(2));
    world.publish(READER, queues[8]);
    world.now += CODE_TIME_MAX;
    for recipient in &queues[2..] {
        world.publish(READER, *recipient);
    }
}

#[test]
fn guessing_ends_after_ten_wrong_numbers_and_for_that_address_only() {
    let mut world = World::new(ConnectionLimits::default());
    let guesser = ConnectionId(3);
    world.open_from(guesser, STRANGER);
    let (recipient, _) = world.create(READER, &key(1));
    let code = world.publish(READER, recipient);
    let wrong = world.wrong(code);
    for _ in 0..10 {
        assert_eq!(
            world.refused(guesser, &key(4), claim(wrong, &key(4))),
            RefusedReason::NoCode
        );
    }
    assert_eq!(
        world.refused(guesser, &key(4), claim(code, &key(4))),
        RefusedReason::TooFast
    );
    world.input(Input::Closed {
        connection: guesser,
    });
    world.now += Duration::from_secs(61);
    world.input(Input::Timeout);
    let back = ConnectionId(4);
    world.open_from(back, STRANGER);
    assert_eq!(
        world.refused(back, &key(4), claim(code, &key(4))),
        RefusedReason::TooFast,
        "a new connection does not help"
    );
    world.claimed(code, &key(2));
    let code = {
        let (recipient, _) = world.create(READER, &key(1));
        world.publish(READER, recipient)
    };
    world.now += Duration::from_secs(9 * 60);
    let replies = world.ask(back, &key(4), claim(code, &key(4)));
    assert!(
        matches!(Reply::read(&replies[0]), Ok(Reply::Claimed { .. })),
        "ten minutes later it may try again"
    );
}
