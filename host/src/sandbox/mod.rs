//! Running a command where it can do no harm: what it may see and use
//! (`policy`, `places`, `environment`), running it and reading what it says
//! (`running`, `output`, `growth`, `group`), the helper that builds the walls from
//! the inside (`helper`, heard by the `lifeline`), and whether this machine can do
//! all that (`probe`). Knows nothing of agents, tools or git.
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
//! Where user namespaces can't be had (some distributions and most containers
//! turn them off), commands need Linux 6.12, whose Landlock keeps signals in; they
//! get no sockets but connected pairs then, no shared memory and no terminals.
//! With the machine's network they get no sockets of files and names either.
//!
//! Known gaps. Without user namespaces, or in a container whose `/proc` is covered
//! in part, a command sees the command lines of other processes; without them it may
//! also change modes and times of files of its own user outside of its folders. A
//! socket in a folder that the user allows can be called. Memory and
//! disk are looked at from time to time (memory exactly where a control group can
//! be made): what grows faster than that meets the system's own limits, where
//! commands are the first to be ended, and what hides (deleted files that are held
//! open, closed folders, files in memory) is stopped when disk or memory is almost
//! full.
//! Root's processes are counted by no limit before Linux 6.14, unless a control
//! group can be made. `--setup` runs with the network, and with it the scripts that
//! packages of the checkout bring (`npm ci --ignore-scripts` runs none).

mod environment;
mod group;
mod growth;
pub mod helper;
mod lifeline;
mod output;
mod places;
mod policy;
mod probe;
mod running;

use std::path::PathBuf;
use std::time::Duration;

pub use growth::shortage;
pub use policy::{Access, Folders, Limits, Policy};
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
    /// Whether the caches of packages are the command's own, in its home, so that
    /// a setup command can fill them; else the user's are there to be read.
    pub own_caches: bool,
    /// What the machine can do; none where the user wants no walls at all.
    pub abilities: Option<Abilities>,
}
