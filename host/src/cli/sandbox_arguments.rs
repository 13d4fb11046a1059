//! Flags that say what commands may do, the same for `run`, `resume` and
//! `doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::{Error, Options, Result};

#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct SandboxArguments {
    /// Let commands use the machine's network.
    #[arg(long)]
    allow_network: bool,
    /// Let commands read this file or folder too.
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,
    /// Let commands write this file or folder too.
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<PathBuf>,
    /// DANGEROUS: run commands without a sandbox. They can do whatever you can:
    /// read your keys, delete your files, send them anywhere.
    #[arg(long)]
    unsandboxed_commands: bool,
    /// A command that prepares each worker's checkout, such as 'npm ci'; it alone may use the
    /// network, and runs again when a lock file changes.
    #[arg(long, value_name = "COMMAND")]
    setup: Option<String>,
    /// A command that says whether a commit is good, such as 'cargo test': what is red does
    /// not land, and the judge hears what it says of the branch.
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// Check each landing as it lands: several together, in a queue, halved where that is red;
    /// and a merge with what others pushed before it is pushed. Without it, one that was checked
    /// lands even where others landed meanwhile.
    #[arg(long)]
    check_strict: bool,
    /// Where the check is red at a cycle's end, move the branch back to the last commit where
    /// it is green; what came after is kept under refs/code-agent/rolled-back.
    #[arg(long)]
    rollback: bool,
}

impl SandboxArguments {
    /// Lays what the flags say over the options, and names this program as the
    /// sandbox's helper.
    pub(super) fn overlay(self, options: &mut Options) -> Result<()> {
        let (readable, writable) =
            (opened("--allow-read", &self.allow_read), opened("--allow-write", &self.allow_write));
        options.access.network |= self.allow_network;
        options.access.readable.extend(readable?);
        options.access.writable.extend(writable?);
        options.unsandboxed_commands |= self.unsandboxed_commands;
        options.setup = self.setup.or(options.setup.take());
        options.check = self.check.or(options.check.take());
        options.check_strict |= self.check_strict;
        options.rollback |= self.rollback;
        options.sandbox_helper = std::env::current_exe().ok();
        Ok(())
    }
}

/// Where these paths really lie; a mistyped one is refused.
fn opened(option: &str, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let open = |path: &PathBuf| {
        path.canonicalize()
            .map_err(|error| Error::usage(format!("{option} {}: {error}", path.display())))
    };
    paths.iter().map(open).collect()
}
