//! What a commit of the host's has taken back: the branch has it still, with the
//! commit that reverts it on top. Owns how that commit names what it takes back. One
//! that a person makes, or a revert of the revert, is not known here.

use git2::{Oid, Sort};

use super::failed;
use super::undo::UNDONE;
use super::working_tree::descends;
use crate::Result;

/// Commits that follow one another and were taken back in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The parent of the oldest.
    pub(super) from: Oid,
    /// The newest.
    pub(super) to: Oid,
}

/// How a line begins that names a stretch.
const TRAILER: &str = "Code-Agent-Undone: ";

/// The lines of a commit's message that name what it takes back.
pub(super) fn named(stretches: &[Stretch]) -> String {
    let line = |stretch: &Stretch| format!("{TRAILER}{}..{}\n", stretch.from, stretch.to);
    stretches.iter().map(line).collect()
}

/// What of a run was taken back on the way to `tip`. Only a commit right on top of one
/// that an undo of the run has kept is asked, for any other's message may be a model's.
pub(super) fn stretches(git: &git2::Repository, run: &str, tip: Oid) -> Result<Vec<Stretch>> {
    let doing = || format!("look what of run {run} was taken back");
    let mut found = Vec::new();
    for kept in git.references_glob(&format!("{UNDONE}{run}-*")).map_err(failed(doing()))? {
        let kept = kept.and_then(|kept| kept.peel_to_commit()).map_err(failed(doing()))?.id();
        if tip != kept && descends(git, tip, kept)? {
            let message = message_on(git, kept, tip).map_err(failed(doing()))?;
            found.extend(message.lines().filter_map(stretch));
        }
    }
    Ok(found)
}

/// Whether one of them holds the commit.
pub(super) fn hold(git: &git2::Repository, stretches: &[Stretch], commit: Oid) -> Result<bool> {
    for stretch in stretches {
        if descends(git, stretch.to, commit)? && !descends(git, stretch.from, commit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The message of the first commit after `kept` on the way to `tip`.
fn message_on(git: &git2::Repository, kept: Oid, tip: Oid) -> Result<String, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.simplify_first_parent()?;
    walk.push(tip)?;
    walk.hide(kept)?;
    for id in walk {
        let commit = git.find_commit(id?)?;
        if commit.parent_id(0).is_ok_and(|parent| parent == kept) {
            return Ok(String::from_utf8_lossy(commit.message_bytes()).into_owned());
        }
    }
    Ok(String::new())
}

fn stretch(line: &str) -> Option<Stretch> {
    let (from, to) = line.strip_prefix(TRAILER)?.split_once("..")?;
    let id = |hex: &str| super::commit_id(hex).ok();
    Some(Stretch { from: id(from)?, to: id(to)? })
}
