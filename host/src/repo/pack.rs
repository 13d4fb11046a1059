//! Writing the commits of a group as one pack that survives the plug being
//! pulled. Owns what belongs into it and the way to the disk; its bytes are
//! `packing`'s.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Oid;

use super::holding::{self, HeldPack, Owner};
use super::open::Repository;
use super::packing::{Object, write_pack};
use super::sync::sync_all;
use super::tree::new_objects;
use super::{failed, lock};
use crate::{Error, Result, crash};

/// Where packs lie among a repository's objects.
pub(super) const FOLDER: &str = "pack";
/// How the names of a pack's two files end.
pub(super) const PACK: &str = "pack";
pub(super) const INDEX: &str = "idx";

/// Writes the commits, each the child of the one before and the first of
/// `start`, and what they added.
pub(super) fn write(
    repository: &Repository,
    git: &git2::Repository,
    run: &str,
    start: Oid,
    commits: &[Oid],
) -> Result<()> {
    let objects = objects_of(git, start, commits).map_err(failed("find what landed"))?;
    write_all(repository, run, objects)
}

/// Writes these objects, each once, as a pack that is held until it is joined with
/// others, nothing lands any more, or nobody has the repository open any more.
pub(super) fn write_all(repository: &Repository, run: &str, objects: Vec<Object>) -> Result<()> {
    let (count, objects) = (objects.len(), objects.into_iter().map(Ok));
    let pack = write_pack_of(repository.common_directory(), run, count, objects)?;
    repository.has_written(pack);
    Ok(())
}

/// Writes these objects as a pack, which is held. Written and synced in a folder of
/// its own and then renamed, so that no half pack ever lies where git looks.
pub(super) fn write_pack_of(
    common_directory: &Path,
    run: &str,
    count: usize,
    objects: impl Iterator<Item = io::Result<Object>>,
) -> Result<HeldPack> {
    beside_packs(common_directory, run, |folder, packs| {
        let doing = || format!("write what landed to {}", packs.display());
        let name = write_pack(count, objects, folder).map_err(failed(doing()))?;
        crash::point("landing: pack built");
        fs::create_dir_all(packs).map_err(failed(doing()))?;
        let held = HeldPack::new(folder, packs, run, name)?;
        move_pack(folder, packs, &held.name)?;
        Ok(held)
    })
}

/// Removes packs of which others hold all objects; what is gone already needs no
/// removing. The index goes first, as it comes last: without it nobody sees a pack.
pub(super) fn remove(common_directory: &Path, run: &str, names: &[String]) -> Result<()> {
    beside_packs(common_directory, run, |folder, packs| {
        for (name, ending) in names.iter().flat_map(|name| [(name, INDEX), (name, PACK)]) {
            let (from, to) = (file_of(packs, name, ending), file_of(folder, name, ending));
            match fs::rename(&from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(format!("remove {}", from.display()))(error));
                }
                _ => crash::point("packs: half of one removed"),
            }
        }
        Ok(())
    })
}

/// Does some work with a new folder that goes with all that is in it then; after a
/// crash `remove_leftovers` removes it.
fn beside_packs<T>(
    common_directory: &Path,
    run: &str,
    work: impl FnOnce(&Path, &Path) -> Result<T>,
) -> Result<T> {
    let objects = common_directory.join("objects");
    let folder = objects.join(holding::temporary_name(run));
    fs::create_dir(&folder).map_err(failed(format!("write to {}", objects.display())))?;
    let done = work(&folder, &objects.join(FOLDER));
    if let Err(error) = fs::remove_dir_all(&folder) {
        tracing::warn!(folder = %folder.display(), %error, "a temporary folder stays behind");
    }
    done
}

/// Removes what a dead host of the run was writing or removing, and lets go of what
/// it held.
pub(super) fn remove_leftovers(common_directory: &Path, run: &str) -> Result<()> {
    remove_those_of(common_directory, |owner| owner.run == run)
}

/// The same for all runs on which nobody is at work.
pub(super) fn remove_leftovers_of_the_dead(common_directory: &Path) -> Result<()> {
    remove_those_of(common_directory, |owner| {
        // An undo may be about to take its branch.
        let is_at_work = || lock::is_at_work(common_directory, &owner.run);
        !lock::is_alive(owner.process)
            && !is_at_work().unwrap_or_else(|error| {
                tracing::warn!("what a dead run may have left stays: {error}");
                true
            })
    })
}

fn remove_those_of(common_directory: &Path, theirs: impl Fn(&Owner) -> bool) -> Result<()> {
    let objects = common_directory.join("objects");
    let packs = objects.join(FOLDER);
    let step = || -> io::Result<()> {
        for folder in holding::temporary_folders(&objects, &theirs)? {
            match remove_halves(&folder, &packs).and_then(|()| fs::remove_dir_all(&folder)) {
                // Somebody else clears up, too.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        holding::release_all(&packs, &theirs)
    };
    step().map_err(failed(format!("remove what a dead process left in {}", objects.display())))
}

/// Of a pack that was on its way in or out, its index may lie in a host's folder and
/// the rest among the packs, where nobody sees it.
fn remove_halves(folder: &Path, packs: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let index = packs.join(&name);
        if index.extension().is_some_and(|ending| ending == INDEX) && !index.exists() {
            match fs::remove_file(index.with_extension(PACK)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The commits and what each added to the one before, each object once.
fn objects_of(
    git: &git2::Repository,
    start: Oid,
    commits: &[Oid],
) -> Result<Vec<Object>, git2::Error> {
    let mut before = git.find_commit(start)?.tree()?;
    let mut ids = Vec::new();
    for commit in commits {
        let tree = git.find_commit(*commit)?.tree()?;
        ids.push(*commit);
        new_objects(git, Some(&before), &tree, &mut ids)?;
        before = tree;
    }
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(*id));
    let odb = git.odb()?;
    let read = |id| odb.read(id).map(|object| (object.kind(), object.data().into()));
    ids.into_iter().map(read).collect()
}

fn move_pack(from: &Path, to: &Path, name: &str) -> Result<()> {
    let doing = || format!("write a pack through to the disk in {}", to.display());
    let step = || -> io::Result<()> {
        sync_all(&[&file_of(from, name, PACK), &file_of(from, name, INDEX)])?;
        // Git finds a pack by its index, so that comes last.
        for ending in [PACK, INDEX] {
            fs::rename(file_of(from, name, ending), file_of(to, name, ending))?;
            crash::point("landing: half of a pack moved");
        }
        sync_all(&[to])
    };
    step().map_err(|error| {
        Error::failed(format!("could not {}: {error}; is the disk full?", doing()))
    })
}

/// Where a pack lies in a folder, or its index.
pub(super) fn file_of(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("pack-{name}.{ending}"))
}
