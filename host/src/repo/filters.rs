//! Files that git passes through a program of the user's on their way between
//! repository and working tree, as git-lfs and git-crypt have it: the attribute
//! `filter` names it. No such program ever runs here, so such a file is neither
//! written to a working tree nor taken from a worker; that is left to git itself.
//! Nor is a file written that git keeps in another encoding there, which libgit2
//! knows nothing of. Owns finding them. Attributes are read from git's objects alone.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{AttrCheckFlags, AttrValue, Index, Oid, Tree};

use super::attributes::{ATTRIBUTES, attribute_files, blob_at};
use super::changes::{Change, ChangeKind, Mode};
use super::failed;
use super::open::Repository;
use super::references::run_tip;
use super::tree::{difference, index_entry};
use super::worktrees::name_some;
use crate::Result;

/// The attribute that names a filter.
const FILTER: &str = "filter";
/// The attribute that names the encoding of a file in working trees.
const ENCODING: &str = "working-tree-encoding";
/// How far back commits are looked at that were not pushed.
const SEARCHED_COMMITS: usize = 2_000;
/// Above the loose (1) and packed (2) backends of libgit2.
const MEMORY_FIRST: i32 = 1_000;

/// A file that goes through a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// The file.
    pub path: String,
    /// What its attribute `filter` says.
    pub filter: String,
}

impl Repository {
    /// Those of a worker's changes that would have to go through a filter. What the
    /// commit says that it started from counts in any case, for the repository lives
    /// by that; what the worker says itself, where the user's git has a program for
    /// it. `held` knows the commit's blobs.
    pub(super) fn filtered_changes(
        &self,
        changes: &[Change],
        held: impl Fn(&str) -> Option<Oid>,
    ) -> Result<Vec<Filtered>> {
        let written = changes.iter().filter(|change| !change.is_removal());
        let paths: Vec<&str> = written.map(|change| change.path.as_str()).collect();
        let mut found = self.filtered(&paths, |_, name| Ok(held(name)))?;
        let own: Vec<&Change> =
            changes.iter().filter(|change| change.path.as_str().ends_with(ATTRIBUTES)).collect();
        if own.is_empty() {
            return Ok(found);
        }
        let attributes = |git: &git2::Repository, name: &str| match own
            .iter()
            .find(|change| change.path.as_str() == name)
            .map(|change| &change.kind)
        {
            Some(ChangeKind::Written { bytes, .. }) => git.blob(bytes).map(Some),
            Some(ChangeKind::Removed) => Ok(None),
            None => Ok(held(name)),
        };
        let now = self.filtered(&paths, attributes)?;
        let config = self.git()?.config().map_err(failed("read git's config"))?;
        for new in now.into_iter().filter(|new| has_program(&config, &new.filter)) {
            if !found.iter().any(|known| known.path == new.path) {
                found.push(new);
            }
        }
        Ok(found)
    }

    /// Why a working tree can't go from its HEAD to a commit: git would pass what
    /// has to be written through a program, or write it in another encoding.
    pub(super) fn filtered_on_the_way(
        &self,
        git: &git2::Repository,
        to: Oid,
    ) -> Result<Option<String>> {
        let doing = || format!("look for filters on the way to {to}");
        let head = git.head().and_then(|head| head.peel_to_tree()).map_err(failed(doing()))?;
        let target = git.find_commit(to).and_then(|to| to.tree()).map_err(failed(doing()))?;
        let paths = written(git, Some(&head), &target).map_err(failed(doing()))?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let attributes = |_: &git2::Repository, name: &str| Ok(blob_at(&target, name));
        let found = self.filtered(&paths, attributes)?;
        if let Some(named) = self.with_programs(found)? {
            let filter = "would have to go through a filter of git's, which never runs here";
            return Ok(Some(format!("{named} {filter}")));
        }
        let encoded = self.with_attribute(&paths, ENCODING, attributes)?;
        let encoded = encoded.into_iter().filter(|(_, encoding)| !is_utf_8(encoding));
        let named: Vec<String> =
            encoded.map(|(path, encoding)| format!("`{path}` (`{encoding}`)")).collect();
        Ok((!named.is_empty()).then(|| {
            format!(
                "{} would have to be written in an encoding that only git knows",
                name_some(&named)
            )
        }))
    }

    /// Why a run's work is not to be pushed from here: with what some filters keep
    /// outside of git it is a hook that uploads it.
    pub(super) fn kept_from_push(&self, run: &str) -> Result<Option<String>> {
        if !self.hooks()?.contains(&"pre-push") {
            return Ok(None);
        }
        let git = self.git()?;
        let tip = run_tip(&git, run)?;
        let doing = || format!("look what of {tip} was not pushed");
        let paths = unpushed(&git, tip).map_err(failed(doing()))?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let tree = git.find_commit(tip).and_then(|tip| tip.tree()).map_err(failed(doing()))?;
        let found = self.filtered(&paths, |_, name| Ok(blob_at(&tree, name)))?;
        Ok(self.with_programs(found)?.map(|named| {
            format!(
                "{named} goes through a filter of git's, and it may be the hook pre-push that brings \
                 along what belongs to it; hooks never run here. Push by hand: git push origin \
                 refs/code-agent/runs/{run}:refs/heads/{}",
                self.branch()
            )
        }))
    }

    /// Names those that the user's git has a program for: without one, git takes
    /// the contents as they are, as it is done here.
    fn with_programs(&self, found: Vec<Filtered>) -> Result<Option<String>> {
        if found.is_empty() {
            return Ok(None);
        }
        let config = self.git()?.config().map_err(failed("read git's config"))?;
        let found = found.into_iter().filter(|found| has_program(&config, &found.filter));
        let named: Vec<String> =
            found.map(|found| format!("`{}` (filter `{}`)", found.path, found.filter)).collect();
        Ok((!named.is_empty()).then(|| name_some(&named)))
    }

    /// Those of the paths that go through a filter.
    fn filtered(
        &self,
        paths: &[&str],
        attributes: impl Fn(&git2::Repository, &str) -> std::result::Result<Option<Oid>, git2::Error>,
    ) -> Result<Vec<Filtered>> {
        let found = self.with_attribute(paths, FILTER, attributes)?;
        Ok(found.into_iter().map(|(path, filter)| Filtered { path, filter }).collect())
    }

    /// Those of the paths for which the attribute says something, and what;
    /// `attributes` finds the blob of a `.gitattributes`. A bare handle with an index
    /// of these files alone looks into no working tree.
    fn with_attribute(
        &self,
        paths: &[&str],
        attribute: &str,
        attributes: impl Fn(&git2::Repository, &str) -> std::result::Result<Option<Oid>, git2::Error>,
    ) -> Result<Vec<(String, String)>> {
        let find = || -> std::result::Result<Vec<(String, String)>, git2::Error> {
            let git = git2::Repository::open_bare(self.common_directory())?;
            let odb = git.odb()?;
            let _in_memory = odb.add_new_mempack_backend(MEMORY_FIRST)?;
            let mut index = Index::new()?;
            for name in attribute_files(paths.iter().copied()) {
                if let Some(id) = attributes(&git, name.as_str())? {
                    index.add(&index_entry(&name, Mode::File, id))?;
                }
            }
            git.set_index(&mut index)?;
            let mut found = Vec::new();
            for path in paths {
                let value =
                    git.get_attr_bytes(Path::new(path), attribute, AttrCheckFlags::INDEX_ONLY)?;
                let value = match AttrValue::from_bytes(value) {
                    AttrValue::String(value) => value.to_owned(),
                    AttrValue::Bytes(value) => String::from_utf8_lossy(value).into_owned(),
                    AttrValue::True | AttrValue::False | AttrValue::Unspecified => continue,
                };
                found.push(((*path).to_owned(), value));
            }
            Ok(found)
        };
        find().map_err(failed("read git's attributes"))
    }
}

/// Git keeps such a file as it is; it asks with and without the `-`, in any case.
fn is_utf_8(encoding: &str) -> bool {
    ["utf-8", "utf8"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// Whether the user's git knows a program for the filter.
fn has_program(config: &git2::Config, filter: &str) -> bool {
    let mut kinds = ["clean", "smudge", "process"].iter();
    kinds.any(|kind| config.get_string(&format!("filter.{filter}.{kind}")).is_ok())
}

/// The paths that one tree has otherwise than another, or alone.
fn written(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> std::result::Result<BTreeSet<String>, git2::Error> {
    let deltas = difference(git, old, new)?.into_iter().filter(|delta| delta.new.is_some());
    // Attributes are asked for by text; other names can't be.
    Ok(deltas.filter_map(|delta| String::from_utf8(delta.path).ok()).collect())
}

/// What the commits changed that `origin` does not have yet, as far as is known. A
/// merge brings what has its own commits.
fn unpushed(
    git: &git2::Repository,
    tip: Oid,
) -> std::result::Result<BTreeSet<String>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.push(tip)?;
    for reference in git.references_glob("refs/remotes/origin/*")? {
        // A remote's HEAD may name a branch that is gone.
        if let Ok(theirs) = reference.and_then(|reference| reference.peel_to_commit()) {
            walk.hide(theirs.id())?;
        }
    }
    let mut paths = BTreeSet::new();
    for id in walk.take(SEARCHED_COMMITS) {
        let commit = git.find_commit(id?)?;
        if commit.parent_count() > 1 {
            continue;
        }
        // A shallow clone's first commit has none here.
        let parent = commit.parent(0).and_then(|parent| parent.tree()).ok();
        paths.append(&mut written(git, parent.as_ref(), &commit.tree()?)?);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, removed, written};
    use super::*;

    #[test]
    fn attributes_of_all_folders_count_and_no_working_tree_does() {
        let sandbox = Sandbox::with(&[
            (
                ".gitattributes",
                "[attr]big filter=lfs -text\n*.bin big\n*.no -filter\n*.yes filter\n",
            ),
            ("a/b/.gitattributes", "*.key filter=crypt\nplain.bin -filter\n"),
            ("top.bin", "p\n"),
            ("a/b/in.key", "k\n"),
        ]);
        let repository = sandbox.open();
        let git = repository.git().unwrap();
        let tree = git.head().unwrap().peel_to_tree().unwrap();
        // What lies there uncommitted says nothing.
        sandbox.write(".gitattributes", "* filter=other\n");
        let paths = ["top.bin", "x.no", "x.yes", "a/b/in.key", "a/b/plain.bin", "a/other.key"];
        let found = repository.filtered(&paths, |_, name| Ok(blob_at(&tree, name))).unwrap();
        let found: Vec<String> =
            found.into_iter().map(|found| format!("{} {}", found.path, found.filter)).collect();
        assert_eq!(found, ["top.bin lfs", "a/b/in.key crypt"]);
        // Of a worker's own attributes those count that the user's git does something for.
        let held = |name: &str| blob_at(&tree, name);
        let changes =
            [written("a/.gitattributes", "*.key filter=mine\n"), written("a/other.key", "k\n")];
        assert!(repository.filtered_changes(&changes, held).unwrap().is_empty());
        sandbox.git(&["config", "filter.mine.clean", "cat"]);
        assert_eq!(repository.filtered_changes(&changes, held).unwrap()[0].filter, "mine");
        // None gets rid of the commit's.
        let changes = [removed(".gitattributes"), removed("a/b/in.key"), written("top.bin", "q\n")];
        let found = repository.filtered_changes(&changes, held).unwrap();
        assert_eq!((found[0].path.as_str(), found.len()), ("top.bin", 1));
    }
}
