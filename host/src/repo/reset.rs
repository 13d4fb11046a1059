//! Putting a checkout's folder to a commit, by writing only what differs from
//! what it is known to hold. Owns what of a worker's leavings may stay.

use std::collections::{BTreeSet, HashMap};
use std::io;

use git2::Oid;

use super::changes::Mode;
use super::compare::{Held, Tracked, is_absent, is_same, lstat, mode_of};
use super::contents::{at, clear, make_folder};
use super::filling::{Wanted, write_files};
use super::folder::Folder;
use super::path::CheckoutPath;
use super::scan::{Obeyed, Untracked, scan};
use super::touched::{Touched, is_ignore_file};
use super::tree::difference;

/// What becomes of new files that neither the commit has nor its `.gitignore`
/// files name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leavings {
    /// They go.
    Removed,
    /// They stay, unless something of the commit lies in their place.
    Kept,
}

/// Makes the folder that of the target commit, by a look at what may have
/// changed since it was put to `held` and at what differs between the two.
pub(super) fn put_back(
    git: &git2::Repository,
    folder: &Folder,
    mut held: Held,
    touched: Touched,
    leavings: Leavings,
    target: Oid,
) -> io::Result<Held> {
    let touched = if held.base.is_none() { Touched::Anything } else { touched };
    let moved = retarget(git, &mut held, target).map_err(io::Error::other)?;
    let touched = touched.and(&moved);
    remove_moved(folder, &held, &moved)?;
    if !matches!(touched, Touched::Paths(_)) {
        write_ignore_files(git, folder, &mut held)?;
    }
    let found = scan(folder, &held, &touched, Obeyed::OfBase)?;
    let leavings = if leavings == Leavings::Kept { &[] } else { found.untracked.as_slice() };
    for untracked in leavings.iter().filter(|untracked| !untracked.is_folder) {
        clear(folder.directory(), &untracked.path)?;
    }
    found.proven.iter().for_each(|(path, stamp)| held.note(path, *stamp));
    let missing: Vec<CheckoutPath> = found.changed.into_iter().map(|found| found.path).collect();
    write_all(git, folder, &mut held, &missing)?;
    remove_empty(folder, &held, &found.untracked)?;
    held.trust_stamps();
    held.base = Some(target);
    Ok(held)
}

/// Makes the index that of the target; returns the paths in which that differs
/// from the base.
fn retarget(
    git: &git2::Repository,
    held: &mut Held,
    target: Oid,
) -> Result<Vec<CheckoutPath>, git2::Error> {
    let tree_of = |id| git.find_commit(id)?.tree();
    let old = held.base.map(tree_of).transpose()?;
    let mut moved = Vec::new();
    for delta in difference(git, old.as_ref(), &tree_of(target)?)? {
        let path = std::str::from_utf8(&delta.path).ok();
        let Some(path) = path.and_then(|path| CheckoutPath::parse_file(path).ok()) else {
            let path = String::from_utf8_lossy(&delta.path);
            tracing::warn!(%path, "a name that no checkout may hold is left as it is in git");
            continue;
        };
        held.submodules.retain(|submodule| *submodule != path);
        held.files.remove(&path);
        match delta.new.map(|(id, mode)| (id, Mode::from_git(mode))) {
            Some((id, Some(mode))) => {
                held.files.insert(path.clone(), Tracked { id, mode, stamp: None });
            }
            Some((_, None)) => held.submodules.push(path.clone()),
            None => {}
        }
        moved.push(path);
    }
    Ok(moved)
}

/// Removes files that the base had and the target has not, also where a
/// `.gitignore` names them. What they became meanwhile (a folder, or something
/// behind a link) is untracked, and goes with all that is.
fn remove_moved(folder: &Folder, held: &Held, moved: &[CheckoutPath]) -> io::Result<()> {
    let mut real_folders = HashMap::new();
    for path in moved.iter().filter(|path| !held.files.contains_key(*path)) {
        let found = lstat(folder.directory(), path, &mut real_folders)?;
        if found.is_some_and(|metadata| !metadata.is_dir()) {
            clear(folder.directory(), path.as_path())?;
        }
    }
    Ok(())
}

/// The commit's own `.gitignore` files come first, for they say what of the
/// rest is untracked.
fn write_ignore_files(git: &git2::Repository, folder: &Folder, held: &mut Held) -> io::Result<()> {
    let mut real_folders = HashMap::new();
    let mut missing = Vec::new();
    for (path, tracked) in held.files.iter().filter(|(path, _)| is_ignore_file(path)) {
        let metadata = lstat(folder.directory(), path, &mut real_folders)?;
        let found = metadata.as_ref().and_then(|metadata| Some((mode_of(metadata)?, metadata)));
        let is_there = match found {
            Some((mode, metadata)) => {
                is_same(folder.directory(), path, tracked, mode, metadata, held)?.is_some()
            }
            None => false,
        };
        if !is_there {
            missing.push(path.clone());
        }
    }
    write_all(git, folder, held, &missing)
}

/// Writes these files of the commit, whatever lies in their places.
fn write_all(
    git: &git2::Repository,
    folder: &Folder,
    held: &mut Held,
    paths: &[CheckoutPath],
) -> io::Result<()> {
    let directory = folder.directory();
    let wanted = |path| {
        let tracked = held.files.get(path)?;
        Some(Wanted { path, id: tracked.id, mode: tracked.mode })
    };
    let wanted: Vec<Wanted<'_>> = paths.iter().filter_map(wanted).collect();
    let above: BTreeSet<_> = wanted.iter().filter_map(|file| file.path.parent()).collect();
    above.iter().try_for_each(|folder| make_folder(directory, folder))?;
    let stamps = write_files(git, directory, &wanted)?;
    wanted.iter().zip(stamps).for_each(|(file, stamp)| held.note(file.path, stamp));
    held.submodules.iter().try_for_each(|submodule| make_folder(directory, submodule))
}

/// Removes those folders that hold nothing, the deepest first.
fn remove_empty(folder: &Folder, held: &Held, untracked: &[Untracked]) -> io::Result<()> {
    for found in untracked.iter().rev().filter(|found| found.is_folder) {
        let is_submodule = |submodule: &CheckoutPath| submodule.as_path() == found.path;
        if held.submodules.iter().any(is_submodule) {
            continue;
        }
        match folder.directory().remove_dir(&found.path) {
            Err(error) if is_absent(&error) => {}
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                return Err(at(found.path.display())(error));
            }
            _ => {}
        }
    }
    Ok(())
}
