//! Several plugins for one role: judges are all asked, of other roles one is
//! named.

use std::path::PathBuf;

use model_server::{ModelServer, Script};

use crate::program::{bare, default_plugins, model, plugins_with, run, umpire_component};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, writer};

/// Judges without a model, each with what it decides.
fn judges(project: &Project, verdicts: &[(&str, &str)]) -> PathBuf {
    let component = umpire_component();
    let entry = |(name, verdict): &(&str, &str)| {
        format!(
            "[plugins.{name}]\ncomponent = \"{}\"\nrole = \"judge\"\nsettings.verdict = \"{verdict}\"\n",
            component.display()
        )
    };
    let entries: String = verdicts.iter().map(entry).collect();
    plugins_with(project, &["main-planner", "sub-planner", "worker"], &entries)
}

fn server() -> ModelServer {
    let rules = [
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write c", "c.txt", "c\n"),
        writer("Write b", "b.txt", "b\n"),
        content_judge(),
    ];
    ModelServer::start(Script::new(rules)).unwrap()
}

/// One cycle with these judges; returns what they said.
fn judged(verdicts: &[(&str, &str)], flags: &[&str], code: i32) -> String {
    let project = Project::new(&[("notes.txt", "the notes\n")]);
    let plugins = judges(&project, verdicts);
    let mut command = bare(&project);
    command.arg("--plugins").arg(plugins).args(["--goal", "Write", "--max-cycles", "1"]);
    let server = server();
    run(command.args(model(&server)).args(flags)).expect_code(code);
    assert_eq!(project.read("notes.txt"), "the notes\n");
    project.query("SELECT judge_reasoning FROM cycles")
}

#[test]
fn all_judges_are_asked_and_one_can_go_on() {
    let said = judged(&[("lenient", "goal met"), ("strict", "go on")], &[], 3);
    assert_eq!(
        said,
        "lenient says: stop, the goal is met. Saw 2 tasks and the notes.\n\n\
         strict says: go on. Saw 2 tasks and the notes."
    );
    let said = judged(&[("one", "goal met"), ("two", "goal met")], &[], 0);
    assert!(said.starts_with("one says: stop") && said.contains("two says: stop"), "{said}");
    let said = judged(&[("one", "goal met"), ("two", "stop")], &[], 1);
    assert!(said.contains("two says: stop, the goal is not met."), "{said}");
}

#[test]
fn a_judge_that_fails_does_not_have_the_others_asked_again() {
    let project = Project::new(&[("notes.txt", "the notes\n")]);
    let plugins = judges(&project, &[("broken", "fail"), ("content", "goal met")]);
    let server = server();
    let mut command = bare(&project);
    command.arg("--plugins").arg(plugins).args(["--goal", "Write"]).args(model(&server));
    let ended = run(&mut command).expect_code(1);
    assert!(ended.stderr.contains("plugin `broken` (role judge) gave up: unavailable"));
    let transcript = std::fs::read_to_string(crate::replay::transcript(&project)).unwrap();
    let asked = |judge: &str| transcript.matches(&format!("\"agent\":\"judge-{judge}\"")).count();
    assert_eq!((asked("broken"), asked("content")), (3, 1));
}

#[test]
fn a_judge_that_fails_does_not_silence_one_that_says_to_go_on() {
    let said = judged(&[("broken", "fail"), ("strict", "go on")], &[], 3);
    assert!(said.starts_with("strict says: go on. Saw 2 tasks and the notes.\n\n"), "{said}");
    assert!(said.contains("broken failed: plugin `broken` (role judge) gave up"), "{said}");
}

#[test]
fn a_judge_finds_nothing_that_another_has_left() {
    let project = Project::new(&[("notes.txt", "the notes\n"), (".gitignore", "ignored\n")]);
    let verdicts = [
        ("one", "goal met\"\nsettings.leaves = \"yes"),
        ("two", "goal met\"\nsettings.leaves = \"yes"),
    ];
    let plugins = judges(&project, &verdicts);
    let server = server();
    let mut command = bare(&project);
    command.arg("--plugins").arg(plugins).args(["--goal", "Write"]).args(model(&server));
    run(&mut command).expect_code(0);
    let said: String = project.query("SELECT judge_reasoning FROM cycles");
    assert_eq!(said.matches("Found: \"\"").count(), 2, "{said}");
}

#[test]
fn judges_can_be_named() {
    let verdicts = [("lenient", "goal met"), ("strict", "go on")];
    let said = judged(&verdicts, &["--role", "judge=lenient"], 0);
    assert_eq!(said, "Saw 2 tasks and the notes.");
}

/// Two workers: one that works, and one that has no memory to begin with.
fn workers(project: &Project) -> PathBuf {
    let component = default_plugins().join("worker/worker.wasm");
    let entry = |name: &str, limits: &str| {
        format!(
            "[plugins.{name}]\ncomponent = \"{}\"\nrole = \"worker\"\n{limits}\n",
            component.display()
        )
    };
    let entries = entry("careful", "") + &entry("tiny", "limits.memory-mib = 1");
    plugins_with(project, &["main-planner", "sub-planner", "judge"], &entries)
}

#[test]
fn of_several_workers_one_is_named() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let plugins = workers(&project);
    let call = |flags: &[&str], code: i32| {
        let mut command = bare(&project);
        let server = server();
        command.arg("--plugins").arg(&plugins).args(["--goal", "Write"]).args(model(&server));
        run(command.args(flags)).expect_code(code).stderr
    };
    let before = project.fingerprint();
    let said = call(&[], 2);
    assert!(said.contains("the plugins careful, tiny fill the role worker"), "{said}");
    assert!(said.contains("--role worker=careful"), "{said}");
    let said = call(&["--role", "worker=fast"], 2);
    assert!(said.contains("`fast` is no worker; there are careful, tiny"), "{said}");
    let said = call(&["--role", "wroker=careful"], 2);
    assert!(said.contains("did you mean `worker`?"), "{said}");
    assert_eq!(project.fingerprint(), before, "nothing has changed");
    call(&["--role", "worker=careful"], 0);
    assert_eq!(project.read("b.txt"), "b\n");
}
