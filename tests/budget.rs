//! Runs with a budget: it is never passed, its end is in order, and a run that
//! has used it up goes on with a higher one.

use std::process::Command;

use model_server::{Fault, ModelServer, Rule, Script, finish_task};
use rusqlite::Connection;

use crate::program::{Ended, bare, code_agent, default_plugins, model, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, writer};
use crate::watched::Watched;

/// Bounds each answer at 500 tokens, so that a small budget is enough for a
/// few requests; `more` is added to it.
fn configure(project: &Project, more: &str) {
    let folder = project.beside("config/code-agent");
    std::fs::create_dir_all(&folder).unwrap();
    let config = format!("[models.default]\nmax-output-tokens = 500\n{more}");
    std::fs::write(folder.join("config.toml"), config).unwrap();
}

const TASKS: [(&str, &str); 4] =
    [("Write b", "b.txt"), ("Write c", "c.txt"), ("Write d", "d.txt"), ("Write e", "e.txt")];

fn script() -> Script {
    let rules = [plan(&["one", "two"]), domain("one", &TASKS[..2]), domain("two", &TASKS[2..])];
    let writers = TASKS.iter().map(|(title, file)| writer(title, file, "done\n"));
    Script::new(rules.into_iter().chain(writers).chain([content_judge()]))
}

fn resume(project: &Project, server: &ModelServer, arguments: &[&str]) -> Ended {
    let mut command = bare(project);
    // The subcommand comes before the flags.
    let flags: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut resume = Command::new(command.get_program());
    resume.arg("resume").args(flags).args(arguments);
    resume.args(["--api-base", &server.base_url()]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => resume.env(name, value),
            None => resume.env_remove(name),
        };
    }
    command = resume;
    command.arg("--plugins").arg(default_plugins()).current_dir(project.path());
    run(&mut command)
}

fn spent(project: &Project) -> u64 {
    let tokens: i64 = project.query("SELECT sum(input_tokens + output_tokens) FROM usage");
    tokens.unsigned_abs()
}

#[test]
fn a_run_stops_at_its_tokens_and_goes_on_with_more() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(&project, "");
    let server = ModelServer::start(script()).unwrap();
    let mut limit = 14_000;
    let mut command = code_agent(&project);
    // One after the other, so that each step gets somewhere.
    command.args(["--goal", "Write", "--max-workers", "1", "--max-tokens", &limit.to_string()]);
    command.args(model(&server));
    let ended = run(&mut command).expect_code(4);
    assert!(ended.stderr.contains("--max-tokens"), "{}", ended.stderr);
    assert_eq!(project.query::<String>("SELECT outcome FROM runs"), "budget-used-up");
    let told: u32 = project.query("SELECT count(*) FROM events WHERE kind = 'budget-used-up'");
    assert_eq!(told, 1);
    assert!(server.tokens() > 0 && server.tokens() <= limit, "{} tokens", server.tokens());

    let (mut stops, mut stops_with_work) = (0, 0);
    loop {
        limit += 7_000;
        let ended = resume(&project, &server, &["--max-tokens", &limit.to_string()]);
        assert!(server.tokens() <= limit, "{} of {limit} tokens", server.tokens());
        assert!(spent(&project) >= server.tokens(), "what earlier hosts spent counts");
        if ended.code == Some(0) {
            assert!(ended.stdout.contains("main-planner"), "{}", ended.stdout);
            assert!(ended.stdout.contains("unknown"), "{}", ended.stdout);
            break;
        }
        ended.expect_code(4);
        let landed: u32 = project.query("SELECT count(*) FROM landings WHERE landed = 1");
        let commits = project.git(&["rev-list", "--count", "main"]);
        assert_eq!(commits, (1 + landed).to_string(), "the branch is brought along");
        stops_with_work += u32::from(landed > 0);
        stops += 1;
        assert!(stops < 20, "the run comes to an end");
    }
    assert!(stops_with_work > 0, "a stop keeps what has landed");
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 4);
    let attempts: u32 = project.query("SELECT max(attempt) FROM tasks");
    assert_eq!(attempts, 1, "no attempt is blamed for the budget");
}

#[test]
fn many_workers_at_once_never_pass_the_limit() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(&project, "");
    let server = ModelServer::start(script()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-tokens", "16000", "--max-workers", "50"]);
    run(command.args(model(&server))).expect_code(4);
    assert!(server.tokens() <= 16_000, "{} tokens", server.tokens());
    assert!(spent(&project) <= 16_000, "{} tokens", spent(&project));
}

#[test]
fn tries_that_broke_off_are_paid_for() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(&project, "");
    let mut script = script();
    // The server has read the request, and the stream ends in the middle.
    let turn = script.rules[0].turns.remove(0).fault(Fault::Reset(4), Some(2));
    script.rules[0].turns.push(turn);
    let server = ModelServer::start(script).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-tokens", "1000000"]);
    run(command.args(model(&server))).expect_code(0);
    let rows: u32 = project.query("SELECT count(*) FROM usage WHERE role = 'main-planner'");
    assert_eq!(rows, 3, "two tries without an answer, and the one with it");
    assert!(spent(&project) >= server.tokens(), "{} tokens", spent(&project));
}

#[test]
fn costs_are_kept_and_shown() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(&project, "[prices.scripted]\ninput = 1000\noutput = 1000\n");
    let server = ModelServer::start(script()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-cost", "14"]).args(model(&server));
    let ended = run(&mut command).expect_code(4);
    assert!(ended.stderr.contains("--max-cost"), "{}", ended.stderr);
    let cost: f64 = project.query("SELECT sum(cost_usd) FROM usage");
    assert!(cost > 0.0 && cost <= 14.0, "${cost}");
    assert!(server.tokens() <= 14_000, "{} tokens", server.tokens());

    let ended = resume(&project, &server, &["--max-cost", "1000"]).expect_code(0);
    let cost: f64 = project.query("SELECT sum(cost_usd) FROM usage");
    assert!(ended.stdout.contains(&format!("${cost:.4}")), "{}", ended.stdout);
    let tasks: u32 =
        project.query("SELECT count(DISTINCT subject) FROM usage WHERE role = 'worker'");
    assert_eq!(tasks, 4, "the tokens of each task are known");
}

#[test]
fn an_unknown_price_is_refused_before_anything_starts() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let before = project.fingerprint();
    let server = ModelServer::start(Script::default()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-cost", "1"]).args(model(&server));
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("[prices.\"scripted\"]"), "{}", ended.stderr);
    assert_eq!(project.fingerprint(), before, "nothing has changed");
    assert_eq!(server.requests().len(), 0, "no model was asked");
}

/// A run whose first request is never answered.
fn hanging(project: &Project, time: &str) -> (ModelServer, Command) {
    let held = Rule::main_planner(&[]).turn(finish_task("").barrier("never", 2));
    let server = ModelServer::start(Script::new([held])).unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--max-time", time]).args(model(&server));
    (server, command)
}

#[test]
fn the_time_ends_a_run_that_hangs() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (server, mut command) = hanging(&project, "3s");
    let ended = run(&mut command).expect_code(4);
    assert!(ended.stderr.contains("the time of 3s is used up"), "{}", ended.stderr);
    let unanswered: u32 = project.query("SELECT count(*) FROM usage WHERE role = 'unanswered'");
    // A machine may stand still for so long.
    let asked = !server.requests().is_empty();
    assert!(unanswered == 1 || !asked, "what was sent is counted");
}

#[test]
fn the_time_of_all_hosts_counts() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (_server, mut command) = hanging(&project, "1h");
    let mut program = Watched::start(command.arg("--json"));
    program.until_event("run-started", "");
    program.signal("INT");
    program.ended().expect_code(130);
    // As if it had gone on for an hour.
    let rows = Connection::open(project.path().join(".code-agent/code_agent_tasks.db")).unwrap();
    let changed = rows.execute(
        "UPDATE events SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '-1 hour')
         WHERE kind = 'run-started'",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(rows);
    let server = ModelServer::start(script()).unwrap();
    let ended = resume(&project, &server, &[]).expect_code(4);
    assert!(ended.stderr.contains("the time of 1h is used up"), "{}", ended.stderr);
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "1", "nothing was done");
    resume(&project, &server, &["--max-time", "3h"]).expect_code(0);
    project.assert_sound();
}
