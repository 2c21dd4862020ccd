-- Version 1. Times are milliseconds since 1970. Pickles are sealed with identity.pickle_key.
CREATE TABLE identity (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    x25519      BLOB NOT NULL,
    account     TEXT NOT NULL,
    pickle_key  BLOB NOT NULL
) STRICT;

-- `name`: what others see. `server`: the URL invitations are made at.
CREATE TABLE setting (
    key         TEXT PRIMARY KEY,
    value       TEXT NOT NULL
) STRICT;

-- Numbers are never used again: AUTOINCREMENT.
CREATE TABLE contact (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    short_id    TEXT NOT NULL UNIQUE,
    key_set     BLOB NOT NULL UNIQUE,
    verified    INTEGER NOT NULL DEFAULT 0,
    ready       INTEGER NOT NULL,
    session     TEXT NOT NULL,
    sent        INTEGER NOT NULL DEFAULT 0,     -- sequence number of the newest message sealed
    received    INTEGER NOT NULL DEFAULT 0      -- and of the newest one opened
) STRICT;

-- Queues we read: of a contact, or of an invitation still open (contact NULL, expires set). `closing` ones only wait
-- to be deleted at the relay.
CREATE TABLE inbound_queue (
    recipient   BLOB PRIMARY KEY,
    server      TEXT NOT NULL,
    secret      BLOB NOT NULL,
    seal_key    BLOB NOT NULL,
    contact     INTEGER REFERENCES contact (id),
    expires     INTEGER,
    closing     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The queue a contact reads. `secured`: the relay knows our key for it.
CREATE TABLE outbound_queue (
    contact     INTEGER PRIMARY KEY REFERENCES contact (id) ON DELETE CASCADE,
    server      TEXT NOT NULL,
    sender      BLOB NOT NULL,
    secret      BLOB NOT NULL,
    seal_key    BLOB NOT NULL,
    secured     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Sealed blocks the relay has not confirmed. Written with the ratchet that made them, sent again as they are.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    contact     INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    block       BLOB NOT NULL
) STRICT;

-- Opened payloads nobody has taken over yet. Written with the ratchet that opened them.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    contact     INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    sent        INTEGER NOT NULL,               -- by the relay's measure of the time in the queue
    payload     BLOB NOT NULL
) STRICT;

-- Hashes of the newest blocks of each queue: a block that comes again was handled already.
CREATE TABLE seen (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient   BLOB NOT NULL REFERENCES inbound_queue (recipient) ON DELETE CASCADE,
    hash        BLOB NOT NULL
) STRICT;
CREATE INDEX seen_by_queue ON seen (recipient, hash);
CREATE INDEX outbox_by_contact ON outbox (contact, id);
