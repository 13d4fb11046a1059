//! Writing the commits of a group as one pack that survives the plug being
//! pulled. Owns what belongs into it and the way to the disk; its bytes are
//! `packing`'s.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use git2::Oid;

use super::failed;
use super::packing::{Object, write_pack};
use super::sync::sync_all;
use super::tree::new_objects;
use crate::{Error, Result, crash};

/// Writes the commits, each the child of the one before and the first of
/// `start`, and what they added.
pub(super) fn write(
    git: &git2::Repository,
    common_directory: &Path,
    run: &str,
    start: Oid,
    commits: &[Oid],
) -> Result<()> {
    let objects = objects_of(git, start, commits).map_err(failed("find what landed"))?;
    write_all(common_directory, run, objects)
}

/// Writes these objects, each once. Written and synced in a folder of its own and
/// then renamed, so that no half pack ever lies where git looks. After a crash
/// `remove_leftovers` removes the folder, or git's own cleaning, which knows by
/// `tmp_` what it is.
pub(super) fn write_all(common_directory: &Path, run: &str, pack: Vec<Object>) -> Result<()> {
    let objects = common_directory.join("objects");
    let folder = objects.join(format!("{}{}", folder_prefix(run), uuid::Uuid::now_v7()));
    let doing = || format!("write what landed to {}", objects.display());
    fs::create_dir(&folder).map_err(failed(doing()))?;
    let written = write_pack(pack, &folder).map_err(failed(doing()));
    crash::point("landing: pack built");
    let moved = written.and_then(|name| move_pack(&folder, &objects.join("pack"), &name));
    if let Err(error) = fs::remove_dir_all(&folder) {
        tracing::warn!(folder = %folder.display(), %error, "a temporary folder stays behind");
    }
    moved
}

/// Removes what a dead host of the run was writing.
pub(super) fn remove_leftovers(common_directory: &Path, run: &str) -> Result<()> {
    let objects = common_directory.join("objects");
    let prefix = folder_prefix(run);
    let step = || -> std::io::Result<()> {
        for entry in fs::read_dir(&objects)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    };
    step().map_err(failed(format!("remove what a dead process left in {}", objects.display())))
}

fn folder_prefix(run: &str) -> String {
    format!("tmp_code-agent-{run}-")
}

/// The commits and what each added to the one before, each object once.
fn objects_of(
    git: &git2::Repository,
    start: Oid,
    commits: &[Oid],
) -> Result<Vec<Object>, git2::Error> {
    let mut before = git.find_commit(start)?.tree()?;
    let mut ids = Vec::new();
    for commit in commits {
        let tree = git.find_commit(*commit)?.tree()?;
        ids.push(*commit);
        new_objects(git, Some(&before), &tree, &mut ids)?;
        before = tree;
    }
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(*id));
    let odb = git.odb()?;
    let read = |id| odb.read(id).map(|object| (object.kind(), object.data().into()));
    ids.into_iter().map(read).collect()
}

fn move_pack(from: &Path, to: &Path, name: &str) -> Result<()> {
    let file = |folder: &Path, ending: &str| folder.join(format!("pack-{name}.{ending}"));
    let doing = || format!("write a pack through to the disk in {}", to.display());
    let step = || -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        sync_all(&[&file(from, "pack"), &file(from, "idx")])?;
        // Git finds a pack by its index, so that comes last.
        for ending in ["pack", "idx"] {
            fs::rename(file(from, ending), file(to, ending))?;
        }
        sync_all(&[to])
    };
    step().map_err(|error| {
        Error::failed(format!("could not {}: {error}; is the disk full?", doing()))
    })
}
