//! The changes of a run's state, each inside the transaction that it is given,
//! each with the events that tell of it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Change;
use crate::events::{Event, Outcome};
use crate::queue::{
    AfterFailure, Claim, Counts, CycleEnd, CycleState, LEASE, LandingRow, MAX_ATTEMPTS, NewRun,
    Plan, Planner,
};
use crate::types::{Decision, Domain, Priority, Report, Role, Task, TaskDraft, TaskOutcome};

type Result<T> = rusqlite::Result<T>;

/// Who speaks where no agent does.
const HOST: &str = "host";

pub(super) fn start_run(change: &Change<'_>, run: &NewRun) -> Result<()> {
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
    };
    record(change, HOST, &event)
}

pub(super) fn end_run(
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

pub(super) fn start_cycle(change: &Change<'_>, cycle: u32, base: &str) -> Result<Planner> {
    change.connection.execute(
        "INSERT INTO cycles (run_id, cycle_number, tasks_completed, tasks_failed, sub_planners_spawned,
                             workers_active, created_at, base_commit)
         VALUES (?1, ?2, 0, 0, 0, 0, ?3, ?4)",
        params![change.run, cycle, change.clock.timestamp(), base],
    )?;
    record(change, HOST, &Event::CycleStarted { cycle, base: base.to_owned() })?;
    insert_planner(change, cycle, None, 0, None)
}

fn insert_planner(
    change: &Change<'_>,
    cycle: u32,
    parent: Option<&str>,
    depth: u32,
    domain: Option<&Domain>,
) -> Result<Planner> {
    let planner = Planner { id: change.clock.id(), depth, domain: domain.cloned() };
    let no_patterns = Vec::new();
    change.connection.execute(
        "INSERT INTO planners (planner_id, domain, file_patterns, parent_planner, sub_planners, tasks_created,
                               created_at, run_id, cycle_number, depth, status, description)
         VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, ?6, ?7, ?8, 'planning', ?9)",
        params![
            planner.id,
            domain.map(|domain| &domain.name),
            to_json(domain.map_or(&no_patterns, |domain| &domain.file_patterns))?,
            parent,
            change.clock.timestamp(),
            change.run,
            cycle,
            depth,
            domain.map_or("", |domain| &domain.description),
        ],
    )?;
    Ok(planner)
}

pub(super) fn start_planner(change: &Change<'_>, planner: &Planner) -> Result<()> {
    let parent = change.connection.query_row(
        "SELECT parent_planner FROM planners WHERE planner_id = ?1",
        [&planner.id],
        |row| row.get(0),
    )?;
    let event = Event::PlannerStarted {
        planner: planner.id.clone(),
        role: if planner.domain.is_some() { Role::SubPlanner } else { Role::MainPlanner },
        domain: domain_name(planner),
        parent,
    };
    record(change, &planner.id, &event)
}

pub(super) fn finish_planner(
    change: &Change<'_>,
    cycle: u32,
    planner: &Planner,
    plan: &Plan,
) -> Result<Vec<Planner>> {
    for draft in &plan.tasks {
        insert_task(change, cycle, planner, draft)?;
    }
    let mut sub_planners = Vec::with_capacity(plan.domains.len());
    for domain in &plan.domains {
        let depth = planner.depth + 1;
        sub_planners.push(insert_planner(change, cycle, Some(&planner.id), depth, Some(domain))?);
    }
    change.connection.execute(
        "UPDATE planners SET status = 'finished', summary = ?2, tasks_created = ?3, sub_planners = ?4,
                             finished_at = ?5
         WHERE planner_id = ?1",
        params![planner.id, plan.summary, count(plan.tasks.len()), count(sub_planners.len()), change.clock.timestamp()],
    )?;
    change.connection.execute(
        "UPDATE cycles SET sub_planners_spawned = sub_planners_spawned + ?3
         WHERE run_id = ?1 AND cycle_number = ?2",
        params![change.run, cycle, count(sub_planners.len())],
    )?;
    let event = Event::PlannerFinished {
        planner: planner.id.clone(),
        tasks: count(plan.tasks.len()),
        sub_planners: count(sub_planners.len()),
        left_out: plan.left_out,
    };
    record(change, &planner.id, &event)?;
    Ok(sub_planners)
}

fn insert_task(
    change: &Change<'_>,
    cycle: u32,
    planner: &Planner,
    draft: &TaskDraft,
) -> Result<()> {
    change.connection.prepare_cached(
        "INSERT INTO tasks (id, title, description, priority, status, file_paths, created_by, created_at,
                            run_id, cycle_number, rank, attempt, notes)
         VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7, ?8, ?9, ?10, 0, '[]')",
    )?.execute(params![
        change.clock.id(),
        draft.title,
        draft.description,
        draft.priority.as_str(),
        to_json(&draft.file_paths)?,
        planner.id,
        change.clock.timestamp(),
        change.run,
        cycle,
        draft.priority as u8,
    ])?;
    Ok(())
}

pub(super) fn fail_planner(change: &Change<'_>, planner: &Planner, error: &str) -> Result<()> {
    change.connection.execute(
        "UPDATE planners SET status = 'failed', error = ?2, finished_at = ?3 WHERE planner_id = ?1",
        params![planner.id, error, change.clock.timestamp()],
    )?;
    let event = Event::PlannerFailed {
        planner: planner.id.clone(),
        domain: domain_name(planner),
        error: error.to_owned(),
    };
    record(change, &planner.id, &event)
}

pub(super) fn claim(change: &Change<'_>, cycle: u32, slot: &str) -> Result<Option<Claim>> {
    let now = change.clock.milliseconds();
    return_expired(change, now)?;
    let task = change.connection.prepare_cached(
        "UPDATE tasks SET status = 'in_progress', assigned_to = :slot, attempt = attempt + 1,
                          lease_expires_at = :expires
         WHERE id = (SELECT id FROM tasks WHERE run_id = :run AND cycle_number = :cycle AND status = 'pending'
                     ORDER BY rank, id LIMIT 1)
         RETURNING id, title, description, priority, file_paths, attempt, error",
    )?.query_row(
        named_params! {":slot": slot, ":expires": now + lease(), ":run": change.run, ":cycle": cycle},
        read_task,
    ).optional()?;
    let Some(task) = task else { return Ok(None) };
    let event = Event::AttemptStarted {
        task: task.id.clone(),
        title: task.draft.title.clone(),
        attempt: task.attempt,
        slot: slot.to_owned(),
    };
    record(change, slot, &event)?;
    Ok(Some(Claim { task, slot: slot.to_owned() }))
}

/// A lease that was not renewed has run out: its worker is gone, and the task
/// is pending again.
fn return_expired(change: &Change<'_>, now: i64) -> Result<()> {
    change
        .connection
        .prepare_cached(
            "UPDATE tasks SET status = 'pending', assigned_to = NULL, lease_expires_at = NULL
         WHERE run_id = ?1 AND status = 'in_progress' AND lease_expires_at < ?2",
        )?
        .execute(params![change.run, now])?;
    Ok(())
}

pub(super) fn renew(change: &Change<'_>, claim: &Claim) -> Result<bool> {
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

pub(super) fn record_landings(change: &Change<'_>, rows: &[LandingRow]) -> Result<()> {
    for row in rows {
        change.connection.prepare_cached(
            "INSERT INTO landings (landing_id, run_id, task_id, commit_id, parent_id, files, created_at, landed)
             VALUES (?1, ?2, ?3, ?4, ?5, '[]', ?6, 0)
             ON CONFLICT (landing_id) DO UPDATE SET commit_id = excluded.commit_id, parent_id = excluded.parent_id",
        )?.execute(params![
            row.landing,
            change.run,
            row.task,
            row.commit,
            row.parent,
            change.clock.timestamp(),
        ])?;
    }
    Ok(())
}

pub(super) fn landed(
    change: &Change<'_>,
    claim: &Claim,
    landing: &str,
    commit: &str,
    files: &[String],
) -> Result<()> {
    change.connection.execute(
        "UPDATE landings SET landed = 1, files = ?2 WHERE landing_id = ?1",
        params![landing, to_json(&files)?],
    )?;
    change
        .connection
        .execute("UPDATE tasks SET commit_id = ?2 WHERE id = ?1", params![claim.task.id, commit])?;
    record(
        change,
        &claim.slot,
        &Event::Landed { task: claim.task.id.clone(), commit: commit.to_owned() },
    )
}

pub(super) fn complete(change: &Change<'_>, claim: &Claim, report: &Report) -> Result<bool> {
    let changed = change.connection.prepare_cached(
        "UPDATE tasks SET status = 'completed', result = ?4, notes = ?5, completed_at = ?6, error = NULL,
                          lease_expires_at = NULL
         WHERE id = ?1 AND assigned_to = ?2 AND attempt = ?3 AND status = 'in_progress'",
    )?.execute(params![
        claim.task.id,
        claim.slot,
        claim.task.attempt,
        report.summary,
        to_json(&report.notes)?,
        change.clock.timestamp(),
    ])?;
    if changed == 0 {
        return Ok(false);
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

pub(super) fn fail_attempt(
    change: &Change<'_>,
    claim: &Claim,
    error: &str,
) -> Result<AfterFailure> {
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
        return Ok(AfterFailure::LeaseLost);
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
    if again {
        return Ok(AfterFailure::Again);
    }
    record(change, &claim.slot, &Event::TaskFailed { task, title, error: error.to_owned() })?;
    Ok(AfterFailure::GivenUp)
}

pub(super) fn open_tasks(change: &Change<'_>, cycle: u32) -> Result<u32> {
    change
        .connection
        .prepare_cached(
            "SELECT count(*) FROM tasks
         WHERE run_id = ?1 AND cycle_number = ?2 AND status IN ('pending', 'in_progress')",
        )?
        .query_row(params![change.run, cycle], |row| row.get(0))
}

pub(super) fn cycle_state(change: &Change<'_>, cycle: u32) -> Result<CycleState> {
    let connection = change.connection;
    let key = params![change.run, cycle];
    let overview: Option<Option<String>> = connection
        .query_row(
            "SELECT summary FROM planners WHERE run_id = ?1 AND cycle_number = ?2 AND depth = 0",
            key,
            |row| row.get(0),
        )
        .optional()?;
    let planner_failures = collect(
        connection,
        "SELECT coalesce(domain, 'the whole project') || ': ' || coalesce(error, 'no reason given') FROM planners
         WHERE run_id = ?1 AND cycle_number = ?2 AND status = 'failed' ORDER BY planner_id",
        key,
        |row| row.get(0),
    )?;
    let sub_planners = connection.query_row(
        "SELECT count(*) FROM planners WHERE run_id = ?1 AND cycle_number = ?2 AND depth > 0",
        key,
        |row| row.get(0),
    )?;
    Ok(CycleState {
        overview: overview.flatten().unwrap_or_default(),
        outcomes: outcomes(change, cycle)?,
        planner_failures,
        sub_planners,
    })
}

fn outcomes(change: &Change<'_>, cycle: u32) -> Result<Vec<TaskOutcome>> {
    let tasks: Vec<(String, TaskOutcome)> = collect(
        change.connection,
        "SELECT id, title, description, priority, file_paths, status, coalesce(result, error, ''), notes FROM tasks
         WHERE run_id = ?1 AND cycle_number = ?2 AND status IN ('completed', 'failed') ORDER BY id",
        params![change.run, cycle],
        |row| {
            let outcome = TaskOutcome {
                draft: read_draft(row)?,
                completed: row.get::<_, String>(5)? == "completed",
                summary: row.get(6)?,
                notes: read_json(row, 7)?,
                commits: Vec::new(),
                changed_files: Vec::new(),
            };
            Ok((row.get(0)?, outcome))
        },
    )?;
    tasks.into_iter().map(|(id, outcome)| with_landings(change.connection, &id, outcome)).collect()
}

fn with_landings(
    connection: &Connection,
    task: &str,
    mut outcome: TaskOutcome,
) -> Result<TaskOutcome> {
    let landings: Vec<(String, Vec<String>)> = collect(
        connection,
        "SELECT commit_id, files FROM landings WHERE task_id = ?1 AND landed = 1 ORDER BY landing_id",
        [task],
        |row| Ok((row.get(0)?, read_json(row, 1)?)),
    )?;
    for (commit, files) in landings {
        outcome.commits.push(commit);
        outcome.changed_files.extend(files);
    }
    outcome.changed_files.sort();
    outcome.changed_files.dedup();
    Ok(outcome)
}

pub(super) fn end_cycle(change: &Change<'_>, end: &CycleEnd) -> Result<Counts> {
    let counts = change.connection.query_row(
        "SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'failed')
         FROM tasks WHERE run_id = ?1 AND cycle_number = ?2",
        params![change.run, end.cycle],
        |row| Ok(Counts { completed: row.get(0)?, failed: row.get(1)? }),
    )?;
    // The next cycle starts fresh from the code: what is still pending is
    // not handed on to it.
    change.connection.execute(
        "DELETE FROM tasks WHERE run_id = ?1 AND cycle_number = ?2 AND status = 'pending'
         AND id NOT IN (SELECT task_id FROM landings)",
        params![change.run, end.cycle],
    )?;
    change.connection.execute(
        "UPDATE cycles SET tasks_completed = ?3, tasks_failed = ?4, workers_active = ?5,
                           continue_next_cycle = ?6, judge_reasoning = ?7, head_commit = ?8, goal_met = ?9,
                           ended_at = ?10
         WHERE run_id = ?1 AND cycle_number = ?2",
        params![
            change.run,
            end.cycle,
            counts.completed,
            counts.failed,
            end.workers,
            end.verdict.decision == Decision::NextCycle,
            end.verdict.reasoning,
            end.head,
            end.verdict.goal_met,
            change.clock.timestamp(),
        ],
    )?;
    let event = Event::CycleEnded {
        cycle: end.cycle,
        completed: counts.completed,
        failed: counts.failed,
        decision: end.verdict.decision,
        goal_met: end.verdict.goal_met,
        reasoning: end.verdict.reasoning.clone(),
    };
    record(change, HOST, &event)?;
    Ok(counts)
}

pub(super) fn record(change: &Change<'_>, who: &str, event: &Event) -> Result<()> {
    let body = serde_json::to_value(event)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let kind = body.get("event").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    change
        .connection
        .prepare_cached(
            "INSERT INTO events (run_id, created_at, who, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![change.run, change.clock.timestamp(), who, kind, body.to_string()])?;
    Ok(())
}

fn lease() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

fn domain_name(planner: &Planner) -> Option<String> {
    planner.domain.as_ref().map(|domain| domain.name.clone())
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn read_task(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        id: row.get(0)?,
        draft: read_draft(row)?,
        attempt: row.get(5)?,
        last_error: row.get(6)?,
    })
}

/// Reads columns 1 to 4: title, description, priority, file_paths.
fn read_draft(row: &Row<'_>) -> Result<TaskDraft> {
    let priority: String = row.get(3)?;
    Ok(TaskDraft {
        title: row.get(1)?,
        description: row.get(2)?,
        priority: priority.parse::<Priority>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(3, Type::Text, error.into())
        })?,
        file_paths: read_json(row, 4)?,
    })
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn read_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn collect<T>(
    connection: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare_cached(query)?.query_map(parameters, read)?.collect()
}
