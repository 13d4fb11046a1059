//! The progress view: one line per event, in words.

use super::terminal::{printable, short, time_of_day};
use crate::events::{Event, Outcome, Recorded};
use crate::types::{Decision, Retreat, Role};

/// Characters of a longer text that a line shows.
const LONGEST_TEXT: usize = 300;

/// The event as a line; none for what a person need not see.
pub(super) fn line(recorded: &Recorded) -> Option<String> {
    let time = time_of_day(&recorded.time);
    let text = match &recorded.event {
        Event::RunStarted { branch, base, model, .. } => {
            format!("run {} started on {branch} at {} with {model}", recorded.run, short(base))
        }
        Event::RunResumed { tip, .. } => {
            format!("run {} goes on from {}", recorded.run, short(tip))
        }
        Event::Stopping => "stopping: waiting for what is landing; once more stops at once".into(),
        Event::BudgetUsedUp { message } => format!("stopping: {message}"),
        Event::TaskReturned { title, .. } => format!("pending again: {title}"),
        Event::ModelUsed { .. } => return None,
        Event::CycleStarted { cycle, base } => format!("cycle {cycle} starts from {}", short(base)),
        Event::CycleMoved { cycle, base } => {
            format!("cycle {cycle} goes on from {} as if it began there", short(base))
        }
        Event::PlannerStarted { role: Role::MainPlanner, .. } => "the main planner explores".into(),
        Event::PlannerStarted { domain, .. } => format!("sub-planner: {}", name(domain.as_deref())),
        Event::RoleFailed { role, domain, attempt, error } => {
            format!(
                "ATTEMPT {attempt} FAILED: {role} ({}): {}",
                name(domain.as_deref()),
                clip(error)
            )
        }
        Event::PlannerFinished { domain, tasks, sub_planners, left_out, .. } => {
            let left_out = if *left_out > 0 {
                format!(" ({left_out} left out: more than the caps allow)")
            } else {
                String::new()
            };
            let name = name(domain.as_deref());
            format!("planned {name}: {tasks} tasks, {sub_planners} sub-planners{left_out}")
        }
        Event::PlannerFailed { domain, error, .. } => {
            format!("PLANNER FAILED: {}: {}", name(domain.as_deref()), clip(error))
        }
        Event::AttemptStarted { title, attempt, slot, .. } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            format!("{slot}: {title}{again}")
        }
        Event::AttemptFailed { title, attempt, error, again, .. } => {
            let next = if *again { "will be tried again" } else { "that was the last attempt" };
            format!("ATTEMPT {attempt} FAILED: {title}: {} ({next})", clip(error))
        }
        Event::Checked { commit, passed, .. } => {
            format!("the check is {} on {}", if *passed { "green" } else { "RED" }, short(commit))
        }
        Event::RolledBack(Retreat { from, to, kept, titles, .. }) => format!(
            "ROLLED BACK from {} to {}: {} commits are in {kept} now: {}",
            short(from),
            short(to),
            titles.len(),
            clip(&titles.join(", "))
        ),
        Event::MergeTried { files, .. } => {
            format!(
                "{}: a merger is asked, for it collides in {}",
                recorded.who,
                clip(&files.join(", "))
            )
        }
        Event::Merged { commit: Some(commit), .. } => {
            format!("{}: merged as {}", recorded.who, short(commit))
        }
        Event::Merged { commit: None, .. } => {
            format!("{}: merged; the branch had it all", recorded.who)
        }
        Event::Landed { commit, .. } => format!("{}: landed {}", recorded.who, short(commit)),
        Event::LeftOut { files, names, .. } => {
            let names = clip(&names.join(", "));
            format!("{}: left out {files} new files: {names}", recorded.who)
        }
        Event::TaskCompleted { title, .. } => format!("done: {title}"),
        Event::TaskFailed { title, .. } => format!("TASK FAILED: {title}"),
        Event::CycleEnded { cycle, completed, failed, decision, goal_met, reasoning } => {
            let decision = describe_decision(*decision, *goal_met);
            format!(
                "cycle {cycle}: {completed} done, {failed} failed; the judge: {decision}: {}",
                clip(reasoning)
            )
        }
        Event::Pushed { branch, commit, merged } => {
            let merged = if *merged { ", merged with what others had pushed" } else { "" };
            format!("pushed {branch} to origin at {}{merged}", short(commit))
        }
        Event::Checkouts { bytes, kept } => {
            let megabytes = *bytes as f64 / 1e6;
            let stay = kept.as_ref().map(|folder| format!(" and stay in {folder}"));
            format!("the checkouts take {megabytes:.1} MB of disk{}", stay.unwrap_or_default())
        }
        Event::PluginsTakenUp { changes } => {
            format!("took up what has changed in the plugins: {}", clip(&changes.join(", ")))
        }
        Event::Branch { message } => message.clone(),
        Event::Warning { message } => format!("WARNING: {message}"),
        Event::RunEnded { outcome, message } => {
            let why = message
                .as_deref()
                .map(|message| format!(": {}", clip(message)))
                .unwrap_or_default();
            format!("the run ended: {}{why}", describe_outcome(*outcome))
        }
    };
    Some(format!("{time} {}", printable(&text)))
}

/// The decision in words.
pub(super) fn describe_decision(decision: Decision, goal_met: bool) -> &'static str {
    match (decision, goal_met) {
        (Decision::NextCycle, _) => "continue",
        (Decision::Stop, true) => "stop, the goal is met",
        (Decision::Stop, false) => "stop, the goal is not met",
    }
}

/// The outcome in words.
pub(super) fn describe_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::GoalMet => "the goal is met",
        Outcome::GivenUp => "the judge gave up",
        Outcome::CyclesUsedUp => "the cycles are used up",
        Outcome::Failed => "it failed",
        Outcome::Interrupted => "interrupted",
        Outcome::BudgetUsedUp => "the budget is used up",
    }
}

fn name(domain: Option<&str>) -> &str {
    domain.unwrap_or("the whole project")
}

fn clip(text: &str) -> String {
    super::terminal::clip(text, LONGEST_TEXT)
}
