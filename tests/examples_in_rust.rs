//! The examples of plugins in Rust, in runs of the real program: models use their
//! tools, and the judge among them judges.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use model_server::{ModelServer, Rule, Script, Turn, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{bare, default_plugins, model, program, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, write_file, writer};

fn example(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples").join(name);
    assert!(
        folder.join(name).with_extension("wasm").exists(),
        "build the component first: cargo xtask plugins --examples"
    );
    folder
}

fn command(project: &Project, name: &str, server: &ModelServer) -> Command {
    let mut command = bare(project);
    command.arg("--plugins").arg(default_plugins()).arg("--plugins").arg(example(name));
    command.args(["--allow-plugins", "--goal", "Try it"]).args(model(server));
    command
}

/// Two tasks: one is the worker's of the test, one is there for company.
fn rules(worker: Rule, judge: Rule) -> Script {
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Try it", "tried.txt")]),
        domain("two", &[("Write d", "d.txt")]),
        worker,
        writer("Write d", "d.txt", "d\n"),
        judge,
    ])
}

fn worker(turns: impl IntoIterator<Item = Turn>) -> Rule {
    turns.into_iter().fold(Rule::worker(&["Task: Try it\n"]), Rule::turn)
}

/// Runs with a tool; the worker's turns say what it has to answer.
fn try_tool(project: &Project, name: &str, turns: Vec<Turn>) {
    let server = ModelServer::start(rules(worker(turns), content_judge())).unwrap();
    run(&mut command(project, name, &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
}

#[test]
#[ignore = "needs a component with C in it: cargo xtask plugins --examples"]
fn outline_tells_where_things_are() {
    let project = Project::new(&[
        ("src/shelf.rs", "pub struct Shelf;\n\nimpl Shelf {\n    pub fn put(&self) {}\n}\n"),
        ("web/shelf.ts", "// put\nexport class Store { put(): void {} }\nnew Store().put();\n"),
        ("tools/count.py", "def count(shelf):\n    return len(shelf)\n"),
    ]);
    let outlined = call("outline", json!({}));
    let defined = call("find_definition", json!({ "name": "Shelf::put" }))
        .expects(&["1-2: def count(shelf)", "  3-5: impl Shelf\n    4: pub fn put(&self)"]);
    let used = call("find_references", json!({ "name": "put" }))
        .expects(&["src/shelf.rs:4: function Shelf::put\n    pub fn put(&self)"]);
    let wrong = call("find_references", json!({ "name": "a b" })).expects(&[
        "3 times in 2 files",
        "  2: defined in Store: export class Store { put(): void {} }",
        "  3: used: new Store().put();",
    ]);
    let finished = finish_task("Nothing to do.").expects(&["`a b` is no name"]);
    let turns = vec![outlined, defined, used, wrong, finished];
    try_tool(&project, "outline", turns);
}

#[test]
#[ignore = "needs a component with C in it: cargo xtask plugins --examples"]
fn outline_leaves_out_links_that_lead_nowhere_or_outside() {
    let project = Project::new(&[("shelf.py", "def put(): pass\n")]);
    symlink("nowhere", project.path().join("dangling.py")).unwrap();
    symlink("/etc/hostname", project.path().join("outside.py")).unwrap();
    let mut command = program(&project);
    command.args(["plugin", "run", "outline", "{}", "--plugins"]).arg(example("outline"));
    let told = run(command.arg("--root-path").arg(project.path())).expect_code(0).stdout;
    assert!(told.contains("dangling.py (left out: not found: dangling.py does not"), "{told}");
    assert!(told.contains("outside.py (left out: denied: outside.py leads out of "), "{told}");
    assert!(told.ends_with("shelf.py (Python, 1 lines)\n  1: def put()\n"), "{told}");
}

#[test]
fn the_metrics_judge_leaves_out_links_that_lead_nowhere_or_outside() {
    let project = Project::without_git();
    let case = r#"
        folder = "project"
        [[replies]]
        calls = [{ name = "submit_verdict", arguments = { decision = "stop", goal_met = true, reasoning = "Linked." } }]
        expects = ["| Source files | 1 | 1 | 0 |", "2 files can't be read and are left out, `dangling.py` first"]
        [expect]
        answer = { decision = "stop" }
    "#;
    let place = project.beside("metrics-judge/tests/project");
    fs::create_dir_all(&place).unwrap();
    symlink("nowhere", place.join("dangling.py")).unwrap();
    symlink("/etc/hostname", place.join("outside.py")).unwrap();
    play(&project, "metrics-judge", case, [("a.py".to_owned(), "a\n".to_owned())].into_iter());
}

/// Says so much that it has to be fetched in pieces.
const RUFF: &str = r#"mkdir -p .venv/bin && cat > .venv/bin/ruff <<'END'
#!/bin/sh
for n in $(seq 1 900); do
  echo "{\"code\":\"F401\",\"filename\":\"$PWD/a.py\",\"location\":{\"row\":$n,\"column\":8},\"message\":\"unused für $n\"}"
done
exit 1
END
chmod +x .venv/bin/ruff"#;

#[test]
fn diagnostics_runs_what_the_repository_uses() {
    let project = Project::new(&[
        (".gitignore", "/target/\n.venv/\n"),
        ("Cargo.toml", "[package]\nname = \"shop\"\nedition = \"2024\"\n"),
        ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.0.0\"\n"),
        ("src/lib.rs", "pub fn count() -> u32 {\n    let x = \"one\";\n    x\n}\n"),
        ("py/ruff.toml", "line-length = 100\n"),
        ("py/mypy.ini", "[mypy]\npython_executable = /none\n"),
    ]);
    let prepared = call("run_command", json!({ "command": RUFF }));
    let checked = call("diagnostics", json!({}));
    let python_alone = call("diagnostics", json!({ "checkers": ["ruff"], "paths": ["py/b.py"] }))
        .expects(&[
            "cargo in .: ",
            "src/lib.rs:3:5: error: E0308: mismatched types [cargo]",
            "ruff in py: errors: 0, warnings: 900, notes: 0",
            "py/a.py:1:8: warning: F401: unused für 1 [ruff]",
            " more are left out: name paths or checkers]",
        ]);
    let wrong = call("diagnostics", json!({ "checkers": ["lint"] }))
        .expects(&["ruff in py: errors: 0, warnings: 900, notes: 0\n\nNothing was found."]);
    let finished = finish_task("Checked.").expects(&["unknown variant `lint`"]);
    let turns = vec![prepared, checked, python_alone, wrong, finished];
    try_tool(&project, "diagnostics", turns);
}

#[test]
fn the_metrics_judge_tells_figures_from_before_and_after() {
    let project = Project::new(&[("shelf.rs", "pub fn put() {}\n"), ("notes.txt", "if\n")]);
    let text = "pub fn put(full: bool) {\n    // TODO: more\n    if full { take() }\n}\n";
    let worker = worker([write_file("shelf.rs", text), finish_task("Done.")]);
    let expected = "| Decisions (branches, loops, cases, and/or) | 0 | 1 | +1 |";
    let judge = Rule::judge(&[])
        .turn(submit_verdict("stop", true, "It is there.").expects(&[expected, "# The cycle"]));
    let server = ModelServer::start(rules(worker, judge)).unwrap();
    run(&mut command(&project, "metrics-judge", &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    let said: String = project.query("SELECT judge_reasoning FROM cycles");
    for part in [
        "It is there.\n\n## Code metrics, before and after the cycle\n",
        "| Lines | 1 | 4 | +3 |",
        "| Lines of code | 1 | 3 | +2 |",
        expected,
        "- `shelf.rs`: 0 decisions before, 1 after",
        "- `shelf.rs:2`: TODO: more",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

/// Plays a case of one's own on an example's folder, as it is shipped, with these
/// files in the checkout.
fn play(project: &Project, name: &str, case: &str, files: impl Iterator<Item = (String, String)>) {
    let folder = project.beside(name);
    let place = folder.join("tests/project");
    fs::create_dir_all(&place).unwrap();
    for file in ["plugins.toml", &format!("{name}.wasm")] {
        fs::copy(example(name).join(file), folder.join(file)).unwrap();
    }
    fs::write(folder.join("tests/case.toml"), case).unwrap();
    for (name, text) in files {
        fs::write(place.join(name), text).unwrap();
    }
    let ended = run(program(project).args(["plugin", "test"]).arg(folder)).expect_code(0);
    assert!(ended.stdout.contains("1 passed, 0 failed"), "{}", ended.stdout);
}

#[test]
fn the_metrics_judge_measures_a_large_repository_within_its_limits() {
    let case = r#"
        folder = "project"
        [[replies]]
        calls = [{ name = "submit_verdict", arguments = { decision = "stop", goal_met = true, reasoning = "Large." } }]
        expects = [
          "| Source files | 5000 | 5000 | 0 |",
          "| Lines of code | 1500000 | 1500000 | 0 |",
          "| Duplicated lines of code | 12 | 12 | 0 |",
        ]
        [expect]
        answer = { decision = "stop", goal-met = true }
    "#;
    // All lines differ, but for the first six of two files.
    let text = |file: u32| {
        let line = |line: u32| if file < 2 && line < 6 { line } else { (file + 1) * 300 + line };
        (0..300).map(|at| format!("f({});\n", line(at))).collect()
    };
    let files = (0..5_000).map(|file| (format!("f{file}.c"), text(file)));
    play(&Project::without_git(), "metrics-judge", case, files);
}
