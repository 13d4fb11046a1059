//! What runs leave on the disk: nothing, unless it was wished.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use model_server::{ModelServer, Options, Rule, Script, call};
use serde_json::json;

use crate::going_back::{call as code_agent_call, finished};
use crate::program::{bare, code_agent, default_plugins, model, run};
use crate::project::Project;
use crate::scripts::{b_and_c, content_judge, domain, plan, writer};
use crate::watched::Watched;

fn checkouts(project: &Project) -> Vec<PathBuf> {
    let folder = project.beside("cache").join("code-agent/checkouts");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Whether git is to leave a pack where it is.
fn holds_packs(project: &Project) -> bool {
    let packs = fs::read_dir(project.path().join(".git/objects/pack")).unwrap();
    packs.map(|entry| entry.unwrap().path()).any(|file| file.extension() == Some("keep".as_ref()))
}

#[test]
fn checkouts_stay_where_it_is_wished_until_they_are_pruned() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let id = finished(&project, &["--keep-checkouts"]);
    let told: String =
        project.query("SELECT body FROM events WHERE kind = 'checkouts' ORDER BY sequence DESC");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let folder = PathBuf::from(told["kept"].as_str().unwrap());
    assert!(told["bytes"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(fs::read_to_string(folder.join("judge/a.txt")).unwrap(), "changed\n");
    // The next run leaves them alone.
    project.git(&["reset", "--quiet", "--hard", "HEAD~4"]);
    finished(&project, &[]);
    assert_eq!(checkouts(&project), std::slice::from_ref(&folder));
    let pruned = code_agent_call(&project, &["prune", &id, "--force"]).expect_code(0);
    assert!(pruned.stdout.contains("its checkouts"), "{}", pruned.stdout);
    assert!(!folder.exists());
}

#[test]
fn checkouts_that_are_to_stay_outlive_a_crash_and_the_next_run() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let server = ModelServer::start(b_and_c()).unwrap();
    let mut dies = code_agent(&project);
    dies.args(["--goal", "Write", "--keep-checkouts"]).args(model(&server));
    let died = run(dies.env("CODE_AGENT_CRASH_AT", "landing: landed"));
    assert!(died.signal.is_some(), "{}", died.stderr);
    let [folder] = &checkouts(&project)[..] else { panic!("one run has died") };
    let server = ModelServer::start(b_and_c()).unwrap();
    let mut command = bare(&project);
    command.args(["--goal", "Write", "--branch", "other", "--plugins"]).arg(default_plugins());
    run(command.args(model(&server))).expect_code(0);
    assert!(folder.join("planners/a.txt").exists());
    assert!(!holds_packs(&project), "its commits have their references");
    let id = folder.file_name().unwrap().to_str().unwrap();
    code_agent_call(&project, &["prune", id, "--force"]).expect_code(0);
    assert!(!folder.exists());
}

#[test]
fn what_a_dead_run_left_goes_with_the_next_and_a_live_one_keeps_its_own() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let options = Options { longest_wait: Duration::from_secs(3600), ..Options::default() };
    let held = Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write b", "b.txt", "b\n"),
        Rule::worker(&["Task: Write c\n"])
            .turn(call("list_files_recursive", json!({})).barrier("nobody else comes", 2)),
    ]);
    let server = ModelServer::start_with(held, options).unwrap();
    let database = project.beside("held.db").display().to_string();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-workers", "2", "--database", &database]);
    let mut program = Watched::start(command.args(model(&server)));
    program.until_said("done: Write b");
    let [folder] = &checkouts(&project)[..] else { panic!("one run works") };
    let id = folder.file_name().unwrap().to_str().unwrap();
    // Either worker may have written b, and the same one may have taken c too.
    let slots = ["worker-1", "worker-2"].map(|slot| folder.join(slot).join("a.txt"));
    let kept = slots.iter().find(|file| file.exists()).expect("somebody has written b");

    // Beside it, on another branch, a run comes and goes.
    let beside = ModelServer::start(b_and_c()).unwrap();
    let mut command = bare(&project);
    command.args(["--goal", "Write", "--branch", "other", "--plugins"]).arg(default_plugins());
    run(command.args(model(&beside))).expect_code(0);
    assert!(kept.exists(), "a live run's checkouts stay");
    for arguments in [&["prune", id, "--force"][..], &["undo", id]] {
        let at = ["--database", &database];
        let refused = code_agent_call(&project, &[arguments, &at].concat()).expect_code(1);
        assert!(refused.stderr.contains("at work"), "{}", refused.stderr);
    }

    program.kill();
    assert_eq!(
        checkouts(&project),
        std::slice::from_ref(folder),
        "nobody was there to remove them"
    );
    assert!(holds_packs(&project), "what it wrote last");
    finished(&project, &[]);
    assert_eq!(checkouts(&project), Vec::<PathBuf>::new());
    assert!(!holds_packs(&project));
}

#[test]
fn a_tree_that_was_half_moved_is_mended_before_its_run_is_pruned() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let script = Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write a", "a.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        writer("Write a", "a.txt", "changed\n"),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]);
    let server = ModelServer::start(script).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write"]).args(model(&server));
    run(command.env("CODE_AGENT_CRASH_AT", "branch: files written"));
    assert_eq!(project.read("a.txt"), "changed\n", "it died when the files had moved");
    let id: String = project.query("SELECT run_id FROM runs");
    code_agent_call(&project, &["prune", &id, "--force"]).expect_code(0);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.read("a.txt"), "a\n");
    assert!(!project.git(&["for-each-ref"]).contains("code-agent"));
}
