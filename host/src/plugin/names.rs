//! All the names by which a file or folder is reached. Whoever can write one of them
//! decides what is read there.

#![expect(clippy::disallowed_methods, reason = "plugins folders are no checkouts")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The system follows no more links either.
const MOST_LINKS: usize = 40;

/// What a file is called, the links on the way to it, and where it really lies.
pub(super) fn names(file: &Path) -> Vec<PathBuf> {
    let named = absolute(file);
    let (mut names, end) = way(&named);
    names.extend([end, named]);
    names
}

/// The links on the way to a file or folder, each where it really lies.
pub(super) fn links(path: &Path) -> Vec<PathBuf> {
    way(&absolute(path)).0
}

/// The same path where the working folder is gone: then it is not there either.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Goes from name to name as the system does; what is not there has no links.
fn way(named: &Path) -> (Vec<PathBuf>, PathBuf) {
    let steps = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|step| step.as_os_str().to_owned()).collect()
    };
    let (mut links, mut at) = (Vec::new(), PathBuf::new());
    let mut ahead = steps(named);
    while let Some(step) = ahead.pop() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(step);
        match fs::read_link(&next) {
            Ok(target) if links.len() < MOST_LINKS => {
                links.push(next);
                // An absolute one begins with the root, which takes the place of `at`.
                ahead.extend(steps(&target));
            }
            _ => at = next,
        }
    }
    (links, at)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_a_name() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("real/deep")).unwrap();
        fs::write(top.join("real/file"), "").unwrap();
        symlink("real/deep", top.join("one")).unwrap();
        symlink(top.join("one"), top.join("two")).unwrap();
        symlink("../file", top.join("real/deep/link")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let in_top =
            |names: &[&str]| -> Vec<PathBuf> { names.iter().map(|name| top.join(name)).collect() };
        assert_eq!(
            names(&top.join("two/link")),
            in_top(&["two", "one", "real/deep/link", "real/file", "two/link"])
        );
        assert_eq!(names(&top.join("real/file")), in_top(&["real/file", "real/file"]));
        assert_eq!(links(&top.join("two/../none")), in_top(&["two", "one"]));
        let gone = in_top(&["one", "real/deep/none", "one/none"]);
        assert_eq!(names(&top.join("one/none")), gone);
        assert_eq!(links(&top.join("loop")).len(), MOST_LINKS);
    }
}
