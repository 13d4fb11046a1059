//! Benchmarks by name. There is none yet, and it says so.

use crate::command::{Failure, Result};

/// Runs the benchmark of that name; without a name it lists them.
pub fn run(name: Option<&str>) -> Result<()> {
    match name {
        None => {
            println!("There are no benchmarks yet.");
            Ok(())
        }
        Some(name) => {
            Err(Failure::Usage(format!("there is no benchmark `{name}`: there are none yet")))
        }
    }
}
