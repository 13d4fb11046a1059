-- Version 4: what a tool has replaced stays, and can be brought back.

CREATE TABLE kept_files (
    blob_id    TEXT NOT NULL,
    run_id     TEXT NOT NULL REFERENCES runs (run_id),
    subject    TEXT,
    path       TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX kept_files_by_run ON kept_files (run_id);
