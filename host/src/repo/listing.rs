//! Listing a checkout's names without falling for what lies in it. The walk
//! reads each `.gitignore` by its path, so one that is a pipe would block it
//! and one that links to an endless device would fill the memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Dir;
use ignore::DirEntry;

use super::compare::is_absent;
use super::contents::at;
use super::folder::Folder;
use super::path::{CheckoutPath, is_dot_git};

/// The largest `.gitignore` that is obeyed, in bytes: compiling its patterns
/// costs many times that.
const LARGEST_IGNORE_FILE: u64 = 256 * 1024;

/// The names below a checkout's top that no `.gitignore` names.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Parents before children; the top itself is not among them.
    pub(super) entries: Vec<DirEntry>,
    /// Each `.gitignore` that is not obeyed, relative to the top. The folder
    /// that it lies in was not listed.
    pub(super) refused: Vec<PathBuf>,
}

/// Lists all names; each `.git` only with `dot_git`, and then what is in it too.
pub(super) fn list(folder: &Folder, dot_git: bool) -> io::Result<Listing> {
    let ignore_file = Path::new(".gitignore");
    if !is_obeyed(folder.directory(), ignore_file)? {
        return Ok(Listing { refused: vec![ignore_file.to_owned()], ..Listing::default() });
    }
    let directory = folder.directory().try_clone()?;
    let top = folder.path().to_owned();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&refused);
    let mut walk = folder.walk(&CheckoutPath::top());
    // The walk asks this before it reads what lies in a folder.
    walk.filter_entry(move |entry| {
        if !dot_git && entry.file_name().to_str().is_some_and(is_dot_git) {
            return false;
        }
        if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
            return true;
        }
        let Ok(relative) = entry.path().strip_prefix(&top) else { return false };
        let ignore_file = relative.join(".gitignore");
        // An unreadable folder is the walk's to report.
        let obeyed = is_obeyed(&directory, &ignore_file).unwrap_or(true);
        if !obeyed {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(ignore_file);
        }
        obeyed
    });
    let mut entries = Vec::new();
    for entry in walk.build() {
        match entry {
            Ok(entry) if entry.depth() == 0 => {}
            Ok(entry) => entries.push(entry),
            Err(error) => note_error(error, folder.path())?,
        }
    }
    let refused = std::mem::take(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Listing { entries, refused })
}

/// Whether the walk may read this `.gitignore`, if there is one.
fn is_obeyed(directory: &Dir, path: &Path) -> io::Result<bool> {
    match directory.symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() <= LARGEST_IGNORE_FILE),
        Err(error) if is_absent(&error) => Ok(true),
        Err(error) => Err(at(path.display())(error)),
    }
}

/// What is gone since its folder was listed is no error; a pattern in a
/// `.gitignore` that makes no sense is not even reported here.
fn note_error(error: ignore::Error, top: &Path) -> io::Result<()> {
    let kind = error.io_error().map_or(io::ErrorKind::Other, io::Error::kind);
    match kind {
        io::ErrorKind::NotFound => Ok(()),
        io::ErrorKind::InvalidFilename => Err(io::Error::new(kind, too_deep(&error, top))),
        _ => Err(io::Error::new(kind, error.to_string())),
    }
}

/// Its path would fill a page; where it begins is enough to remove it.
fn too_deep(error: &ignore::Error, top: &Path) -> String {
    let path = path_of(error).and_then(|path| path.strip_prefix(top).ok()).unwrap_or(Path::new(""));
    let start: PathBuf = path.components().take(3).collect();
    let start: String = start.to_string_lossy().chars().take(200).collect();
    format!("the tree of folders below `{start}` is too deep to be listed; remove it")
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        _ => None,
    }
}
