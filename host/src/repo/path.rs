//! A path inside a checkout, parsed once. Owns what such a path may look like;
//! opening it is `Folder`'s business, and whether it may be written the tools'.

use std::borrow::Borrow;
use std::fmt;
use std::path::Path;

use crate::types::CallError;

/// Longer paths are refused: Linux takes no more (`PATH_MAX`).
pub(super) const LONGEST_PATH: usize = 4096;
/// Longer names are refused: the usual file systems take no more (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// A relative path with `/` between its names, which leads neither out of the
/// checkout nor into a `.git`. The empty path is the checkout's top.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckoutPath(String);

impl CheckoutPath {
    /// The checkout's top folder.
    pub fn top() -> Self {
        Self(String::new())
    }

    /// Parses what a model, a component or a tree of git's names. A trailing
    /// `/` and `.` names are dropped, since models write them for folders.
    pub fn parse(text: &str) -> Result<Self, CallError> {
        if text.len() > LONGEST_PATH {
            return Err(invalid(text, "is longer than 4096 bytes"));
        }
        if text.starts_with('/') {
            return Err(invalid(text, "is absolute; give it relative to the repository's top"));
        }
        if text.contains(['\0', '\\', '\n', '\r']) {
            return Err(invalid(text, "holds a character that no path here may have"));
        }
        let mut names = Vec::new();
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => return Err(invalid(text, "leads upwards with `..`")),
                name if is_dot_git(name) => {
                    return Err(invalid(text, "leads into git's own folder"));
                }
                name if name.len() > LONGEST_NAME => {
                    return Err(invalid(text, "has a name longer than 255 bytes"));
                }
                name => names.push(name),
            }
        }
        Ok(Self(names.join("/")))
    }

    /// Parses a path that has to name a file, so without a trailing `/`.
    pub fn parse_file(text: &str) -> Result<Self, CallError> {
        let path = Self::parse(text)?;
        if text.ends_with(['/']) || text.ends_with("/.") {
            return Err(invalid(text, "names a folder"));
        }
        if path.is_top() {
            return Err(invalid(text, "names no file"));
        }
        Ok(path)
    }

    /// Refuses names for new files that a checkout on Windows could not hold: it
    /// drops dots and spaces at the end, and keeps devices' names for itself
    /// (Microsoft, "Naming Files, Paths, and Namespaces"). What git has already
    /// is none of our business.
    pub fn check_new(&self) -> Result<(), CallError> {
        for name in self.0.split('/') {
            if name.ends_with(['.', ' ']) {
                return Err(invalid(&self.0, "has a name that ends with a dot or a space"));
            }
            let stem = name.split('.').next().unwrap_or(name).trim_end();
            if is_device(stem) {
                return Err(invalid(&self.0, "has a name that is a device on Windows"));
            }
        }
        Ok(())
    }

    /// The path as text; empty for the top.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as cap-std takes it: `.` for the top.
    pub fn as_path(&self) -> &Path {
        if self.is_top() { Path::new(".") } else { Path::new(&self.0) }
    }

    /// Whether this is the checkout's top folder.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path is `folder` or lies below it.
    pub fn is_within(&self, folder: &Self) -> bool {
        folder.is_top()
            || self.0 == folder.0
            || self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// A path below this one.
    pub fn join(&self, below: &str) -> Result<Self, CallError> {
        if self.is_top() { Self::parse(below) } else { Self::parse(&format!("{self}/{below}")) }
    }

    /// The folder that this path lies in; none for the top.
    pub fn parent(&self) -> Option<Self> {
        if self.is_top() {
            return None;
        }
        let folder = self.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(Self(folder.to_owned()))
    }
}

fn is_device(stem: &str) -> bool {
    let numbered = |prefix: &str| {
        let rest = stem.get(..3).filter(|start| start.eq_ignore_ascii_case(prefix));
        rest.is_some() && matches!(stem.as_bytes().get(3..), Some([b'1'..=b'9']))
    };
    ["con", "prn", "aux", "nul"].iter().any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

/// The order is that of the text, so maps can be asked with it.
impl Borrow<str> for CheckoutPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckoutPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_top() { "." } else { &self.0 })
    }
}

/// Whether a file system or git might take this name for `.git`: letter case,
/// Windows' short name, trailing dots and spaces, stream suffixes and the
/// code points that HFS+ ignores are the ways that git itself guards against.
pub fn is_dot_git(name: &str) -> bool {
    let visible: String = name.chars().filter(|letter| !is_ignored_by_hfs(*letter)).collect();
    let stem = visible.split(':').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    stem.eq_ignore_ascii_case(".git") || stem.eq_ignore_ascii_case("git~1")
}

/// The code points that HFS+ leaves out when it compares names (git's
/// `utf8.c`, `next_hfs_char`).
fn is_ignored_by_hfs(letter: char) -> bool {
    matches!(letter,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

fn invalid(text: &str, why: &str) -> CallError {
    let shown: String = text.chars().take(120).collect();
    CallError::Invalid(format!("the path {shown:?} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        for (text, plain) in
            [("src/lib.rs", "src/lib.rs"), ("./src//", "src"), (".", ""), ("a/./b", "a/b")]
        {
            assert_eq!(CheckoutPath::parse(text).unwrap().as_str(), plain);
        }
    }

    #[test]
    fn what_leads_out_or_into_git_is_refused() {
        for text in [
            "/etc/passwd",
            "../x",
            "a/../../b",
            ".git/config",
            "a/.GIT/hooks",
            ".git./x",
            "git~1/config",
            ".gi\u{200c}t/config",
            ".git::$INDEX_ALLOCATION/x",
            "a\0b",
            "a\\..\\b",
            "a\nb",
        ] {
            assert!(matches!(CheckoutPath::parse(text), Err(CallError::Invalid(_))), "{text:?}");
        }
        assert!(CheckoutPath::parse(&"a/".repeat(3000)).is_err());
        assert!(CheckoutPath::parse(&"a".repeat(256)).is_err());
        assert!(CheckoutPath::parse_file(".").is_err());
    }

    #[test]
    fn within_goes_by_whole_names() {
        let path = |text| CheckoutPath::parse(text).unwrap();
        assert!(path("src/a").is_within(&path("src")));
        assert!(path("src").is_within(&path("src")));
        assert!(path("src").is_within(&CheckoutPath::top()));
        assert!(!path("srcs/a").is_within(&path("src")));
    }
}
