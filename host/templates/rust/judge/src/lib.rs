//! {{name}}: a judge without a model, which goes on while something is left to do.

use code_agent_sdk::files::{self, Query};
use code_agent_sdk::judge::{CycleReport, Decision, Guest, TaskStatus, Verdict};
use code_agent_sdk::types::{Brief, Error};

/// A line with this word is work that is left.
const MARK: &str = "FIXME";
/// So many of these lines are named.
const MOST_LINES: u32 = 20;

struct Judge;

impl Guest for Judge {
    fn review(_: Brief, cycle: CycleReport) -> Result<Verdict, Error> {
        let mut unfinished = failed_tasks(&cycle);
        unfinished.extend(red_check(&cycle));
        unfinished.extend(marked_lines()?);
        let decision = if unfinished.is_empty() { Decision::Stop } else { Decision::NextCycle };
        let reasoning = match decision {
            Decision::NextCycle => unfinished.join("\n"),
            Decision::Stop => {
                format!("No task failed, the check is not red, and no line says {MARK}.")
            }
        };
        Ok(Verdict { decision, goal_met: unfinished.is_empty(), reasoning })
    }
}

code_agent_sdk::export_judge!(Judge);

fn failed_tasks(cycle: &CycleReport) -> Vec<String> {
    let failed = cycle.outcomes.iter().filter(|outcome| outcome.status == TaskStatus::Failed);
    failed
        .map(|outcome| format!("- The task `{}` failed: {}", outcome.draft.title, outcome.summary))
        .collect()
}

fn red_check(cycle: &CycleReport) -> Option<String> {
    let check = cycle.check.as_ref().filter(|check| !check.passed)?;
    Some(format!("- The check `{}` is red:\n{}", check.command_line, check.output))
}

fn marked_lines() -> Result<Vec<String>, Error> {
    let found = files::search(&Query {
        pattern: MARK.to_owned(),
        globs: Vec::new(),
        ignore_case: false,
        context_lines: 0,
        max_hits: MOST_LINES,
    })?;
    let lines = found.hits.iter();
    let mut lines: Vec<String> = lines
        .map(|hit| format!("- {}:{} is marked: {}", hit.path, hit.line, hit.text.trim()))
        .collect();
    if found.truncated {
        lines.push(format!("- More lines say {MARK}."));
    }
    Ok(lines)
}
