//! Runs that a person stops, and what else may not begin meanwhile.

use std::fs;
use std::process::Command;
use std::time::Duration;

use model_server::{ModelServer, Options, Rule, Script, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{code_agent, code_agent_at, model, resume, resume_at, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, write_file, writer};
use crate::watched::Watched;

/// Longer than a test's own patience, so that a held worker is never let go.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Two tasks: one lands, and where `held`, the other's worker gets no answer.
fn script(held: bool) -> Script {
    let second = if held {
        Rule::worker(&["Task: Write c\n"])
            .turn(call("list_files_recursive", json!({})).barrier("nobody else comes", 2))
    } else {
        writer("Write c", "c.txt", "c\n")
    };
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        second,
        content_judge(),
    ])
}

/// A run in which one task has landed and the other is held.
struct Held {
    project: Project,
    program: Watched,
    _server: ModelServer,
}

impl Held {
    fn new(json: bool) -> Self {
        Self::on(Project::new(&[("a.txt", "a\n"), ("below/d.txt", "d\n")]), json)
    }

    fn on(project: Project, json: bool) -> Self {
        let options = Options { longest_wait: FOR_EVER, ..Options::default() };
        let server = ModelServer::start_with(script(true), options).unwrap();
        let mut command = code_agent(&project);
        command.args(["--goal", "Write", "--max-workers", "2"]).args(model(&server));
        if json {
            command.arg("--json");
        }
        let mut program = Watched::start(&mut command);
        if json {
            let (mut begun, mut done) = (false, false);
            while !(begun && done) {
                let event = program.next_event().expect("the run ended early");
                begun |= event["event"] == "attempt-started" && event["title"] == "Write c";
                done |= event["event"] == "task-completed";
            }
        } else {
            program.until_said(": Write c");
            program.until_said("done: Write b");
        }
        Self { project, program, _server: server }
    }
}

/// Goes on with a server that holds nobody.
fn resume_freely(project: &Project) -> (Command, ModelServer) {
    let server = ModelServer::start(script(false)).unwrap();
    let mut command = resume(project);
    command.args(model(&server));
    (command, server)
}

fn assert_resumes(project: &Project) {
    let (mut command, server) = resume_freely(project);
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!((project.read("b.txt"), project.read("c.txt")), ("b\n".into(), "c\n".into()));
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "3");
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
}

/// What a run leaves behind that was stopped in order.
fn assert_stopped(project: &Project) {
    assert_eq!(project.read("b.txt"), "b\n", "what had landed is on the branch");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    let pending = "SELECT title FROM tasks WHERE status = 'pending' AND lease_expires_at IS NULL";
    assert_eq!(project.query::<String>(pending), "Write c");
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'in_progress'"), 0);
    assert_eq!(project.query::<String>("SELECT outcome FROM runs"), "interrupted");
    let checkouts = fs::read_dir(project.beside("cache/code-agent/checkouts")).unwrap();
    assert_eq!(checkouts.count(), 0, "no checkout stays behind");
}

#[test]
fn one_interrupt_stops_the_run_in_order() {
    let Held { project, mut program, _server } = Held::new(true);
    program.signal("INT");
    program.until_event("stopping", "");
    let ended = program.ended().expect_code(130);
    let events = ended.events();
    assert_eq!(events.last().unwrap()["outcome"], "interrupted");
    // Large checkouts keep nobody's branch waiting.
    let at = |kind: &str| events.iter().position(|event| event["event"] == kind).unwrap();
    assert!(at("branch") < at("checkouts"));
    assert_stopped(&project);
    assert_resumes(&project);
}

#[test]
fn a_termination_does_the_same_and_says_so() {
    let Held { project, mut program, _server } = Held::new(false);
    program.signal("TERM");
    program.until_said("stopping: waiting for what is landing; once more stops at once");
    program.ended().expect_code(130);
    assert_stopped(&project);
    assert_resumes(&project);
}

#[test]
fn a_second_interrupt_ends_the_program_at_once() {
    let Held { project, mut program, _server } = Held::new(true);
    // The end of a run looks at all working trees, and this one never answers.
    let linked = project.path().join(".git/worktrees/held");
    fs::create_dir_all(&linked).unwrap();
    assert!(Command::new("mkfifo").arg(linked.join("HEAD")).status().unwrap().success());
    program.signal("INT");
    program.until_event("stopping", "");
    program.signal("INT");
    let ended = program.ended().expect_code(130);
    assert_ne!(ended.events().last().unwrap()["event"], "run-ended", "it did not end in order");
    fs::remove_dir_all(&linked).unwrap();
    assert_resumes(&project);
}

#[test]
fn a_second_host_is_told_who_is_at_work() {
    let project = Project::new(&[("a.txt", "a\n"), ("below/d.txt", "d\n")]);
    let linked = project.beside("linked");
    project.git(&["worktree", "add", "--quiet", "-b", "other", linked.to_str().unwrap()]);
    let Held { project, program, _server } = Held::on(project, true);
    let database = project.path().join(".code-agent/code_agent_tasks.db");
    let run_id: String = project.query("SELECT run_id FROM runs");
    let who = format!("process {}, run {run_id}", program.id());
    let before = project.fingerprint();
    for root_path in [project.path(), project.path().join("below"), linked] {
        let server = ModelServer::start(Script::default()).unwrap();
        let mut another = code_agent_at(&project, &root_path);
        another.args(["--goal", "Other"]).args(model(&server));
        let mut again = resume_at(&project, &root_path);
        again.arg("--database").arg(&database);
        for mut command in [another, again] {
            let ended = run(&mut command).expect_code(1);
            assert!(ended.stderr.contains(&who), "{}", ended.stderr);
        }
        assert!(!root_path.join(".code-agent").exists() || root_path == project.path());
    }
    assert_eq!(project.fingerprint(), before);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM runs"), 1);
    program.kill();
    assert_resumes(&project);
}

#[test]
fn flags_override_the_options_of_the_first_call() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&[]).turn(write_file("b.txt", "b\n")).turn(finish_task("Done.")),
        Rule::judge(&["Cycle: 1 of 1"]).turn(submit_verdict("continue", false, "More.")),
        Rule::judge(&["Cycle: 2 of 2"]).turn(submit_verdict("stop", true, "Enough.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-cycles", "1"]).args(model(&server));
    run(&mut command).expect_code(3);
    run(&mut resume(&project)).expect_code(3);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM cycles"), 1, "no cycle is left");
    run(resume(&project).args(["--max-cycles", "2"])).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.query::<u32>("SELECT count(*) FROM cycles"), 2);
}

#[test]
fn a_run_whose_goal_is_met_does_not_go_on() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(script(false)).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    run(&mut command).expect_code(0);
    let run_id: String = project.query("SELECT run_id FROM runs");
    let before = project.fingerprint();
    let ended = run(&mut resume(&project)).expect_code(2);
    assert!(ended.stderr.contains("no run to go on with"), "{}", ended.stderr);
    let ended = run(resume(&project).arg(&run_id)).expect_code(2);
    assert!(ended.stderr.contains(&format!("goal of run {run_id} is met")), "{}", ended.stderr);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn a_dirty_tree_is_refused_and_a_commit_of_it_is_kept() {
    let Held { project, program, _server } = Held::new(true);
    program.signal("INT");
    program.ended().expect_code(130);
    project.write(&[("a.txt", "mine\n")]);
    let (mut command, _server) = resume_freely(&project);
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("(a.txt)"), "{}", ended.stderr);
    assert_eq!(project.read("a.txt"), "mine\n");

    project.git(&["commit", "--quiet", "--all", "--message=Mine"]);
    let (mut command, _server) = resume_freely(&project);
    run(&mut command).expect_code(0);
    // The run goes on from what was added to its branch, so that this follows.
    project.assert_sound();
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!((project.read("a.txt"), project.read("c.txt")), ("mine\n".into(), "c\n".into()));
}
