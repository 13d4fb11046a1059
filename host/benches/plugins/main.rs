//! What components cost. Run by `cargo xtask bench plugins`; ends with code 1
//! where a target is missed.
//!
//! - `load`: all default plugins, from the compile cache;
//! - `instance`: a fresh Store and an instance of each default role in it;
//! - `call`: a tool call through a component, beside the native function;
//! - `memory`: a thousand workers that wait for the model.

#[path = "../tools/calls.rs"]
mod calls;
mod starting;
mod waiting;
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
    // First of all, since what others leave in the allocator would serve it.
    let mut reached = runtime.block_on(waiting::measure())?;
    reached &= runtime.block_on(starting::load())?;
    reached &= runtime.block_on(starting::instances())?;
    reached &= runtime.block_on(calls::compare())?;
    if reached {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("a target was missed");
    Ok(ExitCode::FAILURE)
}

/// The repository's own plugins, as `cargo xtask plugins` builds them.
fn default_plugins() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins")
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

/// On the disk that the project is built on, for a folder in memory is another
/// thing.
fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}
