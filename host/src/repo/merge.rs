//! Putting one worker's changes onto the tip, or two histories together, in
//! memory. The attributes of the side that is merged into can choose among libgit2's
//! built-in ways to merge a file, and nothing else: no other attributes count, and
//! no driver, filter or hook of the repository runs.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ErrorCode, Index, MergeOptions, Oid, Sort, Tree};

use super::attributes::merging_by;
use super::changes::{Change, ChangeKind};
use super::draft::Draft;
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

/// Merges changes made to the tree `base` into the tree `tip`. Where nobody else
/// touched the same paths, only those are looked at.
pub(super) fn merge(
    draft: &mut Draft<'_>,
    base: Oid,
    tip: Oid,
    changes: &[Change],
) -> Result<Merged, git2::Error> {
    for change in changes {
        let theirs = draft.found(tip, &change.path)?;
        let plain = matches!(theirs, Found::Nothing | Found::File { .. });
        if !plain || theirs != draft.found(base, &change.path)? {
            return merge_whole(draft, base, tip, changes);
        }
    }
    draft.with_changes(tip, changes).map(Merged::Tree)
}

fn merge_whole(
    draft: &mut Draft<'_>,
    base: Oid,
    tip: Oid,
    changes: &[Change],
) -> Result<Merged, git2::Error> {
    let merged = {
        let git = draft.shown()?;
        let (base, tip) = (git.find_tree(base)?, git.find_tree(tip)?);
        let worker = git.find_tree(with_changes(git, &base, changes)?)?;
        let merged = merged_index(git, [&base, &tip, &worker])?;
        finished(git, merged, [&base, &tip], written_paths(changes))?
    };
    if let Merged::Tree(tree) = merged {
        draft.take(tip, tree)?;
    }
    Ok(merged)
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
    let bases = match git.merge_bases(ours, theirs) {
        Ok(bases) => bases,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Ok(Merged::Conflict(Vec::new()));
        }
        Err(error) => return Err(error),
    };
    let Some(base) = bases.first() else { return Ok(Merged::Conflict(Vec::new())) };
    let tree_of = |id| git.find_commit(id)?.tree();
    let (base, ours_tree, theirs_tree) = (tree_of(*base)?, tree_of(ours)?, tree_of(theirs)?);
    if bases.len() == 1 {
        return merge_sides(git, &base, &ours_tree, &theirs_tree);
    }
    let merging = handle(git, [&base, &ours_tree, &theirs_tree])?;
    let (ours, theirs) = (merging.find_commit(ours)?, merging.find_commit(theirs)?);
    // This merges first where they parted.
    let merged = merging.merge_commits(&ours, &theirs, Some(&with_renames()))?;
    finished(git, merged, [&base, &ours_tree], touched_paths(git, &base, &theirs_tree)?)
}

/// A handle that merges by the attributes of `ours`. Only what differs from the
/// base on one of the sides is merged at all.
fn handle(
    git: &git2::Repository,
    [base, ours, theirs]: [&Tree<'_>; 3],
) -> Result<git2::Repository, git2::Error> {
    let mut paths = touched_paths(git, base, ours)?;
    paths.append(&mut touched_paths(git, base, theirs)?);
    merging_by(git, ours, paths.keys().map(CheckoutPath::as_str))
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
    let merging = handle(git, [base, ours, theirs])?;
    let tree = |tree: &Tree<'_>| merging.find_tree(tree.id());
    merging.merge_trees(&tree(base)?, &tree(ours)?, &tree(theirs)?, Some(&with_renames()))
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

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn histories_that_met_more_than_once_come_together() {
        let sandbox =
            Sandbox::with(&[("a", "1\n2\n3\n4\n5\n"), (".gitattributes", "*.log merge=union\n")]);
        let commit = |path: &str, text: &str| {
            sandbox.write(path, text);
            sandbox.git(&["add", "--all"]);
            sandbox.git(&["commit", "--quiet", "--message", path]);
        };
        sandbox.git(&["switch", "--quiet", "--create", "side"]);
        commit("a", "1\n2\n3\n4\nfive\n");
        sandbox.git(&["switch", "--quiet", "main"]);
        commit("a", "one\n2\n3\n4\n5\n");
        let first = sandbox.git(&["rev-parse", "HEAD"]);
        sandbox.git(&["merge", "--quiet", "--no-edit", "side"]);
        commit("b.log", "main\n");
        sandbox.git(&["switch", "--quiet", "side"]);
        sandbox.git(&["merge", "--quiet", "--no-edit", &first]);
        commit("b.log", "side\n");
        // Somebody's working tree says nothing.
        sandbox.write(".gitattributes", "* -merge\n");
        let git = git2::Repository::open(sandbox.top()).unwrap();
        let [ours, theirs] = ["main", "side"].map(|name| git.revparse_single(name).unwrap().id());
        let Merged::Tree(tree) = merge_histories(&git, ours, theirs).unwrap() else {
            panic!("a conflict");
        };
        let held = |path: &str| sandbox.show(&tree.to_string(), path);
        assert_eq!((held("a"), held("b.log")), ("one\n2\n3\n4\nfive".into(), "main\nside".into()));
    }
}
