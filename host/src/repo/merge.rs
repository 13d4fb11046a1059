//! Putting one worker's changes onto the tip, or two histories together, in
//! memory. Attributes can choose among libgit2's built-in ways to merge a file,
//! and nothing else: it runs no driver, filter or hook of the repository.

use std::collections::{BTreeMap, BTreeSet};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Index, MergeOptions, Oid, Sort, Tree};

use super::changes::{Change, ChangeKind, Mode};
use super::path::CheckoutPath;
use super::tree::{Found, difference, found_at, with_changes};

/// How far back commits are looked at, for how many paths, and how many are named.
const SEARCHED_COMMITS: usize = 2_000;
const SEARCHED_PATHS: usize = 50;
const NAMED_COMMITS: usize = 20;

/// What a merge came to.
pub(super) enum Merged {
    /// The tree of the commit that lands.
    Tree(Oid),
    /// The paths that both sides changed, sorted.
    Conflict(Vec<String>),
}

/// Merges changes made to `base` into `tip`. Where nobody else touched the same
/// paths, only those are looked at.
pub(super) fn merge(
    git: &git2::Repository,
    base: &Tree<'_>,
    tip: &Tree<'_>,
    changes: &[Change],
) -> Result<Merged, git2::Error> {
    for change in changes {
        let theirs = found_at(git, tip, &change.path)?;
        let plain = matches!(theirs, Found::Nothing | Found::File { .. });
        if !plain || theirs != found_at(git, base, &change.path)? {
            return merge_whole(git, base, tip, changes);
        }
    }
    update_paths(git, tip, changes).map(Merged::Tree)
}

fn update_paths(
    git: &git2::Repository,
    tip: &Tree<'_>,
    changes: &[Change],
) -> Result<Oid, git2::Error> {
    let mut update = TreeUpdateBuilder::new();
    for change in changes {
        match &change.kind {
            ChangeKind::Written { mode, bytes } => {
                update.upsert(change.path.as_str(), git.blob(bytes)?, file_mode(*mode));
            }
            ChangeKind::Removed if found_at(git, tip, &change.path)? != Found::Nothing => {
                update.remove(change.path.as_str());
            }
            ChangeKind::Removed => {}
        }
    }
    update.create_updated(git, tip)
}

fn file_mode(mode: Mode) -> FileMode {
    match mode {
        Mode::File => FileMode::Blob,
        Mode::Executable => FileMode::BlobExecutable,
        Mode::Link => FileMode::Link,
    }
}

fn merge_whole(
    git: &git2::Repository,
    base: &Tree<'_>,
    tip: &Tree<'_>,
    changes: &[Change],
) -> Result<Merged, git2::Error> {
    let worker = git.find_tree(with_changes(git, base, changes)?)?;
    let merged = merged_index(git, [base, tip, &worker])?;
    finished(git, merged, [base, tip], written_paths(changes))
}

/// Merges two trees that both come from `base`.
pub(super) fn merge_sides(
    git: &git2::Repository,
    base: &Tree<'_>,
    ours: &Tree<'_>,
    theirs: &Tree<'_>,
) -> Result<Merged, git2::Error> {
    let merged = merged_index(git, [base, ours, theirs])?;
    finished(git, merged, [base, ours], touched_paths(git, base, theirs)?)
}

/// Merges two commits from where their histories parted; a conflict that names
/// no path where they never were together.
pub(super) fn merge_histories(
    git: &git2::Repository,
    ours: Oid,
    theirs: Oid,
) -> Result<Merged, git2::Error> {
    let base = match git.merge_base(ours, theirs) {
        Ok(base) => git.find_commit(base)?.tree()?,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Ok(Merged::Conflict(Vec::new()));
        }
        Err(error) => return Err(error),
    };
    let (ours, theirs) = (git.find_commit(ours)?, git.find_commit(theirs)?);
    // Where there is more than one such place, this merges those first.
    let merged = git.merge_commits(&ours, &theirs, Some(&with_renames()))?;
    finished(git, merged, [&base, &ours.tree()?], touched_paths(git, &base, &theirs.tree()?)?)
}

fn with_renames() -> MergeOptions {
    let mut options = MergeOptions::new();
    options.find_renames(true);
    options
}

fn finished(
    git: &git2::Repository,
    mut merged: Index,
    [base, tip]: [&Tree<'_>; 2],
    ours: BTreeMap<CheckoutPath, bool>,
) -> Result<Merged, git2::Error> {
    if merged.has_conflicts() {
        return Ok(Merged::Conflict(conflicting_paths(&merged)?));
    }
    let result = merged.write_tree_to(git)?;
    let theirs = touched_paths(git, base, tip)?;
    let lost = lost_paths(git, &git.find_tree(result)?, &ours, &theirs)?;
    Ok(if lost.is_empty() { Merged::Tree(result) } else { Merged::Conflict(lost) })
}

/// The paths in which a side differs from the base, and whether it has them.
pub(super) fn touched_paths(
    git: &git2::Repository,
    base: &Tree<'_>,
    side: &Tree<'_>,
) -> Result<BTreeMap<CheckoutPath, bool>, git2::Error> {
    let mut touched = BTreeMap::new();
    for delta in difference(git, Some(base), side)? {
        let path = String::from_utf8(delta.path).ok();
        // A name that no checkout may hold can't have been touched by a worker.
        if let Some(path) = path.and_then(|path| CheckoutPath::parse_file(&path).ok()) {
            touched.insert(path, delta.new.is_some());
        }
    }
    Ok(touched)
}

/// The paths that somebody changed, and whether they are there then.
pub(super) fn written_paths(changes: &[Change]) -> BTreeMap<CheckoutPath, bool> {
    let there = |change: &Change| matches!(change.kind, ChangeKind::Written { .. });
    changes.iter().map(|change| (change.path.clone(), there(change))).collect()
}

/// Finds what both sides renamed or changed; conflicts stay in the index.
pub(super) fn merged_index(
    git: &git2::Repository,
    [base, ours, theirs]: [&Tree<'_>; 3],
) -> Result<Index, git2::Error> {
    git.merge_trees(base, ours, theirs, Some(&with_renames()))
}

/// What only one side changed has to be there (or be gone) in the result.
/// libgit2 1.9 drops a file without a word where the other side put something
/// into a folder of that name whose first file is gone (`merge.c`,
/// `merge_diff_detect_df_conflict` compares with the entry before only).
pub(super) fn lost_paths(
    git: &git2::Repository,
    result: &Tree<'_>,
    ours: &BTreeMap<CheckoutPath, bool>,
    theirs: &BTreeMap<CheckoutPath, bool>,
) -> Result<Vec<String>, git2::Error> {
    let only_ours = ours.iter().filter(|(path, _)| !theirs.contains_key(*path));
    let only_theirs = theirs.iter().filter(|(path, _)| !ours.contains_key(*path));
    let mut lost = BTreeSet::new();
    for (path, there) in only_ours.chain(only_theirs) {
        let found = found_at(git, result, path)?;
        let present = matches!(found, Found::File { .. } | Found::Submodule { .. });
        if present != *there {
            lost.insert(path.as_str().to_owned());
        }
    }
    Ok(lost.into_iter().collect())
}

fn conflicting_paths(merged: &Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = BTreeSet::new();
    for conflict in merged.conflicts()? {
        let conflict = conflict?;
        for side in [conflict.ancestor, conflict.our, conflict.their].into_iter().flatten() {
            paths.insert(String::from_utf8_lossy(&side.path).into_owned());
        }
    }
    Ok(paths.into_iter().collect())
}

/// The commits between `base` and `tip` that touched one of the first paths, the
/// newest first; a bounded search.
pub(super) fn touching_commits(
    git: &git2::Repository,
    base: Oid,
    tip: Oid,
    paths: &[String],
) -> Result<Vec<String>, git2::Error> {
    let paths: Vec<CheckoutPath> = paths
        .iter()
        .filter_map(|path| CheckoutPath::parse(path).ok())
        .take(SEARCHED_PATHS)
        .collect();
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push(tip)?;
    walk.hide(base)?;
    let mut touching = Vec::new();
    for id in walk.take(SEARCHED_COMMITS) {
        let commit = git.find_commit(id?)?;
        if touches(git, &commit, &paths)? {
            touching.push(commit.id().to_string());
        }
        if touching.len() == NAMED_COMMITS {
            break;
        }
    }
    Ok(touching)
}

/// Whether a commit differs from each of its parents at one of the paths.
pub(super) fn touches(
    git: &git2::Repository,
    commit: &git2::Commit<'_>,
    paths: &[CheckoutPath],
) -> Result<bool, git2::Error> {
    let tree = commit.tree()?;
    let parents = commit.parents().map(|parent| parent.tree()).collect::<Result<Vec<_>, _>>()?;
    for path in paths {
        let now = found_at(git, &tree, path)?;
        let mut before = Vec::new();
        for parent in &parents {
            before.push(found_at(git, parent, path)?);
        }
        if before.is_empty() {
            before.push(Found::Nothing);
        }
        // Below a file there is as little as where there is nothing.
        let there = |found: &Found| !matches!(found, Found::Nothing | Found::BehindFile);
        if before.iter().all(|before| *before != now && (there(before) || there(&now))) {
            return Ok(true);
        }
    }
    Ok(false)
}
