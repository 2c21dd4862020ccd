-- Version 2, groups: records, statements, inboxes. Times are milliseconds since 1970.
-- `standing`: 0 joining, 1 in, 2 left, 3 removed, 4 ended. Groups that are over stay: their revisions keep old records out.
CREATE TABLE member_group (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    creator     BLOB NOT NULL,                  -- whole key set
    group_id    BLOB NOT NULL,
    name        TEXT NOT NULL,
    server      TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    removal     INTEGER NOT NULL,               -- revision in which somebody last went
    record      BLOB,                           -- as the creator signed it
    standing    INTEGER NOT NULL,
    stated      INTEGER NOT NULL DEFAULT 0,     -- number of our newest statement
    trouble     TEXT,
    UNIQUE (creator, group_id)
) STRICT;

-- Everybody ever met in a group, we too. `standing`: 0 invited, 1 in, 2 gone.
CREATE TABLE group_member (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    member_group INTEGER NOT NULL REFERENCES member_group (id),
    key_set     BLOB NOT NULL,
    statement   BLOB,
    number      INTEGER NOT NULL DEFAULT 0,     -- of the newest statement seen
    standing    INTEGER NOT NULL,
    sent        INTEGER NOT NULL DEFAULT 0,     -- sequence number of the newest message sealed
    received    INTEGER NOT NULL DEFAULT 0,     -- and of the newest one opened
    UNIQUE (member_group, key_set)
) STRICT;

-- Ratchets with one member. `heard` rises with every message opened: the highest is the one to send with.
CREATE TABLE group_session (
    tag         BLOB NOT NULL,
    member      INTEGER NOT NULL REFERENCES group_member (id),
    session     TEXT NOT NULL,
    heard       INTEGER NOT NULL,
    PRIMARY KEY (member, tag)
) STRICT;

-- Queues we read. `number`: of the statement that names it, 0 before there is one. `since`: the record's revision when
-- it was made.
CREATE TABLE group_inbox (
    recipient   BLOB PRIMARY KEY,
    member_group INTEGER NOT NULL REFERENCES member_group (id),
    server      TEXT NOT NULL,
    secret      BLOB NOT NULL,
    sender      BLOB NOT NULL,
    sender_secret BLOB NOT NULL,
    seal_key    BLOB NOT NULL,
    secured     INTEGER NOT NULL DEFAULT 0,
    since       INTEGER NOT NULL,
    number      INTEGER NOT NULL DEFAULT 0,
    closing     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Ratchet messages no relay has confirmed. They are put into a block when they are sent: the inbox may move meanwhile.
CREATE TABLE group_outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    member      INTEGER NOT NULL REFERENCES group_member (id),
    kind        INTEGER NOT NULL,
    message     BLOB NOT NULL
) STRICT;
CREATE INDEX group_outbox_by_member ON group_outbox (member, id);

-- Calls that run, as far as we were told.
CREATE TABLE group_call (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    member_group INTEGER NOT NULL REFERENCES member_group (id),
    member      INTEGER NOT NULL REFERENCES group_member (id),
    at          INTEGER NOT NULL,
    start       BLOB NOT NULL,
    UNIQUE (member_group, start)
) STRICT;

-- As `seen`, for group inboxes.
CREATE TABLE group_seen (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient   BLOB NOT NULL REFERENCES group_inbox (recipient) ON DELETE CASCADE,
    hash        BLOB NOT NULL
) STRICT;
CREATE INDEX group_seen_by_queue ON group_seen (recipient, hash);
