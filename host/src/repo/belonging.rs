//! Which files outside of any checkout are the repository's, so that a run on it can
//! write them, and which of its commits have changed one. Looks at all working trees
//! of the repository: a branch moves in whichever has it.

#![expect(clippy::disallowed_methods, reason = "the users' working trees are no checkouts")]

use std::fs;
use std::path::{Path, PathBuf};

use git2::ErrorCode;

use super::open::Repository;
use super::path::CheckoutPath;
use super::{failed, worktrees};
use crate::Result;

impl Repository {
    /// Whether a file or folder of that path is in HEAD or in the index.
    pub fn tracks(&self, path: &CheckoutPath) -> Result<bool> {
        is_tracked(&self.git()?, path)
    }

    /// Whether a file, by its name outside of any checkout, is one that this
    /// repository keeps, now or in `commit`: then a run on it can write it.
    pub fn holds(&self, file: &Path, commit: &str) -> Result<bool> {
        for (top, inside) in self.places_of(file)? {
            // What is no path for a checkout could not be told from one that is.
            let Ok(path) = CheckoutPath::parse_file(&inside.to_string_lossy()) else {
                return Ok(true);
            };
            let opening = || format!("open the working tree at {}", top.display());
            let git = git2::Repository::open(&top).map_err(failed(opening()))?;
            if is_tracked(&git, &path)? || self.file_at(commit, &path, 0)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one of these commits has changed a file, by its name outside of any
    /// checkout.
    pub fn have_changed(&self, commits: &[String], file: &Path) -> Result<bool> {
        let places = self.places_of(file)?;
        let git = self.git()?;
        for inside in places.iter().map(|(_, inside)| inside.as_path()) {
            for commit in commits {
                let doing = || format!("look who has changed {}", inside.display());
                if has_changed(&git, commit, inside).map_err(failed(doing()))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The working trees that a file lies in, and its path there.
    fn places_of(&self, file: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mut tops = vec![self.top().to_owned()];
        for top in worktrees::tops(self)? {
            // One that is not there holds no file.
            let Ok(top) = fs::canonicalize(top) else { continue };
            if !tops.contains(&top) {
                tops.push(top);
            }
        }
        let place = |top: PathBuf| {
            let inside = file.strip_prefix(&top).ok()?.to_owned();
            Some((top, inside))
        };
        Ok(tops.into_iter().filter_map(place).collect())
    }
}

fn is_tracked(git: &git2::Repository, path: &CheckoutPath) -> Result<bool> {
    let doing = || format!("look whether git tracks {path}");
    let index = git.index().map_err(failed(doing()))?;
    let below = format!("{path}/");
    let is_there =
        |name: &[u8]| name == path.as_str().as_bytes() || name.starts_with(below.as_bytes());
    Ok(index.iter().any(|entry| is_there(&entry.path)))
}

fn has_changed(
    git: &git2::Repository,
    commit: &str,
    path: &Path,
) -> std::result::Result<bool, git2::Error> {
    let at = |tree: git2::Tree<'_>| match tree.get_path(path) {
        Ok(entry) => Ok(Some((entry.id(), entry.filemode()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let commit = git.find_commit(git2::Oid::from_str(commit)?)?;
    let before = commit.parent(0).and_then(|parent| at(parent.tree()?))?;
    Ok(at(commit.tree()?)? != before)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, run_git};
    use super::*;

    #[test]
    fn what_lies_in_any_working_tree_is_the_repositorys() {
        let sandbox = Sandbox::with(&[("agents/a", "one\n")]);
        let base = sandbox.git(&["rev-parse", "HEAD"]);
        let linked = sandbox.top().parent().unwrap().join("linked");
        sandbox.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
        fs::write(linked.join("agents/b"), "new\n").unwrap();
        run_git(&linked, &["add", "--all"]);
        run_git(&linked, &["commit", "--quiet", "--message", "two"]);
        let landed = [sandbox.git(&["rev-parse", "side"])];
        let repository = Repository::open(sandbox.top(), "side", true).unwrap();
        let linked = linked.canonicalize().unwrap();
        let holds = |file: PathBuf| repository.holds(&file, &base).unwrap();
        assert!(holds(linked.join("agents/a")) && holds(linked.join("agents/b")));
        assert!(holds(repository.top().join("agents/a")));
        assert!(!holds(repository.top().join("agents/b")), "it is no file of this one's");
        assert!(!holds(linked.join("agents/c")) && !holds(linked.with_file_name("agents/a")));
        let changed = |file: PathBuf| repository.have_changed(&landed, &file).unwrap();
        assert!(changed(linked.join("agents/b")) && !changed(linked.join("agents/a")));
        assert!(!changed(linked.with_file_name("agents/b")));
    }
}
