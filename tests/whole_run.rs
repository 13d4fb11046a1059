//! A whole run from a goal to landed commits, and what people see of it.

use model_server::{ModelServer, Rule, Script, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{code_agent, model, run};
use crate::project::Project;
use crate::scripts::{
    content_judge, domain, edit, plan, plan_when, spawn, task, write_file, writer,
};

/// Two domains, one of them split further, two cycles.
fn two_cycles() -> Script {
    let split = {
        let (name, arguments) = spawn("numbers");
        let (task_name, task_arguments) = task("Write words", "words.txt", "high");
        let mut turn = call(name, arguments);
        turn.calls.extend(call(task_name, task_arguments).calls);
        turn.calls
            .extend(call("submit_plan", json!({ "overview": "Words, and numbers apart." })).calls);
        Rule::sub_planner(&["Domain: texts\n", "Depth: 1"]).turn(turn)
    };
    let looks_then_plans = Rule::main_planner(&["Cycle: 1 of 3"])
        .turn(call("get_directory_structure", json!({})))
        .turn(plan(&["texts", "greetings"]).turns.remove(0).expects(&["greeting.txt"]));
    Script::new([
        looks_then_plans,
        plan_when(&["Cycle: 2 of 3"], &["rest", "more"]),
        split,
        domain("numbers", &[("Write one", "one.txt"), ("Write two", "two.txt")]),
        domain("greetings", &[("Greet the world", "greeting.txt")]),
        domain("rest", &[("Write three", "three.txt")]),
        domain("more", &[("Write four", "four.txt")]),
        writer("Write words", "words.txt", "some words\n"),
        writer("Write one", "one.txt", "1\n"),
        writer("Write two", "two.txt", "2\n"),
        writer("Write three", "deep/er/three.txt", "3\n"),
        writer("Write four", "four.txt", "4\n"),
        Rule::worker(&["Task: Greet the world\n"])
            .turn(call("read_file_content", json!({ "path": "greeting.txt" })))
            .turn(edit("greeting.txt", "hello", "hello, world").expects(&["hello"]))
            .turn(finish_task("It greets the world.")),
        Rule::judge(&["Cycle: 1 of 3"])
            .turn(call("read_file_content", json!({ "path": "one.txt" })))
            .turn(submit_verdict("continue", false, "Three and four are missing.").expects(&["1"])),
        Rule::judge(&["Cycle: 2 of 3"]).turn(submit_verdict("stop", true, "All is there.")),
    ])
}

#[test]
fn a_goal_becomes_commits_over_two_cycles() {
    let project = Project::new(&[("greeting.txt", "hello\n"), ("AGENTS.md", "Be brief.\n")]);
    let server = ModelServer::start(two_cycles()).unwrap();
    let mut command = code_agent(&project);
    command
        .args(["--goal", "Write it all", "--max-cycles", "3", "--max-workers", "4"])
        .args(model(&server));
    let ended = run(&mut command).expect_code(0);

    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("greeting.txt"), "hello, world\n");
    assert_eq!(project.read("deep/er/three.txt"), "3\n");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "7");
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 6);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM cycles"), 2);
    assert_eq!(
        project.query::<u32>("SELECT sub_planners_spawned FROM cycles WHERE cycle_number = 1"),
        3
    );
    let deepest: String = project.query("SELECT domain FROM planners WHERE depth = 2");
    assert_eq!(deepest, "numbers");

    assert!(ended.stdout.contains("continue: Three and four are missing."), "{}", ended.stdout);
    assert!(ended.stdout.contains("stop, the goal is met: All is there."), "{}", ended.stdout);
    assert!(ended.stdout.contains("Greet the world"), "{}", ended.stdout);
    let told =
        server.requests().iter().all(|request| request.first_user_message.contains("Be brief."));
    assert!(told, "AGENTS.md goes into every brief");
}

#[test]
fn each_completed_task_has_its_commit_with_its_trailers() {
    let project = Project::new(&[("greeting.txt", "hello\n")]);
    let server = ModelServer::start(two_cycles()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write it all", "--max-cycles", "3"]).args(model(&server));
    run(&mut command).expect_code(0);

    let connection =
        rusqlite::Connection::open(project.path().join(".code-agent/code_agent_tasks.db")).unwrap();
    let mut query = connection.prepare("SELECT id, title, commit_id FROM tasks").unwrap();
    let tasks = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let tasks: Vec<(String, String, String)> = tasks.map(Result::unwrap).collect();
    assert_eq!(tasks.len(), 6);
    for (id, title, commit) in tasks {
        let format = "--format=%s|%an|%(trailers:key=Code-Agent-Task,valueonly)";
        let shown = project.git(&["show", "--no-patch", format, &commit]);
        assert_eq!(shown, format!("{title}|code-agent|{id}"));
        project.git(&["merge-base", "--is-ancestor", &commit, "main"]);
    }
}

#[test]
fn json_lines_tell_the_whole_story() {
    let project = Project::new(&[("greeting.txt", "hello\n")]);
    let server = ModelServer::start(two_cycles()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write it all", "--max-cycles", "3", "--json"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);

    let events = ended.events();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(events.first().unwrap()["event"], "run-started");
    assert_eq!(events.last().unwrap()["outcome"], "goal-met");
    assert_eq!((count("task-completed"), count("landed"), count("cycle-ended")), (6, 6, 2));
    assert!(
        events.windows(2).all(|pair| pair[0]["sequence"].as_i64() < pair[1]["sequence"].as_i64())
    );
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!all.contains("sk-never-shown"), "the key is shown nowhere");
}

#[test]
fn cycles_that_are_used_up_have_their_own_exit_code() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&[]).turn(submit_verdict("continue", false, "There is always more.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-cycles", "1"]).args(model(&server));
    run(&mut command).expect_code(3);
    project.assert_sound();
    assert_eq!(project.read("b.txt"), "b\n");
}

#[test]
fn a_judge_that_gives_up_is_a_failure() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&[]).turn(submit_verdict("stop", false, "This can't be done.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    let ended = run(&mut command).expect_code(1);
    assert!(
        ended.stdout.contains("stop, the goal is not met: This can't be done."),
        "{}",
        ended.stdout
    );
}

#[test]
fn without_commits_the_changes_are_left_in_the_working_tree() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let before = project.git(&["rev-parse", "main"]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Change a", "a.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Change a", "a.txt", "A\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--no-auto-commit"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), before, "the branch has not moved");
    assert_eq!(project.git(&["status", "--porcelain"]), "M a.txt\n?? b.txt");
    assert_eq!(project.read("a.txt"), "A\n");
}

#[test]
fn workers_start_while_others_still_plan() {
    let project = Project::new(&[("a.txt", "a\n")]);
    // The slow planner and the fast one's worker answer only together.
    let slow = domain("slow", &[("Write c", "c.txt")]);
    let slow = Rule { turns: vec![slow.turns[0].clone().barrier("together", 2)], ..slow };
    let server = ModelServer::start(Script::new([
        plan(&["fast", "slow"]),
        domain("fast", &[("Write b", "b.txt")]),
        slow,
        Rule::worker(&["Task: Write b\n"])
            .turn(write_file("b.txt", "b\n").barrier("together", 2))
            .turn(finish_task("Done.")),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
}
