//! The run's reference and the branch as references: making, reading, moving
//! and syncing them. The user's working tree is `working_tree`'s business, a branch
//! that is missing `missing_branch`'s.

use std::io;
use std::path::Path;

use git2::{ErrorCode, Oid};

use super::open::Repository;
use super::path::CheckoutPath;
use super::sync::sync_all;
use super::tree::{Found, found_at};
use super::working_tree::descends;
use super::{commit_id, failed, patience, worktrees};
use crate::{Error, Result};

/// Where the runs' references lie; hidden from `git branch`, kept by `git gc`.
pub(super) const RUNS: &str = "refs/code-agent/runs/";
/// How often references are packed while one is written to the disk, at most.
const SYNC_TRIES: u32 = 5;
/// And while one is moved.
const PACKED_TRIES: u32 = 5;

impl Repository {
    /// Makes the run's reference at the branch's commit and returns that
    /// commit. A missing branch is made first.
    pub fn begin(&self, run: &str) -> Result<String> {
        let name = run_reference(run)?;
        let git = self.git()?;
        let start = match self.branch_commit(&git)? {
            Some(commit) => commit,
            None => self.make_branch(&git)?,
        };
        let make = || git.reference(&name, start, false, "code-agent: run begins");
        patience::unless_locked(make).map_err(failed(format!(
            "make `{name}`, the reference of this run; if a run of that name exists, resume it"
        )))?;
        sync_reference(self.common_directory(), &name)?;
        Ok(start.to_string())
    }

    /// Refuses to play a run back where it can't come to the same: the run must
    /// not be there yet, and what it began with has to be what it would begin
    /// with now.
    pub fn check_beginning(&self, run: &str, recorded: &str) -> Result<()> {
        let git = self.git()?;
        if git.find_reference(&run_reference(run)?).is_ok() {
            return Err(Error::usage(format!(
                "the run {run} is in this repository already; play it back in a fresh clone"
            )));
        }
        let start = match self.branch_commit(&git)? {
            Some(commit) => commit,
            None => self.beginning(&git)?,
        };
        if start.to_string() == recorded {
            return Ok(());
        }
        let branch = self.branch();
        Err(Error::usage(format!(
            "the recorded run began at the commit {recorded}, where `{branch}` does not stand; go              there first: git branch --force {branch} {recorded}, or name another one with --branch"
        )))
    }

    /// The commit that the run's reference stands on.
    pub fn tip(&self, run: &str) -> Result<String> {
        Ok(run_tip(&self.git()?, run)?.to_string())
    }

    /// Takes in what a person has added to the branch on top of the run's work,
    /// while nobody was at work: the run goes on from there.
    pub fn adopt(&self, run: &str) -> Result<()> {
        let git = self.git()?;
        let tip = run_tip(&git, run)?;
        let Some(branch) = self.branch_commit(&git)?.filter(|_| self.auto_commit()) else {
            return Ok(());
        };
        if branch == tip
            || !descends(&git, branch, tip)?
            || self.holds_rolled_back(&git, run, branch)?
        {
            return Ok(());
        }
        let name = run_reference(run)?;
        move_reference(&git, &name, tip, branch, "code-agent: goes on from the branch")?;
        sync_reference(self.common_directory(), &name)
    }

    /// The first `max_bytes` bytes of a file as it is in a commit; ask for one
    /// more than you take to learn whether there are more. None where the
    /// commit has no such file.
    pub fn file_at(
        &self,
        commit: &str,
        path: &CheckoutPath,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>> {
        let git = self.git()?;
        let id = commit_id(commit)?;
        let doing = || format!("read `{path}` of commit {commit}");
        let tree = git.find_commit(id).and_then(|commit| commit.tree()).map_err(failed(doing()))?;
        let Found::File { id, .. } = found_at(&git, &tree, path).map_err(failed(doing()))? else {
            return Ok(None);
        };
        let blob = git.find_blob(id).map_err(failed(doing()))?;
        Ok(Some(blob.content().iter().take(max_bytes).copied().collect()))
    }

    /// Removes a reference, if it is there. Who locks it for a moment, or the file that
    /// holds the packed ones, is waited for.
    pub(super) fn remove_reference(&self, name: &str) -> Result<()> {
        // A handle that has failed once would say that a packed reference is gone.
        let remove = || git2::Repository::open(self.top())?.find_reference(name)?.delete();
        match patience::unless_locked(remove) {
            Err(error) if error.code() != ErrorCode::NotFound => {
                Err(failed(format!("remove `{name}`"))(error))
            }
            _ => Ok(()),
        }
    }

    /// The branch's name in full.
    pub(super) fn branch_reference(&self) -> String {
        format!("refs/heads/{}", self.branch())
    }

    /// The commit that the branch stands on; none where there is no branch.
    pub(super) fn branch_commit(&self, git: &git2::Repository) -> Result<Option<Oid>> {
        let doing = || format!("read the branch `{}`", self.branch());
        match git.find_reference(&self.branch_reference()) {
            Ok(reference) => {
                let commit = reference.peel_to_commit().map_err(failed(doing()))?;
                Ok(Some(commit.id()))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed(doing())(error)),
        }
    }

    /// Lets a branch that is checked out nowhere follow the run, if it stands
    /// where the run stood. Returns whether it follows; where it does not, the
    /// end of the cycle says why.
    pub(super) fn follow(&self, git: &git2::Repository, from: Oid, to: Oid) -> Result<bool> {
        if !self.auto_commit() || !worktrees::holders(self)?.is_empty() {
            return Ok(false);
        }
        let name = self.branch_reference();
        let moved = move_reference(git, &name, from, to, "code-agent: landed")?;
        if moved {
            sync_reference(self.common_directory(), &name)?;
        }
        Ok(moved)
    }
}

/// The full name of a run's reference.
pub(super) fn run_reference(run: &str) -> Result<String> {
    let name = format!("{RUNS}{run}");
    if run.contains('/') || !git2::Reference::is_valid_name(&name) {
        return Err(Error::usage(format!(
            "`{run}` can't be a run's name; use letters, digits, `-` and `_`"
        )));
    }
    Ok(name)
}

/// The commit that the run stands on.
pub(super) fn run_tip(git: &git2::Repository, run: &str) -> Result<Oid> {
    let name = run_reference(run)?;
    git.refname_to_id(&name).map_err(failed(format!("read `{name}`, where the run's work is")))
}

/// Compare-and-swap: false where the reference does not stand on `from` any
/// more, or is gone. Who locks it for a moment is waited for, and so is a gc that
/// packs it: libgit2 does not find the folder then that it lay in.
pub(super) fn move_reference(
    git: &git2::Repository,
    name: &str,
    from: Oid,
    to: Oid,
    log: &str,
) -> Result<bool> {
    let doing = || failed(format!("move `{name}` to {to}"));
    for _ in 0..PACKED_TRIES {
        match patience::unless_locked(|| git.reference_matching(name, to, true, from, log)) {
            Ok(_) => return Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::NotFound) => {}
            Err(error) => return Err(doing()(error)),
        }
        // Another handle, for what this one has read may be older than the gc.
        let other = git2::Repository::open(git.path()).map_err(doing())?;
        if !other.refname_to_id(name).is_ok_and(|now| now == from) {
            return Ok(false);
        }
    }
    Ok(false)
}

/// Writes a reference through to the disk, with the folders that name it:
/// libgit2 does not. Where somebody packs the references meanwhile, which also
/// removes folders that became empty, what is there then counts: the file that
/// holds them all, or the folders made anew.
pub(super) fn sync_reference(common_directory: &Path, name: &str) -> Result<()> {
    let (loose, packed) = (common_directory.join(name), common_directory.join("packed-refs"));
    let mut tries = 0;
    loop {
        let file = if loose.exists() { &loose } else { &packed };
        let folders = loose.ancestors().skip(1);
        let folders = folders.take_while(|folder| folder.starts_with(common_directory));
        let mut paths: Vec<&Path> = folders.filter(|folder| folder.exists()).collect();
        paths.push(file);
        match sync_all(&paths) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < SYNC_TRIES => {
                tries += 1;
            }
            synced => return synced.map_err(failed(format!("write `{name}` to the disk"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn a_run_begins_at_the_branch_which_is_made_from_a_detached_head() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        sandbox.git(&["checkout", "--quiet", "--detach"]);
        let repository = Repository::open(sandbox.top(), "work", true).unwrap();
        let start = repository.begin("r1").unwrap();
        assert_eq!(start, sandbox.git(&["rev-parse", "HEAD"]));
        assert_eq!(start, sandbox.git(&["rev-parse", "refs/heads/work"]));
        assert_eq!(start, repository.tip("r1").unwrap());
        assert!(repository.begin("r1").is_err(), "a run begins once");
        assert!(matches!(repository.begin("a/b"), Err(Error::Usage(_))));
    }

    #[test]
    fn a_run_goes_on_from_what_was_added_to_its_branch() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let start = repository.begin("r1").unwrap();
        sandbox.git(&["commit", "--quiet", "--allow-empty", "--message", "mine"]);
        let mine = sandbox.git(&["rev-parse", "HEAD"]);
        let uncommitted = Repository::open(sandbox.top(), "main", false).unwrap();
        uncommitted.adopt("r1").unwrap();
        assert_eq!(repository.tip("r1").unwrap(), start, "its branch does not move");
        repository.adopt("r1").unwrap();
        assert_eq!(repository.tip("r1").unwrap(), mine);
        sandbox.git(&["commit", "--quiet", "--amend", "--allow-empty", "--message", "other"]);
        repository.adopt("r1").unwrap();
        assert_eq!(repository.tip("r1").unwrap(), mine, "what went another way stays apart");
    }

    #[test]
    fn a_reference_that_is_packed_and_locked_for_a_moment_goes() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let name = "refs/code-agent/moving/r1";
        sandbox.git(&["update-ref", name, "HEAD"]);
        sandbox.git(&["pack-refs", "--all"]);
        let lock = sandbox.top().join(".git/packed-refs.lock");
        std::fs::write(&lock, "").unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::fs::remove_file(lock).unwrap();
        });
        repository.remove_reference(name).unwrap();
        holder.join().unwrap();
        assert!(!sandbox.git(&["for-each-ref"]).contains(name));
        repository.remove_reference(name).unwrap();
    }

    #[test]
    fn files_of_a_commit_are_read_up_to_a_bound() {
        let sandbox = Sandbox::with(&[("docs/a", "one two")]);
        let repository = sandbox.open();
        let commit = repository.begin("r1").unwrap();
        let read = |path: &str, max| {
            repository.file_at(&commit, &CheckoutPath::parse(path).unwrap(), max).unwrap()
        };
        assert_eq!(read("docs/a", 3).unwrap(), b"one");
        assert_eq!(read("docs/a", 100).unwrap(), b"one two");
        for nothing in ["docs", "docs/b", "docs/a/b", ""] {
            assert_eq!(read(nothing, 100), None);
        }
    }

    #[test]
    fn a_reference_moves_only_from_where_it_is_expected() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let start = commit_id(&repository.begin("r1").unwrap()).unwrap();
        let next =
            commit_id(&sandbox.commit_beside("refs/heads/other", &[("a", "two\n")])).unwrap();
        let git = repository.git().unwrap();
        let name = run_reference("r1").unwrap();
        assert!(!move_reference(&git, &name, next, next, "x").unwrap());
        assert!(move_reference(&git, &name, start, next, "x").unwrap());
        sandbox.git(&["pack-refs", "--all"]);
        sync_reference(repository.common_directory(), &name).unwrap();
        assert_eq!(repository.tip("r1").unwrap(), next.to_string());
    }
}
