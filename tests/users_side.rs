//! How a run meets the user's repository: its branches, its working trees, its
//! form, its hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::conflicts::together;
use crate::program::{
    Ended, bare, code_agent, code_agent_at, code_agent_without_merger, default_plugins, model,
    resume, run,
};
use crate::project::Project;
use crate::remote::{Remote, git};
use crate::scripts::{content_judge, domain, edit, plan, write_file, writer};

fn script_with(worker: Rule) -> Script {
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        worker,
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ])
}

/// A run in which b.txt and c.txt come.
fn go(command: &mut Command) -> Ended {
    let server = ModelServer::start(script_with(writer("Write b", "b.txt", "b\n"))).unwrap();
    let ended = run(command.args(["--goal", "Write"]).args(model(&server)));
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

fn on_branch(project: &Project, branch: &str) -> Command {
    let mut command = bare(project);
    command.args(["--branch", branch, "--plugins"]).arg(default_plugins());
    command
}

fn project() -> Project {
    Project::new(&[("a.txt", "a\n")])
}

#[test]
fn a_missing_branch_is_made_from_head_and_nothing_else_moves() {
    let project = project();
    let main = project.git(&["rev-parse", "main"]);
    project.write(&[("a.txt", "changed by hand\n")]);
    // What is checked out is another branch, so that it may be dirty.
    go(&mut on_branch(&project, "agents/first")).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "agents/first~2"]), main);
    assert_eq!(project.git(&["show", "agents/first:b.txt"]), "b");
    assert_eq!(project.git(&["rev-parse", "main"]), main);
    assert_eq!(project.git(&["status", "--porcelain"]), "M a.txt");
    assert!(!project.path().join("b.txt").exists());
}

#[test]
fn a_detached_head_stays_and_the_branch_follows() {
    let project = project();
    project.git(&["checkout", "--quiet", "--detach"]);
    let head = project.git(&["rev-parse", "HEAD"]);
    go(&mut code_agent(&project)).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(project.git(&["rev-parse", "main~2"]), head);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(!project.path().join("b.txt").exists());
    project.assert_sound();
}

#[test]
fn of_several_working_trees_the_one_with_the_branch_follows() {
    let project = project();
    let linked = project.beside("linked");
    project.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    // From the main working tree, to the branch that the other one has.
    go(&mut on_branch(&project, "side")).expect_code(0);
    assert_eq!(fs::read_to_string(linked.join("b.txt")).unwrap(), "b\n");
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert!(!project.path().join("b.txt").exists());
    // From the linked one, to the branch that the main one has.
    go(&mut code_agent_at(&project, &linked)).expect_code(0);
    assert_eq!(project.read("b.txt"), "b\n");
    for tree in [&linked, &project.path()] {
        assert_eq!(git(tree, &["status", "--porcelain"]), "", "{}", tree.display());
    }
    project.git(&["fsck", "--strict", "--no-dangling"]);
    // A dirty one that has the branch refuses the run, wherever it is started.
    fs::write(linked.join("a.txt"), "mine\n").unwrap();
    let refused = go(&mut on_branch(&project, "side")).expect_code(2);
    assert!(refused.stderr.contains("linked") && refused.stderr.contains("a.txt"));
}

#[test]
fn below_the_top_everything_is_read_and_only_what_lies_below_lands() {
    let project = Project::new(&[
        ("top.txt", "from the top\n"),
        ("part/a.txt", "a\n"),
        ("part/AGENTS.md", "Part of it.\n"),
    ]);
    let worker = Rule::worker(&["Task: Write b\n", "Part of it."])
        .turn(call("read_file_content", json!({ "path": "top.txt" })))
        .turn(write_file("top.txt", "mine\n").expects(&["from the top"]))
        .turn(
            call("run_command", json!({ "command": "echo x > outside.txt; echo y > part/in.txt" }))
                .expects(&["part"]),
        )
        .turn(write_file("part/b.txt", "b\n").expects(&["exit code 0"]))
        .turn(call(
            "finish_task",
            json!({ "success": true, "summary": "Done.", "include_files": ["part/in.txt"] }),
        ));
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "part/b.txt")]),
        domain("two", &[("Write c", "part/c.txt")]),
        worker,
        writer("Write c", "part/c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_at(&project, &project.path().join("part"));
    let ended = run(command.args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    let names = project.git(&["ls-tree", "-r", "--name-only", "main"]).replace('\n', " ");
    assert_eq!(names, "part/AGENTS.md part/a.txt part/b.txt part/c.txt part/in.txt top.txt");
    assert_eq!(project.read("top.txt"), "from the top\n");
    assert!(ended.stderr.contains("outside.txt"), "it is reported: {}", ended.stderr);
}

#[test]
fn a_shallow_clone_is_as_good_as_a_deep_one() {
    let origin = project();
    origin.write(&[("later.txt", "later\n")]);
    origin.git(&["add", "--all"]);
    origin.git(&["commit", "--quiet", "--message", "Later"]);
    let remote = Remote::of(&origin);
    let project = Project::without_git();
    let url = remote.file_url();
    project.git(&["clone", "--quiet", "--depth", "1", &url, "."]);
    assert_eq!(project.git(&["rev-list", "--count", "HEAD"]), "1");
    // Somebody else pushes, so that there is something to merge.
    crate::remote::Other::of(&remote, &origin, "other").push("theirs");
    go(&mut code_agent(&project)).expect_code(0);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(
        (project.read("b.txt"), project.read("theirs.txt")),
        ("b\n".into(), "theirs".into())
    );
    let main = project.git(&["rev-parse", "main"]);
    assert_eq!(remote.git(&["rev-parse", "main"]), main);
    remote.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn forms_of_repositories_that_are_not_known_are_refused() {
    let refused = |project: &Project, word: &str| {
        let before = project.fingerprint();
        let ended = go(&mut code_agent(project)).expect_code(2);
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        assert_eq!(project.fingerprint(), before, "{word}");
    };
    for (form, word) in
        [("--object-format=sha256", "SHA-256"), ("--ref-format=reftable", "reftable")]
    {
        let project = Project::without_git();
        project.git(&["init", "--quiet", "--initial-branch=main", form]);
        project.git(&["commit", "--quiet", "--allow-empty", "--message=Begin"]);
        refused(&project, word);
    }
    let origin = project();
    let remote = Remote::of(&origin);
    let partial = Project::without_git();
    remote.git(&["config", "uploadpack.allowFilter", "true"]);
    partial.git(&["clone", "--quiet", "--filter=blob:none", &remote.file_url(), "."]);
    refused(&partial, "--filter");
}

/// Hooks that would leave a mark, and turn everything away.
fn hooks_in(folder: &Path, mark: &Path) {
    fs::create_dir_all(folder).unwrap();
    for name in ["pre-commit", "post-commit", "post-checkout", "pre-push", "reference-transaction"]
    {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\ntouch {}\nexit 1\n", mark.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn hooks_never_run_and_the_end_says_so() {
    for folder in [".git/hooks", ".husky"] {
        let project = Project::new(&[("a.txt", "a\n"), (".gitignore", ".husky\n")]);
        let remote = Remote::of(&project);
        let mark = project.beside("mark");
        if folder == ".husky" {
            project.git(&["config", "core.hooksPath", folder]);
        }
        hooks_in(&project.path().join(folder), &mark);
        let ended = go(&mut code_agent(&project)).expect_code(0);
        assert!(!mark.exists(), "{folder}: a hook ran");
        assert_eq!(project.read("b.txt"), "b\n");
        assert_eq!(remote.git(&["show", "main:b.txt"]), "b", "{folder}");
        for word in ["hooks never run", "pre-commit", "pre-push", "--check"] {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    }
    let project = project();
    let ended = go(&mut code_agent(&project)).expect_code(0);
    assert!(!ended.stderr.contains("hooks"), "there are none: {}", ended.stderr);
}

#[test]
fn a_branch_of_origin_that_can_not_be_compared_is_said_and_the_run_begins() {
    let project = project();
    project.git(&["remote", "add", "origin", "/nowhere"]);
    // It names a file where a commit ought to be.
    project.git(&["update-ref", "refs/remotes/origin/main", "main:a.txt"]);
    let ended = go(&mut code_agent(&project)).expect_code(0);
    let said = "whether the branch is behind origin can't be said";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(project.read("b.txt"), "b\n");
}

#[test]
fn filters_and_drivers_of_the_repository_never_run() {
    let text: String = (1..=20).map(|number| format!("line {number}\n")).collect();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let attributes =
        "*.txt merge=evil diff=evil\n*.md filter=evil\n*.bin filter=lfs merge=lfs -text\n";
    let project = Project::new(&[
        ("a.txt", &text),
        ("big.bin", pointer),
        ("c.md", "c\n"),
        (".gitattributes", attributes),
    ]);
    let mark = project.beside("mark");
    let evil = format!("touch {}; cat", mark.display());
    for (driver, commands) in
        [("filter.evil", &["clean", "smudge"][..]), ("filter.lfs", &["clean", "smudge"])]
    {
        for name in commands {
            project.git(&["config", &format!("{driver}.{name}"), &evil]);
        }
        project.git(&["config", &format!("{driver}.required"), "true"]);
    }
    project.git(&["config", "merge.evil.driver", &format!("touch {}; false", mark.display())]);
    fs::remove_file(&mark).ok();
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Write left", "a.txt")]),
        domain("right", &[("Write right", "a.txt")]),
        together("Write left", edit("a.txt", "line 2\n", "the second\n")),
        together("Write right", edit("a.txt", "line 19\n", "the last but one\n")),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert!(!mark.exists(), "something of the repository's ran");
    let merged =
        text.replace("line 2\n", "the second\n").replace("line 19\n", "the last but one\n");
    assert_eq!(project.read("a.txt"), merged);
    assert_eq!(project.read("big.bin"), pointer);
    assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    project.assert_sound();
}

#[test]
fn repositories_that_share_a_cache_leave_each_others_checkouts_alone() {
    let (project, other) = (project(), self::project());
    let server = ModelServer::start(script_with(writer("Write b", "b.txt", "b\n"))).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    let died = run(command.env("CODE_AGENT_CRASH_AT", "landing: landed"));
    assert!(died.signal.is_some(), "{}", died.stderr);
    let checkouts = || fs::read_dir(project.beside("cache/code-agent/checkouts")).unwrap().count();
    assert_eq!(checkouts(), 1, "nobody was there to remove them");
    let mut beside = code_agent(&other);
    go(beside.env("XDG_CACHE_HOME", project.beside("cache"))).expect_code(0);
    assert_eq!(checkouts(), 1, "a run of another repository leaves them alone");
    run(&mut resume(&project)).expect_code(0);
    for project in [&project, &other] {
        assert_eq!((project.read("b.txt"), project.read("c.txt")), ("b\n".into(), "c\n".into()));
        project.assert_sound();
    }
}

#[test]
fn a_worker_that_has_nothing_to_change_is_done_and_makes_no_commit() {
    let project = project();
    let nothing = Rule::worker(&["Task: Write b\n"])
        .turn(write_file("a.txt", "a\n"))
        .turn(call("git_commit_and_push", json!({ "message": "Nothing" })))
        .turn(call("run_command", json!({ "command": "touch empty; rm empty; mkdir -p x/y" })))
        .turn(finish_task("It is there already."));
    let server = ModelServer::start(script_with(nothing)).unwrap();
    run(code_agent(&project).args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.git(&["log", "--format=%s", "main"]), "Write c\nBegin");
    assert_eq!(project.query::<u32>("SELECT count(*) FROM tasks WHERE status = 'completed'"), 2);
}
