//! What is printed on stdout at a run's end: its cycles and its commits.

use std::io::{self, Write};

use super::progress::describe_decision;
use super::terminal::{printable, short};
use crate::queue::{Reader, RunStore};
use crate::run::RunResult;
use crate::types::Decision;
use crate::{Error, Result};

/// Prints the table of cycles, then the commits, oldest first.
pub(super) fn print(store: &RunStore, result: &RunResult) -> Result<()> {
    let commits = Reader::open(store.database().path())?.landed_commits(store.run())?;
    write(result, &commits)
        .map_err(|error| Error::failed(format!("can't print the summary: {error}")))
}

fn write(result: &RunResult, commits: &[(String, String)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "cycle  completed  failed  decision")?;
    for cycle in &result.cycles {
        let decision = if cycle.continue_next_cycle { Decision::NextCycle } else { Decision::Stop };
        writeln!(
            out,
            "{:>5}  {:>9}  {:>6}  {}: {}",
            cycle.cycle_number,
            cycle.tasks_completed,
            cycle.tasks_failed,
            describe_decision(decision, cycle.goal_met),
            printable(&cycle.judge_reasoning)
        )?;
    }
    writeln!(out, "\n{} commits:", commits.len())?;
    for (commit, title) in commits {
        writeln!(out, "{} {}", short(commit), printable(title))?;
    }
    out.flush()
}
