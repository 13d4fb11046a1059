//! The status in words, for a terminal.

use std::fmt::Write as _;

use super::{OtherRun, State, Status};
use crate::cli::progress::{describe_decision, describe_outcome};
use crate::cli::terminal::{clip, printable, short, time_of_day, to_the_second};
use crate::events::{CycleView, Outcome, Phase, PlannerState, PlannerView, RunView, TaskCounts};
use crate::types::{Role, Usage};

/// Characters of a goal, a title or a reason that a line shows.
const LONGEST_TEXT: usize = 120;
/// Sub-planners go a few levels deep; a database that says otherwise is
/// damaged, and must not make us recurse without end.
const DEEPEST: usize = 32;

pub(super) fn status(status: &Status) -> String {
    let view = &status.view;
    let mut text = head(view, &status.state);
    for cycle in &view.cycles {
        text.push_str(&judged(cycle));
    }
    if let Some(cycle) = view.cycles.last() {
        let _ = write!(text, "\nplanners of cycle {}\n", cycle.cycle);
        planners(&mut text, cycle, None, 1, view.outcome.is_none());
    }
    let _ = write!(text, "\ntasks     {}\n", counts(view.tasks));
    workers(&mut text, view, &status.state);
    tokens(&mut text, view);
    if !status.other_runs.is_empty() {
        text.push_str("\nother runs\n");
    }
    for run in &status.other_runs {
        let _ = writeln!(text, "  {}", other_run(run));
    }
    text
}

fn head(view: &RunView, state: &State) -> String {
    let goal = view.goal.trim().lines().next().unwrap_or_default();
    let mut text = format!(
        "run       {}, started {}\ngoal      {}\nbranch    {}, the work stands on {}\nmodel     {}\nstate     {}\n",
        view.run,
        to_the_second(&view.started_at),
        line(goal),
        printable(&view.branch),
        short(&view.tip),
        printable(&view.model),
        describe_state(view, state)
    );
    if let Some(notice) = &view.notice {
        let _ = writeln!(text, "notice    {}", printable(notice));
    }
    let cycle = view.cycles.last().map_or(0, |cycle| cycle.cycle);
    let _ = match view.max_cycles {
        0 => writeln!(text, "cycle     {cycle}"),
        most => writeln!(text, "cycle     {cycle} of {most}"),
    };
    text
}

fn describe_state(view: &RunView, state: &State) -> String {
    match (state, view.phase) {
        (State::Running { by }, Phase::Stopping) => {
            format!("stopping, by {by}: waits for what is landing")
        }
        (State::Running { by }, _) => format!("running, by {by}"),
        (State::NotRunning, _) => {
            format!("not running: resume it with `code-agent resume {}`", view.run)
        }
        (State::Unknown { why }, _) => {
            format!("it has not ended; whether it is running is not known: {}", printable(why))
        }
        (State::Ended, _) => ended(view),
    }
}

fn ended(view: &RunView) -> String {
    let Some(outcome) = view.outcome else { return "ended".to_owned() };
    let why = match &view.message {
        Some(message) => format!(" ({})", printable(message)),
        None => String::new(),
    };
    let run = &view.run;
    let again = match outcome {
        Outcome::GoalMet => String::new(),
        Outcome::CyclesUsedUp => {
            let more = view.max_cycles.saturating_add(1);
            format!("; go on with `code-agent resume {run} --max-cycles {more}`")
        }
        Outcome::BudgetUsedUp => {
            format!("; go on with `code-agent resume {run}` and a higher limit")
        }
        Outcome::GivenUp | Outcome::Failed | Outcome::Interrupted => {
            format!("; go on with `code-agent resume {run}`")
        }
    };
    format!(
        "ended at {}: {}{why}{again}",
        to_the_second(&view.updated_at),
        describe_outcome(outcome)
    )
}

/// What the judge said of a cycle; nothing where it has not spoken.
fn judged(cycle: &CycleView) -> String {
    let Some(verdict) = &cycle.verdict else { return String::new() };
    format!(
        "  {}: {}; the judge: {}: {}\n",
        cycle.cycle,
        counts(cycle.tasks),
        describe_decision(verdict.decision, verdict.goal_met),
        line(&verdict.reasoning)
    )
}

/// The planners below `parent`, as a tree.
fn planners(text: &mut String, cycle: &CycleView, parent: Option<&str>, depth: usize, open: bool) {
    let margin = "  ".repeat(depth);
    for planner in cycle.children(parent) {
        let _ = writeln!(text, "{margin}{}", describe_planner(planner, open));
        if depth >= DEEPEST {
            continue;
        }
        planners(text, cycle, Some(&planner.planner), depth + 1, open);
        let begun = cycle.children(Some(&planner.planner)).count();
        let asked_for = usize::try_from(planner.sub_planners).unwrap_or(usize::MAX);
        if asked_for > begun {
            let _ = writeln!(text, "{margin}  {} more not begun", asked_for - begun);
        }
    }
}

fn describe_planner(planner: &PlannerView, open: bool) -> String {
    let name = match &planner.domain {
        Some(domain) => line(domain),
        None => "main planner".to_owned(),
    };
    let state = match (planner.state, &planner.error) {
        (PlannerState::Planning, _) if open => {
            format!("planning since {}", time_of_day(&planner.started_at))
        }
        (PlannerState::Planning, _) => "not finished".to_owned(),
        (PlannerState::Finished, _) if planner.role == Role::MainPlanner => "finished".to_owned(),
        (PlannerState::Finished, _) => format!("finished, {}", counts(planner.tasks)),
        (PlannerState::Failed, error) => {
            format!("FAILED: {}", line(error.as_deref().unwrap_or("no reason given")))
        }
    };
    match planner.left_out {
        0 => format!("{name}: {state}"),
        left_out => format!("{name}: {state} ({left_out} left out: more than the caps allow)"),
    }
}

fn workers(text: &mut String, view: &RunView, state: &State) {
    let busy = view.workers.len();
    let running = matches!(state, State::Running { .. });
    let _ = match (running, view.max_workers) {
        (true, 0) => writeln!(text, "workers   {busy} at work"),
        (true, most) => writeln!(text, "workers   {busy} of {most} at work"),
        (false, _) if busy == 0 => writeln!(text, "workers   none at work"),
        (false, _) => writeln!(text, "workers   none known to be at work; last they had"),
    };
    for worker in &view.workers {
        let _ = writeln!(
            text,
            "  {}  {} (attempt {}, since {})",
            printable(&worker.slot),
            line(&worker.title),
            worker.attempt,
            time_of_day(&worker.since)
        );
    }
}

fn tokens(text: &mut String, view: &RunView) {
    let _ = writeln!(text, "tokens    {}, in calls that have ended", usage(view.usage.total));
    for (role, used) in &view.usage.by_role {
        let _ = writeln!(text, "  {:<12}  {}", role.as_str(), usage(*used));
    }
}

fn usage(usage: Usage) -> String {
    format!(
        "{} input ({} cached), {} output",
        usage.input_tokens, usage.cached_input_tokens, usage.output_tokens
    )
}

fn other_run(run: &OtherRun) -> String {
    let state = match &run.state {
        State::Running { by } => format!("running, by {by}"),
        State::NotRunning => "not running".to_owned(),
        State::Ended => run.row.outcome.clone().unwrap_or_default(),
        State::Unknown { .. } => "not ended".to_owned(),
    };
    let goal = run.row.goal.trim().lines().next().unwrap_or_default();
    format!(
        "{}  {}  {}  {}  {}",
        run.row.id,
        to_the_second(&run.row.created_at),
        printable(&run.row.branch),
        printable(&state),
        line(goal)
    )
}

fn counts(tasks: TaskCounts) -> String {
    format!(
        "{} pending, {} in progress, {} completed, {} failed",
        tasks.pending, tasks.in_progress, tasks.completed, tasks.failed
    )
}

fn line(text: &str) -> String {
    printable(&clip(text, LONGEST_TEXT))
}
