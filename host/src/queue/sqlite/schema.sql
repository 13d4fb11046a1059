-- The task store of code-agent, version 4. People query `tasks`, `planners`
-- and `cycles` by hand: their first columns keep these names. Times are
-- RFC 3339 text in UTC; leases are milliseconds since 1970, for they are compared.

CREATE TABLE runs (
    run_id       TEXT PRIMARY KEY,
    goal         TEXT NOT NULL,
    branch       TEXT NOT NULL,
    root_path    TEXT NOT NULL,
    base_commit  TEXT NOT NULL,
    options      TEXT NOT NULL,              -- JSON, without secrets
    status       TEXT NOT NULL CHECK (status IN ('running', 'ended')),
    outcome      TEXT,
    created_at   TEXT NOT NULL,
    ended_at     TEXT
) STRICT;

CREATE TABLE tasks (
    id               TEXT PRIMARY KEY,
    title            TEXT NOT NULL,
    description      TEXT NOT NULL,
    priority         TEXT NOT NULL CHECK (priority IN ('critical', 'high', 'medium', 'low')),
    status           TEXT NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    file_paths       TEXT NOT NULL,          -- JSON list
    created_by       TEXT NOT NULL,          -- planner_id
    assigned_to      TEXT,                   -- the worker's slot
    result           TEXT,                   -- the worker's summary
    error            TEXT,                   -- why the last attempt failed
    created_at       TEXT NOT NULL,
    completed_at     TEXT,
    run_id           TEXT NOT NULL REFERENCES runs (run_id),
    cycle_number     INTEGER NOT NULL,
    rank             INTEGER NOT NULL,       -- the priority as a number; 0 is the most urgent
    attempt          INTEGER NOT NULL,       -- how many attempts have begun
    lease_expires_at INTEGER,
    notes            TEXT NOT NULL,          -- JSON list
    commit_id        TEXT                    -- the last commit that landed
) STRICT;

-- The order of claims: the most urgent first, then the oldest (ids sort by age).
CREATE INDEX tasks_by_urgency ON tasks (run_id, cycle_number, status, rank, id);

CREATE TABLE planners (
    planner_id     TEXT PRIMARY KEY,
    domain         TEXT,                     -- none for the main planner
    file_patterns  TEXT NOT NULL,            -- JSON list
    parent_planner TEXT,
    sub_planners   INTEGER NOT NULL,
    tasks_created  INTEGER NOT NULL,
    created_at     TEXT NOT NULL,
    run_id         TEXT NOT NULL REFERENCES runs (run_id),
    cycle_number   INTEGER NOT NULL,
    depth          INTEGER NOT NULL,         -- 0 for the main planner
    status         TEXT NOT NULL CHECK (status IN ('planning', 'finished', 'failed')),
    description    TEXT NOT NULL,
    summary        TEXT,
    error          TEXT,
    finished_at    TEXT
) STRICT;

CREATE INDEX planners_by_cycle ON planners (run_id, cycle_number);

CREATE TABLE cycles (
    run_id               TEXT NOT NULL REFERENCES runs (run_id),
    cycle_number         INTEGER NOT NULL,
    tasks_completed      INTEGER NOT NULL,
    tasks_failed         INTEGER NOT NULL,
    sub_planners_spawned INTEGER NOT NULL,
    workers_active       INTEGER NOT NULL,   -- the most that worked at once
    continue_next_cycle  INTEGER,            -- none until the judge has spoken
    judge_reasoning      TEXT,
    created_at           TEXT NOT NULL,
    base_commit          TEXT NOT NULL,
    head_commit          TEXT,
    goal_met             INTEGER,
    ended_at             TEXT,
    PRIMARY KEY (run_id, cycle_number)
) STRICT;

CREATE TABLE landings (
    landing_id    TEXT PRIMARY KEY,
    run_id        TEXT NOT NULL REFERENCES runs (run_id),
    task_id       TEXT NOT NULL REFERENCES tasks (id),
    commit_id     TEXT NOT NULL,
    parent_id     TEXT NOT NULL,
    files         TEXT NOT NULL,             -- JSON list
    created_at    TEXT NOT NULL,
    landed        INTEGER NOT NULL,          -- 0 until the ref has moved
    report        TEXT                       -- JSON; the worker's, where this landing completes the task
) STRICT;

CREATE INDEX landings_by_task ON landings (task_id);

-- What each request to a model took.
CREATE TABLE usage (
    run_id              TEXT NOT NULL REFERENCES runs (run_id),
    cycle_number        INTEGER NOT NULL,
    role                TEXT NOT NULL,       -- or 'unanswered': sent, and nobody waited for the answer
    subject             TEXT,                -- planner_id or task id; none for the judge
    input_tokens        INTEGER NOT NULL,    -- cached ones included
    cached_input_tokens INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    created_at          TEXT NOT NULL,
    cost_usd            REAL                 -- none where the price was not known
) STRICT;

CREATE INDEX usage_by_cycle ON usage (run_id, cycle_number);

-- What tools have replaced in checkouts; git holds it as a blob.
CREATE TABLE kept_files (
    blob_id    TEXT NOT NULL,
    run_id     TEXT NOT NULL REFERENCES runs (run_id),
    subject    TEXT,                         -- the task
    path       TEXT NOT NULL,                -- relative to the repository's top
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX kept_files_by_run ON kept_files (run_id);

CREATE TABLE events (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     TEXT NOT NULL,
    created_at TEXT NOT NULL,
    who        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    body       TEXT NOT NULL                 -- JSON
) STRICT;

CREATE INDEX events_by_run ON events (run_id, sequence);
