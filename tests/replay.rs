//! Recorded runs: they are played back to the same commits, id for id, with
//! nobody to ask; and what does not fit is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::large_run::Size;
use crate::program::{Ended, code_agent, code_agent_without_merger, model, program, resume, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, edit, plan, write_file, writer};
use crate::watched::Watched;

fn record(project: &Project, server: &ModelServer, workers: u32) -> Command {
    let mut command = code_agent(project);
    command.args(["--goal", "Record", "--max-workers", &workers.to_string()]).args(model(server));
    command
}

pub fn transcript(project: &Project) -> PathBuf {
    let id: String = project.query("SELECT run_id FROM runs");
    project.path().join(format!(".code-agent/runs/{id}/transcript.jsonl"))
}

/// A clone that stands where the run began.
pub fn clone_of(project: &Project) -> Project {
    let base: String = project.query("SELECT base_commit FROM runs");
    let clone = Project::without_git();
    clone.git(&["clone", "--quiet", project.path().to_str().unwrap(), "."]);
    clone.git(&["checkout", "--quiet", "-B", "main", &base]);
    clone
}

fn replay(clone: &Project, recording: &Path) -> Ended {
    let mut command = code_agent(clone);
    command.arg("--model").arg(format!("replay:{}", recording.display()));
    run(&mut command)
}

/// That nobody has to be asked for the same commits.
#[track_caller]
pub fn assert_replays(project: &Project) -> Project {
    assert_replays_with(project, &[])
}

/// The same with these options, which a recording does not hold.
#[track_caller]
pub fn assert_replays_with(project: &Project, options: &[&str]) -> Project {
    let clone = clone_of(project);
    let mut command = code_agent(&clone);
    command.arg("--model").arg(format!("replay:{}", transcript(project).display()));
    run(command.args(options)).expect_code(0);
    clone.assert_sound();
    assert_eq!(clone.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
    let rows = "SELECT group_concat(id || assigned_to || attempt || status || commit_id, ' ')
                FROM (SELECT * FROM tasks ORDER BY id)";
    assert_eq!(clone.query::<String>(rows), project.query::<String>(rows));
    clone
}

#[test]
fn a_large_run_comes_to_the_same_commits_and_so_does_its_replay() {
    let size = Size { domains: [3, 2], tasks: 8 };
    let project = size.project();
    let server = ModelServer::start(size.script()).unwrap();
    run(&mut record(&project, &server, 8)).expect_code(0);
    drop(server);
    let clone = assert_replays(&project);
    // What a replay writes down can be played back as well.
    assert_replays(&clone);
}

/// A run of two workers that change the same line at once: one lands, the
/// other's attempt fails and its next one is told why.
fn conflict() -> Project {
    let project = Project::new(&[("count.txt", "count: 0\n")]);
    let first = |title: &str, word: &str| {
        Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 1"])
            .turn(call("list_files_recursive", json!({})).barrier("both work", 2))
            .turn(edit("count.txt", "count: 0", &format!("count: {word}")))
            .turn(call("git_commit_and_push", json!({ "message": "Count" })))
            .turn(finish_task("Done."))
    };
    let second = |title: &str| {
        Rule::worker(&[&format!("Task: {title}\n"), "Attempt: 2", "count.txt"])
            .turn(write_file("count.txt", "count: both\n"))
            .turn(finish_task("Done on top of the other."))
    };
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        first("Count left", "left"),
        first("Count right", "right"),
        second("Count left"),
        second("Count right"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Record", "--max-workers", "2"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(project.query::<u32>("SELECT sum(attempt) FROM tasks"), 3);
    project
}

#[test]
fn conflicts_come_again_as_they_came() {
    assert_replays(&conflict());
}

#[test]
fn a_run_that_was_killed_and_resumed_is_played_back_as_one() {
    let size = Size { domains: [2, 2], tasks: 5 };
    let project = size.project();
    let server = ModelServer::start(size.script_held_at_the_end()).unwrap();
    let mut program = Watched::start(record(&project, &server, 4).arg("--json"));
    program.until_event("task-completed", "");
    program.until_event("attempt-started", "");
    program.signal("KILL");
    program.ended();
    let server = ModelServer::start(size.script()).unwrap();
    run(resume(&project).args(model(&server))).expect_code(0);
    assert_replays(&project);
}

#[test]
fn a_replay_ends_where_its_recording_does() {
    let size = Size { domains: [2, 2], tasks: 5 };
    let project = size.project();
    let server = ModelServer::start(size.script_held_at_the_end()).unwrap();
    let mut program = Watched::start(record(&project, &server, 4).arg("--json"));
    for _ in 0..3 {
        program.until_event("task-completed", "");
    }
    program.signal("INT");
    program.ended().expect_code(130);
    let clone = clone_of(&project);
    let ended = replay(&clone, &transcript(&project)).expect_code(1);
    assert!(ended.stderr.contains("ends here"), "{}", ended.stderr);
    clone.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(clone.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
}

#[test]
fn a_request_that_is_not_in_the_recording_is_shown() {
    let project = conflict();
    let recording = transcript(&project);
    let text = fs::read_to_string(&recording).unwrap();
    let other = text.replace("Count right. Done when it is there.", "Count rightly.");
    assert_ne!(text, other);
    // Only what the worker was told; the plan it came from stays.
    let lines: String = text
        .lines()
        .zip(other.lines())
        .map(|(line, other)| if line.contains("\"Task: ") { other } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let changed = project.beside("changed.jsonl");
    fs::write(&changed, lines.replace("Task: Count right\\n", "Task: Count rightly\\n")).unwrap();
    let clone = clone_of(&project);
    let ended = replay(&clone, &changed).expect_code(1);
    for line in ["this request is not in it", "\n-", "Count rightly", "\n+", "Count right\n"] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    clone.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn what_can_not_be_played_back_is_refused_and_changes_nothing() {
    let project = conflict();
    let recording = transcript(&project);
    let refused = |project: &Project, recording: &Path, words: &str| {
        let before = project.fingerprint();
        let ended = replay(project, recording).expect_code(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert_eq!(project.fingerprint(), before);
    };
    refused(&project, &recording, "is in this repository already");
    let clone = clone_of(&project);
    refused(&clone, &clone.beside("nothing.jsonl"), "can't be read");
    refused(&clone, &clone.path().join("count.txt"), "is no transcript");
    fs::write(clone.beside("empty.jsonl"), "").unwrap();
    refused(&clone, &clone.beside("empty.jsonl"), "does not say which run");
    clone.git(&["commit", "--quiet", "--allow-empty", "--message=More"]);
    refused(&clone, &recording, "git switch --force-create main");

    let mut command = code_agent(&clone);
    command.args(["--model", &format!("worker=replay:{}", recording.display())]);
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("all roles at once"), "{}", ended.stderr);
    let mut command = code_agent(&clone);
    command.args(["--goal", "Other", "--model", &format!("replay:{}", recording.display())]);
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("leave --goal out"), "{}", ended.stderr);
}

fn read(project: &Project, arguments: &[&str]) -> Ended {
    run(program(project).arg("transcript").args(arguments))
}

#[test]
fn a_transcript_can_be_read() {
    let project = conflict();
    let task: String = project.query("SELECT id FROM tasks WHERE attempt = 2");
    let ended = read(&project, &[&task]).expect_code(0);
    for words in [
        &format!("task {task}, attempt 1"),
        &format!("task {task}, attempt 2"),
        "--- system, for the model scripted",
        "  edit_file {",
        "--- result of edit_file\n  edited count.txt",
        "--- did not land",
        "--- failed\n",
        "  finish_task {",
        "--- landed as ",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    let judge = read(&project, &["judge", "--json"]).expect_code(0).events();
    assert_eq!(judge.first().unwrap()["line"], "call");
    assert_eq!(judge.last().unwrap()["line"], "ended");
    assert!(read(&project, &["worker"]).expect_code(0).stdout.contains("=== worker-2, worker"));
    let ended = read(&project, &["somebody"]).expect_code(2);
    assert!(ended.stderr.contains("there is"), "{}", ended.stderr);
    assert!(ended.stderr.contains("worker-1"), "{}", ended.stderr);
}

/// The key that `code_agent` sets.
const KEY: &str = "sk-never-shown";

/// The files below a folder that hold the key.
fn holding_key(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding_key(&path));
        } else if fs::read(&path).unwrap().windows(KEY.len()).any(|part| part == KEY.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_key_is_nowhere() {
    let project = Project::new(&[(".env", &format!("OPENAI_API_KEY={KEY}\n"))]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write c", "c.txt", "c\n"),
        // The repository tells the model, and the model tells everybody.
        Rule::worker(&["Task: Write b\n"])
            .turn(call("read_file_content", json!({ "path": ".env" })).says(KEY))
            .turn(write_file("b.txt", "b\n"))
            .turn(finish_task(&format!("Done with {KEY}."))),
        content_judge(),
    ]))
    .unwrap();
    let mut command = record(&project, &server, 1);
    let ended = run(command.args(["--json", "--log-level", "trace"])).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    let own = project.path().join(".code-agent");
    assert!(fs::read_to_string(transcript(&project)).unwrap().contains("OPENAI_API_KEY=[key]"));
    assert_eq!(holding_key(&own), Vec::<PathBuf>::new());
    assert!(!ended.stdout.contains(KEY) && !ended.stderr.contains(KEY), "{}", ended.stderr);
    assert!(!project.git(&["log", "--format=%B", "main"]).contains(KEY));
}
