//! The store in SQLite: opening the file, its version, and the run's store on
//! top of it. `writer.rs` owns the connection that writes, `statements.rs` the
//! changes; `../read.rs` is what people's questions are answered from.

mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use super::{
    AfterFailure, Claim, Counts, CycleEnd, CycleState, LandingRow, NewRun, Plan, Planner, Store,
};
use crate::clock::Clock;
use crate::events::{Event, Outcome};
use crate::types::Report;
use crate::{Error, Result};
use writer::Writer;

/// The version of `schema.sql`, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

/// How long to wait for another program that has the database locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database file. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Database {
    writer: Writer,
    path: PathBuf,
}

impl Database {
    /// Opens the file at `path`, and makes it and its folder if missing.
    pub fn open(path: &Path) -> Result<Self> {
        make_folder(path)?;
        let connection = Connection::open(path).map_err(|error| explain(path, &error))?;
        prepare(&connection, path)?;
        Ok(Self { writer: Writer::start(connection, path)?, path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a run: its row and its first event.
    pub async fn start_run(&self, id: &str, run: NewRun, clock: Clock) -> Result<RunStore> {
        let store = RunStore { database: self.clone(), run: id.into(), clock };
        store.write(move |change| statements::start_run(change, &run)).await?;
        Ok(store)
    }

    /// Follows the sequence number of the last event that was committed.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.writer.committed()
    }
}

/// Opens a second connection that only reads, while a run may be writing.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| explain(path, &error))?;
    check_version(&connection, path)?;
    Ok(connection)
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::failed(format!(
            "can't make the folder {} for the task database: {error}",
            folder.display()
        ))
    })
}

fn prepare(connection: &Connection, path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    // WAL lets people read while a run writes; FULL makes what was
    // acknowledged survive the plug being pulled.
    connection.pragma_update(None, "journal_mode", "wal").map_err(explain)?;
    connection.pragma_update(None, "synchronous", "full").map_err(explain)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(explain)?;
    if check_version(connection, path)? == 0 {
        let make = format!(
            "BEGIN IMMEDIATE; {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
            include_str!("schema.sql")
        );
        connection.execute_batch(&make).map_err(explain)?;
    }
    Ok(())
}

fn check_version(connection: &Connection, path: &Path) -> Result<i64> {
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if version > SCHEMA_VERSION {
        return Err(Error::failed(format!(
            "the task database {} was written by a newer code-agent (its version is {version}, this one knows \
             {SCHEMA_VERSION}); use that one, or name another file with --database",
            path.display()
        )));
    }
    Ok(version)
}

/// Puts a database error into a sentence that says what to do.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free some space",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "it can't be written: check its permissions"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has it locked: close that"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: restore it or name another file with --database"
        }
        Some(ErrorCode::CannotOpen) => "it can't be opened: check the path and its permissions",
        Some(ErrorCode::SystemIoFailure) => "the disk failed or is full: check it",
        _ => "this should not happen: please report it",
    };
    Error::failed(format!("the task database {} failed ({error}); {remedy}", path.display()))
}

/// The store of one run in a database.
#[derive(Clone)]
pub struct RunStore {
    database: Database,
    run: std::sync::Arc<str>,
    clock: Clock,
}

/// What a change works with: a transaction, and whose it is.
struct Change<'a> {
    connection: &'a Connection,
    run: &'a str,
    clock: &'a Clock,
}

impl RunStore {
    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The database that the run is in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Writes down what is about to land. Blocks: the lander's thread calls it.
    pub fn record_landings(&self, rows: Vec<LandingRow>) -> Result<()> {
        self.database
            .writer
            .run_blocking(self.job(move |change| statements::record_landings(change, &rows)))
    }

    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.writer.run(self.job(change)).await
    }

    fn job<T>(
        &self,
        change: impl FnOnce(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static {
        let (run, clock) = (self.run.clone(), self.clock.clone());
        move |connection| change(&Change { connection, run: &run, clock: &clock })
    }
}

impl Store for RunStore {
    async fn start_cycle(&self, cycle: u32, base: String) -> Result<Planner> {
        self.write(move |change| statements::start_cycle(change, cycle, &base)).await
    }

    async fn start_planner(&self, planner: &Planner) -> Result<()> {
        let planner = planner.clone();
        self.write(move |change| statements::start_planner(change, &planner)).await
    }

    async fn finish_planner(
        &self,
        cycle: u32,
        planner: &Planner,
        plan: Plan,
    ) -> Result<Vec<Planner>> {
        let planner = planner.clone();
        self.write(move |change| statements::finish_planner(change, cycle, &planner, &plan)).await
    }

    async fn fail_planner(&self, planner: &Planner, error: String) -> Result<()> {
        let planner = planner.clone();
        self.write(move |change| statements::fail_planner(change, &planner, &error)).await
    }

    async fn claim(&self, cycle: u32, slot: &str) -> Result<Option<Claim>> {
        let slot = slot.to_owned();
        self.write(move |change| statements::claim(change, cycle, &slot)).await
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        let claim = claim.clone();
        self.write(move |change| statements::renew(change, &claim)).await
    }

    async fn landed(
        &self,
        claim: &Claim,
        landing: String,
        commit: String,
        files: Vec<String>,
    ) -> Result<()> {
        let claim = claim.clone();
        self.write(move |change| statements::landed(change, &claim, &landing, &commit, &files))
            .await
    }

    async fn complete(&self, claim: &Claim, report: Report) -> Result<bool> {
        let claim = claim.clone();
        self.write(move |change| statements::complete(change, &claim, &report)).await
    }

    async fn fail_attempt(&self, claim: &Claim, error: String) -> Result<AfterFailure> {
        let claim = claim.clone();
        self.write(move |change| statements::fail_attempt(change, &claim, &error)).await
    }

    async fn open_tasks(&self, cycle: u32) -> Result<u32> {
        self.write(move |change| statements::open_tasks(change, cycle)).await
    }

    async fn cycle_state(&self, cycle: u32) -> Result<CycleState> {
        self.write(move |change| statements::cycle_state(change, cycle)).await
    }

    async fn end_cycle(&self, end: CycleEnd) -> Result<Counts> {
        self.write(move |change| statements::end_cycle(change, &end)).await
    }

    async fn end_run(&self, outcome: Outcome, message: Option<String>) -> Result<()> {
        self.write(move |change| statements::end_run(change, outcome, message)).await
    }

    async fn record(&self, who: &str, event: Event) -> Result<()> {
        let who = who.to_owned();
        self.write(move |change| statements::record(change, &who, &event)).await
    }
}
