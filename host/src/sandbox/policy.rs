//! What a command may see and use, as plain data that the host hands to the
//! helper.

#![expect(clippy::disallowed_methods, reason = "a command's folders hold no checkout yet")]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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

impl Access {
    /// Refuses what can't be meant: what is not there would be missed only when
    /// the first command runs.
    pub fn check(&self) -> Result<()> {
        let named = [("allow-read", &self.readable), ("allow-write", &self.writable)];
        for (option, path) in named
            .into_iter()
            .flat_map(|(option, paths)| paths.iter().map(move |path| (option, path)))
        {
            let wrong = if !path.is_absolute() {
                "is no absolute path"
            } else if path.parent().is_none() {
                "is the whole machine; name what commands need of it"
            } else if !path.exists() {
                "is not there"
            } else {
                continue;
            };
            return Err(Error::usage(format!("{option} {}: it {wrong}", path.display())));
        }
        Ok(())
    }

    /// Whether commands may write a file, by where it really lies, because the user
    /// has opened a folder for them.
    pub fn lets_write(&self, file: &Path) -> bool {
        self.writable.iter().any(|folder| {
            let really = folder.canonicalize();
            file.starts_with(folder) || really.is_ok_and(|folder| file.starts_with(folder))
        })
    }
}

/// What one command may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads at once.
    pub processes: u64,
    /// Bytes of one file that it writes.
    pub file_bytes: u64,
    /// Bytes of its folders together.
    pub disk_bytes: u64,
    /// Bytes of memory that all its processes hold together.
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

/// The folders that are a command's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// Where it works.
    pub checkout: PathBuf,
    /// Its temporary files, which it sees as `/tmp` where there are namespaces.
    pub temporary: PathBuf,
    /// Its home, with the caches that tools keep there.
    pub home: PathBuf,
}

impl Folders {
    /// Makes all of them below one folder.
    pub fn below(folder: &Path) -> Result<Self> {
        let made = |name| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(|error| {
                Error::failed(format!("can't make the folder {}: {error}", path.display()))
            })?;
            Ok(path)
        };
        Ok(Self { checkout: made("checkout")?, temporary: made("temporary")?, home: made("home")? })
    }
}

/// One command's world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it may write.
    pub folders: Folders,
    /// An empty folder to build its root on, where no command can put a link.
    pub root: PathBuf,
    /// What else can be read. Everything here exists.
    pub readable: Vec<PathBuf>,
    /// What else can be written, as the user allows. Everything here exists.
    pub allowed: Vec<PathBuf>,
    /// Whether the machine's network is there.
    pub network: bool,
    /// Whether it gets namespaces.
    pub namespaces: bool,
    /// Who it runs as: the user and the group outside.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The user's settings of cargo, to be laid into a home that has caches of
    /// its own.
    pub cargo_config: Option<PathBuf>,
    /// What it may use.
    pub limits: Limits,
    /// The control groups that it joins, by their folders.
    #[serde(default)]
    pub groups: Vec<PathBuf>,
}

impl Policy {
    /// Where the command sees its temporary folder.
    pub(super) fn seen_temporary(&self) -> &Path {
        if self.namespaces { Path::new("/tmp") } else { &self.folders.temporary }
    }

    /// What can be written under the same path as outside.
    pub(super) fn writable(&self) -> impl Iterator<Item = &PathBuf> {
        self.allowed.iter().chain([&self.folders.checkout, &self.folders.home])
    }
}
