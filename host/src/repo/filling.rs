//! Writing a commit's files into a checkout's folder: by several threads where
//! there are many. Knows nothing of what lay there before.

use std::io;
use std::thread::{self, available_parallelism};

use cap_std::fs::Dir;
use git2::Oid;

use super::changes::Mode;
use super::compare::Stamp;
use super::contents::write_over;
use super::path::CheckoutPath;

/// So many files are enough to be shared out.
const SHARED_FILES: usize = 256;
/// How many threads write at once: many slots may be filled side by side.
const MOST_THREADS: usize = 4;

/// A file that is to be written. Its folder is there.
pub(super) struct Wanted<'a> {
    pub(super) path: &'a CheckoutPath,
    pub(super) id: Oid,
    pub(super) mode: Mode,
}

/// Writes the files, whatever lies in their places; returns what `lstat` says of
/// each.
pub(super) fn write_files(
    git: &git2::Repository,
    directory: &Dir,
    files: &[Wanted<'_>],
) -> io::Result<Vec<Stamp>> {
    if files.len() < SHARED_FILES {
        return write_some(git, directory, files);
    }
    let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let git_directory = git.path();
    let own = |share| {
        // libgit2's handle can't be shared.
        let git = git2::Repository::open(git_directory).map_err(io::Error::other)?;
        write_some(&git, directory, share)
    };
    let own = &own;
    thread::scope(|scope| {
        // Neighbours share a folder, and two threads would wait for it.
        let shares = files.chunks(files.len().div_ceil(threads));
        let writing: Vec<_> = shares.map(|share| scope.spawn(move || own(share))).collect();
        let mut stamps = Vec::with_capacity(files.len());
        for share in writing {
            let panicked = |_| Err(io::Error::other("a thread that writes files panicked"));
            stamps.extend(share.join().unwrap_or_else(panicked)?);
        }
        Ok(stamps)
    })
}

fn write_some(
    git: &git2::Repository,
    directory: &Dir,
    files: &[Wanted<'_>],
) -> io::Result<Vec<Stamp>> {
    let write = |file: &Wanted<'_>| {
        let blob = git.find_blob(file.id).map_err(io::Error::other)?;
        let metadata = write_over(directory, file.path, file.mode, blob.content())?;
        Ok(Stamp::of(&metadata))
    };
    files.iter().map(write).collect()
}
