//! New files that stay out of a landing, told shortly: a folder in which
//! nothing lands is one entry. Plain data; which files these are is decided
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::path::CheckoutPath;

/// A file, or a folder with files, that stays out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Where; a folder ends with `/`.
    pub path: String,
    /// How many files that are.
    pub files: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.files {
            1 if !self.path.ends_with('/') => write!(formatter, "`{}`", self.path),
            1 => write!(formatter, "`{}` (1 file)", self.path),
            files => write!(formatter, "`{}` ({files} files)", self.path),
        }
    }
}

/// Puts files together that lie in the same new folder. `is_used` says whether
/// the base has files in a folder, `landing` are the paths that land.
pub(super) fn grouped<'a>(
    left_out: &[CheckoutPath],
    landing: impl Iterator<Item = &'a CheckoutPath>,
    is_used: impl Fn(&str) -> bool,
) -> Vec<LeftOut> {
    let mut used = BTreeSet::new();
    for path in landing {
        for folder in folders(path.as_str()) {
            used.insert(folder.to_owned());
        }
    }
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for path in left_out {
        let new = folders(path.as_str()).find(|folder| !used.contains(*folder) && !is_used(folder));
        let name = new.map_or_else(|| path.as_str().to_owned(), |folder| format!("{folder}/"));
        *groups.entry(name).or_default() += 1;
    }
    groups.into_iter().map(|(path, files)| LeftOut { path, files }).collect()
}

/// The folders that a path lies in, the outermost first, without the top.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_which_nothing_lands_is_one_entry() {
        let path = |text: &&str| CheckoutPath::parse(text).unwrap();
        let left_out = ["a.log", "new/cache/x", "new/cache/y", "src/b.o", "target/d/x", "target/y"];
        let left_out: Vec<_> = left_out.iter().map(path).collect();
        let landing = [path(&"new/made.rs"), path(&"gone")];
        let groups = grouped(&left_out, landing.iter(), |folder| folder == "src");
        let told: Vec<String> = groups.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["`a.log`", "`new/cache/` (2 files)", "`src/b.o`", "`target/` (2 files)"]);
        assert_eq!(grouped(&[path(&"t/x")], [].iter(), |_| false)[0].to_string(), "`t/` (1 file)");
    }
}
