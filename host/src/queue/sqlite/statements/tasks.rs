//! Tasks: claims, leases and ends of attempts.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::super::measured;
use super::{Change, HOST, Result, collect, read_draft, read_json, record, to_json};
use crate::events::Event;
use crate::queue::{Claim, LEASE, LandingRow, MAX_ATTEMPTS};
use crate::types::{Report, Task};

pub(in super::super) fn claim(
    change: &Change<'_>,
    cycle: u32,
    slot: &str,
) -> Result<Option<Claim>> {
    let now = change.clock.milliseconds();
    return_expired(change, cycle, now)?;
    let task = change.connection.prepare_cached(measured::CLAIM)?.query_row(
        named_params! {":slot": slot, ":expires": now + lease(), ":run": change.run, ":cycle": cycle},
        |row| Ok((read_task(row)?, row.get(7)?)),
    ).optional()?;
    match task {
        Some((task, planner)) => taken(change, slot, task, planner).map(Some),
        None => Ok(None),
    }
}

/// Takes the task that a recorded run took; none while that is not pending.
pub(in super::super) fn claim_recorded(
    change: &Change<'_>,
    cycle: u32,
    slot: &str,
    task: &str,
    attempt: u32,
) -> Result<Option<Claim>> {
    let expires = change.clock.milliseconds() + lease();
    let task = change
        .connection
        .prepare_cached(
            "UPDATE tasks SET status = 'in_progress', assigned_to = ?1, attempt = ?2, lease_expires_at = ?3
         WHERE id = ?4 AND run_id = ?5 AND cycle_number = ?6 AND status = 'pending' AND attempt = ?2 - 1
         RETURNING id, title, description, priority, file_paths, attempt, error, created_by",
        )?
        .query_row(params![slot, attempt, expires, task, change.run, cycle], |row| {
            Ok((read_task(row)?, row.get(7)?))
        })
        .optional()?;
    match task {
        Some((task, planner)) => taken(change, slot, task, planner).map(Some),
        None => Ok(None),
    }
}

fn taken(change: &Change<'_>, slot: &str, task: Task, planner: String) -> Result<Claim> {
    let event = Event::AttemptStarted {
        task: task.id.clone(),
        title: task.draft.title.clone(),
        attempt: task.attempt,
        slot: slot.to_owned(),
        planner,
    };
    record(change, slot, &event)?;
    Ok(Claim { task, slot: slot.to_owned() })
}

/// A lease that was not renewed has run out: its worker is gone, and that was
/// a failed attempt, unless what completes the task is landing already.
fn return_expired(change: &Change<'_>, cycle: u32, now: i64) -> Result<()> {
    let expired: Vec<Claim> =
        collect(change.connection, measured::EXPIRED, params![change.run, cycle, now], |row| {
            Ok(Claim { task: read_task(row)?, slot: row.get(7)? })
        })?;
    for claim in expired {
        fail_attempt(change, &claim, "its lease ran out: the worker was not heard of any more")?;
    }
    Ok(())
}

/// Whether this claim still holds its task.
pub(super) fn is_held(change: &Change<'_>, task: &str, slot: &str, attempt: u32) -> Result<bool> {
    change
        .connection
        .prepare_cached(
            "SELECT 1 FROM tasks
             WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'in_progress'",
        )?
        .exists(params![task, slot, attempt])
}

pub(in super::super) fn renew(change: &Change<'_>, claim: &Claim) -> Result<bool> {
    let expires = change.clock.milliseconds() + lease();
    let changed = change
        .connection
        .prepare_cached(
            "UPDATE tasks SET lease_expires_at = ?4
         WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'in_progress'",
        )?
        .execute(params![claim.task.id, claim.slot, claim.task.attempt, expires])?;
    Ok(changed > 0)
}

pub(in super::super) fn complete(
    change: &Change<'_>,
    claim: &Claim,
    report: &Report,
) -> Result<bool> {
    let changed = change.connection.prepare_cached(measured::COMPLETE)?.execute(params![
        claim.task.id,
        claim.slot,
        claim.task.attempt,
        report.summary,
        to_json(&report.notes)?,
        change.clock.timestamp(),
    ])?;
    if changed == 0 {
        return is_completed_by(change, claim);
    }
    let event = Event::TaskCompleted {
        task: claim.task.id.clone(),
        title: claim.task.draft.title.clone(),
        attempt: claim.task.attempt,
        summary: report.summary.clone(),
    };
    record(change, &claim.slot, &event)?;
    Ok(true)
}

fn is_completed_by(change: &Change<'_>, claim: &Claim) -> Result<bool> {
    change
        .connection
        .prepare_cached(
            "SELECT 1 FROM tasks
             WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'completed'",
        )?
        .exists(params![claim.task.id, claim.slot, claim.task.attempt])
}

/// Completes the task of a landing that came with the worker's report.
pub(super) fn complete_by_landing(
    change: &Change<'_>,
    row: &LandingRow,
    report: &Report,
) -> Result<()> {
    let task = change
        .connection
        .prepare_cached(
            "SELECT id, title, description, priority, file_paths, attempt, error FROM tasks WHERE id = ?1",
        )?
        .query_row([&row.task], read_task)?;
    let task = Task { attempt: row.attempt, ..task };
    complete(change, &Claim { task, slot: row.slot.clone() }, report)?;
    Ok(())
}

/// Completes the tasks whose last landing is confirmed, but whose host ended
/// before it could say so.
pub(super) fn complete_landed(change: &Change<'_>) -> Result<()> {
    let landed: Vec<(Claim, Report)> = collect(
        change.connection,
        "SELECT tasks.id, title, description, priority, file_paths, attempt, error, assigned_to, report
         FROM tasks JOIN landings ON landings.task_id = tasks.id
         WHERE tasks.run_id = ?1 AND status = 'in_progress' AND landed = 1 AND report IS NOT NULL",
        [change.run],
        |row| Ok((Claim { task: read_task(row)?, slot: row.get(7)? }, read_json(row, 8)?)),
    )?;
    for (claim, report) in landed {
        complete(change, &claim, &report)?;
    }
    Ok(())
}

/// Puts back what was in progress; the attempt that the host's end cut short
/// does not count.
pub(super) fn return_all(change: &Change<'_>) -> Result<()> {
    let returned: Vec<(String, String)> = collect(
        change.connection,
        "UPDATE tasks SET status = 'pending', assigned_to = NULL, lease_expires_at = NULL, attempt = attempt - 1
         WHERE run_id = ?1 AND status = 'in_progress' RETURNING id, title",
        [change.run],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (task, title) in returned {
        record(change, HOST, &Event::TaskReturned { task, title })?;
    }
    Ok(())
}

pub(in super::super) fn fail_attempt(
    change: &Change<'_>,
    claim: &Claim,
    error: &str,
) -> Result<bool> {
    let again = claim.task.attempt < MAX_ATTEMPTS;
    let changed = change
        .connection
        .prepare_cached(
            "UPDATE tasks SET status = ?4, error = ?5, lease_expires_at = NULL, completed_at = ?6,
                          assigned_to = CASE ?4 WHEN 'pending' THEN NULL ELSE assigned_to END
         WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'in_progress'",
        )?
        .execute(params![
            claim.task.id,
            claim.slot,
            claim.task.attempt,
            if again { "pending" } else { "failed" },
            error,
            (!again).then(|| change.clock.timestamp()),
        ])?;
    if changed == 0 {
        return Ok(false);
    }
    let (task, title) = (claim.task.id.clone(), claim.task.draft.title.clone());
    let event = Event::AttemptFailed {
        task: task.clone(),
        title: title.clone(),
        attempt: claim.task.attempt,
        error: error.to_owned(),
        again,
    };
    record(change, &claim.slot, &event)?;
    if !again {
        record(change, &claim.slot, &Event::TaskFailed { task, title, error: error.to_owned() })?;
    }
    Ok(true)
}

pub(in super::super) fn open(change: &Change<'_>, cycle: u32) -> Result<u32> {
    change
        .connection
        .prepare_cached(
            "SELECT count(*) FROM tasks
         WHERE run_id = ?1 AND cycle_number = ?2 AND status IN ('pending', 'in_progress')",
        )?
        .query_row(params![change.run, cycle], |row| row.get(0))
}

fn lease() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

fn read_task(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        id: row.get(0)?,
        draft: read_draft(row)?,
        attempt: row.get(5)?,
        last_error: row.get(6)?,
    })
}
