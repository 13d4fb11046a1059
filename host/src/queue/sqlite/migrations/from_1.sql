-- Version 2: a landing knows whether it completes its task, and tokens are
-- counted for each call of a role.

ALTER TABLE landings ADD COLUMN report TEXT;

CREATE TABLE usage (
    run_id              TEXT NOT NULL REFERENCES runs (run_id),
    cycle_number        INTEGER NOT NULL,
    role                TEXT NOT NULL,
    subject             TEXT,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    created_at          TEXT NOT NULL
) STRICT;

CREATE INDEX usage_by_cycle ON usage (run_id, cycle_number);
