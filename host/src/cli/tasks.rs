//! `code-agent tasks`: a run's tasks as a table, or as JSON lines.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::look::{LookArguments, RunChoice, json_line};
use super::terminal::{clip, print, table};
use crate::Result;
use crate::queue::TaskRow;

/// The fewest characters of an id that are shown.
const SHORTEST_ID: usize = 8;
/// Characters of a title that a row shows.
const LONGEST_TITLE: usize = 100;

#[derive(Args, Clone)]
pub(super) struct TasksArguments {
    /// Only tasks in this state.
    #[arg(long, value_enum)]
    status: Option<TaskStatus>,
    #[command(flatten)]
    run: RunChoice,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum TaskStatus {
    Pending,
    InProgress,
    Completed,
    Failed,
}

impl TaskStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

pub(super) fn tasks(arguments: &TasksArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let (run, _) = arguments.run.choose(reader.runs()?)?;
    let tasks = reader.tasks(&run.id, arguments.status.map(TaskStatus::as_str))?;
    if arguments.look.json {
        let lines: Result<String> = tasks.iter().map(json_line).collect();
        print(&lines?)?;
    } else {
        let length = telling_length(&reader.task_ids()?);
        let rows: Vec<_> = tasks.iter().map(|task| row(task, length)).collect();
        print(&table(["id", "status", "priority", "attempt", "slot", "title"], &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(task: &TaskRow, length: usize) -> [String; 6] {
    [
        task.id.get(..length).unwrap_or(&task.id).to_owned(),
        task.status.clone(),
        task.priority.clone(),
        task.attempt.to_string(),
        task.assigned_to.clone().unwrap_or_else(|| "-".to_owned()),
        clip(&task.title, LONGEST_TITLE),
    ]
}

/// How much of an id tells any two of them apart, which are given sorted. Ids
/// begin with the time, so tasks of one plan differ late.
fn telling_length(sorted: &[String]) -> usize {
    let common = |one: &String, other: &String| {
        one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
    };
    let alike = sorted.windows(2).map(|pair| common(&pair[0], &pair[1])).max();
    alike.map_or(SHORTEST_ID, |alike| SHORTEST_ID.max(alike + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_long_enough_to_tell_tasks_apart() {
        let length =
            |ids: &[&str]| telling_length(&ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>());
        assert_eq!(length(&[]), 8);
        assert_eq!(length(&["0198aaaa-1", "0298aaaa-1"]), 8);
        assert_eq!(length(&["0198aaaa-1234", "0198aaaa-1299", "0298aaaa-1234"]), 12);
    }
}
