//! Repositories for this module's tests, made with the `git` command, so that
//! what libgit2 writes is judged by git itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cap_std::fs::Dir;
use tempfile::TempDir;

use super::changes::{Change, ChangeKind, Mode};
use super::landing::{LandError, Landed, Lander, Landing, LandingLog, LandingRecord};
use super::open::Repository;
use super::path::CheckoutPath;
use crate::Result;

pub(super) struct Sandbox {
    folder: TempDir,
    top: PathBuf,
}

impl Sandbox {
    /// A repository whose branch `main` is checked out and holds these files.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("repository");
        fs::create_dir(&top).unwrap();
        let sandbox = Self { folder, top };
        sandbox.git(&["init", "--quiet", "-b", "main"]);
        sandbox.git(&["config", "user.name", "somebody"]);
        sandbox.git(&["config", "user.email", "somebody@localhost"]);
        for (path, text) in files {
            sandbox.write(path, text);
        }
        sandbox.git(&["add", "--all"]);
        sandbox.git(&["commit", "--quiet", "--allow-empty", "--message", "start"]);
        sandbox
    }

    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(super) fn open(&self) -> Repository {
        Repository::open(&self.top, "main", true).unwrap()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        run_git(&self.top, arguments)
    }

    pub(super) fn git_fails(&self, arguments: &[&str]) {
        assert!(!command(&self.top, arguments).output().unwrap().status.success());
    }

    /// Makes a commit of HEAD with these files changed, on a reference, without
    /// touching index or working tree.
    pub(super) fn commit_beside(&self, reference: &str, files: &[(&str, &str)]) -> String {
        let changes: Vec<Change> = files.iter().map(|(path, text)| written(path, text)).collect();
        let git = git2::Repository::open(&self.top).unwrap();
        let head = git.head().unwrap().peel_to_commit().unwrap();
        let tree = super::tree::with_changes(&git, &head.tree().unwrap(), &changes).unwrap();
        let who = git2::Signature::now("somebody", "somebody@localhost").unwrap();
        let tree = git.find_tree(tree).unwrap();
        let id = git.commit(None, &who, &who, "beside", &tree, &[&head]).unwrap();
        git.reference(reference, id, true, "beside").unwrap();
        id.to_string()
    }

    /// The text of a file at a revision.
    pub(super) fn show(&self, revision: &str, path: &str) -> String {
        self.git(&["show", &format!("{revision}:{path}")])
    }
}

pub(super) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_EDITOR", "true").env("HOME", folder);
    command
}

/// Runs git, which has to succeed, and returns what it said, trimmed.
pub(super) fn run_git(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Takes a step while somebody else holds a lock, who gives it up soon.
pub(super) fn locked_for_a_moment(lock: PathBuf, step: impl FnOnce()) {
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::remove_file(lock).unwrap();
    });
    step();
    holder.join().unwrap();
}

/// Makes folders in folders, as `mkdir d; cd d` in a loop does.
pub(super) fn make_deep(top: &Dir, levels: u32) {
    let mut inner = top.try_clone().unwrap();
    for _ in 0..levels {
        inner.create_dir("d").unwrap();
        inner = inner.open_dir("d").unwrap();
    }
    inner.write("bottom", "").unwrap();
}

pub(super) fn path(text: &str) -> CheckoutPath {
    CheckoutPath::parse_file(text).unwrap()
}

pub(super) fn written(at: &str, text: &str) -> Change {
    let kind = ChangeKind::Written { mode: Mode::File, bytes: text.as_bytes().to_vec() };
    Change { path: path(at), kind }
}

pub(super) fn removed(at: &str) -> Change {
    Change { path: path(at), kind: ChangeKind::Removed }
}

pub(super) fn landing(id: &str, base: &str, changes: Vec<Change>) -> Landing {
    Landing {
        landing_id: id.to_owned(),
        task_id: format!("task-{id}"),
        cycle: 1,
        model: Some("scripted".to_owned()),
        base: base.to_owned(),
        changes,
        message: format!("Change {id}"),
        author_time: 1_700_000_000,
        memo: None,
    }
}

/// Lands one change, waiting for it.
pub(super) fn land(lander: &Lander, landing: Landing) -> std::result::Result<Landed, LandError> {
    wait(lander.land(landing))
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// For those who only want to see the records.
impl<F: FnMut(&[LandingRecord]) -> Result<()> + Send + 'static> LandingLog for F {
    fn record(&mut self, group: &[LandingRecord]) -> Result<Vec<String>> {
        self(group).map(|()| Vec::new())
    }

    fn confirm(&mut self, _group: &[LandingRecord]) -> Result<()> {
        Ok(())
    }

    fn ended(&mut self, _landing: &Landing, _outcome: &Result<Landed, LandError>) {}
}
