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

const BENCHMARKS: [Benchmark; 4] = [
    Benchmark {
        name: "landing",
        measures: "landings from a worker's return to the durable row, beside git's commands: at \
                   least 500 a second with 16 workers at 5,000 files, 100 with one, 50 times the \
                   commands, and 1.5 times the cost at 50,000 files; a slot's reset beside writing \
                   its files, at most 15 ms more, and beside git status",
    },
    Benchmark {
        name: "plugins",
        measures: "components: an instance in at most 30 µs, a tool call at most 50 µs more than the \
                   function, 1,000 roles that wait for the model in at most 64 MiB, and the load of \
                   all default plugins from the compile cache in at most 10 ms",
    },
    Benchmark {
        name: "queue",
        measures: "claims and finishes through the task store, beside a bare loop over the same \
                   statements: at least 0.8 of its rate",
    },
    Benchmark {
        name: "tools",
        measures: "search and listing beside ripgrep, at most 1.2 of its time; a tool call through \
                   a component beside the function, at most 50 µs more; a command in the sandbox \
                   beside one without, at most 10 ms more",
    },
];

/// The variable that names a tree for the benchmarks of landing and tools.
const TREE: &str = "CODE_AGENT_BENCH_TREE";

/// Runs the benchmark of that name; without a name all of them. `tree`: one
/// more that it is tried on.
pub fn run(top: &Path, name: Option<&str>, tree: Option<&Path>) -> Result<()> {
    for benchmark in chosen(name)? {
        println!("--- {}: {}", benchmark.name, benchmark.measures);
        let mut cargo = command::cargo();
        cargo.args(["bench", "--quiet", "--locked", "--package", "code-agent"]);
        if let Some(tree) = tree {
            cargo.env(TREE, std::path::absolute(tree).map_err(command::at("find", tree))?);
        }
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
