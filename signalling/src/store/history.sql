-- Version 2, history: calls and text messages. Times are milliseconds since 1970.
-- A row is a text (`text` set) or a call (`call` set). The order of ids is the order of a conversation: clocks may jump.
CREATE TABLE history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    contact     INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    outgoing    INTEGER NOT NULL,
    seen        INTEGER NOT NULL,
    text        TEXT,
    message     TEXT,                           -- the message's id, chosen by its sender
    outbox      INTEGER,                        -- the block that carries it, until the relay has it
    call        BLOB,
    video       INTEGER NOT NULL DEFAULT 0,
    outcome     TEXT,
    since       INTEGER,                        -- connected
    heard       INTEGER,                        -- the last sign of life
    duration    INTEGER,
    words       TEXT,                           -- why it failed
    CHECK ((text IS NULL) <> (call IS NULL)),
    CHECK ((call IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX history_by_contact ON history (contact, id);
CREATE UNIQUE INDEX history_message ON history (contact, outgoing, message) WHERE message IS NOT NULL;
CREATE UNIQUE INDEX history_call ON history (contact, call) WHERE call IS NOT NULL;
CREATE INDEX history_outbox ON history (outbox) WHERE outbox IS NOT NULL;
CREATE INDEX history_unseen ON history (contact) WHERE seen = 0;
CREATE INDEX history_open ON history (id) WHERE outcome IN ('ringing', 'accepted', 'in_call');
