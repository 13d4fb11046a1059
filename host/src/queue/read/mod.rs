//! Answers people's questions about a database: from a connection of its own
//! that only reads, so that a run that writes is not disturbed. `rows` reads
//! tasks and cycles; here are runs, events and commits.

mod rows;

use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

pub use rows::{CycleRow, KeptFile, TaskRow};

use super::sqlite::{explain, open_to_read};
use crate::Result;
use crate::events::Recorded;

/// How many events are read at once.
const PAGE: u32 = 500;

/// A database that is read, not written.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// A run as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// What the user asked for.
    pub goal: String,
    /// The branch that the work goes to.
    pub branch: String,
    /// Its options as JSON.
    #[serde(skip)]
    pub options: String,
    /// How it ended: an `Outcome`'s word; none where it has not.
    pub outcome: Option<String>,
    /// When it began: RFC 3339, UTC.
    pub created_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
}

impl Reader {
    /// Opens the database at `path`, which has to exist.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { connection: open_to_read(path)?, path: path.to_owned() })
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        self.read_runs().map_err(|error| explain(&self.path, &error))
    }

    fn explained<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.connection).map_err(|error| explain(&self.path, &error))
    }

    fn read_runs(&self) -> rusqlite::Result<Vec<RunRow>> {
        let mut query = self.connection.prepare_cached(
            "SELECT run_id, goal, branch, options, outcome, created_at, ended_at FROM runs ORDER BY run_id DESC",
        )?;
        let rows = query.query_map([], |row| {
            Ok(RunRow {
                id: row.get(0)?,
                goal: row.get(1)?,
                branch: row.get(2)?,
                options: row.get(3)?,
                outcome: row.get(4)?,
                created_at: row.get(5)?,
                ended_at: row.get(6)?,
            })
        })?;
        rows.collect()
    }

    /// The run's events after `sequence`, oldest first; at most a page of
    /// them, so that the caller asks again until none comes.
    pub fn events_after(&self, run: &str, sequence: i64) -> Result<Vec<Recorded>> {
        self.read_events(run, sequence).map_err(|error| explain(&self.path, &error))
    }

    /// The run's commits in the order in which they landed, each with its
    /// task's title.
    pub fn landed_commits(&self, run: &str) -> Result<Vec<(String, String)>> {
        self.read_commits(run).map_err(|error| explain(&self.path, &error))
    }

    /// The commits that a run, or one cycle of it, was about to land, in their
    /// order. Whether one did is for its branch to say: a host that died may not
    /// have come to write it down.
    pub fn landings_in(&self, run: &str, cycle: Option<u32>) -> Result<Vec<String>> {
        self.explained(|connection| {
            connection
                .prepare(
                    "SELECT landings.commit_id FROM landings JOIN tasks ON tasks.id = landings.task_id
                     WHERE landings.run_id = ?1 AND (?2 IS NULL OR tasks.cycle_number = ?2)
                     ORDER BY landings.rowid",
                )?
                .query_map(params![run, cycle], |row| row.get(0))?
                .collect()
        })
    }

    fn read_commits(&self, run: &str) -> rusqlite::Result<Vec<(String, String)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT landings.commit_id, tasks.title FROM landings JOIN tasks ON tasks.id = landings.task_id
             WHERE landings.run_id = ?1 AND landings.landed = 1 ORDER BY landings.rowid",
        )?;
        query.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn read_events(&self, run: &str, sequence: i64) -> rusqlite::Result<Vec<Recorded>> {
        let mut query = self.connection.prepare_cached(
            "SELECT sequence, created_at, run_id, who, body FROM events
             WHERE run_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        )?;
        let rows = query.query_map(params![run, sequence, PAGE], |row| {
            let body: String = row.get(4)?;
            let event = from_json(&body, 4)?;
            Ok(Recorded {
                sequence: row.get(0)?,
                time: row.get(1)?,
                run: row.get(2)?,
                who: row.get(3)?,
                event,
            })
        })?;
        rows.collect()
    }
}

fn from_json<T: DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
