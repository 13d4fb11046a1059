//! What people see of a run: status, tasks, cycles and show.

use std::process::Command;
use std::thread;
use std::time::Duration;

use model_server::{ModelServer, Rule, Script, submit_verdict};
use serde_json::Value;

use crate::program::{Ended, Running, code_agent, model, program, run, start};
use crate::project::Project;
use crate::scripts::{content_judge, domain, edit, plan, writer};

/// A question waits so long for its answer, so often.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);
const MOST_QUESTIONS: usize = 3000;

/// A call of a subcommand on `project`.
fn ask(project: &Project, arguments: &[&str]) -> Command {
    let mut command = program(project);
    command.args(arguments).arg("--root-path").arg(project.path());
    command
}

#[track_caller]
fn look(project: &Project, arguments: &[&str]) -> String {
    run(&mut ask(project, arguments)).expect_code(0).stdout
}

fn look_json(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&look(project, arguments)).unwrap()
}

/// Asks for the status until it is as wanted.
#[track_caller]
fn wait_for(project: &Project, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = String::new();
    for _ in 0..MOST_QUESTIONS {
        // Until the run has begun there is no database, or none with a run.
        let Ended { code, stdout, stderr, .. } = run(&mut ask(project, &["status", "--json"]));
        if code == Some(0) {
            let status = serde_json::from_str(&stdout).unwrap();
            if wanted(&status) {
                return status;
            }
        }
        last = stdout + &stderr;
        thread::sleep(BETWEEN_QUESTIONS);
    }
    panic!("the status never was as wanted; the last one: {last}");
}

#[track_caller]
fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

/// Two domains, one of which gives up; one task lands at its second attempt.
fn finished() -> (Project, ModelServer) {
    let project = Project::new(&[("a.txt", "one\n")]);
    let failing = Rule::worker(&["Task: Change a\n", "Attempt: 1"]).turn(model_server::call(
        "finish_task",
        serde_json::json!({ "success": false, "summary": "Not \u{1b}[31mred.", "notes": [] }),
    ));
    let changing = Rule::worker(&["Task: Change a\n"])
        .turn(edit("a.txt", "one", "t\u{1b}[2Jwo"))
        .turn(model_server::call(
            "finish_task",
            serde_json::json!({
                "success": true,
                "summary": "Changed it.\nSecond \u{1b}[2Jline.",
                "notes": ["Look at a.txt."],
            }),
        ));
    let server = ModelServer::start(Script::new([
        plan(&["good", "talker"]),
        domain("good", &[("Change a", "a.txt"), ("Write b", "b.txt")]),
        Rule::sub_planner(&["Domain: talker\n"]).turn(model_server::text("Well.")).repeat_last(),
        failing,
        changing,
        writer("Write b", "b.txt", "b\n"),
        Rule::judge(&[]).turn(submit_verdict("stop", true, "All \u{1b}[2Jis there.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write it\nall", "--max-workers", "1"]).args(model(&server));
    run(&mut command).expect_code(0);
    (project, server)
}

#[test]
fn a_finished_run_is_told_in_all_four_ways() {
    let (project, server) = finished();
    let id: String = project.query("SELECT run_id FROM runs");

    let status = look(&project, &["status"]);
    assert_contains(&status, &[&id, "goal      Write it\n", "the goal is met", "cycle     1 of 5"]);
    assert_contains(&status, &["main planner: finished", "    good: finished, 0 pending"]);
    assert_contains(
        &status,
        &["    talker: FAILED: ", "tasks     0 pending, 0 in progress, 2 completed"],
    );
    let view = look_json(&project, &["status", "--json", "--run", &id[..13]]);
    assert_eq!((&view["state"], &view["outcome"]), (&"ended".into(), &"goal-met".into()));
    let asked: u64 = project.query::<i64>("SELECT sum(input_tokens) FROM usage").cast_unsigned();
    assert_eq!(view["usage"]["total"]["input_tokens"], asked);
    assert!(view["usage"]["by_role"]["worker"]["output_tokens"].as_u64() > Some(0), "{view}");

    let tasks = look(&project, &["tasks", "--status", "completed"]);
    let row = tasks.lines().find(|line| line.ends_with("  Change a")).expect(&tasks);
    let short_id = row.split(' ').next().unwrap();
    assert!(short_id.len() < 36 && row.contains("completed  medium"), "{row}");
    assert_eq!(look(&project, &["tasks", "--status", "pending"]).lines().count(), 1);
    assert_eq!(look(&project, &["tasks", "--json"]).lines().count(), 2);

    let cycles = look(&project, &["cycles"]);
    assert_contains(&cycles, &["stop, the goal is met  All  [2Jis there."]);
    assert_eq!(look_json(&project, &["cycles", "--json"])["tasks_completed"], 2);

    let shown = look(&project, &["show", short_id]);
    assert_contains(
        &shown,
        &["title     Change a", "file      a.txt", "the planner of good, in cycle 1"],
    );
    assert_contains(
        &shown,
        &["1. worker-1", "failed\n", "Not  [31mred.", "2. worker-1", "completed\n"],
    );
    assert_contains(&shown, &["  Changed it.\n  Second  [2Jline.\n", "- Look at a.txt."]);
    assert_contains(&shown, &["\n-one\n+t [2Jwo\n", "Code-Agent-Task: "]);
    let shown_json = look_json(&project, &["show", short_id, "--json"]);
    let commit = project.git(&["log", "--format=%H", "--grep", "Change a"]);
    assert_eq!(shown_json["commits"][0]["commit"], commit);
    for text in [&status, &tasks, &cycles, &shown] {
        assert!(!text.contains('\u{1b}'), "nothing steers the terminal: {text}");
    }
    assert_eq!(server.violations(), Vec::<String>::new());
}

/// A run of two tasks and one worker, which is held at each task.
fn held_run(project: &Project) -> (ModelServer, Running) {
    let held = |title: &str, path: &str| {
        let rule = writer(title, path, "text\n");
        let mut turns = rule.turns.clone().into_iter();
        let first = turns.next().unwrap().barrier("held", 2);
        Rule { turns: std::iter::once(first).chain(turns).collect(), ..rule }
    };
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        held("Write b", "b.txt"),
        held("Write c", "c.txt"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--max-workers", "1"]).args(model(&server));
    let running = start(&mut command);
    (server, running)
}

fn is_held(status: &Value) -> bool {
    let planners = status["cycles"][0]["planners"].as_array().map_or(0, |planners| {
        planners.iter().filter(|planner| planner["state"] != "planning").count()
    });
    let tasks = &status["tasks"];
    planners == 3 && tasks["in_progress"] == 1 && tasks["pending"] == 1
}

#[test]
fn a_run_is_seen_at_work() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (server, running) = held_run(&project);
    let status = wait_for(&project, is_held);
    assert_eq!(status["state"], "running");
    assert_eq!(status["by"], format!("process {}", running.id()));
    let worker = &status["workers"][0];
    let title = worker["title"].as_str().unwrap();
    assert_eq!((&worker["slot"], &worker["attempt"]), (&"worker-1".into(), &1.into()));
    let at_work = format!("worker-1  {title} (attempt 1");
    assert_contains(&look(&project, &["status"]), &["running, by ", "1 of 1 at work", &at_work]);

    let tasks = look(&project, &["tasks"]);
    let rows: Vec<&str> = tasks.lines().collect();
    let at_work = format!("worker-1  {title}");
    assert!(rows[1].contains("in_progress") && rows[1].ends_with(&at_work), "{tasks}");
    assert!(rows[2].contains("pending      medium    0        -         Write"), "{tasks}");
    assert_contains(&look(&project, &["cycles"]), &["not judged yet"]);
    let shown = look(&project, &["show", rows[1].split(' ').next().unwrap()]);
    assert_contains(&shown, &["status    in_progress", "in progress\n"]);

    server.meet("held", 2).unwrap();
    server.meet("held", 2).unwrap();
    running.finish().expect_code(0);
    assert_eq!(look_json(&project, &["status", "--json"])["state"], "ended");
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[test]
fn a_run_that_was_killed_says_how_to_go_on() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (_server, running) = held_run(&project);
    let held = wait_for(&project, is_held);
    running.kill();
    let id: String = project.query("SELECT run_id FROM runs");
    let status = look(&project, &["status"]);
    let command = format!("code-agent resume {id}");
    assert_contains(&status, &["not running: ", &command, "none known to be at work", "Write"]);
    assert_eq!(look_json(&project, &["status", "--json"])["state"], "not-running");

    let server = ModelServer::start(Script::new([
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    run(ask(&project, &["resume", &id]).args(model(&server))).expect_code(0);
    project.assert_sound();
    let view = look_json(&project, &["status", "--json"]);
    assert_eq!((&view["state"], &view["resumed"]), (&"ended".into(), &1.into()));
    assert_eq!(view["tasks"]["completed"], 2, "{view}");
    let task = held["workers"][0]["task"].as_str().unwrap();
    let shown = look(&project, &["show", task]);
    assert_contains(
        &shown,
        &["does not count: its host ended first", "1. worker-1", "completed\n"],
    );
}

#[track_caller]
fn refused(project: &Project, arguments: &[&str], code: i32, words: &[&str]) {
    let ended = run(&mut ask(project, arguments)).expect_code(code);
    assert_contains(&ended.stderr, words);
    assert_eq!(ended.stdout, "");
}

#[test]
fn what_is_not_there_is_named() {
    let project = Project::new(&[("a.txt", "a\n")]);
    for command in [&["status"][..], &["tasks", "--json"], &["cycles"], &["show", "x"], &["resume"]]
    {
        refused(&project, command, 1, &["code_agent_tasks.db", "code-agent --goal"]);
    }
    assert!(!project.path().join(".code-agent").exists(), "looking makes nothing");
    let elsewhere = project.beside("other.db");
    let elsewhere = elsewhere.to_str().unwrap();
    refused(&project, &["tasks", "--database", elsewhere], 1, &[elsewhere]);

    let (project, _server) = finished();
    refused(&project, &["show", "no-such-task"], 2, &["no-such-task", "code-agent tasks"]);
    refused(&project, &["show", "0"], 2, &["more than one task begins with `0`"]);
    refused(&project, &["tasks", "--run", "no-such-run"], 2, &["no-such-run", "code-agent status"]);
    refused(&project, &["tasks", "--status", "lost"], 2, &["in_progress"]);
}
