//! Taking back what a run has landed: by moving the branch where nothing came
//! after and nobody else has it, else by a commit that reverts it. What stood
//! there before stays under a reference.

use std::collections::HashSet;

use git2::{Oid, Signature, Time};
use serde::Serialize;

use super::merge::{Merged, merge_sides};
use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::working_tree::{BranchOutcome, descends};
use super::{commit_id, failed, pack, worktrees};
use crate::{Error, Result};

/// Where what was taken back is kept; hidden from `git branch`, kept by `git gc`.
const UNDONE: &str = "refs/code-agent/undone/";
/// Above the loose (1) and packed (2) backends of libgit2.
const MEMORY_FIRST: i32 = 1_000;

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

/// Commits that follow one another, to be taken back in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// The parent of the oldest.
    from: Oid,
    /// The newest.
    to: Oid,
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
        let moves = stretches.len() == 1 && newest.to == branch && !is_shared(&git, branch)?;
        let to =
            if moves { newest.from } else { self.revert(&git, run, branch, &stretches, time)? };
        let kept = format!("{UNDONE}{run}-{}", short(branch));
        git.reference(&kept, branch, true, "code-agent: undo")
            .map_err(failed(format!("make `{kept}`")))?;
        sync_reference(self.common_directory(), &kept)?;
        if let Err(error) = self.bring_branch(&git, run, branch, to) {
            let removed = git.find_reference(&kept).and_then(|mut reference| reference.delete());
            removed.map_err(failed(format!("remove `{kept}` after this: {error}")))?;
            return Err(error);
        }
        self.bring_run(&git, run, branch, to)?;
        Ok(Undone { to: to.to_string(), reverted: !moves, kept })
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
        let message = format!("Take back what run {run} did\n\nCode-Agent-Undo: {run}\n");
        let parent = git.find_commit(branch).map_err(failed(doing()))?;
        let commit =
            git.commit(None, &who, &who, &message, &tree, &[&parent]).map_err(failed(doing()))?;
        pack::write(git, self.common_directory(), run, branch, &[commit])?;
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
            [holder] => {
                self.moving(git, run, to)?;
                let outcome = self.move_both(holder, &work, from, to);
                self.moved(git, run)?;
                outcome?
            }
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

    /// A run that is gone on with starts from where its branch is now, unless it
    /// has work that the branch has not. One that was pruned has no reference.
    fn bring_run(&self, git: &git2::Repository, run: &str, from: Oid, to: Oid) -> Result<()> {
        let name = run_reference(run)?;
        let Ok(tip) = run_tip(git, run) else { return Ok(()) };
        if (tip == from || descends(git, to, tip)?)
            && move_reference(git, &name, tip, to, "code-agent: undo")?
        {
            sync_reference(self.common_directory(), &name)?;
        }
        Ok(())
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

/// Whether a remote has it, as far as is known here: then to move the branch
/// back would only last until the next pull.
pub(super) fn is_shared(git: &git2::Repository, commit: Oid) -> Result<bool> {
    let doing = "look what the remotes have";
    for reference in git.references_glob("refs/remotes/*").map_err(failed(doing))? {
        let target = reference.and_then(|reference| reference.peel_to_commit());
        // A remote's HEAD may name a branch that is gone.
        if let Ok(theirs) = target
            && descends(git, theirs.id(), commit)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn short(id: Oid) -> String {
    id.to_string().chars().take(10).collect()
}
