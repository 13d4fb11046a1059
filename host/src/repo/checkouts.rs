//! Where a run's checkouts lie, and when their folders come and go.

#![expect(
    clippy::disallowed_methods,
    reason = "the folders that hold checkouts, not what is in them"
)]

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkout::{Checkout, HOME, TEMPORARY, beside};
use super::failed;
use super::folder::Folder;
use super::open::Repository;
use super::path::is_dot_git;
use super::references::run_reference;
use super::removal;
use crate::{Error, Result};

/// A checkout may hold what other users of the machine must not read.
const PRIVATE: u32 = 0o700;

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
}

impl RunFolder {
    /// Removes a folder of checkouts, whatever a worker has made of it.
    pub(super) fn remove(&self, folder: &Path) -> io::Result<()> {
        let (above, name) = above(folder)?;
        removal::remove(above.directory(), name)
    }

    /// Empties one that stays.
    pub(super) fn empty(&self, folder: &Path) -> io::Result<()> {
        let (above, name) = above(folder)?;
        removal::empty(above.directory(), name)
    }
}

/// The folder that this one lies in, and its name there.
fn above(folder: &Path) -> io::Result<(Folder, &Path)> {
    match (folder.parent(), folder.file_name()) {
        (Some(above), Some(name)) => Ok((Folder::open(above)?, Path::new(name))),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

impl Drop for RunFolder {
    /// A host that died may have left checkouts that nobody opened again.
    fn drop(&mut self) {
        if let Err(error) = self.remove(&self.path) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the folder of a run's checkouts could not be removed");
        }
    }
}

impl Checkouts {
    /// Makes `checkouts/RUN` in the cache folder, which may not lie inside the
    /// repository.
    pub fn new(repository: Repository, run: &str, cache_folder: &Path) -> Result<Self> {
        run_reference(run)?;
        let path = cache_folder.join("checkouts").join(run);
        refuse_inside(&repository, &path)?;
        make_private_folder(&path)?;
        let path = fs::canonicalize(&path).map_err(failed(format!("open {}", path.display())))?;
        refuse_inside(&repository, &path)?;
        Ok(Self { repository, run_folder: Arc::new(RunFolder { path }) })
    }

    /// Opens a slot's checkout. It holds nothing (or what a dead process left)
    /// until its first reset. A slot may be open once at a time.
    pub fn open(&self, slot: &str) -> Result<Checkout> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if slot.is_empty() || slot.starts_with('.') || !slot.chars().all(plain) || is_dot_git(slot)
        {
            return Err(Error::failed(format!("`{slot}` can't be the name of a slot")));
        }
        let path = self.run_folder.path.join(slot);
        make_private_folder(&path)?;
        let folder = Folder::open(&path).map_err(failed(format!("open {}", path.display())))?;
        Ok(Checkout::new(self.repository.clone(), folder, Arc::clone(&self.run_folder)))
    }
}

impl Checkouts {
    /// A slot's folder for temporary files, emptied.
    pub fn temporary(&self, slot: &str) -> Result<PathBuf> {
        let path = beside(&self.run_folder.path.join(slot), TEMPORARY);
        match self.run_folder.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(format!("empty {}", path.display()))(error));
            }
            _ => {}
        }
        make_private_folder(&path)?;
        Ok(path)
    }

    /// A slot's home folder, which is there as long as its checkout; a command may
    /// have closed it.
    pub fn home(&self, slot: &str) -> Result<PathBuf> {
        let path = beside(&self.run_folder.path.join(slot), HOME);
        make_private_folder(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(PRIVATE))
            .map_err(failed(format!("open {}", path.display())))?;
        Ok(path)
    }
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
