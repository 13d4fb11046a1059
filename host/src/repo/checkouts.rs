//! Where a run's checkouts lie, and when their folders come and go.

#![expect(
    clippy::disallowed_methods,
    reason = "the folders that hold checkouts, not what is in them"
)]

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ignore::WalkBuilder;

use super::checkout::{BESIDE, Checkout, HOME, TEMPORARY, beside};
use super::folder::Folder;
use super::open::Repository;
use super::path::is_dot_git;
use super::references::run_reference;
use super::removal;
use super::{failed, pack};
use crate::{Error, Result};

/// A checkout may hold what other users of the machine must not read.
const PRIVATE: u32 = 0o700;
/// Below the cache folder.
const FOLDER: &str = "checkouts";
/// Marks checkouts that are to stay; no slot's name begins with a dot.
const KEPT: &str = ".kept";
/// The unit in which a file system counts what a file takes.
const BLOCK: u64 = 512;
/// A dead run's folder that is just being removed is waited for so often, so
/// far apart.
const TRIES: u32 = 1000;
/// So many folders of one slot at most: each but the last is one that could not
/// be removed, or in which somebody still works.
const MOST_FOLDERS: u32 = 10_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A run's checkouts. Their common folder is removed when this and the last of
/// them are gone.
#[derive(Debug)]
pub struct Checkouts {
    repository: Repository,
    run_folder: Arc<RunFolder>,
}

/// The folder that holds a run's checkouts.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// The run's id.
    run: String,
    /// Held by whoever has git keep something.
    keeping: Mutex<()>,
    /// Whether the checkouts stay when nobody works in them any more.
    keep: bool,
    /// Locked as long as the host lives: who can lock it has found a dead one's.
    lock: File,
}

impl RunFolder {
    /// Makes the folder, or finds the one of a host that died.
    fn open(path: PathBuf, run: &str, keep: bool) -> Result<Self> {
        let doing = || format!("open the folder {}", path.display());
        for _ in 0..TRIES {
            make_private_folder(&path)?;
            let lock = File::open(&path).map_err(failed(doing()))?;
            match lock.try_lock() {
                // Another run may just have removed it as a dead one's.
                Ok(()) if is_at(&lock, &path).map_err(failed(doing()))? => {
                    if keep {
                        // A host that dies has no time for it.
                        fs::write(path.join(KEPT), "").map_err(failed(doing()))?;
                    }
                    let run = run.to_owned();
                    return Ok(Self { path, run, keeping: Mutex::default(), keep, lock });
                }
                Ok(()) | Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(error)) => return Err(failed(doing())(error)),
            }
        }
        Err(Error::failed(format!(
            "the folder {} is in use by another code-agent; wait for that and resume the run",
            path.display()
        )))
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Waits until nobody else of the run keeps something.
    pub(super) fn keeping(&self) -> MutexGuard<'_, ()> {
        // It guards nothing that a panic could leave half done.
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what a dead host has left. A process of its may live and write there
    /// still; what can't be removed is nobody's checkout any more.
    fn clear(&self) -> Result<()> {
        let doing = || format!("look for leftovers in {}", self.path.display());
        for entry in fs::read_dir(&*self.path).map_err(failed(doing()))? {
            let path = entry.map_err(failed(doing()))?.path();
            if self.keep && path.ends_with(KEPT) {
                continue;
            }
            if let Err(error) = remove(&path) {
                tracing::warn!(path = %path.display(), %error, "a leftover could not be removed");
            }
        }
        Ok(())
    }

    /// Makes a folder for a slot that nobody has ever had: what was started in
    /// another one of the slot may go on to write there.
    fn make(&self, slot: &str) -> Result<PathBuf> {
        for number in 1..=MOST_FOLDERS {
            let name = if number == 1 { slot.to_owned() } else { format!("{slot}.{number}") };
            let path = self.path.join(name);
            let made = match BESIDE.iter().any(|ending| beside(&path, ending).exists()) {
                true => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
                false => DirBuilder::new().mode(PRIVATE).create(&path),
            };
            match made {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(format!("make {}", path.display()))(error)),
            }
        }
        Err(Error::failed(format!(
            "there are {MOST_FOLDERS} folders of the slot {slot} in {}; remove them",
            self.path.display()
        )))
    }

    /// Removes a slot's checkout, unless it is to stay.
    pub(super) fn close(&self, folder: &Path) -> io::Result<()> {
        if self.keep { Ok(()) } else { remove(folder) }
    }
}

impl Drop for RunFolder {
    /// A host that died may have left checkouts that nobody opened again.
    fn drop(&mut self) {
        let path = self.path.display();
        let done = if self.keep { Ok(()) } else { remove(&self.path) };
        if let Err(error) = done {
            tracing::warn!(%path, %error, "the folder of a run's checkouts could not be removed");
        }
        // To close the file is not enough while a command that is just being
        // started has a copy of it.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%path, %error, "a folder's lock goes only with this process");
        }
    }
}

/// Removes a folder of checkouts, whatever a worker has made of it.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let (above, name) = above(folder)?;
    removal::remove(above.directory(), name)
}

/// Empties one that stays.
pub(super) fn empty(folder: &Path) -> io::Result<()> {
    let (above, name) = above(folder)?;
    removal::empty(above.directory(), name)
}

/// The folder that this one lies in, and its name there.
fn above(folder: &Path) -> io::Result<(Folder, &Path)> {
    match (folder.parent(), folder.file_name()) {
        (Some(above), Some(name)) => Ok((Folder::open(above)?, Path::new(name))),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

/// Whether the opened folder is still the one that has this name.
fn is_at(folder: &File, path: &Path) -> io::Result<bool> {
    let opened = folder.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the checkouts that a run has left, also those that it was to keep;
/// returns whether there were any. Those of a host that lives stay.
pub fn remove_checkouts(cache_folder: &Path, run: &str) -> Result<bool> {
    run_reference(run)?;
    let path = cache_folder.join(FOLDER).join(run);
    remove_dead(&path).map_err(failed(format!("remove the checkouts in {}", path.display())))
}

/// Removes a folder whose host is gone; false where there is none, or it lives.
fn remove_dead(path: &Path) -> io::Result<bool> {
    let folder = match File::open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match folder.try_lock() {
        Ok(()) if is_at(&folder, path)? => remove(path).map(|()| true),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Checkouts {
    /// Makes `checkouts/RUN` in the cache folder, which may not lie inside the
    /// repository, and removes what dead runs of this repository left there and in
    /// git's folder. With
    /// `keep`, the checkouts stay when the run has ended.
    pub fn new(repository: Repository, run: &str, cache_folder: &Path, keep: bool) -> Result<Self> {
        run_reference(run)?;
        let path = cache_folder.join(FOLDER).join(run);
        refuse_inside(&repository, &path)?;
        make_private_folder(&path)?;
        let path = fs::canonicalize(&path).map_err(failed(format!("open {}", path.display())))?;
        refuse_inside(&repository, &path)?;
        let run_folder = Arc::new(RunFolder::open(path, run, keep)?);
        run_folder.clear()?;
        remove_leftovers(&repository, &run_folder)?;
        pack::remove_leftovers_of_the_dead(repository.common_directory())?;
        Ok(Self { repository, run_folder })
    }

    /// The folder that holds them all.
    pub fn folder(&self) -> &Path {
        &self.run_folder.path
    }

    /// The same, where they stay at the end.
    pub fn kept(&self) -> Option<&Path> {
        self.run_folder.keep.then_some(&*self.run_folder.path)
    }

    /// Whether a file, by where it really lies, is in this or another run's checkouts
    /// or beside them, where commands write.
    pub fn are_around(&self, file: &Path) -> bool {
        self.run_folder.path.parent().is_some_and(|folder| file.starts_with(folder))
    }

    /// How many bytes of disk they take, temporary files of commands included.
    pub fn disk_use(&self) -> u64 {
        let entries = WalkBuilder::new(&self.run_folder.path)
            .standard_filters(false)
            .follow_links(false)
            .build();
        // What goes away or can't be looked at meanwhile is not counted.
        let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok());
        sizes.map(|metadata| metadata.blocks() * BLOCK).sum()
    }

    /// Opens a slot's checkout, in a folder of its own that holds nothing until its
    /// first reset.
    pub fn open(&self, slot: &str) -> Result<Checkout> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if slot.is_empty() || slot.starts_with('.') || !slot.chars().all(plain) || is_dot_git(slot)
        {
            return Err(Error::failed(format!("`{slot}` can't be the name of a slot")));
        }
        let path = self.run_folder.make(slot)?;
        let folder = Folder::open(&path).map_err(failed(format!("open {}", path.display())))?;
        Ok(Checkout::new(self.repository.clone(), folder, Arc::clone(&self.run_folder)))
    }
}

impl Checkout {
    /// The folder beside it for temporary files, emptied.
    pub fn temporary(&self) -> Result<PathBuf> {
        let path = beside(self.folder().path(), TEMPORARY);
        match remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(format!("empty {}", path.display()))(error));
            }
            _ => {}
        }
        make_private_folder(&path)?;
        Ok(path)
    }

    /// The home folder beside it, which is there as long as it is; a command may
    /// have closed it.
    pub fn home(&self) -> Result<PathBuf> {
        let path = beside(self.folder().path(), HOME);
        make_private_folder(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(PRIVATE))
            .map_err(failed(format!("open {}", path.display())))?;
        Ok(path)
    }
}

/// Removes the checkouts of runs of this repository whose host is gone, but
/// for those that were to stay.
fn remove_leftovers(repository: &Repository, own: &RunFolder) -> Result<()> {
    let Some(folder) = own.path.parent() else { return Ok(()) };
    let doing = || format!("look for leftovers in {}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed(doing()))? {
        let path = entry.map_err(failed(doing()))?.path();
        let run = path.file_name().and_then(|name| name.to_str());
        let is_ours = run.is_some_and(|run| run != own.run && repository.tip(run).is_ok());
        if !is_ours || path.join(KEPT).exists() {
            continue;
        }
        // They are in nobody's way but the disk's.
        match remove_dead(&path) {
            Ok(true) => tracing::info!("removed the checkouts of a dead run, {}", path.display()),
            Ok(false) => {}
            Err(error) => tracing::warn!("{} could not be removed: {error}", path.display()),
        }
    }
    Ok(())
}

/// Checkouts inside the repository would turn up in the user's `git status`.
fn refuse_inside(repository: &Repository, path: &Path) -> Result<()> {
    if path.starts_with(repository.top()) || path.starts_with(repository.common_directory()) {
        return Err(Error::usage(format!(
            "the folder for checkouts, {}, lies inside the repository; set XDG_CACHE_HOME to a \
             folder outside of it",
            path.display()
        )));
    }
    Ok(())
}

fn make_private_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(path)
        .map_err(failed(format!("make the folder {}", path.display())))
}
