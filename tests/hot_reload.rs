//! Plugins that change while a run goes on: the next cycle takes them up, the
//! cycle that goes on does not, and what can't be taken up leaves all as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use model_server::{ModelServer, Rule, Script, Turn, call, finish_task};
use serde_json::{Value, json};

use crate::program::{
    Ended, bare, default_plugins, model, plugins_with, program, run, start, toolbox_component,
    umpire_component,
};
use crate::project::Project;
use crate::replay::{clone_of, transcript};
use crate::scripts::{content_judge, domain, plan_when, writer};

const ROLES: [&str; 3] = ["main-planner", "sub-planner", "worker"];

/// A folder with components of its own: a judge that has another cycle follow,
/// and the toolbox.
fn folder(project: &Project, toolbox: &str) -> PathBuf {
    let entries = format!(
        "[plugins.judge]\ncomponent = \"judge.wasm\"\nrole = \"judge\"\nsettings.verdict = \"go on\"\n\
         [plugins.toolbox]\ncomponent = \"toolbox.wasm\"\ntool = true\n{toolbox}\n"
    );
    let folder = plugins_with(project, &ROLES, &entries);
    fs::copy(umpire_component(), folder.join("judge.wasm")).unwrap();
    fs::copy(toolbox_component(), folder.join("toolbox.wasm")).unwrap();
    folder
}

/// A cycle for each of `answers`: what the tool `shell` has to answer in it, once
/// the test has changed what it wants to.
fn script(answers: &[&str]) -> Script {
    script_with(answers, &call("shell", json!({ "command": "echo it ran" })))
}

/// The same with another call.
fn script_with(answers: &[&str], tool: &Turn) -> Script {
    let rules = (1..).zip(answers).flat_map(|(cycle, answer)| {
        let at = format!("Cycle: {cycle} of");
        let (trying, writing) = (format!("Try {cycle}"), format!("Write {cycle}"));
        let file = format!("{cycle}.txt");
        let worker = Rule::worker(&[&format!("Task: {trying}\n")])
            .turn(tool.clone().barrier(&format!("begun {cycle}"), 2))
            .turn(tool.clone().barrier(&format!("changed {cycle}"), 2))
            .turn(finish_task("Tried.").expects(&[answer]));
        [
            plan_when(&[&at], &[&trying, &writing]),
            domain(&trying, &[(&trying, "notes.txt")]),
            domain(&writing, &[(&writing, &file)]),
            worker,
            writer(&writing, &file, "written\n"),
        ]
    });
    Script::new(rules.chain([content_judge()]))
}

const DENIED: &str = "plugin `toolbox` has no right to `commands`";
const ASKS: &str = "grants = [\"files\", \"commands\"]";

fn project() -> Project {
    Project::new(&[("notes.txt", "the notes\n")])
}

fn command(project: &Project, folder: &Path, server: &ModelServer) -> Command {
    let mut command = bare(project);
    command.arg("--plugins").arg(folder).args(["--goal", "Try", "--json", "--max-cycles", "3"]);
    command.args(model(server));
    command
}

/// A run in which `change` is made in the middle of each cycle, by its number.
fn run_with(
    command: &mut Command,
    server: &ModelServer,
    cycles: u32,
    mut change: impl FnMut(u32),
) -> Ended {
    let running = start(command);
    for cycle in 1..=cycles {
        server.meet(&format!("begun {cycle}"), 2).unwrap();
        change(cycle);
        server.meet(&format!("changed {cycle}"), 2).unwrap();
    }
    let ended = running.finish();
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

fn events(ended: &Ended, kind: &str) -> Vec<Value> {
    ended.events().into_iter().filter(|event| event["event"] == kind).collect()
}

/// The warnings about plugins, one after the other.
fn warnings(ended: &Ended) -> Vec<String> {
    let said = events(ended, "warning").into_iter();
    let said = said.map(|event| event["message"].as_str().unwrap().to_owned());
    said.filter(|message| message.contains("the plugins folder")).collect()
}

fn reasons(project: &Project) -> Vec<String> {
    let all: String = project.query(
        "SELECT group_concat(judge_reasoning, '|') FROM (SELECT * FROM cycles ORDER BY cycle_number)",
    );
    all.split('|').map(str::to_owned).collect()
}

const SAW: &str = "Saw 2 tasks and the notes.";
const READ: &str = "Read it: it is there.";

/// Puts the default judge, which asks a model, where the other one was.
fn replace_judge(folder: &Path) {
    fs::copy(default_plugins().join("judge/judge.wasm"), folder.join("judge.wasm")).unwrap();
}

#[test]
fn what_changes_in_a_cycle_holds_from_the_next_one_on() {
    let project = project();
    let folder = folder(&project, "");
    let server = ModelServer::start(script(&[DENIED, DENIED])).unwrap();
    let ended = run_with(&mut command(&project, &folder, &server), &server, 2, |cycle| {
        if cycle == 1 {
            replace_judge(&folder);
        }
    });
    let ended = ended.expect_code(0);
    assert_eq!(reasons(&project), [SAW, READ], "the cycle that went on had the old judge");
    let taken_up = events(&ended, "plugins-taken-up");
    assert_eq!(taken_up.len(), 1);
    assert_eq!(taken_up[0]["changes"], json!(["the component of `judge` has changed"]));
    let asked = ended.stderr.matches("the toolbox is asked for its tools").count();
    assert_eq!(asked, 1, "what has not changed is not asked anew: {}", ended.stderr);
    replays(&project, &folder);
}

/// A replay has one set of plugins: it says that the recording had two, and where
/// they part.
fn replays(project: &Project, folder: &Path) {
    let clone = clone_of(project);
    let mut command = bare(&clone);
    command.args(["--branch", "main", "--json", "--plugins"]).arg(folder);
    command.arg("--model").arg(format!("replay:{}", transcript(project).display()));
    // The judge that is there now asks a model; the recorded first one did not.
    let ended = run(&mut command).expect_code(1);
    let words = "while it was recorded, the component of `judge` has changed. It has those that";
    let warned = events(&ended, "warning");
    assert!(warned.iter().any(|event| event.to_string().contains(words)), "{}", ended.stdout);
    assert!(ended.stderr.contains("does not fit"), "{}", ended.stderr);
}

#[test]
fn settings_and_limits_are_taken_up_as_well() {
    let project = project();
    let folder = folder(&project, "");
    let server = ModelServer::start(script(&[DENIED, DENIED])).unwrap();
    let manifest = folder.join("plugins.toml");
    let ended = run_with(&mut command(&project, &folder, &server), &server, 2, |cycle| {
        let text = fs::read_to_string(&manifest).unwrap();
        let text = match cycle {
            1 => text.replace("\"go on\"", "\"goal met\""),
            _ => text + "limits.memory-mib = 32\n",
        };
        fs::write(&manifest, text).unwrap();
    });
    let ended = ended.expect_code(0);
    let judged = project.query::<u32>("SELECT count(*) FROM cycles WHERE continue_next_cycle");
    assert_eq!((judged, reasons(&project).len()), (1, 2));
    let taken_up = events(&ended, "plugins-taken-up");
    assert_eq!(taken_up.len(), 1);
    assert_eq!(taken_up[0]["changes"], json!(["plugins.toml has changed"]));
}

/// How the toolbox described its tool `count_lines` to the models of a run of two
/// cycles, between which another plugin changed.
fn descriptions() -> BTreeSet<String> {
    let project = project();
    let folder = folder(&project, "settings.specs = \"growing\"");
    let count = call("count_lines", json!({ "path": "notes.txt" }));
    let server = ModelServer::start(script_with(&["has 1 lines"; 2], &count)).unwrap();
    let ended = run_with(&mut command(&project, &folder, &server), &server, 2, |cycle| {
        if cycle == 1 {
            replace_judge(&folder);
        }
    });
    assert_eq!(events(&ended.expect_code(0), "plugins-taken-up").len(), 1);
    let transcript = fs::read_to_string(transcript(&project)).unwrap();
    let lines = transcript.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let opened: Vec<Value> = lines.filter(|line| line["line"] == "opened").collect();
    assert!(opened.len() >= 10, "two cycles of a planner, two domains and two tasks");
    let of_one = |opened: &Value| {
        let tools = opened["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == "count_lines").unwrap();
        tool["description"].as_str().unwrap().to_owned()
    };
    opened.iter().map(of_one).collect()
}

#[test]
fn what_a_tool_says_of_itself_holds_for_the_whole_run() {
    let (first, second) = (descriptions(), descriptions());
    assert_eq!((first.len(), second.len()), (1, 1), "{first:?} {second:?}");
    assert!(first < second, "it says something else each time it is asked: {first:?}");
}

/// What is in the folder from the first cycle on can't be taken up: the run goes
/// on with what it had, and says why, once.
#[track_caller]
fn kept(flags: &[&str], toolbox: &str, answer: &str, words: &str, change: impl Fn(&Path)) {
    let project = project();
    let folder = folder(&project, toolbox);
    let server = ModelServer::start(script(&[answer; 3])).unwrap();
    let mut command = command(&project, &folder, &server);
    let ended = run_with(command.args(flags), &server, 3, |cycle| {
        if cycle == 1 {
            change(&folder);
        }
    });
    let ended = ended.expect_code(3);
    assert_eq!(reasons(&project), [SAW; 3]);
    let said = warnings(&ended);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(words) && said[0].contains("stay as they were"), "{said:?}");
    assert_eq!(events(&ended, "plugins-taken-up").len(), 0);
}

#[test]
fn what_is_broken_keeps_what_was_good() {
    kept(&[], "", DENIED, "judge.wasm is no component", |folder| {
        fs::write(folder.join("judge.wasm"), "half a component").unwrap();
    });
    kept(&[], "", DENIED, "no plugin fills the role", |folder| {
        fs::write(folder.join("plugins.toml"), "").unwrap();
    });
    kept(&[], "", DENIED, "plugins.toml", |folder| {
        fs::write(folder.join("plugins.toml"), "[plugins.judge\n").unwrap();
    });
    kept(&[], "", DENIED, "A plugins folder holds a plugins.toml", |folder| {
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn what_is_broken_can_be_mended_while_the_run_goes_on() {
    let project = project();
    let folder = folder(&project, "");
    let server = ModelServer::start(script(&[DENIED; 3])).unwrap();
    let mut command = command(&project, &folder, &server);
    let ended = run_with(&mut command, &server, 3, |cycle| match cycle {
        1 => fs::write(folder.join("judge.wasm"), "half a component").unwrap(),
        2 => replace_judge(&folder),
        _ => {}
    });
    let ended = ended.expect_code(0);
    assert_eq!(reasons(&project), [SAW, SAW, READ]);
    assert_eq!((warnings(&ended).len(), events(&ended, "plugins-taken-up").len()), (1, 1));
}

fn allow(project: &Project, folder: &Path) {
    let mut command = program(project);
    run(command.args(["plugin", "allow"]).arg(folder)).expect_code(0);
}

#[test]
fn what_asks_for_more_has_to_be_allowed_before_it_is_taken_up() {
    let words = "`toolbox` asks for commands, and nobody has allowed that yet";
    kept(&[], "", DENIED, words, |folder| {
        let manifest = folder.join("plugins.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, format!("{text}{ASKS}\n")).unwrap();
    });
    // Who gave a flag had not seen what is there now.
    kept(&["--allow-plugins"], ASKS, "it ran", words, replace_judge);
}

#[test]
fn who_allows_it_meanwhile_has_it_taken_up() {
    let project = project();
    let folder = folder(&project, ASKS);
    allow(&project, &folder);
    let server = ModelServer::start(script(&["it ran"; 3])).unwrap();
    let mut command = command(&project, &folder, &server);
    let ended = run_with(&mut command, &server, 3, |cycle| match cycle {
        1 => replace_judge(&folder),
        2 => allow(&project, &folder),
        _ => {}
    });
    let ended = ended.expect_code(0);
    assert_eq!(reasons(&project), [SAW, SAW, READ]);
    let said = warnings(&ended);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("since that was allowed, the component of `judge` has changed"));
    assert!(said[0].contains("code-agent plugin allow"), "{said:?}");
}

/// Puts a `plugins.toml` into the repository, whose components lie outside of it;
/// returns another text for it, with which the judge would end the run.
fn tracked_folder(project: &Project) -> String {
    let outside = folder(project, "");
    let manifest = fs::read_to_string(outside.join("plugins.toml")).unwrap();
    let manifest = manifest
        .replace("\"judge.wasm\"", &format!("{:?}", outside.join("judge.wasm")))
        .replace("\"toolbox.wasm\"", &format!("{:?}", outside.join("toolbox.wasm")));
    project.write(&[("agents/plugins.toml", &manifest)]);
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message=Plugins"]);
    manifest.replace("\"go on\"", "\"goal met\"")
}

/// A run whose first cycle's worker does as `writes` says to the plugins in `folder`:
/// they are not taken up, and the run can't go on with them.
#[track_caller]
fn never_taken_up(project: &Project, folder: &Path, writes: Rule) {
    let mut script = script(&[DENIED; 3]);
    script.rules.insert(0, writes);
    let server = ModelServer::start(script).unwrap();
    let mut command = command(project, folder, &server);
    command.args(["--branch", "main", "--keep-checkouts"]);
    let ended = run_with(&mut command, &server, 3, |_| {}).expect_code(3);
    assert_eq!(reasons(project), [SAW; 3]);
    let said = warnings(&ended);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("the run itself may have written "), "{said:?}");
    assert!(said[0].contains("/agents"), "{said:?}");

    let before = project.fingerprint();
    let resumed = run(crate::program::resume(project).args(["--max-cycles", "5"])).expect_code(2);
    assert!(resumed.stderr.contains("the run itself has changed "), "{}", resumed.stderr);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn what_a_run_itself_has_written_never_becomes_its_plugin() {
    let project = project();
    let lenient = tracked_folder(&project);
    let writes = writer("Write 1", "agents/plugins.toml", &lenient);
    never_taken_up(&project, &project.path().join("agents"), writes);
    assert_eq!(project.read("agents/plugins.toml"), lenient, "it landed like any other file");
}

#[test]
fn not_even_through_a_folder_that_became_a_link() {
    let project = project();
    tracked_folder(&project);
    let command = "mkdir ~/agents && sed 's/\"go on\"/\"goal met\"/' agents/plugins.toml \
                   > ~/agents/plugins.toml && rm -r agents && ln -s ~/agents agents";
    let finish =
        json!({ "success": true, "summary": "Linked.", "notes": [], "include_files": ["agents"] });
    let writes = Rule::worker(&["Task: Write 1\n"])
        .turn(call("run_command", json!({ "command": command })))
        .turn(call("finish_task", finish));
    let agents = project.path().join("agents");
    never_taken_up(&project, &agents, writes);
    let linked = fs::read_link(&agents).unwrap();
    assert!(linked.starts_with(project.beside("cache")), "{} landed", linked.display());
}

#[test]
fn not_even_in_another_working_tree() {
    let project = project();
    let lenient = tracked_folder(&project);
    let beside = project.beside("beside");
    project.git(&["switch", "--quiet", "--create", "other"]);
    project.git(&["worktree", "add", "--quiet", beside.to_str().unwrap(), "main"]);
    let writes = writer("Write 1", "agents/plugins.toml", &lenient);
    never_taken_up(&project, &beside.join("agents"), writes);
    let there = fs::read_to_string(beside.join("agents/plugins.toml")).unwrap();
    assert_eq!(there, lenient, "it landed like any other file");
}

#[test]
fn what_commands_may_have_written_is_no_plugin_of_a_run_that_goes_on() {
    let project = project();
    let folder = folder(&project, "");
    let component = fs::read(folder.join("judge.wasm")).unwrap();
    let server = ModelServer::start(script(&[DENIED; 4])).unwrap();
    let mut command = command(&project, &folder, &server);
    let change = |cycle| {
        if cycle == 3 {
            replace_judge(&folder);
        }
    };
    run_with(command.arg("--allow-write").arg(&folder), &server, 3, change).expect_code(3);
    let mut resume = crate::program::resume(&project);
    resume.args(["--max-cycles", "4"]);
    let refused = run(&mut resume).expect_code(2);
    assert!(refused.stderr.contains("one of its commands may have"), "{}", refused.stderr);

    fs::write(folder.join("judge.wasm"), component).unwrap();
    let running = start(&mut resume);
    server.meet("begun 4", 2).unwrap();
    server.meet("changed 4", 2).unwrap();
    running.finish().expect_code(3);
    assert_eq!(reasons(&project), [SAW; 4], "what is as it was is no trouble");
}
