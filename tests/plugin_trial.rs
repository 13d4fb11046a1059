//! `code-agent plugin new`, `test` and `run`: plugins made and tried without a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use model_server::{ModelServer, Script};

use crate::program::{
    Ended, code_agent_without_merger, default_plugins, model, plugins_with, program, run,
    toolbox_component, umpire_component,
};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, writer};
use crate::tool_plugins::with_toolbox;

const WORK: &str = r#"
plugin = "worker"
folder = "project"

[task]
title = "Write b"
description = "b.txt says b."
file-paths = ["b.txt"]

[[replies]]
calls = [{ name = "read_file_content", arguments = { path = "a.txt" } }]
expects = ["Write b", "b.txt says b."]

[[replies]]
calls = [{ name = "write_file_content", arguments = { path = "b.txt", content = "b\n" } }]
expects = ["1\ta"]

[[replies]]
calls = [{ name = "finish_task", arguments = { success = true, summary = "Wrote b." } }]

[expect]
answer = { success = true, summary = "Wrote b." }
files = { "a.txt" = "a\n", "b.txt" = "b\n", "c.txt" = false }
"#;

const MERGE: &str = r#"
plugin = "merger"
folder = "project"

[task]
title = "Say b"

[merge]
worker = "worker-side"
branch = "branch-side"

[[replies]]
calls = [{ name = "write_file_content", arguments = { path = "a.txt", content = "b and c\n" } }]
expects = ["Say b", "a.txt"]

[[replies]]
calls = [{ name = "finish_merge", arguments = { success = true, summary = "Kept both." } }]

[expect]
answer = { success = true }
contains = ["Kept both."]
files = { "a.txt" = "b and c\n" }
"#;

const JUDGE: &str = r#"
plugin = "judge"

[cycle]
check = { command-line = "make", passed = false, output = "red" }
rolled-back = ["0123abcd"]

[[replies]]
calls = [{ name = "submit_verdict", arguments = { decision = "stop", goal_met = false, reasoning = "Gone." } }]
expects = ["taken back because the check was red\n\n- 0123abcd"]

[expect]
answer = { decision = "stop", goal-met = false }
"#;

/// A run of two tasks, one of them a worker's first.
fn small() -> Script {
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write d", "d.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write d", "d.txt", "d\n"),
        content_judge(),
    ])
}

/// A plugins folder whose `tests/` holds these cases, and the files that they name.
fn with_cases(folder: &Path, cases: &[(&str, &str)]) {
    let tests = folder.join("tests");
    let files =
        [("project/a.txt", "a\n"), ("worker-side/a.txt", "b\n"), ("branch-side/a.txt", "c\n")];
    for (path, text) in cases.iter().chain(&files) {
        let path = tests.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn plugin(project: &Project, words: &[&str]) -> Command {
    let mut command = program(project);
    command.arg("plugin").args(words);
    command
}

/// `plugin test` of a folder with the default plugins.
fn tests(project: &Project, cases: &[(&str, &str)]) -> Ended {
    let roles = ["main-planner", "sub-planner", "worker", "merger", "judge"];
    let folder = plugins_with(project, &roles, "");
    with_cases(&folder, cases);
    run(plugin(project, &["test"]).arg(folder))
}

#[test]
fn roles_are_tried_on_what_a_model_is_to_say() {
    let project = Project::new(&[("a.txt", "mine\n")]);
    let before = project.fingerprint();
    let ended =
        tests(&project, &[("judge.toml", JUDGE), ("merge.toml", MERGE), ("work.toml", WORK)])
            .expect_code(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "ok      tests/judge.toml",
            "ok      tests/merge.toml",
            "ok      tests/work.toml",
            "3 passed, 0 failed"
        ]
    );
    assert_eq!(project.fingerprint(), before, "the user's own repository is not touched");
}

#[test]
fn what_is_not_as_expected_is_told_and_the_other_cases_are_made() {
    let project = Project::without_git();
    let wrong = WORK
        .replace("summary = \"Wrote b.\" }\nfiles", "summary = \"Wrote c.\" }\nfiles")
        .replace("\"b.txt\" = \"b\\n\", \"c.txt\" = false", "\"b.txt\" = \"c\\n\"")
        .replace("b.txt says b.\"]", "good bye\"]");
    let more = format!("{WORK}\n[[replies]]\ntext = \"Never asked for.\"\n");
    let fewer = WORK.rsplit_once("[[replies]]").unwrap().0;
    let fewer = format!("{fewer}[expect]\nanswer = {{ success = true }}\n");
    let cases = [
        ("fewer.toml", fewer.as_str()),
        ("more.toml", &more),
        ("right.toml", WORK),
        ("wrong.toml", &wrong),
    ];
    let ended = tests(&project, &cases).expect_code(1);
    for words in [
        "FAILED  tests/fewer.toml\n        it failed: the model was asked once more than there are replies",
        "FAILED  tests/more.toml\n        the model was not asked for the last 1 replies",
        "ok      tests/right.toml",
        "answer.summary is \"Wrote b.\", not \"Wrote c.\"",
        "the model was not told \"good bye\" before its reply 1",
        "b.txt holds \"b\\n\"",
        "1 passed, 3 failed",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    let only = run(plugin(&project, &["test", "--case", "right"]).arg(project.beside("plugins")));
    assert!(only.expect_code(0).stdout.contains("1 passed, 0 failed"));
}

#[test]
fn a_case_that_is_none_is_refused_with_what_is_wrong() {
    let project = Project::without_git();
    let task = WORK.replace("[task]", "[tsak]");
    let expect = "[expect]\ncontains = [\"done\"]\n";
    let without = &format!("plugin = \"worker\"\n{expect}");
    let nobody = &format!("plugin = \"nobody\"\n{expect}");
    let cases = [
        ("a.toml", task.as_str()),
        ("b.toml", without),
        ("c.toml", nobody),
        ("d.toml", expect),
        ("e.toml", "plugin = \"judge\"\n[cycle]\n"),
    ];
    let ended = tests(&project, &cases).expect_code(1);
    for words in [
        "unknown field `tsak`",
        "the case needs a [task], for a worker",
        "no plugin is called `nobody`; there are",
        "say with plugin = \"NAME\" which one is meant",
        "it does not say what has to come of it; add an [expect]",
    ] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    let folder = plugins_with(&project, &["judge"], "");
    with_cases(&folder, &cases);
    let other = run(plugin(&project, &["test", "--case", "nope"]).arg(&folder)).expect_code(2);
    assert!(other.stderr.contains("there are a, b, c, d, e"), "{}", other.stderr);
    let empty = project.beside("empty");
    fs::create_dir(&empty).unwrap();
    let none = run(plugin(&project, &["test"]).arg(&empty)).expect_code(2);
    assert!(none.stderr.contains("no case lies in"), "{}", none.stderr);
}

#[test]
fn a_judge_and_a_tool_are_tried_on_a_folder() {
    let project = Project::without_git();
    let entries = format!(
        "[plugins.umpire]\ncomponent = {:?}\nrole = \"judge\"\nsettings = {{ verdict = \"goal met\" }}\n\
         [plugins.toolbox]\ncomponent = {:?}\ntool = true\n",
        umpire_component(),
        toolbox_component()
    );
    let folder = plugins_with(&project, &[], &entries);
    let judge = r#"
        plugin = "umpire"
        folder = "notes"
        [[cycle.outcomes]]
        title = "One"
        status = "completed"
        [expect]
        answer = { decision = "stop", goal-met = true, reasoning = "Saw 1 tasks and as written." }
    "#;
    let tool = r#"
        plugin = "toolbox"
        folder = "project"
        [call]
        name = "count_lines"
        arguments = { path = "a.txt" }
        [expect]
        contains = ["a.txt has 1 lines"]
    "#;
    let fails = tool.replace("a.txt\" }", "../a.txt\" }").replace("contains", "error");
    let fails = fails.replace("a.txt has 1 lines", "leads upwards");
    with_cases(
        &folder,
        &[
            ("judge.toml", judge),
            ("notes/notes.txt", "as written\n"),
            ("tool.toml", tool),
            ("upwards.toml", &fails),
        ],
    );
    let ended = run(plugin(&project, &["test"]).arg(&folder)).expect_code(0);
    assert!(ended.stdout.contains("3 passed, 0 failed"), "{}", ended.stdout);
}

#[test]
fn a_recorded_conversation_is_tried_again() {
    let project = Project::without_git();
    let recorded = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(small()).unwrap();
    let mut command = code_agent_without_merger(&recorded);
    command.args(["--goal", "Record", "--max-workers", "1"]).args(model(&server));
    run(&mut command).expect_code(0);
    let run_id: String = recorded.query("SELECT run_id FROM runs");
    let transcript = recorded.path().join(format!(".code-agent/runs/{run_id}/transcript.jsonl"));
    // Either planner may have been the first; the case goes by what the worker did first.
    let commits = recorded.git(&["log", "--format=%s", "--reverse"]);
    let letter = if commits.find("Write b") < commits.find("Write d") { "b" } else { "d" };
    let case = format!(
        "plugin = \"worker\"\nfolder = \"project\"\n[task]\ntitle = \"Write {letter}\"\n\
         file-paths = [\"{letter}.txt\"]\n\
         [recorded]\ntranscript = {transcript:?}\nagent = \"worker-1\"\n\
         [expect]\nanswer = {{ success = true }}\nfiles = {{ \"{letter}.txt\" = \"{letter}\\n\" }}\n"
    );
    let ended = tests(&project, &[("again.toml", &case)]).expect_code(0);
    assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
    let other = case.replace("worker-1", "worker-9");
    let ended = tests(&project, &[("again.toml", &other)]).expect_code(1);
    assert!(ended.stdout.contains("0 calls of the agent `worker-9`"), "{}", ended.stdout);
}

#[test]
fn a_tool_is_run_on_a_copy_of_a_folder() {
    let project = Project::new(&[("a.txt", "a\nb\n"), (".gitignore", "left\n"), ("left", "x\n")]);
    let before = project.fingerprint();
    let call = |plugins: &Path, words: &[&str]| {
        let mut command = plugin(&project, &["run"]);
        command.args(words).arg("--plugins").arg(plugins);
        run(command.arg("--root-path").arg(project.path()))
    };
    let plain = with_toolbox(&project, "");
    let counted = call(&plain, &["count_lines", r#"{"path": "a.txt"}"#]).expect_code(0);
    assert_eq!(counted.stdout, "a.txt has 2 lines\n");
    let ignored = call(&plain, &["count_lines", r#"{"path": "left"}"#]).expect_code(1);
    assert!(ignored.stderr.contains("code-agent: not found: left"), "{}", ignored.stderr);
    let wrong = call(&plain, &["misbehave", r#"{"how": "nicely"}"#]).expect_code(1);
    let words = "code-agent: invalid: this call asks for an error: nicely";
    assert!(wrong.stderr.contains(words), "{}", wrong.stderr);
    let unknown = call(&plain, &["cuont_lines"]).expect_code(2);
    assert!(unknown.stderr.contains("there are count_lines, "), "{}", unknown.stderr);

    let writing = with_toolbox(&project, "grants = [\"files\", \"files-write\"]");
    let arguments = ["append_note", r#"{"path": "a.txt", "text": "c"}"#];
    let asked = call(&writing, &arguments).expect_code(2);
    assert!(asked.stderr.contains("asks for files-write"), "{}", asked.stderr);
    let allowed = call(&writing, &[arguments[0], arguments[1], "--allow-plugins"]).expect_code(0);
    assert!(allowed.stdout.contains("noted in a.txt"), "{}", allowed.stdout);
    assert!(allowed.stdout.contains("+c\n"), "{}", allowed.stdout);
    assert_eq!(project.fingerprint(), before);
    assert_eq!(project.read("a.txt"), "a\nb\n");
}

#[test]
fn a_new_plugins_folder_has_all_that_it_needs() {
    let project = Project::without_git();
    let at = project.beside("made");
    fs::create_dir(&at).unwrap();
    for language in ["rust", "python", "javascript"] {
        for kind in ["judge", "worker", "main-planner", "sub-planner", "merger", "tool"] {
            let name = format!("{language}-{kind}");
            let words = ["new", &name, "--lang", language, "--kind", kind, "--into"];
            let ended = run(plugin(&project, &words).arg(&at)).expect_code(0);
            assert!(ended.stdout.contains("code-agent plugin test"), "{}", ended.stdout);
            let folder = at.join(&name);
            let manifest = fs::read_to_string(folder.join("plugins.toml")).unwrap();
            let is =
                if kind == "tool" { "tool = true".into() } else { format!("role = \"{kind}\"") };
            assert!(manifest.contains(&is) && manifest.contains(&name), "{manifest}");
            for file in ["README.md", "tests/first.toml"] {
                assert!(folder.join(file).is_file(), "{name}/{file}");
            }
            assert_eq!(left_to_fill(&folder), Vec::<PathBuf>::new());
        }
    }
    let again = ["new", "rust-judge", "--lang", "rust", "--kind", "judge", "--into"];
    let refused = run(plugin(&project, &again).arg(&at)).expect_code(2);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    for name in ["../out", "Upper", "with space", ""] {
        let words = ["new", name, "--lang", "rust", "--kind", "judge", "--into"];
        run(plugin(&project, &words).arg(&at)).expect_code(2);
    }
    let words = ["new", "x", "--lang", "cobol", "--kind", "judge"];
    let unknown = run(&mut plugin(&project, &words)).expect_code(2);
    assert!(unknown.stderr.contains("rust, python or javascript"), "{}", unknown.stderr);
}

/// Files in which a place was left that a name belongs to.
fn left_to_fill(folder: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            left.extend(left_to_fill(&path));
        } else if fs::read_to_string(&path).unwrap().contains("{{name}}") {
            left.push(path);
        }
    }
    left
}

#[test]
fn a_later_folder_takes_roles_over() {
    let project = Project::new(&[("notes.txt", "noted\n")]);
    let own = project.beside("own");
    fs::create_dir(&own).unwrap();
    let entry = format!(
        "[plugins.umpire]\ncomponent = {:?}\nrole = \"judge\"\nsettings = {{ verdict = \"goal met\" }}\n",
        umpire_component()
    );
    fs::write(own.join("plugins.toml"), entry).unwrap();
    let server = ModelServer::start(small()).unwrap();
    let mut command = crate::program::bare(&project);
    command.arg("--plugins").arg(default_plugins()).arg("--plugins").arg(&own);
    run(command.args(["--goal", "Judge"]).args(model(&server))).expect_code(0);
    let said: String = project.query("SELECT judge_reasoning FROM cycles");
    assert!(said.starts_with("Saw 2 tasks and noted."), "{said}");
}
