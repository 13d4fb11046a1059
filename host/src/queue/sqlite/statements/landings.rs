//! Landings: written down before the ref moves, confirmed after it has.

use rusqlite::params;

use super::{Change, HOST, Result, collect, record, tasks, to_json};
use crate::events::Event;
use crate::queue::LandingRow;

/// Writes the rows unless a claim among them is lost; returns those.
pub(in super::super) fn record_all(
    change: &Change<'_>,
    rows: &[LandingRow],
) -> Result<Vec<String>> {
    let mut late = Vec::new();
    for row in rows {
        if !tasks::is_held(change, &row.task, &row.slot, row.attempt)? {
            late.push(row.landing.clone());
        }
    }
    if !late.is_empty() {
        return Ok(late);
    }
    for row in rows {
        change
            .connection
            .prepare_cached(
                "INSERT INTO landings (landing_id, run_id, task_id, commit_id, parent_id, files, created_at,
                                       landed, report)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)",
            )?
            .execute(params![
                row.landing,
                change.run,
                row.task,
                row.commit,
                row.parent,
                to_json(&row.files)?,
                change.clock.timestamp(),
                row.report.as_ref().map(to_json).transpose()?,
            ])?;
    }
    Ok(late)
}

pub(in super::super) fn confirm_all(change: &Change<'_>, rows: &[LandingRow]) -> Result<()> {
    for row in rows {
        confirm(change, &row.slot, &row.task, &row.landing, &row.commit)?;
        if let Some(report) = &row.report {
            tasks::complete_by_landing(change, row, report)?;
        }
    }
    Ok(())
}

fn confirm(change: &Change<'_>, who: &str, task: &str, landing: &str, commit: &str) -> Result<()> {
    change.connection.execute("UPDATE landings SET landed = 1 WHERE landing_id = ?1", [landing])?;
    change
        .connection
        .execute("UPDATE tasks SET commit_id = ?2 WHERE id = ?1", params![task, commit])?;
    record(change, who, &Event::Landed { task: task.to_owned(), commit: commit.to_owned() })
}

/// Those that are confirmed or not: their ids and commits, in their order.
pub(in super::super) fn of_run(change: &Change<'_>, landed: bool) -> Result<Vec<(String, String)>> {
    collect(
        change.connection,
        "SELECT landing_id, commit_id FROM landings WHERE run_id = ?1 AND landed = ?2 ORDER BY rowid",
        params![change.run, landed],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

pub(in super::super) fn has_landed_in(change: &Change<'_>, cycle: u32) -> Result<bool> {
    change.connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM landings JOIN tasks ON tasks.id = landings.task_id
                        WHERE landings.run_id = ?1 AND landings.landed = 1 AND tasks.cycle_number = ?2)",
        params![change.run, cycle],
        |row| row.get(0),
    )
}

/// Landings that the branch contains did land; the others never will. A task
/// whose last landing is among them is done, and every other task that was in
/// progress is pending again, for nobody works any more.
pub(in super::super) fn settle(change: &Change<'_>, landed: &[String]) -> Result<()> {
    for landing in landed {
        let (task, commit): (String, String) = change.connection.query_row(
            "SELECT task_id, commit_id FROM landings WHERE landing_id = ?1",
            [landing],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        confirm(change, HOST, &task, landing, &commit)?;
    }
    change
        .connection
        .execute("DELETE FROM landings WHERE run_id = ?1 AND landed = 0", [change.run])?;
    tasks::complete_landed(change)?;
    tasks::return_all(change)
}
