//! The user's check: what is red does not land, and the judge hears of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{code_agent, model, resume, run};
use crate::project::Project;
use crate::replay::{assert_replays_with, transcript};
use crate::scripts::{content_judge, domain, plan, write_file, writer};

/// Green while `good.txt` says so and no file is called `bad.txt`.
/// What is ignored would turn it green, if a worker's ever got there.
const CHECK: &str = "echo looked; test -e cache || { test ! -e bad.txt && grep -q good good.txt; }";

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

/// Two tasks whose changes are green alone and red together, and the check that
/// says so. Each check of one waits until the other's has begun, so that neither
/// sees the other's work.
struct Halves {
    project: Project,
    together: PathBuf,
    check: String,
}

impl Halves {
    /// None on a machine with one core, where one check is over before the next one
    /// begins: there nothing lands unseen beside another.
    fn new() -> Option<Self> {
        if std::thread::available_parallelism().map_or(1, usize::from) == 1 {
            println!("left out: with one core, no check runs beside another");
            return None;
        }
        let project = Project::new(&[("good.txt", "good\n")]);
        let together = project.beside("together");
        fs::create_dir(&together).unwrap();
        let check = format!(
            "if test -e b.txt && test -e c.txt; then echo b and c; exit 1; fi; \
             if ! test -e b.txt && ! test -e c.txt; then exit 0; fi; \
             touch {0}/$(ls b.txt c.txt 2>/dev/null); while ! test -e {0}/b.txt || ! test -e {0}/c.txt; do sleep 0.01; done",
            together.display()
        );
        Some(Self { project, together, check })
    }

    fn half(title: &str, file: &str) -> Rule {
        Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 1"])
            .turn(write_file(file, "x\n"))
            .turn(finish_task("Done.").barrier("both are done", 2))
    }

    fn command(&self, server: &ModelServer) -> Command {
        let mut command = code_agent(&self.project);
        command.args(["--goal", "Write", "--max-workers", "2", "--check", &self.check]);
        command.arg("--allow-write").arg(&self.together).args(model(server));
        command
    }
}

#[test]
fn two_that_are_green_alone_and_red_together_are_found_at_the_cycles_end() {
    let Some(halves) = Halves::new() else { return };
    let server = ModelServer::start(script([
        Halves::half("Write b", "b.txt"),
        Halves::half("Write c", "c.txt"),
        Rule::judge(&["FAILED", "b and c"]).turn(submit_verdict("stop", false, "It is red.")),
    ]))
    .unwrap();
    let ended = run(&mut halves.command(&server)).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    let project = halves.project;
    project.assert_sound();
    assert!(ended.stderr.contains("the check is RED on"), "{}", ended.stderr);
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
}

#[test]
fn what_is_red_at_the_cycles_end_is_rolled_back_and_kept() {
    let Some(halves) = Halves::new() else { return };
    let server = ModelServer::start(script([
        Halves::half("Write b", "b.txt"),
        Halves::half("Write c", "c.txt"),
        Rule::judge(&["FAILED", "was rolled back from", "b and c", "- Write "])
            .turn(submit_verdict("stop", false, "One is gone again.")),
    ]))
    .unwrap();
    let ended = run(halves.command(&server).arg("--rollback")).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    let project = halves.project;
    project.assert_sound();
    assert!(ended.stderr.contains("ROLLED BACK from"), "{}", ended.stderr);
    let files = project.git(&["ls-tree", "--name-only", "main"]);
    assert_eq!(files.lines().count(), 2, "one of them is there: {files}");
    // The working tree came along, and nothing is lost.
    assert_eq!(project.git(&["rev-parse", "HEAD"]), project.git(&["rev-parse", "main"]));
    let kept = project.git(&["for-each-ref", "--format=%(refname)", "refs/code-agent/rolled-back"]);
    assert_eq!(
        project.git(&["rev-parse", &format!("{kept}^")]),
        project.git(&["rev-parse", "main"])
    );
    assert_eq!(project.git(&["ls-tree", "--name-only", &kept]), "b.txt\nc.txt\ngood.txt");
    // The judge was told which one it is.
    let gone = project.git(&["rev-parse", &kept]);
    let told = format!("taken back because the check was red\\n\\n- {gone}");
    let transcript = fs::read_to_string(transcript(&project)).unwrap();
    assert!(transcript.contains(&told), "{told}");
}

#[test]
fn one_red_by_chance_costs_nobody_its_work() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let seen = project.beside("seen");
    fs::create_dir(&seen).unwrap();
    // Green before the last one lands, red at the cycle's end, and green ever after.
    let check = format!(
        "test -e b.txt && test -e c.txt || exit 0; cd {}; \
         test -e landed || {{ touch landed; exit 0; }}; test -e failed || {{ touch failed; exit 1; }}",
        seen.display()
    );
    let server = ModelServer::start(script([
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["The user's check", "passed", "seems to fail by chance"])
            .turn(submit_verdict("stop", true, "It is green.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1", "--rollback", "--check", &check]);
    run(command.arg("--allow-write").arg(&seen).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert!(seen.join("failed").exists(), "it was red once");
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "b.txt\nc.txt\ngood.txt");
    assert!(!project.git(&["for-each-ref"]).contains("rolled-back"));
}

#[test]
fn one_red_by_chance_in_the_search_for_the_culprit_costs_nobody_else_its_work() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let seen = project.beside("seen");
    fs::create_dir(&seen).unwrap();
    // All three are red together once they have landed; the first alone is so once.
    let check = format!(
        "n=$(ls b.txt c.txt d.txt 2>/dev/null | wc -l); cd {}; \
         if test $n = 3; then test -e landed && exit 1; touch landed; fi; \
         if test $n = 1 && test -e landed && ! test -e failed; then touch failed; exit 1; fi",
        seen.display()
    );
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt"), ("Write c", "c.txt")]),
        domain("two", &[("Write d", "d.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        writer("Write d", "d.txt", "d\n"),
        Rule::judge(&["FAILED", "was rolled back from"]).turn(submit_verdict(
            "stop",
            false,
            "One is gone again.",
        )),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1", "--rollback", "--check", &check]);
    run(command.arg("--allow-write").arg(&seen).args(model(&server))).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert!(seen.join("failed").exists(), "it was red once");
    let files = project.git(&["ls-tree", "--name-only", "main"]);
    assert_eq!(files.lines().count(), 3, "good.txt and two of them: {files}");
}

#[test]
fn a_checkers_setup_that_fails_once_is_tried_again_in_a_fresh_slot() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let seen = project.beside("seen");
    fs::create_dir(&seen).unwrap();
    // The first one prepares the worker's slot, the second one the checker's.
    let setup = format!(
        "echo setup >> {0}/setups; test $(wc -l < {0}/setups) != 2 || {{ echo no network; exit 1; }}",
        seen.display()
    );
    let server = ModelServer::start(script([
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1", "--check", CHECK, "--setup", &setup]);
    run(command.arg("--allow-write").arg(&seen).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1, "nothing was red");
    assert!(fs::read_to_string(seen.join("setups")).unwrap().lines().count() > 2);
}

#[test]
fn what_a_person_added_is_not_rolled_back() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let server = ModelServer::start(script([
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["Nothing was rolled back"]).turn(submit_verdict("stop", false, "Red.")),
        // Before, the judge is not to be had, so that the run fails.
        Rule::judge(&["passed"]).fail_first(3, 400, None),
    ]))
    .unwrap();
    let check = ["--rollback", "--check", "test ! -e mine.txt"];
    let mut command = code_agent(&project);
    run(command.args(["--goal", "Write"]).args(check).args(model(&server))).expect_code(1);
    project.write(&[("mine.txt", "mine\n")]);
    project.git(&["add", "mine.txt"]);
    project.git(&["commit", "--quiet", "--message", "Mine"]);
    run(resume(&project).args(check)).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("mine.txt"), "mine\n");
}

#[test]
fn a_branch_that_was_red_from_the_start_is_not_rolled_back() {
    let project = Project::new(&[("good.txt", "good\n")]);
    // Nothing lands while it is red, so the check has to be of the branch alone.
    let seen = project.beside("seen");
    fs::create_dir(&seen).unwrap();
    let check = format!(
        "test -e {0}/done && exit 1; test -e c.txt && test -e b.txt && touch {0}/done; exit 0",
        seen.display()
    );
    let server = ModelServer::start(script([
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["was red on"]).turn(submit_verdict("stop", false, "Red.")),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1", "--rollback", "--check", &check]);
    run(command.arg("--allow-write").arg(&seen).args(model(&server))).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "b.txt\nc.txt\ngood.txt");
}

#[test]
fn with_a_strict_check_the_branch_never_goes_red() {
    let project = Project::new(&[("good.txt", "good\n"), (".gitignore", "*.tmp\n")]);
    let titles: Vec<String> = (0..8).map(|number| format!("Write f{number}")).collect();
    let tasks: Vec<(&str, &str)> = titles.iter().map(|title| (title.as_str(), "*")).collect();
    let mut rules =
        vec![plan(&["one", "two"]), domain("one", &tasks[..4]), domain("two", &tasks[4..])];
    for (number, title) in titles.iter().enumerate() {
        // Two of the eight are red together, and one is red alone.
        let file = match number {
            2 | 5 => format!("half{number}"),
            6 => "bad".to_owned(),
            _ => format!("f{number}"),
        };
        rules.push(
            Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 1"])
                .turn(write_file(&file, "x\n"))
                .turn(finish_task("Done.").barrier("all are done", 8)),
        );
        rules.push(
            Rule::worker(&[&format!("Task: {title}\n"), "was red on what would have landed"])
                .turn(write_file(&format!("f{number}"), "x\n"))
                .turn(finish_task("Done otherwise.")),
        );
    }
    rules.push(content_judge());
    let server = ModelServer::start(Script::new(rules)).unwrap();
    let check = "test ! -e bad && ! { test -e half2 && test -e half5; }";
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "8", "--json"]);
    command.args(["--check", check, "--check-strict"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    let mut most = 0;
    for commit in project.git(&["rev-list", "main"]).lines() {
        let files = project.git(&["ls-tree", "--name-only", commit]);
        let halves = files.lines().filter(|file| file.starts_with("half")).count();
        assert!(halves < 2 && !files.lines().any(|file| file == "bad"), "{files}");
        most = most.max(files.lines().count());
    }
    assert_eq!(most, 2 + 8, "every task has landed in the end");
    let refused = ended
        .events()
        .iter()
        .filter(|event| event["event"] == "checked" && event["passed"] == false)
        .count();
    assert_eq!(refused, 2, "one of the halves, and the bad one, once each");
    // What was red is red again, whoever waits for whom.
    assert_replays_with(&project, &["--check", check, "--check-strict"]);
    assert_replays_with(&project, &["--check", check]);
}

#[test]
fn strict_and_rollback_need_a_check() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let server = ModelServer::start(Script::default()).unwrap();
    for option in ["--check-strict", "--rollback"] {
        let mut command = code_agent(&project);
        let ended = run(command.args(["--goal", "Write", option]).args(model(&server)));
        assert!(ended.expect_code(2).stderr.contains("--check COMMAND"));
    }
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
