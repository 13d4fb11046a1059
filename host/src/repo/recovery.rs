//! Going on after a host that ended in the middle of something: lock files of
//! its own that git left behind, a working tree that was half moved, and
//! landings of which only the reference knows whether they landed.

#![expect(
    clippy::disallowed_methods,
    reason = "git's own folder and the user's working tree are no checkout"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{ErrorCode, Oid};

use super::mending::take_back;
use super::open::Repository;
use super::prune::OURS;
use super::references::{run_reference, run_tip, sync_reference};
use super::worktrees::{self, Holder};
use super::{commit_id, failed, kept, pack, patience};
use crate::Result;

/// Marks that a run's work is on its way into working trees; names the commit.
const MOVING: &str = "refs/code-agent/moving/";

/// How libgit2 names an object that it has not written whole. Git's own gc
/// knows other names and leaves these.
const UNFINISHED: &str = "tmp_object_git2_";
/// The lock of the file that holds references which git has packed. Whose it is
/// can't be seen.
const PACKED_LOCK: &str = "packed-refs.lock";
/// To write an object or that file takes milliseconds; after this, nobody does any
/// more.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

impl Repository {
    /// Puts right what a host that died left half done. Only whoever holds
    /// the branch's lock may call it: what is found here is a dead host's.
    pub fn recover(&self, run: &str) -> Result<()> {
        let git = self.git()?;
        let moving_to = moving(&git, run)?;
        let tip = match self.is_there(&git, run)? {
            true => Some(run_tip(&git, run)?),
            false => None,
        };
        let common = self.common_directory();
        remove_locks_of(common, run)?;
        // Others write the branch too; a lock of ours names where the run stands or
        // the branch moves, or nothing where the host died before it wrote.
        let ours = |text: &str| {
            let named = [tip, moving_to].into_iter().flatten();
            text.trim().is_empty() || named.map(|id| id.to_string()).any(|id| id == text.trim())
        };
        remove_lock(&common.join(format!("{}.lock", self.branch_reference())), ours)?;
        pack::remove_leftovers(common, run)?;
        kept::remove_locks(common, run)?;
        let now = SystemTime::now();
        remove_abandoned(&common.join("objects"), |name| name.starts_with(UNFINISHED), now)?;
        remove_abandoned(common, |name| name == PACKED_LOCK, now)?;
        if let Some(to) = moving_to {
            for holder in worktrees::holders(self)? {
                mend(&holder, to)?;
            }
            self.moved(run)?;
        }
        match tip {
            Some(_) => self.stay(&git, run),
            None => self.gone_back(&git, run),
        }
    }

    /// Whether the run has its reference: one that was pruned has none.
    fn is_there(&self, git: &git2::Repository, run: &str) -> Result<bool> {
        let name = run_reference(run)?;
        match git.find_reference(&name) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(failed(format!("look for `{name}`"))(error)),
        }
    }

    /// Whether the run's reference contains the commit.
    pub fn contains(&self, run: &str, commit: &str) -> Result<bool> {
        let git = self.git()?;
        let (id, tip) = (commit_id(commit)?, run_tip(&git, run)?);
        if id == tip {
            return Ok(true);
        }
        let doing = || format!("look whether {commit} landed");
        // A commit that was taken back may have been pruned since.
        if !git.odb().map_err(failed(doing()))?.exists(id) {
            return Ok(false);
        }
        git.graph_descendant_of(tip, id).map_err(failed(doing()))
    }

    /// The run, if there is one, whose move of a working tree has broken off.
    pub(super) fn half_moved_by(&self, git: &git2::Repository) -> Result<Option<String>> {
        let doing = "look for moves that broke off";
        let mut marks = git.references_glob(&format!("{MOVING}*")).map_err(failed(doing))?;
        let Some(mark) = marks.next().transpose().map_err(failed(doing))? else { return Ok(None) };
        Ok(mark.name().ok().and_then(|name| name.strip_prefix(MOVING)).map(str::to_owned))
    }

    /// Says that working trees are about to move to `to`.
    pub(super) fn moving(&self, git: &git2::Repository, run: &str, to: Oid) -> Result<()> {
        let name = format!("{MOVING}{run}");
        patience::unless_locked(|| git.reference(&name, to, true, "code-agent: moving"))
            .map_err(failed(format!("make `{name}`")))?;
        sync_reference(self.common_directory(), &name)
    }

    /// Says that they have, or never will.
    pub(super) fn moved(&self, run: &str) -> Result<()> {
        self.remove_reference(&format!("{MOVING}{run}"))
    }
}

fn moving(git: &git2::Repository, run: &str) -> Result<Option<Oid>> {
    let name = format!("{MOVING}{run}");
    match git.refname_to_id(&name) {
        Ok(to) => Ok(Some(to)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(failed(format!("read `{name}`"))(error)),
    }
}

/// Removes the locks of all references that are the run's, of whatever kind:
/// each would keep a later one of that name from being made.
fn remove_locks_of(common: &Path, run: &str) -> Result<()> {
    let ours = common.join(OURS);
    let doing = || failed(format!("look for a dead process's locks in {}", ours.display()));
    for kind in listed(&ours).map_err(doing())? {
        for path in listed(&kind).map_err(doing())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let rest = name.strip_suffix(".lock").and_then(|name| name.strip_prefix(run));
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
                remove_lock(&path, |_| true)?;
            }
        }
    }
    Ok(())
}

/// What lies in a folder; nothing where there is none.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn remove_lock(path: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    // An index is no text.
    let removed = match fs::read(path) {
        Ok(bytes) if ours(&String::from_utf8_lossy(&bytes)) => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(failed(format!("remove the lock {} of a dead process", path.display())))
}

/// Takes a working tree back that a dead host has left half moved. What a person
/// changed since is left alone, and the start's own check refuses a tree that is
/// dirty then.
fn mend(holder: &Holder, to: Oid) -> Result<()> {
    let index_lock = worktrees::open(holder)?.path().join("index.lock");
    // One of somebody who is at work goes by itself.
    if !patience::is_free(&index_lock) {
        remove_lock(&index_lock, |_| true)?;
    }
    take_back(holder, to)
}

/// Removes files of these names that a dead process has left in a folder; another
/// one's in the making stay.
fn remove_abandoned(folder: &Path, meant: impl Fn(&str) -> bool, now: SystemTime) -> Result<()> {
    let doing = || failed(format!("look for what a dead process left in {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(doing())? {
        let entry = entry.map_err(doing())?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if meant(&entry.file_name().to_string_lossy())
            && age.is_some_and(|age| age > ABANDONED_AFTER)
        {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = entry.path();
                    return Err(failed(format!("remove {}", path.display()))(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn objects_that_nobody_finishes_go_and_those_in_the_making_stay() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tmp_object_git2_0123", "pack", "tmp_obj_other"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let left = || fs::read_dir(folder.path()).unwrap().count();
        let unfinished = |name: &str| name.starts_with(UNFINISHED);
        remove_abandoned(folder.path(), unfinished, SystemTime::now()).unwrap();
        assert_eq!(left(), 3);
        let later = SystemTime::now() + ABANDONED_AFTER + Duration::from_secs(1);
        remove_abandoned(folder.path(), unfinished, later).unwrap();
        assert_eq!(left(), 2);
    }

    #[test]
    fn a_lock_of_packed_references_goes_once_nobody_can_mean_it() {
        let sandbox = files();
        let (repository, _) = landed(&sandbox);
        let lock = sandbox.top().join(".git/packed-refs.lock");
        fs::write(&lock, "").unwrap();
        repository.recover("r1").unwrap();
        assert!(lock.exists(), "somebody may be writing it");
        let past = SystemTime::now() - ABANDONED_AFTER - Duration::from_secs(1);
        fs::File::options().write(true).open(&lock).unwrap().set_modified(past).unwrap();
        repository.recover("r1").unwrap();
        assert!(!lock.exists());
    }

    use super::super::landing::{Lander, LandingRecord};
    use super::super::testing::{Sandbox, land, landing, removed, written};
    use super::super::working_tree::BranchOutcome;
    use super::*;

    fn landed(sandbox: &Sandbox) -> (Repository, String) {
        let repository = sandbox.open();
        let base = repository.begin("r1").unwrap();
        let lander = Lander::start(&repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
        let changes =
            vec![written("a", "two\nlines\n"), written("new/file", "n\n"), removed("gone")];
        let commit = land(&lander, landing("l1", &base, changes)).unwrap().commit;
        (repository, commit)
    }

    fn files() -> Sandbox {
        Sandbox::with(&[("a", "one\n"), ("b", "one\n"), ("gone", "g\n")])
    }

    #[test]
    fn a_half_moved_tree_is_mended_and_moves_then() {
        let sandbox = files();
        let (repository, commit) = landed(&sandbox);
        let git = repository.git().unwrap();
        repository.moving(&git, "r1", commit_id(&commit).unwrap()).unwrap();
        // As a host leaves it that dies while it writes.
        sandbox.write("a", "two\nli");
        sandbox.write("new/file", "n\n");
        fs::remove_file(sandbox.top().join("gone")).unwrap();
        fs::write(sandbox.top().join(".git/index.lock"), b"DIRC\xff\xfe").unwrap();
        fs::write(sandbox.top().join(".git/refs/code-agent/moving/r1.lock"), "").unwrap();
        fs::write(sandbox.top().join(".git/refs/code-agent/runs/r1.lock"), "").unwrap();
        fs::write(sandbox.top().join(".git/refs/heads/main.lock"), "").unwrap();
        repository.recover("r1").unwrap();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        assert_eq!(repository.end_cycle("r1").unwrap(), BranchOutcome::Moved { to: commit });
        assert_eq!(sandbox.read("a"), "two\nlines\n");
        assert!(!sandbox.git(&["for-each-ref"]).contains("moving"));
    }

    #[test]
    fn a_dead_hosts_locks_are_in_nobodys_way_and_another_runs_stay() {
        let sandbox = files();
        let (repository, commit) = landed(&sandbox);
        let start = sandbox.git(&["rev-parse", "main"]);
        let lock = |name: &str| {
            let path = sandbox.top().join(".git/refs/code-agent").join(format!("{name}.lock"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let short = &commit[..10];
        let ours = [lock(&format!("rolled-back/r1-{short}")), lock("fetched/r1"), lock("runs/r1")];
        let others = [lock("runs/r10"), lock("fetched/r2")];
        assert!(repository.roll_back("r1", &commit, &start).is_err());
        repository.recover("r1").unwrap();
        assert!(ours.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
        repository.roll_back("r1", &commit, &start).unwrap();
    }

    #[test]
    fn what_a_person_changed_since_is_left_alone() {
        let sandbox = files();
        let (repository, commit) = landed(&sandbox);
        let git = repository.git().unwrap();
        repository.moving(&git, "r1", commit_id(&commit).unwrap()).unwrap();
        sandbox.write("a", "two\nlines\n");
        sandbox.write("b", "mine\n");
        repository.recover("r1").unwrap();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), " M b");
        assert_eq!((sandbox.read("a"), sandbox.read("b")), ("one\n".into(), "mine\n".into()));
    }

    #[test]
    fn staged_work_of_a_move_that_lacked_only_its_branch_is_taken_back() {
        let sandbox = files();
        let (repository, commit) = landed(&sandbox);
        let git = repository.git().unwrap();
        repository.moving(&git, "r1", commit_id(&commit).unwrap()).unwrap();
        sandbox.git(&["read-tree", "-u", "-m", "HEAD", &commit]);
        assert_ne!(sandbox.git(&["status", "--porcelain"]), "");
        repository.recover("r1").unwrap();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    }

    #[test]
    fn the_reference_says_what_landed() {
        let sandbox = files();
        let (repository, commit) = landed(&sandbox);
        assert!(repository.contains("r1", &commit).unwrap());
        let beside = sandbox.commit_beside("refs/heads/other", &[("a", "x\n")]);
        assert!(!repository.contains("r1", &beside).unwrap());
        assert!(!repository.contains("r1", &"ab".repeat(20)).unwrap());
    }
}
