//! Reads, writes, removes and renames files of a checkout: plain blocking
//! functions. Edits, listings and searches have modules of their own; whether
//! a caller may write at all is decided before these are called.

use std::io::{Read, Seek, SeekFrom, Write};

use cap_std::fs::{File, Permissions, PermissionsExt};

use super::place::{self, WriteArea, failure};
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// In bytes: no larger file is read whole, and none is written (10 MiB).
pub const LARGEST_FILE: u64 = 10 << 20;
/// A NUL within so many bytes from its start makes a file binary (8 KB, as
/// git's `buffer_is_binary` has it).
const BINARY_PROBE: usize = 8000;

/// The text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What is in it.
    pub content: String,
    /// Whether bytes that are not UTF-8 were replaced by U+FFFD.
    pub lossy: bool,
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was no such file.
    Created,
    /// There was one.
    Replaced {
        /// The name under which what it held is kept, if somebody keeps it.
        kept: Option<String>,
    },
}

/// At most `length` bytes from `offset`, both in bytes; fewer at the file's
/// end. `TooLong` where that is more than `LARGEST_FILE`.
pub fn read(
    folder: &Folder,
    path: &CheckoutPath,
    offset: u64,
    length: u32,
) -> Result<Vec<u8>, CallError> {
    let place = place::resolve(folder, path)?;
    let mut file = place::open_to_read(folder.directory(), &place)?;
    let size = file.metadata().map_err(|error| failure(path, &error))?.len();
    let wanted = u64::from(length).min(size.saturating_sub(offset));
    if wanted > LARGEST_FILE {
        return Err(CallError::TooLong(format!(
            "{wanted} bytes of {path} are more than can be read at once; ask for at most {LARGEST_FILE}"
        )));
    }
    // Some offsets beyond the end are more than the system takes.
    file.seek(SeekFrom::Start(offset.min(size))).map_err(|error| failure(path, &error))?;
    read_at_most(&mut file, path, wanted)
}

fn read_at_most(file: &mut File, path: &CheckoutPath, most: u64) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(|error| failure(path, &error))?;
    Ok(bytes)
}

/// All of a text file. `Invalid` for a binary one, `TooLong` for one of more
/// than `LARGEST_FILE`.
pub fn read_text(folder: &Folder, path: &CheckoutPath) -> Result<Text, CallError> {
    let place = place::resolve(folder, path)?;
    let mut file = place::open_to_read(folder.directory(), &place)?;
    let bytes = read_at_most(&mut file, path, LARGEST_FILE + 1)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(CallError::TooLong(format!(
            "{path} is larger than {LARGEST_FILE} bytes, the most that is read as text"
        )));
    }
    if bytes[..bytes.len().min(BINARY_PROBE)].contains(&0) {
        return Err(CallError::Invalid(format!(
            "{path} is a binary file of {} bytes, not text",
            bytes.len()
        )));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(content) => Text { content, lossy: false },
        Err(error) => {
            Text { content: String::from_utf8_lossy(error.as_bytes()).into_owned(), lossy: true }
        }
    })
}

/// Lines `first` to `last`, counted from 1, both included, with their line
/// endings; fewer at the file's end.
pub fn read_lines(
    folder: &Folder,
    path: &CheckoutPath,
    first: u32,
    last: u32,
) -> Result<String, CallError> {
    check_range(first, last)?;
    let text = read_text(folder, path)?;
    let count = (last - first) as usize + 1;
    Ok(text.content.split_inclusive('\n').skip(first as usize - 1).take(count).collect())
}

/// Refuses a range of lines that can't be.
pub fn check_range(first: u32, last: u32) -> Result<(), CallError> {
    if first == 0 {
        return Err(CallError::Invalid("lines count from 1".to_owned()));
    }
    if last < first {
        return Err(CallError::Invalid(format!(
            "the last line, {last}, comes before the first, {first}"
        )));
    }
    Ok(())
}

/// Creates or replaces a file, and what folders it needs. An old file keeps
/// its mode; `executable` sets or clears the right to run it.
pub fn write(
    area: WriteArea<'_>,
    path: &CheckoutPath,
    contents: &[u8],
    executable: Option<bool>,
) -> Result<Written, CallError> {
    if contents.len() as u64 > LARGEST_FILE {
        return Err(CallError::TooLong(format!(
            "{} bytes for {path} are more than a file may get, {LARGEST_FILE}",
            contents.len()
        )));
    }
    let place = area.file(path)?;
    let written = match area.folder.directory().symlink_metadata(place.as_path()) {
        Ok(_) => Written::Replaced { kept: keep(area, &place)? },
        Err(_) => Written::Created,
    };
    create_parent(area, &place)?;
    let mut file = place::open_to_write(area.folder.directory(), &place)?;
    let fill = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(contents)?;
        executable.map_or(Ok(()), |executable| set_executable(file, executable))
    };
    fill(&mut file).map_err(|error| failure(path, &error))?;
    Ok(written)
}

/// Has somebody keep what a file holds. What is too large to be read is too
/// large to be kept, and no model has read it either.
fn keep(area: WriteArea<'_>, place: &CheckoutPath) -> Result<Option<String>, CallError> {
    let Some(keeper) = area.keeper else { return Ok(None) };
    let (mut file, length) = match place::open_to_read(area.folder.directory(), place) {
        Ok(file) => {
            let length = file.metadata().map_err(|error| failure(place, &error))?.len();
            (file, length)
        }
        // The write says why it can't be done.
        Err(_) => return Ok(None),
    };
    if length > LARGEST_FILE {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failure(place, &error))?;
    keeper(place, &bytes).map(Some)
}

fn create_parent(area: WriteArea<'_>, place: &CheckoutPath) -> Result<(), CallError> {
    match place.parent() {
        Some(parent) if !parent.is_top() => area
            .folder
            .directory()
            .create_dir_all(parent.as_path())
            .map_err(|error| failure(&parent, &error)),
        _ => Ok(()),
    }
}

/// Whoever may read the file may run it, or nobody.
fn set_executable(file: &File, executable: bool) -> std::io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    let mode = if executable { mode | ((mode & 0o444) >> 2) } else { mode & !0o111 };
    file.set_permissions(Permissions::from_mode(mode & 0o777))
}

/// Removes a file, or a link and not what it leads to.
pub fn remove(area: WriteArea<'_>, path: &CheckoutPath) -> Result<(), CallError> {
    let place = area.name(path)?;
    let directory = area.folder.directory();
    let metadata =
        directory.symlink_metadata(place.as_path()).map_err(|error| failure(path, &error))?;
    if metadata.is_dir() {
        return Err(CallError::Invalid(format!(
            "{path} is a folder; remove the files in it one by one, git keeps no empty folders"
        )));
    }
    directory.remove_file(place.as_path()).map_err(|error| failure(path, &error))
}

/// Renames a file or a folder, and creates what folders the new name needs.
/// Refuses to replace what is there.
pub fn rename(
    area: WriteArea<'_>,
    old: &CheckoutPath,
    new: &CheckoutPath,
) -> Result<(), CallError> {
    let old_place = area.name(old)?;
    let new_place = area.name(new)?;
    let directory = area.folder.directory();
    directory.symlink_metadata(old_place.as_path()).map_err(|error| failure(old, &error))?;
    if directory.symlink_metadata(new_place.as_path()).is_ok() {
        return Err(CallError::Invalid(format!(
            "{new} exists already; remove it first, or choose another name"
        )));
    }
    if new_place.is_within(&old_place) {
        return Err(CallError::Invalid(format!("{new} lies inside of {old}")));
    }
    create_parent(area, &new_place)?;
    directory
        .rename(old_place.as_path(), directory, new_place.as_path())
        .map_err(|error| failure(new, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::tools::testing::{checkout, make_pipe, path};

    fn mode(at: &std::path::Path) -> u32 {
        fs::metadata(at).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn bytes_and_lines_are_read_up_to_the_end() {
        let (_guard, folder) = checkout(&[("f", "one\r\ntwo\nthree")]);
        assert_eq!(read(&folder, &path("f"), 4, 3).unwrap(), b"\ntw");
        assert_eq!(read(&folder, &path("f"), 10, 99).unwrap(), b"hree");
        assert_eq!(read(&folder, &path("f"), u64::MAX, 9).unwrap(), b"");
        assert_eq!(read_lines(&folder, &path("f"), 1, 1).unwrap(), "one\r\n");
        assert_eq!(read_lines(&folder, &path("f"), 2, u32::MAX).unwrap(), "two\nthree");
        assert_eq!(read_lines(&folder, &path("f"), 4, 4).unwrap(), "");
        for (first, last) in [(0, 1), (2, 1)] {
            let error = read_lines(&folder, &path("f"), first, last).unwrap_err();
            assert!(matches!(error, CallError::Invalid(_)), "{error}");
        }
    }

    #[test]
    fn what_is_no_plain_file_inside_is_not_read() {
        let (guard, folder) = checkout(&[("d/x", ""), (".git/config", "key")]);
        make_pipe(&guard.path().join("pipe"));
        symlink("/etc/passwd", guard.path().join("absolute")).unwrap();
        symlink("../../etc", guard.path().join("upwards")).unwrap();
        symlink(".git", guard.path().join("git")).unwrap();
        symlink("loop", guard.path().join("loop")).unwrap();
        for (name, wants) in [
            ("pipe", "invalid: pipe is a pipe"),
            ("d", "invalid: d is a folder"),
            ("d/x/y", "invalid: d/x/y: a part of the path is a file"),
            ("absolute", "denied: absolute leads out"),
            ("upwards/passwd", "denied: upwards/passwd leads out"),
            ("git/config", "invalid: the path \".git/config\" leads into git's own folder"),
            ("loop", "unavailable: loop"),
            ("gone", "not found: gone does not exist"),
        ] {
            let error = read(&folder, &path(name), 0, 9).unwrap_err().to_string();
            assert!(error.starts_with(wants), "{error}");
        }
    }

    #[test]
    fn huge_and_binary_files_are_named_as_such() {
        let (guard, folder) = checkout(&[("binary", "a\0b")]);
        let huge = fs::File::create(guard.path().join("huge")).unwrap();
        huge.set_len(LARGEST_FILE + 1).unwrap();
        assert!(matches!(read_text(&folder, &path("huge")), Err(CallError::TooLong(_))));
        assert!(matches!(read(&folder, &path("huge"), 0, u32::MAX), Err(CallError::TooLong(_))));
        assert_eq!(read(&folder, &path("huge"), LARGEST_FILE, 9).unwrap(), [0]);
        let error = read_text(&folder, &path("binary")).unwrap_err();
        assert!(error.to_string().contains("binary is a binary file of 3 bytes"), "{error}");
    }

    #[test]
    fn writes_keep_the_mode_and_follow_links_that_stay_inside() {
        let (guard, folder) = checkout(&[("run.sh", "long old text")]);
        let area = WriteArea { folder: &folder, root: &path(""), keeper: None, witness: None };
        fs::set_permissions(guard.path().join("run.sh"), fs::Permissions::from_mode(0o750))
            .unwrap();
        symlink("run.sh", guard.path().join("link")).unwrap();
        assert_eq!(
            write(area, &path("link"), b"new", None).unwrap(),
            Written::Replaced { kept: None }
        );
        assert_eq!(fs::read(guard.path().join("run.sh")).unwrap(), b"new");
        assert_eq!(mode(&guard.path().join("run.sh")), 0o750);
        assert!(guard.path().join("link").is_symlink());
        assert_eq!(write(area, &path("a/b/c"), b"x", None).unwrap(), Written::Created);
        assert_eq!(mode(&guard.path().join("a/b/c")) & 0o111, 0);
        write(area, &path("a/b/c"), b"x", Some(true)).unwrap();
        assert_eq!(mode(&guard.path().join("a/b/c")) & 0o100, 0o100);
        write(area, &path("run.sh"), b"x", Some(false)).unwrap();
        assert_eq!(mode(&guard.path().join("run.sh")), 0o640);
    }

    #[test]
    fn writes_stay_below_the_root_path() {
        let (guard, folder) = checkout(&[("in/x", "x"), ("out/y", "y"), ("inside", "")]);
        let area = WriteArea { folder: &folder, root: &path("in"), keeper: None, witness: None };
        symlink("../out", guard.path().join("in/folder")).unwrap();
        symlink("../out/y", guard.path().join("in/file")).unwrap();
        for name in ["out/y", "inside", "new", "in/folder/y", "in/folder/a/b", "in/file"] {
            let error = write(area, &path(name), b"z", None).unwrap_err();
            assert!(matches!(error, CallError::Denied(_)), "{name}: {error}");
        }
        for (old, new) in [("in/x", "out/x"), ("out/y", "in/y"), ("in/x", "in/folder/x")] {
            let error = rename(area, &path(old), &path(new)).unwrap_err();
            assert!(matches!(error, CallError::Denied(_)), "{old} {new}: {error}");
        }
        assert!(matches!(remove(area, &path("in/folder/y")), Err(CallError::Denied(_))));
        // The link itself lies inside.
        remove(area, &path("in/file")).unwrap();
        assert_eq!(fs::read_to_string(guard.path().join("out/y")).unwrap(), "y");
        assert_eq!(fs::read_dir(guard.path().join("out")).unwrap().count(), 1);
    }

    #[test]
    fn hostile_targets_are_not_written() {
        let (guard, folder) = checkout(&[(".git/config", "key"), ("d/x", "")]);
        let area = WriteArea { folder: &folder, root: &path(""), keeper: None, witness: None };
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("victim"), "old").unwrap();
        fs::hard_link(outside.path().join("victim"), guard.path().join("hard")).unwrap();
        symlink(outside.path(), guard.path().join("out")).unwrap();
        symlink(outside.path().join("new"), guard.path().join("dangling")).unwrap();
        symlink(".git", guard.path().join("git")).unwrap();
        make_pipe(&guard.path().join("pipe"));
        for name in [
            "hard",
            "out/victim",
            "out/new",
            "dangling",
            "git/config",
            "git/new",
            "pipe",
            "d",
            "d/x/y",
        ] {
            let error = write(area, &path(name), b"bad", None).unwrap_err();
            let is_plain = matches!(error, CallError::Denied(_) | CallError::Invalid(_));
            assert!(is_plain, "{name}: {error}");
        }
        assert!(remove(area, &path("out/victim")).is_err());
        assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "old");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(guard.path().join(".git/config")).unwrap(), "key");
        let huge = vec![b'x'; LARGEST_FILE as usize + 1];
        assert!(matches!(write(area, &path("huge"), &huge, None), Err(CallError::TooLong(_))));
        assert!(!guard.path().join("huge").exists());
    }

    #[test]
    fn files_are_removed_and_renamed() {
        let (guard, folder) = checkout(&[("a", "a"), ("b", "b"), ("d/x", "x")]);
        let area = WriteArea { folder: &folder, root: &path(""), keeper: None, witness: None };
        rename(area, &path("a"), &path("new/a")).unwrap();
        assert_eq!(fs::read_to_string(guard.path().join("new/a")).unwrap(), "a");
        rename(area, &path("d"), &path("e")).unwrap();
        assert!(guard.path().join("e/x").exists());
        for (old, new) in [("b", "e/x"), ("e", "e/f"), ("b", "b")] {
            let error = rename(area, &path(old), &path(new)).unwrap_err();
            assert!(matches!(error, CallError::Invalid(_)), "{old} {new}: {error}");
        }
        assert!(matches!(rename(area, &path("no"), &path("x")), Err(CallError::NotFound(_))));
        remove(area, &path("b")).unwrap();
        assert!(!guard.path().join("b").exists());
        assert!(matches!(remove(area, &path("b")), Err(CallError::NotFound(_))));
        assert!(matches!(remove(area, &path("e")), Err(CallError::Invalid(_))));
    }
}
