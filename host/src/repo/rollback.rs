//! Moving a run back to a commit on its way, where what came after turned out to
//! be bad. What it stood on stays under a reference.

use std::collections::HashSet;

use git2::{Oid, Sort};

use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::working_tree::descends;
use super::{commit_id, failed, patience, shared, taken_back};
use crate::{Error, Result, crash};

/// Where what was moved back from is kept; hidden from `git branch`, kept by
/// `git gc`.
pub(super) const ROLLED_BACK: &str = "refs/code-agent/rolled-back/";

/// One commit on a run's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub commit: String,
    /// The commit before it.
    pub parent: String,
    /// The first line of its message.
    pub title: String,
    /// Whether a remote has it, as far as is known here.
    pub shared: bool,
}

/// The reference that keeps what a run stood on before it was moved back.
pub fn rolled_back_reference(run: &str, from: &str) -> String {
    format!("{}{}", prefix(run), from.get(..10).unwrap_or(from))
}

/// How the names of all of a run's begin.
fn prefix(run: &str) -> String {
    format!("{ROLLED_BACK}{run}-")
}

impl Repository {
    /// The commits after `from` up to `to`, the oldest first, along the run.
    pub fn steps(&self, from: &str, to: &str) -> Result<Vec<Step>> {
        let git = self.git()?;
        let doing = || format!("list the commits from {from} to {to}");
        let list = || -> std::result::Result<Vec<Oid>, git2::Error> {
            let mut walk = git.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.simplify_first_parent()?;
            walk.push(Oid::from_str(to)?)?;
            walk.hide(Oid::from_str(from)?)?;
            walk.collect()
        };
        let own = unshared(&git, from, to).map_err(failed(doing()))?;
        let mut steps = Vec::new();
        for id in list().map_err(failed(doing()))? {
            let commit = git.find_commit(id).map_err(failed(doing()))?;
            let title = commit.summary_bytes().unwrap_or_default();
            steps.push(Step {
                commit: id.to_string(),
                parent: commit.parent_id(0).map_err(failed(doing()))?.to_string(),
                title: String::from_utf8_lossy(title).into_owned(),
                shared: !own.contains(&id),
            });
        }
        Ok(steps)
    }

    /// Those of these commits that the run does not hold, although it landed them
    /// after `base`: it was moved back since, or a commit has taken them back.
    pub fn lost(&self, run: &str, base: &str, landed: &[String]) -> Result<HashSet<String>> {
        let git = self.git()?;
        let tip = run_tip(&git, run)?;
        let doing = || format!("look what run {run} has landed since {base}");
        let list = || -> std::result::Result<HashSet<String>, git2::Error> {
            let mut lost: HashSet<String> = landed.iter().cloned().collect();
            let mut walk = git.revwalk()?;
            walk.push(tip)?;
            walk.hide(Oid::from_str(base)?)?;
            for id in walk {
                lost.remove(&id?.to_string());
            }
            Ok(lost)
        };
        let mut lost = list().map_err(failed(doing()))?;
        let gone = taken_back::stretches(&git, run, tip)?;
        for commit in landed {
            if !lost.contains(commit) && taken_back::hold(&git, &gone, commit_id(commit)?)? {
                lost.insert(commit.clone());
            }
        }
        Ok(lost)
    }

    /// Whether the branch holds something that its run was moved back from.
    pub(super) fn holds_rolled_back(
        &self,
        git: &git2::Repository,
        run: &str,
        branch: Oid,
    ) -> Result<bool> {
        let doing = "look what was rolled back";
        let names = git.references_glob(&format!("{}*", prefix(run))).map_err(failed(doing))?;
        for reference in names {
            let kept = reference.and_then(|reference| reference.peel_to_commit());
            let kept = kept.map_err(failed(doing))?.id();
            if descends(git, branch, kept)? || descends(git, kept, branch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves the run, and its branch where that has the work already, from a
    /// commit back to one before it. Returns why the branch did not move along,
    /// where it should have.
    pub fn roll_back(&self, run: &str, from: &str, to: &str) -> Result<Option<String>> {
        let git = self.git()?;
        let kept = rolled_back_reference(run, from);
        let (from, to) = (commit_id(from)?, commit_id(to)?);
        patience::unless_locked(|| git.reference(&kept, from, true, "code-agent: rolled back"))
            .map_err(failed(format!("make `{kept}`")))?;
        sync_reference(self.common_directory(), &kept)?;
        crash::point("rollback: kept");
        let branch = self.branch_commit(&git)?.filter(|_| self.auto_commit());
        let Some(branch) = branch.filter(|branch| *branch != to) else {
            self.move_run_back(&git, run, from, to)?;
            return Ok(None);
        };
        self.going_back(&git, run, from, branch)?;
        let moved = self.move_run_back(&git, run, from, to);
        crash::point("rollback: run moved");
        let left = moved.and_then(|()| self.move_branch_back(&git, run, branch, from, to));
        crash::point("rollback: branch moved");
        let removed = self.gone_back(&git, run);
        left.and_then(|why| removed.map(|()| why))
    }

    fn move_run_back(&self, git: &git2::Repository, run: &str, from: Oid, to: Oid) -> Result<()> {
        let name = run_reference(run)?;
        if !move_reference(git, &name, from, to, "code-agent: rolled back")? {
            return Err(Error::failed(format!(
                "`{name}` was moved by somebody else while it was rolled back; nothing moved"
            )));
        }
        sync_reference(self.common_directory(), &name)
    }

    /// Returns why the branch stays where it is, where it should not.
    fn move_branch_back(
        &self,
        git: &git2::Repository,
        run: &str,
        branch: Oid,
        from: Oid,
        to: Oid,
    ) -> Result<Option<String>> {
        if !descends(git, branch, to)? {
            return Ok(None);
        }
        if !descends(git, from, branch)? {
            let why = "it has commits of others on top, which are theirs to move";
            return Ok(descends(git, branch, from)?.then(|| why.to_owned()));
        }
        Ok(self.bring_branch(git, run, branch, to).err().map(|why| why.to_string()))
    }
}

/// The commits after `from` up to `to` that no remote has, as far as is known here:
/// one walk for all, however many branches the remotes have.
fn unshared(
    git: &git2::Repository,
    from: &str,
    to: &str,
) -> std::result::Result<HashSet<Oid>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.push(Oid::from_str(to)?)?;
    walk.hide(Oid::from_str(from)?)?;
    for names in shared::places() {
        for reference in git.references_glob(&names)? {
            // A remote's HEAD may name a branch that is gone.
            if let Ok(theirs) = reference.and_then(|reference| reference.peel_to_commit()) {
                walk.hide(theirs.id())?;
            }
        }
    }
    walk.collect()
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
        assert_eq!(back, None);
        let kept = super::rolled_back_reference("r1", &bad);
        assert_eq!(repository.tip("r1").unwrap(), good);
        assert_eq!(sandbox.git(&["rev-parse", &kept]), bad);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), good);
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        assert!(!sandbox.top().join("bad").exists() && sandbox.top().join("good").exists());
        assert!(repository.roll_back("r1", &bad, &good).is_err(), "it is not there any more");
    }

    #[test]
    fn what_any_remote_has_is_shared_whatever_else_it_names() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let start = repository.begin("r1").unwrap();
        let commit = |text: &str| {
            sandbox.write("a", text);
            sandbox.git(&["commit", "--quiet", "--all", "--message", text.trim()]);
            sandbox.git(&["rev-parse", "HEAD"])
        };
        let (first, _, third) = (commit("two\n"), commit("three\n"), commit("four\n"));
        let shared = || -> Vec<bool> {
            let steps = repository.steps(&start, &third).unwrap();
            steps.iter().map(|step| step.shared).collect()
        };
        assert_eq!(shared(), [false, false, false]);
        sandbox.git(&["update-ref", "refs/remotes/other/side", &first]);
        sandbox.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone"]);
        sandbox.git(&["update-ref", "refs/remotes/origin/file", "HEAD:a"]);
        assert_eq!(shared(), [true, false, false]);
        sandbox.git(&["update-ref", "refs/remotes/origin/all", &third]);
        assert_eq!(shared(), [true, true, true]);
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
        assert!(back.unwrap().contains("uncommitted changes"));
        assert_eq!(repository.tip("r1").unwrap(), start);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), bad);
        assert_eq!(std::fs::read_to_string(sandbox.top().join("a")).unwrap(), "mine\n");
        // Whoever goes on with the run does not take it in again.
        repository.adopt("r1").unwrap();
        assert_eq!(repository.tip("r1").unwrap(), start);
    }
}
