//! What every store must do, whatever it keeps its queues in.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
const LIMITS: StoreLimits = StoreLimits {
    queues_max: 4,
    queue_messages_max: 3,
    messages_max: 5,
    message_age_max: HOUR,
    queue_idle_max: Duration::from_secs(10 * 60 * 60),
    code_time_max: Duration::from_secs(600),
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
    store.acknowledge(HOUR, recipient, two[1].id).unwrap();
    store.acknowledge(HOUR, recipient, two[0].id).unwrap();
    assert_eq!(firsts(store, recipient), [30]);
    store
        .acknowledge(HOUR, recipient, MessageId(u64::MAX))
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
        .acknowledge(HOUR, queue(1).recipient, oldest[0].id)
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
    store.subscribed(HOUR * 9, queue(1).recipient).unwrap();
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

fn a_code_number_is_good_for_one_claim(store: &mut dyn Store) {
    for number in [1, 2] {
        store.create(HOUR, queue(number)).unwrap();
    }
    let (first, second) = (queue(1), queue(2));
    let code = store.publish(HOUR, first.recipient, 7314).unwrap();
    assert_eq!(code, CodeNumber(7314));
    let other = store.publish(HOUR, second.recipient, 7314).unwrap();
    assert_eq!(other, CodeNumber(7315), "the next that is free");
    assert_eq!(store.claim(HOUR, code, [5; 32]).unwrap(), first.sender);
    assert_eq!(store.sender_key(first.sender).unwrap(), Some([5; 32]));
    let again = store.claim(HOUR, code, [5; 32]);
    assert!(matches!(again, Err(StoreError::NoCode)));
    let secured = store.publish(HOUR, first.recipient, 1);
    assert!(matches!(secured, Err(StoreError::AlreadySecured)));
    store.secure(second.sender, [6; 32]).unwrap();
    let too_late = store.claim(HOUR, other, [7; 32]);
    assert!(matches!(too_late, Err(StoreError::AlreadySecured)));
    let spent = store.claim(HOUR, other, [6; 32]);
    assert!(matches!(spent, Err(StoreError::NoCode)));
    let nobody = store.publish(HOUR, queue(3).recipient, 1);
    assert!(matches!(nobody, Err(StoreError::NoQueue)));
}

fn a_code_number_is_replaced_expires_and_goes_with_its_queue(store: &mut dyn Store) {
    for number in [1, 2] {
        store.create(HOUR, queue(number)).unwrap();
    }
    let (first, second) = (queue(1), queue(2));
    let old = store.publish(HOUR, first.recipient, 10).unwrap();
    let new = store.publish(HOUR, first.recipient, 20).unwrap();
    assert_eq!((old, new), (CodeNumber(10), CodeNumber(20)));
    let replaced = store.claim(HOUR, old, [5; 32]);
    assert!(matches!(replaced, Err(StoreError::NoCode)));
    let late = HOUR + LIMITS.code_time_max;
    let expired = store.claim(late, new, [5; 32]);
    assert!(matches!(expired, Err(StoreError::NoCode)));
    let code = store.publish(late, first.recipient, 20).unwrap();
    assert_eq!(code, CodeNumber(20), "an expired number is free");
    store.delete(first.recipient).unwrap();
    let gone = store.claim(late, code, [5; 32]);
    assert!(matches!(gone, Err(StoreError::NoCode)));
    let last = store.publish(late, second.recipient, 9_999).unwrap();
    assert_eq!(last, CodeNumber(9_999));
    let standing = late + LIMITS.code_time_max - Duration::from_secs(1);
    store.expire(standing).unwrap();
    assert_eq!(store.claim(standing, last, [5; 32]).unwrap(), second.sender);
}

pub(super) fn check<S: Store>(make: impl Fn(StoreLimits) -> S) {
    let rules = [
        ids_are_unique,
        the_first_sender_key_wins,
        blocks_come_in_order_until_acknowledged,
        full_is_refused_and_room_returns,
        deleted_is_gone,
        old_things_expire_and_read_queues_stay,
        a_code_number_is_good_for_one_claim,
        a_code_number_is_replaced_expires_and_goes_with_its_queue,
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

#[test]
fn every_free_number_is_chosen_and_no_taken_one() {
    let taken: Vec<CodeNumber> = (0..CODE_NUMBERS).step_by(3).map(CodeNumber).collect();
    let free = u64::from(CODE_NUMBERS) - taken.len() as u64;
    let chosen: std::collections::BTreeSet<CodeNumber> = (0..free)
        .map(|draw| free_number(&taken, draw).unwrap())
        .collect();
    assert_eq!(chosen.len() as u64, free);
    assert!(taken.iter().all(|number| !chosen.contains(number)));
    assert!(chosen.iter().all(|number| number.0 < CODE_NUMBERS));
    let all: Vec<CodeNumber> = (0..CODE_NUMBERS).map(CodeNumber).collect();
    assert_eq!(free_number(&all, 5), None);
}
