//! Moving a run back to a commit on its way, where what came after turned out to
//! be bad. What it stood on stays under a reference.

use git2::Sort;

use super::open::Repository;
use super::references::{move_reference, run_reference, sync_reference};
use super::working_tree::descends;
use super::{commit_id, failed};
use crate::{Error, Result};

/// Where what was moved back from is kept; hidden from `git branch`, kept by
/// `git gc`.
const ROLLED_BACK: &str = "refs/code-agent/rolled-back/";

/// One commit on a run's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub commit: String,
    /// The first line of its message.
    pub title: String,
}

/// A run that was moved back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// The reference that holds what the run stood on.
    pub kept: String,
    /// Why the branch did not move back as well, where it had the work already.
    pub branch_left: Option<String>,
}

impl Repository {
    /// The commits after `from` up to `to`, the oldest first, along the run.
    pub fn steps(&self, from: &str, to: &str) -> Result<Vec<Step>> {
        let git = self.git()?;
        let doing = || format!("list the commits from {from} to {to}");
        let list = || -> std::result::Result<Vec<Step>, git2::Error> {
            let mut walk = git.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.simplify_first_parent()?;
            walk.push(git2::Oid::from_str(to)?)?;
            walk.hide(git2::Oid::from_str(from)?)?;
            walk.map(|id| {
                let commit = git.find_commit(id?)?;
                let title = commit.summary_bytes().unwrap_or_default();
                let title = String::from_utf8_lossy(title).into_owned();
                Ok(Step { commit: commit.id().to_string(), title })
            })
            .collect()
        };
        list().map_err(failed(doing()))
    }

    /// Moves the run, and its branch where that has the work already, from a
    /// commit back to one before it.
    pub fn roll_back(&self, run: &str, from: &str, to: &str) -> Result<RolledBack> {
        let git = self.git()?;
        let (from, to) = (commit_id(from)?, commit_id(to)?);
        let kept = format!("{ROLLED_BACK}{run}-{}", from.to_string().get(..10).unwrap_or_default());
        git.reference(&kept, from, true, "code-agent: rolled back")
            .map_err(failed(format!("make `{kept}`")))?;
        sync_reference(self.common_directory(), &kept)?;
        let name = run_reference(run)?;
        if !move_reference(&git, &name, from, to, "code-agent: rolled back")? {
            return Err(Error::failed(format!(
                "`{name}` was moved by somebody else while it was rolled back; nothing moved"
            )));
        }
        sync_reference(self.common_directory(), &name)?;
        let branch = self.branch_commit(&git)?.filter(|_| self.auto_commit());
        let mut branch_left = None;
        if let Some(branch) = branch.filter(|branch| *branch != to)
            && descends(&git, branch, to)?
            && descends(&git, from, branch)?
        {
            branch_left = self.bring_branch(&git, run, branch, to).err().map(|why| why.to_string());
        }
        Ok(RolledBack { kept, branch_left })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;

    #[test]
    fn run_and_branch_move_back_and_what_was_there_is_kept() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let start = repository.begin("r1").unwrap();
        let commit = |name: &str| {
            sandbox.write(name, "x\n");
            sandbox.git(&["add", "--all"]);
            sandbox.git(&["commit", "--quiet", "--message", &format!("Add {name}\n\nbody")]);
            sandbox.git(&["rev-parse", "HEAD"])
        };
        let (good, bad) = (commit("good"), commit("bad"));
        sandbox.git(&["update-ref", "refs/code-agent/runs/r1", &bad]);
        let steps = repository.steps(&start, &bad).unwrap();
        let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(titles, ["Add good", "Add bad"]);
        let back = repository.roll_back("r1", &bad, &good).unwrap();
        assert_eq!(back.branch_left, None);
        assert_eq!(repository.tip("r1").unwrap(), good);
        assert_eq!(sandbox.git(&["rev-parse", &back.kept]), bad);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), good);
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        assert!(!sandbox.top().join("bad").exists() && sandbox.top().join("good").exists());
        assert!(repository.roll_back("r1", &bad, &good).is_err(), "it is not there any more");
    }

    #[test]
    fn a_dirty_tree_keeps_the_branch_and_says_so() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let start = repository.begin("r1").unwrap();
        sandbox.write("a", "two\n");
        sandbox.git(&["commit", "--quiet", "--all", "--message", "two"]);
        let bad = sandbox.git(&["rev-parse", "HEAD"]);
        sandbox.git(&["update-ref", "refs/code-agent/runs/r1", &bad]);
        sandbox.write("a", "mine\n");
        let back = repository.roll_back("r1", &bad, &start).unwrap();
        assert!(back.branch_left.unwrap().contains("uncommitted changes"));
        assert_eq!(repository.tip("r1").unwrap(), start);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), bad);
        assert_eq!(std::fs::read_to_string(sandbox.top().join("a")).unwrap(), "mine\n");
    }
}
