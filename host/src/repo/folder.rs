//! A checkout's folder as everything above sees it: a capability to open what
//! lies inside, and a walk that lists names. Knows nothing of git's objects.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use ignore::{DirEntry, WalkBuilder};

use super::path::{CheckoutPath, is_dot_git};

/// An opened folder. Files in it are opened through `directory` and nothing
/// else, so that no link leads out; `path` only lists names.
#[derive(Debug)]
pub struct Folder {
    directory: Dir,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`, which has to exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        let directory = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { directory, path: path.to_owned() })
    }

    /// The capability that opens what lies inside.
    pub fn directory(&self) -> &Dir {
        &self.directory
    }

    /// Where the folder lies, for walks and for commands that run in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists names below `folder`: what `.gitignore` names and every `.git`
    /// are left out, links are not followed. Callers add globs and depth.
    pub fn walk(&self, folder: &CheckoutPath) -> WalkBuilder {
        let mut walk = WalkBuilder::new(self.path.join(folder.as_path()));
        walk.hidden(false)
            .ignore(false)
            .git_ignore(true)
            .git_exclude(false)
            .git_global(false)
            .require_git(false)
            .parents(false)
            .follow_links(false)
            .filter_entry(|entry| !entry.file_name().to_str().is_some_and(is_dot_git));
        walk
    }

    /// The path of a walk's entry inside this folder; none where its name is
    /// not UTF-8 or not one that a checkout may hold.
    pub fn path_of(&self, entry: &DirEntry) -> Option<CheckoutPath> {
        let relative = entry.path().strip_prefix(&self.path).ok()?;
        CheckoutPath::parse(relative.to_str()?).ok()
    }
}
