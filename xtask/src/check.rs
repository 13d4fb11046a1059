//! Everything that has to hold before a change lands, in the order in which a
//! failure costs least. It stops at the first one.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::command::{self, Result, failed};
use crate::guests;
use crate::plugins;
use crate::target::{self, Choice, TARGET, Toolchain};

/// Runs all steps.
pub fn run(top: &Path, choice: Choice) -> Result<()> {
    let components = top.join("plugins");
    step("format", || {
        component("rustfmt", "fmt")?;
        format(top)?;
        format(&components)
    })?;
    let toolchain = step("components", || plugins::build(top, choice))?;
    step("the example with C in it", || plugins::build_with_c(top, &toolchain))?;
    step("examples in Python and JavaScript", || guests::build(top))?;
    step("lints of the host", || {
        component("clippy", "clippy")?;
        lint(cargo(top, "clippy").args(["--workspace", "--all-targets"]))
    })?;
    step("lints of the components", || lint_components(&components, &toolchain))?;
    step("tests of the components", || {
        let mut test = cargo(&components, "test");
        command::run(test.args(["--workspace", "--locked", "--target", &target::host()?]))
    })?;
    step("tests of the host", || {
        command::run(cargo(top, "test").args(["--workspace", "--locked"]))
    })?;
    step("tests of the examples", || {
        plugins::test_with_c(top)?;
        guests::test(top)
    })
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("--- {name}");
    let start = Instant::now();
    let done = work();
    let seconds = start.elapsed().as_secs_f64();
    println!("--- {name}: {} after {seconds:.1} s", if done.is_ok() { "passed" } else { "FAILED" });
    done
}

fn cargo(folder: &Path, subcommand: &str) -> Command {
    let mut command = command::cargo();
    command.arg(subcommand).current_dir(folder);
    command
}

fn format(workspace: &Path) -> Result<()> {
    command::run(cargo(workspace, "fmt").args(["--all", "--", "--check"]))
}

fn lint(clippy: &mut Command) -> Result<()> {
    command::run(clippy.args(["--locked", "--", "-D", "warnings"]))
}

/// For the target that they are built for. Debian's compiler comes without a
/// clippy, and the user's own can't read its standard library: there they are
/// linted as code of this machine, as is what needs a C compiler for wasm.
fn lint_components(components: &Path, toolchain: &Toolchain) -> Result<()> {
    let host = target::host()?;
    if !toolchain.native {
        return lint(cargo(components, "clippy").args(["--workspace", "--target", &host]));
    }
    let without_c = ["--workspace", "--exclude", plugins::WITH_C, "--target", TARGET];
    lint(cargo(components, "clippy").args(without_c))?;
    lint(cargo(components, "clippy").args(["--package", plugins::WITH_C, "--target", &host]))
}

/// Makes sure that a component of rustup's is there. A bare machine has cargo
/// and rustc alone.
fn component(name: &str, subcommand: &str) -> Result<()> {
    let present = || command::succeeds(command::cargo().args([subcommand, "--version"]));
    if present() {
        return Ok(());
    }
    let added = command::download(Command::new("rustup").args(["component", "add", name]));
    if added.is_ok() && present() {
        return Ok(());
    }
    Err(failed(format!(
        "`cargo {subcommand}` doesn't run, and `rustup component add {name}` didn't help. \
         Install {name} for the toolchain that `cargo --version` names."
    )))
}
