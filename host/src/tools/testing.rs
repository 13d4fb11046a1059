//! What the tests of the file tools share.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::tools::place::WriteArea;

/// A folder with these files; it is gone with the guard.
pub fn checkout(files: &[(&str, &str)]) -> (TempDir, Folder) {
    let guard = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let file = guard.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let folder = Folder::open(guard.path()).unwrap();
    (guard, folder)
}

/// A path that parses.
pub fn path(text: &str) -> CheckoutPath {
    CheckoutPath::parse(text).unwrap()
}

/// A named pipe, at which a careless reader waits for ever.
pub fn make_pipe(at: &Path) {
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}

/// All of a checkout, with nobody who keeps what is replaced.
pub fn area(folder: &Folder) -> WriteArea<'_> {
    static TOP: std::sync::LazyLock<CheckoutPath> = std::sync::LazyLock::new(CheckoutPath::top);
    WriteArea { folder, root: &TOP, keeper: None, witness: None }
}
