//! Which files a repository keeps, and which commits have changed one of them.

use std::path::Path;

use git2::ErrorCode;

use super::failed;
use super::open::Repository;
use super::path::CheckoutPath;
use crate::Result;

impl Repository {
    /// Whether a file or folder of that path is in HEAD or in the index.
    pub fn tracks(&self, path: &CheckoutPath) -> Result<bool> {
        let git = self.git()?;
        let doing = || format!("look whether git tracks {path}");
        let index = git.index().map_err(failed(doing()))?;
        let below = format!("{path}/");
        let is_there =
            |name: &[u8]| name == path.as_str().as_bytes() || name.starts_with(below.as_bytes());
        Ok(index.iter().any(|entry| is_there(&entry.path)))
    }

    /// Whether a file, by its name outside of any checkout, is one that this
    /// repository keeps, now or in `commit`: then a run on it can write it.
    pub fn holds(&self, file: &Path, commit: &str) -> Result<bool> {
        let Ok(inside) = file.strip_prefix(self.top()) else { return Ok(false) };
        // What is no path for a checkout could not be told from one that is.
        let Ok(path) = CheckoutPath::parse_file(&inside.to_string_lossy()) else {
            return Ok(true);
        };
        Ok(self.tracks(&path)? || self.file_at(commit, &path, 0)?.is_some())
    }

    /// Whether one of these commits has changed a file, by its name outside of any
    /// checkout.
    pub fn have_changed(&self, commits: &[String], file: &Path) -> Result<bool> {
        let Ok(inside) = file.strip_prefix(self.top()) else { return Ok(false) };
        let git = self.git()?;
        let doing = || format!("look who has changed {}", inside.display());
        let at = |tree: git2::Tree<'_>| match tree.get_path(inside) {
            Ok(entry) => Ok(Some(entry.id())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let changed = |commit: &String| -> Result<bool, git2::Error> {
            let commit = git.find_commit(git2::Oid::from_str(commit)?)?;
            let before = commit.parent(0).and_then(|parent| at(parent.tree()?))?;
            Ok(at(commit.tree()?)? != before)
        };
        for commit in commits {
            if changed(commit).map_err(failed(doing()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
