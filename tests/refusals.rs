//! Calls that can't be meant: each is refused with a sentence that says what
//! to do, and nothing is changed.

use std::fs;

use model_server::{ModelServer, Script};

use crate::program::{bare, code_agent, default_plugins, model, run};
use crate::project::Project;

fn server() -> ModelServer {
    ModelServer::start(Script::default()).unwrap()
}

#[track_caller]
fn refused(project: &Project, arguments: &[&str], code: i32, words: &[&str]) {
    let server = server();
    let before = project.fingerprint();
    let mut command = code_agent(project);
    command.args(arguments).args(model(&server));
    let ended = run(&mut command).expect_code(code);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
    }
    assert_eq!(project.fingerprint(), before, "nothing has changed");
    assert_eq!(server.requests().len(), 0, "no model was asked");
}

#[test]
fn an_empty_goal() {
    let project = Project::new(&[("a.txt", "a\n")]);
    refused(&project, &["--goal", "  "], 2, &["the goal is empty", "--goal"]);
    refused(&project, &[], 2, &["--goal"]);
}

#[test]
fn a_root_path_that_is_no_repository() {
    let project = Project::without_git();
    refused(&project, &["--goal", "Write"], 2, &["git"]);
}

#[test]
fn a_branch_with_a_dirty_tree() {
    let project = Project::new(&[("a.txt", "a\n")]);
    project.write(&[("a.txt", "changed by hand\n")]);
    refused(&project, &["--goal", "Write"], 2, &["a.txt", "commit"]);
    assert_eq!(project.read("a.txt"), "changed by hand\n");
}

#[test]
fn a_sparse_checkout_is_called_by_its_name() {
    let project = Project::new(&[("a.txt", "a\n"), ("in/b.txt", "b\n"), ("out/c.txt", "c\n")]);
    project.git(&["sparse-checkout", "set", "--no-sparse-index", "in"]);
    assert!(!project.path().join("out").exists());
    refused(&project, &["--goal", "Write"], 2, &["sparse checkout", "git sparse-checkout disable"]);
    // What it says helps.
    project.git(&["sparse-checkout", "disable"]);
    code_agent::repo::Repository::open(&project.path(), "main", true).unwrap();
    // A branch that is checked out nowhere has no part in it.
    project.git(&["switch", "--quiet", "--create", "side"]);
    project.git(&["sparse-checkout", "set", "--no-sparse-index", "in"]);
    code_agent::repo::Repository::open(&project.path(), "main", true).unwrap();
}

#[test]
fn a_repository_that_brings_our_own_folder() {
    let project =
        Project::new(&[("a.txt", "a\n"), (".code-agent/code_agent_tasks.db", "not ours\n")]);
    refused(&project, &["--goal", "Write"], 2, &[".code-agent", "git tracks it"]);
    let linked = Project::new(&[("a.txt", "a\n")]);
    std::os::unix::fs::symlink(linked.beside("elsewhere"), linked.path().join(".code-agent"))
        .unwrap();
    refused(&linked, &["--goal", "Write"], 2, &[".code-agent", "it is a link"]);
}

#[test]
fn a_plugins_folder_without_a_judge() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = project.beside("plugins");
    fs::create_dir(&folder).unwrap();
    let manifest = fs::read_to_string(default_plugins().join("plugins.toml")).unwrap();
    let without_judge = manifest.split("[plugins.judge]").next().unwrap();
    fs::write(folder.join("plugins.toml"), without_judge).unwrap();
    let before = project.fingerprint();
    let mut command = bare(&project);
    command.arg("--plugins").arg(&folder).args(["--goal", "Write"]).args(model(&server()));
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("no plugin fills the role judge"), "{}", ended.stderr);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn a_component_that_exports_another_role() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = project.beside("plugins");
    fs::create_dir(&folder).unwrap();
    let manifest = fs::read_to_string(default_plugins().join("plugins.toml")).unwrap();
    let plugins = default_plugins();
    let manifest = manifest
        .replace("judge/judge.wasm", "worker/worker.wasm")
        .replace("component = \"", &format!("component = \"{}/", plugins.display()));
    fs::write(folder.join("plugins.toml"), manifest).unwrap();
    let mut command = bare(&project);
    command.arg("--plugins").arg(&folder).args(["--goal", "Write"]).args(model(&server()));
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("exports worker, not judge"), "{}", ended.stderr);
}

#[test]
fn wrong_numbers_and_unknown_models() {
    let project = Project::new(&[("a.txt", "a\n")]);
    refused(&project, &["--goal", "Write", "--max-cycles", "0"], 2, &["--max-cycles"]);
    refused(&project, &["--goal", "Write", "--max-workers", "0"], 2, &["--max-workers"]);
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--model", "nobody:x"]);
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("nobody"), "{}", ended.stderr);
}

#[test]
fn an_empty_repository_and_a_newer_database() {
    let empty = Project::without_git();
    empty.git(&["init", "--quiet", "--initial-branch=main"]);
    refused(&empty, &["--goal", "Write"], 2, &["commit"]);

    let project = Project::new(&[("a.txt", "a\n")]);
    let database = project.beside("newer.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .pragma_update(None, "user_version", 999)
        .unwrap();
    refused(
        &project,
        &["--goal", "Write", "--database", database.to_str().unwrap()],
        1,
        &["newer code-agent"],
    );
}
