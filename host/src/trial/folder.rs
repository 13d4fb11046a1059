//! Copies a folder's files to where a plugin can be tried on them: the user's
//! own are never touched.

#![expect(clippy::disallowed_methods, reason = "a plugin's tests are no checkout")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::{Error, Result};

/// More files than this are no place to try a plugin in.
const MOST_FILES: usize = 200_000;
/// Bytes of all files together, likewise.
const MOST_BYTES: u64 = 2 << 30;

/// Copies the files below `from`, but what `.gitignore` files name and git's own,
/// over those that lie below `to`. Links are copied as links. Returns the paths,
/// relative to both.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |error: String| Error::usage(format!("can't copy {}: {error}", from.display()));
    if !from.is_dir() {
        return Err(cannot("there is no such folder".into()));
    }
    let mut walk = WalkBuilder::new(from);
    walk.hidden(false).parents(false).require_git(false).git_global(false).git_exclude(false);
    walk.ignore(false).follow_links(false).filter_entry(|entry| entry.file_name() != ".git");
    let (mut copied, mut bytes) = (Vec::new(), 0_u64);
    for entry in walk.build() {
        let entry = entry.map_err(|error| cannot(error.to_string()))?;
        let Ok(path) = entry.path().strip_prefix(from) else { continue };
        let kind = entry.file_type();
        if kind.is_none_or(|kind| kind.is_dir()) {
            continue;
        }
        bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        if copied.len() >= MOST_FILES || bytes > MOST_BYTES {
            return Err(cannot("it holds more than 200000 files or 2 GiB".into()));
        }
        let is_link = kind.is_some_and(|kind| kind.is_symlink());
        copy_one(entry.path(), &to.join(path), is_link).map_err(|error| {
            Error::failed(format!("can't copy {}: {error}", entry.path().display()))
        })?;
        copied.push(path.to_owned());
    }
    Ok(copied)
}

fn copy_one(from: &Path, to: &Path, is_link: bool) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if is_link {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if fs::metadata(from)?.is_file() { fs::copy(from, to).map(drop) } else { Ok(()) }
}
