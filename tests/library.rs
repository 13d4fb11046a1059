//! The library as an embedding program calls it.

use code_agent::lm::Secret;
use code_agent::{Error, Options, hierarchical_code_agent};
use model_server::{ModelServer, Script};

use crate::program::default_plugins;
use crate::project::Project;
use crate::scripts::b_and_c;

fn options(project: &Project, server: &ModelServer) -> Options {
    let mut options = Options::new("Write", project.path());
    options.lm = "openai:scripted".into();
    options.api_base = Some(server.base_url());
    options.api_key = Secret::new("sk-never-shown");
    options.plugins = vec![default_plugins()];
    options.cache = Some(project.beside("cache"));
    options.max_workers = 2;
    options
}

#[tokio::test]
async fn a_run_returns_its_cycles() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(b_and_c()).unwrap();
    let cycles = hierarchical_code_agent(options(&project, &server)).await.unwrap();
    assert_eq!(cycles.len(), 1);
    let cycle = &cycles[0];
    assert_eq!((cycle.cycle_number, cycle.tasks_completed, cycle.tasks_failed), (1, 2, 0));
    assert!(!cycle.continue_next_cycle && cycle.goal_met);
    assert_eq!(cycle.judge_reasoning, "Read it: it is there.");
    assert_eq!(project.read("b.txt"), "b\n");
    let stored: String = project.query("SELECT options FROM runs");
    assert!(!stored.contains("sk-never-shown"), "the key is not stored");
}

#[tokio::test]
async fn wrong_options_are_an_error_and_change_nothing() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::default()).unwrap();
    let before = project.fingerprint();
    let mut options = options(&project, &server);
    options.goal = " ".into();
    let error = hierarchical_code_agent(options).await.unwrap_err();
    assert!(matches!(&error, Error::Usage(sentence) if sentence.contains("goal")), "{error}");
    assert_eq!(project.fingerprint(), before);
}
