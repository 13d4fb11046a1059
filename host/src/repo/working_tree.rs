//! The user's branch and working tree at the end of a cycle or run: both move
//! to what has landed, or are left alone with the one command that does it.

use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, ErrorCode, Oid};

use super::mending::take_back_now;
use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::worktrees::{self, Holder};
use super::{failed, patience};
use crate::{Result, crash};

/// What became of the user's branch (or, uncommitted, of the working tree).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchOutcome {
    /// It has the run's work now.
    Moved {
        /// The commit.
        to: String,
    },
    /// It had the run's work already, or no branch is to move.
    AlreadyThere,
    /// It was left as it is; nothing is lost.
    LeftAlone {
        /// Why, naming the reference that has the run's work.
        reason: String,
        /// The one command that brings the work in.
        command: String,
    },
}

impl Repository {
    /// Brings the branch to the run's tip: with its working tree where it is
    /// checked out, and only if that is clean.
    pub fn end_cycle(&self, run: &str) -> Result<BranchOutcome> {
        if !self.auto_commit() {
            return Ok(BranchOutcome::AlreadyThere);
        }
        let git = self.git()?;
        let tip = run_tip(&git, run)?;
        let reference = run_reference(run)?;
        let Some(branch) = self.branch_commit(&git)? else {
            let command = format!("git branch {} {reference}", self.branch());
            return Ok(self.left_alone(&reference, "the branch is gone", command));
        };
        if branch == tip {
            return Ok(BranchOutcome::AlreadyThere);
        }
        let holders = worktrees::holders(self)?;
        let holds = descends(&git, tip, branch)?;
        match (holds, holders.as_slice()) {
            (false, holders) => {
                let merge = match holders {
                    [] => format!("git switch {} && git merge {reference}", self.branch()),
                    _ => format!("git merge {reference}"),
                };
                Ok(self.left_alone(
                    &reference,
                    "the branch has moved on since the run began",
                    merge,
                ))
            }
            (true, []) => self.move_branch(&git, &reference, branch, tip),
            (true, [holder]) => self.move_both(&git, run, holder, &reference, branch, tip),
            (true, _) => {
                let why = "the branch is checked out in more than one working tree";
                Ok(self.left_alone(&reference, why, format!("git merge --ff-only {reference}")))
            }
        }
    }

    /// At the end of a run without `auto_commit`: puts its changes into the
    /// working tree, neither staged nor committed, if that is clean and no
    /// untracked file is in the way.
    pub fn leave_uncommitted(&self, run: &str) -> Result<BranchOutcome> {
        let git = self.git()?;
        let tip = run_tip(&git, run)?;
        let reference = run_reference(run)?;
        let command = format!("git merge --squash {reference}");
        let head =
            git.head().and_then(|head| head.peel_to_commit()).map_err(failed("read HEAD"))?;
        let target = git.find_commit(tip).map_err(failed(format!("read commit {tip}")))?;
        if head.tree_id() == target.tree_id() {
            return Ok(BranchOutcome::AlreadyThere);
        }
        if !descends(&git, tip, head.id())? {
            let why = "the working tree is on a commit that the run did not start from";
            return Ok(self.left_alone(&reference, why, command));
        }
        let holder = Holder { top: self.top().to_owned() };
        if let Some(why) = self.keeps_it(&holder, tip)? {
            return Ok(self.left_alone(&reference, &why, command));
        }
        self.moving(&git, run, tip)?;
        let update = update_files(&git, tip, false)?;
        crash::point("uncommitted: files written");
        let outcome = match update {
            Update::Done => BranchOutcome::Moved { to: tip.to_string() },
            Update::InTheWay(why) => self.left_alone(&reference, &why, command),
            Update::Failed(why) => {
                take_back_now(&holder, tip)?;
                self.left_alone(&reference, &why, command)
            }
        };
        self.moved(run)?;
        Ok(outcome)
    }

    pub(super) fn move_branch(
        &self,
        git: &git2::Repository,
        reference: &str,
        from: Oid,
        to: Oid,
    ) -> Result<BranchOutcome> {
        let name = self.branch_reference();
        if !move_reference(git, &name, from, to, "code-agent: cycle ended")? {
            let command = format!("git merge {reference}");
            return Ok(self.left_alone(reference, "the branch was moved just now", command));
        }
        sync_reference(self.common_directory(), &name)?;
        Ok(BranchOutcome::Moved { to: to.to_string() })
    }

    /// Moves a branch and its working tree, or neither. An error leaves the mark
    /// of the move, by which whoever goes on knows what to mend.
    pub(super) fn move_both(
        &self,
        git: &git2::Repository,
        run: &str,
        holder: &Holder,
        reference: &str,
        from: Oid,
        to: Oid,
    ) -> Result<BranchOutcome> {
        if let Some(why) = self.keeps_it(holder, to)? {
            let command = format!("git merge --ff-only {reference}");
            return Ok(self.left_alone(reference, &why, command));
        }
        self.moving(git, run, to)?;
        crash::point("branch: move announced");
        let outcome = self.move_files_then_branch(git, holder, reference, from, to)?;
        crash::point("branch: moved");
        self.moved(run)?;
        Ok(outcome)
    }

    /// Why a working tree can't be moved now, as far as that can be seen before
    /// anything is written. Others' locks are waited for: an editor that asks for
    /// the status holds the index for a moment.
    fn keeps_it(&self, holder: &Holder, to: Oid) -> Result<Option<String>> {
        let git = match worktrees::open(holder) {
            Ok(git) => git,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let branch = self.common_directory().join(format!("{}.lock", self.branch_reference()));
        let locks = [git.path().join("index.lock"), branch];
        if let Some(lock) = locks.iter().find(|lock| !patience::is_free(lock)) {
            return Ok(Some(format!(
                "another git is at work there, for {} exists; if none is, remove that file",
                lock.display()
            )));
        }
        match worktrees::dirt(&git)? {
            None => self.filtered_on_the_way(&git, to),
            dirt => Ok(dirt),
        }
    }

    /// Files and index first, then the branch: a crash between leaves the
    /// run's work staged, which `git status` shows. The other way round the
    /// index would undo it in the user's next commit.
    fn move_files_then_branch(
        &self,
        git: &git2::Repository,
        holder: &Holder,
        reference: &str,
        from: Oid,
        to: Oid,
    ) -> Result<BranchOutcome> {
        let left_alone =
            |why: &str| self.left_alone(reference, why, format!("git merge --ff-only {reference}"));
        match update_files(&worktrees::open(holder)?, to, true)? {
            Update::Done => {}
            Update::InTheWay(why) => return Ok(left_alone(&why)),
            Update::Failed(why) => {
                take_back_now(holder, to)?;
                return Ok(left_alone(&why));
            }
        }
        crash::point("branch: files written");
        let outcome = match self.move_branch(git, reference, from, to) {
            Ok(moved @ BranchOutcome::Moved { .. }) => return Ok(moved),
            // It has moved; only whether that is on the disk is not known.
            Err(error) if self.branch_commit(git)? == Some(to) => return Err(error),
            Ok(other) => other,
            Err(error) => left_alone(&error.to_string()),
        };
        take_back_now(holder, to)?;
        Ok(outcome)
    }

    fn left_alone(&self, reference: &str, why: &str, command: String) -> BranchOutcome {
        let reason = format!(
            "the branch `{}` was left alone: {why}. The run's work is in `{reference}`",
            self.branch()
        );
        BranchOutcome::LeftAlone { reason, command }
    }
}

enum Update {
    Done,
    /// Nothing was written.
    InTheWay(String),
    /// It broke off in the middle.
    Failed(String),
}

/// Writes what differs between HEAD and a commit to the working tree. libgit2
/// looks for files in the way before it writes anything; what else may fail (a
/// folder with files of the user's that is to become a file, rights, the disk, the
/// index) it finds out in the middle.
fn update_files(git: &git2::Repository, to: Oid, stage: bool) -> Result<Update> {
    let commit = git.find_object(to, None).map_err(failed(format!("read commit {to}")))?;
    let mut in_the_way = Vec::new();
    let mut options = CheckoutBuilder::new();
    options.safe().update_index(stage).overwrite_ignored(false);
    options.notify_on(CheckoutNotificationType::CONFLICT).notify(|_, path, _, _, _| {
        in_the_way.extend(path.map(|path| path.display().to_string()));
        true
    });
    let done = git.checkout_tree(&commit, Some(&mut options));
    drop(options);
    match done {
        Ok(()) => Ok(Update::Done),
        Err(error) if error.code() == ErrorCode::Conflict => Ok(Update::InTheWay(format!(
            "files that git does not track, or that changed, are in the way ({}); move them first",
            worktrees::name_some(&in_the_way)
        ))),
        Err(error) => Ok(Update::Failed(format!(
            "its working tree at {} could not be brought along: {error}",
            git.workdir().unwrap_or(git.path()).display()
        ))),
    }
}

pub(super) fn descends(git: &git2::Repository, commit: Oid, ancestor: Oid) -> Result<bool> {
    if commit == ancestor {
        return Ok(true);
    }
    git.graph_descendant_of(commit, ancestor)
        .map_err(failed(format!("see whether {commit} contains {ancestor}")))
}

#[cfg(test)]
mod tests {
    use super::super::landing::{Lander, LandingRecord};
    use super::super::testing::{Sandbox, land, landing, removed, written};
    use super::*;

    fn run_with_work(sandbox: &Sandbox, repository: &Repository) -> String {
        let base = repository.begin("r1").unwrap();
        let lander = Lander::start(repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
        let changes = vec![written("a", "two\n"), written("new/file", "n\n"), removed("gone")];
        let commit = land(&lander, landing("l1", &base, changes)).unwrap().commit;
        assert_eq!(sandbox.git(&["rev-parse", "HEAD"]), base, "it moves at the cycle's end");
        commit
    }

    fn files() -> Sandbox {
        Sandbox::with(&[("a", "one\n"), ("b", "one\n"), ("gone", "g\n"), (".gitignore", "*.log\n")])
    }

    #[test]
    fn a_checked_out_branch_moves_with_its_tree() {
        let sandbox = files();
        let repository = sandbox.open();
        let tip = run_with_work(&sandbox, &repository);
        sandbox.write("untracked", "mine\n");
        assert_eq!(repository.end_cycle("r1").unwrap(), BranchOutcome::Moved { to: tip.clone() });
        assert_eq!(sandbox.git(&["rev-parse", "main"]), tip);
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "?? untracked");
        assert_eq!(sandbox.read("new/file"), "n\n");
        assert!(sandbox.git(&["reflog", "-1"]).contains("code-agent"));
        assert_eq!(repository.end_cycle("r1").unwrap(), BranchOutcome::AlreadyThere);
    }

    #[test]
    fn a_tree_that_became_dirty_is_left_alone_and_the_command_brings_the_work_in() {
        let sandbox = files();
        let repository = sandbox.open();
        let tip = run_with_work(&sandbox, &repository);
        sandbox.write("b", "mine\n");
        let BranchOutcome::LeftAlone { reason, command } = repository.end_cycle("r1").unwrap()
        else {
            panic!("a dirty tree was moved");
        };
        assert!(reason.contains("refs/code-agent/runs/r1") && reason.contains("(b)"), "{reason}");
        assert_eq!(sandbox.git(&["status", "--porcelain"]), " M b");
        assert_eq!(command, "git merge --ff-only refs/code-agent/runs/r1");
        sandbox.git(&["merge", "--quiet", "--ff-only", "refs/code-agent/runs/r1"]);
        assert_eq!(sandbox.git(&["rev-parse", "main"]), tip);
        assert_eq!(sandbox.read("b"), "mine\n");
    }

    #[test]
    fn untracked_and_ignored_files_are_never_overwritten() {
        let sandbox = files();
        let repository = sandbox.open();
        let base = repository.begin("r1").unwrap();
        let lander = Lander::start(&repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
        let changes = vec![written("a", "two\n"), written("x.log", "n\n"), written("y", "n\n")];
        land(&lander, landing("l1", &base, changes)).unwrap();
        for mine in ["x.log", "y"] {
            sandbox.write(mine, "mine\n");
            let outcome = repository.end_cycle("r1").unwrap();
            let BranchOutcome::LeftAlone { reason, .. } = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains(&format!("({mine})")), "{reason}");
            assert_eq!((sandbox.read(mine), sandbox.read("a")), ("mine\n".into(), "one\n".into()));
            std::fs::remove_file(sandbox.top().join(mine)).unwrap();
        }
        assert!(matches!(repository.end_cycle("r1").unwrap(), BranchOutcome::Moved { .. }));
    }

    #[test]
    fn a_branch_that_has_moved_on_is_left_alone() {
        let sandbox = files();
        let repository = sandbox.open();
        run_with_work(&sandbox, &repository);
        sandbox.write("b", "mine\n");
        sandbox.git(&["commit", "--quiet", "--all", "--message", "mine"]);
        let outcome = repository.end_cycle("r1").unwrap();
        let BranchOutcome::LeftAlone { command, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(command, "git merge refs/code-agent/runs/r1");
        sandbox.git(&["merge", "--quiet", "refs/code-agent/runs/r1"]);
        assert_eq!(sandbox.read("a"), "two\n");
    }

    #[test]
    fn changes_are_left_uncommitted() {
        let sandbox = files();
        let repository = Repository::open(sandbox.top(), "main", false).unwrap();
        let tip = run_with_work(&sandbox, &repository);
        let before = sandbox.git(&["rev-parse", "main"]);
        assert_eq!(repository.end_cycle("r1").unwrap(), BranchOutcome::AlreadyThere);
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        assert_eq!(repository.leave_uncommitted("r1").unwrap(), BranchOutcome::Moved { to: tip });
        assert_eq!(sandbox.git(&["status", "--porcelain"]), " M a\n D gone\n?? new/");
        assert_eq!(sandbox.git(&["rev-parse", "main"]), before);
        let again = repository.leave_uncommitted("r1").unwrap();
        assert!(matches!(again, BranchOutcome::LeftAlone { .. }), "{again:?}");
    }

    #[test]
    fn uncommitted_changes_never_overwrite_untracked_files() {
        let sandbox = files();
        let repository = Repository::open(sandbox.top(), "main", false).unwrap();
        run_with_work(&sandbox, &repository);
        sandbox.write("new/file", "mine\n");
        let outcome = repository.leave_uncommitted("r1").unwrap();
        assert!(matches!(outcome, BranchOutcome::LeftAlone { .. }), "{outcome:?}");
        assert_eq!(
            (sandbox.read("new/file"), sandbox.read("a")),
            ("mine\n".into(), "one\n".into())
        );
    }
}
