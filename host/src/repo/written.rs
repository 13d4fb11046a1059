//! Which files of a checkout tools have made, so that they can be told from what
//! commands left behind. Knows what the host was told; whether a file is new, and
//! what becomes of it, is `checkout`'s business.

use std::collections::BTreeSet;
use std::io;

use cap_std::fs::Dir;

use super::path::CheckoutPath;
use super::touched::MOST_PATHS;

/// The paths that tools wrote since the checkout was put to a commit.
#[derive(Debug, Default)]
pub(super) struct Written(BTreeSet<CheckoutPath>);

impl Written {
    /// A tool is about to write at this path, or to move something there. More
    /// paths than a landing may have are not kept.
    pub(super) fn note(&mut self, path: &CheckoutPath) {
        if self.0.len() < MOST_PATHS {
            self.0.insert(path.clone());
        }
    }

    /// A command is about to run: what tools have made by now is theirs, and what
    /// turns up later in a folder that they moved is not.
    pub(super) fn settle(&mut self, directory: &Dir) {
        let noted = std::mem::take(&mut self.0);
        for path in &noted {
            if let Err(error) = self.take_in(directory, path) {
                tracing::warn!(%path, %error, "what a tool wrote can't be looked at");
                self.note(path);
            }
        }
    }

    fn take_in(&mut self, directory: &Dir, path: &CheckoutPath) -> io::Result<()> {
        let mut open = vec![path.clone()];
        while let Some(path) = open.pop() {
            match directory.symlink_metadata(path.as_path()) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    self.note(&path);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            for entry in directory.read_dir(path.as_path())? {
                let name = entry?.file_name();
                // What no checkout may hold does not land anyway.
                if let Some(below) = name.to_str().and_then(|name| path.join(name).ok())
                    && open.len() < MOST_PATHS
                {
                    open.push(below);
                }
            }
        }
        Ok(())
    }

    /// What is noted.
    pub(super) fn paths(&self) -> impl Iterator<Item = &CheckoutPath> {
        self.0.iter()
    }

    /// Forgets what has become a commit's: the rest was written and did not land.
    pub(super) fn forget(&mut self, landed: impl Fn(&CheckoutPath) -> bool) {
        self.0.retain(|path| !landed(path));
    }

    /// Whether a tool wrote there, or moved a folder above it there.
    pub(super) fn covers(&self, path: &CheckoutPath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at.filter(|path| !path.is_top()) {
            if self.0.contains(&path) {
                return true;
            }
            at = path.parent();
        }
        false
    }
}
