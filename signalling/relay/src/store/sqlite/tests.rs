use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::store::conformance;

const NOW: Duration = Duration::from_secs(1_790_000_000);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("relay.db")
    }

    fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.file(), Synchronous::Normal, StoreLimits::default())
    }

    fn refusal(&self) -> OpenError {
        match self.try_open() {
            Ok(_) => panic!("it opened"),
            Err(error) => error,
        }
    }
}

fn queue(number: u8) -> NewQueue {
    NewQueue {
        recipient: RecipientId([number; 24]),
        sender: SenderId([number | 0x80; 24]),
        recipient_key: [number; 32],
    }
}

fn block(first: u8) -> [u8; BLOCK_BYTES] {
    let mut block = [0xee; BLOCK_BYTES];
    block[0] = first;
    block
}

fn firsts(store: &mut SqliteStore, queue: NewQueue) -> Vec<u8> {
    let waiting = store.waiting(queue.recipient, None, 99).unwrap();
    waiting.iter().map(|message| message.block[0]).collect()
}

#[test]
fn a_file_conforms() {
    let folder = Folder::new();
    let file = std::cell::Cell::new(0);
    conformance::check(|limits| {
        file.set(file.get() + 1);
        let path = folder.0.path().join(file.get().to_string());
        SqliteStore::open(&path, Synchronous::Normal, limits).unwrap()
    });
}

#[test]
fn what_was_committed_is_there_again_and_what_was_not_is_not() {
    let folder = Folder::new();
    let mut store = folder.open();
    store.create(NOW, queue(1)).unwrap();
    store.secure(queue(1).sender, [5; 32]).unwrap();
    store.push(NOW, queue(1).sender, &block(1)).unwrap();
    let code = store
        .create(NOW, queue(2))
        .and_then(|()| store.publish(NOW, queue(2).recipient, 7));
    store.commit().unwrap();
    store.push(NOW, queue(1).sender, &block(2)).unwrap();
    drop(store);
    let mut store = folder.open();
    assert_eq!(firsts(&mut store, queue(1)), [1]);
    assert_eq!(store.sender_key(queue(1).sender).unwrap(), Some([5; 32]));
    assert_eq!(
        store.claim(NOW, code.unwrap(), [6; 32]).unwrap(),
        queue(2).sender
    );
    assert_eq!((store.queues, store.messages), (2, 1));
}

#[test]
fn the_file_is_nobody_elses() {
    let folder = Folder::new();
    let mut store = folder.open();
    store.create(NOW, queue(1)).unwrap();
    store.commit().unwrap();
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn a_second_relay_on_the_file_is_told_that_it_is_in_use() {
    let folder = Folder::new();
    let store = folder.open();
    let error = folder.refusal();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    assert!(error.to_string().contains("end that one first"));
    drop(store);
    folder.open();
}

#[test]
fn a_damaged_file_is_left_as_it_is() {
    let folder = Folder::new();
    let mut store = folder.open();
    store.create(NOW, queue(1)).unwrap();
    for first in 0..20 {
        store.push(NOW, queue(1).sender, &block(first)).unwrap();
    }
    store.commit().unwrap();
    drop(store);
    let mut bytes = std::fs::read(folder.file()).unwrap();
    // The table of contents: any damage that SQLite can see at all.
    bytes[100..600].fill(0x5a);
    std::fs::write(folder.file(), &bytes).unwrap();
    let error = folder.refusal();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("left as it is"));
    assert_eq!(std::fs::read(folder.file()).unwrap(), bytes);
    std::fs::write(folder.file(), [b'x'; 9000]).unwrap();
    let error = folder.refusal();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read(folder.file()).unwrap(), [b'x'; 9000]);
}

#[test]
fn a_newer_file_and_another_programs_file_are_left_alone() {
    let folder = Folder::new();
    drop(folder.open());
    let change = |sql: &str| {
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change("PRAGMA user_version = 2");
    assert!(matches!(
        folder.refusal(),
        OpenError::Newer { found: 2, .. }
    ));
    std::fs::remove_file(folder.file()).unwrap();
    change("CREATE TABLE bookmark (url TEXT)");
    assert!(matches!(folder.refusal(), OpenError::Foreign(_)));
    let connection = Connection::open(folder.file()).unwrap();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "nothing was added");
}

#[test]
fn a_full_disk_undoes_the_batch_and_loses_nothing_else() {
    let folder = Folder::new();
    let mut store = folder.open();
    store.create(NOW, queue(1)).unwrap();
    store.push(NOW, queue(1).sender, &block(1)).unwrap();
    store.commit().unwrap();
    let pages: i64 = store
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    store
        .connection
        .pragma_update(None, "max_page_count", pages + 6)
        .unwrap();
    store.push(NOW, queue(1).sender, &block(2)).unwrap();
    let error = (3..9)
        .find_map(|first| store.push(NOW, queue(1).sender, &block(first)).err())
        .unwrap();
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert!(matches!(
        store.recipient_key(queue(1).recipient),
        Err(StoreError::Failed(_))
    ));
    assert!(store.commit().is_err());
    assert_eq!(firsts(&mut store, queue(1)), [1]);
    assert_eq!(store.messages, 1);
    store
        .connection
        .pragma_update(None, "max_page_count", 1_000_000)
        .unwrap();
    store.push(NOW, queue(1).sender, &block(4)).unwrap();
    store.commit().unwrap();
    assert_eq!(firsts(&mut store, queue(1)), [1, 4]);
}

#[test]
fn an_acknowledged_block_is_overwritten() {
    let folder = Folder::new();
    let mut store = folder.open();
    store.create(NOW, queue(1)).unwrap();
    let mut secret = block(0);
    secret[100..108].copy_from_slice(b"MARKED-1");
    store.push(NOW, queue(1).sender, &secret).unwrap();
    store.commit().unwrap();
    store
        .acknowledge(NOW, queue(1).recipient, MessageId(9))
        .unwrap();
    store.commit().unwrap();
    drop(store);
    let bytes = std::fs::read(folder.file()).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"MARKED-1"));
}
