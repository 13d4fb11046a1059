//! What a run left behind, in the branch and in the task store, compared with
//! what the script asked for. It reads the store with the `sqlite3` program,
//! where there is one: a library would be compiled for this alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::script::Expected;
use super::{Finding, finding};
use crate::command::{self, Result, failed};

/// Every finding about tasks, planners and cycles.
pub fn look(root: &Path, expected: &Expected) -> Result<Vec<Finding>> {
    let landed = landed(root)?;
    let mut findings = vec![finding(
        landed.len() == expected.tasks,
        format!("{} of {} tasks have a commit on the branch", landed.len(), expected.tasks),
    )];
    let database = root.join(".code-agent/code_agent_tasks.db");
    if !command::succeeds(Command::new("sqlite3").arg("--version")) {
        println!("\nThe task store wasn't looked at: the program sqlite3 isn't installed.");
        findings.push(finding(database.is_file(), "the task store is there"));
        return Ok(findings);
    }
    let rows = |query: &str| rows(&database, query);
    findings.extend(tasks(root, &landed, expected, &rows("SELECT * FROM tasks")?)?);
    findings.extend(planners(
        expected,
        &rows(
            "SELECT planner.domain AS domain, parent.domain AS parent FROM planners AS planner \
             LEFT JOIN planners AS parent ON parent.planner_id = planner.parent_planner",
        )?,
    ));
    findings.push(cycles(expected, &rows("SELECT * FROM cycles ORDER BY cycle_number")?));
    Ok(findings)
}

/// The tasks that commits of the branch name. A task may land more than once.
fn landed(root: &Path) -> Result<BTreeSet<String>> {
    let format = "--format=%(trailers:key=Code-Agent-Task,valueonly)";
    let log = command::capture(command::git(root).args(["log", "main", format]))?;
    Ok(log.split_whitespace().map(str::to_owned).collect())
}

fn tasks(
    root: &Path,
    landed: &BTreeSet<String>,
    expected: &Expected,
    tasks: &[Value],
) -> Result<Vec<Finding>> {
    let completed: Vec<&Value> =
        tasks.iter().filter(|task| task["status"] == "completed").collect();
    let mut without = Vec::new();
    for task in &completed {
        let id = task["id"].as_str().unwrap_or_default();
        if !landed.contains(id) || !on_branch(root, task["commit_id"].as_str()) {
            without.push(task["title"].as_str().unwrap_or(id));
        }
    }
    Ok(vec![
        finding(
            completed.len() == expected.tasks && tasks.len() == expected.tasks,
            format!("{} of {} tasks in the store are completed", completed.len(), tasks.len()),
        ),
        finding(
            without.is_empty(),
            if without.is_empty() {
                "the commit of each completed task is on the branch".to_owned()
            } else {
                format!("completed, but not on the branch: {}", without.join(", "))
            },
        ),
    ])
}

fn on_branch(root: &Path, commit: Option<&str>) -> bool {
    commit.is_some_and(|commit| {
        command::succeeds(command::git(root).args(["merge-base", "--is-ancestor", commit, "main"]))
    })
}

fn planners(expected: &Expected, planners: &[Value]) -> [Finding; 2] {
    let domains = |split: bool| -> BTreeSet<&str> {
        let of_kind = planners.iter().filter(|planner| planner["parent"].is_string() == split);
        of_kind.filter_map(|planner| planner["domain"].as_str()).collect()
    };
    let found = |split: bool, wanted: &[String], text: &str| {
        let domains = domains(split);
        let same = domains == wanted.iter().map(String::as_str).collect();
        finding(same, format!("{text}: {}", domains.into_iter().collect::<Vec<_>>().join(", ")))
    };
    [
        found(false, &expected.domains, "the main planner's domains"),
        found(true, &expected.split, "domains that a sub-planner split off"),
    ]
}

fn cycles(expected: &Expected, cycles: &[Value]) -> Finding {
    let another: Vec<bool> = cycles.iter().map(|cycle| cycle["continue_next_cycle"] == 1).collect();
    let verdicts: Vec<&str> =
        another.iter().map(|another| if *another { "continue" } else { "stop" }).collect();
    let text = format!("{} cycles, the judge's verdicts: {}", cycles.len(), verdicts.join(", "));
    finding(another == expected.another, text)
}

fn rows(database: &Path, query: &str) -> Result<Vec<Value>> {
    let mut sqlite = Command::new("sqlite3");
    let text = command::capture(sqlite.args(["-readonly", "-json"]).arg(database).arg(query))?;
    if text.is_empty() {
        // It prints no list where there are no rows.
        return Ok(Vec::new());
    }
    serde_json::from_str(&text)
        .map_err(|error| failed(format!("can't read what sqlite3 printed: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Expected {
        Expected {
            tasks: 1,
            domains: vec!["prose".to_owned(), "data".to_owned()],
            split: vec!["formats".to_owned()],
            another: vec![true, false],
        }
    }

    #[test]
    fn a_missing_domain_is_found() {
        let mut all = vec![
            json!({"domain": null, "parent": null}),
            json!({"domain": "data", "parent": null}),
            json!({"domain": "formats", "parent": "data"}),
        ];
        let [main, split] = planners(&expected(), &all);
        assert!(!main.holds && split.holds);
        all.push(json!({"domain": "prose", "parent": null}));
        assert!(planners(&expected(), &all).iter().all(|finding| finding.holds));
    }

    #[test]
    fn the_judge_has_to_continue_and_then_stop() {
        let cycle = |another: u8| json!({"continue_next_cycle": another});
        assert!(cycles(&expected(), &[cycle(1), cycle(0)]).holds);
        assert!(!cycles(&expected(), &[cycle(0)]).holds);
        assert!(!cycles(&expected(), &[cycle(1), cycle(1)]).holds);
    }
}
