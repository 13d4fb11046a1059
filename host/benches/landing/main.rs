//! What landing and a slot's reset cost, on generated repositories of three
//! sizes and on the one that is named. Run by `cargo xtask bench landing
//! [REPOSITORY]`; ends with code 1 where a target is missed.
//!
//! - landings a second, from the worker's return to the durable row, with one
//!   worker and with 16, beside the `git` commands that a script would use;
//! - a slot's reset after ten changed files, where tools changed them and where
//!   a command did, beside writing them, `git status` and `git worktree add`.

#![expect(clippy::disallowed_methods, reason = "a benchmark makes what it measures")]

mod commands;
mod git;
mod ours;
mod reset;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use git::Project;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many files the generated repositories have. Targets are for the second
/// of them, and for the third beside it.
const SIZES: [usize; 3] = [1_000, 5_000, 50_000];
/// How many workers land at once, beside one.
const WORKERS: usize = 16;
/// How many rounds a measurement is of. Odd.
const ROUNDS: usize = 15;

/// Landings a second, at least, with many workers and with one.
const RATE: f64 = 500.0;
const RATE_ALONE: f64 = 100.0;
/// How many times the commands' rate, at least.
const TIMES_COMMANDS: f64 = 50.0;
/// How many times the cost of a landing in the largest repository, at most.
const TIMES_COST: f64 = 1.5;
/// What a reset may cost where only tools wrote, on top of the writing.
const RESET: Duration = Duration::from_millis(15);

/// Landings a second in one repository.
struct Rates {
    many: f64,
    alone: f64,
    /// None where that would take too long.
    commands: Option<f64>,
}

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut reached = true;
    let mut rates = Vec::new();
    for files in SIZES {
        println!("a generated repository of {files} files:");
        let project = Project::generate(files)?;
        rates.push(measure(&runtime, &project, files < SIZES[2])?);
        reached &= reset::compare(&project)?;
    }
    if let Some(named) = std::env::var_os("CODE_AGENT_BENCH_TREE").map(PathBuf::from) {
        println!("{}:", named.display());
        let project = Project::copy(&named)?;
        measure(&runtime, &project, true)?;
        reached &= reset::compare(&project)?;
    }
    let [_, middle, large] = rates.as_slice() else { return Err("three sizes".into()) };
    println!("targets, at {} files:", SIZES[1]);
    let many = format!("{:.0}/s, at least {RATE}", middle.many);
    reached &= verdict(&format!("{WORKERS} workers"), &many, middle.many >= RATE);
    let alone = format!("{:.0}/s, at least {RATE_ALONE}", middle.alone);
    reached &= verdict("one worker", &alone, middle.alone >= RATE_ALONE);
    let times = middle.commands.map_or(0.0, |commands| middle.many / commands);
    let shown = format!("{times:.0} times their rate, at least {TIMES_COMMANDS}");
    reached &= verdict("commands", &shown, times >= TIMES_COMMANDS);
    let times = middle.many / large.many;
    let shown = format!("{times:.2} times the cost at {}, at most {TIMES_COST}", SIZES[2]);
    reached &= verdict("size", &shown, times <= TIMES_COST);
    if reached {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("a target was missed");
    Ok(ExitCode::FAILURE)
}

/// Prints how fast workers land, and commands where they are asked for: their
/// working trees alone take minutes in a large repository.
fn measure(
    runtime: &tokio::runtime::Runtime,
    project: &Project,
    with_commands: bool,
) -> Result<Rates> {
    let alone = runtime.block_on(ours::measure(project, 1, 3 * ROUNDS))?;
    let many = runtime.block_on(ours::measure(project, WORKERS, ROUNDS))?;
    println!("  landings/s: one worker {:.0}, {WORKERS} workers {:.0}", alone.rate, many.rate);
    println!("  with resets and claims in between: {WORKERS} workers {:.0}", many.whole_rate);
    println!("  a sync of a new file {:.2} ms", milliseconds(sync(project)?));
    let commands = with_commands.then(|| commands::measure(project, WORKERS)).transpose()?;
    if let Some(commands) = commands {
        println!("  the commands, {WORKERS} at once: {commands:.1}");
    }
    Ok(Rates { many: many.rate, alone: alone.rate, commands })
}

/// What it takes at least to keep a change, here and now.
fn sync(project: &Project) -> Result<Duration> {
    let path = project.beside("synced");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&[b'x'; 4096])?;
        let begun = Instant::now();
        file.sync_all()?;
        times.push(begun.elapsed());
        std::fs::remove_file(&path)?;
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Says how it went, and whether the target was reached.
fn verdict(what: &str, shown: &str, is_reached: bool) -> bool {
    println!("  {what:<16} {shown}{}", if is_reached { "" } else { "  MISSED" });
    is_reached
}
