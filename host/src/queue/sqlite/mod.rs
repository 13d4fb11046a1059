//! The store in SQLite: opening the file and starting or finding a run in it.
//! `schema` owns the tables' form, `writer` the connection that writes,
//! `run_store` what a run asks for, `statements` the changes themselves;
//! `../read.rs` is what people's questions are answered from.

#![expect(clippy::disallowed_methods, reason = "the database's folder is the program's own")]

#[doc(hidden)]
pub mod measured;
mod run_store;
mod schema;
mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

pub use run_store::RunStore;

use super::NewRun;
use crate::clock::Clock;
use crate::{Error, Result};
use writer::Writer;

/// How long to wait before asking again for a lock that another program has.
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// How often to ask: for about ten seconds.
const LOCK_TRIES: i32 = 10_000;

/// How many statements stay prepared: more than there are, so that none is
/// prepared twice.
const PREPARED: usize = 64;

const DAMAGED: &str = "it is damaged: restore it or name another file with --database";

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
        let mut connection = Connection::open(path).map_err(|error| explain(path, &error))?;
        connection.busy_handler(Some(wait_for_lock)).map_err(|error| explain(path, &error))?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        keep_plans(&connection).map_err(|error| explain(path, &error))?;
        schema::prepare(&connection, path)?;
        Ok(Self { writer: Writer::start(connection, path)?, path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a run: its row and its first event.
    pub async fn start_run(&self, id: &str, run: NewRun, clock: Clock) -> Result<RunStore> {
        let store = self.run(id, clock);
        store.write(move |change| statements::runs::start(change, &run)).await?;
        Ok(store)
    }

    /// The store of a run that was started before.
    pub fn run(&self, id: &str, clock: Clock) -> RunStore {
        RunStore::new(self.clone(), id, clock)
    }

    /// Follows the sequence number of the last event that was committed.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.writer.committed()
    }

    /// How many groups of changes were committed through this opening.
    pub fn groups(&self) -> u64 {
        self.writer.groups()
    }
}

/// Opens a second connection that only reads, while a run may be writing.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    connection.busy_handler(Some(wait_for_lock)).map_err(|error| explain(path, &error))?;
    schema::check_current(&connection, path)?;
    Ok(connection)
}

/// Otherwise SQLite plans a statement anew whenever a value is bound that might
/// make another plan better, and a statement that comes from the cache always
/// is bound anew: a quarter of the writing thread's time went there.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// SQLite's own waiting pauses for up to 100 ms, and a busy program leaves the
/// lock free for far less between two commits: who waits would starve.
fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(LOCK_PAUSE);
    tries < LOCK_TRIES
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
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DAMAGED,
        Some(ErrorCode::CannotOpen) => "it can't be opened: check the path and its permissions",
        Some(ErrorCode::SystemIoFailure) => "the disk failed or is full: check it",
        _ => "this should not happen: please report it",
    };
    Error::failed(format!("the task database {} failed ({error}); {remedy}", path.display()))
}
