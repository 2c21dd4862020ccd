-- Version 3: letters that short links lead to. `letter`: this queue holds a link until `expires`, and is not read here.
ALTER TABLE inbound_queue ADD COLUMN letter INTEGER NOT NULL DEFAULT 0;
