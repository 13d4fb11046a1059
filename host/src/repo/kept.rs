//! What tools replace in checkouts, kept as blobs. Git's gc removes what no
//! reference holds, so each has one, which goes when its run is pruned.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs;
use std::io;
use std::path::Path;

use git2::Oid;

use super::open::Repository;
use super::{failed, patience};
use crate::Result;

/// Below it lies a folder for each run, and in that a reference for each blob.
const KEPT: &str = "refs/code-agent/kept/";

/// Keeps these bytes for a run; returns the blob's id. One at a time: two that
/// keep the same would be in each other's way.
pub(super) fn keep(repository: &Repository, run: &str, bytes: &[u8]) -> Result<String> {
    let git = repository.git()?;
    let blob = git.blob(bytes).map_err(failed("keep what a tool replaces"))?;
    hold(&git, &format!("{KEPT}{run}/{blob}"), blob)
        .map_err(failed("keep what a tool replaces"))?;
    Ok(blob.to_string())
}

fn hold(git: &git2::Repository, name: &str, blob: Oid) -> Result<(), git2::Error> {
    if git.refname_to_id(name).is_ok() {
        return Ok(());
    }
    patience::unless_locked(|| git.reference(name, blob, true, "code-agent: kept")).map(drop)
}

/// Removes the locks that a host left which died while it kept something.
pub(super) fn remove_locks(common_directory: &Path, run: &str) -> Result<()> {
    let folder = common_directory.join(KEPT).join(run);
    let step = || -> io::Result<()> {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "lock") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    match step() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(format!("remove a dead process's locks in {}", folder.display()))(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn what_is_kept_outlives_gc_and_a_dead_hosts_lock_is_in_nobodys_way() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        repository.begin("r1").unwrap();
        let blob = keep(&repository, "r1", b"draft\n").unwrap();
        assert_eq!(keep(&repository, "r1", b"draft\n").unwrap(), blob);
        sandbox.git(&["gc", "--quiet", "--prune=now"]);
        assert_eq!(sandbox.git(&["cat-file", "-p", &blob]), "draft");
        let other = Oid::hash_object(git2::ObjectType::Blob, b"other\n").unwrap();
        let lock = sandbox.top().join(".git").join(KEPT).join(format!("r1/{other}.lock"));
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::write(&lock, "").unwrap();
        repository.recover("r1").unwrap();
        assert!(!lock.exists());
        keep(&repository, "r1", b"other\n").unwrap();
    }
}
