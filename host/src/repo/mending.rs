//! Taking a working tree back to its HEAD that a move has left half done: what the
//! move wrote goes, what it replaced or removed comes back, and what a person has
//! changed since is left alone. Who moves it, and when, is others' business.

#![expect(clippy::disallowed_methods, reason = "the user's working tree is no checkout")]

use std::fs;
use std::io;
use std::path::Path;

use git2::build::CheckoutBuilder;
use git2::{IndexEntry, ObjectType, Oid, Tree};

use super::attributes::ATTRIBUTES;
use super::changes::Mode;
use super::draft::MEMORY_FIRST;
use super::path::CheckoutPath;
use super::tree::{difference, index_entry};
use super::worktrees::{self, Holder};
use super::{failed, patience};
use crate::{Error, Result};

/// Git's mode of a submodule.
const SUBMODULE: i32 = 0o160_000;

/// Takes the tree back after a move that has just failed. An error says that it
/// still stands between two commits.
pub(super) fn take_back_now(holder: &Holder, to: Oid) -> Result<()> {
    let git = worktrees::open(holder)?;
    let lock = git.path().join("index.lock");
    let outcome = match patience::is_free(&lock) {
        true => take_back(holder, to).and_then(|_| worktrees::dirt(&git)),
        // It may be alive, so it is not ours to remove.
        false => Ok(Some(format!("{} is in the way", lock.display()))),
    };
    match outcome {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(stands_between(holder, to, &why)),
        Err(error) => Err(stands_between(holder, to, &error.to_string())),
    }
}

/// The same after a host that died. A person may have been at work since: what they
/// changed elsewhere is theirs, but where something of the move may be left, its mark
/// has to stay.
pub(super) fn take_back_later(holder: &Holder, to: Oid) -> Result<()> {
    let left = take_back(holder, to)?;
    if left.is_empty() {
        return Ok(());
    }
    let why = format!("there are changes ({})", worktrees::name_some(&left));
    Err(stands_between(holder, to, &why))
}

fn stands_between(holder: &Holder, to: Oid, why: &str) -> Error {
    Error::failed(format!(
        "the working tree at {} was half moved to {to} and could not be taken back ({why}). Commit \
         nothing there; mend what is in the way, and `code-agent resume` of the run takes it back, \
         as its undo does",
        holder.top.display()
    ))
}

/// Takes back each file that the move to `to` was to write and that is as it was
/// to be, or the beginning of it. All are looked at before one is changed, for
/// files, links and folders may have taken each other's places. Returns which of
/// them are not as HEAD has them, for a person has changed them.
fn take_back(holder: &Holder, to: Oid) -> Result<Vec<String>> {
    let git = worktrees::open(holder)?;
    let doing = || format!("mend the working tree at {}", holder.top.display());
    let head = git.head().and_then(|head| head.peel_to_tree()).map_err(failed(doing()))?;
    let target = git.find_commit(to).and_then(|commit| commit.tree()).map_err(failed(doing()))?;
    let deltas = difference(&git, Some(&head), &target).map_err(failed(doing()))?;
    let (mut back, mut new) = (Vec::new(), Vec::new());
    let aside = worktrees::open(holder)?;
    let odb = aside.odb().map_err(failed(doing()))?;
    let _in_memory = odb.add_new_mempack_backend(MEMORY_FIRST).map_err(failed(doing()))?;
    for delta in &deltas {
        let Ok(name) = std::str::from_utf8(&delta.path) else { continue };
        if !is_half_moved(&aside, &holder.top, name, delta.new).map_err(failed(doing()))? {
            continue;
        }
        if is_leaf(&head, name) { back.push(name) } else { new.push(name) }
    }
    remove_new(&git, &holder.top, &new).map_err(failed(doing()))?;
    // What the attributes say of a file is what they say when it is written.
    let (attributes, others): (Vec<&str>, Vec<&str>) =
        back.into_iter().partition(|name| name.ends_with(ATTRIBUTES));
    for back in [attributes, others] {
        restore(&git, &holder.top, &head, &back).map_err(failed(doing()))?;
    }
    let mut left = worktrees::changed(&git)?;
    left.retain(|name| {
        deltas.binary_search_by(|delta| delta.path.as_slice().cmp(name.as_bytes())).is_ok()
    });
    Ok(left)
}

/// Whether a commit has a file, a link or a submodule there.
fn is_leaf(tree: &Tree<'_>, name: &str) -> bool {
    tree.get_path(Path::new(name)).is_ok_and(|entry| entry.kind() != Some(ObjectType::Tree))
}

/// What lies at a path of the working tree.
enum Found {
    Nothing,
    Folder,
    /// A link's text.
    Link(Vec<u8>),
    /// A file's bytes.
    File(Vec<u8>),
}

/// Whether the path is as the move leaves it: a file holds what it is to hold, or
/// the beginning of that; one that goes, or makes way for a folder or a submodule,
/// is gone. What is written for a commit's file is git's to say: attributes and the
/// user's config may give it other line ends, or an id within. `git` writes into
/// nothing but its memory.
fn is_half_moved(
    git: &git2::Repository,
    top: &Path,
    name: &str,
    new: Option<(Oid, i32)>,
) -> Result<bool, git2::Error> {
    let found = found_at(top, name);
    Ok(match (new.filter(|(_, mode)| *mode != SUBMODULE), found) {
        (Some((id, _)), Found::Link(text)) => git.find_blob(id)?.content().starts_with(&text),
        (Some((id, _)), Found::File(bytes)) => {
            let blob = git.find_blob(id)?;
            blob.content().starts_with(&bytes)
                || blob.content().starts_with(&with_line_feeds(&bytes))
                // What git refuses to take in is nothing that it wrote.
                || git.blob_path(&top.join(name)).is_ok_and(|held| held == id)
        }
        (Some(_), Found::Nothing | Found::Folder) => false,
        (None, Found::Link(_) | Found::File(_)) => false,
        (None, Found::Nothing | Found::Folder) => true,
    })
}

/// The text as git keeps it, if it was written with a carriage return before each
/// line feed; the last one may not have come.
fn with_line_feeds(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    lines.join(&b'\n')
}

/// Where a link stands on the way, nothing lies there: what is behind it is
/// another file.
fn found_at(top: &Path, name: &str) -> Found {
    if !has_folders(top, name) {
        return Found::Nothing;
    }
    let file = top.join(name);
    let found = match fs::symlink_metadata(&file) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::read_link(&file).map(|link| Found::Link(link.into_os_string().into_encoded_bytes()))
        }
        Ok(metadata) if metadata.is_file() => fs::read(&file).map(Found::File),
        Ok(_) => Ok(Found::Folder),
        Err(error) => Err(error),
    };
    found.unwrap_or(Found::Nothing)
}

/// Whether all that lies on the way to a path are folders.
fn has_folders(top: &Path, name: &str) -> bool {
    folders_of(name).all(|folder| is_folder(&top.join(folder)))
}

/// The folders on the way to a path, the nearest first.
fn folders_of(name: &str) -> impl Iterator<Item = &Path> {
    Path::new(name).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Removes what the move added, from the index too, and the folders that it made
/// for that.
fn remove_new(git: &git2::Repository, top: &Path, names: &[&str]) -> Result<(), git2::Error> {
    let mut index = git.index()?;
    let mut changed = false;
    for name in names {
        let file = top.join(name);
        let removed = match is_folder(&file) {
            // A submodule's; what somebody has put there stays.
            true => fs::remove_dir(&file).or(Ok(())),
            false => fs::remove_file(&file),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(git2::Error::from_str(&error.to_string()));
            }
            _ => {}
        }
        for folder in folders_of(name) {
            // One that holds something else stays.
            if fs::remove_dir(top.join(folder)).is_err() {
                break;
            }
        }
        if index.get_path(Path::new(name), 0).is_some() {
            index.remove_path(Path::new(name))?;
            changed = true;
        }
    }
    if changed { index.write() } else { Ok(()) }
}

/// Writes what HEAD has at these paths, but where somebody's own files have taken
/// the place.
fn restore(
    git: &git2::Repository,
    top: &Path,
    head: &Tree<'_>,
    names: &[&str],
) -> Result<(), git2::Error> {
    let mut back = CheckoutBuilder::new();
    back.force().disable_pathspec_match(true).remove_untracked(false);
    let mut any = false;
    for name in names {
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir());
        if folders_of(name).any(|folder| is_file(&top.join(folder))) {
            continue;
        }
        let (file, entry) = (top.join(name), head.get_path(Path::new(name))?);
        if entry.kind() == Some(ObjectType::Commit) {
            restore_submodule(git, &file, name, entry.id())?;
        } else if !is_folder(&file) || fs::remove_dir(&file).is_ok() {
            back.path(*name);
            any = true;
        }
    }
    if any { git.checkout_tree(head.as_object(), Some(&mut back)) } else { Ok(()) }
}

/// libgit2 looks at a submodule's folder alone, and leaves what the index says.
fn restore_submodule(
    git: &git2::Repository,
    folder: &Path,
    name: &str,
    commit: Oid,
) -> Result<(), git2::Error> {
    fs::create_dir_all(folder).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    let mut index = git.index()?;
    if let Ok(path) = CheckoutPath::parse_file(name) {
        let entry = index_entry(&path, Mode::File, commit);
        index.add(&IndexEntry { mode: SUBMODULE.cast_unsigned(), ..entry })?;
    }
    index.write()
}

#[cfg(test)]
#[path = "mending_tests.rs"]
mod tests;
