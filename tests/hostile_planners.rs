//! Components that misbehave: each costs its own domain, never the run.

use std::path::PathBuf;

use model_server::{ModelServer, Rule, Script};

use crate::program::{Ended, bare, hostile_component, model, plugins_with, run};
use crate::project::Project;
use crate::scripts::{content_judge, plan, writer};

/// The default plugins, but for a sub-planner that misbehaves where its
/// domain's name says so.
fn plugins_with_hostile_planner(project: &Project, limits: &str) -> PathBuf {
    let hostile = format!(
        "[plugins.hostile]\ncomponent = \"{}\"\nrole = \"sub-planner\"\n\
         [plugins.hostile.limits]\n{limits}\n",
        hostile_component().display()
    );
    plugins_with(project, &["main-planner", "worker", "judge"], &hostile)
}

/// Runs a cycle with a good domain and one of this name.
fn run_with(name: &str, limits: &str) -> (Project, Ended) {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["good", name]),
        writer("Add good", "good.txt", "good\n"),
        Rule { contains: vec![name.to_owned()], ..content_judge() },
    ]))
    .unwrap();
    let mut command = bare(&project);
    command.arg("--plugins").arg(plugins_with_hostile_planner(&project, limits));
    command.args(["--goal", "Add", "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    (project, ended)
}

#[track_caller]
fn assert_named_and_survived(name: &str, reason: &str) {
    assert_survived_with("memory-mib = 32\ncompute-milliseconds = 200", name, reason);
}

#[track_caller]
fn assert_survived_with(limits: &str, name: &str, reason: &str) {
    let (project, ended) = run_with(name, limits);
    project.assert_sound();
    assert_eq!(project.read("good.txt"), "good\n", "the other domain's work landed");
    let events = ended.events();
    let failed = events
        .iter()
        .find(|event| event["event"] == "planner-failed")
        .expect("the failure is told");
    assert_eq!(failed["domain"], name);
    let error = failed["error"].as_str().unwrap();
    assert!(
        error.contains("plugin `hostile` (role sub-planner)") && error.contains(reason),
        "{error}"
    );
}

#[test]
fn a_trap_costs_its_domain() {
    assert_named_and_survived("trap", "unreachable");
}

#[test]
fn an_endless_loop_is_ended() {
    assert_named_and_survived("loop", "computed for more than 200 ms");
}

#[test]
fn four_gibibytes_are_refused() {
    assert_named_and_survived("memory", "its limit is 32 MiB");
}

#[test]
fn an_endless_recursion_is_ended() {
    assert_named_and_survived("recursion", "call stack exhausted");
}

#[test]
fn an_error_is_told_as_it_is() {
    assert_named_and_survived("error", "this domain asks for an error");
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let limits = "call-seconds = 1\ncompute-milliseconds = 60000";
    assert_survived_with(limits, "loop", "took longer than 1 s");
}
