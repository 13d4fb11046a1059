//! Files that git would pass through a program of the user's, as git-lfs has it:
//! no such program runs, and what needs one is left to git itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::program::{Ended, code_agent, model, run};
use crate::project::Project;
use crate::remote::{Other, Remote};
use crate::scripts::{content_judge, domain, plan, write_file, writer};

fn go(project: &Project, worker: Rule) -> Ended {
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        worker,
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let ended = run(code_agent(project).args(["--goal", "Write"]).args(model(&server)));
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

/// In the repository it says `pointer`, in working trees `real`.
fn with_filter(project: &Project) {
    project.git(&["config", "filter.lfs.clean", "sed s/real/pointer/"]);
    project.git(&["config", "filter.lfs.smudge", "sed s/pointer/real/"]);
}

#[test]
fn a_working_tree_that_needs_a_filter_is_left_to_git() {
    let project = Project::new(&[(".gitattributes", "pointer.txt filter=lfs\n")]);
    with_filter(&project);
    let remote = Remote::of(&project);
    Other::of(&remote, &project, "other").push("pointer");
    let ended = go(&project, writer("Write b", "b.txt", "b\n")).expect_code(0);
    assert!(ended.stderr.contains("`pointer.txt` (filter `lfs`)"), "{}", ended.stderr);
    // What needs none has moved; what others pushed has not come.
    assert_eq!(project.read("b.txt"), "b\n");
    assert!(!project.path().join("pointer.txt").exists());
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    let command = ended.stderr.split_once("To bring the work in: git ").unwrap().1;
    project.git(&command.lines().next().unwrap().split(' ').collect::<Vec<_>>());
    assert_eq!(project.read("pointer.txt"), "real");
    assert_eq!(project.git(&["rev-parse", "main"]), remote.git(&["rev-parse", "main"]));
}

#[test]
fn what_a_worker_made_of_a_pointer_does_not_land() {
    let project =
        Project::new(&[(".gitattributes", "*.bin filter=lfs\n"), ("big.bin", "pointer\n")]);
    let worker = Rule::worker(&["Task: Write b\n"])
        .turn(call("run_command", json!({ "command": "echo raw > big.bin; echo b > b.txt" })))
        .turn(call("git_commit_and_push", json!({ "message": "All" })))
        .turn(finish_task("Done.").expects(&["`big.bin`", "`lfs`", "Take back"]))
        .turn(write_file("big.bin", "pointer\n").expects(&["`big.bin`", "`lfs`"]))
        .turn(finish_task("Done without it."));
    go(&project, worker).expect_code(0);
    project.assert_sound();
    assert_eq!(project.git(&["show", "main:big.bin"]), "pointer");
    assert_eq!(project.git(&["log", "--format=%s", "main", "--", "big.bin"]), "Begin");
    assert_eq!(project.read("b.txt"), "b\n");
}

#[test]
fn what_a_hook_would_have_uploaded_is_pushed_by_hand() {
    let project = Project::new(&[(".gitattributes", "*.bin filter=lfs\n")]);
    with_filter(&project);
    let remote = Remote::of(&project);
    let begin = remote.git(&["rev-parse", "main"]);
    let hook = project.path().join(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", project.beside("uploaded").display()))
        .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    project.write(&[("big.bin", "real\n")]);
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message", "Mine"]);
    let ended = go(&project, writer("Write b", "b.txt", "b\n")).expect_code(0);
    assert_eq!(project.read("b.txt"), "b\n");
    assert_eq!(remote.git(&["rev-parse", "main"]), begin, "no pointer without its object");
    for words in ["was not pushed", "`big.bin` (filter `lfs`)", "pre-push"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let command = ended.stderr.split_once("Push by hand: git ").unwrap().1;
    project.git(&command.lines().next().unwrap().split(' ').collect::<Vec<_>>());
    assert_eq!(remote.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
    assert!(project.beside("uploaded").exists());
    // Once that is there, all goes as it does without.
    let more = Rule::worker(&["Task: Write b\n"])
        .turn(write_file("b.txt", "more\n"))
        .turn(finish_task("Done."));
    go(&project, more).expect_code(0);
    assert_eq!(remote.git(&["show", "main:b.txt"]), "more");
}

#[test]
fn a_working_tree_that_needs_another_encoding_is_left_to_git() {
    let attributes =
        "*.ps1 text working-tree-encoding=UTF-16LE-BOM\nc.txt working-tree-encoding=UTF-8\n";
    let project = Project::new(&[(".gitattributes", attributes), ("a.txt", "a\n")]);
    let worker = Rule::worker(&["Task: Write b\n"])
        .turn(write_file("b.txt", "b\n"))
        .turn(write_file("a.ps1", "one\n"))
        .turn(finish_task("Done."));
    let ended = go(&project, worker).expect_code(0);
    assert!(ended.stderr.contains("`a.ps1` (`UTF-16LE-BOM`)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("c.txt` ("), "{}", ended.stderr);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(!project.path().join("a.ps1").exists());
    let command = ended.stderr.split_once("To bring the work in: git ").unwrap().1;
    project.git(&command.lines().next().unwrap().split(' ').collect::<Vec<_>>());
    assert!(fs::read(project.path().join("a.ps1")).unwrap().starts_with(b"\xff\xfeo\0"));
    project.git(&["add", "--all"]);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.git(&["show", "main:a.ps1"]), "one");
}
