//! Removing what a run has left in the repository: its references, and with them
//! what only they hold.

use std::path::Path;

use git2::{ObjectType, Oid};

use super::failed;
use super::open::{Repository, find_common_directory};
use super::rollback::ROLLED_BACK;
use super::shared::PUSHED;
use super::undo::UNDONE;
use super::working_tree::descends;
use super::worktrees::name_some;
use crate::{Error, Result, crash};

/// Below it lie a folder for each kind of reference, and in that the runs'.
pub(super) const OURS: &str = "refs/code-agent/";

/// What was removed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many references there were.
    pub references: usize,
    /// The commits that no branch holds: git forgets them in time.
    pub lost: Vec<String>,
}

impl Repository {
    /// Whether a run that was started at `root_path` is one of this repository. Of a
    /// folder that is not there any more, the next one above tells; or this repository
    /// has moved since, and then it has the run's references.
    pub fn has_run(&self, run: &str, root_path: &Path) -> Result<bool> {
        let nearest = root_path.ancestors().find(|folder| folder.exists());
        let common = nearest.and_then(|folder| find_common_directory(folder).ok());
        if common.is_some_and(|common| common == self.common_directory()) {
            return Ok(true);
        }
        Ok(!root_path.exists() && !self.references_of(&self.git()?, run)?.is_empty())
    }

    /// Removes every reference of a run. Where one of them holds commits that no
    /// branch has, that needs `force`, unless they were taken back on purpose.
    pub fn prune(&self, run: &str, force: bool) -> Result<Pruned> {
        let git = self.git()?;
        let names = self.references_of(&git, run)?;
        let (mut lost, mut alone) = (Vec::new(), Vec::new());
        for name in &names {
            if name.starts_with(PUSHED) {
                continue;
            }
            let Some(commit) = held_alone(&git, name)? else { continue };
            lost.push(commit.to_string());
            if !name.starts_with(UNDONE) && !name.starts_with(ROLLED_BACK) {
                alone.push(name.clone());
            }
        }
        if !force && !alone.is_empty() {
            return Err(Error::failed(format!(
                "run {run} has commits that no branch holds ({}); bring them in with `git merge`, \
                 or give --force to lose them",
                name_some(&alone)
            )));
        }
        for name in &names {
            self.remove_reference(name)?;
            crash::point("prune: a reference removed");
        }
        Ok(Pruned { references: names.len(), lost })
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

/// The commit that the reference names, where no branch of this repository or of a
/// remote has it. What is no commit was kept for the run alone.
fn held_alone(git: &git2::Repository, name: &str) -> Result<Option<Oid>> {
    let doing = || format!("look who has what `{name}` holds");
    let object = git.find_reference(name).and_then(|reference| reference.peel(ObjectType::Any));
    let object = object.map_err(failed(doing()))?;
    let Some(commit) = object.as_commit() else { return Ok(None) };
    for glob in ["refs/heads/*", "refs/remotes/*"] {
        for reference in git.references_glob(glob).map_err(failed(doing()))? {
            let holder = reference.and_then(|reference| reference.peel_to_commit());
            // A remote's HEAD may name a branch that is gone.
            if let Ok(holder) = holder
                && descends(git, holder.id(), commit.id())?
            {
                return Ok(None);
            }
        }
    }
    Ok(Some(commit.id()))
}
