//! Which working trees have the branch, and whether one is clean. Changes
//! nothing.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{IndexEntryExtendedFlag, RepositoryState, StatusOptions};

use super::failed;
use super::open::Repository;
use crate::{Error, Result};

/// How many paths a sentence names.
const NAMED_PATHS: usize = 5;

/// A working tree that has the branch checked out, or is rebasing it.
#[derive(Debug)]
pub(super) struct Holder {
    /// Its top folder, which need not be there (an unplugged disk).
    pub(super) top: PathBuf,
}

/// Looks at the repository's own working tree and at every linked one. The
/// files are read directly: libgit2 opens a working tree only where its folder
/// is there, and git counts the others too.
pub(super) fn holders(repository: &Repository) -> Result<Vec<Holder>> {
    let wanted = repository.branch_reference();
    let mut holders = Vec::new();
    for (directory, top) in all(repository)? {
        if has_branch(&directory, &wanted)? {
            holders.push(Holder { top });
        }
    }
    Ok(holders)
}

/// The top folders of all working trees, whatever they have checked out.
pub(super) fn tops(repository: &Repository) -> Result<Vec<PathBuf>> {
    Ok(all(repository)?.into_iter().map(|(_, top)| top).collect())
}

/// All working trees: the git directory of each, and its top folder.
fn all(repository: &Repository) -> Result<Vec<(PathBuf, PathBuf)>> {
    let common = repository.common_directory();
    let main = git2::Repository::open(common)
        .map_err(failed(format!("open the repository at {}", common.display())))?;
    let main = main.workdir().map(|top| (common.to_owned(), top.to_owned()));
    let mut found: Vec<_> = main.into_iter().collect();
    for linked in linked_directories(common)? {
        let Some(link) = read(&linked.join("gitdir"))? else { continue };
        // The file names the `.git` file of the working tree; newer versions
        // of git may write it relative to the folder that it lies in.
        let dot_git = linked.join(link.trim_end_matches(['\n', '\r']));
        let Some(top) = dot_git.parent().map(Path::to_owned) else { continue };
        found.push((linked, top));
    }
    Ok(found)
}

fn linked_directories(common: &Path) -> Result<Vec<PathBuf>> {
    let folder = common.join("worktrees");
    let doing = || format!("list the linked working trees in {}", folder.display());
    match fs::read_dir(&folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed(doing()))).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(doing())(error)),
    }
}

/// A rebase detaches HEAD and moves its branch at the end, so it has the branch
/// as well.
fn has_branch(git_directory: &Path, wanted: &str) -> Result<bool> {
    let head = read(&git_directory.join("HEAD"))?;
    if head.is_some_and(|head| head.strip_prefix("ref: ").map(str::trim) == Some(wanted)) {
        return Ok(true);
    }
    for rebase in ["rebase-merge/head-name", "rebase-apply/head-name"] {
        if read(&git_directory.join(rebase))?.is_some_and(|name| name.trim() == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(format!("read {}", path.display()))(error)),
    }
}

/// Whether git was told to leave files of the index out of the working tree, or to
/// look away from them: what is missing then was not deleted, and what is brought in
/// may not belong there.
pub(super) fn is_sparse(git: &git2::Repository) -> Result<bool> {
    let index = git.index().map_err(failed("read the index of the working tree"))?;
    let skipped = IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
    Ok(index.iter().any(|entry| entry.flags_extended & skipped != 0))
}

/// Why the working tree is not clean; none where it is. Untracked files and
/// what goes on inside submodules do not count.
pub(super) fn dirt(git: &git2::Repository) -> Result<Option<String>> {
    if is_sparse(git)? {
        return Ok(Some("it is a sparse checkout".to_owned()));
    }
    if git.state() != RepositoryState::Clean {
        let state = format!("{:?}", git.state()).to_lowercase();
        return Ok(Some(format!("it is in the middle of something (git calls it `{state}`)")));
    }
    let paths = changed(git)?;
    Ok((!paths.is_empty()).then(|| format!("it has uncommitted changes ({})", name_some(&paths))))
}

/// What of the files that git tracks is not as HEAD has it, in the working tree or
/// in the index.
pub(super) fn changed(git: &git2::Repository) -> Result<Vec<String>> {
    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false).exclude_submodules(true);
    let statuses = git
        .statuses(Some(&mut options))
        .map_err(failed("look for uncommitted changes in the working tree"))?;
    let path =
        |entry: git2::StatusEntry<'_>| String::from_utf8_lossy(entry.path_bytes()).into_owned();
    Ok(statuses.iter().map(path).collect())
}

/// How many untracked files the working tree has.
pub(super) fn count_untracked(git: &git2::Repository) -> Result<usize> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
    options.exclude_submodules(true);
    let statuses = git.statuses(Some(&mut options)).map_err(failed("look for untracked files"))?;
    Ok(statuses.iter().filter(|entry| entry.status().is_wt_new()).count())
}

/// The first paths of a list, and how many more there are.
pub(super) fn name_some(paths: &[String]) -> String {
    let named = paths.iter().take(NAMED_PATHS).cloned().collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED_PATHS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Opens a holder's working tree.
pub(super) fn open(holder: &Holder) -> Result<git2::Repository> {
    git2::Repository::open(&holder.top).map_err(|error| {
        Error::failed(format!(
            "the branch is checked out in {}, which can't be opened ({error}); if that working \
             tree is gone for good, run `git worktree prune`",
            holder.top.display()
        ))
    })
}
