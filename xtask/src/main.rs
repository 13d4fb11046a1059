//! The project's own chores, run as `cargo xtask NAME`. This file reads the
//! command line and nothing else; each chore has a file.
//!
//! - `plugins`: the wasm target ([`target`], and [`debian`] where rustup can't
//!   fetch it), then the components ([`plugins`]), and the examples that need
//!   more: a C compiler ([`zig`]), or other languages' ([`guests`])
//! - `test`: everything that has to hold before a change lands ([`check`])
//! - `demo`: the real program on a small project ([`demo`])
//! - `try-llama`: the same with a real, very weak model ([`demo::llama`])
//! - `walk-through`: from nothing to a judge of one's own, in each language
//!   ([`walk_through`])
//! - `bench`: benchmarks ([`bench`])
//!
//! It needs cargo, git and the package registries, and none of the crates that
//! it builds.

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use command::{Failure, Result};
use target::Choice;

mod bench;
mod check;
mod command;
mod debian;
mod demo;
mod guests;
mod plugins;
mod target;
mod walk_through;
mod zig;

const USAGE: &str = "\
The project's own chores.

Usage: cargo xtask <CHORE> [OPTIONS]

Chores:
  plugins        builds the components and puts each beside its source; with
                 --examples also those in Python and JavaScript, and that with C
                 in it, whose compilers come from PyPI and npm
  test           checks the format, builds the components, lints and tests
  demo           runs the program on a small project with a scripted model
  try-llama      runs it with a real, very weak model from PyPI; needs python3
  walk-through [LANGUAGE]
                 from an empty folder to a run with a judge of one's own, as a
                 new user would do it: in rust, python, javascript or all
  bench [NAME]   runs a benchmark, or all of them; `bench tools DIR` tries that
                 tree, too, and `bench landing DIR` that repository

Options of plugins, test, demo, try-llama and walk-through:
  --toolchain auto|rustup|debian
                 where the wasm target comes from: rustup, or a compiler from
                 Debian's packages, unpacked below target/. auto tries both.

Option of walk-through:
  --program FILE     a code-agent that is built, with model-server beside it and
                     the default plugins in their places; builds none of them

Options of demo, for a real model:
  --model MODEL      e.g. openai:NAME; keys come from the environment
  --api-base URL     where the model's server listens
  --goal TEXT        what to do (default: the goal of the scripted demo)
  --root-path DIR    the repository to work on (default: the demo's project)
";

enum Chore {
    Help,
    Plugins { choice: Choice, examples: bool },
    Test(Choice),
    Demo(demo::Options),
    TryLlama(Choice),
    WalkThrough(walk_through::Options),
    Bench(Option<String>, Option<PathBuf>),
}

fn main() -> ExitCode {
    let done = parse(lexopt::Parser::from_env()).and_then(|chore| match chore {
        Chore::Help => {
            print!("{USAGE}");
            Ok(())
        }
        Chore::Plugins { choice, examples } => build(choice, examples),
        Chore::Test(choice) => check::run(&command::top(), choice),
        Chore::Demo(options) => demo::run(&command::top(), &options),
        Chore::TryLlama(choice) => demo::llama::run(&command::top(), choice),
        Chore::WalkThrough(options) => walk_through::run(&command::top(), &options),
        Chore::Bench(name, tree) => bench::run(&command::top(), name.as_deref(), tree.as_deref()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            eprintln!("\nxtask: {message}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("xtask: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn build(choice: Choice, examples: bool) -> Result<()> {
    let top = command::top();
    let toolchain = plugins::build(&top, choice)?;
    if examples {
        plugins::build_with_c(&top, &toolchain)?;
        guests::build(&top)?;
    }
    Ok(())
}

fn parse(mut arguments: lexopt::Parser) -> Result<Chore> {
    let mut words: Vec<String> = Vec::new();
    let mut choice = None;
    let mut examples = false;
    let mut program = None;
    let mut demo = demo::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Chore::Help),
            Value(word) => words.push(word.string()?),
            Long("toolchain") => choice = Some(arguments.value()?.parse_with(target::choice)?),
            Long("examples") => examples = true,
            Long("program") => program = Some(arguments.value()?.into()),
            Long("model") => demo.model = Some(arguments.value()?.string()?),
            Long("api-base") => demo.api_base = Some(arguments.value()?.string()?),
            Long("goal") => demo.goal = Some(arguments.value()?.string()?),
            Long("root-path") => demo.root_path = Some(arguments.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.first() != Some(&"plugins") && examples {
        return Err(Failure::Usage("only `plugins` takes --examples".to_owned()));
    }
    if words.first() != Some(&"walk-through") && program.is_some() {
        return Err(Failure::Usage("only `walk-through` takes --program".to_owned()));
    }
    if words.first() != Some(&"demo") && demo != demo::Options::default() {
        return Err(Failure::Usage("only `demo` runs a model: leave its options out".to_owned()));
    }
    match (words.as_slice(), choice) {
        ([], None) => Ok(Chore::Help),
        (["plugins"], choice) => {
            Ok(Chore::Plugins { choice: choice.unwrap_or_default(), examples })
        }
        (["test"], choice) => Ok(Chore::Test(choice.unwrap_or_default())),
        (["demo"], choice) => demo::Options { toolchain: choice.unwrap_or_default(), ..demo }
            .checked()
            .map(Chore::Demo),
        (["try-llama"], choice) => Ok(Chore::TryLlama(choice.unwrap_or_default())),
        (["walk-through"], choice) => walk_through(None, choice, program),
        (["walk-through", language], choice) => walk_through(Some(*language), choice, program),
        (["bench"], None) => Ok(Chore::Bench(None, None)),
        (["bench", name], None) => Ok(Chore::Bench(Some((*name).to_owned()), None)),
        (["bench", name @ ("tools" | "landing"), tree], None) => {
            Ok(Chore::Bench(Some((*name).to_owned()), Some(tree.into())))
        }
        _ => Err(Failure::Usage(format!("there is no chore `{}` like that", words.join(" ")))),
    }
}

fn walk_through(
    language: Option<&str>,
    choice: Option<Choice>,
    program: Option<PathBuf>,
) -> Result<Chore> {
    let (toolchain, language) = (choice.unwrap_or_default(), language.map(str::to_owned));
    walk_through::Options { toolchain, language, program }.checked().map(Chore::WalkThrough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Chore> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn a_toolchain_can_be_chosen() {
        let examples = |line| match parsed(line) {
            Ok(Chore::Plugins { choice: Choice::Auto, examples }) => Some(examples),
            _ => None,
        };
        assert_eq!(examples("plugins"), Some(false));
        assert_eq!(examples("plugins --examples"), Some(true));
        assert!(matches!(parsed("test --toolchain debian"), Ok(Chore::Test(Choice::Debian))));
        assert!(matches!(parsed("plugins --toolchain other"), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_tree_is_for_the_benchmarks_that_try_one() {
        for name in ["tools", "landing"] {
            let Ok(Chore::Bench(Some(parsed), Some(tree))) = parsed(&format!("bench {name} ."))
            else {
                panic!("{name} takes a tree");
            };
            assert_eq!((parsed.as_str(), tree), (name, ".".into()));
        }
        assert!(matches!(parsed("bench queue ."), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_goal_needs_a_model_that_can_reach_it() {
        assert!(matches!(parsed("demo --goal anything"), Err(Failure::Usage(_))));
        let Ok(Chore::Demo(options)) = parsed("demo --model openai:x --goal anything") else {
            panic!("the demo takes a model and a goal");
        };
        assert_eq!(options.goal.as_deref(), Some("anything"));
    }

    #[test]
    fn what_no_chore_takes_is_wrong_usage() {
        for line in [
            "dance",
            "plugins twice",
            "test --model x",
            "bench a b",
            "test --quickly",
            "test --program x",
            "walk-through cobol",
            "test --examples",
        ] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}
