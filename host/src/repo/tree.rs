//! Git's trees: looking into one, comparing two, and building one from changes.
//! Knows nothing of folders on disk.

use git2::{DiffOptions, Index, IndexEntry, IndexTime, ObjectType, Oid, Tree};

use super::changes::{Change, ChangeKind, Mode};
use super::path::CheckoutPath;

/// What a tree has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Nothing, since what ought to be a folder on the way is none.
    BehindFile,
    /// A file or link, with git's mode.
    File { id: Oid, mode: i32 },
    /// A folder.
    Folder { id: Oid },
    /// Another repository's commit.
    Submodule { id: Oid },
}

/// Looks up a path step by step; libgit2's own lookup does not tell a missing
/// name from a file on the way.
pub(super) fn found_at(
    git: &git2::Repository,
    tree: &Tree<'_>,
    path: &CheckoutPath,
) -> Result<Found, git2::Error> {
    if path.is_top() {
        return Ok(Found::Folder { id: tree.id() });
    }
    let mut folder = None;
    let mut names = path.as_str().split('/').peekable();
    while let Some(name) = names.next() {
        let entry = folder.as_ref().unwrap_or(tree).get_name(name).map(|entry| entry.to_owned());
        let Some(entry) = entry else { return Ok(Found::Nothing) };
        match (names.peek().is_some(), entry.kind()) {
            (false, Some(ObjectType::Blob)) => {
                return Ok(Found::File { id: entry.id(), mode: entry.filemode() });
            }
            (false, Some(ObjectType::Tree)) => return Ok(Found::Folder { id: entry.id() }),
            (false, _) => return Ok(Found::Submodule { id: entry.id() }),
            (true, Some(ObjectType::Tree)) => folder = Some(git.find_tree(entry.id())?),
            (true, _) => return Ok(Found::BehindFile),
        }
    }
    Ok(Found::Nothing)
}

/// One path in which two trees differ.
pub(super) struct Delta {
    /// Git's name; it need not be one that a checkout may hold.
    pub(super) path: Vec<u8>,
    /// Id and git's mode in the new tree; none where the path is gone.
    pub(super) new: Option<(Oid, i32)>,
}

/// The files, links and submodules in which two trees differ. Without `old`,
/// all of the new tree's.
pub(super) fn difference(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<Vec<Delta>, git2::Error> {
    let mut options = DiffOptions::new();
    options.include_typechange(true).ignore_submodules(false);
    let diff = git.diff_tree_to_tree(old, Some(new), Some(&mut options))?;
    let delta = |delta: git2::DiffDelta<'_>| {
        let file = delta.new_file();
        let path = file.path_bytes().or_else(|| delta.old_file().path_bytes())?.to_vec();
        let gone = delta.status() == git2::Delta::Deleted;
        let new = (!gone).then(|| (file.id(), u32::from(file.mode()).cast_signed()));
        Some(Delta { path, new })
    };
    Ok(diff.deltas().filter_map(delta).collect())
}

/// The tree that `base` becomes with the changes, and with files and folders
/// taking each other's places as it comes. Costs the whole tree's size.
pub(super) fn with_changes(
    git: &git2::Repository,
    base: &Tree<'_>,
    changes: &[Change],
) -> Result<Oid, git2::Error> {
    let mut index = Index::new()?;
    index.read_tree(base)?;
    for change in changes {
        if change.kind == ChangeKind::Removed && index.get_path(change.path.as_path(), 0).is_some()
        {
            index.remove(change.path.as_path(), 0)?;
        }
    }
    for change in changes {
        if let ChangeKind::Written { mode, bytes } = &change.kind {
            index.add(&index_entry(&change.path, *mode, git.blob(bytes)?))?;
        }
    }
    index.write_tree_to(git)
}

fn index_entry(path: &CheckoutPath, mode: Mode, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: mode.as_git().cast_unsigned(),
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_str().as_bytes().to_vec(),
    }
}

/// Collects the objects that `new` has and `old` has not at the same place:
/// what a pack needs so that a commit is complete.
pub(super) fn new_objects(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
    objects: &mut Vec<Oid>,
) -> Result<(), git2::Error> {
    if old.is_some_and(|old| old.id() == new.id()) {
        return Ok(());
    }
    objects.push(new.id());
    for entry in new {
        let before = old.and_then(|old| old.get_name_bytes(entry.name_bytes()));
        if before.as_ref().is_some_and(|before| before.id() == entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let before = before.filter(|before| before.kind() == Some(ObjectType::Tree));
                let before = before.map(|before| git.find_tree(before.id())).transpose()?;
                new_objects(git, before.as_ref(), &git.find_tree(entry.id())?, objects)?;
            }
            Some(ObjectType::Blob) => objects.push(entry.id()),
            // A submodule's commit lies in another repository.
            _ => {}
        }
    }
    Ok(())
}
