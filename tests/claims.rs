//! Two real processes that claim from one database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use code_agent::clock::Clock;
use code_agent::queue::{Database, NewRun, Plan, Store};
use code_agent::types::{Priority, TaskDraft};

const RUN: &str = "run";
const TASKS: usize = 10_000;

struct Claimer {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

/// One claim, as it was printed.
#[derive(Debug, serde::Deserialize)]
struct Claimed {
    slot: String,
    rank: u8,
    id: String,
}

impl Claimer {
    /// Starts it; returns once it has opened the database.
    fn start(database: &Path, name: &str) -> Self {
        let mut process = Command::new(program())
            .arg(database)
            .args([RUN, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(output.next().unwrap().unwrap(), "ready");
        Self { process, output }
    }

    fn begin(&mut self) {
        drop(self.process.stdin.take());
    }

    fn claims(mut self) -> Vec<Claimed> {
        let claims =
            self.output.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        assert!(self.process.wait().unwrap().success(), "the reason is above");
        claims
    }
}

/// `tests/claimer.rs`, which cargo builds beside the program.
fn program() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_code-agent")).parent().unwrap().join("examples");
    let program = folder.join(format!("claimer{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "build it first: cargo build -p code-agent --examples");
    program
}

/// All tasks are there before anybody claims; the urgent ones are not the oldest.
fn fill(database: &Path) {
    let priorities = [Priority::Low, Priority::Medium, Priority::High, Priority::Critical];
    let draft = |number: usize| TaskDraft {
        title: format!("Task {number}"),
        description: String::new(),
        priority: priorities[number % priorities.len()],
        file_paths: Vec::new(),
    };
    let plan = Plan { tasks: (0..TASKS).map(draft).collect(), ..Plan::default() };
    let run = NewRun {
        goal: "A goal".into(),
        branch: "main".into(),
        root_path: "/project".into(),
        base: "base".into(),
        model: "none".into(),
        options: "{}".into(),
        max_cycles: 1,
        max_workers: 64,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let database = Database::open(database).unwrap();
        let store = database.start_run(RUN, run, Clock::system()).await.unwrap();
        let open = store.start_cycle(1, "base".into()).await.unwrap();
        store.finish_planner(1, &open.planners[0], plan).await.unwrap();
    });
}

#[test]
fn two_processes_never_claim_the_same_task_and_keep_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    fill(&database);
    let mut claimers = ["left", "right"].map(|name| Claimer::start(&database, name));
    claimers.iter_mut().for_each(Claimer::begin);
    let [left, right] = claimers.map(|claimer| thread::spawn(|| claimer.claims()));
    let (left, right) = (left.join().unwrap(), right.join().unwrap());
    println!("{} and {} claims", left.len(), right.len());
    assert!(!left.is_empty() && !right.is_empty(), "neither starves the other");

    let mut ids = BTreeSet::new();
    let mut last_of_slot: BTreeMap<String, (u8, String)> = BTreeMap::new();
    for claimed in left.into_iter().chain(right) {
        assert!(ids.insert(claimed.id.clone()), "claimed twice: {claimed:?}");
        // Nothing was added meanwhile, so what comes next is less urgent or newer.
        let place = (claimed.rank, claimed.id);
        if let Some(last) = last_of_slot.insert(claimed.slot.clone(), place.clone()) {
            assert!(last < place, "{} claimed {place:?} after {last:?}", claimed.slot);
        }
    }
    assert_eq!(ids.len(), TASKS);
    assert_eq!(last_of_slot.len(), 2 * 16, "every thread has claimed");
}
