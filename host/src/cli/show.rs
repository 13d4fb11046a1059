//! `code-agent show`: one task with its attempts, report and commits.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::look::{LookArguments, each_event, find_run, json_line};
use super::terminal::{indented, print, printable, printable_lines, time_of_day, to_the_second};
use crate::events::{AttemptEnd, AttemptView, TaskHistory};
use crate::queue::{Reader, TaskRow};
use crate::repo::{Patch, patch, still_has};
use crate::{Error, Result};

#[derive(Args, Clone)]
pub(super) struct ShowArguments {
    /// The task's id or its beginning, as `code-agent tasks` prints it.
    task: String,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

/// All that there is to know of a task.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: TaskRow,
    attempts: Vec<AttemptView>,
    commits: Vec<ShownCommit>,
}

#[derive(Serialize)]
struct ShownCommit {
    commit: String,
    landed_at: String,
    /// Whether the run still has it; none where nobody knows.
    on_branch: Option<bool>,
    #[serde(flatten)]
    patch: Option<Patch>,
    /// Why there is no patch: the repository may be another one by now.
    error: Option<String>,
}

pub(super) fn show(arguments: &ShowArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let row = find_task(&reader, &arguments.task)?;
    let mut history = TaskHistory::new(row.id.clone());
    each_event(&reader, &row.run_id, |event| history.apply(event))?;
    let branch = find_run(&reader.runs()?, &row.run_id)?.branch.clone();
    let commits = history.commits.into_iter().map(|landed| {
        let root_path = &arguments.look.root_path;
        let (patch, error) = match patch(root_path, &landed.commit) {
            Ok(patch) => (Some(patch), None),
            Err(error) => (None, Some(error.to_string())),
        };
        // Where there is no repository, the missing patch says so.
        let on_branch = still_has(root_path, &row.run_id, &branch, &landed.commit).ok().flatten();
        ShownCommit { commit: landed.commit, landed_at: landed.landed_at, on_branch, patch, error }
    });
    let commits = commits.collect();
    let shown = Shown { row, attempts: history.attempts, commits };
    print(&if arguments.look.json { json_line(&shown)? } else { in_words(&shown) })?;
    Ok(ExitCode::SUCCESS)
}

fn find_task(reader: &Reader, beginning: &str) -> Result<TaskRow> {
    let mut matching = reader.tasks_beginning(beginning)?.into_iter();
    match (matching.next(), matching.next()) {
        (Some(task), None) => Ok(task),
        (Some(_), Some(_)) => Err(Error::usage(format!(
            "more than one task begins with `{beginning}`; give more of its id"
        ))),
        (None, _) => {
            Err(Error::usage(format!("no task begins with `{beginning}`; see `code-agent tasks`")))
        }
    }
}

fn in_words(shown: &Shown) -> String {
    let mut text = draft(&shown.row);
    if !shown.attempts.is_empty() {
        text.push_str("\nattempts\n");
    }
    shown.attempts.iter().for_each(|one| text.push_str(&attempt(one)));
    if let Some(report) = &shown.row.result {
        text.push_str("\nreport\n");
        text.push_str(&indented(report));
        for note in &shown.row.notes {
            text.push_str(&indented(&format!("- {note}")));
        }
    }
    shown.commits.iter().for_each(|one| text.push_str(&commit(one)));
    text
}

fn draft(task: &TaskRow) -> String {
    let by = match &task.domain {
        Some(domain) => format!("the planner of {}", printable(domain)),
        None => "the main planner".to_owned(),
    };
    let mut text = format!(
        "task      {}\ntitle     {}\nstatus    {}\npriority  {}\nmade by   {by}, in cycle {}, at {}\n",
        task.id,
        printable(&task.title),
        task.status,
        task.priority,
        task.cycle_number,
        to_the_second(&task.created_at)
    );
    for path in &task.file_paths {
        // Writing to a string does not fail.
        let _ = writeln!(text, "file      {}", printable(path));
    }
    text.push('\n');
    text.push_str(&indented(&task.description));
    text
}

fn attempt(attempt: &AttemptView) -> String {
    let end = match attempt.end {
        AttemptEnd::InProgress => "in progress",
        AttemptEnd::Completed => "completed",
        AttemptEnd::Failed => "failed",
        AttemptEnd::Returned => "does not count: its host ended first",
    };
    let until = attempt.ended_at.as_deref().map(time_of_day).unwrap_or_default();
    let mut text = format!(
        "  {}. {}  {} to {until:<8}  {end}\n",
        attempt.attempt,
        printable(&attempt.slot),
        to_the_second(&attempt.started_at)
    );
    for merge in &attempt.merges {
        let end = if merge.merged { "merged" } else { "not merged" };
        let files = printable(&merge.files.join(", "));
        let at = time_of_day(&merge.started_at);
        let _ = writeln!(text, "       {at} a merger was asked, for it collided in {files}: {end}");
    }
    if let Some(error) = &attempt.error {
        for line in printable_lines(error.trim_end()).lines() {
            let _ = writeln!(text, "       {line}");
        }
    }
    text
}

fn commit(commit: &ShownCommit) -> String {
    let mut text =
        format!("\ncommit {}\nlanded {}\n", commit.commit, to_the_second(&commit.landed_at));
    if commit.on_branch == Some(false) {
        text.push_str("gone   no longer on the branch: it was rolled back or taken back\n");
    }
    if let Some(error) = &commit.error {
        let _ = writeln!(text, "\n  {}", printable(error));
    }
    if let Some(patch) = &commit.patch {
        let _ = write!(text, "\n{}\n{}", indented(&patch.message), printable_lines(&patch.diff));
    }
    text
}
