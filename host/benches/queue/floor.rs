//! The floor: the statements of claims and finishes on one connection, by one
//! thread, in groups of a given size, with nothing around them.

use std::time::{Duration, Instant};

use code_agent::queue::{LEASE, measured};
use rusqlite::{CachedStatement, Connection, OptionalExtension, named_params, params};

use crate::{CYCLE, NOTE, RUN, Result, SUMMARY, check_done, filled, folder};

/// A point in time as text; which one is all the same to the database.
const TIME: &str = "2026-01-01T00:00:00.000Z";

/// The statements, prepared once.
struct Statements<'a> {
    begin: CachedStatement<'a>,
    savepoint: CachedStatement<'a>,
    expired: CachedStatement<'a>,
    claim: CachedStatement<'a>,
    complete: CachedStatement<'a>,
    record: CachedStatement<'a>,
    release: CachedStatement<'a>,
    commit: CachedStatement<'a>,
    last_event: CachedStatement<'a>,
}

/// A task that a claimer holds.
struct Held {
    id: String,
    title: String,
    attempt: u32,
}

pub async fn measure(claimers: usize, group: usize) -> Result<Duration> {
    let folder = folder()?;
    let path = folder.path().join("tasks.db");
    drop(filled(&path).await?);
    let connection = Connection::open(&path)?;
    connection.execute_batch(measured::PRAGMAS)?;
    let start = Instant::now();
    work_off(&mut Statements::prepare(&connection)?, claimers, group)?;
    let took = start.elapsed();
    check_done(&path)?;
    Ok(took)
}

/// Claimers take turns, each with a claim and then its finish, until a whole
/// round of them finds nothing.
fn work_off(statements: &mut Statements<'_>, claimers: usize, group: usize) -> Result<()> {
    let slots: Vec<String> = (0..claimers).map(|number| format!("worker-{number}")).collect();
    let mut held: Vec<Option<Held>> = slots.iter().map(|_| None).collect();
    let mut turns = (0..claimers).cycle();
    let mut idle = 0;
    while idle < claimers {
        statements.begin.execute([])?;
        for turn in turns.by_ref().take(group) {
            statements.savepoint.execute([])?;
            if let Some(task) = held[turn].take() {
                statements.complete(&slots[turn], &task)?;
            } else {
                held[turn] = statements.claim(&slots[turn])?;
                idle = if held[turn].is_some() { 0 } else { idle + 1 };
            }
            statements.release.execute([])?;
        }
        statements.commit.execute([])?;
        let _: i64 = statements.last_event.query_row([], |row| row.get(0))?;
    }
    Ok(())
}

impl<'a> Statements<'a> {
    fn prepare(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            begin: connection.prepare_cached(measured::BEGIN)?,
            savepoint: connection.prepare_cached(measured::SAVEPOINT)?,
            expired: connection.prepare_cached(measured::EXPIRED)?,
            claim: connection.prepare_cached(measured::CLAIM)?,
            complete: connection.prepare_cached(measured::COMPLETE)?,
            record: connection.prepare_cached(measured::RECORD)?,
            release: connection.prepare_cached(measured::RELEASE)?,
            commit: connection.prepare_cached(measured::COMMIT)?,
            last_event: connection.prepare_cached(measured::LAST_EVENT)?,
        })
    }

    fn claim(&mut self, slot: &str) -> Result<Option<Held>> {
        let now = jiff::Timestamp::now().as_millisecond();
        if self.expired.exists(params![RUN, CYCLE, now])? {
            return Err("no lease runs out in a benchmark".into());
        }
        let expires = now + i64::try_from(LEASE.as_millis())?;
        let key = named_params! {":slot": slot, ":expires": expires, ":run": RUN, ":cycle": CYCLE};
        let read = |row: &rusqlite::Row<'_>| {
            let (_description, _priority): (String, String) = (row.get(2)?, row.get(3)?);
            let (_file_paths, _error): (String, Option<String>) = (row.get(4)?, row.get(6)?);
            Ok(Held { id: row.get(0)?, title: row.get(1)?, attempt: row.get(5)? })
        };
        let Some(held) = self.claim.query_row(key, read).optional()? else { return Ok(None) };
        let body = format!(
            r#"{{"event":"attempt-started","task":"{}","title":"{}","attempt":1,"slot":"{slot}"}}"#,
            held.id, held.title
        );
        self.record.execute(params![RUN, TIME, slot, "attempt-started", body])?;
        Ok(Some(held))
    }

    fn complete(&mut self, slot: &str, task: &Held) -> Result<()> {
        let notes = format!("[\"{NOTE}\"]");
        let key = params![task.id, slot, task.attempt, SUMMARY, notes, TIME];
        if self.complete.execute(key)? != 1 {
            return Err("a claim was lost".into());
        }
        let body = format!(
            r#"{{"event":"task-completed","task":"{}","title":"{}","attempt":1,"summary":"{SUMMARY}"}}"#,
            task.id, task.title
        );
        self.record.execute(params![RUN, TIME, slot, "task-completed", body])?;
        Ok(())
    }
}
