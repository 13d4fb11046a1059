//! Git's trees: looking into one, comparing two, and building one from changes.
//! Knows nothing of folders on disk.

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Tree};

use super::changes::{Change, ChangeKind, Mode};
use super::path::CheckoutPath;
use super::raw_tree::{Entries, Entry, entries};

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

/// The files, links and submodules in which two trees differ, sorted by path.
/// Without `old`, all of the new tree's. Folders that are the same are not
/// looked into, so that it costs what differs; libgit2's own reads both whole.
pub(super) fn difference(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<Vec<Delta>, git2::Error> {
    let odb = git.odb()?;
    difference_by(|tree| entries(odb.read(tree)?.data()), old.map(Tree::id), new.id())
}

/// The same with trees from anywhere.
pub(super) fn difference_by(
    mut read: impl FnMut(Oid) -> Result<Entries, git2::Error>,
    old: Option<Oid>,
    new: Oid,
) -> Result<Vec<Delta>, git2::Error> {
    let mut read = |tree: Option<Oid>| tree.map_or_else(|| Ok(Entries::new()), &mut read);
    let mut deltas = Vec::new();
    let mut folders = vec![(Vec::new(), old, Some(new))];
    while let Some((folder, old, new)) = folders.pop() {
        let (old, new) = (read(old)?, read(new)?);
        for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
            let (before, after) = (old.get(name).copied(), new.get(name).copied());
            if before == after {
                continue;
            }
            let path = [folder.as_slice(), name].concat();
            let leaf = |entry: Option<Entry>| {
                let entry = entry.filter(|entry| entry.kind() != ObjectType::Tree);
                entry.map(|entry| (entry.id, entry.plain_mode()))
            };
            if leaf(before) != leaf(after) {
                deltas.push(Delta { path: path.clone(), new: leaf(after) });
            }
            let below = |entry: Option<Entry>| {
                entry.filter(|entry| entry.kind() == ObjectType::Tree).map(|entry| entry.id)
            };
            if below(before) != below(after) {
                folders.push(([path.as_slice(), b"/"].concat(), below(before), below(after)));
            }
        }
    }
    deltas.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(deltas)
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

pub(super) fn index_entry(path: &CheckoutPath, mode: Mode, id: Oid) -> IndexEntry {
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
