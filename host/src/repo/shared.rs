//! Who else has a commit, as far as is known here: what remotes were seen to have,
//! and what was pushed. A remote that is named by its address alone, or whose
//! branches git is not told to follow, leaves no other trace of a push.

use git2::{ErrorCode, Oid};

use super::open::Repository;
use super::references::sync_reference;
use super::working_tree::descends;
use super::{failed, patience};
use crate::Result;

/// Below it, the newest commit of each run that a remote may have.
pub(super) const PUSHED: &str = "refs/code-agent/pushed/";

/// The references that tell what remotes may have.
pub(super) fn places() -> [String; 2] {
    ["refs/remotes/*".to_owned(), format!("{PUSHED}*")]
}

/// Whether a remote may have it: then to move the branch back would only last
/// until the next pull.
pub(super) fn is_shared(git: &git2::Repository, commit: Oid) -> Result<bool> {
    let doing = "look what the remotes have";
    for names in places() {
        for reference in git.references_glob(&names).map_err(failed(doing))? {
            let target = reference.and_then(|reference| reference.peel_to_commit());
            // A remote's HEAD may name a branch that is gone.
            if let Ok(theirs) = target
                && descends(git, theirs.id(), commit)?
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Repository {
    /// What a remote may have of a run; none where nothing was pushed.
    pub(super) fn pushed(&self, git: &git2::Repository, run: &str) -> Result<Option<Oid>> {
        let name = format!("{PUSHED}{run}");
        match git.refname_to_id(&name) {
            Ok(commit) => Ok(Some(commit)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed(format!("read `{name}`"))(error)),
        }
    }

    /// Notes what a remote may have of a run from now on, or that it has nothing.
    pub(super) fn note_pushed(
        &self,
        git: &git2::Repository,
        run: &str,
        commit: Option<Oid>,
    ) -> Result<()> {
        let name = format!("{PUSHED}{run}");
        let doing = || failed(format!("write `{name}`"));
        let Some(commit) = commit else { return self.remove_reference(&name) };
        patience::unless_locked(|| git.reference(&name, commit, true, "code-agent: pushed"))
            .map_err(doing())?;
        sync_reference(self.common_directory(), &name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, locked_for_a_moment};

    #[test]
    fn a_note_that_is_locked_for_a_moment_is_written() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let git = repository.git().unwrap();
        let head = git.head().unwrap().target();
        let lock = sandbox.top().join(".git/refs/code-agent/pushed/r1.lock");
        locked_for_a_moment(lock, || repository.note_pushed(&git, "r1", head).unwrap());
        assert_eq!(repository.pushed(&git, "r1").unwrap(), head);
    }
}
