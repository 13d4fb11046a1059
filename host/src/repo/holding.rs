//! Holding a pack until something refers to what is in it: a `git repack -a -d` or a
//! `git gc --prune=now` of the user's takes away what nothing refers to, and between
//! the writing of a pack and the move of a reference nothing does. Owns the `.keep`
//! beside a pack, by which git holds what was just sent to it (`git help index-pack`),
//! and how what a host makes in git's folder tells whose it is; how long a pack is held
//! is `joining`'s.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::failed;
use super::pack::file_of;
use crate::Result;

/// How the name of the file ends.
pub(super) const KEEP: &str = "keep";
/// Bytes of such a file that are read: what we write is shorter.
const LONGEST_WORDS: u64 = 256;
/// How the names of our temporary folders begin. No name of git's for what is temporary
/// (`tmp_`): a `git gc --prune=now` removes that while somebody works with it.
const TEMPORARY: &str = "code-agent-";
/// Characters of a UUID.
const UUID: usize = 36;

/// Whose something is that lies in git's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) process: u32,
    pub(super) run: String,
}

impl Owner {
    /// This process, at work on the run.
    fn this(run: &str) -> Self {
        Self { process: std::process::id(), run: run.to_owned() }
    }

    /// What a `.keep` of theirs says.
    fn words(&self) -> String {
        format!("code-agent, process {}, run {}\n", self.process, self.run)
    }

    /// Who holds a pack by this file; nobody of us where it says something else, or is
    /// not for us to read.
    fn of_keep(file: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(file) {
            Err(error) if is_none_of_ours(&error) => return Ok(None),
            file => file?,
        };
        let mut text = Vec::new();
        file.take(LONGEST_WORDS).read_to_end(&mut text)?;
        Ok(std::str::from_utf8(&text).ok().and_then(|text| {
            let (process, run) = text.strip_prefix("code-agent, process ")?.split_once(", run ")?;
            Some(Self { process: process.parse().ok()?, run: run.strip_suffix('\n')?.to_owned() })
        }))
    }

    /// Who made the temporary folder of this name.
    fn of_temporary(name: &str) -> Option<Self> {
        let (process, rest) = name.strip_prefix(TEMPORARY)?.split_once('-')?;
        let run = rest.get(UUID..)?.strip_prefix('-')?;
        Some(Self { process: process.parse().ok()?, run: run.to_owned() })
    }
}

fn is_none_of_ours(error: &io::Error) -> bool {
    // Git's own ones are for their owner alone.
    [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind())
}

/// The name of a new temporary folder among a repository's objects.
pub(super) fn temporary_name(run: &str) -> String {
    let Owner { process, run } = Owner::this(run);
    format!("{TEMPORARY}{process}-{}-{run}", uuid::Uuid::now_v7())
}

/// The temporary folders among a repository's objects that belong to those.
pub(super) fn temporary_folders(
    objects: &Path,
    theirs: &impl Fn(&Owner) -> bool,
) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(objects)? {
        let entry = entry?;
        let owner = entry.file_name().to_str().and_then(Owner::of_temporary);
        found.extend(owner.filter(theirs).map(|_| entry.path()));
    }
    Ok(found)
}

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
    /// remove takes it all the same. The file is written in a folder of our own, so
    /// that no half of it is ever seen. It is not synced, which would cost every
    /// landing: should it be empty after a power cut, git leaves the pack as it is.
    pub(super) fn new(folder: &Path, packs: &Path, run: &str, name: String) -> Result<Self> {
        let (new, file) = (file_of(folder, &name, KEEP), file_of(packs, &name, KEEP));
        let step = || -> io::Result<bool> {
            let free = !file.try_exists()?;
            if free {
                fs::write(&new, Owner::this(run).words())?;
                fs::rename(&new, &file)?;
            }
            Ok(free)
        };
        let free = step().map_err(failed(format!("write {}", file.display())))?;
        Ok(Self { name, file: free.then_some(file), run: run.to_owned() })
    }
}

impl Drop for HeldPack {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = release(file, &|owner| owner.run == self.run) {
            let file = file.display();
            tracing::warn!(%file, %error, "git leaves a pack as it is until this file is removed");
        }
    }
}

/// Whether the file holds a pack for the run, and nobody else has written to it.
pub(super) fn is_held_by(file: &Path, run: &str) -> io::Result<bool> {
    Ok(Owner::of_keep(file)?.is_some_and(|owner| owner.run == run))
}

/// Lets go of the packs that those hold.
pub(super) fn release_all(packs: &Path, theirs: &impl Fn(&Owner) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(packs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == KEEP) {
            release(&file, theirs)?;
        }
    }
    Ok(())
}

fn release(file: &Path, theirs: &impl Fn(&Owner) -> bool) -> io::Result<()> {
    if !Owner::of_keep(file)?.is_some_and(|owner| theirs(&owner)) {
        return Ok(());
    }
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_gits_folder_tells_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner { process: 77, run: "01a2-r1".into() };
        let file = folder.path().join("pack-1.keep");
        fs::write(&file, owner.words()).unwrap();
        assert_eq!(Owner::of_keep(&file).unwrap(), Some(owner));
        for others in ["", "fetch-pack 12 on host\n", "code-agent, process x, run y\n", "\u{0}\n"] {
            fs::write(&file, others).unwrap();
            assert_eq!(Owner::of_keep(&file).unwrap(), None, "{others:?}");
        }
        assert_eq!(Owner::of_keep(&folder.path().join("none")).unwrap(), None);
        assert_eq!(Owner::of_temporary(&temporary_name("01a2-r1")), Some(Owner::this("01a2-r1")));
        for others in ["pack", "code-agent-", "code-agent-r1", "tmp_objdir-1", "code-agent-7-r1"] {
            assert_eq!(Owner::of_temporary(others), None, "{others}");
        }
    }
}
