//! What every store must do, whatever it keeps its queues in.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
const LIMITS: StoreLimits = StoreLimits {
    queues_max: 4,
    queue_messages_max: 3,
    messages_max: 5,
    message_age_max: HOUR,
    queue_idle_max: Duration::from_secs(10 * 60 * 60),
};

fn queue(number: u8) -> NewQueue {
    NewQueue {
        recipient: RecipientId([number; 24]),
        sender: SenderId([number | 0x80; 24]),
        recipient_key: [number; 32],
    }
}

fn block(first: u8) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[0] = first;
    block
}

fn firsts(store: &mut dyn Store, recipient: RecipientId) -> Vec<u8> {
    let waiting = store.waiting(recipient, None, usize::MAX).unwrap();
    assert!(
        waiting.windows(2).all(|pair| pair[0].id < pair[1].id),
        "message ids rise"
    );
    waiting.iter().map(|message| message.block[0]).collect()
}

fn ids_are_unique(store: &mut dyn Store) {
    store.create(HOUR, queue(1)).unwrap();
    assert!(matches!(
        store.create(HOUR, queue(1)),
        Err(StoreError::IdTaken)
    ));
    let same_sender = NewQueue {
        sender: queue(1).sender,
        ..queue(2)
    };
    assert!(matches!(
        store.create(HOUR, same_sender),
        Err(StoreError::IdTaken)
    ));
    assert!(matches!(
        store.recipient_key(queue(2).recipient),
        Err(StoreError::NoQueue)
    ));
    assert_eq!(store.recipient_key(queue(1).recipient).unwrap(), [1; 32]);
}

fn the_first_sender_key_wins(store: &mut dyn Store) {
    store.create(HOUR, queue(1)).unwrap();
    let sender = queue(1).sender;
    assert_eq!(store.sender_key(sender).unwrap(), None);
    store.secure(sender, [5; 32]).unwrap();
    store.secure(sender, [5; 32]).unwrap();
    assert!(matches!(
        store.secure(sender, [6; 32]),
        Err(StoreError::AlreadySecured)
    ));
    assert_eq!(store.sender_key(sender).unwrap(), Some([5; 32]));
    assert!(matches!(
        store.secure(queue(2).sender, [5; 32]),
        Err(StoreError::NoQueue)
    ));
}

fn blocks_come_in_order_until_acknowledged(store: &mut dyn Store) {
    store.create(HOUR, queue(1)).unwrap();
    let NewQueue {
        recipient, sender, ..
    } = queue(1);
    for first in [10, 20, 30] {
        assert_eq!(store.push(HOUR, sender, &block(first)).unwrap(), recipient);
    }
    assert_eq!(firsts(store, recipient), [10, 20, 30]);
    let two = store.waiting(recipient, None, 2).unwrap();
    assert_eq!((two.len(), two[0].stored_at), (2, HOUR));
    let after = store.waiting(recipient, Some(two[1].id), 9).unwrap();
    assert_eq!(
        after
            .iter()
            .map(|message| message.block[0])
            .collect::<Vec<_>>(),
        [30]
    );
    store.acknowledge(HOUR, recipient, Some(two[1].id)).unwrap();
    store.acknowledge(HOUR, recipient, Some(two[0].id)).unwrap();
    assert_eq!(firsts(store, recipient), [30]);
    store
        .acknowledge(HOUR, recipient, Some(MessageId(u64::MAX)))
        .unwrap();
    assert!(firsts(store, recipient).is_empty());
    store.push(HOUR, sender, &block(40)).unwrap();
    let next = store.waiting(recipient, None, 1).unwrap();
    assert!(next[0].id > after[0].id, "an id is never used again");
}

fn full_is_refused_and_room_returns(store: &mut dyn Store) {
    for number in [1, 2] {
        store.create(HOUR, queue(number)).unwrap();
    }
    for first in 0..3 {
        store.push(HOUR, queue(1).sender, &block(first)).unwrap();
    }
    assert!(matches!(
        store.push(HOUR, queue(1).sender, &block(9)),
        Err(StoreError::QueueFull)
    ));
    for first in 0..2 {
        store.push(HOUR, queue(2).sender, &block(first)).unwrap();
    }
    let all_full = store.push(HOUR, queue(2).sender, &block(9));
    assert!(
        matches!(all_full, Err(StoreError::QueueFull)),
        "five blocks are all it holds"
    );
    let oldest = store.waiting(queue(1).recipient, None, 1).unwrap();
    store
        .acknowledge(HOUR, queue(1).recipient, Some(oldest[0].id))
        .unwrap();
    store.push(HOUR, queue(2).sender, &block(9)).unwrap();
    store.delete(queue(1).recipient).unwrap();
    store.create(HOUR, queue(3)).unwrap();
    for first in 0..2 {
        store.push(HOUR, queue(3).sender, &block(first)).unwrap();
    }
    for number in [4, 5] {
        store.create(HOUR, queue(number)).unwrap();
    }
    assert!(matches!(
        store.create(HOUR, queue(6)),
        Err(StoreError::TooManyQueues)
    ));
}

fn deleted_is_gone(store: &mut dyn Store) {
    store.create(HOUR, queue(1)).unwrap();
    store.push(HOUR, queue(1).sender, &block(1)).unwrap();
    store.delete(queue(1).recipient).unwrap();
    assert!(matches!(
        store.push(HOUR, queue(1).sender, &block(2)),
        Err(StoreError::NoQueue)
    ));
    assert!(matches!(
        store.waiting(queue(1).recipient, None, 1),
        Err(StoreError::NoQueue)
    ));
    assert!(matches!(
        store.delete(queue(1).recipient),
        Err(StoreError::NoQueue)
    ));
}

fn old_things_expire_and_read_queues_stay(store: &mut dyn Store) {
    for number in [1, 2] {
        store.create(HOUR, queue(number)).unwrap();
    }
    store.push(HOUR, queue(1).sender, &block(1)).unwrap();
    store.push(HOUR * 2, queue(1).sender, &block(2)).unwrap();
    assert_eq!(store.expire(HOUR * 2).unwrap(), 0, "an hour is allowed");
    assert_eq!(store.expire(HOUR * 3).unwrap(), 1);
    assert_eq!(firsts(store, queue(1).recipient), [2]);
    store
        .acknowledge(HOUR * 9, queue(1).recipient, None)
        .unwrap();
    assert_eq!(
        firsts(store, queue(1).recipient),
        [2],
        "reading without acknowledging keeps"
    );
    assert_eq!(
        store.expire(HOUR * 12).unwrap(),
        2,
        "one block, and the queue nobody read"
    );
    assert!(store.recipient_key(queue(1).recipient).is_ok());
    assert!(matches!(
        store.recipient_key(queue(2).recipient),
        Err(StoreError::NoQueue)
    ));
}

fn check<S: Store>(make: impl Fn(StoreLimits) -> S) {
    let rules = [
        ids_are_unique,
        the_first_sender_key_wins,
        blocks_come_in_order_until_acknowledged,
        full_is_refused_and_room_returns,
        deleted_is_gone,
        old_things_expire_and_read_queues_stay,
    ];
    for rule in rules {
        let mut store = make(LIMITS);
        rule(&mut store);
        store.commit().unwrap();
    }
}

#[test]
fn memory_conforms() {
    check(MemoryStore::new);
}
