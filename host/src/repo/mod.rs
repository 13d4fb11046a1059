//! Checkouts and landing: everything that knows git. Owns the repository's
//! references under `refs/code-agent/`, the branch, the user's working tree as
//! far as a run moves it, and the checkouts that workers see. Knows nothing of
//! tasks, models or components. Every function here blocks; commit ids cross
//! the border as 40 hex digits.

mod attributes;
mod belonging;
mod changes;
mod checkout;
mod checkouts;
mod collision;
mod compare;
mod contents;
mod draft;
mod filling;
mod filters;
pub mod folder;
mod going_back;
mod group;
mod handles;
mod hidden;
mod holding;
mod hooks;
mod ignored;
mod joining;
mod kept;
mod keys;
mod landing;
mod left_out;
pub mod lock;
mod mending;
mod merge;
mod message;
mod missing_branch;
mod new_keys;
mod open;
mod pack;
mod packing;
mod patch;
pub mod path;
mod patience;
mod prune;
mod publish;
mod push;
mod raw_tree;
mod recovery;
mod references;
mod removal;
mod reset;
mod revision;
mod rollback;
mod scan;
pub mod scratch;
mod shared;
mod sync;
mod taken_back;
#[cfg(test)]
mod testing;
mod touched;
mod tree;
mod undo;
mod views;
mod working_tree;
mod worktrees;
mod written;

use std::fmt::Display;

use git2::Oid;

pub use changes::{Change, ChangeKind, Changes, Mode};
pub use checkout::Checkout;
pub use checkouts::{Checkouts, remove_checkouts};
pub use collision::{LaidOut, lay_out, still_marked};
pub use filters::Filtered;
pub use group::{Stack, stack};
pub use landing::{LandError, Landed, Lander, Landing, LandingLog, LandingRecord};
pub use left_out::{LeftOut, Why};
pub use new_keys::NewKey;
pub use open::Repository;
pub use patch::{Patch, blob, patch, still_has, top_of};
pub use prune::Pruned;
pub use publish::{Merges, Published};
pub use rollback::{Step, rolled_back_reference};
pub use undo::Undone;
pub use views::{CommitSummary, FileChange, StatusEntry};
pub use working_tree::BranchOutcome;

use crate::{Error, Result};

/// Turns a library's error into a sentence that starts with what was tried.
fn failed<E: Display>(doing: impl Display) -> impl FnOnce(E) -> Error {
    move |error| Error::failed(format!("could not {doing}: {error}"))
}

/// Parses a whole commit id; libgit2 itself would fill up a short one with
/// zeros.
fn commit_id(hex: &str) -> Result<Oid> {
    if hex.len() != 40 {
        return Err(Error::failed(format!("`{hex}` is no commit id of 40 hex digits")));
    }
    Oid::from_str(hex).map_err(failed(format!("read the commit id `{hex}`")))
}
