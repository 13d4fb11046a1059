//! Taking back what a run has landed: by moving the branch where nothing came
//! after and nobody else has it, neither a remote nor another run, else by a commit
//! that reverts it. What stood there before stays under a reference.

use std::collections::HashSet;

use git2::{Oid, Signature, Time};
use serde::Serialize;

use super::draft::MEMORY_FIRST;
use super::merge::{Merged, merge_sides};
use super::open::Repository;
use super::references::{RUNS, move_reference, run_reference, run_tip, sync_reference};
use super::shared::is_shared;
use super::taken_back::{self, Stretch};
use super::working_tree::{BranchOutcome, descends};
use super::{commit_id, failed, pack, patience, worktrees};
use crate::{Error, Result, crash};

/// Where what was taken back is kept; hidden from `git branch`, kept by `git gc`.
pub(super) const UNDONE: &str = "refs/code-agent/undone/";

/// How something was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The commit that the branch stands on now.
    pub to: String,
    /// Whether that is a new commit, which reverts the others.
    pub reverted: bool,
    /// The reference that holds what the branch stood on before.
    pub kept: String,
}

impl Repository {
    /// Takes back those commits of a run that its branch holds; `landed` names
    /// them in the order in which they landed. Working tree and run follow the
    /// branch. `time` dates the commit: seconds since 1970-01-01 UTC.
    pub fn undo(&self, run: &str, landed: &[String], time: i64) -> Result<Undone> {
        let git = self.git()?;
        let branch = self.branch_commit(&git)?.ok_or_else(|| self.nothing_to_undo(run))?;
        let stretches = stretches(&git, branch, landed)?;
        let Some(newest) = stretches.first() else { return Err(self.nothing_to_undo(run)) };
        let tip = self.run_within(&git, run, branch)?;
        let moves = stretches.len() == 1
            && newest.to == branch
            && !is_shared(&git, branch)?
            && !is_in_another_run(&git, run, branch)?;
        let to =
            if moves { newest.from } else { self.revert(&git, run, branch, &stretches, time)? };
        let kept = format!("{UNDONE}{run}-{}", short(branch));
        patience::unless_locked(|| git.reference(&kept, branch, true, "code-agent: undo"))
            .map_err(failed(format!("make `{kept}`")))?;
        sync_reference(self.common_directory(), &kept)?;
        crash::point("undo: kept");
        match self.bring_both(&git, run, tip, branch, to) {
            Ok(()) => Ok(Undone { to: to.to_string(), reverted: !moves, kept }),
            Err(error) if self.stands_on(&git, branch) => {
                let doing = || format!("take back a note after this: {error}");
                self.remove_reference(&kept).map_err(failed(doing()))?;
                Err(error)
            }
            Err(error) => Err(Error::failed(format!(
                "{error}; the branch `{}` had moved by then, and what it stood on is in `{kept}`",
                self.branch()
            ))),
        }
    }

    /// Where the run stands, which has to be within its branch: a run that is
    /// ahead would bring what is taken back to its branch again when it goes on.
    /// None where it was pruned.
    fn run_within(&self, git: &git2::Repository, run: &str, branch: Oid) -> Result<Option<Oid>> {
        let Ok(tip) = run_tip(git, run) else { return Ok(None) };
        if descends(git, branch, tip)? {
            return Ok(Some(tip));
        }
        let (name, reference) = (self.branch(), run_reference(run)?);
        Err(Error::failed(format!(
            "run {run} has work that the branch `{name}` lacks, and would bring back with it what is \
             taken back; bring it in first (git switch {name} && git merge {reference}), or lose it: \
             code-agent prune {run} --force"
        )))
    }

    /// Moves run and branch, or neither.
    fn bring_both(
        &self,
        git: &git2::Repository,
        run: &str,
        tip: Option<Oid>,
        branch: Oid,
        to: Oid,
    ) -> Result<()> {
        // Of a run that was pruned only the branch is left to move.
        let Some(tip) = tip else { return self.bring_branch(git, run, branch, to) };
        self.going_back(git, run, tip, branch)?;
        let brought = self.bring_one_by_one(git, run, tip, branch, to);
        let removed = self.gone_back(git, run);
        brought.and(removed)
    }

    fn bring_one_by_one(
        &self,
        git: &git2::Repository,
        run: &str,
        tip: Oid,
        branch: Oid,
        to: Oid,
    ) -> Result<()> {
        self.bring_run(git, run, tip, to)?;
        crash::point("undo: run moved");
        let brought = self.bring_branch(git, run, branch, to);
        crash::point("undo: branch moved");
        if let Err(error) = &brought
            && self.stands_on(git, branch)
        {
            self.bring_run(git, run, to, tip)
                .map_err(failed(format!("put the run back after this: {error}")))?;
        }
        brought
    }

    /// Whether the branch still stands there, as far as can be seen.
    fn stands_on(&self, git: &git2::Repository, commit: Oid) -> bool {
        matches!(self.branch_commit(git), Ok(Some(branch)) if branch == commit)
    }

    fn nothing_to_undo(&self, run: &str) -> Error {
        Error::usage(format!(
            "the branch `{}` holds nothing of that by run {run}; there is nothing to take back",
            self.branch()
        ))
    }

    /// A commit on the branch that has nothing of the stretches.
    fn revert(
        &self,
        git: &git2::Repository,
        run: &str,
        branch: Oid,
        stretches: &[Stretch],
        time: i64,
    ) -> Result<Oid> {
        let odb = git.odb().map_err(failed("open the repository's objects"))?;
        let _in_memory = odb
            .add_new_mempack_backend(MEMORY_FIRST)
            .map_err(failed("keep a commit's objects in memory"))?;
        let doing = || format!("take back what run {run} did");
        let tree_of = |id: Oid| git.find_commit(id)?.tree();
        let before = tree_of(branch).map_err(failed(doing()))?;
        let mut tree = before.clone();
        for stretch in stretches {
            let (from, to) = (tree_of(stretch.from), tree_of(stretch.to));
            let (from, to) = (from.map_err(failed(doing()))?, to.map_err(failed(doing()))?);
            let merged = merge_sides(git, &to, &tree, &from).map_err(failed(doing()))?;
            tree = match merged {
                Merged::Tree(tree) => git.find_tree(tree).map_err(failed(doing()))?,
                Merged::Conflict(files) => return Err(self.needs_hands(stretch, &files)),
            };
        }
        if tree.id() == before.id() {
            return Err(self.nothing_to_undo(run));
        }
        let who = Signature::new("code-agent", "code-agent@localhost", &Time::new(time, 0));
        let who = who.map_err(failed(doing()))?;
        let message = format!(
            "Take back what run {run} did\n\nCode-Agent-Undo: {run}\n{}",
            taken_back::named(stretches)
        );
        let parent = git.find_commit(branch).map_err(failed(doing()))?;
        let commit =
            git.commit(None, &who, &who, &message, &tree, &[&parent]).map_err(failed(doing()))?;
        pack::write(self, git, run, branch, &[commit])?;
        Ok(commit)
    }

    fn needs_hands(&self, stretch: &Stretch, files: &[String]) -> Error {
        Error::failed(format!(
            "what came after on `{}` builds on it: {} would collide, so nothing was taken back. To \
             do it by hand: git switch {} && git revert --no-commit {}..{} (mend, git commit)",
            self.branch(),
            worktrees::name_some(files),
            self.branch(),
            short(stretch.from),
            short(stretch.to)
        ))
    }

    /// Moves the branch, with its working tree where it is checked out.
    pub(super) fn bring_branch(
        &self,
        git: &git2::Repository,
        run: &str,
        from: Oid,
        to: Oid,
    ) -> Result<()> {
        let holders = worktrees::holders(self)?;
        // What is not moved has the work still.
        let work = self.branch_reference();
        let outcome = match holders.as_slice() {
            [] => self.move_branch(git, &work, from, to)?,
            [holder] => self.move_both(git, run, holder, &work, from, to)?,
            _ => {
                return Err(Error::failed(format!(
                    "the branch `{}` is checked out in more than one working tree; leave it in all \
                     but one",
                    self.branch()
                )));
            }
        };
        match outcome {
            BranchOutcome::Moved { .. } | BranchOutcome::AlreadyThere => Ok(()),
            BranchOutcome::LeftAlone { reason, .. } => {
                Err(Error::failed(format!("nothing was taken back: {reason}")))
            }
        }
    }

    /// A run that is gone on with starts from where its branch is then.
    fn bring_run(&self, git: &git2::Repository, run: &str, from: Oid, to: Oid) -> Result<()> {
        let name = run_reference(run)?;
        if !move_reference(git, &name, from, to, "code-agent: undo")? {
            return Err(Error::failed(format!(
                "nothing was taken back: `{name}` was moved by somebody else just now"
            )));
        }
        sync_reference(self.common_directory(), &name)
    }
}

/// The commits that the branch holds, as far as they follow one another, the
/// newest first. Merges and what people did between them are not among them.
fn stretches(git: &git2::Repository, branch: Oid, landed: &[String]) -> Result<Vec<Stretch>> {
    let mut own = HashSet::new();
    for hex in landed {
        let id = commit_id(hex)?;
        // One that was taken back and pruned since may be gone.
        if git.find_commit(id).is_ok() && descends(git, branch, id)? {
            own.insert(id);
        }
    }
    let parent_of = |id: Oid| {
        let parent = git.find_commit(id).and_then(|commit| commit.parent_id(0));
        parent.map_err(failed(format!("read what commit {id} was made from")))
    };
    let mut stretches = Vec::new();
    for hex in landed.iter().rev() {
        let to = commit_id(hex)?;
        if !own.remove(&to) {
            continue;
        }
        let mut from = parent_of(to)?;
        while own.remove(&from) {
            from = parent_of(from)?;
        }
        stretches.push(Stretch { from, to });
    }
    Ok(stretches)
}

/// Whether another run stands on it or has it below: when that goes on, it would
/// bring it to the branch once more. A commit that takes it back it takes in.
fn is_in_another_run(git: &git2::Repository, run: &str, commit: Oid) -> Result<bool> {
    let doing = "look what other runs have";
    let own = run_reference(run)?;
    for reference in git.references_glob(&format!("{RUNS}*")).map_err(failed(doing))? {
        let reference = reference.map_err(failed(doing))?;
        let tip = reference.peel_to_commit().map_err(failed(doing))?.id();
        if reference.name().ok() != Some(own.as_str()) && descends(git, tip, commit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn short(id: Oid) -> String {
    id.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::super::landing::{Lander, LandingRecord};
    use super::super::testing::{Sandbox, land, landing, written};
    use super::*;

    /// A run that has landed two commits, of which the branch has the first.
    fn ahead(sandbox: &Sandbox, repository: &Repository) -> [String; 3] {
        let base = repository.begin("r1").unwrap();
        let lander = Lander::start(repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
        let one = land(&lander, landing("l1", &base, vec![written("a", "two\n")])).unwrap().commit;
        repository.end_cycle("r1").unwrap();
        assert_eq!(sandbox.git(&["rev-parse", "main"]), one);
        let two = land(&lander, landing("l2", &one, vec![written("b", "b\n")])).unwrap().commit;
        [base, one, two]
    }

    #[test]
    fn a_run_that_is_ahead_is_refused_and_its_work_comes_in_as_is_said() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let [base, one, two] = ahead(&sandbox, &repository);
        let landed = [one.clone(), two.clone()];
        let refusal = repository.undo("r1", &landed, 0).unwrap_err().to_string();
        let (_, command) = refusal.split_once("git switch main && git ").unwrap();
        assert_eq!(sandbox.git(&["rev-parse", "main"]), one, "nothing moved");
        assert!(!sandbox.git(&["for-each-ref"]).contains("undone"));
        let merge: Vec<&str> = command.split_once(')').unwrap().0.split(' ').collect();
        sandbox.git(&merge);
        assert_eq!(repository.undo("r1", &landed, 0).unwrap().to, base);
        assert_eq!(repository.tip("r1").unwrap(), base);
    }

    #[test]
    fn a_run_between_comes_along_and_brings_nothing_back() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let [base, one, two] = ahead(&sandbox, &repository);
        repository.end_cycle("r1").unwrap();
        let undone = repository.undo("r1", std::slice::from_ref(&two), 0).unwrap();
        assert_eq!((undone.to, repository.tip("r1").unwrap()), (one.clone(), one.clone()));
        sandbox.git(&["merge", "--quiet", "--ff-only", &undone.kept]);
        repository.undo("r1", &[one, two], 0).unwrap();
        assert_eq!(repository.end_cycle("r1").unwrap(), BranchOutcome::AlreadyThere);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), base);
    }

    #[test]
    fn a_branch_that_stays_keeps_its_run_where_it_stood() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let [_, one, two] = ahead(&sandbox, &repository);
        repository.end_cycle("r1").unwrap();
        sandbox.write("a", "mine\n");
        let refusal = repository.undo("r1", &[one, two.clone()], 0).unwrap_err().to_string();
        assert!(refusal.contains("nothing was taken back"), "{refusal}");
        let at = |name: &str| sandbox.git(&["rev-parse", name]);
        assert_eq!((at("main"), repository.tip("r1").unwrap()), (two.clone(), two));
        assert!(!sandbox.git(&["for-each-ref"]).contains("undone"));
    }

    #[test]
    fn what_was_there_stays_where_something_fails_after_the_branch_has_moved() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let [base, one, two] = ahead(&sandbox, &repository);
        repository.end_cycle("r1").unwrap();
        // The mark of a move can't be removed where it is packed and that is locked.
        sandbox.git(&["update-ref", "refs/code-agent/moving/r1", &two]);
        sandbox.git(&["pack-refs", "--all"]);
        let lock = sandbox.top().join(".git/packed-refs.lock");
        std::fs::write(&lock, "").unwrap();
        let error = repository.undo("r1", &[one, two.clone()], 0).unwrap_err().to_string();
        std::fs::remove_file(lock).unwrap();
        let at = |name: &str| sandbox.git(&["rev-parse", name]);
        assert_eq!((at("main"), repository.tip("r1").unwrap()), (base.clone(), base));
        let (_, kept) = error.split_once("it stood on is in `").expect(&error);
        assert_eq!(at(kept.trim_end_matches('`')), two);
    }
}
