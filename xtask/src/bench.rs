//! Benchmarks by name. Each is a bench target of the host crate that compares
//! itself with a floor in the same run, and fails where it falls below its
//! target; this file only knows which there are.

use std::path::Path;

use crate::command::{self, Failure, Result};

struct Benchmark {
    name: &'static str,
    /// What it measures, and beside what.
    measures: &'static str,
}

const BENCHMARKS: [Benchmark; 1] = [Benchmark {
    name: "queue",
    measures: "claims and finishes through the task store, beside a bare loop over the same \
               statements: at least 0.8 of its rate",
}];

/// Runs the benchmark of that name; without a name all of them.
pub fn run(top: &Path, name: Option<&str>) -> Result<()> {
    for benchmark in chosen(name)? {
        println!("--- {}: {}", benchmark.name, benchmark.measures);
        let mut cargo = command::cargo();
        cargo.args(["bench", "--quiet", "--locked", "--package", "code-agent"]);
        command::run(cargo.args(["--bench", benchmark.name]).current_dir(top))?;
    }
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Benchmark>> {
    let chosen: Vec<_> = BENCHMARKS
        .iter()
        .filter(|benchmark| name.is_none_or(|name| name == benchmark.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        let name = name.unwrap_or_default();
        let names = names.join(", ");
        return Err(Failure::Usage(format!("there is no benchmark `{name}`; there is: {names}")));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_chosen_by_its_name_and_all_without() {
        assert_eq!(chosen(None).unwrap().len(), BENCHMARKS.len());
        assert_eq!(chosen(Some("queue")).unwrap().len(), 1);
        assert!(matches!(chosen(Some("dance")), Err(Failure::Usage(_))));
    }
}
