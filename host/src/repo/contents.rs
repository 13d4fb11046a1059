//! Reading and writing what a checkout's folder holds, always through the
//! folder's capability. Knows nothing of what ought to be there.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};

use super::changes::Mode;
use super::compare::{is_absent, mode_of};
use super::path::CheckoutPath;
use super::removal;

/// Of a file's rights, its owner's to read and write it, and those to run it as
/// somebody else; a plain file has the former alone.
const TOLD_RIGHTS: u32 = 0o7600;
const PLAIN_RIGHTS: u32 = 0o600;

/// Says where an error happened, and keeps its kind.
pub(super) fn at(path: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// The bytes of a file, or a link's target without following it; none where it
/// is longer than `limit`, or became something else meanwhile.
pub(super) fn read_contents(
    directory: &Dir,
    path: &CheckoutPath,
    mode: Mode,
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    if mode == Mode::Link {
        return match directory.read_link_contents(path.as_path()) {
            Ok(target) => Ok(Some(target.into_os_string().into_vec())),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(at(path)(error)),
        };
    }
    let file = directory.open(path.as_path()).map_err(at(path))?;
    if !file.metadata().map_err(at(path))?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(at(path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Writes a file or link in place of whatever lies there; returns what `lstat`
/// says of it then.
pub(super) fn write_over(
    directory: &Dir,
    path: &CheckoutPath,
    mode: Mode,
    bytes: &[u8],
) -> io::Result<Metadata> {
    match write_new(directory, path, mode, bytes) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    if let Some(metadata) = write_into(directory, path, mode, bytes)? {
        return Ok(metadata);
    }
    clear(directory, path.as_path())?;
    write_new(directory, path, mode, bytes)
}

/// Writes into the file that is there, if it is a plain one with no other name and
/// the wanted rights; returns what `lstat` says of it then. Removing a file that
/// was just written waits for the disk, and this does not.
fn write_into(
    directory: &Dir,
    path: &CheckoutPath,
    mode: Mode,
    bytes: &[u8],
) -> io::Result<Option<Metadata>> {
    let mut options = OpenOptions::new();
    // A pipe would wait for its reader.
    options.write(true).nonblock(true).follow(FollowSymlinks::No);
    // Whatever is in the way of that: what is there goes.
    let Ok(mut file) = directory.open_with(path.as_path(), &options) else { return Ok(None) };
    let old = file.metadata().map_err(at(path))?;
    let is_plain = old.nlink() == 1 && old.mode() & TOLD_RIGHTS == PLAIN_RIGHTS;
    if !is_plain || mode_of(&old) != Some(mode) {
        return Ok(None);
    }
    file.write_all(bytes).map_err(at(path))?;
    if old.len() > bytes.len() as u64 {
        file.set_len(bytes.len() as u64).map_err(at(path))?;
    }
    file.metadata().map(Some).map_err(at(path))
}

/// Writes a new file or link; nothing may lie there yet, so that nothing is
/// written through a hard link or a symbolic one.
fn write_new(
    directory: &Dir,
    path: &CheckoutPath,
    mode: Mode,
    bytes: &[u8],
) -> io::Result<Metadata> {
    let permissions = match mode {
        Mode::Link => {
            let target = Path::new(OsStr::from_bytes(bytes));
            directory.symlink_contents(target, path.as_path()).map_err(at(path))?;
            return directory.symlink_metadata(path.as_path()).map_err(at(path));
        }
        Mode::File => 0o644,
        Mode::Executable => 0o755,
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(permissions);
    let mut file = directory.open_with(path.as_path(), &options).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))?;
    file.metadata().map_err(at(path))
}

/// Removes whatever lies at a path, if anything does.
pub(super) fn clear(directory: &Dir, path: &Path) -> io::Result<()> {
    match removal::remove(directory, path) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other.map_err(at(path.display())),
    }
}

/// Makes a folder and those above it, in place of what is there and none.
pub(super) fn make_folder(directory: &Dir, path: &CheckoutPath) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    make_folder(directory, &parent)?;
    match directory.symlink_metadata(path.as_path()) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => clear(directory, path.as_path())?,
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(at(path)(error)),
    }
    directory.create_dir(path.as_path()).map_err(at(path))
}
