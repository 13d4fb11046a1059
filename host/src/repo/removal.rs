//! Removing folders, whatever somebody has made of them: trees deeper than a
//! path can name, folders without rights, any number of entries. Needs the same
//! stack and the same few open files for all of them, for it never descends:
//! what lies in a folder is moved up to the top first. Knows nothing of what
//! ought to be there. Somebody may still be writing there: then it gives up after
//! some time.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, DirEntry, Permissions, PermissionsExt};

use super::compare::is_absent;

/// What an owner needs to list and change a folder.
const RIGHTS: u32 = 0o700;
/// Far longer than even millions of files take. Whoever writes faster than it
/// removes would keep it for ever.
const LONGEST: Duration = Duration::from_secs(600);

/// Removes whatever lies at a path; it is an error where nothing does.
pub(super) fn remove(directory: &Dir, path: &Path) -> io::Result<()> {
    if !directory.symlink_metadata(path)?.is_dir() {
        return directory.remove_file(path);
    }
    empty(directory, path)?;
    directory.remove_dir(path)
}

/// Removes all that lies in the folder at a path.
pub(super) fn empty(directory: &Dir, path: &Path) -> io::Result<()> {
    empty_until(directory, path, Instant::now() + LONGEST)
}

fn empty_until(directory: &Dir, path: &Path, until: Instant) -> io::Result<()> {
    give_rights(directory, path)?;
    let top = directory.open_dir_nofollow(path)?;
    let mut number = 0;
    // What was moved up is there to be found the next time.
    while empty_once(&top, &mut number, until)? {}
    Ok(())
}

/// Removes what a look at the folder shows, and moves up what lay in that.
/// Returns whether there was anything.
fn empty_once(top: &Dir, number: &mut u64, until: Instant) -> io::Result<bool> {
    let mut found = false;
    for entry in top.entries()? {
        let entry = entry?;
        found = true;
        in_time(until)?;
        if is_removed(top, &entry)? {
            continue;
        }
        let name = entry.file_name();
        let folder = top.open_dir_nofollow(&name)?;
        for below in folder.entries()? {
            let below = below?;
            in_time(until)?;
            if !is_removed(&folder, &below)? {
                move_up(&folder, &below.file_name(), top, number)?;
            }
        }
        match present(top.remove_dir(&name)) {
            // Somebody has written into it since: it is found the next time.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => removed?,
        }
    }
    Ok(found)
}

fn in_time(until: Instant) -> io::Result<()> {
    if Instant::now() < until {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "it is not empty yet: somebody still writes into it",
    ))
}

/// Removes a file or an empty folder. Of any other folder it sees to it that
/// it can be emptied and moved.
fn is_removed(directory: &Dir, entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    // Some file systems don't say what kind it is: then the removal does.
    if !entry.file_type()?.is_dir() {
        match present(directory.remove_file(&name)) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
            other => return other.map(|()| true),
        }
    }
    match present(directory.remove_dir(&name)) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        other => return other.map(|()| true),
    }
    give_rights(directory, Path::new(&name))?;
    Ok(false)
}

/// Some tools make their caches read-only, and then nobody can remove them.
fn give_rights(directory: &Dir, folder: &Path) -> io::Result<()> {
    if directory.symlink_metadata(folder)?.permissions().mode() & RIGHTS == RIGHTS {
        return Ok(());
    }
    directory.set_permissions(folder, Permissions::from_mode(RIGHTS))
}

/// Moves a folder to the top, under a name that nothing there has.
fn move_up(folder: &Dir, name: &OsStr, top: &Dir, number: &mut u64) -> io::Result<()> {
    loop {
        let moved = folder.rename(name, top, format!("moved-{number}"));
        *number += 1;
        match moved.as_ref().map_err(io::Error::kind) {
            Err(
                io::ErrorKind::AlreadyExists
                | io::ErrorKind::DirectoryNotEmpty
                | io::ErrorKind::NotADirectory,
            ) => {}
            _ => return moved,
        }
    }
}

/// What is gone already needs no removing.
fn present(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use cap_std::ambient_authority;
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::super::testing::make_deep;
    use super::*;

    fn opened(path: &Path) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    /// Root passes by all rights: this thread gives that up.
    fn obey_rights() {
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_any_path_goes() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep");
        fs::create_dir(&deep).unwrap();
        make_deep(&opened(&deep), 20_000);
        fs::write(deep.join("moved-0"), "in the way\n").unwrap();
        fs::create_dir_all(deep.join("moved-1/in/the/way")).unwrap();
        // A test's thread has 2 MiB of stack; this one has far less.
        let work = move || remove(&opened(deep.parent().unwrap()), Path::new("deep"));
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(work).unwrap();
        thread.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_without_rights_and_thousands_of_entries_go_and_links_are_not_followed() {
        obey_rights();
        let folder = tempfile::tempdir().unwrap();
        let (top, kept) = (folder.path().join("top"), folder.path().join("kept"));
        for (made, count) in [(kept.clone(), 1), (top.join("a/b"), 3_000), (top.join("c"), 3_000)] {
            fs::create_dir_all(&made).unwrap();
            (0..count).for_each(|number| {
                fs::write(made.join(format!("file-{number}")), "").unwrap();
                fs::create_dir(made.join(format!("folder-{number}"))).unwrap();
            });
        }
        symlink(&kept, top.join("c/link")).unwrap();
        fs::create_dir_all(top.join("a/closed/inner/most")).unwrap();
        for closed in ["a/closed/inner/most", "a/closed/inner", "a/closed", "c", ""] {
            fs::set_permissions(top.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
        }
        assert!(fs::read_dir(&top).is_err(), "the rights count");
        remove(&opened(folder.path()), Path::new("top")).unwrap();
        assert!(!top.exists());
        assert!(kept.join("file-0").exists() && kept.join("folder-0").exists());
    }

    #[test]
    fn who_writes_faster_than_it_removes_keeps_nobody_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("top/a/b")).unwrap();
        let above = opened(folder.path());
        let over = empty_until(&above, Path::new("top"), Instant::now()).unwrap_err();
        assert_eq!(over.kind(), io::ErrorKind::TimedOut);
        // Beside somebody who writes for a while, it comes to an end.
        let (begun, wait) = std::sync::mpsc::channel();
        let top = folder.path().join("top");
        let writer = std::thread::spawn(move || {
            for number in 0..20_000 {
                // The folder goes now and then, with what is in it.
                let made = fs::create_dir_all(top.join(format!("{}/in", number % 7)));
                let _ = made.and_then(|()| fs::write(top.join("0/in/file"), ""));
                begun.send(()).ok();
            }
        });
        wait.recv().unwrap();
        empty(&above, Path::new("top")).unwrap();
        writer.join().unwrap();
        empty(&above, Path::new("top")).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("top")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_emptied_stays_the_same() {
        obey_rights();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("top/a/b")).unwrap();
        let (above, top) = (opened(folder.path()), opened(&folder.path().join("top")));
        fs::set_permissions(folder.path().join("top"), fs::Permissions::from_mode(0o000)).unwrap();
        empty(&above, Path::new("top")).unwrap();
        top.write("a", "written through the old handle\n").unwrap();
        assert!(folder.path().join("top/a").is_file());
        let missing = remove(&above, Path::new("nothing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
