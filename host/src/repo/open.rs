//! Finding the user's repository and checking that a run may start on it.
//! Changes nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "git's own folder and the user's root path are no checkout"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ErrorCode, RepositoryOpenFlags};

use super::handles::Handles;
use super::joining::OwnPacks;
use super::path::CheckoutPath;
use super::{failed, worktrees};
use crate::{Error, Result};

/// The repository that a run works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    top: PathBuf,
    root: CheckoutPath,
    common_directory: PathBuf,
    branch: String,
    auto_commit: bool,
    untracked_files: usize,
    handles: Handles,
    own_packs: OwnPacks,
}

impl Repository {
    /// Finds the repository that holds `root_path` and checks that a run can
    /// work on `branch`; changes nothing. Without `auto_commit` no branch will
    /// move, and the changes go to the working tree at the run's end.
    pub fn open(root_path: &Path, branch: &str, auto_commit: bool) -> Result<Self> {
        let repository = Self::find(root_path, branch, auto_commit)?;
        repository.check()?;
        Ok(repository)
    }

    /// The same without a look at the working trees, for a run that goes on:
    /// what its host left there is mended first, then `check` looks.
    pub fn find(root_path: &Path, branch: &str, auto_commit: bool) -> Result<Self> {
        if branch == "HEAD" || !git2::Branch::name_is_valid(branch).unwrap_or(false) {
            return Err(Error::usage(format!(
                "`{branch}` can't be a branch's name; give another with --branch"
            )));
        }
        let root_path = existing_folder(root_path)?;
        let common_directory = find_common_directory(&root_path)?;
        refuse_unknown_formats(&common_directory)?;
        let git = open_above(&root_path)?;
        let (top, root) = place(&git, &root_path)?;
        let inner = Inner {
            top,
            root,
            common_directory,
            branch: branch.to_owned(),
            auto_commit,
            untracked_files: worktrees::count_untracked(&git)?,
            handles: Handles::default(),
            own_packs: OwnPacks::default(),
        };
        let repository = Self { inner: Arc::new(inner) };
        repository.check_commit(&git)?;
        Ok(repository)
    }

    /// The top folder of the working tree that holds the root path.
    pub fn top(&self) -> &Path {
        &self.inner.top
    }

    /// The root path, relative to the top: what a run may change.
    pub fn root(&self) -> &CheckoutPath {
        &self.inner.root
    }

    /// The git directory that all working trees share.
    pub fn common_directory(&self) -> &Path {
        &self.inner.common_directory
    }

    /// The branch that the run's work goes to.
    pub fn branch(&self) -> &str {
        &self.inner.branch
    }

    /// How many untracked files the working tree had when it was opened. They
    /// are left alone, and no worker sees them.
    pub fn untracked_files(&self) -> usize {
        self.inner.untracked_files
    }

    /// Whether the branch moves, or else the changes stay uncommitted.
    pub fn auto_commit(&self) -> bool {
        self.inner.auto_commit
    }

    /// Opens the repository once more: libgit2's handle can't be shared by
    /// threads.
    pub(super) fn git(&self) -> Result<git2::Repository> {
        git2::Repository::open(self.top())
            .map_err(failed(format!("open the repository at {}", self.top().display())))
    }

    /// Does some work with a handle that was opened before, if there is one: for
    /// what happens often. Objects may be added to its memory by nobody.
    pub(super) fn with_git<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.handles.lend(|| self.git(), work)
    }

    /// The packs that were written and not joined yet.
    pub(super) fn own_packs(&self) -> &OwnPacks {
        &self.inner.own_packs
    }

    fn check_commit(&self, git: &git2::Repository) -> Result<()> {
        if self.branch_commit(git)?.is_some() {
            return Ok(());
        }
        match git.head().and_then(|head| head.peel_to_commit()) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                Err(Error::usage(format!(
                    "the repository at {} has no commit yet that a run could start from; make the \
                     first one: git add --all && git commit --allow-empty --message 'first commit'",
                    self.top().display()
                )))
            }
            Err(error) => Err(failed("read HEAD")(error)),
        }
    }

    /// Refuses a working tree that is not clean, where it has the branch.
    pub fn check(&self) -> Result<()> {
        let holders = worktrees::holders(self)?;
        let same = |top: &Path| fs::canonicalize(top).is_ok_and(|top| top == self.inner.top);
        if !self.auto_commit() && !holders.iter().any(|holder| same(&holder.top)) {
            return Err(Error::usage(format!(
                "--no-auto-commit leaves the changes in the working tree at {}, so the branch \
                 `{branch}` has to be checked out there; run `git switch {branch}`, or name \
                 another with --branch",
                self.top().display(),
                branch = self.branch()
            )));
        }
        for holder in &holders {
            let git = worktrees::open(holder)?;
            if worktrees::is_sparse(&git)? {
                return Err(Error::usage(format!(
                    "the working tree at {} has the branch `{}` checked out and is a sparse checkout \
                     (git leaves files out of it), which is not supported; run `git sparse-checkout \
                     disable` there, or name a branch with --branch that is checked out nowhere",
                    holder.top.display(),
                    self.branch()
                )));
            }
            let Some(why) = worktrees::dirt(&git)? else { continue };
            let first = match self.half_moved_by(&git)? {
                Some(run) => format!(
                    "that is what run {run} left when it, or its undo, broke off: `code-agent resume \
                     {run}` or `code-agent undo {run}` takes it back"
                ),
                None => "commit, stash or finish that first".to_owned(),
            };
            return Err(Error::usage(format!(
                "the working tree at {} has the branch `{}` checked out, and {why}; {first}",
                holder.top.display(),
                self.branch()
            )));
        }
        Ok(())
    }
}

fn existing_folder(root_path: &Path) -> Result<PathBuf> {
    let shown = root_path.display();
    let path = fs::canonicalize(root_path).map_err(|error| {
        Error::usage(format!("there is no folder {shown} ({error}); check --root-path"))
    })?;
    if !path.is_dir() {
        return Err(Error::usage(format!("{shown} is no folder; give one with --root-path")));
    }
    Ok(path)
}

pub(super) fn find_common_directory(root_path: &Path) -> Result<PathBuf> {
    let found = git2::Repository::discover_path(root_path, &[] as &[&OsStr]);
    let directory = found.map_err(|error| match error.code() {
        ErrorCode::NotFound => Error::usage(format!(
            "{} is in no git repository; run `git init` and make a first commit there, or name \
             another folder with --root-path",
            root_path.display()
        )),
        _ => failed(format!("find the repository of {}", root_path.display()))(error),
    })?;
    let common = match fs::read_to_string(directory.join("commondir")) {
        Ok(relative) => directory.join(relative.trim_end()),
        Err(_) => directory,
    };
    fs::canonicalize(&common).map_err(failed(format!("open {}", common.display())))
}

/// Read before libgit2 opens the repository: its own refusals do not say what
/// to do, and of partial clones it knows nothing.
fn refuse_unknown_formats(common_directory: &Path) -> Result<()> {
    let path = common_directory.join("config");
    let doing = || format!("read {}", path.display());
    let config = git2::Config::open(&path).map_err(failed(doing()))?;
    let value = |name: &str| config.get_string(name).unwrap_or_default().to_lowercase();
    let refuse = |what: &str, instead: &str| {
        let shown = common_directory.display();
        Err(Error::usage(format!(
            "the repository at {shown} {what}, which is not supported; {instead}"
        )))
    };
    if !matches!(value("extensions.objectformat").as_str(), "" | "sha1") {
        return refuse("uses SHA-256 ids", "use a repository with SHA-1 ids");
    }
    if !matches!(value("extensions.refstorage").as_str(), "" | "files") {
        return refuse(
            "keeps its references as a reftable",
            "run `git refs migrate --ref-format=files`",
        );
    }
    let mut promised = config.entries(Some(r"^remote\..*\.promisor$")).map_err(failed(doing()))?;
    if !value("extensions.partialclone").is_empty() || promised.next().is_some() {
        return refuse("is a partial clone", "clone it again without --filter");
    }
    Ok(())
}

pub(super) fn open_above(root_path: &Path) -> Result<git2::Repository> {
    let none: &[&OsStr] = &[];
    git2::Repository::open_ext(root_path, RepositoryOpenFlags::empty(), none).map_err(|error| {
        match error.code() {
            ErrorCode::Owner => Error::failed(format!(
                "the repository of {path} belongs to somebody else; if you trust it, run `git \
                 config --global --add safe.directory {path}`",
                path = root_path.display()
            )),
            _ => failed(format!("open the repository of {}", root_path.display()))(error),
        }
    })
}

/// The working tree's top, and the root path inside it.
fn place(git: &git2::Repository, root_path: &Path) -> Result<(PathBuf, CheckoutPath)> {
    let shown = root_path.display();
    let top = git.workdir().ok_or_else(|| {
        Error::usage(format!(
            "{shown} is in a bare repository, which has no working tree; clone it and start there"
        ))
    })?;
    let top = fs::canonicalize(top).map_err(failed(format!("open {}", top.display())))?;
    let inside = root_path.strip_prefix(&top).ok().and_then(Path::to_str);
    let root = inside.map(CheckoutPath::parse).and_then(std::result::Result::ok);
    let root = root.ok_or_else(|| {
        Error::usage(format!(
            "{shown} is no folder that a run could change in the working tree at {}; give another \
             with --root-path",
            top.display()
        ))
    })?;
    Ok((top, root))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, run_git};
    use super::*;

    fn refusal(path: &Path, branch: &str, auto_commit: bool) -> String {
        let Err(Error::Usage(sentence)) = Repository::open(path, branch, auto_commit) else {
            panic!("{} was not refused", path.display());
        };
        sentence
    }

    #[test]
    fn a_clean_repository_opens_with_its_root_below_the_top() {
        let sandbox = Sandbox::with(&[("src/lib.rs", "x\n")]);
        sandbox.write("scratch/notes", "mine\n");
        let repository = Repository::open(&sandbox.top().join("src"), "main", true).unwrap();
        assert_eq!(repository.root().as_str(), "src");
        assert_eq!(repository.top(), fs::canonicalize(sandbox.top()).unwrap());
        assert_eq!(repository.untracked_files(), 1);
    }

    #[test]
    fn what_no_run_can_work_on_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(refusal(path, "main", true).contains("git init"));
        assert!(refusal(&path.join("none"), "main", true).contains("--root-path"));
        for (name, arguments, word) in [
            ("bare", &["init", "--bare"][..], "bare"),
            ("empty", &["init", "-b", "main"], "first commit"),
            ("sha", &["init", "--object-format=sha256"], "SHA-256"),
            ("table", &["init", "--ref-format=reftable"], "reftable"),
        ] {
            let place = path.join(name);
            fs::create_dir(&place).unwrap();
            run_git(&place, arguments);
            assert!(refusal(&place, "main", true).contains(word), "{name}");
        }
        assert!(refusal(&path.join("empty/.git"), "main", true).contains("--root-path"));
    }

    #[test]
    fn partial_clones_are_refused() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let folder = tempfile::tempdir().unwrap();
        let from = format!("file://{}", sandbox.top().display());
        run_git(folder.path(), &["clone", "--quiet", "--filter=blob:none", &from, "partial"]);
        assert!(refusal(&folder.path().join("partial"), "main", true).contains("--filter"));
    }

    #[test]
    fn a_dirty_tree_is_refused_and_left_as_it_is() {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("b", "one\n")]);
        assert!(refusal(sandbox.top(), "bad..name", true).contains("--branch"));
        assert!(refusal(sandbox.top(), "other", false).contains("git switch other"));
        sandbox.write("a", "two\n");
        assert!(refusal(sandbox.top(), "main", true).contains("uncommitted changes (a)"));
        sandbox.git(&["add", "a"]);
        assert!(refusal(sandbox.top(), "main", true).contains("uncommitted changes (a)"));
        assert!(Repository::open(sandbox.top(), "other", true).is_ok(), "it is not checked out");
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "M  a");
        assert!(!sandbox.git(&["for-each-ref"]).contains("code-agent"));
    }

    #[test]
    fn a_dirty_linked_working_tree_and_a_rebase_are_refused() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let linked = sandbox.top().parent().unwrap().join("linked");
        sandbox.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
        assert!(Repository::open(sandbox.top(), "side", true).is_ok());
        fs::write(linked.join("a"), "two\n").unwrap();
        assert!(refusal(sandbox.top(), "side", true).contains("linked"));
        run_git(&linked, &["commit", "--quiet", "--all", "--message", "two"]);
        sandbox.write("a", "three\n");
        sandbox.git(&["commit", "--quiet", "--all", "--message", "three"]);
        sandbox.git_fails(&["rebase", "side"]);
        assert!(refusal(sandbox.top(), "main", true).contains("rebase"));
    }
}
