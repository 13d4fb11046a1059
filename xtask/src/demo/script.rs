//! Reads the scripted model's replies, to know what a run has to come to. The
//! model server reads the same file for itself.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::command::{Result, at};

/// One tool call of the script.
pub struct Call {
    /// The role that makes it.
    pub role: String,
    /// The tool.
    pub name: String,
    /// The tool's arguments.
    pub arguments: Table,
}

/// What a run by the script has to come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    /// How many tasks are done.
    pub tasks: usize,
    /// The main planner's domains, over all cycles.
    pub domains: Vec<String>,
    /// Domains that a sub-planner split off.
    pub split: Vec<String>,
    /// Whether the judge wants another cycle, in the cycles' order.
    pub another: Vec<bool>,
}

/// All calls of a script, in the file's order.
pub fn calls(script: &Path) -> Result<Vec<Call>> {
    let text = fs::read_to_string(script).map_err(at("read", script))?;
    let table: Table = text.parse().map_err(at("understand", script))?;
    let mut calls = Vec::new();
    for rule in list(&table, "rule") {
        for turn in list(rule, "turn") {
            for call in list(turn, "calls") {
                calls.push(Call {
                    role: text_of(rule, "role"),
                    name: text_of(call, "name"),
                    arguments: call
                        .get("arguments")
                        .and_then(Value::as_table)
                        .cloned()
                        .unwrap_or_default(),
                });
            }
        }
    }
    Ok(calls)
}

/// Sums up what the calls ask for.
pub fn expected(calls: &[Call]) -> Expected {
    let named = |role: &str| {
        let spawned =
            calls.iter().filter(|call| call.role == role && call.name == "spawn_sub_planner");
        spawned.map(|call| text_of(&call.arguments, "name")).collect()
    };
    let verdicts = calls.iter().filter(|call| call.name == "submit_verdict");
    let mut another: Vec<bool> =
        verdicts.map(|call| text_of(&call.arguments, "decision") == "continue").collect();
    // Later cycles stand first in the file, for the first rule that fits answers.
    another.reverse();
    Expected {
        tasks: calls.iter().filter(|call| call.name == "create_task").count(),
        domains: named("main-planner"),
        split: named("sub-planner"),
        another,
    }
}

fn list<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

/// The text below a key; a script without it asks for nothing.
pub fn text_of(table: &Table, key: &str) -> String {
    table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::top;
    use crate::demo::project;

    /// Does to a folder what the worker's call asks for.
    fn apply(call: &Call, folder: &Path) {
        let file = folder.join(text_of(&call.arguments, "path"));
        match call.name.as_str() {
            "write_file_content" => {
                fs::write(&file, text_of(&call.arguments, "content")).unwrap();
            }
            "edit_file" => {
                let before = fs::read_to_string(&file).unwrap();
                let old = text_of(&call.arguments, "old_text");
                assert_eq!(before.matches(&old).count(), 1, "{}: {old}", file.display());
                let after = before.replace(&old, &text_of(&call.arguments, "new_text"));
                fs::write(&file, after).unwrap();
            }
            "read_file_content" => assert!(file.is_file(), "{}", file.display()),
            "finish_task" => {}
            other => panic!("a worker of the script calls {other}"),
        }
    }

    #[test]
    fn the_script_mends_the_project() {
        let demo = top().join("xtask/demo");
        let folder = tempfile::tempdir().unwrap();
        let (root, builds) = (folder.path().join("project"), folder.path().join("target"));
        project::copy(&demo.join("project"), &root).unwrap();

        let before = project::test(&root, &builds).unwrap();
        assert!(before.passed > 0 && before.failed >= 10, "{before}");

        let calls = calls(&demo.join("script.toml")).unwrap();
        calls.iter().filter(|call| call.role == "worker").for_each(|call| apply(call, &root));
        let after = project::test(&root, &builds).unwrap();
        assert!(after.all_pass() && after.passed > before.passed + before.failed, "{after}");
    }

    #[test]
    fn the_script_shows_the_whole_hierarchy() {
        let script = top().join("xtask/demo/script.toml");
        let expected = expected(&calls(&script).unwrap());
        assert!(expected.tasks >= 6);
        assert!(expected.domains.len() >= 2);
        assert_eq!(expected.split, ["formats"]);
        assert_eq!(expected.another, [true, false]);
    }

    #[test]
    fn every_task_of_the_script_has_its_worker() {
        let script = top().join("xtask/demo/script.toml");
        let table: Table = fs::read_to_string(&script).unwrap().parse().unwrap();
        let workers: Vec<String> = list(&table, "rule")
            .filter(|rule| text_of(rule, "role") == "worker")
            .map(|rule| rule["contains"][0].as_str().unwrap().to_owned())
            .collect();
        let mut titles = Vec::new();
        for call in calls(&script).unwrap() {
            if call.name == "create_task" {
                titles.push(format!("Task: {}", text_of(&call.arguments, "title")));
            }
        }
        // A title that begins like another one would get the other's answers.
        for title in &titles {
            let fitting = workers.iter().filter(|worker| title.contains(worker.as_str()));
            assert_eq!(fitting.count(), 1, "{title}");
        }
        assert_eq!(titles.len(), workers.len());
    }
}
