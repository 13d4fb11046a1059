//! A checkout: a folder without `.git` that holds one commit's files and what a
//! worker made of them. Owns the folder's life and what may be read of it; `reset`
//! puts it to a commit, `compare` finds what differs, `views` shows it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::changes::{Change, ChangeKind, Changes};
use super::checkouts::{RunFolder, empty, remove};
use super::compare::{Difference, Found, Held, differences};
use super::contents::{clear, make_folder, read_contents, write_over};
use super::filters::Filtered;
use super::folder::Folder;
use super::hidden::hidden;
use super::left_out::{Why, grouped};
use super::new_keys::{NewKey, new_among, suspects};
use super::open::Repository;
use super::path::CheckoutPath;
use super::reset::{Leavings, put_back};
use super::touched::Touched;
use super::written::Written;
use super::{commit_id, failed, kept};
use crate::types::CallError;
use crate::{Error, Result};

/// The largest file that lands, in bytes.
const LARGEST_FILE: u64 = 50 * 1024 * 1024;
/// The most that one landing may hold, in bytes: it is kept in memory.
const LARGEST_CHANGES: u64 = 256 * 1024 * 1024;
/// The most files that one landing may write; nobody reads more in one commit.
const MOST_FILES: usize = 10_000;

/// What a slot's folders beside its checkout end with: its temporary files, the
/// home of its commands, and where their root is built.
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const HOME: &str = "home";
const ROOT: &str = "root";
pub(super) const BESIDE: [&str; 3] = [TEMPORARY, HOME, ROOT];

/// One slot's checkout. Its folder, and those beside it, are removed when it is
/// dropped.
#[derive(Debug)]
pub struct Checkout {
    repository: Repository,
    folder: Folder,
    held: Mutex<Held>,
    touched: Mutex<Touched>,
    written: Mutex<Written>,
    run_folder: Arc<RunFolder>,
}

impl Checkout {
    pub(super) fn new(repository: Repository, folder: Folder, run_folder: Arc<RunFolder>) -> Self {
        let (held, touched, written) = Default::default();
        Self { repository, folder, held, touched, written, run_folder }
    }

    /// The checkout's folder, for tools.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Says that a tool is about to write at this path, with its links followed.
    /// What nobody has said of is not looked at before the next command.
    pub fn note(&self, path: &CheckoutPath) {
        self.touched().note(path);
        self.written().note(path);
    }

    /// Where a command runs. From now on anything may have changed; for good,
    /// where what the command starts may go on after its end.
    pub fn folder_for_command(&self, lasting: bool) -> &Path {
        self.touched().note_command(lasting);
        self.written().settle(self.folder.directory());
        self.folder.path()
    }

    /// The commit that the checkout stands on; empty before the first reset and
    /// after one that failed.
    pub fn base(&self) -> String {
        self.held().base.map(|base| base.to_string()).unwrap_or_default()
    }

    /// Makes the folder hold exactly the commit's files, as they are in git (no
    /// filters), and what the commit's `.gitignore` files name. Writes only what
    /// differs; where that fails for any reason, the folder is emptied, ignored
    /// files included, and all is written anew.
    pub fn reset(&self, commit: &str) -> Result<()> {
        self.stand_on(commit, Leavings::Removed)?;
        self.touched().settle();
        Ok(())
    }

    /// The same after a landing in the middle of a task: new files that did not
    /// land stay.
    pub fn follow(&self, commit: &str) -> Result<()> {
        let touched = self.touched().clone();
        self.written().settle(self.folder.directory());
        let mut written = std::mem::take(&mut *self.written());
        self.stand_on(commit, Leavings::Kept)?;
        *self.touched() = touched;
        let held = self.held();
        written.forget(|path| held.files.contains_key(path));
        *self.written() = written;
        Ok(())
    }

    fn stand_on(&self, commit: &str, leavings: Leavings) -> Result<()> {
        let target = commit_id(commit)?;
        let mut held = self.held();
        let known = std::mem::take(&mut *held);
        let path = self.folder.path().display();
        let touched = std::mem::take(&mut *self.touched());
        if touched == Touched::AnythingEver {
            self.touched().note_command(true);
        }
        *self.written() = Written::default();
        let folder = &self.folder;
        *held = self.repository.with_git(|git| {
            let done = put_back(git, folder, known, touched, leavings, target).or_else(|error| {
                tracing::warn!(%path, %error, "a checkout is broken and made anew");
                empty(folder.path())?;
                let known = Held::default();
                put_back(git, folder, known, Touched::Anything, Leavings::Removed, target)
            });
            done.map_err(failed(format!("put the checkout {path} to commit {commit}")))
        })?;
        Ok(())
    }

    /// What differs from the base, with all bytes. Of the files that the base
    /// does not have, those count that a tool wrote or that are `wanted`; the
    /// others are left out.
    pub fn changes(&self, wanted: impl Fn(&CheckoutPath) -> bool) -> Result<Changes, CallError> {
        self.changes_with(&[], wanted)
    }

    /// The same; what cannot land of what these paths name is told with what is left
    /// out, as it is of what tools wrote.
    pub fn changes_with(
        &self,
        named: &[CheckoutPath],
        wanted: impl Fn(&CheckoutPath) -> bool,
    ) -> Result<Changes, CallError> {
        let held = self.held();
        let root = self.repository.root();
        let found = self.differences(&held).map_err(|error| unavailable(&error))?;
        let mut hidden = self.hidden(&held, &found.differing, named)?;
        let mut in_submodules = found.in_submodules;
        for paths in [&mut hidden, &mut in_submodules] {
            paths.retain(|path| path.is_within(root));
        }
        let (inside, outside): (Vec<_>, Vec<_>) =
            found.differing.into_iter().partition(|found| found.path.is_within(root));
        let (landing, unwanted): (Vec<_>, Vec<_>) = {
            let written = self.written();
            let lands = |found: &Difference| {
                found.tracked || written.covers(&found.path) || wanted(&found.path)
            };
            inside.into_iter().partition(lands)
        };
        let unwanted = unwanted.into_iter().map(|found| found.path).collect::<Vec<_>>();
        let told = |paths: &[CheckoutPath], why| {
            let landing = landing.iter().map(|found| &found.path);
            grouped(paths, why, landing, |folder| held.is_used(folder))
        };
        let mut left_out = told(&hidden, Why::Ignored);
        left_out.extend(told(&in_submodules, Why::InSubmodule));
        left_out.extend(told(&unwanted, Why::Unwanted));
        let files = landing.iter().filter(|found| found.mode.is_some()).count();
        if files > MOST_FILES {
            return Err(too_many(files));
        }
        let changes = self.read(landing)?;
        let outside = outside.into_iter().map(|found| found.path).collect();
        Ok(Changes { changes, outside, left_out })
    }

    /// What in the changes looks like a key that the base does not have.
    pub fn new_keys(&self, changes: &Changes) -> Result<Vec<NewKey>> {
        let suspects = suspects(&changes.changes);
        if suspects.is_empty() {
            return Ok(Vec::new());
        }
        let git = self.repository.git()?;
        let held = self.held();
        let old = |path: &CheckoutPath| held.files.get(path).map(|tracked| tracked.id);
        new_among(&suspects, &git, old, &changes.changes)
            .map_err(failed("look for keys in what changed"))
    }

    /// What in the changes git would pass through a program of the user's.
    pub fn filtered(&self, changes: &Changes) -> Result<Vec<Filtered>> {
        let held = self.held();
        let blob = |name: &str| held.files.get(name).map(|tracked| tracked.id);
        self.repository.filtered_changes(&changes.changes, blob)
    }

    /// Writes these changes into the checkout, as if a tool had: folders that are
    /// in a file's place go.
    pub fn lay(&self, changes: &[Change]) -> Result<()> {
        let directory = self.folder.directory();
        let lay = |change: &Change| {
            self.note(&change.path);
            let ChangeKind::Written { mode, bytes } = &change.kind else {
                return clear(directory, change.path.as_path());
            };
            if let Some(parent) = change.path.parent() {
                make_folder(directory, &parent)?;
            }
            write_over(directory, &change.path, *mode, bytes).map(drop)
        };
        // What goes makes room for what comes.
        let (removed, written): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.kind == ChangeKind::Removed);
        let path = self.folder.path().display();
        let laid = removed.into_iter().chain(written).try_for_each(lay);
        laid.map_err(failed(format!("write into the checkout {path}")))
    }

    /// Has git keep these bytes; returns the blob's id.
    pub fn keep(&self, bytes: &[u8]) -> Result<String> {
        let _alone = self.run_folder.keeping();
        kept::keep(&self.repository, self.run_folder.run(), bytes)
    }

    /// Empties the folder, ignored files included, and the home beside it.
    pub fn start_anew(&self) -> Result<()> {
        let mut held = self.held();
        *held = Held::default();
        self.touched().note_command(false);
        let path = self.folder.path();
        let emptied = empty(path).and_then(|()| match remove(&beside(path, HOME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        });
        emptied.map_err(failed(format!("empty the checkout {}", path.display())))
    }

    /// Which of the files that the checkout stands on have one of these names, and
    /// git's ids of what they hold.
    pub fn tracked(&self, names: &[&str]) -> BTreeMap<String, String> {
        let held = self.held();
        let named = held.files.iter().filter(|(path, _)| {
            path.as_str().rsplit('/').next().is_some_and(|name| names.contains(&name))
        });
        named.map(|(path, tracked)| (path.as_str().to_owned(), tracked.id.to_string())).collect()
    }

    /// Removes the folder.
    pub fn close(self) {
        drop(self);
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        // A panic can't leave half a state: it is taken out and put back whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        // Whole at any time, whoever panicked.
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // The same.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hidden(
        &self,
        held: &Held,
        found: &[Difference],
        named: &[CheckoutPath],
    ) -> Result<Vec<CheckoutPath>, CallError> {
        let path = self.folder.path().display();
        hidden(self.folder.directory(), held, found, &self.written(), named)
            .map_err(failed(format!("look for what is ignored in the checkout {path}")))
            .map_err(|error| unavailable(&error))
    }

    pub(super) fn differences(&self, held: &Held) -> Result<Found> {
        let path = self.folder.path().display();
        let touched = self.touched().clone();
        differences(&self.folder, held, &touched)
            .map_err(failed(format!("find what changed in the checkout {path}")))
    }

    /// Reads what is there now, up to the bounds.
    pub(super) fn read(&self, differences: Vec<Difference>) -> Result<Vec<Change>, CallError> {
        let mut total = 0;
        let mut changes = Vec::with_capacity(differences.len());
        for Difference { path, mode, .. } in differences {
            let Some(mode) = mode else {
                changes.push(Change { path, kind: ChangeKind::Removed });
                continue;
            };
            let bytes = read_contents(self.folder.directory(), &path, mode, LARGEST_FILE)
                .map_err(|error| unavailable(&failed("read what changed")(error)))?
                .ok_or_else(|| too_large(&format!("`{path}` is larger than 50 MiB")))?;
            total += bytes.len() as u64;
            if total > LARGEST_CHANGES {
                return Err(too_large("the changed files hold more than 256 MiB"));
            }
            changes.push(Change { path, kind: ChangeKind::Written { mode, bytes } });
        }
        Ok(changes)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let path = self.folder.path();
        let beside = BESIDE.map(|ending| beside(path, ending));
        for path in beside.iter().map(PathBuf::as_path).chain([path]) {
            match self.run_folder.close(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a slot's folder could not be removed");
                }
                _ => {}
            }
        }
    }
}

/// A folder of the slot whose checkout this is.
pub(super) fn beside(checkout: &Path, ending: &str) -> PathBuf {
    let name = checkout.file_name().unwrap_or_default().to_string_lossy();
    checkout.with_file_name(format!("{name}.{ending}"))
}

fn too_large(what: &str) -> CallError {
    CallError::TooLong(format!("{what}, which can't land; delete it or have .gitignore name it"))
}

fn too_many(files: usize) -> CallError {
    CallError::TooLong(format!(
        "{files} files are new or changed, and one commit may hold {MOST_FILES}, so this can't land; \
         delete what does not belong to the work, or have .gitignore name it"
    ))
}

fn unavailable(error: &Error) -> CallError {
    CallError::Unavailable(error.to_string())
}

#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "landable_tests.rs"]
mod landable_tests;
