//! Putting a checkout's folder to a commit, by writing only what differs from
//! what it is known to hold. Owns what of a worker's leavings may stay.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use git2::Oid;

use super::changes::Mode;
use super::compare::{Held, Stamp, Tracked, changed_files, lstat};
use super::contents::{at, clear, make_folder, write_new};
use super::folder::Folder;
use super::listing::list;
use super::path::{CheckoutPath, is_dot_git};
use super::tree::difference;

/// Makes the folder that of the target commit. The order matters: first the commit's own files, so that its `.gitignore`
/// files are back before they decide what is untracked.
pub(super) fn put_back(
    git: &git2::Repository,
    folder: &Folder,
    mut held: Held,
    target: Oid,
) -> io::Result<Held> {
    for found in changed_files(folder, &held)? {
        if let Some(tracked) = held.files.get_mut(&found.path) {
            tracked.stamp = None;
        }
    }
    let gone = retarget(git, &mut held, target).map_err(io::Error::other)?;
    remove_tracked(folder, &gone)?;
    write_missing(git, folder, &mut held)?;
    while remove_untracked(folder, &held)? {}
    held.trust_stamps();
    held.base = Some(target);
    Ok(held)
}

/// Makes the index that of the target; returns what it does not have any more.
fn retarget(
    git: &git2::Repository,
    held: &mut Held,
    target: Oid,
) -> Result<Vec<CheckoutPath>, git2::Error> {
    let tree_of = |id| git.find_commit(id)?.tree();
    let old = held.base.map(tree_of).transpose()?;
    let mut gone = Vec::new();
    for delta in difference(git, old.as_ref(), &tree_of(target)?)? {
        let path = std::str::from_utf8(&delta.path).ok();
        let Some(path) = path.and_then(|path| CheckoutPath::parse_file(path).ok()) else {
            let path = String::from_utf8_lossy(&delta.path);
            tracing::warn!(%path, "a name that no checkout may hold is left as it is in git");
            continue;
        };
        held.submodules.retain(|submodule| *submodule != path);
        match delta.new.map(|(id, mode)| (id, Mode::from_git(mode))) {
            Some((id, Some(mode))) => {
                held.files.insert(path, Tracked { id, mode, stamp: None });
                continue;
            }
            Some((_, None)) => held.submodules.push(path.clone()),
            None => {}
        }
        if held.files.remove(&path).is_some() {
            gone.push(path);
        }
    }
    Ok(gone)
}

/// Removes files that the base had. What they became meanwhile (a folder, or
/// something behind a link) is untracked, and goes with all that is.
fn remove_tracked(folder: &Folder, gone: &[CheckoutPath]) -> io::Result<()> {
    let mut real_folders = HashMap::new();
    for path in gone {
        let found = lstat(folder.directory(), path, &mut real_folders)?;
        if found.is_some_and(|metadata| !metadata.is_dir()) {
            clear(folder.directory(), path.as_path())?;
        }
    }
    Ok(())
}

fn write_missing(git: &git2::Repository, folder: &Folder, held: &mut Held) -> io::Result<()> {
    let directory = folder.directory();
    let mut made = HashSet::new();
    for (path, tracked) in held.files.iter_mut().filter(|(_, tracked)| tracked.stamp.is_none()) {
        if let Some(parent) = path.parent()
            && !made.contains(&parent)
        {
            make_folder(directory, &parent)?;
            made.insert(parent);
        }
        let blob = git.find_blob(tracked.id).map_err(io::Error::other)?;
        clear(directory, path.as_path())?;
        write_new(directory, path, tracked.mode, blob.content())?;
        let metadata = directory.symlink_metadata(path.as_path()).map_err(at(path))?;
        tracked.stamp = Some(Stamp::of(&metadata));
    }
    held.submodules.iter().try_for_each(|submodule| make_folder(directory, submodule))
}

/// Removes what is neither tracked nor ignored, every `.git`, and folders that
/// are left empty. Only the commit's own `.gitignore` files may say what stays:
/// another would hide what the next worker makes. Returns whether one of those
/// went, since what it named is to be looked at again.
fn remove_untracked(folder: &Folder, held: &Held) -> io::Result<bool> {
    let directory = folder.directory();
    let listing = list(folder, true)?;
    let mut ignore_files = listing.refused;
    let (mut doomed, mut folders): (Vec<&Path>, Vec<&Path>) = (Vec::new(), vec![Path::new("")]);
    for entry in &listing.entries {
        let Ok(relative) = entry.path().strip_prefix(folder.path()) else { continue };
        if doomed.last().is_some_and(|last| relative.starts_with(last)) {
            continue;
        }
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let named_git = entry.file_name().to_str().is_some_and(is_dot_git);
        match folder.path_of(entry) {
            Some(path) if !named_git && held.files.contains_key(&path) => {}
            Some(_) if !named_git && is_folder => folders.push(relative),
            _ => doomed.push(relative),
        }
    }
    doomed.iter().try_for_each(|path| clear(directory, path))?;
    let tracked: HashSet<&Path> = held.files.keys().map(CheckoutPath::as_path).collect();
    for ignore_file in folders.iter().map(|path| path.join(".gitignore")) {
        if !tracked.contains(ignore_file.as_path())
            && directory.symlink_metadata(&ignore_file).is_ok()
        {
            ignore_files.push(ignore_file);
        }
    }
    ignore_files.iter().try_for_each(|path| clear(directory, path))?;
    remove_empty(folder, held, &folders)?;
    let went = doomed.iter().any(|path| path.ends_with(".gitignore"));
    Ok(went || !ignore_files.is_empty())
}

/// Removes those folders that hold nothing, the deepest first.
fn remove_empty(folder: &Folder, held: &Held, folders: &[&Path]) -> io::Result<()> {
    let mut used: HashSet<&Path> =
        held.files.keys().filter_map(|path| path.as_path().parent()).collect();
    used.extend(held.submodules.iter().map(CheckoutPath::as_path));
    used.insert(Path::new(""));
    for path in folders.iter().rev().filter(|path| !used.contains(*path)) {
        match folder.directory().remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                return Err(at(path.display())(error));
            }
            _ => {}
        }
    }
    Ok(())
}
