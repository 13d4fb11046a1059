//! `code-agent plugin`: what a person sees of plugins before they run, and the
//! consent that one changed byte takes back.

use std::fs;
use std::path::Path;
use std::process::Command;

use model_server::{ModelServer, Script};

use crate::program::{
    Ended, bare, default_plugins, hostile_component, model, program, run, toolbox_component,
};
use crate::project::Project;
use crate::tool_plugins::with_toolbox;

fn plugin(project: &Project, arguments: &[&str]) -> Command {
    let mut command = program(project);
    command.arg("plugin").args(arguments);
    command
}

fn folder(project: &Project, grants: &str) -> std::path::PathBuf {
    let folder = project.beside("plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(toolbox_component(), folder.join("box.wasm")).unwrap();
    let mut manifest =
        format!("[plugins.box]\ncomponent = \"box.wasm\"\ntool = true\ngrants = [{grants}]\n");
    for role in ["main-planner", "sub-planner", "worker", "judge"] {
        fs::copy(
            default_plugins().join(role).join(format!("{role}.wasm")),
            folder.join(format!("{role}.wasm")),
        )
        .unwrap();
        manifest += &format!("[plugins.{role}]\ncomponent = \"{role}.wasm\"\nrole = \"{role}\"\n");
    }
    fs::write(folder.join("plugins.toml"), manifest).unwrap();
    folder
}

/// Begins a run with this folder; no model answers, so that it ends at once.
fn begin(project: &Project, folder: &Path, flags: &[&str]) -> Ended {
    let server = ModelServer::start(Script::default()).unwrap();
    let mut command = bare(project);
    command.arg("--plugins").arg(folder).args(["--goal", "Write"]).args(model(&server));
    run(command.args(flags))
}

#[test]
fn what_is_asked_for_is_allowed_until_a_byte_changes() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = folder(&project, "\"files\", \"commands\", \"files-write\"");
    let path = folder.display().to_string();
    let refused = |words: &str| {
        let ended = begin(&project, &folder, &[]).expect_code(2);
        assert!(ended.stderr.contains(words), "`{words}` is not in {}", ended.stderr);
        assert!(ended.stderr.contains("plugin allow "), "{}", ended.stderr);
    };
    refused("`box` asks for files-write, commands, and nobody has allowed that yet");
    // For one run, and not for the next.
    begin(&project, &folder, &["--allow-plugins"]).expect_code(1);
    refused("nobody has allowed that yet");

    let ended = run(&mut plugin(&project, &["allow", &path])).expect_code(0);
    for word in ["asks for files-write, commands", "plugins.toml", "  judge", "One byte"] {
        assert!(ended.stdout.contains(word), "`{word}` is not in {}", ended.stdout);
    }
    assert!(project.beside("config/code-agent/allowed-plugins.json").is_file());
    begin(&project, &folder, &[]).expect_code(1);

    for (file, words) in [
        ("judge.wasm", "the component of `judge` has changed"),
        ("box.wasm", "the component of `box` has changed"),
        ("plugins.toml", "plugins.toml has changed"),
    ] {
        let path = folder.join(file);
        let before = fs::read(&path).unwrap();
        let mut changed = before.clone();
        let last = changed.last_mut().unwrap();
        *last ^= 1;
        fs::write(&path, &changed).unwrap();
        if file == "plugins.toml" {
            // Still TOML.
            fs::write(&path, [before.as_slice(), b"\n"].concat()).unwrap();
        }
        refused(words);
        fs::write(&path, before).unwrap();
    }
    begin(&project, &folder, &[]).expect_code(1);
}

#[test]
fn nothing_is_recorded_where_nothing_is_asked() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let path = default_plugins().display().to_string();
    let ended = run(&mut plugin(&project, &["allow", &path])).expect_code(0);
    assert!(ended.stdout.contains("nothing to allow"), "{}", ended.stdout);
    assert!(!project.beside("config").exists());
    let ended = run(&mut plugin(&project, &["allow", "/nowhere"])).expect_code(2);
    assert!(ended.stderr.contains("can't read /nowhere/plugins.toml"), "{}", ended.stderr);
}

#[test]
fn a_folder_is_listed() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = folder(&project, "\"files\", \"commands\"");
    let path = folder.display().to_string();
    let ended = run(&mut plugin(&project, &["list", "--plugins", &path])).expect_code(2);
    assert!(ended.stderr.contains("nobody has allowed that yet"), "{}", ended.stderr);
    let line = |name: &str| {
        let found = ended.stdout.lines().find(|line| line.starts_with(&format!("{name} ")));
        found.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let tool = line("box");
    assert!(
        tool.contains(" files settings files-write git git-write commands lm tools "),
        "{tool}"
    );
    assert!(tool.ends_with("count_lines append_note shell probe long misbehave"), "{tool}");
    let judge = line("judge");
    assert!(judge.ends_with(" files git commands lm tools settings - - -"), "{judge}");

    run(&mut plugin(&project, &["allow", &path])).expect_code(0);
    let ended = run(&mut plugin(&project, &["list", "--plugins", &path, "--json"])).expect_code(0);
    let boxed = ended.events().into_iter().find(|one| one["name"] == "box").unwrap();
    assert_eq!(boxed["grants"], serde_json::json!(["files", "commands", "settings"]));
    assert_eq!(boxed["can-ask-for"], serde_json::json!(["files-write", "git"]));
    assert_eq!(boxed["sha256"].as_str().unwrap().len(), 64);

    fs::write(folder.join("junk.wasm"), "junk").unwrap();
    let ended = run(&mut plugin(&project, &["list", "--plugins", &path])).expect_code(2);
    assert!(ended.stderr.contains("plugin `junk`: ") && ended.stderr.contains("is no component"));
    assert!(ended.stdout.contains("worker"), "the others are listed: {}", ended.stdout);
}

#[test]
fn what_a_component_says_does_not_steer_the_terminal() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let no_specs = with_toolbox(&project, "settings.specs = \"\\u001b[2J\\u009b1m\"");
    let ended = run(plugin(&project, &["list", "--plugins"]).arg(&no_specs)).expect_code(2);
    assert!(ended.stderr.contains("no specs are called  [2J 1m"), "{:?}", ended.stderr);
    let tools = with_toolbox(&project, "");
    let mut command = plugin(&project, &["run", "misbehave", r#"{"how": "\u001b[2J"}"#]);
    let ended = run(command.arg("--plugins").arg(&tools)).expect_code(1);
    assert!(ended.stderr.contains("asks for an error:  [2J"), "{:?}", ended.stderr);
}

#[test]
fn limits_that_are_not_usual_are_shown() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = folder(&project, "\"files\", \"commands\"");
    let manifest = folder.join("plugins.toml");
    let plain = fs::read_to_string(&manifest).unwrap();
    let of_box = "tool = true\nlimits = { memory-mib = 4096, call-seconds = 120 }\n";
    fs::write(&manifest, plain.replace("tool = true\n", of_box)).unwrap();
    let path = folder.display().to_string();
    let allowed = run(&mut plugin(&project, &["allow", &path])).expect_code(0).stdout;
    assert!(allowed.contains("plugin `box` has limits: memory-mib 4096\n"), "{allowed}");
    assert!(!allowed.contains("`judge` has"), "{allowed}");
    let listed = run(&mut plugin(&project, &["list", "--plugins", &path])).expect_code(0).stdout;
    let lines = |word: &str| listed.lines().filter(|line| line.contains(word)).count();
    assert_eq!((lines(" limits "), lines(" memory-mib 4096 ")), (1, 1), "{listed}");
    let ended = run(&mut plugin(&project, &["list", "--plugins", &path, "--json"])).expect_code(0);
    let limits = |name: &str| {
        let found = ended.events().into_iter().find(|one| one["name"] == name);
        found.unwrap()["limits"].clone()
    };
    assert_eq!(limits("box"), serde_json::json!({ "memory-mib": 4096 }));
    assert_eq!(limits("judge"), serde_json::json!({}));

    // What asks for nothing has its limits shown as well.
    fs::write(&manifest, plain.replace("tool = true\n", of_box).replace(", \"commands\"", ""))
        .unwrap();
    let shown = run(&mut plugin(&project, &["allow", &path])).expect_code(0).stdout;
    assert!(shown.contains("plugin `box` has limits: memory-mib 4096\n"), "{shown}");
    assert!(shown.contains("nothing to allow"), "{shown}");

    let too_much = of_box.replace("4096", "9000");
    fs::write(&manifest, plain.replace("tool = true\n", &too_much)).unwrap();
    let refused = begin(&project, &folder, &[]).expect_code(2).stderr;
    assert!(
        refused.contains("[plugins.box.limits]: `memory-mib` = 9000 is too much; 4096 is the most"),
        "{refused}"
    );
}

#[test]
fn a_component_is_checked() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let check = |path: &Path, code: i32| {
        run(&mut plugin(&project, &["check", path.to_str().unwrap()])).expect_code(code)
    };
    let said = check(&toolbox_component(), 0).stdout;
    for word in [
        "can be a plugin: tool\n",
        "exports    code-agent:plugin/tool-provider@0.1.0",
        "gets       files, git, settings",
        "never gets git-write, lm, tools",
        "can ask for files-write, commands",
        "tools      count_lines, append_note",
        "tool = true\ngrants = [\"files\", \"git\", \"files-write\", \"commands\"]",
    ] {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
    let said = check(&hostile_component(), 0).stdout;
    let kinds =
        "can be a plugin: main-planner or sub-planner or worker or merger or judge or tool\n";
    assert!(said.contains(kinds), "{said}");
    let said = check(&default_plugins().join("worker/worker.wasm"), 0).stdout;
    assert!(said.contains("can be a plugin: worker\n") && !said.contains("never gets"), "{said}");

    let junk = project.beside("junk.wasm");
    fs::write(&junk, "junk").unwrap();
    assert!(check(&junk, 2).stderr.contains("is no component"));
    assert!(check(&project.beside("none.wasm"), 2).stderr.contains("can't read its component"));
    fs::write(&junk, newer_judge()).unwrap();
    let said = check(&junk, 2).stderr;
    assert!(said.contains(OTHER_CONTRACT), "{said}");
}

const OTHER_CONTRACT: &str = "built for the contract 0.9.0, and this host speaks 0.1.0";

#[test]
fn a_run_with_a_component_of_another_contract_says_so() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let folder = folder(&project, "\"files\"");
    fs::write(folder.join("judge.wasm"), newer_judge()).unwrap();
    let refused = begin(&project, &folder, &[]).expect_code(2).stderr;
    assert!(refused.contains(&format!("plugin `judge`: it is {OTHER_CONTRACT}")), "{refused}");
}

/// The default judge, for a contract that does not exist yet.
fn newer_judge() -> Vec<u8> {
    let judge = fs::read(default_plugins().join("judge/judge.wasm")).unwrap();
    replaced(&judge, b"/judge@0.1.0", b"/judge@0.9.0")
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}
