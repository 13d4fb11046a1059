//! Running a command where it can do no harm: what it may see and use
//! (`policy`, `places`), running it and reading what it says (`running`,
//! `output`, `growth`, `group`), the helper that builds the walls from the inside
//! (`helper`), and whether this machine can do all that (`probe`). Knows
//! nothing of agents, tools or git.
//!
//! A command runs behind four layers, each of which would do for most:
//!
//! - namespaces: a root of its own that holds what it may see and nothing else,
//!   its own processes (what it leaves running ends with it) and its own
//!   loopback, with no way out;
//! - Landlock: reads and writes below named folders, whatever is mounted;
//! - seccomp: no ptrace, no mounts, no keyrings, no io_uring, no new namespaces;
//! - no new privileges, no capabilities, limits, and an environment that is made
//!   from a list.
//!
//! Known gaps. Without user namespaces (some distributions turn them off) a
//! command may change modes and times of files of its own user outside of its
//! folder, see the command lines of other processes and, before Linux 6.12,
//! send them signals; it gets no sockets at all then.
//! Where no control group can be made (most users' sessions), memory is limited
//! for each process and not for all of them together, and root's processes are
//! counted by no limit before Linux 6.14. On x86-64, a kernel with the x32
//! interface lets a program make the refused system calls under other numbers.

mod group;
mod growth;
pub mod helper;
mod output;
mod places;
mod policy;
mod probe;
mod running;

use std::path::PathBuf;
use std::time::Duration;

pub use policy::{Access, Limits, Policy};
pub use probe::{Abilities, probe};
pub use running::{Job, Ran, run, run_under};

/// The first argument of the program when it is its own helper.
pub const HELPER: &str = "__sandbox";

/// How long a command may take if nobody says otherwise.
pub const USUAL_TIME: Duration = Duration::from_secs(120);
/// How long a command may take at most.
pub const LONGEST_TIME: Duration = Duration::from_secs(1800);

/// How commands are run in this process.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The program that builds the walls: `code-agent` itself.
    pub helper: PathBuf,
    /// What the user has allowed beyond the usual.
    pub access: Access,
    /// What the machine can do; none where the user wants no walls at all.
    pub abilities: Option<Abilities>,
}
