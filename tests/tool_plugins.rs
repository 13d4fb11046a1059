//! Tools that plugins bring: models use them like the host's own, and a component
//! gets what manifest, user and caller all say, and nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, Turn, call, calls, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{
    Ended, bare, default_plugins, frozen_component, hostile_component, model, plugins_with, resume,
    run, toolbox_component,
};
use crate::project::Project;
use crate::replay::{clone_of, transcript};
use crate::scripts::{content_judge, domain, plan, writer};
use crate::watched::Watched;

const ROLES: [&str; 4] = ["main-planner", "sub-planner", "worker", "judge"];

/// The default roles and the toolbox, with what else its entry shall say.
pub fn with_toolbox(project: &Project, more: &str) -> PathBuf {
    let component = toolbox_component();
    let entry = format!(
        "[plugins.toolbox]\ncomponent = \"{}\"\ntool = true\n{more}\n",
        component.display()
    );
    plugins_with(project, &ROLES, &entry)
}

fn command(project: &Project, plugins: PathBuf, server: &ModelServer) -> Command {
    let mut command = bare(project);
    command.arg("--plugins").arg(plugins).args(["--goal", "Use tools"]).args(model(server));
    command
}

fn script(planner: Rule, worker: Rule) -> Script {
    Script::new([
        plan(&["one", "two"]),
        planner,
        domain("two", &[("Write d", "d.txt")]),
        worker,
        writer("Write d", "d.txt", "d\n"),
        content_judge(),
    ])
}

fn worker(turns: impl IntoIterator<Item = Turn>) -> Rule {
    turns.into_iter().fold(Rule::worker(&["Task: Write b\n"]), Rule::turn)
}

fn planner() -> Rule {
    domain("one", &[("Write b", "b.txt")])
}

fn project() -> Project {
    Project::new(&[("a.txt", "a\nb\nc\n")])
}

/// Runs with the toolbox; the worker's turns say what its tools have to answer.
fn run_tools(project: &Project, more: &str, flags: &[&str], script: Script) -> Ended {
    let server = ModelServer::start(script).unwrap();
    let mut command = command(project, with_toolbox(project, more), &server);
    let ended = run(command.args(flags)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    ended
}

const ALL: &str = "grants = [\"files\", \"files-write\", \"git\", \"commands\"]";

#[test]
fn a_model_uses_a_components_tools_like_the_hosts() {
    let project = project();
    let worker = worker([
        call("count_lines", json!({ "path": "a.txt" })),
        calls(&[
            ("append_note", json!({ "path": "b.txt", "text": "one" })),
            ("append_note", json!({ "path": "b.txt", "text": "two" })),
            ("count_lines", json!({ "path": "b.txt" })),
        ])
        .expects(&["a.txt has 3 lines"]),
        call("long", json!({})).expects(&["b.txt has 2 lines"]),
        call("shell", json!({ "command": "cat b.txt; echo three >> b.txt" }))
            .expects(&["xxx\n[cut here: 3000 of 200000 bytes are shown]"]),
        call("count_lines", json!({ "path": "../a.txt" })).expects(&["one\ntwo\n"]),
        call("count_lines", json!({ "path": "none.txt" })).expects(&["leads upwards"]),
        finish_task("Written.").expects(&["not found: none.txt"]),
    ]);
    let limits = format!("{ALL}\nlimits = {{ output-bytes = 3000 }}");
    let ended = run_tools(&project, &limits, &["--allow-plugins"], script(planner(), worker));
    assert_eq!(project.read("b.txt"), "one\ntwo\nthree\n");
    let asked = ended.stderr.matches("the toolbox is asked for its tools").count();
    assert_eq!(asked, 1, "what a tool is holds for the whole run: {}", ended.stderr);
}

#[test]
fn what_nobody_granted_is_denied_with_the_line_to_add() {
    let project = project();
    let ask = |words: &str| format!("let [plugins.toolbox] in plugins.toml say grants = [{words}]");
    let more_writes = ask("\"files\", \"files-write\", \"git\"");
    let more_commands = ask("\"files\", \"git\", \"commands\"");
    let worker = worker([
        call("probe", json!({})),
        call("probe", json!({})).expects(&[
            "files: granted",
            "git: granted",
            "settings: granted",
            "files-write: denied, plugin `toolbox` has no right to `files-write`",
            &more_writes,
            &more_commands,
            "git-write: denied, plugin `toolbox` has no right to `git-write`: no tool may use",
            "lm: denied, plugin `toolbox` has no right to `lm`: no tool may use",
            "tools: denied, plugin `toolbox` has no right to `tools`: no tool may use",
        ]),
        finish_task("Nothing to do."),
    ]);
    let ended = run_tools(&project, "", &[], script(planner(), worker));
    assert!(!project.path().join("probe.txt").exists());
    for grant in ["files-write", "git-write", "commands", "lm", "tools"] {
        let told = format!("has no right to `{grant}`");
        assert_eq!(ended.stderr.matches(&told).count(), 1, "{grant}: {}", ended.stderr);
    }
}

#[test]
fn a_tool_may_do_no_more_than_its_caller() {
    let project = project();
    let mut planner = planner();
    planner.turns.insert(0, call("probe", json!({})));
    planner.turns.insert(
        1,
        call("append_note", json!({ "path": "b.txt", "text": "x" })).expects(&[
            "files: granted",
            "files-write: denied, plugin `toolbox` has no right to `files-write` when the sub-planner calls it",
            "commands: denied, plugin `toolbox` has no right to `commands` when the sub-planner calls it",
        ]),
    );
    planner.turns[2] =
        planner.turns[2].clone().expects(&["`append_note` is not for the sub-planner"]);
    let worker = worker([
        call("probe", json!({})),
        finish_task("Probed.").expects(&["files-write: granted", "commands: granted"]),
    ]);
    let server = ModelServer::start(script(planner, worker)).unwrap();
    let mut command = command(&project, with_toolbox(&project, ALL), &server);
    run(command.arg("--allow-plugins")).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.read("probe.txt"), "x");
    let transcript = fs::read_to_string(transcript(&project)).unwrap();
    for (role, offered) in [("main-planner", false), ("sub-planner", false), ("worker", true)] {
        let opened = opened_by(&transcript, role);
        assert!(opened.contains("\"name\":\"count_lines\""), "{role}: {opened}");
        assert_eq!(opened.contains("\"name\":\"append_note\""), offered, "{role}");
    }
}

/// The line of the transcript that a role's conversation began with.
fn opened_by(transcript: &str, role: &str) -> String {
    let lines: Vec<serde_json::Value> =
        transcript.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let began = lines.iter().find(|line| line["role"] == role).unwrap();
    let opened =
        |line: &&serde_json::Value| line["line"] == "opened" && line["call"] == began["call"];
    lines.iter().find(opened).unwrap().to_string()
}

#[test]
fn a_tool_that_breaks_costs_its_call_alone() {
    let project = project();
    let misbehave = |how: &str| call("misbehave", json!({ "how": how }));
    let raw = |arguments: &str| call("count_lines", json!(arguments));
    let worker = worker([
        misbehave("trap"),
        misbehave("loop").expects(&["(plugin `toolbox`) crashed: ", "unreachable"]),
        misbehave("memory").expects(&["computed for more than 100 ms"]),
        misbehave("nicely").expects(&["its limit is 32 MiB"]),
        misbehave("log").expects(&["invalid: this call asks for an error: nicely"]),
        misbehave("log").expects(&["logged"]),
        raw("no object").expects(&["logged more than 16 MiB in one call of its agent"]),
        call("count_lines", json!({ "path": "a.txt" })).expects(&["are no JSON"]),
        finish_task("It held.").expects(&["a.txt has 3 lines"]),
    ]);
    let limits = "limits = { memory-mib = 32, compute-milliseconds = 100 }";
    let ended = run_tools(&project, limits, &[], script(planner(), worker));
    assert!(ended.stderr.contains("it logs too much"));
    assert!(ended.stderr.matches("noise ").count() <= 1000);
}

#[test]
fn lists_that_a_component_gets_are_bounded() {
    let project = project();
    let shell = |command: &str| call("shell", json!({ "command": command }));
    let misbehave = |how: &str| call("misbehave", json!({ "how": how }));
    let worker = worker([
        shell("mkdir many && cd many && seq 20001 | xargs touch"),
        misbehave("list"),
        misbehave("status").expects(&["20000 paths, more: true"]),
        shell("rm many/1").expects(&["too long: 20001 files are changed, and 20000 are the most"]),
        misbehave("status"),
        shell("rm -r many").expects(&["20000 changed"]),
        misbehave("list"),
        finish_task("Counted.").expects(&["paths, more: false"]),
    ]);
    run_tools(&project, ALL, &["--allow-plugins"], script(planner(), worker));
}

#[test]
fn a_tool_that_takes_too_long_costs_its_call_alone() {
    let project = project();
    let worker = worker([
        call("misbehave", json!({ "how": "loop" })),
        finish_task("It ended.").expects(&["took longer than 5 s"]),
    ]);
    let limits = "limits = { call-seconds = 5, compute-milliseconds = 60000 }";
    let ended = run_tools(&project, limits, &[], script(planner(), worker));
    assert!(ended.stderr.contains("it took longer than 5 s"), "{}", ended.stderr);
}

/// Workers that each have as many calls made of one plugin's tool as are made at once
/// for one agent, and another one that calls another plugin's tool so often. All begin
/// together.
fn loops_and_echoes(loopers: usize, echoes: usize) -> Script {
    let titles: Vec<String> = (0..loopers).map(|number| format!("Loop {number}")).collect();
    let tasks: Vec<_> = titles.iter().map(|title| (title.as_str(), "b.txt")).collect();
    // A model that says the same again and again would be taken for stuck.
    let batch = [1, 2, 3, 4, 5, 6, 7, 8]
        .map(|number| ("misbehave", json!({ "how": "loop", "number": number })));
    let together = |turn: Turn| turn.barrier("together", loopers + 1);
    let echo = |number: usize| call("frozen_echo", json!({ "text": format!("echo {number}") }));
    let mut echoing = Rule::worker(&["Task: Echo\n"]).turn(together(echo(0)));
    for number in 1..echoes {
        echoing = echoing.turn(echo(number).expects(&[&format!("echo {}", number - 1)]));
    }
    let last = format!("echo {}", echoes - 1);
    Script::new([
        plan(&["one", "two"]),
        domain("one", &tasks),
        domain("two", &[("Echo", "d.txt")]),
        Rule::worker(&["Task: Loop "]).turn(together(calls(&batch))),
        echoing.turn(finish_task("It answered.").expects(&[&last])),
    ])
}

#[test]
fn tools_that_go_on_and_on_hold_up_no_other_plugin() {
    let project = project();
    let echo = frozen_component();
    // They go on for a minute or more; nobody waits for that.
    let plugins = format!(
        "limits = {{ call-seconds = 100, compute-milliseconds = 60000 }}\n\
         [plugins.echo]\ncomponent = {echo:?}\ntool = true"
    );
    // They would take more than all places that the tools of all plugins have; until all
    // of them have begun, some echoes pass.
    let server = ModelServer::start(loops_and_echoes(9, 8)).unwrap();
    let mut command = command(&project, with_toolbox(&project, &plugins), &server);
    let mut program = Watched::start(command.args(["--max-workers", "10"]));
    program.until_said("done: Echo");
    let said = program.said();
    assert!(!said.contains("a call of a tool failed") && !said.contains("FAILED"), "{said}");
    assert_eq!(server.violations(), Vec::<String>::new());
    program.kill();
}

#[test]
fn a_component_without_an_entry_gets_the_base_rights() {
    let project = project();
    let folder = plugins_with(&project, &ROLES, "");
    fs::copy(toolbox_component(), folder.join("box.wasm")).unwrap();
    let worker = worker([
        call("probe", json!({})),
        finish_task("Probed.").expects(&[
            "files: granted",
            "git: granted",
            "files-write: denied, plugin `box` has no right to `files-write`. To ask for it, add to plugins.toml a \
             table [plugins.box] with component = \"box.wasm\", tool = true and grants = [",
            "commands: denied",
            "lm: denied",
        ]),
    ]);
    let server = ModelServer::start(script(planner(), worker)).unwrap();
    run(&mut command(&project, folder, &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[test]
fn what_a_component_without_an_entry_is_say_its_exports() {
    let project = project();
    let folder = plugins_with(&project, &ROLES, "");
    fs::copy(hostile_component(), folder.join("extra.wasm")).unwrap();
    let server = ModelServer::start(Script::default()).unwrap();
    let ended = run(&mut command(&project, folder.clone(), &server)).expect_code(2);
    let words = "exports main-planner, sub-planner, worker, merger, judge, tool; give it an entry in plugins.toml \
                 that says which";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    fs::remove_file(folder.join("extra.wasm")).unwrap();
    let judge = default_plugins().join("judge/judge.wasm");
    fs::copy(judge, folder.join("second.wasm")).unwrap();
    let worker = worker([finish_task("Nothing to do.")]);
    let server = ModelServer::start(script(planner(), worker)).unwrap();
    run(&mut command(&project, folder, &server)).expect_code(0);
    let said = project.query::<String>("SELECT judge_reasoning FROM cycles");
    assert!(said.contains("judge says: ") && said.contains("second says: "), "{said}");
}

#[track_caller]
fn refused(more: &str, words: &[&str]) {
    let project = project();
    let before = project.fingerprint();
    let server = ModelServer::start(Script::default()).unwrap();
    let plugins = with_toolbox(&project, more);
    let ended = run(&mut command(&project, plugins, &server)).expect_code(2);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
    }
    assert_eq!(project.fingerprint(), before, "nothing has changed");
    assert_eq!(server.requests().len(), 0, "no model was asked");
}

#[test]
fn tools_that_can_not_be_are_refused_when_they_are_loaded() {
    refused("settings.specs = \"shadow\"", &["plugin `toolbox`", "`run_command`", "host's own"]);
    refused("settings.specs = \"no schema\"", &["its tool `x`", "no JSON Schema of an object"]);
    let words = ["its tool `x`", "its `properties/a/items` is no schema"];
    refused("settings.specs = \"deep lie\"", &words);
    refused("settings.specs = \"trap\"", &["when asked for its tools, it crashed", "unreachable"]);
    refused("settings.specs = \"read\"", &["while it says what its tools are"]);
    refused("settings.specs = \"other\"", &["gave up: invalid: no specs are called other"]);
    let toolbox = toolbox_component();
    let twice = format!("[plugins.twin]\ncomponent = \"{}\"\ntool = true", toolbox.display());
    refused(&twice, &["`toolbox` and `twin` both have a tool `count_lines`"]);
}

#[test]
fn more_tools_together_than_a_model_should_be_shown_are_refused() {
    let toolbox = toolbox_component();
    let mut more = "settings.specs = \"many a\"\n".to_owned();
    for letter in ["b", "c", "d"] {
        more += &format!(
            "[plugins.{letter}]\ncomponent = {toolbox:?}\ntool = true\n\
             settings.specs = \"many {letter}\"\n"
        );
    }
    let words = "the plugins `b` (32), `c` (32), `d` (32), `toolbox` (32) have 128 tools together; 100 are the most";
    refused(&more, &[words]);
}

#[test]
fn a_manifest_that_is_wrong_is_refused_with_what_is_right() {
    refused("grant = []", &["[plugins.toolbox]", "did you mean `grants`?"]);
    refused("grants = [\"file\"]", &["`file` is not a grant; did you mean `files`?"]);
    refused("grants = [\"lm\"]", &["no tool may use `lm`"]);
    refused("limits.memory-mb = 1", &["did you mean `memory-mib`?"]);
    let zeros = "0".repeat(64);
    let hash = format!("sha-256 = \"{zeros}\"");
    refused(&hash, &["its SHA-256 is ", &format!("`sha-256` says {zeros}")]);
    refused("[plugins.other]\ncomponent = \"x.wasm\"", &["[plugins.other]", "tool = true"]);
}

#[test]
fn what_goes_beyond_the_base_has_to_be_allowed() {
    refused(
        "grants = [\"files\", \"commands\"]",
        &["`toolbox` asks for commands, and nobody has allowed that yet", "--allow-plugins"],
    );
}

#[test]
fn a_replay_calls_the_tools_again_and_comes_to_the_same_commits() {
    let project = project();
    let worker = worker([
        call("count_lines", json!({ "path": "a.txt" })),
        calls(&[
            ("append_note", json!({ "path": "b.txt", "text": "one" })),
            ("count_lines", json!({ "path": "b.txt" })),
            ("shell", json!({ "command": "cat b.txt; echo two >> b.txt" })),
        ]),
        call("probe", json!({})),
        call("long", json!({})),
        call("misbehave", json!({ "how": "trap" })),
        finish_task("Written."),
    ]);
    run_tools(&project, ALL, &["--allow-plugins"], script(planner(), worker));
    let folder = project.beside("plugins");
    let play = |flags: &[&str], code: i32| {
        let clone = clone_of(&project);
        let mut command = bare(&clone);
        command.args(["--branch", "main", "--plugins"]).arg(&folder);
        command.arg("--model").arg(format!("replay:{}", transcript(&project).display()));
        (run(command.args(flags)).expect_code(code).stderr, clone)
    };
    let (said, clone) = play(&["--allow-plugins"], 0);
    assert_eq!(clone.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
    assert!(!said.contains("recorded with other plugins"), "{said}");
    assert!(play(&[], 2).0.contains("nobody has allowed that yet"));
    // A tool that answers in another way is found out.
    with_toolbox(&project, &format!("{ALL}\nlimits.output-bytes = 3000"));
    let (said, _) = play(&["--allow-plugins"], 1);
    assert!(said.contains("since then, plugins.toml has changed"), "{said}");
    assert!(said.contains("does not fit") && said.contains("-result of call_"), "{said}");
}

#[test]
fn who_goes_on_with_a_run_allows_its_plugins_again() {
    let project = project();
    let worker = worker([
        call("shell", json!({ "command": "echo it ran >> b.txt; cat b.txt" })),
        finish_task("It ran.").expects(&["it ran"]),
    ]);
    let judge = |cycle: &str, turn: Turn| Rule::judge(&[cycle]).turn(turn);
    let mut script = script(planner(), worker);
    let judges = [
        judge("Cycle: 1 of", submit_verdict("continue", false, "Once more.")),
        judge("Cycle: 2 of", submit_verdict("stop", true, "Twice.")),
    ];
    script.rules = judges.into_iter().chain(script.rules).collect();
    let server = ModelServer::start(script).unwrap();
    let mut command = command(&project, with_toolbox(&project, ALL), &server);
    run(command.args(["--allow-plugins", "--max-cycles", "1"])).expect_code(3);
    let go_on = |flags: &[&str], code: i32| {
        run(resume(&project).args(["--max-cycles", "2"]).args(flags)).expect_code(code).stderr
    };
    assert!(go_on(&[], 2).contains("nobody has allowed that yet"));
    go_on(&["--allow-plugins"], 0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(project.read("b.txt"), "it ran\nit ran\n");
}
