//! A checkout: a folder without `.git` that holds one commit's files and what a
//! worker made of them. Owns the folder's life and what may be read of it; `reset`
//! puts it to a commit, `compare` finds what differs, `views` shows it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::changes::{Change, ChangeKind, Changes};
use super::checkouts::RunFolder;
use super::compare::{Difference, Held, differences};
use super::contents::{make_accessible, read_contents};
use super::folder::Folder;
use super::open::Repository;
use super::reset::put_back;
use super::{commit_id, failed, kept};
use crate::{Error, Result};

/// The largest file that lands, in bytes.
const LARGEST_FILE: u64 = 50 * 1024 * 1024;
/// The most that one landing may hold, in bytes: it is kept in memory.
const LARGEST_CHANGES: u64 = 256 * 1024 * 1024;

/// One slot's checkout. Its folder is removed when it is dropped.
#[derive(Debug)]
pub struct Checkout {
    repository: Repository,
    folder: Folder,
    held: Mutex<Held>,
    run_folder: Arc<RunFolder>,
}

impl Checkout {
    pub(super) fn new(repository: Repository, folder: Folder, run_folder: Arc<RunFolder>) -> Self {
        Self { repository, folder, held: Mutex::default(), run_folder }
    }

    /// The checkout's folder, for tools.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The commit that the checkout stands on; empty before the first reset and
    /// after one that failed.
    pub fn base(&self) -> String {
        self.held().base.map(|base| base.to_string()).unwrap_or_default()
    }

    /// Makes the folder hold exactly the commit's files, as they are in git (no
    /// filters), and what the commit's `.gitignore` files name. Writes only what
    /// differs. After an error the next reset writes everything.
    pub fn reset(&self, commit: &str) -> Result<()> {
        let target = commit_id(commit)?;
        let git = self.repository.git()?;
        let mut held = self.held();
        let known = std::mem::take(&mut *held);
        let mut done = put_back(&git, &self.folder, known, target);
        if done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            done = make_accessible(self.folder.directory())
                .and_then(|()| put_back(&git, &self.folder, Held::default(), target));
        }
        let path = self.folder.path().display();
        *held = done.map_err(failed(format!("put the checkout {path} to commit {commit}")))?;
        Ok(())
    }

    /// What differs from the base, with all bytes.
    pub fn changes(&self) -> Result<Changes> {
        let held = self.held();
        let root = self.repository.root();
        let (inside, outside): (Vec<_>, Vec<_>) =
            self.differences(&held)?.into_iter().partition(|found| found.path.is_within(root));
        let changes = self.read(inside)?;
        Ok(Changes { changes, outside: outside.into_iter().map(|found| found.path).collect() })
    }

    /// Has git keep these bytes; returns the blob's id.
    pub fn keep(&self, bytes: &[u8]) -> Result<String> {
        let _alone = self.run_folder.keeping();
        kept::keep(&self.repository, self.run_folder.run(), bytes)
    }

    /// Removes the folder.
    pub fn close(self) {
        drop(self);
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        // A panic can't leave half a state: it is taken out and put back whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn differences(&self, held: &Held) -> Result<Vec<Difference>> {
        let path = self.folder.path().display();
        differences(&self.folder, held)
            .map_err(failed(format!("find what changed in the checkout {path}")))
    }

    /// Reads what is there now, up to the bounds.
    pub(super) fn read(&self, differences: Vec<Difference>) -> Result<Vec<Change>> {
        let mut total = 0;
        let mut changes = Vec::with_capacity(differences.len());
        for Difference { path, mode, .. } in differences {
            let Some(mode) = mode else {
                changes.push(Change { path, kind: ChangeKind::Removed });
                continue;
            };
            let bytes = read_contents(self.folder.directory(), &path, mode, LARGEST_FILE)
                .map_err(failed("read what changed"))?
                .ok_or_else(|| too_large(&format!("`{path}` is larger than 50 MiB")))?;
            total += bytes.len() as u64;
            if total > LARGEST_CHANGES {
                return Err(too_large("the changed files hold more than 256 MiB"));
            }
            changes.push(Change { path, kind: ChangeKind::Written { mode, bytes } });
        }
        Ok(changes)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let path = self.folder.path();
        if let Err(error) = self.run_folder.close(path) {
            tracing::warn!(path = %path.display(), %error, "a checkout could not be removed");
        }
    }
}

fn too_large(what: &str) -> Error {
    Error::failed(format!("{what}, which can't land; delete it or have .gitignore name it"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::super::changes::Mode;
    use super::super::checkouts::Checkouts;
    use super::super::compare::Stamp;
    use super::super::testing::{Sandbox, path, removed, run_git, written};
    use super::*;

    /// A checkout that stands on `main`, with its folder's path.
    fn checkout(sandbox: &Sandbox) -> (Checkout, std::path::PathBuf) {
        let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
        let checkout = checkouts.open("slot-1").unwrap();
        checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        let folder = checkout.folder().path().to_owned();
        (checkout, folder)
    }

    /// Every path below a folder, folders with a `/`.
    fn names(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in ignore::WalkBuilder::new(folder).standard_filters(false).build().skip(1) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let is_folder = entry.file_type().unwrap().is_dir();
            names.push(if is_folder { format!("{name}/") } else { name });
        }
        names.sort();
        names
    }

    #[test]
    fn a_reset_restores_what_is_tracked_keeps_what_is_ignored_and_removes_the_rest() {
        let sandbox = Sandbox::with(&[(".gitignore", "target\n"), ("a", "one\n"), ("d/x", "x\n")]);
        let (checkout, folder) = checkout(&sandbox);
        let clean = names(&folder);
        assert_eq!(clean, [".gitignore", "a", "d/", "d/x"]);
        fs::write(folder.join("a"), "two\n").unwrap();
        fs::remove_file(folder.join("d/x")).unwrap();
        // Hides everything from the next worker, itself included.
        fs::write(folder.join(".gitignore"), "*\n").unwrap();
        fs::write(folder.join("d/.gitignore"), "*\n").unwrap();
        fs::create_dir_all(folder.join("empty/deep")).unwrap();
        fs::create_dir_all(folder.join("target")).unwrap();
        fs::write(folder.join("target/cache"), "kept\n").unwrap();
        fs::write(folder.join("odd\nname"), "n\n").unwrap();
        run_git(&folder, &["init", "--quiet", "nested"]);
        run_git(&folder, &["init", "--quiet"]);
        checkout.reset(&checkout.base()).unwrap();
        fs::remove_file(folder.join("target/cache")).expect("ignored files stay");
        fs::remove_dir(folder.join("target")).unwrap();
        assert_eq!(names(&folder), clean);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "one\n");
        assert_eq!(checkout.changes().unwrap(), Changes::default());
    }

    #[test]
    fn a_reset_writes_only_what_differs_between_commits() {
        let sandbox =
            Sandbox::with(&[("a", "one\n"), ("b", "one\n"), ("f", "file\n"), ("d/x", "x\n")]);
        let (checkout, folder) = checkout(&sandbox);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let a = fs::File::options().write(true).open(folder.join("a")).unwrap();
        a.set_modified(long_ago).unwrap();
        sandbox.git(&["rm", "--quiet", "f", "d/x"]);
        for (name, text) in [("b", "two\n"), ("f/inside", "i\n"), ("d", "now a file\n")] {
            sandbox.write(name, text);
        }
        symlink("/nowhere", sandbox.top().join("link")).unwrap();
        fs::set_permissions(sandbox.top().join("b"), fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.git(&["add", "--all"]);
        sandbox.git(&["commit", "--quiet", "--message", "next"]);
        checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        let modified = |name: &str| fs::metadata(folder.join(name)).unwrap().modified().unwrap();
        assert_eq!(modified("a"), long_ago, "what is as it should be is not written again");
        assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "two\n");
        assert_eq!(names(&folder), ["a", "b", "d", "f/", "f/inside", "link"]);
        assert_eq!(fs::read_link(folder.join("link")).unwrap(), Path::new("/nowhere"));
        assert_eq!(fs::metadata(folder.join("b")).unwrap().mode() & 0o100, 0o100);
        assert_eq!(checkout.changes().unwrap(), Changes::default());
    }

    #[test]
    fn all_kinds_of_changes_are_found() {
        let sandbox = Sandbox::with(&[("a", "1\n"), ("b", "1\n"), ("c", "1\n"), ("d/x", "x\n")]);
        let (checkout, folder) = checkout(&sandbox);
        fs::remove_file(folder.join("b")).unwrap();
        fs::set_permissions(folder.join("c"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("new"), "n\n").unwrap();
        fs::rename(folder.join("d"), folder.join("e")).unwrap();
        symlink("e", folder.join("d")).unwrap();
        let kind = |mode, text: &str| ChangeKind::Written { mode, bytes: text.into() };
        let expected = vec![
            removed("b"),
            Change { path: path("c"), kind: kind(Mode::Executable, "1\n") },
            Change { path: path("d"), kind: kind(Mode::Link, "e") },
            removed("d/x"),
            written("e/x", "x\n"),
            written("new", "n\n"),
        ];
        assert_eq!(checkout.changes().unwrap().changes, expected);
        checkout.reset(&checkout.base()).unwrap();
        assert_eq!(names(&folder), ["a", "b", "c", "d/", "d/x"]);
    }

    #[test]
    fn an_edit_of_the_same_size_and_time_is_found() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (checkout, folder) = checkout(&sandbox);
        let modified = fs::metadata(folder.join("a")).unwrap().modified().unwrap();
        fs::write(folder.join("a"), "two\n").unwrap();
        let file = fs::File::options().write(true).open(folder.join("a")).unwrap();
        file.set_modified(modified).unwrap();
        // The worst case: not even the time of the last change of the inode tells.
        let metadata = checkout.folder().directory().symlink_metadata("a").unwrap();
        let mut held = checkout.held();
        held.files.get_mut(&path("a")).unwrap().stamp = Some(Stamp::of(&metadata));
        drop(held);
        assert_eq!(checkout.changes().unwrap().changes, [written("a", "two\n")]);
    }

    #[test]
    fn what_lies_outside_the_root_path_is_left_out_and_named() {
        let sandbox = Sandbox::with(&[("src/a", "one\n"), ("b", "one\n")]);
        let repository = Repository::open(&sandbox.top().join("src"), "main", true).unwrap();
        let checkouts = Checkouts::new(repository, "r1", &sandbox.cache(), false).unwrap();
        let checkout = checkouts.open("slot-1").unwrap();
        checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        for name in ["src/a", "b", "srcs"] {
            fs::write(checkout.folder().path().join(name), "two\n").unwrap();
        }
        let changes = checkout.changes().unwrap();
        assert_eq!(changes.changes, [written("src/a", "two\n")]);
        assert_eq!(changes.outside, [path("b"), path("srcs")]);
    }

    #[test]
    fn submodules_stay_as_they_are() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let head = sandbox.git(&["rev-parse", "HEAD"]);
        let entry = format!("160000,{head},sub");
        sandbox.git(&["update-index", "--add", "--cacheinfo", &entry]);
        sandbox.git(&["commit", "--quiet", "--message", "sub"]);
        let (checkout, folder) = checkout(&sandbox);
        assert_eq!(names(&folder), ["a", "sub/"]);
        fs::write(folder.join("sub/x"), "x\n").unwrap();
        assert_eq!(checkout.changes().unwrap(), Changes::default());
        fs::remove_dir_all(folder.join("sub")).unwrap();
        assert_eq!(checkout.changes().unwrap(), Changes::default());
        checkout.reset(&checkout.base()).unwrap();
        assert_eq!(names(&folder), ["a", "sub/"]);
    }

    #[test]
    fn an_ignore_file_that_never_ends_is_refused_and_reset() {
        let sandbox = Sandbox::with(&[("d/a", "one\n")]);
        let (checkout, folder) = checkout(&sandbox);
        symlink("/dev/zero", folder.join("d/.gitignore")).unwrap();
        let error = checkout.changes().unwrap_err().to_string();
        assert!(error.contains("d/.gitignore"), "{error}");
        checkout.reset(&checkout.base()).unwrap();
        assert_eq!(names(&folder), ["d/", "d/a"]);
    }

    #[test]
    fn pipes_are_left_out_and_large_files_refused() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (checkout, folder) = checkout(&sandbox);
        let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
        assert!(made.success());
        assert_eq!(checkout.changes().unwrap(), Changes::default());
        let file = fs::File::create(folder.join("large")).unwrap();
        file.set_len(LARGEST_FILE + 1).unwrap();
        let error = checkout.changes().unwrap_err().to_string();
        assert!(error.contains("`large` is larger than 50 MiB"), "{error}");
        checkout.reset(&checkout.base()).unwrap();
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn folders_go_with_their_owners() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (checkout, folder) = checkout(&sandbox);
        checkout.close();
        assert!(!folder.exists() && !folder.parent().unwrap().exists());
        let inside = sandbox.top().join("cache");
        assert!(matches!(
            Checkouts::new(sandbox.open(), "r1", &inside, false),
            Err(Error::Usage(_))
        ));
        assert!(!inside.exists());
    }
}
