//! Planners: their rows, and the tasks and sub-planners that they add.

use rusqlite::params;

use super::{Change, Result, count, domain_name, record, to_json};
use crate::events::Event;
use crate::queue::{Plan, Planner};
use crate::types::{Domain, Role, TaskDraft};

pub(super) fn insert(
    change: &Change<'_>,
    cycle: u32,
    parent: Option<&str>,
    depth: u32,
    domain: Option<&Domain>,
    id: String,
) -> Result<Planner> {
    let planner = Planner { id, depth, domain: domain.cloned() };
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

pub(in super::super) fn start(change: &Change<'_>, planner: &Planner) -> Result<()> {
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

/// `ids`: one for each task, then one for each domain.
pub(in super::super) fn finish(
    change: &Change<'_>,
    cycle: u32,
    planner: &Planner,
    plan: &Plan,
    ids: Vec<String>,
) -> Result<Vec<Planner>> {
    let mut ids = ids.into_iter();
    for (draft, id) in plan.tasks.iter().zip(ids.by_ref()) {
        insert_task(change, cycle, planner, draft, &id)?;
    }
    let mut sub_planners = Vec::with_capacity(plan.domains.len());
    for (domain, id) in plan.domains.iter().zip(ids) {
        let depth = planner.depth + 1;
        sub_planners.push(insert(change, cycle, Some(&planner.id), depth, Some(domain), id)?);
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
        domain: domain_name(planner),
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
    id: &str,
) -> Result<()> {
    change.connection.prepare_cached(
        "INSERT INTO tasks (id, title, description, priority, status, file_paths, created_by, created_at,
                            run_id, cycle_number, rank, attempt, notes)
         VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7, ?8, ?9, ?10, 0, '[]')",
    )?.execute(params![
        id,
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

pub(in super::super) fn fail(change: &Change<'_>, planner: &Planner, error: &str) -> Result<()> {
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
