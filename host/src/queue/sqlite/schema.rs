//! The form of the tables, its version, and the way from each earlier version
//! to this one. `schema.sql` is the form as it is; a step in `migrations/`
//! leads from one version to the next.

use std::path::Path;

use rusqlite::Connection;

use super::{DAMAGED, explain, measured};
use crate::{Error, Result};

/// The version of `schema.sql`, kept in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 4;

/// The step at index n leads from version n + 1 to n + 2.
const STEPS: [&str; 3] = [
    include_str!("migrations/from_1.sql"),
    include_str!("migrations/from_2.sql"),
    include_str!("migrations/from_3.sql"),
];

/// Makes the tables where there are none, and brings old ones up to date.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    refuse_newer(version(connection).map_err(explain)?, path)?;
    refuse_damaged(connection, path)?;
    connection.execute_batch(measured::PRAGMAS).map_err(explain)?;
    connection.execute_batch(measured::BEGIN).map_err(explain)?;
    let made = make_or_migrate(connection, path);
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    connection.execute_batch(end).map_err(explain)?;
    made
}

/// Asked again inside the transaction: another process may have made the
/// tables since.
fn make_or_migrate(connection: &Connection, path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let version = version(connection).map_err(explain)?;
    refuse_newer(version, path)?;
    if version == 0 {
        refuse_foreign(connection, path)?;
        connection.execute_batch(include_str!("schema.sql")).map_err(explain)?;
    }
    let done = usize::try_from(version - 1).unwrap_or(STEPS.len());
    for step in STEPS.iter().skip(done) {
        connection.execute_batch(step).map_err(explain)?;
    }
    connection.pragma_update(None, "user_version", VERSION).map_err(explain)
}

/// For those who only read: the tables have to be there in this form.
pub(super) fn check_current(connection: &Connection, path: &Path) -> Result<()> {
    let version = version(connection).map_err(|error| explain(path, &error))?;
    refuse_newer(version, path)?;
    if version == VERSION {
        return Ok(());
    }
    let what =
        if version == 0 { "is no task database" } else { "was written by an older code-agent" };
    Err(Error::failed(format!(
        "{} {what}; the next `code-agent run` or `resume` that uses it brings it up to date",
        path.display()
    )))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn refuse_newer(version: i64, path: &Path) -> Result<()> {
    if version <= VERSION {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the task database {} was written by a newer code-agent (its version is {version}, this one \
         knows {VERSION}); use that one, or name another file with --database",
        path.display()
    )))
}

/// A damaged page may not be read for hours, and a run that goes on meanwhile
/// builds on what is not so. The check reads each page once.
fn refuse_damaged(connection: &Connection, path: &Path) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the task database {} failed its check ({}); {DAMAGED}",
        path.display(),
        found.replace('\n', " ")
    )))
}

fn refuse_foreign(connection: &Connection, path: &Path) -> Result<()> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if tables == 0 {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} is a database of some other program; name another file with --database",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each version's tables as they were, and a row that has to survive.
    const EARLIER: [(i64, &str, &str); 3] = [
        (
            1,
            include_str!("migrations/schema_1.sql"),
            "INSERT INTO landings VALUES ('landing', 'run', 'task', 'commit', 'parent', '[]', 'now', 1);",
        ),
        (
            2,
            include_str!("migrations/schema_2.sql"),
            "INSERT INTO landings VALUES ('landing', 'run', 'task', 'commit', 'parent', '[]', 'now', 1, NULL);
             INSERT INTO usage VALUES ('run', 1, 'worker', 'task', 5, 1, 2, 'now');",
        ),
        (
            3,
            include_str!("migrations/schema_3.sql"),
            "INSERT INTO landings VALUES ('landing', 'run', 'task', 'commit', 'parent', '[]', 'now', 1, NULL);
             INSERT INTO usage VALUES ('run', 1, 'worker', 'task', 5, 1, 2, 'now', 0.5);",
        ),
    ];

    /// Rows that are the same in all of them.
    const ROWS: &str = "
        INSERT INTO runs VALUES ('run', 'goal', 'main', '/', 'base', '{}', 'running', NULL, 'now', NULL);
        INSERT INTO tasks (id, title, description, priority, status, file_paths, created_by, created_at,
                           run_id, cycle_number, rank, attempt, notes)
        VALUES ('task', 'title', '', 'low', 'pending', '[]', 'planner', 'now', 'run', 1, 3, 0, '[]');";

    fn columns(connection: &Connection) -> Vec<(String, String, String, bool, Option<String>)> {
        let mut query = connection
            .prepare(
                "SELECT m.name, c.name, c.type, c.\"notnull\", c.dflt_value
                 FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'
                 ORDER BY m.name, c.cid",
            )
            .unwrap();
        let rows = query.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        });
        rows.unwrap().map(|row| row.unwrap()).collect()
    }

    fn indexes(connection: &Connection) -> Vec<String> {
        let mut query = connection
            .prepare(
                "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1",
            )
            .unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    #[test]
    fn every_earlier_version_becomes_this_one_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = Connection::open(folder.path().join("fresh.db")).unwrap();
        prepare(&fresh, Path::new("fresh.db")).unwrap();
        assert_eq!(EARLIER.len(), STEPS.len(), "each earlier version is tried");
        for (earlier, tables, rows) in EARLIER {
            let path = folder.path().join(format!("{earlier}.db"));
            let old = Connection::open(&path).unwrap();
            old.execute_batch(tables).unwrap();
            old.execute_batch(ROWS).unwrap();
            old.execute_batch(rows).unwrap();
            old.pragma_update(None, "user_version", earlier).unwrap();
            assert!(check_current(&old, &path).unwrap_err().to_string().contains("older"));
            prepare(&old, &path).unwrap();
            check_current(&old, &path).unwrap();
            assert_eq!((columns(&old), indexes(&old)), (columns(&fresh), indexes(&fresh)));
            for table in ["runs", "tasks", "landings"] {
                let count: i64 = old
                    .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                    .unwrap();
                assert_eq!(count, 1, "{table}");
            }
            let usage: i64 =
                old.query_row("SELECT count(*) FROM usage", [], |row| row.get(0)).unwrap();
            assert_eq!(usage, i64::from(earlier >= 2), "tokens that were counted stay");
        }
    }

    #[test]
    fn newer_and_foreign_databases_are_refused_and_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE mine (a)").unwrap();
        assert!(prepare(&other, &path).unwrap_err().to_string().contains("some other program"));
        other.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(prepare(&other, &path).unwrap_err().to_string().contains("newer code-agent"));
        assert_eq!(columns(&other).len(), 1);
    }
}
