//! Copies a folder's files to where a plugin can be tried on them: the user's
//! own are never touched.

#![expect(clippy::disallowed_methods, reason = "a plugin's tests are no checkout")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use ignore::WalkBuilder;

use crate::{Error, Result};

/// More files than this are no place to try a plugin in.
const MOST_FILES: usize = 200_000;
/// Bytes of all files together, likewise.
const MOST_BYTES: u64 = 2 << 30;

/// Copies the files below `from`, but what `.gitignore` files name and git's own,
/// over those that lie below `to`. Links are copied as links, and none is followed
/// out of `to`: whoever wrote the files may be a stranger. Returns the paths,
/// relative to both.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |error: String| Error::usage(format!("can't copy {}: {error}", from.display()));
    if !from.is_dir() {
        return Err(cannot("there is no such folder".into()));
    }
    let mut walk = WalkBuilder::new(from);
    walk.hidden(false).parents(false).require_git(false).git_global(false).git_exclude(false);
    walk.ignore(false).follow_links(false).filter_entry(|entry| entry.file_name() != ".git");
    let place =
        fs::create_dir_all(to).and_then(|()| Dir::open_ambient_dir(to, ambient_authority()));
    let place = place.map_err(|error| cannot(error.to_string()))?;
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
        copy_one(entry.path(), &place, path, is_link).map_err(|error| {
            Error::failed(format!("can't copy {}: {error}", entry.path().display()))
        })?;
        copied.push(path.to_owned());
    }
    Ok(copied)
}

fn copy_one(from: &Path, place: &Dir, path: &Path, is_link: bool) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        place.create_dir_all(folder)?;
    }
    match place.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if is_link {
        return place.symlink_contents(fs::read_link(from)?, path);
    }
    let metadata = fs::metadata(from)?;
    if !metadata.is_file() {
        return Ok(());
    }
    let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    io::copy(&mut File::open(from)?, &mut place.open_with(path, &options)?).map(drop)
}

/// A folder that a case names: one that really lies beside the case's file.
pub(super) fn beside(case: &Path, name: &Path) -> Result<PathBuf> {
    let folder = case.join(name);
    let really = |path: &Path| {
        path.canonicalize().map_err(|error| {
            Error::usage(format!("there is no folder {}: {error}", path.display()))
        })
    };
    if really(&folder)?.starts_with(really(case)?) {
        return Ok(folder);
    }
    Err(Error::usage(format!(
        "{} lies elsewhere; a case's folders lie beside its file",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_of_the_copy() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in ["base", "side/d", "outside", "to"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink(at("outside"), at("base/d")).unwrap();
        fs::write(at("side/d/file"), "written").unwrap();
        assert_eq!(copy(&at("base"), &at("to")).unwrap(), [Path::new("d")]);
        assert_eq!(fs::read_link(at("to/d")).unwrap(), at("outside"));
        copy(&at("side"), &at("to")).unwrap_err();
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 0);
    }

    #[test]
    fn a_cases_folders_lie_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let tests = place.path().join("tests");
        fs::create_dir_all(tests.join("project")).unwrap();
        symlink("/", tests.join("all")).unwrap();
        assert!(beside(&tests, Path::new("project")).is_ok());
        for name in ["..", "/", "all", "none", "project/../.."] {
            beside(&tests, Path::new(name)).unwrap_err();
        }
    }
}
