//! Walks over a checkout's names, without what `.gitignore` files name. Opens
//! nothing but those `.gitignore` files; what is done with the names is the
//! callers' business.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use cap_std::fs::Dir;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{Match, WalkBuilder};

use super::place;
use crate::repo::folder::Folder;
use crate::repo::path::{CheckoutPath, is_dot_git};
use crate::types::CallError;

/// In bytes: what a `.gitignore` file holds beyond this is not looked at.
const LONGEST_RULES: u64 = 1 << 20;

/// A walk over what lies below `below`, which has its links followed already.
/// It starts at the top, so that the rules of every folder on the way hold.
///
/// The walker's own reading of `.gitignore` is off: it would follow one that
/// is a link, and wait for ever at one that is a pipe, and a command that ran
/// in the checkout can leave both.
pub fn walk(folder: &Folder, below: &CheckoutPath) -> Result<WalkBuilder, CallError> {
    let directory = folder.directory().try_clone();
    let directory = directory.map_err(|error| place::failure(below, &error))?;
    let rules = Rules { directory, read: RwLock::default() };
    let top = folder.path().to_owned();
    let below = PathBuf::from(below.as_str());
    let mut walk = folder.walk(&CheckoutPath::top());
    walk.git_ignore(false);
    walk.filter_entry(move |entry| {
        if entry.depth() == 0 {
            return true;
        }
        let Ok(path) = entry.path().strip_prefix(&top) else { return false };
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        (path.starts_with(&below) || below.starts_with(path))
            && !entry.file_name().to_str().is_some_and(is_dot_git)
            && !rules.ignore(path, is_folder)
    });
    Ok(walk)
}

/// Hundreds of agents walk in one process: none takes all cores.
const MOST_THREADS: usize = 4;

/// How many threads a walk may have.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

/// The `.gitignore` files of a walk, each read once.
struct Rules {
    directory: Dir,
    read: RwLock<HashMap<PathBuf, Chain>>,
}

/// The rules that hold in a folder, its own first; files without any are left
/// out.
type Chain = Arc<[Arc<Gitignore>]>;

impl Rules {
    /// Whether `path` is left out. The deepest folder that says something
    /// about it decides. Folders above were not left out, or the walk would
    /// not have come here.
    fn ignore(&self, path: &Path, is_folder: bool) -> bool {
        let Some(folder) = path.parent() else { return false };
        for rules in self.of(folder).iter() {
            match rules.matched(path, is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }

    fn of(&self, folder: &Path) -> Chain {
        // A map that a panic left behind still holds whole entries.
        if let Some(chain) = self.read.read().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return Arc::clone(chain);
        }
        let above = folder.parent().map(|parent| self.of(parent));
        let own = self.parse(folder).filter(|rules| !rules.is_empty()).map(Arc::new);
        let chain: Chain = match (own, above) {
            (None, Some(above)) => above,
            (own, above) => own
                .into_iter()
                .chain(above.iter().flat_map(|above| above.iter().cloned()))
                .collect(),
        };
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(read.entry(folder.to_owned()).or_insert(chain))
    }

    /// None where the folder has no `.gitignore` that is a plain file, as for
    /// git, and where none of its lines can be used.
    fn parse(&self, folder: &Path) -> Option<Gitignore> {
        let path = CheckoutPath::parse(folder.join(".gitignore").to_str()?).ok()?;
        let file = place::open_to_read(&self.directory, &path).ok()?;
        let mut bytes = Vec::new();
        file.take(LONGEST_RULES).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.trim_start_matches('\u{feff}').lines() {
            // git passes over a line that it can't use, too.
            let _ = builder.add_line(None, line);
        }
        builder.build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::testing::{checkout, make_pipe};

    fn names(folder: &Folder, below: &str) -> Vec<String> {
        let mut names: Vec<_> = walk(folder, &CheckoutPath::parse(below).unwrap())
            .unwrap()
            .build()
            .map(|entry| folder.path_of(&entry.unwrap()).unwrap().as_str().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_rules_of_every_folder_hold() {
        let (_guard, folder) = checkout(&[
            (".gitignore", "*.log\n/build/\n"),
            ("a/.gitignore", "!keep.log\nprivate\n"),
            ("a/keep.log", ""),
            ("a/drop.log", ""),
            ("a/private/x", ""),
            ("a/b/build/x", ""),
            ("build/x", ""),
            (".git/config", ""),
        ]);
        let below_a = ["a", "a/.gitignore", "a/b", "a/b/build", "a/b/build/x", "a/keep.log"];
        assert_eq!(names(&folder, "a"), below_a);
        let all: Vec<_> = [".gitignore"].into_iter().chain(below_a).collect();
        assert_eq!(names(&folder, ""), all);
        assert_eq!(names(&folder, "build"), Vec::<String>::new());
    }

    #[test]
    fn rules_that_are_a_pipe_or_a_link_are_passed_over() {
        let (guard, folder) = checkout(&[("a/x", ""), ("b/x", ""), ("rules", "x\n")]);
        make_pipe(&guard.path().join("a/.gitignore"));
        std::os::unix::fs::symlink("../rules", guard.path().join("b/.gitignore")).unwrap();
        let seen = names(&folder, "");
        assert!(seen.contains(&"a/x".to_owned()) && seen.contains(&"b/x".to_owned()), "{seen:?}");
    }
}
