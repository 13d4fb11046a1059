//! The user's check: what is red does not land, and the judge hears of it.

use std::fs;

use model_server::{ModelServer, Rule, Script, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{code_agent, model, run};
use crate::project::Project;
use crate::scripts::{domain, plan, write_file, writer};

/// Green while `good.txt` says so and no file is called `bad.txt`.
const CHECK: &str = "echo looked; test ! -e bad.txt && grep -q good good.txt";

fn script(rules: impl IntoIterator<Item = Rule>) -> Script {
    let planned = [
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
    ];
    Script::new(planned.into_iter().chain(rules))
}

#[test]
fn what_is_red_never_lands_and_the_next_attempt_is_told() {
    let project = Project::new(&[("good.txt", "good\n"), (".gitignore", "cache\n")]);
    let server = ModelServer::start(script([
        // In the middle of a task the model may mend it at once.
        Rule::worker(&["Task: Write b\n", "Attempt: 1"])
            .turn(write_file("good.txt", "spoilt\n"))
            .turn(call("git_commit_and_push", json!({ "message": "Spoil it" })))
            .turn(write_file("good.txt", "good again\n").expects(&[
                "is red",
                "exit code 1",
                "looked",
            ]))
            .turn(call("git_commit_and_push", json!({ "message": "Mend it" })))
            .turn(write_file("bad.txt", "bad\n").expects(&["landed as"]))
            // What is ignored can't turn a check green: it has a checkout of its own.
            .turn(call("run_command", json!({ "command": "echo good > cache" })))
            .turn(finish_task("Done.")),
        Rule::worker(&[
            "Task: Write b\n",
            "Attempt: 2",
            "was red on what would have landed",
            "looked",
        ])
        .turn(write_file("b.txt", "b\n"))
        .turn(finish_task("Done without it.")),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["The user's check", "passed", "    looked"]).turn(submit_verdict(
            "stop",
            true,
            "It is green.",
        )),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--check", CHECK, "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    // Not one commit of the history is red.
    for commit in project.git(&["rev-list", "main"]).lines() {
        assert!(project.git(&["show", &format!("{commit}:good.txt")]).contains("good"));
        assert!(!project.git(&["ls-tree", "--name-only", commit]).contains("bad.txt"));
    }
    assert_eq!(project.read("good.txt"), "good again\n");
    let events = ended.events();
    let checks: Vec<bool> = events
        .iter()
        .filter(|event| event["event"] == "checked" && event["task"].is_string())
        .map(|event| event["passed"].as_bool().unwrap())
        .collect();
    assert_eq!(checks.iter().filter(|passed| !**passed).count(), 2, "{checks:?}");
    assert!(events.iter().any(|event| event["event"] == "checked" && event["task"].is_null()));
}

#[test]
fn two_that_are_green_alone_and_red_together_are_found_at_the_cycles_end() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let half = |title: &str, file: &str| {
        Rule::worker(&[&format!("Task: {title}\n")])
            .turn(write_file(file, "x\n"))
            // Both are checked on a tip that has neither.
            .turn(finish_task("Done.").barrier("both are checked", 2))
    };
    let server = ModelServer::start(script([
        half("Write b", "b.txt"),
        half("Write c", "c.txt"),
        Rule::judge(&["FAILED", "b and c"]).turn(submit_verdict("stop", false, "It is red.")),
    ]))
    .unwrap();
    // Each check waits until both have begun, so that neither sees the other's work.
    let together = project.beside("together");
    fs::create_dir(&together).unwrap();
    let check = format!(
        "if test -e b.txt && test -e c.txt; then echo b and c; exit 1; fi; \
         touch {0}/$(ls b.txt c.txt 2>/dev/null); while ! test -e {0}/b.txt || ! test -e {0}/c.txt; do sleep 0.01; done",
        together.display()
    );
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "2", "--check", &check, "--allow-write"]);
    let ended = run(command.arg(&together).args(model(&server))).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert!(ended.stderr.contains("the check is RED on"), "{}", ended.stderr);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
}

#[test]
fn a_red_check_leaves_nothing_that_turns_the_next_one_green() {
    let project = Project::new(&[("good.txt", "good\n"), (".gitignore", "poison\n")]);
    let bad = |attempt: &str| {
        Rule::worker(&["Task: Write b\n", attempt])
            .turn(write_file("good.txt", "spoilt\n"))
            .turn(finish_task("Done."))
    };
    let server = ModelServer::start(script([
        bad("Attempt: 1"),
        bad("Attempt: 2"),
        bad("Attempt: 3"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&[]).turn(submit_verdict("stop", false, "One was given up.")),
    ]))
    .unwrap();
    // The spoilt commit's check plants what the next check would believe, in the
    // checkout and at home.
    let check = "if test -e poison || test -e ~/poison; then exit 0; fi; \
                 grep -q good good.txt || { touch poison ~/poison; exit 1; }";
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1", "--check", check]).args(model(&server));
    run(&mut command).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("good.txt"), "good\n");
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'failed'"), 1);
}
