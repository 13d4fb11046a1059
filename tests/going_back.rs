//! What a run has landed can be taken back, and nothing is lost by it.

use std::fs;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, submit_verdict};

use crate::program::{Ended, code_agent, model, program, run};
use crate::project::Project;
use crate::remote::Remote;
use crate::scripts::{b_and_c, domain, plan_when, writer};

/// Two cycles: b.txt and c.txt come, then d.txt and another a.txt.
pub fn finished(project: &Project, arguments: &[&str]) -> String {
    let server = ModelServer::start(Script::new([
        plan_when(&["Cycle: 1 of 2"], &["one", "two"]),
        plan_when(&["Cycle: 2 of 2"], &["three", "four"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        domain("three", &[("Write d", "d.txt")]),
        domain("four", &[("Write a", "a.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        writer("Write d", "d.txt", "d\n"),
        writer("Write a", "a.txt", "changed\n"),
        Rule::judge(&["Cycle: 1 of 2"]).turn(submit_verdict("continue", false, "Go on.")),
        Rule::judge(&["Cycle: 2 of 2"]).turn(submit_verdict("stop", true, "All is there.")),
    ]))
    .unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--max-cycles", "2"]).args(arguments);
    run(command.args(model(&server))).expect_code(0);
    project.query("SELECT run_id FROM runs ORDER BY run_id DESC LIMIT 1")
}

pub fn call(project: &Project, arguments: &[&str]) -> Ended {
    run(program(project).args(arguments))
}

fn files(project: &Project, revision: &str) -> String {
    project.git(&["ls-tree", "-r", "--name-only", revision]).replace('\n', " ")
}

fn project() -> Project {
    Project::new(&[("a.txt", "a\n"), ("keep.txt", "keep\n")])
}

#[test]
fn a_run_goes_by_moving_the_branch_and_can_come_again() {
    let project = project();
    let begin = project.git(&["rev-parse", "main"]);
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    let ended = call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), begin);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.read("a.txt"), "a\n");
    assert!(!project.path().join("b.txt").exists());
    let (_, back) = ended.stdout.trim().split_once("to have it again: git ").unwrap();
    project.git(&back.split(' ').collect::<Vec<_>>());
    assert_eq!(project.git(&["rev-parse", "main"]), end);
    project.assert_sound();
    // What was done once can be done again, and not twice.
    call(&project, &["undo", &id[..13]]).expect_code(0);
    let again = call(&project, &["undo", &id]).expect_code(2);
    assert!(again.stderr.contains("nothing to take back"), "{}", again.stderr);
}

#[test]
fn an_empty_beginning_means_no_run() {
    let project = project();
    let id = finished(&project, &[]);
    let before = project.git(&["for-each-ref"]);
    let calls =
        [["undo", ""].as_slice(), &["prune", ""], &["restore", ""], &["status", "--run", ""]];
    for arguments in calls {
        let ended = call(&project, arguments).expect_code(2);
        assert!(ended.stderr.contains("a value is required for"), "{}", ended.stderr);
    }
    assert_eq!(project.git(&["for-each-ref"]), before);
    call(&project, &["undo", &id]).expect_code(0);
}

#[test]
fn what_can_not_be_taken_back_can_be_by_the_commands_that_are_named() {
    let project = project();
    let id = finished(&project, &[]);
    // Cycle 1 changes a.txt; so does what comes after.
    let changed = project.read("a.txt") + "mine\n";
    project.write(&[("a.txt", &changed)]);
    project.git(&["commit", "--all", "--message", "mine"]);
    let refused = call(&project, &["undo", &id]).expect_code(1).stderr;
    let (_, commands) = refused.split_once("commit at the end:\n").unwrap();
    for command in commands.lines() {
        let status = Command::new("sh").args(["-c", command]).current_dir(project.path()).status();
        assert!(status.is_ok(), "{command}");
    }
    assert!(!project.path().join("b.txt").exists(), "{commands}");
    assert!(project.read("a.txt").contains("<<<<<<<"), "{commands}");
    project.git(&["commit", "--all", "--message", "mended"]);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_cycle_goes_by_a_commit_where_something_came_after() {
    let project = project();
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    let ended = call(&project, &["undo", &id, "--cycle", "1", "--json"]).expect_code(0);
    let undone = &ended.events()[0];
    assert_eq!(undone["reverted"], true);
    assert_eq!(project.git(&["rev-parse", "main^"]), end, "nothing is rewritten");
    assert_eq!(project.git(&["rev-parse", undone["kept"].as_str().unwrap()]), end);
    assert_eq!(files(&project, "main"), "a.txt d.txt keep.txt");
    assert_eq!((project.read("a.txt"), project.read("d.txt")), ("changed\n".into(), "d\n".into()));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(files(&project, "main"), "a.txt keep.txt");
    assert_eq!(project.read("a.txt"), "a\n");
    project.git(&["fsck", "--strict", "--no-dangling"]);
    let none = call(&project, &["undo", &id, "--cycle", "7"]).expect_code(2);
    assert!(none.stderr.contains("cycle 7"), "{}", none.stderr);
}

#[test]
fn what_a_person_did_since_stays_and_a_collision_is_refused() {
    let project = project();
    let id = finished(&project, &[]);
    project.write(&[("mine.txt", "mine\n")]);
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message", "Mine"]);
    call(&project, &["undo", &id, "--cycle", "1"]).expect_code(0);
    assert_eq!(files(&project, "main"), "a.txt d.txt keep.txt mine.txt");
    project.write(&[("a.txt", "changed, and again\n")]);
    let dirty = call(&project, &["undo", &id]).expect_code(2);
    assert!(dirty.stderr.contains("uncommitted changes (a.txt)"), "{}", dirty.stderr);
    project.git(&["commit", "--quiet", "--all", "--message", "On top"]);
    let before = project.git(&["rev-parse", "main"]);
    let refused = call(&project, &["undo", &id]).expect_code(1);
    assert!(refused.stderr.contains("a.txt") && refused.stderr.contains("git apply"));
    assert_eq!(project.git(&["rev-parse", "main"]), before);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn an_untracked_file_in_the_way_is_not_overwritten() {
    let project = Project::new(&[("a.txt", "a\n"), ("b.txt", "old b\n")]);
    let id = finished(&project, &[]);
    // The way back would write b.txt; what the run made of it was moved away.
    project.git(&["rm", "--quiet", "--cached", "b.txt"]);
    project.git(&["commit", "--quiet", "--message", "Not ours any more"]);
    project.write(&[("b.txt", "mine\n")]);
    let refused = call(&project, &["undo", &id]).expect_code(1);
    assert!(refused.stderr.contains("b.txt"), "{}", refused.stderr);
    assert_eq!(project.read("b.txt"), "mine\n");
    assert!(!project.git(&["for-each-ref"]).contains("undone"), "nothing was undone");
}

#[test]
fn what_a_dead_host_has_not_written_down_goes_too_and_is_not_done_anew() {
    let project = project();
    let begin = project.git(&["rev-parse", "main"]);
    // The branch follows each landing.
    project.git(&["switch", "--quiet", "--create", "elsewhere"]);
    let server = ModelServer::start(b_and_c()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "1"]).args(model(&server));
    let died = run(command.env("CODE_AGENT_CRASH_AT", "landing: landed"));
    assert!(died.signal.is_some(), "{}", died.stderr);
    assert_eq!(project.git(&["rev-parse", "main^"]), begin);
    let unconfirmed = "SELECT count(*) FROM landings WHERE landed = 0";
    assert_eq!(project.query::<u32>(unconfirmed), 1);
    let id: String = project.query("SELECT run_id FROM runs");
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), begin);
    let done: u32 = project.query("SELECT count(*) FROM tasks WHERE status = 'completed'");
    assert_eq!((done, project.query::<u32>(unconfirmed)), (1, 0));
    run(crate::program::resume(&project).args(model(&server))).expect_code(0);
    assert_eq!(project.git(&["rev-list", "--count", &format!("{begin}..main")]), "1");
}

#[test]
fn what_was_taken_back_is_not_told_as_if_it_were_there() {
    let project = project();
    let server = ModelServer::start(Script::new([
        crate::scripts::plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["The host says: what it landed as", "is no longer on the branch"])
            .turn(submit_verdict("stop", false, "It is gone again.")),
        // Before, the judge is not to be had, so that the run can be gone on with.
        Rule::judge(&[]).fail_first(3, 400, None),
    ]))
    .unwrap();
    run(code_agent(&project).args(["--goal", "Write"]).args(model(&server))).expect_code(1);
    let task: String = project.query("SELECT id FROM tasks WHERE title = 'Write b'");
    let gone = "no longer on the branch";
    let show = |arguments: &[&str]| {
        let all = [&["show", &task], arguments].concat();
        call(&project, &all).expect_code(0).stdout
    };
    assert!(!show(&[]).contains(gone));
    assert!(show(&["--json"]).contains("\"on_branch\":true"));
    let id: String = project.query("SELECT run_id FROM runs");
    call(&project, &["undo", &id]).expect_code(0);
    assert!(show(&[]).contains(gone), "{}", show(&[]));
    assert!(show(&["--json"]).contains("\"on_branch\":false"));
    run(&mut crate::program::resume(&project)).expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    // Where the run is pruned, its branch says so.
    call(&project, &["prune", &id, "--force"]).expect_code(0);
    assert!(show(&[]).contains(gone), "{}", show(&[]));
}

#[test]
fn what_was_pushed_goes_by_a_commit_and_others_work_stays() {
    let project = project();
    let remote = Remote::of(&project);
    let other = crate::remote::Other::of(&remote, &project, "other");
    other.push("theirs");
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main^"]), end);
    assert_eq!(files(&project, "main"), "a.txt keep.txt theirs.txt");
    assert_eq!(project.read("a.txt"), "a\n");
    project.git(&["push", "--quiet", "origin", "main"]);
}

#[test]
fn what_a_commit_has_taken_back_is_told_so_and_nothing_else_is() {
    let project = project();
    let id = finished(&project, &[]);
    let on_branch = |cycle: u32| -> Vec<bool> {
        let list = format!("SELECT group_concat(id) FROM tasks WHERE cycle_number = {cycle}");
        let tasks: String = project.query(&list);
        let of_task = |task: &str| {
            let shown = call(&project, &["show", task, "--json"]).expect_code(0).stdout;
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
            shown["commits"][0]["on_branch"].as_bool().unwrap()
        };
        tasks.split(',').map(of_task).collect()
    };
    // The second cycle came after it, so that a commit takes the first one back.
    call(&project, &["undo", &id, "--cycle", "1"]).expect_code(0);
    assert!(project.git(&["log", "-1", "--format=%s", "main"]).starts_with("Take back"));
    assert!(on_branch(1).iter().all(|there| !there), "{:?}", on_branch(1));
    assert!(on_branch(2).iter().all(|there| *there), "{:?}", on_branch(2));
    // It stays so whatever comes on top.
    project.git(&["commit", "--quiet", "--allow-empty", "--message", "Mine"]);
    assert!(on_branch(1).iter().all(|there| !there) && on_branch(2).iter().all(|there| *there));
}

#[test]
fn what_was_pushed_to_where_git_does_not_look_goes_by_a_commit_too() {
    let project = project();
    let remote = Remote::of(&project);
    project.git(&["config", "--unset-all", "remote.origin.fetch"]);
    project.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    assert_eq!(remote.git(&["rev-parse", "main"]), end);
    assert!(!project.git(&["for-each-ref"]).contains("refs/remotes"));
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main^"]), end);
    project.git(&["push", "--quiet", "origin", "main"]);
    // What could not be pushed is nobody else's.
    let project = self::project();
    project.git(&["remote", "add", "origin", "/nowhere"]);
    let begin = project.git(&["rev-parse", "main"]);
    let id = finished(&project, &[]);
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), begin);
}

#[test]
fn what_was_taken_back_goes_with_its_run_and_its_commit_is_told() {
    let project = project();
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    call(&project, &["undo", &id]).expect_code(0);
    let pruned = call(&project, &["prune", &id]).expect_code(0);
    assert!(pruned.stdout.contains("pruned: 3 references"), "{}", pruned.stdout);
    assert!(pruned.stdout.contains(&end[..10]), "{}", pruned.stdout);
    assert!(!project.git(&["for-each-ref"]).contains("code-agent"));
    project.git(&["branch", "again", &end[..10]]);
    assert_eq!(project.git(&["show", "again:b.txt"]), "b");
}

#[test]
fn what_is_taken_back_does_not_come_again_with_a_run_that_began_on_it() {
    let project = project();
    let id = finished(&project, &[]);
    let end = project.git(&["rev-parse", "main"]);
    let server = ModelServer::start(Script::new([
        crate::scripts::plan(&["five", "six"]).fail_first(3, 400, None),
        domain("five", &[("Write e", "e.txt")]),
        domain("six", &[("Write f", "f.txt")]),
        writer("Write e", "e.txt", "e\n"),
        writer("Write f", "f.txt", "f\n"),
        crate::scripts::content_judge(),
    ]))
    .unwrap();
    // It breaks off before anything has landed, on the commit that goes then.
    let mut second = code_agent(&project);
    run(second.args(["--goal", "Write more"]).args(model(&server))).expect_code(1);
    call(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main^"]), end, "nothing is rewritten");
    run(&mut crate::program::resume(&project)).expect_code(0);
    assert_eq!(files(&project, "main"), "a.txt e.txt f.txt keep.txt");
    assert_eq!(project.read("a.txt"), "a\n");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    project.assert_sound();
}

#[test]
fn kept_files_outlive_gc_until_the_run_is_pruned() {
    let project = project();
    let server = ModelServer::start(Script::new([
        crate::scripts::plan(&["one", "two"]),
        domain("one", &[("Write a", "a.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write a\n"])
            .turn(crate::scripts::write_file("a.txt", "draft\n"))
            .turn(crate::scripts::write_file("a.txt", "final\n"))
            .turn(model_server::finish_task("Done.")),
        writer("Write c", "c.txt", "c\n"),
        crate::scripts::content_judge(),
    ]))
    .unwrap();
    run(code_agent(&project).args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    let id: String = project.query("SELECT run_id FROM runs");
    let draft: String = project.query("SELECT blob_id FROM kept_files ORDER BY rowid DESC");
    project.git(&["gc", "--quiet", "--prune=now"]);
    let kept = call(&project, &["restore", &draft, "--to", "-"]).expect_code(0);
    assert_eq!(kept.stdout, "draft\n");
    let pruned = call(&project, &["prune", &id]).expect_code(0);
    assert!(pruned.stdout.contains("pruned: 3 references, its transcript"), "{}", pruned.stdout);
    assert!(!project.git(&["for-each-ref"]).contains("code-agent"));
    assert!(!project.path().join(".code-agent/runs").join(&id).exists());
    project.git(&["gc", "--quiet", "--prune=now"]);
    let gone = call(&project, &["restore", &draft, "--to", "-"]).expect_code(1);
    assert!(gone.stderr.contains("git gc"), "{}", gone.stderr);
    // The rows stay, and so does what is on the branch.
    assert!(call(&project, &["tasks"]).expect_code(0).stdout.contains("Write c"));
    project.assert_sound();
    let again = call(&project, &["prune", &id]).expect_code(0);
    assert!(again.stdout.contains("nothing was left"), "{}", again.stdout);
}

#[test]
fn nothing_is_pruned_that_no_branch_holds_but_by_force() {
    let project = project();
    let id = finished(&project, &[]);
    // Only the run has its work now.
    project.git(&["reset", "--quiet", "--hard", "HEAD~4"]);
    let kept = |project: &Project| project.git(&["for-each-ref", "refs/code-agent/runs"]);
    let database = project.path().join(".code-agent/code_agent_tasks.db");
    let old = "UPDATE runs SET created_at = '2020-01-01', ended_at = '2020-01-02T00:00:00.000Z'";
    rusqlite::Connection::open(&database).unwrap().execute(old, []).unwrap();
    for (arguments, code) in [(&["prune", &id][..], 1), (&["prune", "--older-than", "30d"], 0)] {
        let ended = call(&project, arguments).expect_code(code);
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains("no branch holds"), "{said}");
        assert!(kept(&project).contains(&id));
    }
    let young = call(&project, &["prune", "--older-than", "3650d", "--force"]).expect_code(0);
    assert_eq!(young.stdout, "");
    assert!(kept(&project).contains(&id));
    let pruned = call(&project, &["prune", "--older-than", "30d", "--force"]).expect_code(0);
    assert!(pruned.stdout.contains("pruned: 2 references"), "{}", pruned.stdout);
    assert_eq!(kept(&project), "");
    call(&project, &["prune"]).expect_code(2);
    assert!(database.exists());
}

#[test]
fn what_belongs_to_another_repository_is_pruned_there_alone() {
    let (project, other) = (project(), self::project());
    let database = project.beside("all.db");
    let shared = ["--database", database.to_str().unwrap()];
    let server = ModelServer::start(b_and_c()).unwrap();
    let mut command = code_agent(&project);
    run(command.args(["--goal", "Write"]).args(shared).args(model(&server))).expect_code(0);
    let runs = project.beside("runs");
    let id = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().file_name();
    let id = id.to_str().unwrap();
    let prune =
        |project: &Project, what: &[&str]| call(project, &[&["prune"], what, &shared].concat());
    let named = project.path().display().to_string();
    let refused = prune(&other, &[id]).expect_code(1);
    assert!(refused.stderr.contains(&named), "{}", refused.stderr);
    let old = "UPDATE runs SET created_at = '2020-01-01', ended_at = '2020-01-02T00:00:00.000Z'";
    rusqlite::Connection::open(&database).unwrap().execute(old, []).unwrap();
    let all = prune(&other, &["--older-than", "30d"]).expect_code(0);
    assert!(all.stdout.contains("stays") && all.stdout.contains(&named), "{}", all.stdout);
    // Nor where the folder is not to be had just now.
    let away = project.beside("away");
    fs::rename(project.path(), &away).unwrap();
    let refused = prune(&other, &[id, "--force"]).expect_code(1);
    assert!(refused.stderr.contains(&named), "{}", refused.stderr);
    assert!(runs.join(id).join("transcript.jsonl").exists());
    // But where it has moved to, it is at home.
    let mut moved = program(&project);
    let pruned = run(moved.args(["prune", id]).args(shared).current_dir(&away)).expect_code(0);
    assert!(pruned.stdout.contains("its transcript"), "{}", pruned.stdout);
    assert!(!runs.join(id).exists());
}
