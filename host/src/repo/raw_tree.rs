//! A tree's bytes as git stores them: for each entry its mode in octal digits, a
//! space, its name, a zero byte and the id. Knows nothing of where trees are kept.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::changes::Mode;

/// Git's mode of a folder.
pub(super) const FOLDER: i32 = 0o40_000;
/// What tells a mode's kind, and the kinds that are no files.
const KIND: i32 = 0o170_000;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;
/// An owner's right to run a file.
const EXECUTABLE: i32 = 0o100;
/// The bytes of an id.
const ID: usize = 20;

/// What a tree has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is written there.
    pub(super) mode: i32,
    pub(super) id: Oid,
}

/// By their names.
pub(super) type Entries = BTreeMap<Vec<u8>, Entry>;

impl Entry {
    pub(super) fn kind(self) -> ObjectType {
        match self.mode & KIND {
            FOLDER => ObjectType::Tree,
            SUBMODULE => ObjectType::Commit,
            _ => ObjectType::Blob,
        }
    }

    /// The mode as git writes it by now: in old trees files have others.
    pub(super) fn plain_mode(self) -> i32 {
        match self.mode & KIND {
            kind @ (FOLDER | LINK | SUBMODULE) => kind,
            _ if self.mode & EXECUTABLE != 0 => Mode::Executable.as_git(),
            _ => Mode::File.as_git(),
        }
    }
}

/// A tree's entries by name.
pub(super) fn entries(raw: &[u8]) -> Result<Entries, git2::Error> {
    let mut entries = Entries::new();
    let mut rest = raw;
    while let Some((name, entry, after)) = next(rest)? {
        entries.insert(name.to_vec(), entry);
        rest = after;
    }
    Ok(entries)
}

/// One of them.
pub(super) fn find(raw: &[u8], wanted: &[u8]) -> Result<Option<Entry>, git2::Error> {
    let mut rest = raw;
    while let Some((name, entry, after)) = next(rest)? {
        if name == wanted {
            return Ok(Some(entry));
        }
        rest = after;
    }
    Ok(None)
}

type Next<'a> = (&'a [u8], Entry, &'a [u8]);

fn next(raw: &[u8]) -> Result<Option<Next<'_>>, git2::Error> {
    if raw.is_empty() {
        return Ok(None);
    }
    split(raw).map(Some).ok_or_else(|| git2::Error::from_str("a tree is damaged"))
}

fn split(raw: &[u8]) -> Option<Next<'_>> {
    let space = raw.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (raw.get(..space)?, raw.get(space + 1..)?);
    let mode = i32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let (id, rest) = rest.split_at_checked(ID)?;
    Some((name, Entry { mode, id: Oid::from_bytes(id).ok()? }, rest))
}

/// The bytes of a tree. Git sorts a folder as if its name ended with a slash.
pub(super) fn write(entries: &Entries) -> Vec<u8> {
    let mut sorted: Vec<(Vec<u8>, &Vec<u8>, &Entry)> = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let mut key = name.clone();
        if entry.kind() == ObjectType::Tree {
            key.push(b'/');
        }
        sorted.push((key, name, entry));
    }
    sorted.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let mut raw = Vec::new();
    for (_, name, entry) in sorted {
        raw.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        raw.extend_from_slice(name);
        raw.push(0);
        raw.extend_from_slice(entry.id.as_bytes());
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn what_git_has_written_is_read_and_written_as_it_was() {
        // A folder comes after the files that begin with its name and a letter
        // before the slash.
        let files = ["a/x", "a-b", "a.b", "a0", "b/c/d", "with space", "\u{e9}"];
        let files: Vec<(&str, &str)> = files.iter().map(|name| (*name, "text\n")).collect();
        let sandbox = Sandbox::with(&files);
        sandbox.git(&["update-index", "--chmod=+x", "a0"]);
        sandbox.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{},module", "1".repeat(40)),
        ]);
        let tree = sandbox.git(&["write-tree"]);
        let git = git2::Repository::open(sandbox.top()).unwrap();
        let odb = git.odb().unwrap();
        let object = odb.read(Oid::from_str(&tree).unwrap()).unwrap();
        let read = entries(object.data()).unwrap();
        assert_eq!(read.len(), 8);
        assert_eq!(write(&read), object.data());
        let kinds = ["a", "a0", "module"].map(|name| read[name.as_bytes()].kind());
        assert_eq!(kinds, [ObjectType::Tree, ObjectType::Blob, ObjectType::Commit]);
        assert_eq!(read[&b"a0"[..]].plain_mode(), 0o100_755);
        assert_eq!(find(object.data(), b"a.b").unwrap(), Some(read[&b"a.b"[..]]));
        assert_eq!(find(object.data(), b"none").unwrap(), None);
    }

    #[test]
    fn modes_of_old_trees_count_as_those_of_today() {
        let plain = |mode| Entry { mode, id: Oid::ZERO_SHA1 }.plain_mode();
        let old = [0o100_664, 0o100_600, 0o100_775, 0o120_777, 0o40_755, SUBMODULE];
        let new = [0o100_644, 0o100_644, 0o100_755, LINK, FOLDER, SUBMODULE];
        assert_eq!(old.map(plain), new);
    }

    #[test]
    fn a_damaged_tree_is_an_error() {
        for raw in
            [&b"100644 a\0short"[..], b"100644", b"mode a\0aaaaaaaaaaaaaaaaaaaa", b"100644 a"]
        {
            assert!(entries(raw).is_err(), "{raw:?}");
        }
    }
}
