//! Which hooks the repository has that would have run, had a person made the
//! commits: none runs here, and whoever relies on one has to know.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::open::Repository;
use crate::Result;

/// Those that committing, moving a branch, checking out or pushing would run.
const HOOKS: [&str; 9] = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-merge-commit",
    "post-merge",
    "post-checkout",
    "pre-push",
    "reference-transaction",
];
/// What a person lets git execute.
const EXECUTABLE: u32 = 0o111;

impl Repository {
    /// The names of the hooks that are there and were not run.
    pub fn hooks(&self) -> Result<Vec<&'static str>> {
        let config = self.git()?.config().map_err(super::failed("read git's config"))?;
        let folder = match config.get_path("core.hooksPath") {
            // A relative one starts at the top of the working tree.
            Ok(named) => self.top().join(named),
            Err(_) => self.common_directory().join("hooks"),
        };
        Ok(HOOKS.into_iter().filter(|name| is_executable(&folder.join(name))).collect())
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & EXECUTABLE != 0)
}
