//! A run that goes on with an open cycle plans on what is there by then, and not on
//! what was there when the cycle began.

use model_server::{ModelServer, Rule, Script, Turn, call, calls, submit_verdict};
use serde_json::json;

use crate::going_back::call as call_program;
use crate::program::{code_agent, model, resume, run};
use crate::project::Project;
use crate::scripts::{domain, plan_when, spawn, writer};

fn look_at(path: &str) -> Turn {
    call("read_file_content", json!({ "path": path }))
}

/// A main planner of cycle 2 that looks at a file, at last: before, it is not to be
/// had, so that the run fails with that cycle open.
fn looker(path: &str, finds: &str) -> Rule {
    let mut planned = calls(&[spawn("three"), spawn("four")]).expects(&[finds]);
    planned.calls.extend(call("submit_plan", json!({ "overview": "Looked." })).calls);
    Rule::main_planner(&["Cycle: 2 of 2"])
        .turn(look_at(path))
        .turn(planned)
        .fail_first(3, 400, None)
}

/// Cycle 1 brings b.txt and c.txt, cycle 2 d.txt and e.txt.
fn script(looker: Rule, judge: &[&str]) -> Script {
    Script::new([
        plan_when(&["Cycle: 1 of 2"], &["one", "two"]),
        looker,
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        domain("three", &[("Write d", "d.txt")]),
        domain("four", &[("Write e", "e.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        writer("Write d", "d.txt", "d\n"),
        writer("Write e", "e.txt", "e\n"),
        Rule::judge(&["Cycle: 1 of 2"]).turn(submit_verdict("continue", false, "Go on.")),
        Rule::judge(&[&["Cycle: 2 of 2"], judge].concat()).turn(submit_verdict(
            "stop",
            true,
            "All is there.",
        )),
    ])
}

fn start(project: &Project, server: &ModelServer) {
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--max-cycles", "2"]).args(model(server));
    run(&mut command).expect_code(1);
}

/// What the second cycle began on, by its row.
fn base(project: &Project) -> String {
    project.query("SELECT base_commit FROM cycles WHERE cycle_number = 2")
}

#[test]
fn after_an_undo_planners_do_not_see_what_was_taken_back() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let begin = project.git(&["rev-parse", "main"]);
    let server = ModelServer::start(script(looker("b.txt", "does not exist"), &[&begin])).unwrap();
    start(&project, &server);
    assert_ne!(base(&project), begin);
    let id: String = project.query("SELECT run_id FROM runs");
    call_program(&project, &["undo", &id]).expect_code(0);
    run(&mut resume(&project)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(base(&project), begin);
    project.assert_sound();
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "a.txt\nd.txt\ne.txt");
}

#[test]
fn after_an_undo_by_a_commit_they_do_not_either() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(script(looker("b.txt", "does not exist"), &[])).unwrap();
    start(&project, &server);
    // Somebody has it, as far as is known here.
    project.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    let id: String = project.query("SELECT run_id FROM runs");
    call_program(&project, &["undo", &id]).expect_code(0);
    let reverted = project.git(&["rev-parse", "main"]);
    run(&mut resume(&project)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(base(&project), reverted);
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "a.txt\nd.txt\ne.txt");
}

#[test]
fn what_a_person_added_is_seen_by_planners_and_is_no_work_of_the_cycles() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(script(looker("mine.txt", "all mine"), &[])).unwrap();
    start(&project, &server);
    project.write(&[("mine.txt", "all mine\n")]);
    project.git(&["add", "mine.txt"]);
    project.git(&["commit", "--quiet", "--message", "Mine"]);
    let mine = project.git(&["rev-parse", "main"]);
    run(&mut resume(&project)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(base(&project), mine);
}

#[test]
fn a_cycle_that_has_landed_something_keeps_its_beginning() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let begin = project.git(&["rev-parse", "main"]);
    let broken = Rule::judge(&[]).fail_first(3, 400, None);
    let server = ModelServer::start(Script::new([
        plan_when(&[], &["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        broken.turn(submit_verdict("stop", true, "All is there.")),
    ]))
    .unwrap();
    start(&project, &server);
    run(&mut resume(&project)).expect_code(0);
    let base: String = project.query("SELECT base_commit FROM cycles");
    assert_eq!(base, begin, "the judge is shown what the cycle has done");
}
