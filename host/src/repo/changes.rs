//! What a worker changed, as plain data. Owns the modes that a file may have;
//! finding changes is `compare`'s business, landing them `landing`'s.

use super::left_out::LeftOut;
use super::path::CheckoutPath;

/// What kind of file a path holds: the three that git knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file that can't be executed (644).
    File,
    /// A file that can be executed (755).
    Executable,
    /// A symbolic link; its bytes are the target.
    Link,
}

impl Mode {
    /// Git's number for it in trees.
    pub(super) fn as_git(self) -> i32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Link => 0o120_000,
        }
    }

    /// None for folders and submodules. Old repositories hold 664, which
    /// counts as 644, as it does for git.
    pub(super) fn from_git(mode: i32) -> Option<Self> {
        match mode {
            0o100_644 | 0o100_664 => Some(Self::File),
            0o100_755 => Some(Self::Executable),
            0o120_000 => Some(Self::Link),
            _ => None,
        }
    }
}

/// One path that differs from the checkout's base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: CheckoutPath,
    /// What is there now.
    pub kind: ChangeKind,
}

impl Change {
    /// Whether the path is gone.
    pub fn is_removal(&self) -> bool {
        self.kind == ChangeKind::Removed
    }
}

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new, or its bytes or its mode changed.
    Written {
        /// The kind of file.
        mode: Mode,
        /// All that is in it; for a link, its target.
        bytes: Vec<u8>,
    },
    /// It is gone.
    Removed,
}

/// All that differs from a checkout's base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What may land, sorted by path.
    pub changes: Vec<Change>,
    /// What changed outside the run's root path: never lands, is reported.
    pub outside: Vec<CheckoutPath>,
    /// New files that nobody wanted: they don't land, and are reported.
    pub left_out: Vec<LeftOut>,
}
