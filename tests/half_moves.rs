//! A working tree moves with its branch, whole or not at all, and what a move has
//! left half done is taken back.

use std::fs;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::going_back::call as call_program;
use crate::program::{Ended, code_agent, model, resume, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, writer};

/// A run whose one worker runs this command; another one writes c.txt.
fn server(command: &str) -> ModelServer {
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "[abd]*")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write b\n"])
            .turn(call("run_command", json!({ "command": command })))
            .turn(finish_task("Done.").expects(&["exit code 0"])),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]));
    server.unwrap()
}

fn go(project: &Project, command: &str) -> Ended {
    let server = server(command);
    let ended = run(code_agent(project).args(["--goal", "Write"]).args(model(&server)));
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

/// The tree stands where it stood, and the command that was named moves it.
fn assert_stayed_and_comes(project: &Project, ended: &Ended, mend: impl Fn()) {
    let command = ended.stderr.split_once("To bring the work in: git ").expect(&ended.stderr).1;
    let command: Vec<&str> = command.lines().next().unwrap().split(' ').collect();
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.read("a.txt"), "a\n");
    assert!(!project.git(&["for-each-ref"]).contains("moving"));
    mend();
    project.git(&command);
    assert_eq!(project.read("a.txt"), "changed\n");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    project.assert_sound();
}

#[test]
fn what_somebody_has_locked_does_not_move() {
    for lock in [".git/index.lock", ".git/refs/heads/main.lock"] {
        let project = Project::new(&[("a.txt", "a\n")]);
        let lock = project.path().join(lock);
        fs::write(&lock, "").unwrap();
        let ended = go(&project, "echo changed > a.txt").expect_code(0);
        let name = lock.file_name().unwrap().to_str().unwrap();
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(lock.exists(), "it may be alive");
        assert_stayed_and_comes(&project, &ended, || fs::remove_file(&lock).unwrap());
    }
}

const FOLDER_TO_FILE: &str = "rm -r d && echo d > d && echo changed > a.txt";
const FILE_TO_FOLDER: &str = "rm d && mkdir d && echo x > d/x && echo changed > a.txt";

#[test]
fn a_move_that_fails_in_the_middle_is_taken_back() {
    let project = Project::new(&[("a.txt", "a\n"), ("d/x", "x\n"), (".gitignore", "*.tmp\n")]);
    project.write(&[("d/mine.tmp", "mine\n")]);
    let ended = go(&project, FOLDER_TO_FILE).expect_code(0);
    assert_eq!((project.read("d/mine.tmp"), project.read("d/x")), ("mine\n".into(), "x\n".into()));
    let mine = project.path().join("d/mine.tmp");
    assert_stayed_and_comes(&project, &ended, || fs::remove_file(&mine).unwrap());
}

#[test]
fn uncommitted_changes_come_whole_or_not_at_all() {
    let project = Project::new(&[("a.txt", "a\n"), ("d/x", "x\n"), (".gitignore", "*.tmp\n")]);
    project.write(&[("d/mine.tmp", "mine\n")]);
    let server = server(FOLDER_TO_FILE);
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--no-auto-commit"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert!(ended.stderr.contains("git merge --squash"), "{}", ended.stderr);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(
        (project.read("a.txt"), project.read("d/mine.tmp")),
        ("a\n".into(), "mine\n".into())
    );
}

#[test]
fn an_undo_that_fails_in_the_middle_is_taken_back() {
    let project = Project::new(&[("a.txt", "a\n"), ("d", "d\n"), (".gitignore", "*.tmp\n")]);
    let begin = project.git(&["rev-parse", "main"]);
    go(&project, FILE_TO_FOLDER).expect_code(0);
    let id: String = project.query("SELECT run_id FROM runs");
    let end = project.git(&["rev-parse", "main"]);
    project.write(&[("d/mine.tmp", "mine\n")]);
    let refused = call_program(&project, &["undo", &id]).expect_code(1);
    assert!(refused.stderr.contains("nothing was taken back"), "{}", refused.stderr);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.git(&["rev-parse", "main"]), end);
    assert_eq!(project.read("a.txt"), "changed\n");
    let references = project.git(&["for-each-ref"]);
    assert!(!references.contains("undone") && !references.contains("moving"), "{references}");
    fs::remove_file(project.path().join("d/mine.tmp")).unwrap();
    call_program(&project, &["undo", &id]).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), begin);
    assert_eq!((project.read("a.txt"), project.read("d")), ("a\n".into(), "d\n".into()));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_host_that_died_while_files_and_folders_changed_places_is_mended() {
    for (files, command) in [
        ([("a.txt", "a\n"), ("d", "d\n")], FILE_TO_FOLDER),
        ([("a.txt", "a\n"), ("d/x", "x\n")], FOLDER_TO_FILE),
    ] {
        let project = Project::new(&files);
        let server = server(command);
        let mut dies = code_agent(&project);
        dies.args(["--goal", "Write"]).args(model(&server));
        let died = run(dies.env("CODE_AGENT_CRASH_AT", "branch: files written"));
        assert!(died.signal.is_some(), "{}", died.stderr);
        assert_ne!(project.git(&["status", "--porcelain"]), "");
        run(&mut resume(&project)).expect_code(0);
        assert_eq!(server.violations(), Vec::<String>::new());
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        assert_eq!(project.read("a.txt"), "changed\n");
        project.assert_sound();
    }
}

const CHANGE_AND_REMOVE: &str = "echo changed > a.txt && rm d";

#[test]
fn a_half_move_is_mended_where_git_writes_other_line_ends() {
    let files = [("a.txt", "a\n"), ("d", "d\n"), (".gitattributes", "* text eol=crlf\n")];
    let project = Project::new(&files);
    let server = server(CHANGE_AND_REMOVE);
    let mut dies = code_agent(&project);
    dies.args(["--goal", "Write"]).args(model(&server));
    let died = run(dies.env("CODE_AGENT_CRASH_AT", "branch: files written"));
    assert!(died.signal.is_some(), "{}", died.stderr);
    assert_eq!(project.read("a.txt"), "changed\r\n");
    run(&mut resume(&project)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.read("a.txt"), "changed\r\n");
    project.assert_sound();
}

#[test]
fn a_move_that_fails_is_taken_back_where_git_writes_other_line_ends() {
    let attributes = (".gitattributes", "a.txt text eol=crlf\n");
    let project =
        Project::new(&[("a.txt", "a\n"), ("d/x", "x\n"), (".gitignore", "*.tmp\n"), attributes]);
    project.write(&[("d/mine.tmp", "mine\n")]);
    let ended = go(&project, FOLDER_TO_FILE).expect_code(0);
    assert!(ended.stderr.contains("was left alone"), "{}", ended.stderr);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!((project.read("a.txt"), project.read("d/x")), ("a\r\n".into(), "x\n".into()));
    assert!(!project.git(&["for-each-ref"]).contains("moving"));
}
