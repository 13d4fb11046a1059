//! Which keys a change would bring into the repository. What the base has
//! already in the same file, or in one that the change removes, is not new:
//! nobody gets stuck on it.

use std::collections::HashSet;

use git2::{Oid, Repository};

use super::changes::{Change, ChangeKind};
use super::keys::{Find, find};
use super::path::CheckoutPath;

/// Something new that looks like a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The file.
    pub path: CheckoutPath,
    /// Counts from 1.
    pub line: usize,
    /// What it looks like, in words.
    pub what: &'static str,
}

/// What looks like a key in a changed file, new or not.
pub(super) struct Suspect<'a> {
    change: &'a Change,
    bytes: &'a [u8],
    found: Vec<Find>,
}

/// The files that hold what looks like a key: none, as a rule.
pub(super) fn suspects<'a>(changes: &'a [Change]) -> Vec<Suspect<'a>> {
    let suspect = |change: &'a Change| {
        let ChangeKind::Written { bytes, .. } = &change.kind else { return None };
        let found = find(bytes);
        (!found.is_empty()).then_some(Suspect { change, bytes, found })
    };
    changes.iter().filter_map(suspect).collect()
}

/// Those of the keys that the base does not have; `old` knows its blobs.
pub(super) fn new_among(
    suspects: &[Suspect<'_>],
    git: &Repository,
    old: impl Fn(&CheckoutPath) -> Option<Oid>,
    changes: &[Change],
) -> Result<Vec<NewKey>, git2::Error> {
    let mut new = Vec::new();
    for Suspect { change, bytes, found } in suspects {
        let removed = changes.iter().filter(|other| other.kind == ChangeKind::Removed);
        let sources = removed.map(|other| &other.path).chain([&change.path]);
        let mut unknown = lines_of(bytes, found);
        for id in sources.filter_map(&old) {
            for line in lines(git.find_blob(id)?.content()) {
                unknown.remove(line);
            }
        }
        let is_new =
            |found: &&Find| lines(&bytes[found.bytes.clone()]).any(|line| unknown.contains(line));
        new.extend(found.iter().filter(is_new).map(|found| NewKey {
            path: change.path.clone(),
            line: found.line,
            what: found.what,
        }));
    }
    Ok(new)
}

/// The lines that make these finds up.
fn lines_of<'a>(bytes: &'a [u8], found: &[Find]) -> HashSet<&'a [u8]> {
    found.iter().flat_map(|found| lines(&bytes[found.bytes.clone()])).collect()
}

/// The lines, however they end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
