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
    /// What keeps them out.
    pub why: Why,
}

/// Why new files stay out of a landing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No tool wrote them and nobody named them.
    Unwanted,
    /// A tool wrote them or somebody named them, and a `.gitignore` names them.
    Ignored,
    /// They lie where another repository's files belong.
    InSubmodule,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.files {
            1 if !self.path.ends_with('/') => None,
            1 => Some("1 file".to_owned()),
            files => Some(format!("{files} files")),
        };
        let why = match (self.why, self.files) {
            (Why::Unwanted, _) => None,
            (Why::Ignored, 1) => Some("a .gitignore names it".to_owned()),
            (Why::Ignored, _) => Some("a .gitignore names them".to_owned()),
            (Why::InSubmodule, _) => Some("in a submodule".to_owned()),
        };
        let behind: Vec<String> = count.into_iter().chain(why).collect();
        match behind.is_empty() {
            true => write!(formatter, "`{}`", self.path),
            false => write!(formatter, "`{}` ({})", self.path, behind.join("; ")),
        }
    }
}

/// Puts files together that lie in the same new folder. `is_used` says whether
/// the base has files in a folder, `landing` are the paths that land. A single file
/// that somebody meant to land is told by its own name.
pub(super) fn grouped<'a>(
    left_out: &[CheckoutPath],
    why: Why,
    landing: impl Iterator<Item = &'a CheckoutPath>,
    is_used: impl Fn(&str) -> bool,
) -> Vec<LeftOut> {
    let mut used = BTreeSet::new();
    for path in landing {
        for folder in folders(path.as_str()) {
            used.insert(folder.to_owned());
        }
    }
    let mut groups: BTreeMap<String, Vec<&CheckoutPath>> = BTreeMap::new();
    for path in left_out {
        let new = folders(path.as_str()).find(|folder| !used.contains(*folder) && !is_used(folder));
        let name = new.map_or_else(|| path.as_str().to_owned(), |folder| format!("{folder}/"));
        groups.entry(name).or_default().push(path);
    }
    let told = |(folder, files): (String, Vec<&CheckoutPath>)| {
        let path = match files.as_slice() {
            [file] if why != Why::Unwanted => file.as_str().to_owned(),
            _ => folder,
        };
        LeftOut { path, files: files.len(), why }
    };
    groups.into_iter().map(told).collect()
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
        let groups = grouped(&left_out, Why::Unwanted, landing.iter(), |folder| folder == "src");
        let told: Vec<String> = groups.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["`a.log`", "`new/cache/` (2 files)", "`src/b.o`", "`target/` (2 files)"]);
        let told = |files: &[&str], why| {
            let files: Vec<_> = files.iter().map(path).collect();
            grouped(&files, why, [].iter(), |_| false)[0].to_string()
        };
        assert_eq!(told(&["t/x"], Why::Unwanted), "`t/` (1 file)");
        assert_eq!(told(&["t/x"], Why::Ignored), "`t/x` (a .gitignore names it)");
        let ignored = told(&["t/x", "t/y"], Why::Ignored);
        assert_eq!(ignored, "`t/` (2 files; a .gitignore names them)");
        assert_eq!(told(&["t/x"], Why::InSubmodule), "`t/x` (in a submodule)");
    }
}
