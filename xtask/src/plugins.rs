//! Builds the components of the workspace `plugins/` and puts each beside its
//! source, where the program, the tests and `plugins.toml` look for it. It
//! doesn't know where the wasm target comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Result, at, failed};
use crate::target::{self, Choice, Toolchain};
use crate::zig;

/// The example with C in it, which needs a C compiler for wasm. None of the
/// default plugins does.
pub const WITH_C: &str = "outline";

/// Builds all components but that with C in it, and returns what they were built
/// with.
pub fn build(top: &Path, choice: Choice) -> Result<Toolchain> {
    let toolchain = target::find(top, choice)?;
    let mut build = target::cargo(&toolchain, "build");
    compile(top, build.args(["--workspace", "--exclude", WITH_C]))?;
    Ok(toolchain)
}

/// Builds the example with C in it, where a C compiler can be had.
pub fn build_with_c(top: &Path, toolchain: &Toolchain) -> Result<()> {
    if !has_c() {
        return Ok(());
    }
    let mut build = target::cargo(toolchain, "build");
    compile(top, build.args(["--package", WITH_C]).envs(zig::environment(top)?))
}

/// Makes the tests of runs with the example with C in it, where it can be built.
pub fn test_with_c(top: &Path) -> Result<()> {
    if !has_c() {
        return Ok(());
    }
    // Without the component they would fail, so that else they are ignored.
    command::ignored_tests(top, &format!("examples_in_rust::{WITH_C}_"))
}

/// Whether a C compiler can be had; says what is left out without one.
fn has_c() -> bool {
    let has = zig::can_be_had();
    if !has {
        println!(
            "LEFT OUT: plugins/examples/{WITH_C} and its test, since a C compiler for wasm is \
             missing here: install python3 with pip, or name one in CC_wasm32_unknown_unknown"
        );
    }
    has
}

fn compile(top: &Path, build: &mut Command) -> Result<()> {
    build.args(["--release", "--locked"]).current_dir(top.join("plugins"));
    let mut count = 0;
    for artifact in command::artifacts(build)? {
        for built in artifact.files.iter().filter(|file| is_component(file)) {
            place(top, built, &artifact.package)?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(failed("the workspace plugins/ built no component: has it a cdylib?"));
    }
    Ok(())
}

fn is_component(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "wasm")
}

/// Copies only what differs: a new time stamp alone would make every reader of
/// the file start over.
fn place(top: &Path, built: &Path, package: &Path) -> Result<()> {
    let placed = destination(package);
    let shown = placed.strip_prefix(top).unwrap_or(&placed).display().to_string();
    let new = fs::read(built).map_err(at("read", built))?;
    let same = fs::read(&placed).is_ok_and(|old| old == new);
    if !same {
        fs::write(&placed, &new).map_err(at("write", &placed))?;
    }
    println!(
        "{shown}: {} KiB, {}",
        new.len().div_ceil(1024),
        if same { "unchanged" } else { "new" }
    );
    Ok(())
}

/// The component has the name of its package's folder: cargo's own file name
/// has `_` for each `-`.
fn destination(package: &Path) -> PathBuf {
    let name = package.file_name().unwrap_or_default();
    package.join(name).with_extension("wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_lies_beside_its_source() {
        let placed = destination(Path::new("plugins/main-planner"));
        assert_eq!(placed, Path::new("plugins/main-planner/main-planner.wasm"));
    }

    #[test]
    fn what_is_the_same_keeps_its_time() {
        let top = tempfile::tempdir().unwrap();
        let package = top.path().join("judge");
        fs::create_dir(&package).unwrap();
        let built = top.path().join("built.wasm");
        fs::write(&built, "one").unwrap();
        place(top.path(), &built, &package).unwrap();
        let placed = package.join("judge.wasm");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&placed).unwrap().set_modified(long_ago).unwrap();

        place(top.path(), &built, &package).unwrap();
        assert_eq!(fs::metadata(&placed).unwrap().modified().unwrap(), long_ago);

        fs::write(&built, "two").unwrap();
        place(top.path(), &built, &package).unwrap();
        assert_eq!(fs::read(&placed).unwrap(), b"two");
    }
}
