//! The program dies at named points of what not every run does: checks, mergers,
//! going back, pruning. Whoever comes next finds nothing lost, doubled or left
//! half done.

use std::process::Command;
use std::time::{Duration, Instant};

use model_server::{ModelServer, Rule, Script, call, finish_merge, finish_task};
use serde_json::json;

use crate::chaos::{Random, SIGABRT, SMALL, crash_points, die_at, run_another, seed};
use crate::conflicts::together;
use crate::going_back::finished;
use crate::program::{Ended, code_agent, model, program, resume, run, start};
use crate::project::Project;
use crate::remote::Remote;
use crate::scripts::{content_judge, domain, edit, plan, write_file, writer};

/// The points of these parts of the program.
fn points_of(parts: &[&str]) -> Vec<String> {
    let mut points = crash_points();
    points.retain(|point| {
        parts.iter().any(|part| point == part || point.starts_with(&format!("{part}:")))
    });
    assert!(points.len() >= parts.len(), "{points:?}");
    points
}

const CHECK: &str = "test -e hot-0.txt && test -e hot-1.txt";

#[test]
fn a_run_with_a_check_goes_on() {
    for point in points_of(&["check", "landing"]) {
        let project = SMALL.project();
        assert!(die_at(&point, &project, &["--check", CHECK]), "{point}");
        SMALL.assert_done_once(&project);
    }
}

#[test]
fn a_run_with_a_strict_check_goes_on() {
    for point in points_of(&["check", "queue", "landing"]) {
        let project = SMALL.project();
        let arguments = ["--check", CHECK, "--check-strict", "--rollback"];
        assert!(die_at(&point, &project, &arguments), "{point}");
        SMALL.assert_done_once(&project);
        run_another(&project);
    }
}

#[test]
fn a_run_that_dies_while_it_joins_its_packs_goes_on() {
    for point in points_of(&["packs"]) {
        println!("{point}");
        let project = SMALL.project();
        let server = ModelServer::start(SMALL.script()).unwrap();
        let mut command = crate::chaos::start(&project, &server);
        let died = run(command.env("CODE_AGENT_CRASH_AT", &point));
        assert_eq!(died.signal, Some(SIGABRT), "{point}: {}", died.stderr);
        project.git(&["fsck", "--strict", "--no-dangling"]);
        // The host that goes on has written none of them.
        run(&mut resume(&project)).expect_code(0);
        assert_eq!(server.violations(), Vec::<String>::new());
        SMALL.assert_done_once(&project);
        run_another(&project);
    }
}

/// Two workers that change one line at once. Whoever is asked anew after the
/// crash has nobody beside it.
fn colliding() -> (Script, Script) {
    let planned = || {
        vec![
            plan(&["left", "right"]),
            domain("left", &[("Count left", "count.txt")]),
            domain("right", &[("Count right", "count.txt")]),
            Rule::merger(&[])
                .turn(write_file("count.txt", "count: both\n"))
                .turn(finish_merge(true, "Both are counted.")),
            content_judge(),
        ]
    };
    let (mut first, mut then) = (planned(), planned());
    first.push(together("Count left", edit("count.txt", "count: 0", "count: left")));
    first.push(together("Count right", edit("count.txt", "count: 0", "count: right")));
    then.push(
        Rule::worker(&["Attempt: 1"])
            .turn(call("read_file_content", json!({ "path": "count.txt" })))
            .turn(write_file("count.txt", "count: both\n").expects(&["count: "]))
            .turn(finish_task("Done on top of the other.")),
    );
    (Script::new(first), Script::new(then))
}

#[test]
fn a_run_that_dies_while_a_merger_is_asked_goes_on() {
    for point in points_of(&["merger"]) {
        let project = Project::new(&[("count.txt", "count: 0\n")]);
        let (first, then) = colliding();
        let server = ModelServer::start(first).unwrap();
        let mut command = code_agent(&project);
        command.args(["--goal", "Both", "--max-workers", "2"]).args(model(&server));
        let died = run(command.env("CODE_AGENT_CRASH_AT", &point));
        assert_eq!(died.signal, Some(SIGABRT), "{point}: {}", died.stderr);
        drop(server);
        let server = ModelServer::start(then).unwrap();
        run(resume(&project).args(model(&server))).expect_code(0);
        assert_eq!(server.violations(), Vec::<String>::new());
        project.assert_sound();
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        assert_eq!(project.read("count.txt"), "count: both\n");
        assert_eq!(project.git(&["rev-list", "--count", "main"]), "3", "{point}");
        let done = "SELECT count(*) FROM tasks WHERE status = 'completed' AND attempt = 1";
        assert_eq!(project.query::<u32>(done), 2, "{point}");
        run_another(&project);
    }
}

/// A run that has landed b.txt and c.txt and waits for its judge; the branch has
/// both. With them together the check is red from now on.
fn red_together(project: &Project) -> ModelServer {
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        Rule::judge(&["was rolled back from"]).turn(model_server::submit_verdict(
            "stop",
            false,
            "One is gone again.",
        )),
        Rule::judge(&[]).fail_first(3, 400, None),
    ]))
    .unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--no-push"]).args(model(&server));
    run(&mut command).expect_code(1);
    assert_eq!(project.git(&["rev-list", "--count", "main"]), "3");
    server
}

/// Dies at the point while it rolls back, twice, and goes on.
fn roll_back(project: &Project, point: &str) -> bool {
    let server = red_together(project);
    let red = project.git(&["rev-parse", "main"]);
    let again = || {
        let mut command = resume(project);
        command.args(["--rollback", "--check", "! (test -e b.txt && test -e c.txt)"]);
        command
    };
    let mut died = 0;
    let last = loop {
        let mut command = again();
        if died < 2 {
            command.env("CODE_AGENT_CRASH_AT", point);
        }
        let ended = run(&mut command);
        if ended.signal != Some(SIGABRT) {
            break ended;
        }
        died += 1;
    };
    last.expect_code(1);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(
        project.git(&["rev-parse", "main"]),
        project.git(&["rev-parse", &format!("{red}^")])
    );
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    let told = "SELECT count(*) FROM events WHERE kind = 'rolled-back'";
    assert_eq!(project.query::<u32>(told), 1, "{point}");
    let names =
        project.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/code-agent"]);
    let kept: Vec<&str> = names.lines().filter(|line| line.ends_with(&red)).collect();
    assert!(kept.len() == 1 && kept[0].starts_with("refs/code-agent/rolled-back/"), "{names}");
    assert!(!names.contains("going-back") && !names.contains("moving"), "{names}");
    died > 0
}

#[test]
fn a_rollback_that_was_broken_off_is_done_once() {
    for point in points_of(&["rollback", "going back", "branch: files written"]) {
        println!("{point}");
        let project = Project::new(&[("a.txt", "a\n")]);
        assert!(roll_back(&project, &point), "{point}");
        let project = Project::new(&[("a.txt", "a\n")]);
        project.git(&["switch", "--quiet", "--create", "elsewhere"]);
        let died = roll_back(&project, &point);
        let of_a_tree = point.starts_with("branch:") || point.starts_with("going back:");
        assert_eq!(died, !of_a_tree, "no tree moves: {point}");
    }
}

fn go(project: &Project, arguments: &[&str], crash_at: &str) -> Ended {
    run(program(project).args(arguments).env("CODE_AGENT_CRASH_AT", crash_at))
}

/// Where a run is taken back, and how.
struct Scene {
    project: Project,
    id: String,
    /// What the branch holds before, and the tree that it has to hold then.
    before: String,
    wanted: String,
    arguments: Vec<&'static str>,
}

impl Scene {
    /// The branch goes back; nothing came after.
    fn moved(elsewhere: bool) -> Self {
        let project = Project::new(&[("a.txt", "a\n")]);
        let wanted = project.git(&["rev-parse", "main^{tree}"]);
        let id = finished(&project, &[]);
        if elsewhere {
            project.git(&["switch", "--quiet", "--create", "elsewhere"]);
        }
        let before = project.git(&["rev-parse", "main"]);
        Self { project, id, before, wanted, arguments: Vec::new() }
    }

    /// A commit takes the first cycle back, since the second came after.
    fn reverted(elsewhere: bool) -> Self {
        let mut scene = Self::moved(elsewhere);
        let without =
            ["a.txt", "d.txt"].map(|name| scene.project.git(&["ls-tree", "main", name]) + "\n");
        let tree = scene.project.beside("tree");
        std::fs::write(&tree, without.concat()).unwrap();
        let script = format!("git mktree < {}", tree.display());
        let mut make = Command::new("sh");
        let made = make.args(["-c", &script]).current_dir(scene.project.path()).output().unwrap();
        scene.wanted = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        scene.arguments = vec!["--cycle", "1"];
        scene
    }

    fn undo(&self, crash_at: &str) -> Ended {
        go(&self.project, &[&["undo", &self.id], &self.arguments[..]].concat(), crash_at)
    }

    /// It was taken back once, and what was there is kept.
    fn assert_undone(&self) {
        let Self { project, id, before, wanted, arguments } = self;
        assert_eq!(&project.git(&["rev-parse", "main^{tree}"]), wanted);
        let reverts = project.git(&["rev-list", "--count", &format!("{before}..main")]);
        assert_eq!(reverts, if arguments.is_empty() { "0" } else { "1" });
        let run = project.git(&["rev-parse", &format!("refs/code-agent/runs/{id}")]);
        assert_eq!(run, project.git(&["rev-parse", "main"]));
        project.assert_sound();
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        let names = project.git(&["for-each-ref", "refs/code-agent"]);
        let kept = format!("refs/code-agent/undone/{id}-{}", &before[..10]);
        assert!(names.contains(&kept), "{names}");
        assert!(!names.contains("going-back") && !names.contains("moving"), "{names}");
        project.git(&["merge-base", "--is-ancestor", before, &kept]);
    }
}

#[test]
fn an_undo_that_was_broken_off_is_done_by_the_next() {
    for point in points_of(&["undo", "going back", "branch: files written"]) {
        for elsewhere in [false, true] {
            for scene in [Scene::moved(elsewhere), Scene::reverted(elsewhere)] {
                println!("{point}, elsewhere: {elsewhere}, {:?}", scene.arguments);
                let first = scene.undo(&point);
                if first.code.is_some() {
                    // What is checked out nowhere has no tree to be moved.
                    let of_a_tree = elsewhere && !point.starts_with("undo:");
                    assert!(of_a_tree, "{point}: {}", first.stderr);
                }
                let second = scene.undo(&point);
                let third = scene.undo("");
                let done =
                    [&first, &second, &third].iter().filter(|one| one.code == Some(0)).count();
                let said_so =
                    third.code == Some(0) || third.stderr.contains("nothing to take back");
                assert!(done <= 1 && said_so, "{}", third.stderr);
                scene.assert_undone();
            }
        }
    }
}

#[test]
fn an_undo_and_a_prune_that_are_killed_anywhere_are_done_by_the_next() {
    let seed = seed();
    println!("CHAOS_SEED={seed}");
    let mut random = Random(seed);
    for scene in [Scene::moved(false), Scene::reverted(false), Scene::reverted(true)] {
        let undo = [&["undo", &scene.id], &scene.arguments[..]].concat();
        kill_anywhere(&scene.project, &undo, &mut random);
        let last = scene.undo("");
        let said_so = last.code == Some(0) || last.stderr.contains("nothing to take back");
        assert!(said_so, "{}", last.stderr);
        scene.assert_undone();
        let prune = ["prune", &scene.id];
        kill_anywhere(&scene.project, &prune, &mut random);
        go(&scene.project, &prune, "").expect_code(0);
        assert!(!scene.project.git(&["for-each-ref"]).contains("code-agent"));
        scene.project.assert_sound();
    }
}

fn kill_anywhere(project: &Project, arguments: &[&str], random: &mut Random) {
    // A call that only looks takes about as long here as one that does something.
    let begin = Instant::now();
    go(project, &["status"], "").expect_code(0);
    let longest = 2 * begin.elapsed().as_micros() as u64;
    for _ in 0..12 {
        let running = start(program(project).args(arguments));
        // Not to wait for something: to die anywhere.
        std::thread::sleep(Duration::from_micros(random.below(longest)));
        running.kill();
    }
}

#[test]
fn a_run_that_goes_on_takes_back_an_undo_that_was_broken_off() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = red_together(&project);
    let remote = Remote::of(&project);
    let id: String = project.query("SELECT run_id FROM runs");
    let end = project.git(&["rev-parse", "main"]);
    let died = go(&project, &["undo", &id], "undo: run moved");
    assert_eq!(died.signal, Some(SIGABRT), "{}", died.stderr);
    drop(server);
    let server = ModelServer::start(Script::new([content_judge()])).unwrap();
    run(resume(&project).args(model(&server))).expect_code(0);
    project.assert_sound();
    assert_eq!(project.git(&["rev-parse", "main"]), end);
    assert_eq!(remote.git(&["rev-parse", "main"]), end);
    assert!(!project.git(&["for-each-ref"]).contains("going-back"));
}

#[test]
fn a_prune_that_was_broken_off_is_finished_by_the_next() {
    for point in points_of(&["prune"]) {
        println!("{point}");
        let project = Project::new(&[("a.txt", "a\n")]);
        let id = finished(&project, &["--keep-checkouts"]);
        go(&project, &["undo", &id], "").expect_code(0);
        let begin = project.git(&["rev-parse", "main"]);
        for _ in 0..2 {
            let died = go(&project, &["prune", &id, "--force"], &point);
            assert_eq!(died.signal, Some(SIGABRT), "{point}: {}", died.stderr);
        }
        let ended = go(&project, &["prune", &id, "--force"], "").expect_code(0);
        assert!(ended.stdout.contains("its transcript"), "{}", ended.stdout);
        assert!(!project.git(&["for-each-ref"]).contains("code-agent"));
        assert_eq!(project.git(&["rev-parse", "main"]), begin);
        project.assert_sound();
        run_another(&project);
    }
}
