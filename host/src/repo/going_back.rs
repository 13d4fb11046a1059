//! Run and branch go back together, but by two steps. Marks that they are about
//! to, so that whoever comes after a host that died in between finds both where
//! they stood, and can have them go anew.

use git2::Oid;

use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::{commit_id, failed, patience};
use crate::{Error, Result};

/// A mark's commit is the one that the run stood on; its name ends with the one
/// that the branch did.
const GOING_BACK: &str = "refs/code-agent/going-back/";

impl Repository {
    /// Says that run and branch are about to go back from where they stand.
    pub(super) fn going_back(
        &self,
        git: &git2::Repository,
        run: &str,
        tip: Oid,
        branch: Oid,
    ) -> Result<()> {
        let name = format!("{GOING_BACK}{run}-{branch}");
        patience::unless_locked(|| git.reference(&name, tip, true, "code-agent: going back"))
            .map_err(failed(format!("make `{name}`")))?;
        sync_reference(self.common_directory(), &name)
    }

    /// Says that they have, or never will.
    pub(super) fn gone_back(&self, git: &git2::Repository, run: &str) -> Result<()> {
        for (name, _, _) in marks(git, run)? {
            self.remove_reference(&name)?;
        }
        Ok(())
    }

    /// Where a host died before the branch went back, takes back that the run did.
    pub(super) fn stay(&self, git: &git2::Repository, run: &str) -> Result<()> {
        for (_, tip, branch) in marks(git, run)? {
            if self.branch_commit(git)? != Some(branch) {
                continue;
            }
            let (name, now) = (run_reference(run)?, run_tip(git, run)?);
            if !move_reference(git, &name, now, tip, "code-agent: did not go back")? {
                return Err(Error::failed(format!(
                    "`{name}` was moved by somebody else just now; try once more"
                )));
            }
            sync_reference(self.common_directory(), &name)?;
        }
        self.gone_back(git, run)
    }
}

/// The marks of a run: each one's name, and where run and branch stood.
fn marks(git: &git2::Repository, run: &str) -> Result<Vec<(String, Oid, Oid)>> {
    let doing = "look for what was going back";
    let beginning = format!("{GOING_BACK}{run}-");
    let mut marks = Vec::new();
    for reference in git.references_glob(&format!("{beginning}*")).map_err(failed(doing))? {
        let reference = reference.map_err(failed(doing))?;
        let tip = reference.peel_to_commit().map_err(failed(doing))?.id();
        let name = reference.name().map_err(failed(doing))?.to_owned();
        let Some(branch) = name.strip_prefix(&beginning) else { continue };
        let branch = commit_id(branch)?;
        marks.push((name, tip, branch));
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, locked_for_a_moment};
    use super::*;

    #[test]
    fn a_mark_that_is_locked_for_a_moment_is_made() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let git = repository.git().unwrap();
        let head = git.head().unwrap().target().unwrap();
        let name = format!("{GOING_BACK}r1-{head}");
        let lock = sandbox.top().join(".git").join(format!("{name}.lock"));
        locked_for_a_moment(lock, || repository.going_back(&git, "r1", head, head).unwrap());
        assert_eq!(marks(&git, "r1").unwrap(), [(name, head, head)]);
    }
}
