//! `code-agent cycles`: a run's cycles as a table, or as JSON lines.

use std::process::ExitCode;

use clap::Args;

use super::look::{LookArguments, RunChoice, json_line};
use super::progress::describe_decision;
use super::terminal::{print, table};
use crate::Result;
use crate::queue::CycleRow;
use crate::types::Decision;

#[derive(Args, Clone)]
pub(super) struct CyclesArguments {
    #[command(flatten)]
    run: RunChoice,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

pub(super) fn cycles(arguments: &CyclesArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let (run, _) = arguments.run.choose(reader.runs()?)?;
    let cycles = reader.cycles(&run.id)?;
    if arguments.look.json {
        let lines: Result<String> = cycles.iter().map(json_line).collect();
        print(&lines?)?;
    } else {
        let rows: Vec<_> = cycles.iter().map(row).collect();
        let head =
            ["cycle", "completed", "failed", "sub-planners", "workers", "decision", "reasoning"];
        print(&table(head, &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(cycle: &CycleRow) -> [String; 7] {
    let decision = match cycle.continue_next_cycle {
        None => "not judged yet",
        Some(true) => describe_decision(Decision::NextCycle, false),
        Some(false) => describe_decision(Decision::Stop, cycle.goal_met == Some(true)),
    };
    let workers =
        if cycle.ended_at.is_some() { cycle.workers_active.to_string() } else { "-".to_owned() };
    [
        cycle.cycle_number.to_string(),
        cycle.tasks_completed.to_string(),
        cycle.tasks_failed.to_string(),
        cycle.sub_planners_spawned.to_string(),
        workers,
        decision.to_owned(),
        cycle.judge_reasoning.clone().unwrap_or_default(),
    ]
}
