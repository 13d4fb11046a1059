//! Workers that land at the same time, where there is no merger.

use std::fs;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::program::{code_agent_without_merger, model, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, edit, plan, write_file};

/// A worker whose change is made only once both workers hold their checkout.
pub fn together(title: &str, change: model_server::Turn) -> Rule {
    Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 1"])
        .turn(call("list_files_recursive", json!({})).barrier("both work", 2))
        .turn(change)
        .turn(finish_task("Done.").barrier("both are done", 2))
}

#[test]
fn different_files_at_once_both_land() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Write left", "left.txt")]),
        domain("right", &[("Write right", "right.txt")]),
        together("Write left", write_file("left.txt", "left\n")),
        together("Write right", write_file("right.txt", "right\n")),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(
        (project.read("left.txt"), project.read("right.txt")),
        ("left\n".into(), "right\n".into())
    );
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    assert_eq!(project.query::<u32>("SELECT workers_active FROM cycles"), 2);
}

#[test]
fn the_same_line_at_once_lands_at_the_second_attempt() {
    let project = Project::new(&[("count.txt", "count: 0\n")]);
    // How files merge, only the branch itself may say.
    for mine in ["project/.gitattributes", "config/git/attributes"] {
        let mine = project.beside(mine);
        fs::create_dir_all(mine.parent().unwrap()).unwrap();
        fs::write(mine, "* merge=union\n").unwrap();
    }
    let second = |title: &str| {
        Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 2", "count.txt"])
            .turn(call("read_file_content", json!({ "path": "count.txt" })))
            .turn(write_file("count.txt", "count: both\n").expects(&["count: "]))
            .turn(finish_task("Done on top of the other."))
    };
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        together("Count left", edit("count.txt", "count: 0", "count: left")),
        together("Count right", edit("count.txt", "count: 0", "count: right")),
        second("Count left"),
        second("Count right"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2", "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), "count: both\n");
    assert_eq!(project.query::<u32>("SELECT sum(attempt) FROM tasks"), 3);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
    let events = ended.events();
    let failed = events.iter().find(|event| event["event"] == "attempt-failed").unwrap();
    assert!(failed["error"].as_str().unwrap().contains("count.txt"), "{failed}");
}

#[test]
fn a_collision_in_many_files_is_told_in_a_few_words() {
    let names: Vec<String> = (10..70).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "0\n")).collect();
    let project = Project::new(&files);
    let all = |text: &str| {
        call("run_command", json!({ "command": format!("for f in f*; do echo {text} > $f; done") }))
    };
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("All left", "f*")]),
        domain("right", &[("All right", "f*")]),
        together("All left", all("left")),
        together("All right", all("right")),
        Rule::worker(&["Attempt: 2", "f10, f11, ", "f29 and 40 more"])
            .turn(write_file("f10", "both\n"))
            .turn(finish_task("Done on top of the other.")),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2", "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("f10"), "both\n");
    let events = ended.events();
    let failed = events.iter().find(|event| event["event"] == "attempt-failed").unwrap();
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("f29 and 40 more") && !error.contains("f30"), "{error}");
}

#[test]
fn a_conflict_in_the_middle_of_a_task_ends_the_attempt() {
    let project = Project::new(&[("count.txt", "count: 0\n")]);
    let push = |message: &str| call("git_commit_and_push", json!({ "message": message }));
    let left = Rule::worker(&["Task: Count left\n", "Attempt: 1"])
        .turn(call("list_files_recursive", json!({})).barrier("both work", 2))
        .turn(edit("count.txt", "count: 0", "count: left"))
        .turn(push("Left in the middle").barrier("both are done", 2))
        // Either it landed, or the attempt ended and nobody asks for this.
        .turn(finish_task("Left is done.").expects(&["landed as"]));
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        left,
        together("Count right", edit("count.txt", "count: 0", "count: right")),
        Rule::worker(&["Attempt: 2", "count.txt"])
            .turn(write_file("count.txt", "count: both\n"))
            .turn(finish_task("Done on top of the other.")),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), "count: both\n");
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
}

#[test]
fn a_task_that_never_lands_is_given_up_and_the_run_goes_on() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["bad", "good"]),
        domain("bad", &[("Fail", "b.txt")]),
        domain("good", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Fail\n"]).turn(write_file("half.txt", "half\n")).turn(call(
            "finish_task",
            json!({ "success": false, "summary": "It can't be done.", "notes": [] }),
        )),
        Rule::worker(&["Task: Write c\n"])
            .turn(write_file("c.txt", "c\n"))
            .turn(finish_task("Done.")),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both"]).args(model(&server));
    run(&mut command).expect_code(0);
    project.assert_sound();
    assert!(!project.path().join("half.txt").exists(), "what a failed attempt left does not land");
    let error: String =
        project.query("SELECT error FROM tasks WHERE status = 'failed' AND attempt = 3");
    assert!(error.contains("It can't be done."), "{error}");
}
