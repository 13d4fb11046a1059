//! A look at what a checkout's folder holds, everywhere or only where something
//! may have changed: the base's files that are not as they should be, and what
//! the base does not have. One pass, and one `lstat` for each file. Reads only.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use cap_std::fs::{Dir, Metadata};

use super::compare::{Difference, Held, Stamp, Tracked, is_absent, is_same, lstat, mode_of};
use super::contents::at;
use super::folder::Folder;
use super::ignored::{Rules, is_ignored, rules_in};
use super::path::{CheckoutPath, LONGEST_PATH, is_dot_git};
use super::touched::Touched;

/// So many folders are enough to be shared out.
const SHARED_FOLDERS: usize = 8;
/// How many threads look at once: many slots may be looked at side by side.
const MOST_THREADS: usize = 4;

/// Whose `.gitignore` files are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obeyed {
    /// Everybody's, as git does.
    All,
    /// The base's alone: another would hide what the next worker makes.
    OfBase,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The base's files that are gone or hold something else.
    pub(super) changed: Vec<Difference>,
    /// The base's files that hold what they should, though their stamps did not
    /// say so; with what `lstat` says of them.
    pub(super) proven: Vec<(CheckoutPath, Stamp)>,
    /// What the base does not have and no `.gitignore` names; folders come
    /// before what is in them.
    pub(super) untracked: Vec<Untracked>,
    /// Each `.gitignore` that can't be obeyed.
    pub(super) refused: Vec<PathBuf>,
}

/// Something that the base does not have.
#[derive(Debug)]
pub(super) struct Untracked {
    /// Relative to the top; it need not be a path that a checkout may hold.
    pub(super) path: PathBuf,
    /// Whether it is a folder.
    pub(super) is_folder: bool,
}

/// Looks wherever something may have changed.
pub(super) fn scan(
    folder: &Folder,
    held: &Held,
    touched: &Touched,
    obeyed: Obeyed,
) -> io::Result<Scanned> {
    let mut look = Look::new(folder.directory(), held, obeyed);
    match touched {
        Touched::Paths(paths) => {
            let alone: Vec<_> = paths.iter().filter(|path| !lies_below(path, paths)).collect();
            alone.iter().try_for_each(|path| look.at_path(path))?;
            look.unseen(&alone)?;
        }
        Touched::Anything | Touched::AnythingEver => {
            look.everywhere()?;
            look.unseen(&[&CheckoutPath::top()])?;
        }
    }
    Ok(look.found)
}

/// Whether one of these paths is that of a folder that this one lies in.
fn lies_below(path: &CheckoutPath, paths: &BTreeSet<CheckoutPath>) -> bool {
    let mut folder = path.parent();
    while let Some(above) = folder {
        if paths.contains(&above) {
            return true;
        }
        folder = above.parent();
    }
    false
}

/// A look that is under way.
struct Look<'a> {
    directory: &'a Dir,
    held: &'a Held,
    obeyed: Obeyed,
    /// The base's files that were found in their folders, by the addresses of
    /// their paths; each once.
    seen: Vec<usize>,
    real_folders: HashMap<CheckoutPath, bool>,
    /// The rules in folders above touched paths.
    rules: HashMap<PathBuf, Rules>,
    /// The untracked folders among those.
    reported: HashSet<PathBuf>,
    found: Scanned,
}

/// A folder to be looked into, and the rules that hold where it lies.
type Place = (PathBuf, Rules);

impl<'a> Look<'a> {
    fn new(directory: &'a Dir, held: &'a Held, obeyed: Obeyed) -> Self {
        Self {
            directory,
            held,
            obeyed,
            seen: Vec::new(),
            real_folders: HashMap::new(),
            rules: HashMap::new(),
            reported: HashSet::new(),
            found: Scanned::default(),
        }
    }

    /// Looks at a path and all that is below it.
    fn at_path(&mut self, path: &CheckoutPath) -> io::Result<()> {
        let Some(rules) = self.rules_above(path)? else { return Ok(()) };
        let found = lstat(self.directory, path, &mut self.real_folders)?;
        let Some(metadata) = found else { return Ok(()) };
        let relative = path.as_path().to_owned();
        match self.entry(relative, &rules, metadata.is_dir(), || Ok(metadata))? {
            Some(folder) => self.below(vec![(folder, rules)]),
            None => Ok(()),
        }
    }

    /// The rules that hold where a path lies; none where it does not count,
    /// since a folder on the way is none or ignored.
    fn rules_above(&mut self, path: &CheckoutPath) -> io::Result<Option<Rules>> {
        let mut rules = self.rules_of(PathBuf::new(), None)?;
        let mut folder = PathBuf::new();
        let names: Vec<&str> = path.as_str().split('/').collect();
        for name in &names[..names.len() - 1] {
            folder.push(name);
            let text = folder.to_string_lossy();
            let Ok(at) = CheckoutPath::parse(&text) else { return Ok(None) };
            let metadata = lstat(self.directory, &at, &mut self.real_folders)?;
            if !metadata.is_some_and(|metadata| metadata.is_dir()) {
                return Ok(None);
            }
            if is_ignored(&rules, &folder, true) {
                return Ok(None);
            }
            if !self.held.is_used(&text) && self.reported.insert(folder.clone()) {
                let path = folder.clone();
                self.found.untracked.push(Untracked { path, is_folder: true });
            }
            rules = self.rules_of(folder.clone(), rules)?;
        }
        Ok(Some(rules))
    }

    fn rules_of(&mut self, folder: PathBuf, above: Rules) -> io::Result<Rules> {
        if let Some(rules) = self.rules.get(&folder) {
            return Ok(rules.clone());
        }
        let rules = self.read_rules(&folder, above)?;
        self.rules.insert(folder, rules.clone());
        Ok(rules)
    }

    fn read_rules(&mut self, folder: &Path, above: Rules) -> io::Result<Rules> {
        let path = folder.join(".gitignore");
        let of_base = path.to_str().is_some_and(|text| self.held.files.contains_key(text));
        if self.obeyed == Obeyed::OfBase && !of_base {
            return Ok(above);
        }
        match rules_in(self.directory, folder, above.clone())? {
            Some(rules) => Ok(rules),
            None => {
                self.found.refused.push(path);
                Ok(above)
            }
        }
    }

    /// Looks at everything: first level by level, and once there is enough to be
    /// shared out, side by side.
    fn everywhere(&mut self) -> io::Result<()> {
        let mut folders = vec![(PathBuf::new(), None)];
        while !folders.is_empty() && folders.len() < SHARED_FOLDERS {
            let mut below = Vec::new();
            for folder in folders {
                below.extend(self.folder(folder)?);
            }
            folders = below;
        }
        let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let mut shares = vec![Vec::new(); threads];
        for (number, folder) in folders.into_iter().enumerate() {
            shares[number % threads].push(folder);
        }
        let (directory, held, obeyed) = (self.directory, self.held, self.obeyed);
        let looked = move |share| {
            let mut look = Self::new(directory, held, obeyed);
            look.below(share).map(|()| (look.found, look.seen))
        };
        let looks: Vec<io::Result<(Scanned, Vec<usize>)>> = std::thread::scope(|scope| {
            let looks: Vec<_> =
                shares.into_iter().map(|share| scope.spawn(move || looked(share))).collect();
            let panicked = |_| Err(io::Error::other("a thread that looks for changes panicked"));
            looks.into_iter().map(|look| look.join().unwrap_or_else(panicked)).collect()
        });
        for look in looks {
            let (found, seen) = look?;
            self.found.changed.extend(found.changed);
            self.found.proven.extend(found.proven);
            self.found.untracked.extend(found.untracked);
            self.found.refused.extend(found.refused);
            self.seen.extend(seen);
        }
        Ok(())
    }

    /// Looks at all that is in these folders and below them. Keeps no folder
    /// open but the one that it lists.
    fn below(&mut self, mut folders: Vec<Place>) -> io::Result<()> {
        while let Some(folder) = folders.pop() {
            folders.extend(self.folder(folder)?);
        }
        Ok(())
    }

    /// Looks at what is in a folder; returns the folders in it.
    fn folder(&mut self, (folder, above): Place) -> io::Result<Vec<Place>> {
        let rules = self.read_rules(&folder, above)?;
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let entries = match self.directory.read_dir(here) {
            // It was there a moment ago.
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            other => other.map_err(at(folder.display()))?,
        };
        let mut below = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(folder.display()))?;
            let path = folder.join(entry.file_name());
            check_length(&path)?;
            let is_folder = entry.file_type().map_err(at(path.display()))?.is_dir();
            if let Some(folder) = self.entry(path, &rules, is_folder, || entry.metadata())? {
                below.push((folder, rules.clone()));
            }
        }
        Ok(below)
    }

    /// Looks at one name; returns it where it is a folder to be looked into.
    fn entry(
        &mut self,
        path: PathBuf,
        rules: &Rules,
        is_folder: bool,
        metadata: impl FnOnce() -> io::Result<Metadata>,
    ) -> io::Result<Option<PathBuf>> {
        let held: &'a Held = self.held;
        let text = path.to_str();
        if let Some(tracked) = text.and_then(|text| held.files.get_key_value(text)) {
            match metadata() {
                Ok(metadata) => self.tracked(tracked, Some(&metadata))?,
                // It goes among those that were not seen.
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(at(path.display())(error)),
            }
            return Ok(is_folder.then_some(path));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(is_dot_git) {
            self.found.untracked.push(Untracked { path, is_folder: false });
            return Ok(None);
        }
        if is_ignored(rules, &path, is_folder) {
            return Ok(None);
        }
        if !is_folder || !text.is_some_and(|text| held.is_used(text)) {
            self.found.untracked.push(Untracked { path: path.clone(), is_folder });
        }
        Ok(is_folder.then_some(path))
    }

    /// Looks whether a file of the base is as it should be.
    fn tracked(
        &mut self,
        (path, tracked): (&'a CheckoutPath, &Tracked),
        metadata: Option<&Metadata>,
    ) -> io::Result<()> {
        self.seen.push(address(path));
        let mode = metadata.and_then(mode_of);
        let same = match (mode, metadata) {
            (Some(mode), Some(metadata)) => {
                is_same(self.directory, path, tracked, mode, metadata, self.held)?
            }
            _ => None,
        };
        match same {
            None => self.found.changed.push(Difference { path: path.clone(), tracked: true, mode }),
            Some(stamp) if tracked.stamp != Some(stamp) => {
                self.found.proven.push((path.clone(), stamp));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The base's files at these paths and below that their folders did not show:
    /// they are gone, or lie where nothing untracked counts.
    fn unseen(&mut self, places: &[&CheckoutPath]) -> io::Result<()> {
        let held: &'a Held = self.held;
        if self.seen.len() == held.files.len() {
            return Ok(());
        }
        let seen: HashSet<usize> = self.seen.iter().copied().collect();
        for (path, tracked) in places.iter().flat_map(|at| held.at_and_below(at)) {
            if !seen.contains(&address(path)) {
                let metadata = lstat(self.directory, path, &mut self.real_folders)?;
                self.tracked((path, tracked), metadata.as_ref())?;
            }
        }
        Ok(())
    }
}

/// Tells one of the base's paths from the others, faster than its text does.
fn address(path: &CheckoutPath) -> usize {
    std::ptr::from_ref(path).addr()
}

/// A folder deeper than that can't be opened by its path, and its name would
/// fill a page; where it begins is enough to remove it.
fn check_length(path: &Path) -> io::Result<()> {
    if path.as_os_str().len() + "/.gitignore".len() < LONGEST_PATH {
        return Ok(());
    }
    let start: PathBuf = path.components().take(3).collect();
    let start: String = start.to_string_lossy().chars().take(200).collect();
    Err(io::Error::new(
        io::ErrorKind::InvalidFilename,
        format!("the tree of folders below `{start}` is too deep to be listed; remove it"),
    ))
}
