//! What a commit says and changes, for a person who asks. Reads only.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::open::{find_common_directory, open_above};
use super::references::run_reference;
use super::views::print;
use super::working_tree::descends;
use super::{commit_id, failed, taken_back};
use crate::{Error, Result};

/// A commit, as a person looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// The whole message.
    pub message: String,
    /// What changed since the parent, as a unified diff; cut after 200 KB, and
    /// then its last line says so.
    pub diff: String,
}

/// Reads a commit, given by 40 hex digits, in the repository that holds
/// `root_path`.
pub fn patch(root_path: &Path, commit: &str) -> Result<Patch> {
    // Where there is no repository, this says what to do.
    find_common_directory(root_path)?;
    let git = open_above(root_path)?;
    read(&git, commit_id(commit)?, commit).map_err(failed(format!("read the commit {commit}")))
}

/// Whether what a run stands on still has a commit of its own, and nothing that takes
/// it back: it may have been rolled back or undone. Where the run was pruned, its branch is asked; none
/// where that is gone, too.
pub fn still_has(root_path: &Path, run: &str, branch: &str, commit: &str) -> Result<Option<bool>> {
    find_common_directory(root_path)?;
    let git = open_above(root_path)?;
    let id = commit_id(commit)?;
    let branch = format!("refs/heads/{branch}");
    let tip = [run_reference(run)?, branch].iter().find_map(|name| git.refname_to_id(name).ok());
    let Some(tip) = tip else { return Ok(None) };
    // What was taken back may be gone by now.
    let is_there = git.odb().map_err(failed(format!("look for {commit}")))?.exists(id);
    if !is_there || !descends(&git, tip, id)? {
        return Ok(Some(false));
    }
    let gone = taken_back::stretches(&git, run, tip)?;
    Ok(Some(!taken_back::hold(&git, &gone, id)?))
}

/// The bytes of a blob, given by 40 hex digits.
pub fn blob(root_path: &Path, id: &str) -> Result<Vec<u8>> {
    find_common_directory(root_path)?;
    let git = open_above(root_path)?;
    let found = git.find_blob(commit_id(id)?).map(|blob| blob.content().to_vec());
    found.map_err(failed(format!("read the blob {id}; `git gc` may have removed it")))
}

/// The top of the working tree that holds `root_path`.
pub fn top_of(root_path: &Path) -> Result<PathBuf> {
    let git = open_above(root_path)?;
    git.workdir()
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::usage("this repository has no working tree; name a place with --to"))
}

fn read(git: &git2::Repository, id: git2::Oid, hex: &str) -> Result<Patch, git2::Error> {
    let commit = git.find_commit(id)?;
    let old = match commit.parent_count() {
        0 => None,
        _ => Some(commit.parent(0)?.tree()?),
    };
    Ok(Patch {
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        diff: print(git, old.as_ref(), &commit.tree()?, &format!("see `git show {hex}`"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn a_commit_and_the_first_one_are_shown_and_a_missing_one_is_named() {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("src/b", "b\n")]);
        let first = sandbox.git(&["rev-parse", "HEAD"]);
        sandbox.write("a", "two\n");
        sandbox.git(&["commit", "--quiet", "--all", "--message", "second\n\nbody"]);
        let second =
            patch(&sandbox.top().join("src"), &sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        assert_eq!(second.message, "second\n\nbody\n");
        assert!(second.diff.contains("-one\n+two\n"), "{}", second.diff);
        assert!(patch(sandbox.top(), &first).unwrap().diff.contains("new file mode"));
        let missing = "1".repeat(40);
        assert!(patch(sandbox.top(), &missing).unwrap_err().to_string().contains(&missing));
        assert!(patch(sandbox.top(), &first[..8]).is_err());
    }

    #[test]
    fn a_long_diff_says_how_to_see_the_rest() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        sandbox.write("a", &"a line\n".repeat(100_000));
        sandbox.git(&["commit", "--quiet", "--all", "--message", "long"]);
        let id = sandbox.git(&["rev-parse", "HEAD"]);
        let diff = patch(sandbox.top(), &id).unwrap().diff;
        assert!(diff.len() < 201 * 1024, "{}", diff.len());
        assert!(diff.lines().last().unwrap().contains(&format!("git show {id}")));
    }
}
