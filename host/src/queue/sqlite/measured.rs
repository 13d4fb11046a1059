//! The text of the statements that a claim and its end consist of, in the order
//! in which they run. The benchmark of the queue runs the same text without the
//! store around it; nobody else has any business with them.

/// How a connection that writes is set up. WAL lets people read while a run
/// writes; FULL makes what was acknowledged survive the plug being pulled.
pub const PRAGMAS: &str =
    "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on";

/// Begins a group of changes.
pub const BEGIN: &str = "BEGIN IMMEDIATE";

/// Begins a change.
pub const SAVEPOINT: &str = "SAVEPOINT change";

/// The claims whose leases have run out and whose tasks are not landing.
pub const EXPIRED: &str = "SELECT id, title, description, priority, file_paths, attempt, error, assigned_to FROM tasks
         WHERE run_id = ?1 AND cycle_number = ?2 AND status = 'in_progress' AND lease_expires_at < ?3
               AND NOT EXISTS (SELECT 1 FROM landings WHERE task_id = tasks.id AND report IS NOT NULL)";

/// Takes the most urgent, then oldest pending task.
pub const CLAIM: &str = "UPDATE tasks SET status = 'in_progress', assigned_to = :slot, attempt = attempt + 1,
                          lease_expires_at = :expires
         WHERE id = (SELECT id FROM tasks WHERE run_id = :run AND cycle_number = :cycle AND status = 'pending'
                     ORDER BY rank, id LIMIT 1)
         RETURNING id, title, description, priority, file_paths, attempt, error, created_by";

/// Completes a claimed task.
pub const COMPLETE: &str = "UPDATE tasks SET status = 'completed', result = ?4, notes = ?5, completed_at = ?6, error = NULL,
                          lease_expires_at = NULL
         WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'in_progress'";

/// Records an event.
pub const RECORD: &str =
    "INSERT INTO events (run_id, created_at, who, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Ends a change.
pub const RELEASE: &str = "RELEASE change";

/// Ends a group.
pub const COMMIT: &str = "COMMIT";

/// What a group's end is announced by.
pub const LAST_EVENT: &str = "SELECT coalesce(max(sequence), 0) FROM events";
