//! What may have changed in a checkout since it was put to a commit, as far as
//! the host knows: it sees every path that a tool writes, and nothing of what a
//! command does. Owns no files; looking at what is there is `scan`'s business.

use std::collections::BTreeSet;

use super::path::CheckoutPath;

/// More paths than this are as good as all.
pub(super) const MOST_PATHS: usize = 10_000;

/// Where to look for changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// At these paths and below them.
    Paths(BTreeSet<CheckoutPath>),
    /// Everywhere.
    Anything,
    /// Everywhere and for good: something may still be running in there.
    AnythingEver,
}

impl Touched {
    /// After a reset: nothing is, as far as that can be known.
    pub(super) fn settle(&mut self) {
        if *self != Self::AnythingEver {
            *self = Self::Paths(BTreeSet::new());
        }
    }

    /// A tool is about to write at this path.
    pub(super) fn note(&mut self, path: &CheckoutPath) {
        let Self::Paths(paths) = self else { return };
        paths.insert(path.clone());
        // What a `.gitignore` names may lie anywhere.
        if is_ignore_file(path) || paths.len() > MOST_PATHS {
            *self = Self::Anything;
        }
    }

    /// A command is about to run; `lasting`: what it starts may outlive it.
    pub(super) fn note_command(&mut self, lasting: bool) {
        if lasting {
            *self = Self::AnythingEver;
        } else if *self != Self::AnythingEver {
            *self = Self::Anything;
        }
    }

    /// The same with these paths besides.
    pub(super) fn and(mut self, paths: &[CheckoutPath]) -> Self {
        paths.iter().for_each(|path| self.note(path));
        self
    }
}

impl Default for Touched {
    /// A folder that nobody has looked at yet.
    fn default() -> Self {
        Self::Anything
    }
}

/// Whether the path is that of a `.gitignore`.
pub(super) fn is_ignore_file(path: &CheckoutPath) -> bool {
    let above = path.as_str().strip_suffix(".gitignore");
    above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
}
