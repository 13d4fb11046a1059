//! The program as its own helper: it builds a command's walls from the inside
//! and then becomes the command. Three stages, each a process of its own, for
//! a namespace of processes holds who comes after:
//!
//! 1. `isolate` leaves the machine's namespaces and starts the next stage in
//!    new ones;
//! 2. `init` is the first process there: it makes the root, starts the last
//!    stage and waits for it. When it ends, all that is left ends with it;
//! 3. `confine` takes on Landlock, limits and seccomp and becomes the shell.
//!
//! Nothing here is async and no stage has threads before its walls stand, since
//! the kernel lets only a single thread into a new user namespace. What goes
//! wrong is said on stderr, which the host reads.

#![expect(clippy::disallowed_methods, reason = "the helper runs before any checkout is opened")]

mod confine;
mod init;
mod mounts;
mod namespaces;
mod system_calls;

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode, ExitStatus};

use super::Policy;
use super::running::NOT_BUILT;

/// How a complaint of the helper begins.
pub(super) const COMPLAINT: &str = "code-agent sandbox: ";
/// The program that runs, also where its path can't be seen.
const ITSELF: &str = "/proc/self/exe";

/// What a stage works with.
struct Stage {
    policy: Policy,
    command_line: String,
}

/// Runs one stage. `arguments`: the stage's name, the policy, the command line.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match enter(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{COMPLAINT}{error}");
            ExitCode::from(NOT_BUILT as u8)
        }
    }
}

fn enter(arguments: &[OsString]) -> io::Result<ExitCode> {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let [stage, policy, command_line] = texts.as_slice() else {
        return Err(io::Error::other("this is a helper of code-agent's own; nobody calls it"));
    };
    let policy = serde_json::from_str(policy)?;
    let state = Stage { policy, command_line: (*command_line).to_owned() };
    match *stage {
        "isolate" => state.isolate(),
        "init" => init::run(&state),
        "confine" => confine::run(&state),
        other => Err(io::Error::other(format!("there is no stage `{other}`"))),
    }
}

impl Stage {
    fn isolate(&self) -> io::Result<ExitCode> {
        if self.policy.namespaces {
            namespaces::leave(self.policy.network)?;
        }
        let status = self.next("init")?.status()?;
        Ok(code(status))
    }

    /// This program again, for another stage.
    fn next(&self, stage: &str) -> io::Result<Command> {
        let policy = serde_json::to_string(&self.policy)?;
        let mut command = Command::new(ITSELF);
        command.args([super::HELPER, stage, &policy, &self.command_line]);
        Ok(command)
    }
}

/// The code to end with, as shells count: 128 and the signal where one ended it.
fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;

    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Says what was being done when something failed.
fn doing<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("can't {what}: {error}"))
}
