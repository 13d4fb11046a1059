//! Files that would land, had a `.gitignore` not named them: a tool wrote them, or
//! somebody named them. A look for changes can't see them, and nobody is to think
//! that they had landed. Reads only.

use std::collections::{BTreeSet, HashMap};
use std::io;

use cap_std::fs::Dir;

use super::compare::{Difference, Held, is_absent, lstat, mode_of};
use super::contents::at;
use super::path::CheckoutPath;
use super::touched::MOST_PATHS;
use super::written::Written;

/// The files at what tools wrote and at what is named that the base does not have
/// and a look for changes has not found; sorted, and no more than a landing may
/// have. A named folder counts where nothing in it can land: what is ignored in
/// any other is somebody's cache.
pub(super) fn hidden(
    directory: &Dir,
    held: &Held,
    found: &[Difference],
    written: &Written,
    named: &[CheckoutPath],
) -> io::Result<Vec<CheckoutPath>> {
    let named = named.iter().filter(|name| !lands_below(held, found, name));
    let mut hidden = BTreeSet::new();
    for place in written.paths().chain(named) {
        let is_known = |path: &CheckoutPath| {
            held.files.contains_key(path)
                || found.binary_search_by(|found| found.path.cmp(path)).is_ok()
        };
        look(directory, place, is_known, &mut hidden)?;
    }
    Ok(hidden.into_iter().collect())
}

/// Whether a folder has files that can land, or that the base has.
fn lands_below(held: &Held, found: &[Difference], folder: &CheckoutPath) -> bool {
    let below = format!("{folder}/");
    let next = found.partition_point(|found| found.path.as_str() < below.as_str());
    folder.is_top()
        || held.is_used(folder.as_str())
        || found.get(next).is_some_and(|found| found.path.as_str().starts_with(&below))
}

/// Takes in the files at a place and below it that are not known.
fn look(
    directory: &Dir,
    place: &CheckoutPath,
    is_known: impl Fn(&CheckoutPath) -> bool,
    hidden: &mut BTreeSet<CheckoutPath>,
) -> io::Result<()> {
    let mut real_folders = HashMap::new();
    let mut open = vec![place.clone()];
    while let Some(path) = open.pop() {
        if hidden.len() >= MOST_PATHS {
            break;
        }
        if is_known(&path) {
            continue;
        }
        let Some(metadata) = lstat(directory, &path, &mut real_folders)? else { continue };
        if mode_of(&metadata).is_some() {
            hidden.insert(path);
        } else if metadata.is_dir() {
            let entries = match directory.read_dir(path.as_path()) {
                // It was there a moment ago.
                Err(error) if is_absent(&error) => continue,
                other => other.map_err(at(&path))?,
            };
            for entry in entries {
                let name = entry.map_err(at(&path))?.file_name();
                // What no checkout may hold does not land anyway.
                let below = name.to_str().and_then(|name| path.join(name).ok());
                open.extend(below.filter(|_| open.len() < MOST_PATHS));
            }
        }
    }
    Ok(())
}
