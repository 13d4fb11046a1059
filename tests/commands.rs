//! Commands in a run: workers and the judge prove what they say, the user's
//! setup command prepares their checkouts, and the user hears what is unsafe.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, Turn, call, finish_task, submit_verdict};
use serde_json::json;

use crate::program::{code_agent, model, resume, run};
use crate::project::Project;
use crate::replay::transcript;
use crate::scripts::{content_judge, domain, plan, write_file, writer};

fn command(line: &str) -> Turn {
    call("run_command", json!({ "command": line }))
}

fn script(worker: Rule, judge: Rule) -> Script {
    Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        worker,
        writer("Write c", "c.txt", "c\n"),
        judge,
    ])
}

#[test]
fn workers_and_the_judge_run_commands_in_their_checkouts() {
    let project = Project::new(&[("a.txt", "a\n"), (".gitignore", "cache\n")]);
    let secret = project.beside("secret");
    fs::write(&secret, "PRIVATE").unwrap();
    let git = project.path().join(".git/config").display().to_string();
    let worker = Rule::worker(&["Task: Write b\n"])
        .turn(command("cat a.txt && tr a b < a.txt > b.txt && echo built > cache"))
        .turn(command(&format!("cat {} {git} ../*/a.txt", secret.display())).expects(&["exit code 0\na"]))
        .turn(command("exit 4").expects(&["No such file", "exit code 1"]))
        .turn(command("git init -q . && mkdir -p .git/hooks && echo 'touch /hooked' > .git/hooks/post-commit; \
                       echo '* filter=evil' > .gitattributes; env"))
        .turn(command("sleep 100").expects(&[".home"]))
        .turn(finish_task("It is built.").expects(&["its time was up"]))
        .turn(
            call("finish_task", json!({ "success": true, "summary": "It is built.",
                "include_files": [".gitattributes"] }))
            .expects(&["`.gitattributes`"]),
        );
    let mut worker = worker;
    let sleep = call("run_command", json!({ "command": "sleep 100", "timeout_seconds": 1 }));
    worker.turns[4] = sleep.expects(&[".home"]);
    let judge = Rule::judge(&[])
        .turn(command("cat b.txt; ls -a; echo scratch > scratch.txt"))
        .turn(submit_verdict("stop", true, "It says b.").expects(&["exit code 0\nb\n", "b.txt"]));
    let server = ModelServer::start(script(worker, judge)).unwrap();
    let mut run_it = code_agent(&project);
    run_it.args(["--goal", "Write", "--max-workers", "2"]).args(model(&server));
    let ended = run(&mut run_it).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("b.txt"), "b\n");
    let files = project.git(&["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(
        files, ".gitattributes\n.gitignore\na.txt\nb.txt\nc.txt",
        "no cache, nothing of a judge"
    );
    let transcript = fs::read_to_string(transcript(&project)).unwrap();
    let said = ended.stdout + &ended.stderr + &transcript;
    assert!(!said.contains("PRIVATE") && !said.contains("sk-never-shown"), "{said}");
    // Planners are not offered it.
    for (role, is_offered) in
        [("main-planner", false), ("sub-planner", false), ("worker", true), ("judge", true)]
    {
        assert_eq!(offers_commands(&transcript, role), is_offered, "{role}");
    }
}

/// Whether a role's conversations were opened with the tool.
fn offers_commands(transcript: &str, role: &str) -> bool {
    let lines: Vec<serde_json::Value> =
        transcript.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calls: Vec<_> =
        lines.iter().filter(|line| line["role"] == role).map(|line| &line["call"]).collect();
    assert!(!calls.is_empty(), "{role} was called");
    lines.iter().filter(|line| line["line"] == "opened" && calls.contains(&&line["call"])).any(
        |line| line["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "run_command"),
    )
}

#[test]
fn a_setup_command_prepares_each_checkout_once_for_its_lock_files() {
    let project =
        Project::new(&[("a.txt", "a\n"), ("Cargo.lock", "one\n"), (".gitignore", "packages\n")]);
    let times = project.beside("times");
    fs::create_dir(&times).unwrap();
    let packages = |title: &str, file: &str| {
        Rule::worker(&[&format!("Task: {title}\n")])
            .turn(command("cat packages; ls junk"))
            .turn(write_file(file, "x\n").expects(&["cannot access", "fetched"]))
            .turn(finish_task("Done."))
    };
    let changes_lock = Rule::worker(&["Task: Write d\n"])
        .turn(write_file("Cargo.lock", "two\n"))
        .turn(finish_task("Done."));
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt"), ("Write c", "c.txt"), ("Write d", "Cargo.lock")]),
        domain("two", &[("Write e", "e.txt")]),
        packages("Write b", "b.txt"),
        packages("Write c", "c.txt"),
        changes_lock,
        packages("Write e", "e.txt"),
        content_judge(),
    ]))
    .unwrap();
    let setup = format!(
        "echo fetched > packages; echo x > junk; date +%N > {}/$$-$(date +%N)",
        times.display()
    );
    let mut run_it = code_agent(&project);
    run_it.args(["--goal", "Write", "--max-workers", "1", "--setup", &setup, "--allow-write"]);
    run(run_it.arg(&times).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert!(!project.git(&["ls-tree", "-r", "--name-only", "main"]).contains("junk"));
    // The one worker's, again after its lock file changed, and the judge's.
    let prepared = fs::read_dir(&times).unwrap().count();
    assert!((2..=3).contains(&prepared), "{prepared} times for 4 tasks and a judge");
}

#[test]
fn a_tree_too_deep_to_be_listed_costs_its_attempt_and_not_the_slot() {
    let project = Project::new(&[("a.txt", "a\n")]);
    // Each path alone is short enough; all of them together fill more than a page.
    let deep = "n=$(printf 'd%.0s' $(seq 200)); p=$(printf \"$n/%.0s\" $(seq 18)); \
                mkdir -p $p && cd $p && mkdir -p $p";
    let buried = Rule::worker(&["Task: Write b\n", "Attempt: 1"])
        .turn(command(deep))
        .turn(finish_task("Buried.").expects(&["exit code 0"]));
    let again = Rule::worker(&["Task: Write b\n", "too deep to be listed; remove it"])
        .turn(write_file("b.txt", "b\n"))
        .turn(finish_task("Done."));
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        buried,
        again,
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut run_it = code_agent(&project);
    run(run_it.args(["--goal", "Write", "--max-workers", "1"]).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!((project.read("b.txt"), project.read("c.txt")), ("b\n".into(), "c\n".into()));
    assert_eq!(project.query::<u32>("SELECT sum(attempt) FROM tasks"), 3);
}

#[test]
fn a_setup_command_that_fails_stops_the_run_which_goes_on_when_mended() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server =
        ModelServer::start(script(writer("Write b", "b.txt", "b\n"), content_judge())).unwrap();
    let mut run_it = code_agent(&project);
    run_it
        .args(["--goal", "Write", "--setup", "echo no such package; exit 9"])
        .args(model(&server));
    let ended = run(&mut run_it).expect_code(1);
    for words in ["the setup command", "exit code 9", "no such package"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    run(resume(&project).args(["--setup", "true"])).expect_code(0);
    project.assert_sound();
}

#[test]
fn a_setup_that_the_runs_own_work_breaks_is_told_and_mended() {
    let project = Project::new(&[("Cargo.lock", "one\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "Cargo.lock")]),
        domain("two", &[("Write c", "Cargo.lock")]),
        // Whoever comes first breaks it, and the other one mends it.
        Rule::worker(&["the setup command", "broken lock file", "mend that first"])
            .turn(write_file("Cargo.lock", "two\n"))
            .turn(finish_task("It is mended.")),
        writer("Write b", "Cargo.lock", "broken\n"),
        writer("Write c", "Cargo.lock", "broken\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut run_it = code_agent(&project);
    let setup = "if grep broken Cargo.lock; then echo broken lock file; exit 1; fi";
    run_it.args(["--goal", "Write", "--max-workers", "1", "--setup", setup]).args(model(&server));
    let ended = run(&mut run_it).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert!(ended.stderr.contains("broken lock file"), "{}", ended.stderr);
    project.assert_sound();
    assert_eq!(project.read("Cargo.lock"), "two\n");
}

/// Folders nested deeper than any path may be long, and closed ones. The home may
/// be the next command's too, so it is no deeper than folders are counted.
const LEAVINGS: &str = "top=$PWD; cd ~; for i in $(seq 90); do mkdir d; cd d; done; chmod 0 ~; cd $top; \
    ln -s / /tmp/home; mkdir -p shut/in /tmp/shut/in; \
    chmod 0 shut/in shut /tmp/shut/in /tmp/shut; long=$(printf 'd/%.0s' $(seq 900)); \
    bury() { for i in 1 2 3 4; do mkdir -p $long && cd $long; done; }; (bury); (cd /tmp && bury)";

#[test]
fn what_a_hostile_command_leaves_behind_stops_nobody() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write b\n", "Attempt: 1"])
            .turn(command(LEAVINGS))
            .turn(call("finish_task", json!({ "success": false, "summary": "It is a mess." }))),
        Rule::worker(&["Task: Write b\n", "Attempt: 2"])
            .turn(command("ls -A . /tmp"))
            .turn(write_file("b.txt", "b\n").expects(&["/tmp:"]))
            .turn(finish_task("Done.")),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut run_it = code_agent(&project);
    run_it.args(["--goal", "Write", "--max-workers", "1"]).args(model(&server));
    run(&mut run_it).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "a.txt\nb.txt\nc.txt");
}

#[test]
fn nobody_works_in_folders_where_a_command_was_stopped() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let seen = project.beside("seen");
    fs::create_dir(&seen).unwrap();
    // Where there are no namespaces, what it has started may go on to write there.
    let look = format!("stat -c %i . ~ >> {}/folders", seen.display());
    let deep = format!("{look}; for i in $(seq 400); do mkdir d; cd d; done; sleep 1800");
    // Where the first count comes too early and takes long, the next one comes late.
    let deep = json!({ "command": deep, "timeout_seconds": 1800 });
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write b\n", "Attempt: 1"]).turn(call("run_command", deep)).turn(
            call("finish_task", json!({ "success": false, "summary": "It was stopped." }))
                .expects(&["stopped", "deep"]),
        ),
        Rule::worker(&["Task: Write b\n", "Attempt: 2"])
            .turn(command(&look))
            .turn(write_file("b.txt", "b\n").expects(&["exit code 0"]))
            .turn(finish_task("Done.")),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut run_it = code_agent(&project);
    run_it.args(["--goal", "Write", "--max-workers", "1", "--allow-write"]).arg(&seen);
    run(run_it.args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    let folders = fs::read_to_string(seen.join("folders")).unwrap();
    let mut folders: Vec<&str> = folders.lines().collect();
    assert_eq!(folders.len(), 4);
    folders.sort_unstable();
    folders.dedup();
    assert_eq!(folders.len(), 4, "each time another checkout and another home");
}

#[test]
fn a_path_that_is_not_there_is_refused_before_the_run() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(Script::default()).unwrap();
    for (option, path, words) in [
        ("--allow-write", "/no/such/folder", "--allow-write /no/such/folder: No such file"),
        ("--allow-read", "/", "name what commands need of it"),
    ] {
        let mut run_it = code_agent(&project);
        run_it.args(["--goal", "Write", option, path]).args(model(&server));
        let ended = run(&mut run_it).expect_code(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!project.path().join(".code-agent").exists(), "nothing was begun");
}

#[test]
fn commands_without_a_sandbox_are_said_loudly_and_embedders_have_none() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let beside = project.beside("beside");
    fs::write(&beside, "SEEN").unwrap();
    let worker = Rule::worker(&["Task: Write b\n"])
        .turn(command(&format!("cat {}", beside.display())))
        .turn(write_file("b.txt", "b\n").expects(&["SEEN"]))
        .turn(finish_task("Done."));
    let server = ModelServer::start(script(worker, content_judge())).unwrap();
    let mut run_it = code_agent(&project);
    run_it.args(["--goal", "Write", "--unsandboxed-commands"]).args(model(&server));
    let ended = run(&mut run_it).expect_code(0);
    assert!(ended.stderr.contains("COMMANDS ARE NOT SANDBOXED"), "{}", ended.stderr);
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[test]
fn a_repository_can_not_widen_what_commands_may_do() {
    let project = Project::new(&[(".code-agent.toml", "[sandbox]\nallow-network = true\n")]);
    let server = ModelServer::start(Script::default()).unwrap();
    let mut run_it = code_agent(&project);
    let ended = run(run_it.args(["--goal", "Write"]).args(model(&server))).expect_code(2);
    assert!(ended.stderr.contains("sandbox"), "{}", ended.stderr);
}

fn doctor(project: &Project) -> Command {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_code-agent"));
    doctor.arg("doctor").current_dir(project.path());
    doctor.env("XDG_CACHE_HOME", project.beside("cache"));
    doctor
}

#[test]
fn the_doctor_says_what_is_there_and_what_is_not() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let plugins = crate::program::default_plugins();
    let ended = run(doctor(&project).arg("--plugins").arg(&plugins)).expect_code(0);
    for what in [
        "ok    config: ",
        "ok    repository: ",
        "ok    plugins: ",
        "ok    cache: ",
        "ok    commands: behind ",
    ] {
        assert!(ended.stdout.contains(what), "{what}: {}", ended.stdout);
    }
    project.write(&[("a.txt", "dirty\n")]);
    let nowhere = PathBuf::from("nowhere");
    project.write(&[(".code-agent.toml", "max-cycles = 900\n")]);
    let ended = run(doctor(&project).arg("--plugins").arg(&nowhere)).expect_code(1);
    for what in [
        "FAIL  config: ",
        "Take the line out",
        "FAIL  repository: ",
        "FAIL  plugins: ",
        "ok    cache: ",
    ] {
        assert!(ended.stdout.contains(what), "{what}: {}", ended.stdout);
    }
}

/// What the tools beside those for files say to nonsense; the files' have a
/// table of their own.
#[test]
fn nonsense_for_commands_and_git_is_answered_with_what_would_be_right() {
    let nonsense: [(&str, serde_json::Value, &str); 14] = [
        ("run_command", json!({}), "needs the argument `command`"),
        ("run_command", json!({ "command": " \n" }), "the command is empty"),
        ("run_command", json!({ "command": "a\u{0}b" }), "NUL"),
        ("run_command", json!({ "command": ["ls"] }), "has to be a string"),
        ("run_command", json!({ "command": "x".repeat(200_000) }), "write a script"),
        ("run_command", json!({ "command": "ls", "timeout_seconds": 0 }), "from 1 to 1800"),
        ("run_command", json!({ "command": "ls", "timeout_seconds": 99_999 }), "from 1 to 1800"),
        (
            "run_command",
            json!({ "command": "ls", "timeout": 5 }),
            "did you mean `timeout_seconds`?",
        ),
        ("git_diff", json!({ "from": "--output=/tmp/x" }), "invalid"),
        ("git_diff", json!({ "from": "0000000" }), "names no commit here"),
        ("git_log", json!({ "path": "../.." }), "leads upwards"),
        ("git_log", json!({ "max_entries": "many" }), "whole number"),
        ("git_status", json!({ "path": "x" }), "takes no argument"),
        ("git_commit_and_push", json!({ "message": "" }), "invalid"),
    ];
    let project = Project::new(&[("a.txt", "a\n")]);
    let mut worker = Rule::worker(&["Task: Write b\n"]);
    let mut expected: Option<&str> = None;
    for (tool, arguments, words) in &nonsense {
        let answered: Vec<&str> = expected.into_iter().collect();
        worker = worker.turn(call(tool, arguments.clone()).expects(&answered));
        expected = Some(*words);
    }
    let worker = worker
        .turn(write_file("b.txt", "b\n").expects(&[expected.unwrap()]))
        .turn(finish_task("Done."));
    let server = ModelServer::start(script(worker, content_judge())).unwrap();
    let mut run_it = code_agent(&project);
    run(run_it.args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
}
