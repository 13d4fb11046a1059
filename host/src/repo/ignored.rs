//! What a checkout's `.gitignore` files name. They are opened through the
//! checkout's capability, without waiting and up to a bound: one that is a pipe
//! would block, and one that links to an endless device would fill the memory.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, OpenOptions};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::compare::is_absent;
use super::contents::at;

/// The largest `.gitignore` that is obeyed, in bytes: compiling its patterns
/// costs many times that.
const LARGEST_IGNORE_FILE: u64 = 256 * 1024;

/// The patterns that hold in a folder: those of a `.gitignore`, and of those
/// in the folders above.
#[derive(Debug)]
pub(super) struct Patterns {
    folder: PathBuf,
    own: Gitignore,
    above: Rules,
}

/// None where no `.gitignore` says anything.
pub(super) type Rules = Option<Arc<Patterns>>;

/// The rules that hold in a folder, below which `above` hold already; none
/// where its `.gitignore` can't be obeyed.
pub(super) fn rules_in(directory: &Dir, folder: &Path, above: Rules) -> io::Result<Option<Rules>> {
    let path = folder.join(".gitignore");
    match read(directory, &path) {
        Ok(Some(text)) => {
            let own = compile(&text);
            let patterns = Patterns { folder: folder.to_owned(), own, above };
            Ok(Some(Some(Arc::new(patterns))))
        }
        Ok(None) => Ok(None),
        Err(error) if is_absent(&error) => Ok(Some(above)),
        Err(error) => Err(at(path.display())(error)),
    }
}

/// Whether a path below the rules' folder is left out; the nearest
/// `.gitignore` has the last word.
pub(super) fn is_ignored(rules: &Rules, path: &Path, is_folder: bool) -> bool {
    let mut rules = rules;
    while let Some(patterns) = rules {
        let below = path.strip_prefix(&patterns.folder).unwrap_or(path);
        match patterns.own.matched(below, is_folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => rules = &patterns.above,
        }
    }
    false
}

/// The text of a `.gitignore`; none where it is no plain file, or too large.
fn read(directory: &Dir, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(FollowSymlinks::No);
    let file = match directory.open_with(path, &options) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Err(error),
        // How a link refuses to be followed differs.
        Err(error) => {
            let is_file = directory.symlink_metadata(path)?.is_file();
            return if is_file { Err(error) } else { Ok(None) };
        }
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(LARGEST_IGNORE_FILE + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= LARGEST_IGNORE_FILE).then_some(text))
}

/// Lines that make no sense are left out, as git leaves them out.
fn compile(text: &[u8]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(".");
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for line in text.split(|byte| *byte == b'\n') {
        if let Err(error) = builder.add_line(None, &String::from_utf8_lossy(line)) {
            tracing::debug!(%error, "a line of a .gitignore makes no sense");
        }
    }
    builder.build().unwrap_or_else(|error| {
        tracing::warn!(%error, "the patterns of a .gitignore are too many to be obeyed");
        Gitignore::empty()
    })
}
