//! Where the wasm target comes from: it is installed, rustup fetches it, or
//! [`debian`] provides a compiler of its own. It doesn't know what is built
//! with it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Result, failed};
use crate::debian;

/// The target of every component.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What the user wants the wasm target to come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Rustup, and Debian's packages where that doesn't work.
    #[default]
    Auto,
    /// Rustup alone.
    Rustup,
    /// Debian's packages, even where rustup has the target.
    Debian,
}

/// Reads a [`Choice`] from the command line.
pub fn choice(text: &str) -> std::result::Result<Choice, &'static str> {
    match text {
        "auto" => Ok(Choice::Auto),
        "rustup" => Ok(Choice::Rustup),
        "debian" => Ok(Choice::Debian),
        _ => Err("it is one of auto, rustup and debian"),
    }
}

/// What cargo needs to build for [`TARGET`].
#[derive(Default)]
pub struct Toolchain {
    /// Environment of cargo.
    pub environment: Vec<(&'static str, OsString)>,
    /// Arguments of cargo's subcommand.
    pub arguments: Vec<&'static str>,
    /// Whether the user's own compiler has the target, and so clippy too.
    pub native: bool,
}

/// `cargo SUBCOMMAND` for the wasm target.
pub fn cargo(toolchain: &Toolchain, subcommand: &str) -> Command {
    let mut command = command::cargo();
    command.arg(subcommand).args(["--target", TARGET]).args(&toolchain.arguments);
    command.envs(toolchain.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The environment in which a plain `cargo build` for the wasm target does what
/// [`cargo`] does: cargo reads each `-Z` argument from there, too.
pub fn environment(toolchain: &Toolchain) -> Vec<(String, OsString)> {
    let unstable = toolchain.arguments.iter().filter_map(|argument| {
        let (name, value) = argument.strip_prefix("-Z")?.split_once('=')?;
        let name = name.to_uppercase().replace('-', "_");
        Some((format!("CARGO_UNSTABLE_{name}"), value.into()))
    });
    let environment = toolchain.environment.iter();
    environment.map(|(name, value)| ((*name).to_owned(), value.clone())).chain(unstable).collect()
}

/// Finds the wasm target, or fetches it.
pub fn find(top: &Path, choice: Choice) -> Result<Toolchain> {
    let mut tried = Vec::new();
    if choice != Choice::Debian {
        match from_rustup() {
            Ok(()) => return Ok(Toolchain { native: true, ..Toolchain::default() }),
            Err(failure) => tried.push(format!("  - rustup: {failure}")),
        }
    }
    if choice != Choice::Rustup {
        if choice == Choice::Auto {
            println!("rustup doesn't provide {TARGET}: trying Debian's packages");
        }
        match debian::toolchain(top) {
            Ok(toolchain) => return Ok(toolchain),
            Err(failure) => tried.push(format!("  - Debian's packages: {failure}")),
        }
    }
    Err(failed(format!(
        "the components need the target {TARGET}, which can't be had here. Tried:\n{}\n\
         Run `rustup target add {TARGET}` where its server can be reached, or use a machine \
         with apt and Debian's packages rustc-web and rust-web-src.",
        tried.join("\n")
    )))
}

fn from_rustup() -> Result<()> {
    let library = sysroot()?.join("lib/rustlib").join(TARGET).join("lib");
    if library.is_dir() {
        return Ok(());
    }
    command::download(Command::new("rustup").args(["target", "add", TARGET]))?;
    if library.is_dir() {
        return Ok(());
    }
    Err(failed(format!(
        "it added the target to another toolchain than that of {}",
        library.display()
    )))
}

/// The folder of the user's own compiler.
pub fn sysroot() -> Result<PathBuf> {
    command::capture(rustc().args(["--print", "sysroot"])).map(PathBuf::from)
}

/// The target triple of this machine.
pub fn host() -> Result<String> {
    let version = command::capture(rustc().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| failed("`rustc -vV` names no host"))
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}
