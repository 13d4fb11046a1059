//! Runs: their beginning and their end.

use rusqlite::params;

use super::{Change, HOST, Result, record};
use crate::events::{Event, Outcome};
use crate::queue::NewRun;

pub(in super::super) fn start(change: &Change<'_>, run: &NewRun) -> Result<()> {
    change.connection.execute(
        "INSERT INTO runs (run_id, goal, branch, root_path, base_commit, options, status, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7)",
        params![change.run, run.goal, run.branch, run.root_path, run.base, run.options, change.clock.timestamp()],
    )?;
    let event = Event::RunStarted {
        goal: run.goal.clone(),
        branch: run.branch.clone(),
        base: run.base.clone(),
        model: run.model.clone(),
        max_cycles: run.max_cycles,
        max_workers: run.max_workers,
    };
    record(change, HOST, &event)
}

pub(in super::super) fn resumed(
    change: &Change<'_>,
    tip: &str,
    max_cycles: u32,
    max_workers: u32,
) -> Result<()> {
    change.connection.execute(
        "UPDATE runs SET status = 'running', outcome = NULL, ended_at = NULL WHERE run_id = ?1",
        [change.run],
    )?;
    record(change, HOST, &Event::RunResumed { tip: tip.to_owned(), max_cycles, max_workers })
}

pub(in super::super) fn end(
    change: &Change<'_>,
    outcome: Outcome,
    message: Option<String>,
) -> Result<()> {
    change.connection.execute(
        "UPDATE runs SET status = 'ended', outcome = ?2, ended_at = ?3 WHERE run_id = ?1",
        params![change.run, outcome.as_str(), change.clock.timestamp()],
    )?;
    record(change, HOST, &Event::RunEnded { outcome, message })
}
