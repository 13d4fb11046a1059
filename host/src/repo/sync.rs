//! Writing files and folders through to the disk. Several go side by side: what
//! a disk and its journal do at once costs them little more than one.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

/// Writes files' bytes, or folders' names, through to the disk. All of them
/// are, or there is an error.
pub(super) fn sync_all(paths: &[&Path]) -> io::Result<()> {
    let Some((last, others)) = paths.split_last() else { return Ok(()) };
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|path| scope.spawn(|| sync(path))).collect();
        let mut synced = sync(last);
        for other in others {
            let other = other.join().map_err(|_| io::Error::other("a thread that syncs panicked"));
            synced = synced.and(other.flatten());
        }
        synced
    })
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_fails_all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, missing) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "one\n").unwrap();
        sync_all(&[&file, folder.path()]).unwrap();
        for paths in [[&*missing, &file], [&file, &missing]] {
            assert_eq!(sync_all(&paths).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
