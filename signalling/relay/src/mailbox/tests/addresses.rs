//! What one address may do, and that nothing is remembered of those who left.

use super::*;

const STRANGER: AddressKey = AddressKey(2);

fn limited(address: AddressLimits) -> World {
    World::with_limits(Limits {
        address,
        ..Limits::default()
    })
}

#[test]
fn connections_of_one_address_are_counted_and_others_come_in() {
    let mut world = limited(AddressLimits {
        connections_max: 2,
        ..AddressLimits::default()
    });
    let (third, other) = (ConnectionId(3), ConnectionId(4));
    world.open(third);
    assert_eq!(world.closed, [(third, CloseReason::TooManyConnections)]);
    assert_eq!(world.mailbox.counts().crowded, 1);
    world.open_from(other, STRANGER);
    assert!(world.got.contains_key(&other));
    world.input(Input::Closed { connection: third });
    world.open(ConnectionId(5));
    assert_eq!(world.closed.len(), 2, "a refused one gives no place back");
    world.input(Input::Closed { connection: WRITER });
    let back = ConnectionId(6);
    world.open(back);
    assert!(world.got.contains_key(&back));
}

#[test]
fn queues_and_commands_of_one_address_are_counted_over_its_connections() {
    let mut world = limited(AddressLimits {
        created_per_hour: 2,
        burst_commands: 6,
        commands_per_second: 1,
        ..AddressLimits::default()
    });
    world.create(READER, &key(1));
    world.create(WRITER, &key(1));
    let create = Command::Create {
        recipient_key: key(1).verifying_key().to_bytes(),
    };
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooManyQueues
    );
    let other = ConnectionId(3);
    world.open_from(other, STRANGER);
    world.create(other, &key(1));
    for _ in 0..3 {
        world.refused(WRITER, &key(1), create);
    }
    assert_eq!(
        world.refused(READER, &key(1), create),
        RefusedReason::TooFast
    );
    world.now += Duration::from_secs(31 * 60);
    world.create(READER, &key(1));
}

#[test]
fn an_address_that_left_is_forgotten_when_it_owes_nothing() {
    let mut world = World::new(ConnectionLimits::default());
    world.create(READER, &key(1));
    for connection in [READER, WRITER] {
        world.input(Input::Closed { connection });
    }
    assert_eq!(world.mailbox.addresses.len(), 1);
    world.now += Duration::from_secs(60);
    world.input(Input::Timeout);
    assert_eq!(world.mailbox.addresses.len(), 0);
}
