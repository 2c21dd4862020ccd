-- Version 2, people: codes, words, blocked contacts. Times are milliseconds since 1970.
-- `ready` is 0 pending, 1 ready, 2 out of touch: known from a backup, without queues and ratchet.
-- `renamed`: `name` was chosen here and does not follow the contact's own. `joined`: we
-- used its link, not it ours. `blocked`: what comes is dropped unseen.
ALTER TABLE contact ADD COLUMN renamed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN joined  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;

-- The newest exchange of nonces with a contact. `stage` 1: `one` is our nonce; 2: `one` is our nonce, `two` what theirs
-- must hash to; 3: both nonces, the starter's first.
CREATE TABLE comparison (
    contact     INTEGER PRIMARY KEY REFERENCES contact (id) ON DELETE CASCADE,
    run         BLOB NOT NULL,
    stage       INTEGER NOT NULL,
    one         BLOB NOT NULL,
    two         BLOB
) STRICT;

-- What was said to a contact that has not answered yet: when both use a link of the other at once, one of the two
-- ratchets is given up, and what it sealed is sealed again.
CREATE TABLE unanswered (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    contact     INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    content     BLOB NOT NULL
) STRICT;
