//! Joining the packs that a run has written: each group of landings makes one, and
//! whoever opens the repository opens the index of every pack. Owns which packs are
//! joined and when the old ones may go; writing and removing are `pack`'s.
//!
//! Others read and write the same repository meanwhile: our own handles, the user's
//! git, a `git gc`. It is done as `git repack -d` does it, for whose packs every
//! reader is prepared:
//!
//! - The new pack holds *all* objects of the old ones, also those that nothing refers
//!   to: no object is ever less reachable, or looks older, than before.
//! - It is whole, synced and found by its index before the first old one goes. Only
//!   packs go that this process has written, by their names, which are made of what
//!   is in them; and none beside which somebody else has put something, a `.keep` or a
//!   bitmap, or that an index over many packs may name.
//! - All packs are held as long as something lands: what is in them may have no
//!   reference yet, such as a merge that is being checked. And who packs all anew leaves
//!   out what a held pack has, and then removes those that were not held; so the new
//!   one has to be, too, before an old one goes.
//! - Who has an old pack open goes on reading it. Who knows it and has not opened it,
//!   or has read the folder too early to see the new one, does not find an object,
//!   and then git (`reprepare_packed_git`) and libgit2 (`git_odb_refresh`) read the
//!   folder anew before they say so. They do it once; so a pack that was made by
//!   joining is not joined again, which could take it away between that look and its
//!   opening.
//! - A gc has its own list of packs to remove: what it removes it has written anew,
//!   or found out to be too old, by its own rules, whichever of ours are in that list,
//!   the old ones or the new one. What it has removed is not there to be joined or
//!   removed any more. But two changes of the folder that follow closely could hide an
//!   object from that one look, so that nothing is joined, or removed, while a gc says
//!   that it is at work. A `git repack` by hand says nothing; then a reader that
//!   misses an object for that reason finds it the next time.
//! - Killed anywhere, it leaves what was there before, or both, or an old pack without
//!   its index, which nobody sees and `remove_leftovers` removes.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::holding::{self, HeldPack, KEEP};
use super::open::Repository;
use super::pack::{self, FOLDER, INDEX, PACK, file_of};
use super::{failed, packing};
use crate::{Result, crash};

/// So many are joined at once, which holds up the thread that lands for some ten
/// milliseconds.
pub(super) const TOGETHER: usize = 50;
/// A larger pack stays as it is: to write its bytes once more costs more than it
/// saves, and whoever waits for a landing waits for that.
const LARGEST: u64 = 1024 * 1024;
/// So many are held, beside those that wait to be joined; what came so long before has
/// its reference.
const MOST_HELD: usize = 1_000;
/// The file in git's folder by which a gc says that it is at work.
const COLLECTING: &str = "gc.pid";
/// Files in the folder of packs that name packs in it.
const OVER_MANY: [&str; 2] = ["multi-pack-index", "multi-pack-index.d"];

/// Those that this process has written and holds.
#[derive(Debug, Default)]
pub(super) struct OwnPacks(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// They are not joined yet.
    small: Vec<HeldPack>,
    /// They were made by joining, or can't be joined.
    others: Vec<HeldPack>,
}

impl OwnPacks {
    /// Takes small ones, where there are at least so many.
    fn take(&self, least: usize) -> Vec<HeldPack> {
        let small = &mut self.held().small;
        let count = if small.len() < least { 0 } else { small.len().min(TOGETHER) };
        small.drain(..count).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whole at any time, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repository {
    /// Holds a pack, and notes it to be joined with others.
    pub(super) fn has_written(&self, pack: HeldPack) {
        let mut held = self.own_packs().held();
        // Who writes the same again, writes the same pack.
        if !held.small.iter().any(|other| other.name == pack.name) {
            held.small.push(pack);
        }
    }

    /// Joins what was written since the last time, if that is at least so many packs.
    /// Nothing depends on it: where it fails, they stay as they are.
    pub(super) fn join_packs(&self, run: &str, least: usize) {
        if is_collected(self.common_directory()) {
            return;
        }
        let mut held = self.own_packs().take(least);
        match join(self, run, &held) {
            Ok(None) => {}
            Ok(Some(Joined { pack, gone })) => {
                held.retain(|pack| !gone.contains(&pack.name));
                held.push(pack);
            }
            Err(error) => tracing::warn!(run, %error, "the packs of a run were not joined"),
        }
        let others = &mut self.own_packs().held().others;
        others.append(&mut held);
        others.drain(..others.len().saturating_sub(MOST_HELD));
    }

    /// Lets git do with them as it likes: there is a reference to all that needs one.
    pub(super) fn let_go_of_packs(&self) {
        *self.own_packs().held() = Held::default();
    }
}

/// What came of joining packs.
struct Joined {
    pack: HeldPack,
    /// The names of those that are not there any more.
    gone: Vec<String>,
}

fn join(repository: &Repository, run: &str, held: &[HeldPack]) -> Result<Option<Joined>> {
    let common = repository.common_directory();
    let packs = common.join("objects").join(FOLDER);
    let doing = || format!("join packs in {}", packs.display());
    if OVER_MANY.iter().any(|name| packs.join(name).exists()) {
        return Ok(None);
    }
    let touched = touched(&packs, run).map_err(failed(doing()))?;
    let mut ids = BTreeSet::new();
    let mut old = Vec::new();
    for name in held.iter().map(|pack| pack.name.clone()).filter(|name| !touched.contains(name)) {
        match small_index(&packs, &name) {
            Ok(Some(index)) => ids.extend(packing::ids_in(&index).map_err(failed(doing()))?),
            Ok(None) => continue,
            // Somebody's gc has it elsewhere by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(doing())(error)),
        }
        old.push(name);
    }
    if old.len() < 2 {
        return Ok(None);
    }
    let git = repository.git()?;
    let odb = git.odb().map_err(failed(doing()))?;
    let objects = ids.iter().map(|id| {
        let object = odb.read(*id).map_err(io::Error::other)?;
        Ok((object.kind(), object.data().into()))
    });
    let pack = pack::write_pack_of(common, run, ids.len(), objects)?;
    crash::point("packs: joined");
    if is_collected(common) {
        // It takes away what is too much.
        return Ok(Some(Joined { pack, gone: Vec::new() }));
    }
    // One of them may have held all that the others do.
    old.retain(|name| *name != pack.name);
    pack::remove(common, run, &old)?;
    Ok(Some(Joined { pack, gone: old }))
}

fn is_collected(common_directory: &Path) -> bool {
    common_directory.join(COLLECTING).exists()
}

/// The index of a pack; none where that is too large to be joined.
fn small_index(packs: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    if fs::metadata(file_of(packs, name, PACK))?.len() > LARGEST {
        return Ok(None);
    }
    fs::read(file_of(packs, name, INDEX)).map(Some)
}

/// The names of the packs beside which lies more than their index, and what the run
/// holds them by.
fn touched(packs: &Path, run: &str) -> io::Result<BTreeSet<String>> {
    let mut touched = BTreeSet::new();
    for entry in fs::read_dir(packs)? {
        let file = entry?.file_name();
        let Some(file) = file.to_str().and_then(|file| file.strip_prefix("pack-")) else {
            continue;
        };
        match file.split_once('.') {
            None | Some((_, PACK | INDEX)) => {}
            Some((name, KEEP)) if holding::is_held_by(&file_of(packs, name, KEEP), run)? => {}
            Some((name, _)) => drop(touched.insert(name.to_owned())),
        }
    }
    Ok(touched)
}

#[cfg(test)]
#[path = "joining_tests.rs"]
mod tests;
