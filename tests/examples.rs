//! The examples of plugins in other languages, in runs of the real program. Their
//! components need compilers that not every machine has: `cargo xtask test` builds
//! those that it can, makes their tests, and says which it leaves out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::program::{Ended, bare, default_plugins, model, program, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, edit, plan, write_file, writer};

fn example(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples").join(name);
    assert!(
        folder.join(name).with_extension("wasm").exists(),
        "build the component first: cargo xtask plugins --examples"
    );
    folder
}

/// A run with the default plugins and an example, as its README has it. One
/// planner hands out "Write b", the other "Write c".
fn run_with(project: &Project, name: &str, cycles: u32, rules: Vec<Rule>) -> Ended {
    let plans = [
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
    ];
    let server = ModelServer::start(Script::new(plans.into_iter().chain(rules))).unwrap();
    let mut command = bare(project);
    command.arg("--plugins").arg(default_plugins()).arg("--plugins").arg(example(name));
    command.args(["--goal", "Write", "--max-cycles", &cycles.to_string()]).args(model(&server));
    let ended = run(&mut command);
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

fn reasoning(project: &Project, cycle: u32) -> String {
    project.query(&format!("SELECT judge_reasoning FROM cycles WHERE cycle_number = {cycle}"))
}

#[test]
#[ignore = "needs a component in Python: cargo xtask plugins --examples"]
fn criteria_judge_goes_on_until_every_box_is_ticked() {
    let project = Project::new(&[("ACCEPTANCE.md", "- [x] b is there\n- [ ] c is there\n")]);
    let rules = vec![
        Rule::worker(&["Cycle: 1 of 5", "Task: Write c\n"])
            .turn(write_file("c.txt", "c\n"))
            .turn(finish_task("Wrote c.")),
        Rule::worker(&["Cycle: 2 of 5", "Task: Write c\n"])
            .turn(edit("ACCEPTANCE.md", "- [ ] c", "- [x] c"))
            .turn(finish_task("Ticked it.")),
    ];
    run_with(&project, "criteria-judge", 5, rules).expect_code(0);
    assert_eq!(reasoning(&project, 1), "1 of 2 criteria in ACCEPTANCE.md are open:\n- c is there");
    assert_eq!(reasoning(&project, 2), "All 2 criteria in ACCEPTANCE.md are ticked.");
    project.assert_sound();
}

#[test]
#[ignore = "needs a component in Python: cargo xtask plugins --examples"]
fn criteria_judge_never_stops_without_criteria() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let rules = vec![writer("Write c", "c.txt", "c\n")];
    run_with(&project, "criteria-judge", 1, rules).expect_code(3);
    assert!(reasoning(&project, 1).starts_with("There is no ACCEPTANCE.md"));
}

#[test]
#[ignore = "needs a component in JavaScript: cargo xtask plugins --examples"]
fn validate_tells_a_worker_which_files_are_broken() {
    let project = Project::new(&[("config.json", "{\"a\": 1,}\n"), ("ci.yml", "a: 1\na: 2\n")]);
    let rules = vec![
        Rule::worker(&["Task: Write c\n"])
            .turn(call("validate_files", json!({})))
            .turn(write_file("config.json", "{\"a\": 1}\n").expects(&[
                "ci.yml:2:1: Map keys must be unique",
                "config.json:1:9: ",
                "Files: 2, problems: 2.",
            ]))
            .turn(call("validate_files", json!({ "paths": ["config.json"] })))
            .turn(call("validate_files", json!({ "paths": ["a.txt"] })).expects(&["no problem"]))
            .turn(finish_task("Mended it.").expects(&["a.txt ends neither in .json"])),
        content_judge(),
    ];
    run_with(&project, "validate", 1, rules).expect_code(0);
    assert_eq!(project.read("config.json"), "{\"a\": 1}\n");
    project.assert_sound();
}

#[test]
#[ignore = "needs a component in JavaScript: cargo xtask plugins --examples"]
fn validate_leaves_out_what_it_cannot_read_and_says_why() {
    let project = Project::new(&[("good.json", "{}\n")]);
    let at = |name: &str| project.path().join(name);
    // Sound, but too large to be read in one piece.
    let list = |length: usize| format!("[{}1]\n", "1,".repeat(length / 2));
    fs::write(at("large.json"), list(10 << 20)).unwrap();
    fs::write(at("large.yaml"), list(128 << 10)).unwrap();
    fs::write(at("most.json"), list((10 << 20) - 4)).unwrap();
    symlink("nowhere", at("dangling.json")).unwrap();
    symlink("/etc/hostname", at("outside.yml")).unwrap();
    let validate = |arguments: &str| {
        let mut command = program(&project);
        command.args(["plugin", "run", "validate_files", arguments]);
        run(command.arg("--plugins").arg(example("validate")).arg("--root-path").arg(at("")))
    };
    let all = validate("{}").expect_code(0).stdout;
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines[0], "dangling.json: left out: dangling.json does not exist");
    assert_eq!(lines[1], "large.json: left out: it is larger than 10 MiB");
    assert_eq!(lines[2], "large.yaml: left out: it is larger than 128 KiB");
    assert!(lines[3].starts_with("outside.yml: left out: outside.yml leads out of "), "{all}");
    assert_eq!(lines[4..], ["Files: 2, no problem, left out: 4."]);
    // What a model names, it hears about at once.
    let named = validate(r#"{"paths": ["good.json", "dangling.json"]}"#).expect_code(1);
    assert!(named.stderr.contains("there is no file dangling.json"), "{}", named.stderr);
}
