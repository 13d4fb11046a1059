//! Cycles: where a run stands, what a cycle has come to, and its end.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Change, HOST, Result, collect, planners, read_draft, read_json, record};
use crate::events::Event;
use crate::queue::{Counts, CycleEnd, CycleState, EndedCycle, OpenCycle, Planner, Standing};
use crate::types::{Decision, Domain, Retreat, TaskOutcome, Verdict};

pub(in super::super) fn start(
    change: &Change<'_>,
    cycle: u32,
    base: &str,
    main_planner: String,
) -> Result<OpenCycle> {
    change.connection.execute(
        "INSERT INTO cycles (run_id, cycle_number, tasks_completed, tasks_failed, sub_planners_spawned,
                             workers_active, created_at, base_commit)
         VALUES (?1, ?2, 0, 0, 0, 0, ?3, ?4)",
        params![change.run, cycle, change.clock.timestamp(), base],
    )?;
    record(change, HOST, &Event::CycleStarted { cycle, base: base.to_owned() })?;
    let main_planner = planners::insert(change, cycle, None, 0, None, main_planner)?;
    Ok(OpenCycle {
        cycle,
        base: base.to_owned(),
        overview: String::new(),
        planners: vec![main_planner],
        tasks: 0,
    })
}

pub(in super::super) fn move_to(change: &Change<'_>, cycle: u32, base: &str) -> Result<()> {
    change.connection.execute(
        "UPDATE cycles SET base_commit = ?3 WHERE run_id = ?1 AND cycle_number = ?2 AND ended_at IS NULL",
        params![change.run, cycle, base],
    )?;
    record(change, HOST, &Event::CycleMoved { cycle, base: base.to_owned() })
}

pub(in super::super) fn standing(change: &Change<'_>) -> Result<Standing> {
    let ended = collect(
        change.connection,
        "SELECT cycle_number, tasks_completed, tasks_failed, continue_next_cycle, goal_met, judge_reasoning
         FROM cycles WHERE run_id = ?1 AND ended_at IS NOT NULL ORDER BY cycle_number",
        [change.run],
        |row| {
            let decision = if row.get(3)? { Decision::NextCycle } else { Decision::Stop };
            Ok(EndedCycle {
                cycle: row.get(0)?,
                counts: Counts { completed: row.get(1)?, failed: row.get(2)? },
                verdict: Verdict { decision, goal_met: row.get(4)?, reasoning: row.get(5)? },
            })
        },
    )?;
    let open = change
        .connection
        .query_row(
            "SELECT cycle_number, base_commit FROM cycles WHERE run_id = ?1 AND ended_at IS NULL",
            [change.run],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let open = open.map(|(cycle, base)| open_cycle(change, cycle, base)).transpose()?;
    Ok(Standing { ended, open })
}

/// A main planner that gave up ended the run, so whoever goes on with the run
/// asks it again; a sub-planner that gave up cost its domain alone.
fn open_cycle(change: &Change<'_>, cycle: u32, base: String) -> Result<OpenCycle> {
    let key = params![change.run, cycle];
    let planners = collect(
        change.connection,
        "SELECT planner_id, depth, domain, description, file_patterns FROM planners
         WHERE run_id = ?1 AND cycle_number = ?2
               AND (status = 'planning' OR status = 'failed' AND depth = 0) ORDER BY planner_id",
        key,
        |row| {
            let domain = match row.get::<_, Option<String>>(2)? {
                None => None,
                Some(name) => {
                    let (description, file_patterns) = (row.get(3)?, read_json(row, 4)?);
                    Some(Domain { name, description, file_patterns })
                }
            };
            Ok(Planner { id: row.get(0)?, depth: row.get(1)?, domain })
        },
    )?;
    let tasks = change.connection.query_row(
        "SELECT count(*) FROM tasks WHERE run_id = ?1 AND cycle_number = ?2",
        key,
        |row| row.get(0),
    )?;
    Ok(OpenCycle { cycle, base, overview: overview(change, cycle)?, planners, tasks })
}

fn overview(change: &Change<'_>, cycle: u32) -> Result<String> {
    let summary: Option<Option<String>> = change
        .connection
        .query_row(
            "SELECT summary FROM planners WHERE run_id = ?1 AND cycle_number = ?2 AND depth = 0",
            params![change.run, cycle],
            |row| row.get(0),
        )
        .optional()?;
    Ok(summary.flatten().unwrap_or_default())
}

pub(in super::super) fn state(change: &Change<'_>, cycle: u32) -> Result<CycleState> {
    let connection = change.connection;
    let key = params![change.run, cycle];
    let planner_failures = collect(
        connection,
        "SELECT coalesce(domain, 'the whole project') || ': ' || coalesce(error, 'no reason given') FROM planners
         WHERE run_id = ?1 AND cycle_number = ?2 AND status = 'failed' ORDER BY planner_id",
        key,
        |row| row.get(0),
    )?;
    Ok(CycleState {
        overview: overview(change, cycle)?,
        outcomes: outcomes(change, cycle)?,
        planner_failures,
        retreats: retreats(change)?,
    })
}

/// Where the open cycle was rolled back. A host that died in between has begun
/// the same once more.
fn retreats(change: &Change<'_>) -> Result<Vec<Retreat>> {
    let mut found: Vec<Retreat> = collect(
        change.connection,
        "SELECT body FROM events WHERE run_id = ?1 AND kind = 'rolled-back' AND sequence >
           (SELECT max(sequence) FROM events WHERE run_id = ?1 AND kind = 'cycle-started')
         ORDER BY sequence",
        params![change.run],
        |row| read_json(row, 0),
    )?;
    found.dedup();
    Ok(found)
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

pub(in super::super) fn end(change: &Change<'_>, end: &CycleEnd) -> Result<Counts> {
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
