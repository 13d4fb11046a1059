//! The one connection that writes, on a thread of its own. What comes in
//! together is committed together, since a commit costs a sync of the disk;
//! each change has a savepoint, so that one that fails takes none along.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{explain, measured};
use crate::{Error, Result};

/// How many changes may wait; more callers wait for room.
const QUEUE_LENGTH: usize = 1024;
/// How many changes at most share a commit.
const GROUP_SIZE: usize = 256;

/// Hands changes to the writing thread. The thread ends with the last clone.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    committed: watch::Receiver<i64>,
    groups: Arc<AtomicU64>,
    path: Arc<Path>,
}

/// A change that waits. It is given the group's transaction, or nothing where
/// there is none, and says what tells its caller once the group has ended.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Done + Send>;

struct Done {
    /// What went wrong with this change alone.
    error: Option<Error>,
    answer: Box<dyn FnOnce(Result<()>) + Send>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE_LENGTH);
        let (announce, committed) = watch::channel(0);
        let path: Arc<Path> = path.into();
        let groups = Arc::new(AtomicU64::new(0));
        let (name, counter) = (path.clone(), groups.clone());
        thread::Builder::new()
            .name("queue-writer".into())
            .spawn(move || write_all(&connection, &name, waiting, &announce, &counter))
            .map_err(|error| {
                Error::failed(format!("can't start the database's thread: {error}"))
            })?;
        Ok(Self { jobs, committed, groups, path })
    }

    pub(super) fn committed(&self) -> watch::Receiver<i64> {
        self.committed.clone()
    }

    pub(super) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Runs a change; returns once it is durable.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = pack(&self.path, change);
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// The same for callers that are threads, not tasks of the async runtime.
    pub(super) fn run_blocking<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = pack(&self.path, change);
        self.jobs.blocking_send(job).map_err(|_| stopped())?;
        answer.blocking_recv().map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::failed("the task database's thread has ended; see the log for the reason")
}

fn pack<T: Send + 'static>(
    path: &Arc<Path>,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T>>) {
    let (tell, answer) = oneshot::channel();
    let path = path.clone();
    let job: Job = Box::new(move |transaction| {
        let outcome = transaction.map(|connection| {
            in_savepoint(connection, change).map_err(|error| explain(&path, &error))
        });
        Done {
            error: outcome.as_ref().and_then(|outcome| outcome.as_ref().err().cloned()),
            answer: Box::new(move |committed| {
                let outcome = match (outcome, committed) {
                    (Some(Err(error)), _) | (_, Err(error)) => Err(error),
                    (Some(outcome), Ok(())) => outcome,
                    (None, Ok(())) => Err(stopped()),
                };
                // A caller that has gone away needs no answer.
                let _ = tell.send(outcome);
            }),
        }
    });
    (job, answer)
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    run_cached(connection, measured::SAVEPOINT)?;
    let outcome = change(connection);
    // A full disk makes SQLite roll everything back by itself, and then there
    // is no savepoint left; the reason has to reach the caller all the same.
    if connection.is_autocommit() {
        return outcome;
    }
    match &outcome {
        Ok(_) => run_cached(connection, measured::RELEASE)?,
        Err(_) => connection.execute_batch("ROLLBACK TO change; RELEASE change")?,
    }
    outcome
}

fn write_all(
    connection: &Connection,
    path: &Path,
    mut waiting: mpsc::Receiver<Job>,
    announce: &watch::Sender<i64>,
    groups: &AtomicU64,
) {
    let mut group = Vec::with_capacity(GROUP_SIZE);
    while waiting.blocking_recv_many(&mut group, GROUP_SIZE) > 0 {
        let (answers, committed) = commit_group(connection, path, &mut group);
        if committed.is_ok() {
            groups.fetch_add(1, Ordering::Relaxed);
        }
        for done in answers {
            (done.answer)(committed.clone());
        }
        match last_event(connection) {
            Ok(sequence) => drop(announce.send_replace(sequence)),
            Err(error) => tracing::warn!("can't read the last event: {error}"),
        }
    }
}

fn commit_group(
    connection: &Connection,
    path: &Path,
    group: &mut Vec<Job>,
) -> (Vec<Done>, Result<()>) {
    let mut ended =
        run_cached(connection, measured::BEGIN).map_err(|error| explain(path, &error)).err();
    let mut answers = Vec::with_capacity(group.len());
    for job in group.drain(..) {
        let done = job(ended.is_none().then_some(connection));
        // A full disk makes SQLite roll the whole transaction back by itself;
        // what came after would then be committed on its own.
        if ended.is_none() && connection.is_autocommit() {
            ended = Some(done.error.clone().unwrap_or_else(stopped));
        }
        answers.push(done);
    }
    if let Some(error) = ended {
        return (answers, Err(error));
    }
    let committed = run_cached(connection, measured::COMMIT).map_err(|error| explain(path, &error));
    if committed.is_err()
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::warn!("a failed commit could not be rolled back: {error}");
    }
    (answers, committed)
}

fn last_event(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(measured::LAST_EVENT)?.query_row([], |row| row.get(0))
}

fn run_cached(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
