//! Holding a pack until something refers to what is in it: a `git repack -a -d` or a
//! `git gc --prune=now` of the user's takes away what nothing refers to, and between
//! the writing of a pack and the move of a reference nothing does. Owns the `.keep`
//! beside a pack, by which git holds what was just sent to it (`git help index-pack`);
//! how long a pack is held is `joining`'s.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::failed;
use super::pack::file_of;
use crate::Result;

/// How the name of the file ends.
pub(super) const KEEP: &str = "keep";

/// A pack that git leaves where it is, until this is dropped.
#[derive(Debug)]
pub(super) struct HeldPack {
    /// The pack's name.
    pub(super) name: String,
    /// By what it is held; nothing where somebody else holds it already.
    file: Option<PathBuf>,
    run: String,
}

impl HeldPack {
    /// Holds a pack, which is best not there yet: who has it in a list of those to
    /// remove takes it all the same. The file is written in the run's own folder, so
    /// that no half of it is ever seen.
    pub(super) fn new(folder: &Path, packs: &Path, run: &str, name: String) -> Result<Self> {
        let (new, file) = (file_of(folder, &name, KEEP), file_of(packs, &name, KEEP));
        let step = || -> io::Result<bool> {
            let free = !file.try_exists()?;
            if free {
                fs::write(&new, words(run))?;
                fs::rename(&new, &file)?;
            }
            Ok(free)
        };
        let free = step().map_err(failed(format!("write {}; is the disk full", file.display())))?;
        Ok(Self { name, file: free.then_some(file), run: run.to_owned() })
    }
}

impl Drop for HeldPack {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = release(file, &self.run) {
            let file = file.display();
            tracing::warn!(%file, %error, "git leaves a pack as it is until this file is removed");
        }
    }
}

/// Whether the file holds a pack for the run, and nobody else has written to it.
pub(super) fn is_held_by(file: &Path, run: &str) -> io::Result<bool> {
    match fs::read(file) {
        Ok(text) => Ok(text == words(run).as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets go of what a dead host of the run has held.
pub(super) fn release_all(packs: &Path, run: &str) -> io::Result<()> {
    let entries = match fs::read_dir(packs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == KEEP) {
            release(&file, run)?;
        }
    }
    Ok(())
}

fn release(file: &Path, run: &str) -> io::Result<()> {
    if !is_held_by(file, run)? {
        return Ok(());
    }
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn words(run: &str) -> String {
    format!("code-agent run {run}\n")
}
