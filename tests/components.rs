//! Components called in this process: at random, and beside others.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use code_agent::types::Role;
use model_server::{ModelServer, Rule, Script, text};
use tempfile::TempDir;

use crate::workshop::Workshop;

/// Calls of one sequence.
const CALLS: u32 = 400;
/// Sequences for each role.
const SEQUENCES: u64 = 6;
/// Names a seed to begin with, to repeat a sequence or to try others.
const SEED: &str = "CODE_AGENT_FUZZ_SEED";

/// Endless loops, far more than there are threads.
const LOOPS: usize = 8;

async fn workshop(address: Option<String>) -> (TempDir, Workshop) {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let workshop = Workshop::open(place.path(), address).await.unwrap();
    (place, workshop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_calls_breaks_the_host() {
    let first: u64 = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    let always = Rule::new(None, &[]).turn(text("Done.")).repeat_last();
    let server = ModelServer::start(Script::new([always])).unwrap();
    let mut landed = 0;
    for seed in first..first + SEQUENCES {
        for role in [Role::Worker, Role::SubPlanner] {
            let (place, mut workshop) = workshop(Some(server.base_url())).await;
            workshop.open_desk().await.unwrap();
            let plugins = workshop.plugins("fuzz", None, "").await.unwrap();
            println!("seed {seed}, {role}");
            let what = format!("fuzz {seed} {CALLS}");
            let said = workshop.ask(&plugins, role, &what).await.unwrap();
            println!("{said}");
            assert!(said.ends_with(" 0 faults") && !said.starts_with("0 well"), "{said}");
            let untouched = std::fs::read_to_string(place.path().join("outside/passwd")).unwrap();
            assert_eq!(untouched, "root\n");
            landed += commits(place.path());
        }
    }
    println!("{landed} commits landed");
    assert!(landed > 0, "workers land for real");
}

/// What is on the run's ref since it began.
fn commits(place: &Path) -> usize {
    let mut git = Command::new("git");
    git.args(["rev-list", "--count", "main..refs/code-agent/runs/workshop"]);
    let counted = git.current_dir(place.join("project")).output().unwrap();
    String::from_utf8(counted.stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loops_leave_time_for_the_others() {
    let (_place, workshop) = workshop(None).await;
    let workshop = Arc::new(workshop);
    let plugins =
        workshop.plugins("loops", None, "limits.compute-milliseconds = 1000").await.unwrap();
    let plugins = Arc::new(plugins);
    let ended = Arc::new(AtomicUsize::new(0));
    let loops: Vec<_> = (0..LOOPS)
        .map(|_| {
            let (workshop, plugins, ended) = (workshop.clone(), plugins.clone(), ended.clone());
            tokio::spawn(async move {
                let outcome = workshop.ask(&plugins, Role::SubPlanner, "loop").await;
                ended.fetch_add(1, Ordering::SeqCst);
                outcome.unwrap_err().to_string()
            })
        })
        .collect();
    let (neighbour, its_plugins) = (workshop.clone(), plugins.clone());
    let good = tokio::spawn(async move {
        for _ in 0..3 {
            let said = neighbour.ask(&its_plugins, Role::SubPlanner, "good").await.unwrap();
            assert_eq!(said, "one task for good");
        }
        ended.load(Ordering::SeqCst)
    });
    assert_eq!(good.await.unwrap(), 0, "the good ones were done while all the loops went on");
    for one in loops {
        let why = one.await.unwrap();
        assert!(why.contains("computed for more than 1000 ms"), "{why}");
    }
}
