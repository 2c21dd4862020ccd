use std::os::unix::fs::PermissionsExt;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn open(path: &Path) -> Result<(Store, Identity), StoreError> {
    Store::open(path, &mut rng())
}

fn failure(path: &Path) -> StoreError {
    open(path).err().expect("not to be used")
}

#[test]
fn the_same_file_is_the_same_person_and_nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hullo.db");
    let first = open(&path).unwrap().1.key_set().to_bytes();
    let (store, again) = Store::open(&path, &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
    assert!(again.key_set().to_bytes() == first);
    store.rows().set_setting("name", "ann").unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.file_name()
        );
    }
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(&folder.path().join("hullo.db")).unwrap();
    let result = store.transaction(|rows| {
        rows.set_setting("name", "ann")?;
        Err::<(), _>(StoreError::Full)
    });
    assert!(matches!(result, Err(StoreError::Full)));
    assert_eq!(store.rows().setting("name").unwrap(), None);
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(
        &text,
        "a shopping list, longer than the head of a database file: ".repeat(20),
    )
    .unwrap();
    let foreign = folder.path().join("foreign");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE cheese (smell TEXT)")
        .unwrap();
    let newer = folder.path().join("newer");
    Connection::open(&newer)
        .unwrap()
        .pragma_update(None, "user_version", 9)
        .unwrap();
    let damaged = folder.path().join("damaged");
    drop(open(&damaged).unwrap());
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 8000].fill(0xa5);
    std::fs::write(&damaged, bytes).unwrap();

    let before = |path: &Path| std::fs::read(path).unwrap();
    for (path, word) in [
        (text, "damaged"),
        (foreign, "other program"),
        (newer, "newer"),
        (damaged, "damaged"),
    ] {
        let bytes = before(&path);
        let words = failure(&path).to_string();
        assert!(words.contains(word), "{path:?}: {words}");
        assert!(before(&path) == bytes, "{path:?} was changed");
    }
}

#[test]
fn a_missing_folder_a_lock_and_a_full_disk_are_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        failure(&folder.path().join("no/hullo.db")),
        StoreError::Open { .. }
    ));

    let path = folder.path().join("hullo.db");
    let (store, _) = open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    store
        .connection
        .busy_timeout(std::time::Duration::ZERO)
        .unwrap();
    let locked = store.rows().set_setting("name", "ann").unwrap_err();
    assert!(matches!(locked, StoreError::Locked), "{locked}");
    other.execute_batch("COMMIT").unwrap();

    // SQLite's own limit answers as a full disk does.
    let pages: i64 = store
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    store
        .connection
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    let full = store
        .rows()
        .set_setting("name", &"x".repeat(1 << 20))
        .unwrap_err();
    assert!(matches!(full, StoreError::Full), "{full}");
    store.rows().set_setting("name", "ann").unwrap();
    assert_eq!(
        store.rows().setting("name").unwrap().as_deref(),
        Some("ann")
    );
}

#[test]
fn remembered_blocks_are_bounded() {
    use crate::block::SealKey;
    use hullo_proto::service::relay::{BLOCK_BYTES, RecipientId};
    let (store, _) = Store::in_memory(&mut rng()).unwrap();
    let rows = store.rows();
    let recipient = RecipientId([1; 24]);
    let server = crate::server_url::ServerUrl::new("a", 1, [0; 32]).unwrap();
    let used_for = QueueUse::Closing;
    let secret = Zeroizing::new([0; 32]);
    rows.add_inbound(&InboundQueue {
        recipient,
        server,
        secret,
        seal_key: SealKey::new([0; 32]),
        used_for,
    })
    .unwrap();
    let block = |number: u8| {
        let mut block = [0; BLOCK_BYTES];
        block[0] = number;
        block
    };
    for number in 0..100 {
        assert!(!rows.was_seen(recipient, &block(number)).unwrap());
        rows.remember_seen(recipient, &block(number)).unwrap();
        assert!(rows.was_seen(recipient, &block(number)).unwrap());
    }
    assert!(
        !rows.was_seen(recipient, &block(35)).unwrap()
            && rows.was_seen(recipient, &block(36)).unwrap()
    );
    rows.forget_inbound(recipient).unwrap();
    assert!(!rows.was_seen(recipient, &block(99)).unwrap());
}

#[test]
fn an_empty_database_is_damaged_and_not_a_new_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hullo.db");
    drop(open(&path).unwrap());
    std::fs::write(&path, "").unwrap();
    let words = failure(&path).to_string();
    assert!(
        words.contains("damaged") && words.contains("empty"),
        "{words}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    assert!(Store::back_up(&path, &mut rng()).is_err());
}

#[test]
fn a_profile_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hullo.db");
    std::fs::write(path.with_extension("new"), "half of it").unwrap();
    assert!(open(&path).is_ok());
    assert!(!path.with_extension("new").exists());
}
