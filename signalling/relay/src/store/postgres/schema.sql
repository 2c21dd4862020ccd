-- Version 1. No column says who talks to whom beyond the two ids of a queue, and none holds an address.
CREATE TABLE hullo_relay.queue (
    recipient bytea PRIMARY KEY,
    sender bytea NOT NULL UNIQUE,
    recipient_key bytea NOT NULL,
    sender_key bytea,            -- once somebody claimed the writing end
    next_id bigint NOT NULL DEFAULT 1,
    read_at_ms bigint NOT NULL   -- since 1970, rounded: says only that the queue is in use
);

CREATE TABLE hullo_relay.message (
    recipient bytea NOT NULL REFERENCES hullo_relay.queue ON DELETE CASCADE,
    id bigint NOT NULL,
    stored_at_ms bigint NOT NULL,
    block bytea NOT NULL,
    PRIMARY KEY (recipient, id)
);
-- Sealed bytes do not shrink: no time is spent on trying.
ALTER TABLE hullo_relay.message ALTER COLUMN block SET STORAGE EXTERNAL;
CREATE INDEX message_stored_at ON hullo_relay.message (stored_at_ms);

CREATE TABLE hullo_relay.code (
    number integer PRIMARY KEY,
    recipient bytea NOT NULL UNIQUE REFERENCES hullo_relay.queue ON DELETE CASCADE,
    until_ms bigint NOT NULL
);

CREATE TABLE hullo_relay.version (schema_version bigint NOT NULL);
INSERT INTO hullo_relay.version VALUES (1);
