//! A model, or its server, that does not do what it should.

use std::process::Stdio;

use model_server::{ModelServer, Rule, Script, call, calls, finish_task, status, text};
use serde_json::json;

use crate::program::{code_agent, model, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, edit, plan, spawn, writer};

fn always(code: u16, body: &str) -> ModelServer {
    ModelServer::start(Script::new([Rule::new(None, &[]).turn(status(code, body)).repeat_last()]))
        .unwrap()
}

#[test]
fn a_server_that_answers_500_for_ever_fails_the_run() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = always(500, "the GPU is on fire");
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-retries", "1"]).args(model(&server));
    let ended = run(&mut command).expect_code(1);
    assert!(
        ended.stderr.contains("500") && ended.stderr.contains("main-planner"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("the GPU is on fire"), "{}", ended.stderr);
    assert_eq!(project.query::<String>("SELECT outcome FROM runs"), "failed");
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "1");
}

#[test]
fn a_wrong_key_stops_the_run_at_once() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = always(401, "{\"error\":{\"message\":\"bad key\"}}");
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    let ended = run(&mut command).expect_code(1);
    assert!(ended.stderr.contains("OPENAI_API_KEY"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("sk-never-shown"), "{}", ended.stderr);
    assert_eq!(server.requests().len(), 1, "a key does not get better by trying again");
}

#[test]
fn nobody_at_the_address_fails_the_run() {
    let project = Project::new(&[("a.txt", "a\n")]);
    // A port that no system gives away by itself, as it would one that was just freed.
    let address = "127.0.0.1:1";
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-retries", "0", "--model", "openai:scripted"]);
    command.args(["--api-base", &format!("http://{address}")]);
    let ended = run(&mut command).expect_code(1);
    assert!(ended.stderr.contains(address), "{}", ended.stderr);
}

#[test]
fn malformed_arguments_go_back_to_the_model() {
    let project = Project::new(&[("a.txt", "one\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Change a", "a.txt")]),
        domain("two", &[("Write b", "b.txt")]),
        Rule::worker(&["Task: Change a\n"])
            .turn(call("edit_file", json!("{\"path\": \"a.txt\", ")))
            .turn(
                call("edit_file", json!({ "path": "a.txt", "old": "one", "new_text": "two" }))
                    .expects(&["JSON"]),
            )
            .turn(call("no_such_tool", json!({})).expects(&["old_text"]))
            .turn(
                call(
                    "edit_file",
                    json!({ "path": "../a.txt", "old_text": "one", "new_text": "two" }),
                )
                .expects(&["no_such_tool"]),
            )
            .turn(edit("a.txt", "three", "two").expects(&["`..`"]))
            .turn(edit("a.txt", "one", "two"))
            .turn(call("finish_task", json!({ "success": "yes" })))
            .turn(finish_task("Done at last.").expects(&["summary"])),
        writer("Write b", "b.txt", "b\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Change"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.read("a.txt"), "two\n");
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
}

#[test]
fn a_log_that_nobody_reads_any_more_costs_nothing() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        // Each try again is a line of the log.
        plan(&["one", "two"]).fail_first(2, 500, Some(0)),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let (reader, stderr) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    let status = command.stdout(Stdio::null()).stderr(stderr).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(project.read("b.txt"), "b\n");
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
}

#[test]
fn a_model_that_only_talks_ends_its_attempts() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Talk", "a.txt")]),
        domain("two", &[("Write b", "b.txt")]),
        Rule::worker(&["Task: Talk\n"]).turn(text("I would love to.")).repeat_last(),
        writer("Write b", "b.txt", "b\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    let error: String = project.query("SELECT error FROM tasks WHERE status = 'failed'");
    assert!(error.contains("finish_task"), "{error}");
}

/// Five domains of four parts, each part with ten tasks.
fn two_hundred_tasks() -> Script {
    let name = |number: usize| format!("domain-{number}");
    let names: Vec<String> = (0..5).map(name).collect();
    let mut rules = vec![plan(&names.iter().map(String::as_str).collect::<Vec<_>>())];
    for domain_number in 0..5 {
        let parts = ["north", "east", "south", "west"]
            .map(|side| format!("{}-{side}", name(domain_number)));
        let mut turn = calls(&parts.each_ref().map(|part| spawn(part)));
        let submit = json!({ "overview": "Four parts." });
        turn.calls.extend(call("submit_plan", submit).calls);
        rules.push(Rule::sub_planner(&[&format!("Domain: {}\n", name(domain_number))]).turn(turn));
        for part in &parts {
            let tasks: Vec<_> = (0..10)
                .map(|number| (format!("Write {part} {number:02}"), format!("{part}/{number}.txt")))
                .collect();
            let drafts: Vec<_> =
                tasks.iter().map(|(title, file)| (title.as_str(), file.as_str())).collect();
            rules.push(domain(part, &drafts));
            rules.extend(tasks.iter().map(|(title, file)| writer(title, file, "done\n")));
        }
    }
    rules.push(content_judge());
    // So long that even on a slow machine more ask than are answered.
    Script { max_in_flight: Some(8), delay_ms: Some(50), ..Script::new(rules) }
}

/// The pace is tested where it is kept, in `lm`; here it is that no attempt is
/// lost to it, with every worker asking at once.
#[test]
fn two_hundred_workers_share_what_a_small_server_takes() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(two_hundred_tasks()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Storm", "--max-workers", "200"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    let count = |rows: &str| project.query::<u32>(&format!("SELECT count(*) FROM {rows}"));
    assert_eq!(count("tasks WHERE status = 'completed'"), 200);
    assert_eq!(count("events WHERE kind IN ('attempt-failed', 'role-failed')"), 0);
    let load = server.load();
    println!(
        "{} requests, {} of them refused, at most {} in flight, {} workers at once",
        load.requests,
        load.refusals.len(),
        load.most_in_flight,
        project.query::<u32>("SELECT workers_active FROM cycles")
    );
    assert!(load.most_in_flight <= 8 && !load.refusals.is_empty(), "the limit was felt");
}
