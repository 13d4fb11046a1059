//! Reads tasks and cycles, as people list them.

use rusqlite::{Row, params};
use serde::Serialize;

use super::Reader;
use crate::Result;

/// A task as its row tells it, under the names of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// What to do and how to know that it is done.
    pub description: String,
    /// `critical`, `high`, `medium` or `low`.
    pub priority: String,
    /// `pending`, `in_progress`, `completed` or `failed`.
    pub status: String,
    /// The files it is about.
    pub file_paths: Vec<String>,
    /// The planner that made it.
    pub created_by: String,
    /// That planner's domain; none for the main planner.
    pub domain: Option<String>,
    /// The worker's slot, where one has it or had it last.
    pub assigned_to: Option<String>,
    /// The worker's report.
    pub result: Option<String>,
    /// The worker's notes.
    pub notes: Vec<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// How many attempts have begun.
    pub attempt: u32,
    /// The run that it belongs to.
    pub run_id: String,
    /// Counts from 1.
    pub cycle_number: u32,
    /// When it was made: RFC 3339, UTC.
    pub created_at: String,
    /// When it was done or given up.
    pub completed_at: Option<String>,
}

/// What a tool has replaced, as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptFile {
    /// The git blob that holds it.
    pub blob_id: String,
    /// The task during which it was replaced.
    pub subject: Option<String>,
    /// Where it was, relative to the repository's top.
    pub path: String,
    /// When it was replaced: RFC 3339, UTC.
    pub created_at: String,
}

/// A cycle as its row tells it, under the names of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CycleRow {
    /// Counts from 1.
    pub cycle_number: u32,
    /// Tasks that are done, also while the cycle runs.
    pub tasks_completed: u32,
    /// Tasks that were given up.
    pub tasks_failed: u32,
    /// Sub-planners that were asked for.
    pub sub_planners_spawned: u32,
    /// The most workers that worked at once; 0 until the cycle is judged.
    pub workers_active: u32,
    /// Whether the judge wanted another cycle; none until it has spoken.
    pub continue_next_cycle: Option<bool>,
    /// Whether the judge says that the goal is reached.
    pub goal_met: Option<bool>,
    /// The judge's reasons.
    pub judge_reasoning: Option<String>,
    /// The commit that it started from.
    pub base_commit: String,
    /// The commit that was judged.
    pub head_commit: Option<String>,
    /// When it began: RFC 3339, UTC.
    pub created_at: String,
    /// When it was judged.
    pub ended_at: Option<String>,
}

const TASK: &str = "SELECT id, title, tasks.description, priority, tasks.status, file_paths, created_by, domain,
    assigned_to, result, notes, tasks.error, attempt, tasks.run_id, tasks.cycle_number, tasks.created_at, completed_at
    FROM tasks LEFT JOIN planners ON planner_id = created_by";

impl Reader {
    /// What tools have replaced in a run, the newest first.
    pub fn kept_files(&self, run: &str) -> Result<Vec<KeptFile>> {
        self.explained(|connection| {
            connection
                .prepare(
                    "SELECT blob_id, subject, path, created_at FROM kept_files WHERE run_id = ?1
                     ORDER BY rowid DESC",
                )?
                .query_map([run], |row| {
                    Ok(KeptFile {
                        blob_id: row.get(0)?,
                        subject: row.get(1)?,
                        path: row.get(2)?,
                        created_at: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    /// The run's tasks: in progress, pending in the order of claims, failed,
    /// completed; with `status` those alone.
    pub fn tasks(&self, run: &str, status: Option<&str>) -> Result<Vec<TaskRow>> {
        let query = format!(
            "{TASK} WHERE tasks.run_id = ?1 AND (?2 IS NULL OR tasks.status = ?2)
             ORDER BY CASE tasks.status WHEN 'in_progress' THEN 0 WHEN 'pending' THEN 1 WHEN 'failed' THEN 2
                      ELSE 3 END, tasks.cycle_number, CASE tasks.status WHEN 'pending' THEN rank END, id"
        );
        self.explained(|connection| {
            connection.prepare_cached(&query)?.query_map(params![run, status], read_task)?.collect()
        })
    }

    /// The tasks of all runs whose id begins so; at most two, which is enough
    /// to know that more of the id is needed.
    pub fn tasks_beginning(&self, id: &str) -> Result<Vec<TaskRow>> {
        let query = format!("{TASK} WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2");
        self.explained(|connection| {
            connection.prepare_cached(&query)?.query_map([id], read_task)?.collect()
        })
    }

    /// The ids of all tasks of all runs, in their order.
    pub fn task_ids(&self) -> Result<Vec<String>> {
        self.explained(|connection| {
            connection
                .prepare_cached("SELECT id FROM tasks ORDER BY id")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// The run's cycles, oldest first.
    pub fn cycles(&self, run: &str) -> Result<Vec<CycleRow>> {
        // Until a cycle is judged its row counts nothing, so its tasks are
        // counted themselves.
        let counted = |column: &str, status: &str| {
            format!(
                "CASE WHEN ended_at IS NULL
                 THEN (SELECT count(*) FROM tasks WHERE tasks.run_id = cycles.run_id
                       AND tasks.cycle_number = cycles.cycle_number AND status = '{status}')
                 ELSE {column} END"
            )
        };
        let query = format!(
            "SELECT cycle_number, {}, {}, sub_planners_spawned, workers_active, continue_next_cycle, goal_met,
                    judge_reasoning, base_commit, head_commit, created_at, ended_at
             FROM cycles WHERE run_id = ?1 ORDER BY cycle_number",
            counted("tasks_completed", "completed"),
            counted("tasks_failed", "failed")
        );
        self.explained(|connection| {
            connection.prepare_cached(&query)?.query_map([run], read_cycle)?.collect()
        })
    }
}

fn read_task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        id: row.get(0)?,
        title: row.get(1)?,
        description: row.get(2)?,
        priority: row.get(3)?,
        status: row.get(4)?,
        file_paths: read_list(row, 5)?,
        created_by: row.get(6)?,
        domain: row.get(7)?,
        assigned_to: row.get(8)?,
        result: row.get(9)?,
        notes: read_list(row, 10)?,
        error: row.get(11)?,
        attempt: row.get(12)?,
        run_id: row.get(13)?,
        cycle_number: row.get(14)?,
        created_at: row.get(15)?,
        completed_at: row.get(16)?,
    })
}

fn read_cycle(row: &Row<'_>) -> rusqlite::Result<CycleRow> {
    Ok(CycleRow {
        cycle_number: row.get(0)?,
        tasks_completed: row.get(1)?,
        tasks_failed: row.get(2)?,
        sub_planners_spawned: row.get(3)?,
        workers_active: row.get(4)?,
        continue_next_cycle: row.get(5)?,
        goal_met: row.get(6)?,
        judge_reasoning: row.get(7)?,
        base_commit: row.get(8)?,
        head_commit: row.get(9)?,
        created_at: row.get(10)?,
        ended_at: row.get(11)?,
    })
}

fn read_list(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    super::from_json(&row.get::<_, String>(column)?, column)
}
