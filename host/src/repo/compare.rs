//! What a checkout's folder holds, against what was written there: the index
//! kept in memory, and the search for differences. Reads only.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Dir, Metadata, MetadataExt};
use git2::{ObjectType, Oid};

use super::changes::Mode;
use super::contents::{at, read_contents};
use super::folder::Folder;
use super::path::{CheckoutPath, is_dot_git};
use super::scan::{Obeyed, scan};
use super::touched::Touched;

/// A file whose times are younger than one tick of the clock that set them, when
/// they are noted, may change once more without its times changing. Git calls such
/// an entry racily clean. The coarsest file systems in use know every other second
/// (FAT); where a time has a fraction of a second, the kernel's clock set it, which
/// ticks a hundred times a second at least. Both with room to spare.
const COARSE_TICK: Duration = Duration::from_secs(3);
const FINE_TICK: Duration = Duration::from_millis(100);

/// A file or link of the base.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) id: Oid,
    pub(super) mode: Mode,
    /// None: what lies there is not known to be this, and is to be written.
    pub(super) stamp: Option<Stamp>,
}

/// What `lstat` says of a file that holds what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Whether the file can't have changed since without its times changing, if
    /// they were noted at that moment, after 1970.
    fn is_settled(&self, noted: Duration) -> bool {
        [self.modified, self.changed].into_iter().all(|(seconds, nanoseconds)| {
            let tick = if nanoseconds == 0 { COARSE_TICK } else { FINE_TICK };
            let time = (seconds, nanoseconds);
            let limit = noted.saturating_sub(tick);
            time < (limit.as_secs().cast_signed(), i64::from(limit.subsec_nanos()))
        })
    }
}

/// The base's files by path, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// None: nothing is known, all is to be written.
    pub(super) base: Option<Oid>,
    pub(super) files: BTreeMap<CheckoutPath, Tracked>,
    /// Folders that stand for other repositories; nothing below them counts.
    pub(super) submodules: Vec<CheckoutPath>,
    /// When the last stamps were noted, since 1970; those that were not settled
    /// then don't prove anything.
    noted: Duration,
}

impl Held {
    /// Notes that all stamps were taken before now, and nothing else wrote
    /// meanwhile.
    pub(super) fn trust_stamps(&mut self) {
        self.noted = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    }

    /// Notes what `lstat` says of one of the base's files, which holds what it
    /// should.
    pub(super) fn note(&mut self, path: &CheckoutPath, stamp: Stamp) {
        if let Some(tracked) = self.files.get_mut(path) {
            tracked.stamp = Some(stamp);
        }
    }

    /// Whether a file of the base lies below the folder of that path.
    pub(super) fn is_used(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// The base's files at a path and below it.
    pub(super) fn at_and_below(
        &self,
        at: &CheckoutPath,
    ) -> impl Iterator<Item = (&CheckoutPath, &Tracked)> {
        self.files.get_key_value(at).into_iter().chain(self.below(at.as_str()))
    }

    fn below(&self, folder: &str) -> impl Iterator<Item = (&CheckoutPath, &Tracked)> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = self.files.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        from.take_while(move |(path, _)| path.as_str().starts_with(&start))
    }

    fn is_in_submodule(&self, path: &CheckoutPath) -> bool {
        self.submodules.iter().any(|submodule| path.is_within(submodule))
    }
}

/// One path that differs from the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) path: CheckoutPath,
    /// Whether the base has it.
    pub(super) tracked: bool,
    /// What is there now; none where it is gone.
    pub(super) mode: Option<Mode>,
}

/// What a checkout has made of its base.
#[derive(Debug)]
pub(super) struct Found {
    /// All that differs, sorted by path.
    pub(super) differing: Vec<Difference>,
    /// New files that lie in submodules, so that no commit can hold them.
    pub(super) in_submodules: Vec<CheckoutPath>,
}

/// Finds what differs from the base. Looks only where something may have changed.
pub(super) fn differences(folder: &Folder, held: &Held, touched: &Touched) -> io::Result<Found> {
    let scanned = scan(folder, held, touched, Obeyed::All)?;
    if let Some(refused) = scanned.refused.first() {
        return Err(io::Error::other(format!(
            "{} is no plain file or too large to be obeyed; mend or delete it",
            refused.display()
        )));
    }
    let mut differing = scanned.changed;
    let mut in_submodules = Vec::new();
    for untracked in scanned.untracked.iter().filter(|untracked| !untracked.is_folder) {
        match new_file(folder, &untracked.path)? {
            Some(new) if held.is_in_submodule(&new.path) => in_submodules.push(new.path),
            new => differing.extend(new),
        }
    }
    differing.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Found { differing, in_submodules })
}

/// A file or link that the base does not have, if it can land.
fn new_file(folder: &Folder, path: &Path) -> io::Result<Option<Difference>> {
    if path.file_name().and_then(|name| name.to_str()).is_some_and(is_dot_git) {
        return Ok(None);
    }
    let Some(path) = path.to_str().and_then(|path| CheckoutPath::parse_file(path).ok()) else {
        tracing::warn!(path = %path.display(), "a name that can't land is left out");
        return Ok(None);
    };
    let metadata = match folder.directory().symlink_metadata(path.as_path()) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    Ok(match mode_of(&metadata) {
        Some(mode) => Some(Difference { path, tracked: false, mode: Some(mode) }),
        None => {
            tracing::warn!(%path, "neither file, link nor folder: left out");
            None
        }
    })
}

/// What `lstat` says of what lies at the path of one of the base's files, if it is
/// that file.
pub(super) fn is_same(
    directory: &Dir,
    path: &CheckoutPath,
    tracked: &Tracked,
    mode: Mode,
    metadata: &Metadata,
    held: &Held,
) -> io::Result<Option<Stamp>> {
    let Some(stamp) = tracked.stamp else { return Ok(None) };
    let now = Stamp::of(metadata);
    if mode != tracked.mode || now.size != stamp.size {
        return Ok(None);
    }
    if now == stamp && stamp.is_settled(held.noted) {
        return Ok(Some(now));
    }
    let Some(bytes) = read_contents(directory, path, mode, stamp.size)? else { return Ok(None) };
    let id = Oid::hash_object(ObjectType::Blob, &bytes).map_err(io::Error::other)?;
    Ok((id == tracked.id).then_some(now))
}

/// What lies at the path itself; none where nothing does, or where a link
/// stands in place of a folder on the way.
pub(super) fn lstat(
    directory: &Dir,
    path: &CheckoutPath,
    real_folders: &mut HashMap<CheckoutPath, bool>,
) -> io::Result<Option<Metadata>> {
    if let Some(parent) = path.parent()
        && !is_real_folder(directory, &parent, real_folders)?
    {
        return Ok(None);
    }
    match directory.symlink_metadata(path.as_path()) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn is_real_folder(
    directory: &Dir,
    path: &CheckoutPath,
    known: &mut HashMap<CheckoutPath, bool>,
) -> io::Result<bool> {
    if path.is_top() {
        return Ok(true);
    }
    if let Some(known) = known.get(path) {
        return Ok(*known);
    }
    let real = lstat(directory, path, known)?.is_some_and(|metadata| metadata.is_dir());
    known.insert(path.clone(), real);
    Ok(real)
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// None for folders and what git can't hold.
pub(super) fn mode_of(metadata: &Metadata) -> Option<Mode> {
    if metadata.is_symlink() {
        Some(Mode::Link)
    } else if !metadata.is_file() {
        None
    } else if metadata.mode() & 0o100 != 0 {
        Some(Mode::Executable)
    } else {
        Some(Mode::File)
    }
}
