//! What a command may see and use, as plain data that the host hands to the
//! helper.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the user allows beyond the usual: from the command line or the user's
/// own config, never from a file of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// The machine's network.
    #[serde(rename = "allow-network")]
    pub network: bool,
    /// More that can be read.
    #[serde(rename = "allow-read")]
    pub readable: Vec<PathBuf>,
    /// More that can be written.
    #[serde(rename = "allow-write")]
    pub writable: Vec<PathBuf>,
}

/// What one command may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads at once.
    pub processes: u64,
    /// Bytes of one file that it writes.
    pub file_bytes: u64,
    /// Bytes of its folder and its temporary folder together.
    pub disk_bytes: u64,
    /// Bytes of private memory: of all processes together where they can be
    /// counted so, and of each.
    pub memory_bytes: u64,
    /// Files that one process has open.
    pub open_files: u64,
}

impl Default for Limits {
    /// Enough for a parallel build of a large project with its caches, and far
    /// from what fills a developer's disk or memory.
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            processes: 4096,
            file_bytes: 8 * GIB,
            disk_bytes: 40 * GIB,
            memory_bytes: 16 * GIB,
            open_files: 65_536,
        }
    }
}

/// One command's world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The folder that it works in: readable and writable.
    pub folder: PathBuf,
    /// Its temporary folder, which it sees as `/tmp` where there are namespaces.
    pub temporary: PathBuf,
    /// An empty folder to build its root on, where no command can put a link.
    pub root: PathBuf,
    /// What else can be read. Everything here exists.
    pub readable: Vec<PathBuf>,
    /// What else can be written. Everything here exists.
    pub writable: Vec<PathBuf>,
    /// Whether the machine's network is there.
    pub network: bool,
    /// Whether it gets namespaces.
    pub namespaces: bool,
    /// Who it runs as: the user and the group outside.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// What it may use.
    pub limits: Limits,
    /// The control groups that it joins, by their folders.
    #[serde(default)]
    pub groups: Vec<PathBuf>,
}
