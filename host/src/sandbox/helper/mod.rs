//! The program as its own helper: it builds a command's walls from the inside
//! and then becomes the command. Three stages, each a process of its own, for
//! a namespace of processes holds who comes after:
//!
//! 1. this file leaves the machine's namespaces and forks the next stage into
//!    new ones;
//! 2. `init` is the first process there: it makes the root, forks the last
//!    stage and waits for it. When it ends, all that is left ends with it;
//! 3. `confine` takes on Landlock, limits and seccomp and becomes the shell.
//!
//! Nothing here is async and no stage has threads before it has forked the next
//! one: the kernel lets only a single thread into a new user namespace. The host
//! hears of what goes wrong by the `lifeline`, which the command never holds.

#![expect(clippy::disallowed_methods, reason = "the helper runs before any checkout is opened")]

mod confine;
mod init;
mod memory;
mod mounts;
mod namespaces;
mod system_calls;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, setsid, waitpid};

use super::Policy;
use super::lifeline::{Lifeline, Word};

/// The exit code where the walls could not be built; the lifeline says why.
const NOT_BUILT: u8 = 125;

/// Runs a command. `arguments`: the policy as JSON, and the command line.
pub fn main(arguments: &[OsString]) -> ExitCode {
    // Before anything is opened, so that all that is opened later may stay.
    if let Err(error) = close_inherited() {
        eprintln!("{error}");
        return ExitCode::from(NOT_BUILT);
    }
    let lifeline = match Lifeline::inherited() {
        Ok(lifeline) => lifeline,
        Err(error) => {
            eprintln!("this is a helper of code-agent's own, which nobody calls: {error}");
            return ExitCode::from(NOT_BUILT);
        }
    };
    match enter(arguments, &lifeline) {
        Ok(code) => code,
        Err(error) => {
            lifeline.say(&Word::NotBuilt(error.to_string()));
            ExitCode::from(NOT_BUILT)
        }
    }
}

fn enter(arguments: &[OsString], lifeline: &Lifeline) -> io::Result<ExitCode> {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let [policy, command_line] = texts.as_slice() else {
        return Err(io::Error::other("the helper takes a policy and a command line"));
    };
    let policy: Policy = serde_json::from_str(policy)?;
    // The user's terminal is not the command's: it could type into it, and stop
    // the host by taking its place there.
    setsid().map_err(doing("leave the terminal"))?;
    // Where memory runs out, a command goes before the host. It is only advice.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    for folder in &policy.groups {
        // 0 stands for whoever writes it.
        let file = folder.join("cgroup.procs");
        std::fs::write(&file, "0").map_err(doing(format!("write {}", file.display())))?;
    }
    if policy.namespaces {
        namespaces::leave(policy.network)?;
    }
    match fork()? {
        None => init::run(&policy, command_line, lifeline),
        Some(init) => loop {
            match waitpid(Some(init), WaitOptions::empty()) {
                Ok(Some((_, status))) => return Ok(ExitCode::from(code(status))),
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        },
    }
}

/// The code to end with, as shells count: 128 and the signal where one ended it.
fn code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Closes for the command what the host was started with: an open file is not
/// asked again by Landlock or seccomp.
#[expect(unsafe_code, reason = "no library has close_range with this flag")]
fn close_inherited() -> io::Result<()> {
    const FIRST: libc::c_uint = 3;
    // SAFETY: the call takes numbers alone, and changes only what an exec keeps.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done == 0 { Ok(()) } else { Err(doing("close files")(io::Error::last_os_error())) }
}

/// Goes on as two processes: none in the new one, its id in the old one.
#[expect(
    unsafe_code,
    reason = "another thread's locks would stay locked; there is no other thread"
)]
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has a single thread, so that all it has is whole.
    match unsafe { libc::fork() } {
        -1 => Err(doing("fork")(io::Error::last_os_error())),
        id => Ok(Pid::from_raw(id)),
    }
}

/// Says what was being done when something failed.
fn doing<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("can't {what}: {error}"))
}
