//! A merger brings together what collides, and where it does not, the attempt is
//! lost as it is without one.

use std::process::Command;

use model_server::{ModelServer, Role, Rule, Script, Turn, call, finish_merge, finish_task};
use serde_json::{Value, json};

use crate::conflicts::together;
use crate::program::{
    Ended, bare, code_agent, hostile_component, model, plugins_with, program, resume, run,
};
use crate::project::Project;
use crate::replay::{assert_replays, transcript};
use crate::scripts::{content_judge, domain, edit, plan, write_file};
use crate::watched::Watched;

/// Two workers that change the same line at once, whoever merges that.
fn counting(more: impl IntoIterator<Item = Rule>) -> Script {
    let planned = [
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        together("Count left", edit("count.txt", "count: 0", "count: left")),
        together("Count right", edit("count.txt", "count: 0", "count: right")),
    ];
    Script::new(planned.into_iter().chain(more).chain([content_judge()]))
}

fn project() -> Project {
    Project::new(&[("count.txt", "a title\n=======\n\ncount: 0\n\nan end\n")])
}

const MERGED: &str = "a title\n=======\n\ncount: left and right\n\nan end\n";

fn read_marked() -> Turn {
    call("read_file_content", json!({ "path": "count.txt" }))
}

/// The second attempt of whichever task has lost its first, told of these words.
fn again(words: &[&str]) -> Rule {
    let words: Vec<&str> = ["Attempt: 2", "count.txt"].iter().chain(words).copied().collect();
    Rule::worker(&words)
        .turn(write_file("count.txt", "count: at the second attempt\n"))
        .turn(finish_task("Done on top of the other."))
}

fn command(mut command: Command, server: &ModelServer) -> Command {
    command.args(["--goal", "Both", "--max-workers", "2", "--json"]).args(model(server));
    command
}

fn named(events: &[Value], name: &str) -> Vec<Value> {
    events.iter().filter(|event| event["event"] == name).cloned().collect()
}

#[test]
fn the_same_line_at_once_lands_merged_at_the_first_attempt() {
    let project = project();
    let merger = Rule::merger(&[
        "What collides",
        "- `count.txt`: both sides changed the same lines. It has conflict markers of 8 characters.",
        "    -count: 0",
        "    +count: left",
        "    +count: right",
        "Done.",
    ])
    .turn(read_marked())
    .turn(call("git_commit_and_push", json!({ "message": "Land it" })).expects(&[
        "<<<<<<<< the branch",
        "|||||||| what both started from",
        ">>>>>>>> the worker",
    ]))
    .turn(write_file("count.txt", MERGED).expects(&["`git_commit_and_push` is not for the merger"]))
    .turn(finish_merge(true, "Both are counted."));
    let server = ModelServer::start(counting([merger])).unwrap();
    let mut command = command(code_agent(&project), &server);
    let ended = run(command.args(["--model", "merger=openai:neutral"])).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), MERGED);
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "3");
    let events = ended.events();
    assert_eq!(named(&events, "attempt-failed"), Vec::<Value>::new());
    let tried = named(&events, "merge-tried");
    assert_eq!((tried.len(), &tried[0]["files"]), (1, &json!(["count.txt"])));
    let merged = named(&events, "merged");
    assert_eq!(merged[0]["commit"], project.git(&["rev-parse", "main"]));
    // It is told: in the commit, by show, and what it cost.
    let body = project.git(&["log", "-1", "--format=%B", "main"]);
    assert!(body.contains("Done.") && body.contains("Both are counted."), "{body}");
    let task = merged[0]["task"].as_str().unwrap();
    let shown = run(&mut show(&project, task)).expect_code(0).stdout;
    assert!(shown.contains("a merger was asked, for it collided in count.txt: merged"), "{shown}");
    let used: u32 = project
        .query(&format!("SELECT count(*) FROM usage WHERE role = 'merger' AND subject = '{task}'"));
    assert_eq!(used, 4);
    let mut asked = server.requests();
    asked.retain(|one| one.role == Some(Role::Merger));
    assert_eq!(asked.iter().filter(|one| one.model == "neutral").count(), 4);
    assert_eq!(asked.len(), 4);
    let said = run(&mut looking(&project, &["transcript", "merger"])).expect_code(0).stdout;
    assert!(said.contains(", merger, cycle 1") && said.contains("--- landed as "), "{said}");
    let clone = assert_replays(&project);
    assert_replays(&clone);
}

#[test]
fn what_a_mergers_commands_leave_behind_costs_no_merge() {
    let project = project();
    let junk = "mkdir node_modules && cd node_modules && seq 10001 | xargs touch && \
                cp ../count.txt marked.txt";
    let merger = Rule::merger(&["What collides"])
        .turn(call("run_command", json!({ "command": junk })))
        .turn(write_file("count.txt", MERGED).expects(&["exit code 0"]))
        .turn(finish_merge(true, "Both are counted."));
    let server = ModelServer::start(counting([merger])).unwrap();
    let ended = run(&mut command(code_agent(&project), &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), MERGED);
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    let left_out = named(&ended.events(), "left-out");
    assert_eq!(left_out[0]["names"], json!(["`node_modules/` (10002 files)"]));
    assert_eq!(project.git(&["ls-tree", "-r", "--name-only", "main"]), "count.txt");
}

fn looking(project: &Project, arguments: &[&str]) -> Command {
    let mut command = program(project);
    command.args(arguments);
    command
}

fn show(project: &Project, task: &str) -> Command {
    looking(project, &["show", task])
}

/// A merge that comes to nothing costs the attempt, and the next one is told.
#[track_caller]
fn assert_done_anew(project: &Project, ended: &Ended, why: &str) {
    project.assert_sound();
    assert_eq!(project.read("count.txt"), "count: at the second attempt\n");
    assert_eq!(project.query::<u32>("SELECT sum(attempt) FROM tasks"), 3);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
    let events = ended.events();
    let failed = named(&events, "attempt-failed");
    assert_eq!(failed.len(), 1);
    let error = failed[0]["error"].as_str().unwrap();
    assert!(error.contains("collide") && error.contains(why), "{error}");
    let task = failed[0]["task"].as_str().unwrap();
    let shown = run(&mut show(project, task)).expect_code(0).stdout;
    assert!(shown.contains("it collided in count.txt: not merged"), "{shown}");
    // Nothing of the merger's has landed.
    let texts = project.git(&["log", "--format=", "--patch", "main"]);
    assert!(!texts.contains("the worker") && !texts.contains("half"), "{texts}");
}

#[track_caller]
fn assert_lost(merger: Rule, why: &str) -> Project {
    let project = project();
    let server = ModelServer::start(counting([merger, again(&[why])])).unwrap();
    let ended = run(&mut command(code_agent(&project), &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_done_anew(&project, &ended, why);
    project
}

#[test]
fn markers_that_are_left_do_not_land() {
    let merger = Rule::merger(&[]).turn(finish_merge(true, "It looks good to me."));
    assert_replays(&assert_lost(merger, "it left conflict markers in count.txt"));
}

#[test]
fn a_merger_that_gives_up_lands_nothing() {
    let merger = Rule::merger(&[])
        .turn(write_file("count.txt", "half\n"))
        .turn(finish_merge(false, "They exclude each other."));
    assert_lost(merger, "it gave up: They exclude each other.");
}

#[test]
fn a_merger_that_traps_costs_its_attempt() {
    let project = project();
    let why = "plugin `hostile` (role merger) crashed";
    let server = ModelServer::start(counting([again(&[why])])).unwrap();
    let hostile = format!(
        "[plugins.hostile]\ncomponent = \"{}\"\nrole = \"merger\"\n",
        hostile_component().display()
    );
    let roles = ["main-planner", "sub-planner", "worker", "judge"];
    let mut with_hostile = bare(&project);
    with_hostile.args(["--branch", "main", "--plugins"]);
    with_hostile.arg(plugins_with(&project, &roles, &hostile));
    let ended = run(&mut command(with_hostile, &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_done_anew(&project, &ended, why);
}

#[test]
fn what_is_merged_is_checked_before_it_lands() {
    let project = project();
    let why = "was red on what would have landed";
    let merger = Rule::merger(&[])
        .turn(write_file("count.txt", "half\n"))
        .turn(finish_merge(true, "Both are counted."));
    let server = ModelServer::start(counting([merger, again(&[why])])).unwrap();
    let mut command = command(code_agent(&project), &server);
    let ended = run(command.args(["--check", "grep count count.txt"])).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_done_anew(&project, &ended, why);
}

#[test]
fn what_collides_while_it_is_merged_is_merged_once_more() {
    let project = Project::new(&[("count.txt", "count: 0\n")]);
    let titles = ["Count left", "Count right", "Count up"];
    let work = |title: &str| {
        Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 1"])
            .turn(call("list_files_recursive", json!({})).barrier("all work", 3))
            .turn(edit("count.txt", "count: 0", &format!("count: {title}")))
            .turn(finish_task("Done.").barrier("all are done", 3))
    };
    let merge = |title: &str, turn: Turn, contains: &[&str]| {
        let task = format!("Task: {title}\n");
        let contains: Vec<&str> = [task.as_str()].iter().chain(contains).copied().collect();
        Rule::merger(&contains).turn(turn).turn(finish_merge(true, "Both are counted."))
    };
    let write = |title: &str| write_file("count.txt", &format!("merged by {title}\n"));
    let mut rules = vec![plan(&["one", "two", "three"])];
    for (name, title) in ["one", "two", "three"].into_iter().zip(titles) {
        rules.push(domain(name, &[(title, "count.txt")]));
        rules.push(work(title));
        rules.push(merge(title, write(title), &["    +merged by "]));
        // The first is landed; the two others are merged with it at once.
        rules.push(merge(title, write(title).barrier("both merge", 2), &[]));
    }
    rules.push(content_judge());
    let server = ModelServer::start(Script::new(rules)).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "All", "--max-workers", "3", "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    let events = ended.events();
    assert_eq!((named(&events, "merge-tried").len(), named(&events, "merged").len()), (3, 2));
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "4");
    assert!(std::fs::read_to_string(transcript(&project)).unwrap().contains("\"merger\""));
    assert_replays(&project);
}

#[test]
fn a_host_that_is_killed_while_a_merger_works_costs_no_attempt() {
    let project = project();
    let held = Rule::merger(&[]).turn(read_marked().barrier("nobody else comes", 2));
    let server = ModelServer::start(counting([held])).unwrap();
    let mut program = Watched::start(&mut command(code_agent(&project), &server));
    program.until_event("merge-tried", "");
    program.signal("KILL");
    program.ended();
    drop(server);
    let server = ModelServer::start(Script::new([
        Rule::worker(&["Attempt: 1"])
            .turn(write_file("count.txt", MERGED))
            .turn(finish_task("Done after all.")),
        content_judge(),
    ]))
    .unwrap();
    let mut resumed = resume(&project);
    run(resumed.args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), MERGED);
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    assert_replays(&project);
}

#[test]
fn a_merge_that_would_lose_a_file_is_not_tried() {
    let project = project();
    let ignoring = Rule::worker(&["Task: Count left\n"])
        .turn(call("list_files_recursive", json!({})).barrier("both work", 2))
        .turn(edit("count.txt", "count: 0", "count: left"))
        .turn(write_file(".gitignore", "*.log\n"))
        .turn(call("git_commit_and_push", json!({ "message": "Ignore logs" })))
        .turn(finish_task("Done.").barrier("it is ignored", 2).expects(&["landed as"]));
    let logging = Rule::worker(&["Task: Count right\n", "Attempt: 1"])
        .turn(call("list_files_recursive", json!({})).barrier("both work", 2))
        .turn(edit("count.txt", "count: 0", "count: right"))
        .turn(write_file("right.log", "right\n"))
        .turn(finish_task("Done.").barrier("it is ignored", 2));
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        ignoring,
        logging,
        again(&[]),
        content_judge(),
    ]))
    .unwrap();
    let ended = run(&mut command(code_agent(&project), &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    let events = ended.events();
    assert_eq!(named(&events, "merge-tried"), Vec::<Value>::new());
    let warned = named(&events, "warning");
    let is_told = |one: &Value| one["message"].as_str().unwrap().contains("right.log can't land");
    assert!(warned.iter().any(is_told), "{warned:?}");
    assert_eq!(project.read("count.txt"), "count: at the second attempt\n");
    assert_replays(&project);
}
