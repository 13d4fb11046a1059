//! Where a path of a checkout really leads. Owns the following of links, the
//! opening of files and the bounds of what may be written; what is read or
//! written there is other modules' business.

use std::io::{self, ErrorKind};

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, OpenOptions};

use crate::OWN_FOLDER;
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// Where a run may write: a checkout, and the folder in it that the run is
/// about.
#[derive(Clone, Copy)]
pub struct WriteArea<'a> {
    /// The checkout.
    pub folder: &'a Folder,
    /// Nothing outside this folder may change.
    pub root: &'a CheckoutPath,
    /// What keeps a file that is replaced; none: nobody does.
    pub keeper: Option<Keeper<'a>>,
    /// Who hears of each path before something is written there.
    pub witness: Option<Witness<'a>>,
}

/// Hears of a path, with its links followed, at which a tool is about to write.
pub type Witness<'a> = &'a dyn Fn(&CheckoutPath);

/// Keeps what stood at a path, and says under which name.
pub type Keeper<'a> = &'a dyn Fn(&CheckoutPath, &[u8]) -> Result<String, CallError>;

impl WriteArea<'_> {
    /// Where a write to `path` ends up, with all links followed; neither the
    /// file nor its folder has to exist. Denied outside of the root.
    pub fn file(&self, path: &CheckoutPath) -> Result<CheckoutPath, CallError> {
        let name = self.name(path)?;
        match self.folder.directory().symlink_metadata(name.as_path()) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = resolve(self.folder, &name)?;
                self.check(path, &target)?;
                Ok(target)
            }
            Ok(_) => Ok(name),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                name.check_new()?;
                Ok(name)
            }
            Err(error) => Err(failure(path, &error)),
        }
    }

    /// Where the name `path` itself stands: links on the way to it are
    /// followed, but not the last one, which a removal is about.
    pub fn name(&self, path: &CheckoutPath) -> Result<CheckoutPath, CallError> {
        let Some(parent) = path.parent() else {
            return Err(CallError::Invalid("the repository's top is no file".to_owned()));
        };
        let real_parent = resolve_to_be(self.folder, &parent)?;
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        let place = join(&real_parent, name)?;
        self.check(path, &place)?;
        Ok(place)
    }

    fn check(&self, path: &CheckoutPath, place: &CheckoutPath) -> Result<(), CallError> {
        if place.as_str().split('/').any(|name| name == OWN_FOLDER) {
            return Err(CallError::Denied(format!(
                "{path} lies in `{OWN_FOLDER}`, which holds the program's own files"
            )));
        }
        if place.is_within(self.root) {
            // Whoever asks for a place to write at comes by here.
            if let Some(witness) = self.witness {
                witness(place);
            }
            return Ok(());
        }
        let through = if path == place { String::new() } else { format!(" (it leads to {place})") };
        Err(CallError::Denied(format!(
            "{path}{through} lies outside of `{}`, the only folder that this run may change",
            self.root
        )))
    }
}

/// Where an existing `path` leads, with all links followed. Refuses what
/// leads out of the checkout or into a `.git`.
pub fn resolve(folder: &Folder, path: &CheckoutPath) -> Result<CheckoutPath, CallError> {
    let directory = folder.directory();
    // Where the kernel has no `openat2`, `canonicalize` answers with half a
    // path for what it can't open; `metadata` says first whether it can.
    let real = directory
        .metadata(path.as_path())
        .and_then(|_| directory.canonicalize(path.as_path()))
        .map_err(|error| failure(path, &error))?;
    match real.to_str() {
        Some(text) => CheckoutPath::parse(text),
        None => Err(CallError::Invalid(format!("{path} leads to a name that is not UTF-8"))),
    }
}

/// As `resolve`, for a folder that need not exist yet: what exists of the path
/// is followed, the rest is kept.
fn resolve_to_be(folder: &Folder, path: &CheckoutPath) -> Result<CheckoutPath, CallError> {
    let mut existing = path.clone();
    loop {
        match folder.directory().symlink_metadata(existing.as_path()) {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failure(path, &error)),
        }
        existing = existing.parent().unwrap_or_else(CheckoutPath::top);
        if existing.is_top() {
            break;
        }
    }
    let real = resolve(folder, &existing)?;
    let rest = path.as_str().strip_prefix(existing.as_str()).unwrap_or_default();
    join(&real, rest)
}

fn join(folder: &CheckoutPath, rest: &str) -> Result<CheckoutPath, CallError> {
    let rest = rest.trim_start_matches('/');
    if folder.is_top() {
        return CheckoutPath::parse(rest);
    }
    CheckoutPath::parse(&format!("{folder}/{rest}"))
}

/// Opens a regular file for reading. `place` has its links followed already.
/// A pipe or a device is refused without waiting for its other end.
pub fn open_to_read(directory: &Dir, place: &CheckoutPath) -> Result<File, CallError> {
    check_regular(directory, place)?;
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(FollowSymlinks::No);
    open(directory, place, &options)
}

/// Opens a file that a walk has just listed as a regular one; returns its length
/// too. What has come to stand there since is refused without waiting, but was
/// opened: for a device that may be felt.
pub fn open_listed(directory: &Dir, place: &CheckoutPath) -> Result<(File, u64), CallError> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(FollowSymlinks::No);
    open_sized(directory, place, &options)
}

/// Opens a regular file for writing, and creates it where it is missing; what
/// it holds stays. `place` has its links followed already.
pub fn open_to_write(directory: &Dir, place: &CheckoutPath) -> Result<File, CallError> {
    match check_regular(directory, place) {
        Ok(()) | Err(CallError::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).nonblock(true).follow(FollowSymlinks::No);
    let file = open(directory, place, &options)?;
    let metadata = file.metadata().map_err(|error| failure(place, &error))?;
    // The file's other names may stand outside of what may be written.
    if metadata.nlink() > 1 {
        return Err(CallError::Invalid(format!(
            "{place} is a hard link; delete it, then write it anew"
        )));
    }
    Ok(file)
}

fn open(directory: &Dir, place: &CheckoutPath, options: &OpenOptions) -> Result<File, CallError> {
    open_sized(directory, place, options).map(|(file, _)| file)
}

fn open_sized(
    directory: &Dir,
    place: &CheckoutPath,
    options: &OpenOptions,
) -> Result<(File, u64), CallError> {
    let file =
        directory.open_with(place.as_path(), options).map_err(|error| failure(place, &error))?;
    // Somebody may have put another thing there since it was looked at.
    let metadata = file.metadata().map_err(|error| failure(place, &error))?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(not_regular(place)) }
}

fn check_regular(directory: &Dir, place: &CheckoutPath) -> Result<(), CallError> {
    let metadata =
        directory.symlink_metadata(place.as_path()).map_err(|error| failure(place, &error))?;
    if metadata.is_dir() {
        return Err(CallError::Invalid(format!("{place} is a folder, not a file")));
    }
    if metadata.is_file() { Ok(()) } else { Err(not_regular(place)) }
}

fn not_regular(place: &CheckoutPath) -> CallError {
    CallError::Invalid(format!("{place} is a pipe, a socket, a device or a link, not a file"))
}

/// What an operating system's error means to who asked for `path`.
pub fn failure(path: &CheckoutPath, error: &io::Error) -> CallError {
    match error.kind() {
        ErrorKind::NotFound => CallError::NotFound(format!("{path} does not exist")),
        ErrorKind::PermissionDenied => CallError::Denied(format!(
            "{path} leads out of the checkout through a link, or its permissions forbid this"
        )),
        ErrorKind::NotADirectory => {
            CallError::Invalid(format!("{path}: a part of the path is a file, not a folder"))
        }
        ErrorKind::IsADirectory => CallError::Invalid(format!("{path} is a folder, not a file")),
        ErrorKind::AlreadyExists => CallError::Invalid(format!("{path} exists already")),
        ErrorKind::InvalidInput => CallError::Invalid(format!("{path}: {error}")),
        _ => CallError::Unavailable(format!("{path}: {error}")),
    }
}
