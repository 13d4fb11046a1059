//! Lists a checkout's files and draws its folders. Names only; nothing is
//! opened here.

use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, WalkState};

use super::globs::Globs;
use super::output::Output;
use super::{place, walk};
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// How deep `tree` looks where nobody says otherwise.
pub const USUAL_DEPTH: u32 = 3;

/// The files that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Sorted.
    pub paths: Vec<CheckoutPath>,
    /// Whether there were more than asked for.
    pub truncated: bool,
    /// How many could not be read, or have a name that no path here may have.
    pub skipped: usize,
}

/// Every file below `below` that git would track and that one of the globs
/// matches. Links count as files, as for git.
pub fn list(
    folder: &Folder,
    below: &CheckoutPath,
    globs: &[String],
    max_entries: u32,
) -> Result<Listing, CallError> {
    let globs = Globs::parse(globs)?;
    let below = place::resolve(folder, below)?;
    let most = max_entries as usize;
    let found = Mutex::new(Listing::default());
    walk::walk(folder, &below)?.threads(walk::threads()).build_parallel().run(|| {
        let (globs, below, found) = (&globs, &below, &found);
        Box::new(move |entry| {
            let named = entry.ok().and_then(|entry| name(folder, &entry));
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match named {
                None => found.skipped += 1,
                Some((path, Kind::File)) if path.is_within(below) && globs.want(&path) => {
                    found.add(path, most);
                }
                Some(_) => {}
            }
            WalkState::Continue
        })
    });
    let mut listing = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    listing.cut(most);
    Ok(listing)
}

/// Paths that are kept beyond what was asked for, before those that sort last
/// are dropped: whoever came last is not known before the end.
const ROOM: usize = 4096;

impl Listing {
    fn add(&mut self, path: CheckoutPath, most: usize) {
        self.paths.push(path);
        if self.paths.len() > most.saturating_add(ROOM) {
            self.cut(most);
        }
    }

    /// Keeps those that sort first.
    fn cut(&mut self, most: usize) {
        self.paths.sort_unstable();
        self.truncated |= self.paths.len() > most;
        self.paths.truncate(most);
    }
}

/// An indented picture of the folders below `path`, `depth` levels deep. Its
/// last line says what was cut.
pub fn tree(folder: &Folder, path: &CheckoutPath, depth: u32) -> Result<String, CallError> {
    let top = place::resolve(folder, path)?;
    let metadata = folder.directory().metadata(top.as_path());
    if !metadata.map_err(|error| place::failure(path, &error))?.is_dir() {
        return Err(CallError::Invalid(format!("{path} is a file, not a folder")));
    }
    let level_of_top = level(&top);
    let deepest = level_of_top + (depth.max(1) as usize).min(1000);
    let mut walk = walk::walk(folder, &top)?;
    walk.sort_by_file_name(Ord::cmp).max_depth(Some(deepest));
    let mut output = Output::default();
    output.push(&format!("{top}/"));
    let (mut cut, mut skipped, mut unopened) = (0, 0, 0);
    for entry in walk.build() {
        let Some((path, kind)) = entry.ok().and_then(|entry| name(folder, &entry)) else {
            skipped += 1;
            continue;
        };
        if path == top || !path.is_within(&top) {
            continue;
        }
        let is_unopened = kind == Kind::Folder && level(&path) == deepest;
        if cut > 0 || !output.push(&branch(&path, kind, level_of_top, is_unopened)) {
            cut += 1;
        } else if is_unopened {
            unopened += 1;
        }
    }
    let mut notes = Vec::new();
    if cut > 0 {
        notes.push(format!("{cut} more entries were cut: ask for a folder below, or less depth"));
    }
    if unopened > 0 {
        notes.push(format!("{unopened} folders marked with … are deeper than asked for"));
    }
    notes.extend(skipped_note(skipped));
    Ok(output.finish(&in_brackets(&notes)))
}

fn branch(path: &CheckoutPath, kind: Kind, level_of_top: usize, is_unopened: bool) -> String {
    let indent = "  ".repeat(level(path) - level_of_top);
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    match (kind, is_unopened) {
        (Kind::Folder, true) => format!("{indent}{name}/ …"),
        (Kind::Folder, false) => format!("{indent}{name}/"),
        (Kind::File, _) => format!("{indent}{name}"),
    }
}

/// How many names a path has.
fn level(path: &CheckoutPath) -> usize {
    path.as_str().split('/').filter(|name| !name.is_empty()).count()
}

/// What git knows of a walk's entry; pipes, sockets and devices it does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// None for what can't be shown.
fn name(folder: &Folder, entry: &DirEntry) -> Option<(CheckoutPath, Kind)> {
    let kind = entry.file_type()?;
    let path = folder.path_of(entry)?;
    if kind.is_dir() {
        return Some((path, Kind::Folder));
    }
    (kind.is_file() || kind.is_symlink()).then_some((path, Kind::File))
}

/// A sentence on what could not be shown.
pub fn skipped_note(skipped: usize) -> Option<String> {
    (skipped > 0).then(|| {
        format!(
            "{skipped} entries were left out: unreadable, no files, or names that are not UTF-8"
        )
    })
}

/// The notes as one last line; empty without any.
pub fn in_brackets(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!("({})", notes.join("; ")) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tools::testing::{checkout, make_pipe, path};

    fn listed(folder: &Folder, below: &str, globs: &[&str], most: u32) -> (Vec<String>, bool) {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        let listing = list(folder, &path(below), &globs, most).unwrap();
        (listing.paths.iter().map(|path| path.as_str().to_owned()).collect(), listing.truncated)
    }

    #[test]
    fn files_are_listed_by_globs_and_bound() {
        let (_guard, folder) =
            checkout(&[("src/a.rs", ""), ("src/b/c.rs", ""), ("x.md", ""), (".gitignore", "x.md")]);
        let rust = ["src/a.rs", "src/b/c.rs"].map(str::to_owned).to_vec();
        assert_eq!(listed(&folder, "", &["*.rs"], 2), (rust.clone(), false));
        assert_eq!(listed(&folder, "", &["*.rs"], 1), (rust[..1].to_vec(), true));
        assert_eq!(listed(&folder, "src/b", &[], 9), (rust[1..].to_vec(), false));
        assert!(matches!(list(&folder, &path("no"), &[], 9), Err(CallError::NotFound(_))));
    }

    #[test]
    fn links_are_listed_but_not_followed_and_odd_entries_counted() {
        let (guard, folder) = checkout(&[("a", "")]);
        symlink("/etc", guard.path().join("out")).unwrap();
        make_pipe(&guard.path().join("pipe"));
        fs::write(guard.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        let listing = list(&folder, &path(""), &[], 9).unwrap();
        assert_eq!(listing.paths, [path("a"), path("out")]);
        assert_eq!(listing.skipped, 2);
        assert!(matches!(list(&folder, &path("out"), &[], 9), Err(CallError::Denied(_))));
    }

    #[test]
    fn a_tree_says_what_lies_deeper() {
        let (_guard, folder) = checkout(&[("src/a/b/c.rs", ""), ("src/z.rs", ""), ("y", "")]);
        let shown = tree(&folder, &path("src"), 2).unwrap();
        assert_eq!(
            shown,
            "src/\n  a/\n    b/ …\n  z.rs\n(1 folders marked with … are deeper than asked for)"
        );
        assert!(matches!(tree(&folder, &path("y"), 1), Err(CallError::Invalid(_))));
        assert_eq!(
            tree(&folder, &path(""), 9).unwrap(),
            "./\n  src/\n    a/\n      b/\n        c.rs\n    z.rs\n  y"
        );
    }

    #[test]
    fn a_tree_is_bounded() {
        let names: Vec<String> = (0..600).map(|number| format!("{number:0100}")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let (_guard, folder) = checkout(&files);
        let shown = tree(&folder, &path(""), 1).unwrap();
        let lines = shown.lines().count() - 2;
        assert!(shown.len() < 51_000 && lines < 600, "{}", shown.len());
        assert!(shown.contains(&format!("({} more entries were cut", 600 - lines)), "{shown}");
    }
}
