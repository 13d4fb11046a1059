//! A merge that collides, laid out for somebody who can mend it: the tip with a
//! worker's changes on top, and conflict markers where both sides changed the
//! same lines. What can't be marked is left as the tip has it and told in words.
//! Writes nothing; who mends it, and whether that lands, is decided elsewhere.

use std::collections::BTreeSet;

use git2::{Index, IndexEntry, MergeFileInput, MergeFileOptions, Oid, Tree};

use super::changes::{Change, ChangeKind, Mode};
use super::checkout::Checkout;
use super::draft::MEMORY_FIRST;
use super::merge::{lost_paths, merged_index, touched_paths, touching_commits, written_paths};
use super::open::Repository;
use super::path::CheckoutPath;
use super::tree::{Found, difference, found_at, with_changes};
use super::views::{print, print_at};
use super::{commit_id, failed};
use crate::types::Collision;
use crate::{Error, Result};

/// More collisions than this are no merge that anybody has an overview of.
const MOST_COLLISIONS: usize = 100;
/// How long git's own markers are, and how long they may become in a file whose
/// lines look like them.
const USUAL_MARKERS: usize = 7;
const LONGEST_MARKERS: usize = 100;
/// What the lines of markers begin with.
const MARKERS: [char; 4] = ['<', '|', '=', '>'];
/// What stands behind them.
const BRANCH: &str = "the branch";
const ORIGIN: &str = "what both started from";
const WORKER: &str = "the worker";
/// Git's way to tell a binary file: a zero among so many bytes.
const LOOKED_AT: usize = 8_000;

/// A merge that is to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidOut {
    /// The commit that the worker started from.
    pub base: String,
    /// The commit that is merged with.
    pub tip: String,
    /// What the checkout holds on top of the tip.
    pub changes: Vec<Change>,
    /// Where the two sides collide.
    pub collisions: Vec<Collision>,
    /// The commits since the base that touched these paths.
    pub commits: Vec<String>,
    /// What the worker changed since the base.
    pub worker_diff: String,
    /// What the branch changed since the base at these paths.
    pub branch_diff: String,
}

/// Lays out what becomes of changes to `base` on this tip. None where nothing
/// collides, or more than can be mended.
pub fn lay_out(
    repository: &Repository,
    base: &str,
    changes: &[Change],
    tip: &str,
) -> Result<Option<LaidOut>> {
    let git = repository.git()?;
    let doing = || format!("lay out what collides with {tip}");
    let odb = git.odb().map_err(failed(doing()))?;
    let _in_memory = odb.add_new_mempack_backend(MEMORY_FIRST).map_err(failed(doing()))?;
    look(&git, commit_id(base)?, commit_id(tip)?, changes).map_err(failed(doing()))
}

fn look(
    git: &git2::Repository,
    base: Oid,
    tip: Oid,
    changes: &[Change],
) -> Result<Option<LaidOut>, git2::Error> {
    let tree_of = |id| git.find_commit(id)?.tree();
    let (base_tree, tip_tree) = (tree_of(base)?, tree_of(tip)?);
    let worker_tree = git.find_tree(with_changes(git, &base_tree, changes)?)?;
    let index = merged_index(git, [&base_tree, &tip_tree, &worker_tree])?;
    let mut layout = Layout { git, tip: &tip_tree, changes: Vec::new(), collisions: Vec::new() };
    layout.settle(index, changes)?;
    layout.make_room()?;
    layout.tell_lost(&base_tree, changes)?;
    let Layout { changes: laid, collisions, .. } = layout;
    if collisions.is_empty() || collisions.len() > MOST_COLLISIONS {
        return Ok(None);
    }
    let names: Vec<String> = collisions.iter().map(|collision| collision.path.clone()).collect();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let rest = "read the files one by one";
    Ok(Some(LaidOut {
        base: base.to_string(),
        tip: tip.to_string(),
        changes: laid,
        commits: touching_commits(git, base, tip, &names)?,
        worker_diff: print(git, Some(&base_tree), &worker_tree, rest)?,
        branch_diff: print_at(git, Some(&base_tree), &tip_tree, &paths, rest)?,
        collisions,
    }))
}

/// A layout in the making.
struct Layout<'a> {
    git: &'a git2::Repository,
    tip: &'a Tree<'a>,
    changes: Vec<Change>,
    collisions: Vec<Collision>,
}

impl Layout<'_> {
    /// Takes over what merged by itself, and marks or tells what did not.
    fn settle(&mut self, mut index: Index, worker: &[Change]) -> Result<(), git2::Error> {
        let mut marked = Vec::new();
        let conflicts: Vec<_> = index.conflicts()?.collect::<Result<_, _>>()?;
        for conflict in conflicts {
            let sides = [conflict.ancestor, conflict.our, conflict.their];
            let Some(name) = sides.iter().flatten().map(|side| side.path.clone()).next() else {
                continue;
            };
            let name = String::from_utf8_lossy(&name).into_owned();
            // A name that no checkout may hold can't have been touched by a worker.
            let Ok(path) = CheckoutPath::parse_file(&name) else { continue };
            index.remove_path(path.as_path())?;
            if let Found::File { id, mode } = found_at(self.git, self.tip, &path)? {
                index.add(&entry(&path, id, mode))?;
            }
            let (collision, change) = self.collision(path, &sides)?;
            self.collisions.push(collision);
            marked.extend(change);
        }
        let merged = self.git.find_tree(index.write_tree_to(self.git)?)?;
        for delta in difference(self.git, Some(self.tip), &merged)? {
            let path = String::from_utf8(delta.path).ok();
            let Some(path) = path.and_then(|path| CheckoutPath::parse_file(&path).ok()) else {
                continue;
            };
            if self.collides_at(path.as_str()) {
                continue;
            }
            let kind = match delta.new.and_then(|(id, mode)| Some((id, Mode::from_git(mode)?))) {
                Some((id, mode)) => ChangeKind::Written { mode, bytes: self.bytes(id)? },
                None if worker.iter().any(|one| one.path == path && one.is_removal()) => {
                    ChangeKind::Removed
                }
                // Nobody has removed it: the tip's stays.
                None => continue,
            };
            self.changes.push(Change { path, kind });
        }
        self.changes.extend(marked);
        Ok(())
    }

    /// One path that did not merge by itself, and the file with markers in it
    /// where there can be some.
    fn collision(
        &self,
        path: CheckoutPath,
        sides: &[Option<IndexEntry>; 3],
    ) -> Result<(Collision, Option<Change>), git2::Error> {
        let marked = self.marked(sides)?;
        let what = match sides.each_ref().map(Option::is_some) {
            _ if marked.is_some() => "both sides changed the same lines",
            [_, true, true] => {
                "both sides changed it, and it can't be merged by lines; the checkout has the \
                 branch's version"
            }
            [true, true, false] => {
                "the worker deleted, renamed or replaced it, and the branch changed it; the \
                 checkout has the branch's version"
            }
            [true, false, true] => {
                "the branch deleted, renamed or replaced it, and the worker changed it; the \
                 checkout does not have it"
            }
            [true, false, false] => {
                "both sides removed or renamed it, each in its own way; the checkout has what \
                 the branch has made of it"
            }
            [false, false, _] => {
                "the worker made it, or renamed something to it, and that collides with what the \
                 branch did; the checkout does not have it"
            }
            [false, true, false] => {
                "the branch made it, or renamed something to it, and that collides with what the \
                 worker did; the checkout has the branch's version"
            }
        };
        let (markers, change) = match marked {
            Some((length, kind)) => (Some(length), Some(Change { path: path.clone(), kind })),
            None => (None, None),
        };
        let path = path.as_str().to_owned();
        Ok((Collision { path, markers, description: what.to_owned() }, change))
    }

    /// The file with markers; none where it is no text, or no plain file on both
    /// sides.
    fn marked(
        &self,
        [origin, branch, worker]: &[Option<IndexEntry>; 3],
    ) -> Result<Option<(u16, ChangeKind)>, git2::Error> {
        let (Some(branch), Some(worker)) = (branch, worker) else { return Ok(None) };
        let mode = |entry: &IndexEntry| Mode::from_git(entry.mode.cast_signed());
        let is_plain =
            |entry: &&IndexEntry| matches!(mode(entry), Some(Mode::File | Mode::Executable));
        if ![Some(branch), Some(worker), origin.as_ref()].iter().flatten().all(is_plain) {
            return Ok(None);
        }
        let origin_bytes = match origin {
            Some(origin) => self.bytes(origin.id)?,
            None => Vec::new(),
        };
        let (branch_bytes, worker_bytes) = (self.bytes(branch.id)?, self.bytes(worker.id)?);
        let texts = [origin_bytes.as_slice(), &branch_bytes, &worker_bytes];
        let Some(length) = marker_length(texts) else { return Ok(None) };
        let Some(bytes) = mark(texts, length)? else { return Ok(None) };
        // The side that changed the mode wins; where both did, they did the same.
        let changed = origin.as_ref().is_some_and(|origin| origin.mode != branch.mode);
        let chosen = if changed || origin.is_none() { mode(branch) } else { mode(worker) };
        Ok(chosen.map(|mode| (length, ChangeKind::Written { mode, bytes })))
    }

    fn bytes(&self, id: Oid) -> Result<Vec<u8>, git2::Error> {
        Ok(self.git.find_blob(id)?.content().to_vec())
    }

    /// Where the tip has a folder in a file's place, or a file in a folder's, the
    /// worker's goes, and is told.
    fn make_room(&mut self) -> Result<(), git2::Error> {
        if self.fits()? {
            return Ok(());
        }
        let mut kept = Vec::new();
        for change in std::mem::take(&mut self.changes) {
            let found = found_at(self.git, self.tip, &change.path)?;
            if change.is_removal() || !matches!(found, Found::Folder { .. } | Found::BehindFile) {
                kept.push(change);
            } else {
                self.tell(change.path.as_str());
            }
        }
        self.changes = kept;
        Ok(())
    }

    /// Whether the tip with the changes differs from the tip in them alone.
    fn fits(&self) -> Result<bool, git2::Error> {
        let result = self.git.find_tree(with_changes(self.git, self.tip, &self.changes)?)?;
        let deltas = difference(self.git, Some(self.tip), &result)?;
        let differing: BTreeSet<&[u8]> = deltas.iter().map(|delta| delta.path.as_slice()).collect();
        let changed: BTreeSet<&[u8]> =
            self.changes.iter().map(|change| change.path.as_str().as_bytes()).collect();
        Ok(differing.is_subset(&changed))
    }

    /// What the worker did and neither stands in the layout nor has been told.
    fn tell_lost(&mut self, base: &Tree<'_>, worker: &[Change]) -> Result<(), git2::Error> {
        let result = self.git.find_tree(with_changes(self.git, self.tip, &self.changes)?)?;
        let theirs = touched_paths(self.git, base, self.tip)?;
        for path in lost_paths(self.git, &result, &written_paths(worker), &theirs)? {
            self.tell(&path);
        }
        Ok(())
    }

    fn collides_at(&self, path: &str) -> bool {
        self.collisions.iter().any(|collision| collision.path == path)
    }

    fn tell(&mut self, path: &str) {
        if self.collides_at(path) {
            return;
        }
        let description = "the worker's change has no place beside what the branch has there now; \
                           the checkout has the branch's version";
        self.collisions.push(Collision {
            path: path.to_owned(),
            markers: None,
            description: description.to_owned(),
        });
    }
}

fn entry(path: &CheckoutPath, id: Oid, mode: i32) -> IndexEntry {
    let mut entry = super::tree::index_entry(path, Mode::File, id);
    entry.mode = mode.cast_unsigned();
    entry
}

/// The length of markers that no line of these texts can be taken for; none where
/// one is no text or its lines leave no length.
fn marker_length(texts: [&[u8]; 3]) -> Option<u16> {
    let is_binary = |text: &&[u8]| text.iter().take(LOOKED_AT).any(|byte| *byte == 0);
    if texts.iter().any(is_binary) {
        return None;
    }
    let lines = texts.iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
    let longest = lines.map(run_of_markers).max().unwrap_or_default();
    let length = if longest < USUAL_MARKERS { USUAL_MARKERS } else { longest + 1 };
    u16::try_from(length).ok().filter(|length| usize::from(*length) <= LONGEST_MARKERS)
}

/// How many of the same of the markers' characters a line begins with.
fn run_of_markers(line: &[u8]) -> usize {
    match line.first() {
        Some(first) if MARKERS.contains(&char::from(*first)) => {
            line.iter().take_while(|byte| *byte == first).count()
        }
        _ => 0,
    }
}

/// Merges by lines; none where nothing collides that way.
fn mark([origin, branch, worker]: [&[u8]; 3], length: u16) -> Result<Option<Vec<u8>>, git2::Error> {
    let (mut one, mut two, mut three) =
        (MergeFileInput::new(), MergeFileInput::new(), MergeFileInput::new());
    one.content(origin);
    two.content(branch);
    three.content(worker);
    let mut options = MergeFileOptions::new();
    options.style_diff3(true).marker_size(length);
    options.ancestor_label(ORIGIN).our_label(BRANCH).their_label(WORKER);
    let merged = git2::merge_file(&one, &two, &three, Some(&mut options))?;
    Ok((!merged.is_automergeable()).then(|| merged.content().to_vec()))
}

/// Which files still hold markers, of what would land from the checkout since it was
/// laid out: of new files those that a tool wrote or that are `wanted`, as in a
/// landing.
pub fn still_marked(
    checkout: &Checkout,
    collisions: &[Collision],
    wanted: impl Fn(&CheckoutPath) -> bool,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let changes = checkout.changes(wanted).map_err(|error| Error::failed(error.to_string()))?;
    for change in changes.changes {
        let ChangeKind::Written { bytes, .. } = &change.kind else { continue };
        let collision = collisions.iter().find(|one| one.path == change.path.as_str());
        let length = collision.and_then(|collision| collision.markers).map(usize::from);
        let is_marker = |line: &[u8]| {
            let run = run_of_markers(line);
            Some(run) == length || (run >= USUAL_MARKERS && is_labelled(&line[run..]))
        };
        if bytes.split(|byte| *byte == b'\n').any(is_marker) {
            found.push(change.path.as_str().to_owned());
        }
    }
    Ok(found)
}

/// Whether one of our labels, and nothing else, stands behind a marker.
fn is_labelled(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii();
    [BRANCH, ORIGIN, WORKER].iter().any(|label| label.as_bytes() == rest)
}

#[cfg(test)]
#[path = "collision_tests.rs"]
mod tests;
