//! Pieces of scripts that many tests share.

use model_server::{Rule, Script, Turn, call, calls, finish_task, submit_verdict};
use serde_json::{Value, json};

/// One cycle of two planners, whose workers write b.txt and c.txt.
pub fn b_and_c() -> Script {
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ])
}

/// A main planner that hands out these domains at once.
pub fn plan(domains: &[&str]) -> Rule {
    plan_when(&[], domains)
}

/// The same, for conversations that contain these texts.
pub fn plan_when(contains: &[&str], domains: &[&str]) -> Rule {
    let mut turn = calls(&domains.iter().map(|name| spawn(name)).collect::<Vec<_>>());
    turn.calls.extend(call("submit_plan", json!({ "overview": "The overview." })).calls);
    Rule::main_planner(contains).turn(turn)
}

pub fn spawn(name: &str) -> (&'static str, Value) {
    let arguments = json!({ "name": name, "description": format!("All about {name}."), "file_patterns": ["**"] });
    ("spawn_sub_planner", arguments)
}

/// A sub-planner that makes these tasks: title and file.
pub fn domain(name: &str, tasks: &[(&str, &str)]) -> Rule {
    let made: Vec<(&str, Value)> =
        tasks.iter().map(|(title, file)| task(title, file, "medium")).collect();
    let mut turn = calls(&made);
    turn.calls
        .extend(call("submit_plan", json!({ "overview": format!("{name} is planned.") })).calls);
    Rule::sub_planner(&[&format!("Domain: {name}\n")]).turn(turn)
}

pub fn task(title: &str, file: &str, priority: &str) -> (&'static str, Value) {
    let arguments = json!({
        "title": title,
        "description": format!("{title}. Done when it is there."),
        "priority": priority,
        "file_paths": [file],
    });
    ("create_task", arguments)
}

pub fn write_file(path: &str, content: &str) -> Turn {
    call("write_file_content", json!({ "path": path, "content": content }))
}

pub fn edit(path: &str, old: &str, new: &str) -> Turn {
    call("edit_file", json!({ "path": path, "old_text": old, "new_text": new }))
}

/// A worker that writes one file for the task of this title.
pub fn writer(title: &str, path: &str, content: &str) -> Rule {
    Rule::worker(&[&format!("Task: {title}\n")])
        .turn(write_file(path, content))
        .turn(finish_task(&format!("{title}: done.")))
}

/// A judge that is content.
pub fn content_judge() -> Rule {
    Rule::judge(&[]).turn(submit_verdict("stop", true, "Read it: it is there."))
}
