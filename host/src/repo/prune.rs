//! Removing what a run has left in the repository: its references, and with them
//! what only they hold.

use git2::ObjectType;

use super::failed;
use super::open::Repository;
use super::working_tree::descends;
use super::worktrees::name_some;
use crate::{Error, Result, crash};

/// Below it lie a folder for each kind of reference, and in that the runs'.
pub(super) const OURS: &str = "refs/code-agent/";

impl Repository {
    /// Removes every reference of a run, and returns how many there were. Where
    /// one of them holds commits that no branch has, that needs `force`.
    pub fn prune(&self, run: &str, force: bool) -> Result<usize> {
        let git = self.git()?;
        let names = self.references_of(&git, run)?;
        if !force {
            let mut alone = Vec::new();
            for name in &names {
                if !is_on_a_branch(&git, name)? {
                    alone.push(name.clone());
                }
            }
            if !alone.is_empty() {
                return Err(Error::failed(format!(
                    "run {run} has commits that no branch holds ({}); bring them in with `git \
                     merge`, or give --force to lose them",
                    name_some(&alone)
                )));
            }
        }
        for name in &names {
            git.find_reference(name)
                .and_then(|mut reference| reference.delete())
                .map_err(failed(format!("remove `{name}`")))?;
            crash::point("prune: a reference removed");
        }
        Ok(names.len())
    }

    fn references_of(&self, git: &git2::Repository, run: &str) -> Result<Vec<String>> {
        let doing = "list the references of a run";
        let mut names = Vec::new();
        for reference in git.references_glob(&format!("{OURS}*")).map_err(failed(doing))? {
            let reference = reference.map_err(failed(doing))?;
            let Ok(name) = reference.name() else { continue };
            let rest = name.strip_prefix(OURS).and_then(|rest| rest.split_once('/'));
            let after = rest.and_then(|(_, rest)| rest.strip_prefix(run));
            if after.is_some_and(|after| after.is_empty() || after.starts_with(['/', '-'])) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

/// Whether a branch, of this repository or of a remote, has the commit that the
/// reference names. What is no commit was kept for the run alone.
fn is_on_a_branch(git: &git2::Repository, name: &str) -> Result<bool> {
    let doing = || format!("look who has what `{name}` holds");
    let object = git.find_reference(name).and_then(|reference| reference.peel(ObjectType::Any));
    let object = object.map_err(failed(doing()))?;
    let Some(commit) = object.as_commit() else { return Ok(true) };
    for glob in ["refs/heads/*", "refs/remotes/*"] {
        for reference in git.references_glob(glob).map_err(failed(doing()))? {
            let holder = reference.and_then(|reference| reference.peel_to_commit());
            // A remote's HEAD may name a branch that is gone.
            if let Ok(holder) = holder
                && descends(git, holder.id(), commit.id())?
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
