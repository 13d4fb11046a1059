//! Trees and commits made in memory on top of what the repository has, until
//! they are written as one pack. libgit2's own way to hold them (its mempack)
//! lists all packs of the repository anew for each object that is added, so it
//! gets them only where it has to merge.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use git2::{ObjectType, Odb, Oid};

use super::changes::{Change, ChangeKind};
use super::packing::Object;
use super::path::CheckoutPath;
use super::raw_tree::{Entry, FOLDER, entries, find, write};
use super::tree::{Delta, Found, difference_by, new_objects};

/// Above the loose (1) and packed (2) backends of libgit2, so that what is
/// written goes to memory.
pub(super) const MEMORY_FIRST: i32 = 1_000;

/// Who makes the host's commits.
const AUTHOR: &str = "code-agent <code-agent@localhost>";

/// What a path gets: git's mode and the object, or nothing.
type Leaf = Option<(i32, Oid)>;

/// Objects that are not written yet. As large as the landings that it is for,
/// and the folders that they touch.
pub(super) struct Draft<'git> {
    git: &'git git2::Repository,
    odb: Odb<'git>,
    made: HashMap<Oid, Object>,
    /// Those that were made, in their order.
    order: Vec<Oid>,
    /// The trees of the commits among them.
    commits: HashMap<Oid, Oid>,
    shown: Option<Shown>,
    /// The repository's trees that were looked at.
    read: HashMap<Oid, Rc<[u8]>>,
}

/// What libgit2 was shown of a draft.
struct Shown {
    git: git2::Repository,
    /// So many objects.
    count: usize,
}

impl<'git> Draft<'git> {
    pub(super) fn new(git: &'git git2::Repository) -> Result<Self, git2::Error> {
        let (made, order, commits, read) = Default::default();
        Ok(Self { git, odb: git.odb()?, made, order, commits, shown: None, read })
    }

    /// How much there is, for `forget_since`.
    pub(super) fn mark(&self) -> usize {
        self.order.len()
    }

    /// Forgets what was made since: nothing is to refer to it.
    pub(super) fn forget_since(&mut self, mark: usize) {
        for id in self.order.drain(mark..) {
            self.made.remove(&id);
        }
        if let Some(shown) = &mut self.shown {
            shown.count = shown.count.min(mark);
        }
    }

    /// All that was made, each once.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.order.iter().filter_map(|id| self.made.get(id).cloned()).collect()
    }

    /// Makes an object; returns its id.
    pub(super) fn add(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, git2::Error> {
        let id = Oid::hash_object(kind, bytes)?;
        if let Slot::Vacant(slot) = self.made.entry(id) {
            slot.insert((kind, bytes.into()));
            self.order.push(id);
        }
        Ok(id)
    }

    /// A commit's tree.
    pub(super) fn tree_of(&self, commit: Oid) -> Result<Oid, git2::Error> {
        match self.commits.get(&commit) {
            Some(tree) => Ok(*tree),
            None => Ok(self.git.find_commit(commit)?.tree_id()),
        }
    }

    /// Makes a commit of the host's.
    pub(super) fn commit(
        &mut self,
        parent: Oid,
        tree: Oid,
        time: i64,
        message: &str,
    ) -> Result<Oid, git2::Error> {
        let who = format!("{AUTHOR} {time} +0000");
        let text =
            format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}");
        let commit = self.add(ObjectType::Commit, text.as_bytes())?;
        self.commits.insert(commit, tree);
        Ok(commit)
    }

    /// What a tree has at a path.
    pub(super) fn found(&mut self, tree: Oid, path: &CheckoutPath) -> Result<Found, git2::Error> {
        if path.is_top() {
            return Ok(Found::Folder { id: tree });
        }
        let mut folder = tree;
        let mut names = path.as_str().split('/').peekable();
        while let Some(name) = names.next() {
            let raw = self.tree(folder)?;
            let Some(entry) = find(&raw, name.as_bytes())? else { return Ok(Found::Nothing) };
            match (names.peek().is_some(), entry.kind()) {
                (false, ObjectType::Blob) => {
                    return Ok(Found::File { id: entry.id, mode: entry.plain_mode() });
                }
                (false, ObjectType::Tree) => return Ok(Found::Folder { id: entry.id }),
                (false, _) => return Ok(Found::Submodule { id: entry.id }),
                (true, ObjectType::Tree) => folder = entry.id,
                (true, _) => return Ok(Found::BehindFile),
            }
        }
        Ok(Found::Folder { id: folder })
    }

    /// The tree with these changes, in which no file takes a folder's place or the
    /// other way round. Costs the folders on the way to them.
    pub(super) fn with_changes(
        &mut self,
        tree: Oid,
        changes: &[Change],
    ) -> Result<Oid, git2::Error> {
        let mut leaves = BTreeMap::new();
        for change in changes {
            let leaf = match &change.kind {
                ChangeKind::Written { mode, bytes } => {
                    Some((mode.as_git(), self.add(ObjectType::Blob, bytes)?))
                }
                ChangeKind::Removed => None,
            };
            leaves.insert(change.path.as_str(), leaf);
        }
        let leaves: Vec<(&str, Leaf)> = leaves.into_iter().collect();
        match self.with_leaves(Some(tree), &leaves)? {
            Some(tree) => Ok(tree),
            None => self.add(ObjectType::Tree, b""),
        }
    }

    /// The same below one folder; none where it becomes empty, which git does not
    /// know. The leaves are sorted, so that those of a folder are neighbours.
    fn with_leaves(
        &mut self,
        tree: Option<Oid>,
        leaves: &[(&str, Leaf)],
    ) -> Result<Option<Oid>, git2::Error> {
        let raw = tree.map(|tree| self.tree(tree)).transpose()?;
        let mut entries = raw.as_deref().map(entries).transpose()?.unwrap_or_default();
        for group in leaves.chunk_by(|(one, _), (other, _)| first(one) == first(other)) {
            let [(path, leaf), ..] = group else { continue };
            let name = first(path).as_bytes();
            let place = match path.split_once('/') {
                None => *leaf,
                Some(_) => {
                    let below: Vec<(&str, Leaf)> =
                        group.iter().map(|(path, leaf)| (rest(path), *leaf)).collect();
                    let old = entries.get(name).filter(|entry| entry.kind() == ObjectType::Tree);
                    let old = old.map(|entry| entry.id);
                    self.with_leaves(old, &below)?.map(|tree| (FOLDER, tree))
                }
            };
            match place {
                Some((mode, id)) => drop(entries.insert(name.to_vec(), Entry { mode, id })),
                None => drop(entries.remove(name)),
            }
        }
        match entries.is_empty() {
            true => Ok(None),
            false => self.add(ObjectType::Tree, &write(&entries)).map(Some),
        }
    }

    /// In which paths two trees differ.
    pub(super) fn difference(&mut self, old: Oid, new: Oid) -> Result<Vec<Delta>, git2::Error> {
        difference_by(|tree| entries(&self.tree(tree)?), Some(old), new)
    }

    /// A tree's bytes.
    fn tree(&mut self, id: Oid) -> Result<Rc<[u8]>, git2::Error> {
        if let Some((ObjectType::Tree, raw)) = self.made.get(&id) {
            return Ok(raw.clone());
        }
        if let Some(raw) = self.read.get(&id) {
            return Ok(raw.clone());
        }
        let object = self.odb.read(id)?;
        if object.kind() != ObjectType::Tree {
            return Err(git2::Error::from_str(&format!("the object {id} is no tree")));
        }
        let raw: Rc<[u8]> = object.data().into();
        self.read.insert(id, raw.clone());
        Ok(raw)
    }

    /// The repository as libgit2 sees it, with all that was made in it.
    pub(super) fn shown(&mut self) -> Result<&git2::Repository, git2::Error> {
        let shown = match self.shown.take() {
            Some(shown) => shown,
            // A handle of its own: what is in libgit2's memory stays there.
            None => {
                let git = git2::Repository::open(self.git.path())?;
                git.odb()?.add_new_mempack_backend(MEMORY_FIRST)?;
                Shown { git, count: 0 }
            }
        };
        let odb = shown.git.odb()?;
        for id in self.order.iter().skip(shown.count) {
            if let Some((kind, bytes)) = self.made.get(id) {
                odb.write(*kind, bytes)?;
            }
        }
        drop(odb);
        let count = self.order.len();
        Ok(&self.shown.insert(Shown { count, ..shown }).git)
    }

    /// Takes in what libgit2 has made: what `tree` has and `tip` has not.
    pub(super) fn take(&mut self, tip: Oid, tree: Oid) -> Result<(), git2::Error> {
        let git = self.shown()?;
        let (tip, tree) = (git.find_tree(tip)?, git.find_tree(tree)?);
        let mut ids = Vec::new();
        new_objects(git, Some(&tip), &tree, &mut ids)?;
        let odb = git.odb()?;
        let read = |id| odb.read(id).map(|object| (object.kind(), object.data().to_vec()));
        let objects: Vec<_> = ids.into_iter().map(read).collect::<Result<_, _>>()?;
        drop((tip, tree, odb));
        for (kind, bytes) in objects {
            self.add(kind, &bytes)?;
        }
        Ok(())
    }
}

/// The first name of a path, and the path below that.
fn first(path: &str) -> &str {
    path.split_once('/').map_or(path, |(name, _)| name)
}

fn rest(path: &str) -> &str {
    path.split_once('/').map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use git2::{Repository, Signature, Time};

    use super::super::changes::Mode;
    use super::super::testing::{Sandbox, path, removed, written};
    use super::super::tree::with_changes;
    use super::*;

    fn opened(sandbox: &Sandbox) -> (Repository, Oid) {
        let git = Repository::open(sandbox.top()).unwrap();
        let tree = git.head().unwrap().peel_to_tree().unwrap().id();
        (git, tree)
    }

    #[test]
    fn trees_are_those_that_libgit2_makes() {
        let files = ["a", "a-b", "d/a", "d/b", "d.x", "d/e/f", "z/only"];
        let sandbox = Sandbox::with(&files.map(|name| (name, "one\n")));
        let (git, start) = opened(&sandbox);
        let executable = |at: &str| {
            let kind = ChangeKind::Written { mode: Mode::Executable, bytes: b"run\n".to_vec() };
            Change { path: path(at), kind }
        };
        let steps = [
            vec![written("a", "two\n"), written("d/e/new", "n\n"), written("d-a/x", "x\n")],
            vec![removed("z/only"), written("d/e/g/h/i", "deep\n"), executable("d/a")],
            vec![removed("d/e/f"), removed("d/e/new"), removed("d/e/g/h/i"), removed("no/where")],
            vec![written("d0", "0\n"), written("d/0", "0\n"), removed("a-b")],
            files.iter().map(|name| removed(name)).collect(),
        ];
        let (mut draft, mut tree) = (Draft::new(&git).unwrap(), start);
        for changes in steps {
            let git = draft.shown().unwrap();
            let expected = with_changes(git, &git.find_tree(tree).unwrap(), &changes).unwrap();
            tree = draft.with_changes(tree, &changes).unwrap();
            assert_eq!(tree, expected, "{changes:?}");
        }
        let all = [&files[..], &["d-a/x", "d0", "d/0"]].concat();
        let all: Vec<Change> = all.into_iter().map(removed).collect();
        let empty = draft.with_changes(tree, &all).unwrap();
        assert_eq!(empty, Oid::hash_object(ObjectType::Tree, b"").unwrap());
    }

    #[test]
    fn a_commit_is_the_one_that_libgit2_makes() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (git, tree) = opened(&sandbox);
        let parent = git.head().unwrap().peel_to_commit().unwrap();
        let who =
            Signature::new("code-agent", "code-agent@localhost", &Time::new(1_700_000_000, 0));
        let (who, message) = (who.unwrap(), "Title \u{e9}\n\nBody\n\nTrailer: x\n");
        let tree = git.find_tree(tree).unwrap();
        let expected = git.commit(None, &who, &who, message, &tree, &[&parent]).unwrap();
        let mut draft = Draft::new(&git).unwrap();
        let commit = draft.commit(parent.id(), tree.id(), 1_700_000_000, message).unwrap();
        assert_eq!(commit, expected);
        assert_eq!(draft.tree_of(commit).unwrap(), tree.id());
        assert_eq!(draft.tree_of(parent.id()).unwrap(), tree.id());
    }

    #[test]
    fn what_does_not_land_is_forgotten_and_what_stays_is_named_once() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (git, tree) = opened(&sandbox);
        let mut draft = Draft::new(&git).unwrap();
        let first = draft.with_changes(tree, &[written("a", "two\n")]).unwrap();
        let mark = draft.mark();
        draft.with_changes(first, &[written("b", "two\n"), written("c", "three\n")]).unwrap();
        assert_eq!(draft.objects().len(), mark + 2);
        draft.shown().unwrap();
        draft.forget_since(mark);
        assert_eq!(draft.with_changes(tree, &[written("a", "two\n")]).unwrap(), first);
        assert_eq!(draft.objects().len(), mark);
        let again = draft.with_changes(first, &[written("b", "two\n")]).unwrap();
        assert_eq!(draft.difference(first, again).unwrap().len(), 1);
        assert!(draft.shown().unwrap().find_tree(again).is_ok());
    }
}
