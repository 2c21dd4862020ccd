-- Version 1. No column says who talks to whom beyond the two ids of a queue, and none holds an address.
CREATE TABLE queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, so that no block can turn up in a later queue
    recipient BLOB NOT NULL UNIQUE,
    sender BLOB NOT NULL UNIQUE,
    recipient_key BLOB NOT NULL,
    sender_key BLOB,                          -- once somebody claimed the writing end
    next_id INTEGER NOT NULL DEFAULT 1,
    read_at_ms INTEGER NOT NULL               -- since 1970, rounded: says only that the queue is in use
) STRICT;

CREATE TABLE message (
    place INTEGER PRIMARY KEY,                -- queue number * 2^32 + message id: one tree, in the order of reading
    stored_at_ms INTEGER NOT NULL,
    block BLOB NOT NULL
) STRICT;

CREATE TABLE code (
    number INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL UNIQUE REFERENCES queue (number) ON DELETE CASCADE,
    until_ms INTEGER NOT NULL
) STRICT;
