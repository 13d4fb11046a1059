//! What the task store costs: claims and finishes per second through the
//! product's store, beside a bare loop over the same statements with the same
//! pragmas and groups of the same size. The loop is the floor: one thread, no
//! channel, no waking, no data built. Run by `cargo xtask bench queue`; ends
//! with code 1 where the store keeps less than [`TARGET`] of the floor's rate.

mod floor;
mod store;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use code_agent::clock::Clock;
use code_agent::queue::{Database, NewRun, Plan, RunStore, Store};
use code_agent::types::{Priority, TaskDraft};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much of the floor's rate the store has to reach.
const TARGET: f64 = 0.8;
/// How many workers claim at once.
const CLAIMERS: [usize; 2] = [64, 8];
/// Tasks of one round.
const TASKS: usize = 4_000;
/// Store and floor take turns, so that a machine that slows down slows both;
/// the median of the rounds' ratios counts. Odd.
const ROUNDS: usize = 5;

const RUN: &str = "run";
const CYCLE: u32 = 1;

/// What each worker reports.
const SUMMARY: &str = "The parser names the line of what it can't read; three tests prove it.";
/// What each worker notes beside it.
const NOTE: &str = "The tests took long before this change, too.";

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut reached = true;
    for claimers in CLAIMERS {
        reached &= compare(&runtime, claimers)? >= TARGET;
    }
    if reached {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the store is slower than {TARGET} of the floor");
    Ok(ExitCode::FAILURE)
}

/// Prints how both do with so many claimers; returns the store's part of the
/// floor's rate.
fn compare(runtime: &tokio::runtime::Runtime, claimers: usize) -> Result<f64> {
    let (mut stores, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut claims, mut finishes, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let measured = runtime.block_on(store::measure(claimers))?;
        let group = (2.0 * TASKS as f64 / measured.groups as f64).round().max(1.0);
        let store = rate(measured.took);
        let floor = rate(runtime.block_on(floor::measure(claimers, group as usize))?);
        stores.push(store);
        floors.push(floor);
        ratios.push(store / floor);
        groups.push(group);
        claims.extend(measured.claims);
        finishes.extend(measured.finishes);
    }
    let (store, floor) = (median(&mut stores), median(&mut floors));
    let (ratio, group) = (median(&mut ratios), median(&mut groups));
    println!("{claimers} claimers, medians of {ROUNDS} rounds of {TASKS} tasks:");
    println!("  store  {store:>6.0} claims and finishes/s, {group:.0} changes a group");
    println!("         claim  {}", latencies(&mut claims));
    println!("         finish {}", latencies(&mut finishes));
    println!("  floor  {floor:>6.0} claims and finishes/s, {group:.0} changes a group");
    println!("  ratio  {ratio:>6.2}, at least {TARGET}");
    Ok(ratio)
}

/// A claim and its finish count as one.
fn rate(took: Duration) -> f64 {
    TASKS as f64 / took.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn latencies(all: &mut [Duration]) -> String {
    all.sort();
    let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99))
}

/// A database at `path` with a run whose tasks all wait.
async fn filled(path: &Path) -> Result<RunStore> {
    let run = NewRun {
        goal: "Measure the queue".into(),
        branch: "main".into(),
        root_path: "/project".into(),
        base: "0000000000000000000000000000000000000000".into(),
        model: "none".into(),
        options: "{}".into(),
        max_cycles: 1,
        max_workers: 64,
    };
    let store = Database::open(path)?.start_run(RUN, run, Clock::system()).await?;
    let open = store.start_cycle(CYCLE, String::new()).await?;
    let plan = Plan { tasks: (0..TASKS).map(draft).collect(), ..Plan::default() };
    store.finish_planner(CYCLE, &open.planners[0], plan).await?;
    Ok(store)
}

/// Of the size that planners write.
fn draft(number: usize) -> TaskDraft {
    let priorities = [Priority::Critical, Priority::High, Priority::Medium, Priority::Low];
    TaskDraft {
        title: format!("Make the parser of module {number} refuse what it can't read"),
        description: "Return an error that names the line. ".repeat(20),
        priority: priorities[number % priorities.len()],
        file_paths: vec![format!("src/module_{number}/parser.rs"), "tests/parser.rs".into()],
    }
}

/// Where the databases go: on the disk that the project is built on, for a
/// folder in memory knows no sync.
fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// Nothing counts that did not do the work.
fn check_done(path: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(path)?;
    let (completed, events): (u32, u32) = connection.query_row(
        "SELECT (SELECT count(*) FROM tasks WHERE status = 'completed'),
                (SELECT count(*) FROM events WHERE kind IN ('attempt-started', 'task-completed'))",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if (completed as usize, events as usize) == (TASKS, 2 * TASKS) {
        return Ok(());
    }
    Err(format!("{completed} of {TASKS} tasks are completed, {events} events tell of them").into())
}
