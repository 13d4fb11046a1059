//! Tells a judge what a cycle did, as Markdown. Owns the order and the
//! shortening: a cycle can have hundreds of outcomes, and the judge has one
//! context window.

use std::fmt::Write as _;

use crate::judge::{CheckResult, CycleReport, TaskOutcome, TaskStatus};
use crate::message::{bullets, clip, names, one_line, section};

/// What all outcomes together may take, in bytes; each gets an equal share.
const ALL_OUTCOMES: usize = 80_000;
/// The share of one outcome, however many there are.
const LEAST_PER_OUTCOME: usize = 200;
/// The share of one outcome, however few there are.
const MOST_PER_OUTCOME: usize = 4_000;
/// What the check's output may take, in bytes.
const CHECK_OUTPUT: usize = 16_000;
/// What a text that stands once in the report may take, in bytes.
const SINGLE_TEXT: usize = 8_000;
/// What the host's own notes begin with; no worker's does.
const HOST_NOTE: &str = "host: ";
/// So many entries of a list are told.
const MOST_ENTRIES: usize = 50;

/// The report as a part of the first message.
pub fn markdown(cycle: &CycleReport) -> String {
    let mut text =
        format!("\n# The cycle\n\nBase commit: {}\nHead commit: {}\n", cycle.base, cycle.head);
    text.push_str(&section("The main planner's overview", &clip(&cycle.overview, SINGLE_TEXT)));
    text.push_str(&check(cycle.check.as_ref()));
    if !cycle.rolled_back.is_empty() {
        let heading = "Commits that were taken back because the check was red";
        text.push_str(&section(heading, &limited_bullets(&cycle.rolled_back)));
    }
    if !cycle.planner_failures.is_empty() {
        let heading = "Domains that could not be planned";
        text.push_str(&section(heading, &limited_bullets(&cycle.planner_failures)));
    }
    text.push_str(&outcomes(&cycle.outcomes));
    text
}

fn check(check: Option<&CheckResult>) -> String {
    let Some(check) = check else {
        return section("The user's check", "None is set.");
    };
    let result = if check.passed { "passed" } else { "FAILED" };
    let output = clip(&check.output, CHECK_OUTPUT);
    section(
        "The user's check",
        &format!("`{}` {result}.\n\n{}", check.command_line, quoted(&output)),
    )
}

/// The text as a block that nothing in it can close.
fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn outcomes(outcomes: &[TaskOutcome]) -> String {
    if outcomes.is_empty() {
        return section("Outcomes", "There was no task in this cycle.");
    }
    let share = (ALL_OUTCOMES / outcomes.len()).clamp(LEAST_PER_OUTCOME, MOST_PER_OUTCOME);
    let (failed, completed): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.status == TaskStatus::Failed);
    let mut text =
        format!("\n## Outcomes: {} completed, {} failed\n", completed.len(), failed.len());
    // What failed is what the decision hangs on.
    for outcome in failed.into_iter().chain(completed) {
        text.push_str(&one_outcome(outcome, share));
    }
    text
}

fn one_outcome(outcome: &TaskOutcome, share: usize) -> String {
    let status = match outcome.status {
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
    };
    let title = clip(&one_line(&outcome.draft.title), LEAST_PER_OUTCOME);
    let mut text =
        format!("\n### {title}: {status}\n\n{}\n", clip(outcome.summary.trim(), share / 2));
    let (facts, notes): (Vec<_>, Vec<_>) =
        outcome.notes.iter().partition(|note| note.starts_with(HOST_NOTE));
    for fact in facts {
        // Writing into a String does not fail.
        let _ = writeln!(text, "\nThe host says: {}", clip(&fact[HOST_NOTE.len()..], share / 2));
    }
    if !notes.is_empty() {
        let _ = write!(text, "\nNotes:\n{}", clip(&bullets(&notes), share / 4));
        text.push('\n');
    }
    if !outcome.commits.is_empty() {
        let _ = writeln!(text, "\nCommits: {}", clip(&names(&outcome.commits), share / 4));
    }
    if !outcome.changed_files.is_empty() {
        let _ = writeln!(text, "\nFiles: {}", clip(&names(&outcome.changed_files), share / 4));
    }
    text
}

/// The first entries as a list; says how many were left out.
fn limited_bullets(entries: &[String]) -> String {
    let mut text = clip(&bullets(entries.get(..MOST_ENTRIES).unwrap_or(entries)), SINGLE_TEXT);
    if entries.len() > MOST_ENTRIES {
        let _ = write!(text, "- and {} more", entries.len() - MOST_ENTRIES);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Priority, TaskDraft};

    fn outcome(title: &str, status: TaskStatus, summary: &str) -> TaskOutcome {
        let draft = TaskDraft {
            title: title.into(),
            description: "d".into(),
            priority: Priority::Medium,
            file_paths: Vec::new(),
        };
        TaskOutcome {
            draft,
            status,
            summary: summary.into(),
            notes: vec!["slow".into()],
            commits: vec!["abc".into()],
            changed_files: vec!["src/a.rs".into()],
        }
    }

    fn cycle(outcomes: Vec<TaskOutcome>) -> CycleReport {
        CycleReport {
            overview: "all".into(),
            outcomes,
            planner_failures: vec!["docs: the model refused".into()],
            check: Some(CheckResult {
                command_line: "make test".into(),
                passed: false,
                output: "1 failed\n```".into(),
            }),
            rolled_back: vec!["def".into()],
            base: "base-id".into(),
            head: "head-id".into(),
        }
    }

    #[test]
    fn everything_the_cycle_did_is_told_and_failures_first() {
        let text = markdown(&cycle(vec![
            outcome("One", TaskStatus::Completed, "did it"),
            outcome("Two", TaskStatus::Failed, "conflict"),
        ]));
        for part in [
            "Base commit: base-id\nHead commit: head-id\n",
            "`make test` FAILED.\n\n    1 failed\n    ```\n",
            "- def\n",
            "- docs: the model refused\n",
            "## Outcomes: 1 completed, 1 failed\n",
            "### One: completed\n\ndid it\n\nNotes:\n- slow\n\n\nCommits: `abc`\n\nFiles: `src/a.rs`\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(text.find("### Two: failed") < text.find("### One: completed"));
    }

    #[test]
    fn what_the_host_says_stands_apart_from_the_workers_notes() {
        let mut told = outcome("One", TaskStatus::Completed, "did it");
        told.notes.push("host: 2 new files were left out".into());
        let text = markdown(&cycle(vec![told]));
        let part = "\nThe host says: 2 new files were left out\n\nNotes:\n- slow\n";
        assert!(text.contains(part), "{text}");
    }

    #[test]
    fn a_huge_cycle_stays_readable() {
        let long = "é".repeat(20_000);
        let many = (0..500).map(|n| outcome(&format!("Task {n}"), TaskStatus::Completed, &long));
        let text = markdown(&cycle(many.collect()));
        assert!(text.len() < 500 * 2 * LEAST_PER_OUTCOME + 40_000, "{} bytes", text.len());
        assert!(text.contains("### Task 499: completed"));
    }
}
