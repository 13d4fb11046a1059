//! What the tools cost. Run by `cargo xtask bench tools [TREE]`; ends with code
//! 1 where one of them is over its target.
//!
//! - `search` and `list` beside ripgrep, in the same run, on a generated tree of
//!   20,000 files and on the one that is named: the same matches;
//! - a tool call through a component beside the native function;
//! - `true` in the sandbox beside `true`.

mod calls;
mod sandboxed;
mod search;
mod tree;
#[path = "../../../tests/workshop.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many rounds a median is of. Odd.
const ROUNDS: usize = 9;

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut reached = true;
    let generated = tree::generate()?;
    println!("a generated tree of {} files:", tree::FILES);
    reached &= search::compare(generated.path())?;
    if let Some(named) = std::env::var_os("CODE_AGENT_BENCH_TREE").map(PathBuf::from) {
        println!("{}:", named.display());
        reached &= search::compare(&named)?;
    }
    reached &= runtime.block_on(calls::compare())?;
    reached &= runtime.block_on(sandboxed::compare())?;
    if reached {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("a target was missed");
    Ok(ExitCode::FAILURE)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Says how it went, and whether the target was reached.
fn verdict(what: &str, shown: &str, is_reached: bool) -> bool {
    println!("  {what:<10} {shown}{}", if is_reached { "" } else { "  MISSED" });
    is_reached
}

/// A repository's path that tests and benchmarks of this crate share: the disk
/// that the project is built on, for a folder in memory is another thing.
fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}
