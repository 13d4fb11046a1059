//! One live host for each repository and branch: an advisory lock on a file in
//! the git directory that all working trees share. The kernel frees it when
//! the process dies, however it dies.

#![expect(clippy::disallowed_methods, reason = "git's own folder is no checkout")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failed;
use super::open::{Repository, find_common_directory};
use crate::{Error, Result};

/// Where the locks lie in git's folder.
const FOLDER: &str = "code-agent";
/// Bytes of a lock file that are read: what we write is far shorter.
const LONGEST_NOTE: u64 = 256;

/// Who only looks holds the lock for an instant, and so does a command that a host was
/// just starting when it died; so often is it tried again, so far apart.
const TRIES: u32 = 1000;
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// Held while a host works on a branch.
#[derive(Debug)]
pub struct HostLock {
    /// Locked until it is closed.
    file: File,
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // To close the file is not enough while a command that is just being
        // started has a copy of it.
        if let Err(error) = self.file.unlock() {
            tracing::warn!("the branch's lock goes only with this process: {error}");
        }
    }
}

impl Repository {
    /// Takes the branch for `run`, or says who has it.
    pub fn take(&self, run: &str) -> Result<HostLock> {
        self.take_with(run, || std::thread::sleep(BETWEEN_TRIES))
    }

    fn take_with(&self, run: &str, pause: impl FnMut()) -> Result<HostLock> {
        let path = lock_file(self.common_directory(), self.branch());
        let doing = || format!("take the lock {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed(doing()))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed(doing()))?;
        match try_past_lookers(&file, pause) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::failed(format!(
                    "another code-agent is at work on the branch `{}` of this repository ({}); wait \
                     for it or stop it, or work on another branch",
                    self.branch(),
                    read_note(&file)
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(doing())(error)),
        }
        let note = format!("process {}, run {run}\n", std::process::id());
        // Somebody else's note may have been read before.
        let empty = file.set_len(0).and_then(|()| file.rewind());
        let written = empty.and_then(|()| file.write_all(note.as_bytes()));
        written.map_err(failed(doing()))?;
        Ok(HostLock { file })
    }
}

/// `try_lock`, but not turned away by those who only look (`holder`): a host
/// keeps them out too, so where a look is possible there is no host. Nor by what has
/// a copy of a dead host's file, until it is another program.
fn try_past_lookers(file: &File, mut pause: impl FnMut()) -> Result<(), TryLockError> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                match file.try_lock_shared() {
                    Ok(()) => file.unlock().map_err(TryLockError::Error)?,
                    Err(TryLockError::WouldBlock) if is_of_the_dead(&read_note(file)) => {}
                    Err(error) => return Err(error),
                }
                pause();
            }
            outcome => return outcome,
        }
    }
    Err(TryLockError::WouldBlock)
}

/// Whether the process that the note names is gone.
fn is_of_the_dead(note: &str) -> bool {
    let process = note.strip_prefix("process ").and_then(|rest| rest.split_once(','));
    let id = process.and_then(|(id, _)| id.parse::<u32>().ok());
    id.is_some_and(|id| !is_alive(id))
}

/// Whether there is such a process, as far as can be seen from here.
pub(super) fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// Who works on a branch of the repository that holds `root_path`, in the
/// words `process N, run ID`; none where nobody does.
pub fn holder(root_path: &Path, branch: &str) -> Result<Option<String>> {
    let path = lock_file(&find_common_directory(root_path)?, branch);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_note(&file))),
        Err(TryLockError::Error(error)) => {
            Err(failed(format!("look at the lock {}", path.display()))(error))
        }
    }
}

/// Whether a host works on this run, on whatever branch.
pub(super) fn is_at_work(common_directory: &Path, run: &str) -> Result<bool> {
    let folder = common_directory.join(FOLDER);
    let doing = || format!("look at the locks in {}", folder.display());
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(failed(doing()))?,
    };
    for entry in entries {
        let file = File::open(entry.map_err(failed(doing()))?.path()).map_err(failed(doing()))?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let note = read_note(&file);
                if note.rsplit_once(", run ").is_some_and(|(_, named)| named == run) {
                    return Ok(true);
                }
            }
            Err(TryLockError::Error(error)) => return Err(failed(doing())(error)),
        }
    }
    Ok(false)
}

/// A branch's name holds slashes, and no letter case that every file system
/// keeps apart: in hex it is one plain name.
fn lock_file(common_directory: &Path, branch: &str) -> PathBuf {
    let name: String = branch.bytes().map(|byte| format!("{byte:02x}")).collect();
    common_directory.join(FOLDER).join(format!("{name}.lock"))
}

fn read_note(mut file: &File) -> String {
    let mut note = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(LONGEST_NOTE).read_to_string(&mut note));
    match read {
        Ok(_) if !note.trim().is_empty() => note.trim().to_owned(),
        _ => "it has not said who it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn a_branch_has_one_host_at_a_time() {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("src/b", "one\n")]);
        let repository = sandbox.open();
        assert_eq!(holder(sandbox.top(), "main").unwrap(), None);
        let lock = repository.take("r1").unwrap();
        let below = Repository::open(&sandbox.top().join("src"), "main", true).unwrap();
        let refusal = below.take("r2").unwrap_err().to_string();
        let process = format!("process {}, run r1", std::process::id());
        assert!(refusal.contains(&process), "{refusal}");
        assert_eq!(holder(sandbox.top(), "main").unwrap(), Some(process));
        let other = Repository::open(sandbox.top(), "other", true).unwrap();
        other.take("r3").unwrap();
        drop(lock);
        assert_eq!(holder(sandbox.top(), "main").unwrap(), None);
        below.take("r2").unwrap();
    }

    #[test]
    fn those_who_look_turn_no_host_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (host, looker) = (file.reopen().unwrap(), file.reopen().unwrap());
        looker.lock_shared().unwrap();
        let mut pauses = 0;
        let taken = try_past_lookers(&host, || {
            pauses += 1;
            looker.unlock().unwrap();
        });
        assert!(taken.is_ok() && pauses == 1, "{taken:?} after {pauses} pauses");
        let held = try_past_lookers(&looker, || panic!("a host is not waited for"));
        assert!(matches!(held, Err(TryLockError::WouldBlock)), "{held:?}");
        host.unlock().unwrap();
        looker.lock_shared().unwrap();
        let held = try_past_lookers(&host, || ());
        assert!(matches!(held, Err(TryLockError::WouldBlock)), "the wait has an end");
    }

    #[test]
    fn what_a_dead_host_was_starting_is_waited_for() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        drop(repository.take("r1").unwrap());
        let path = lock_file(repository.common_directory(), "main");
        let mut copy = OpenOptions::new().write(true).open(&path).unwrap();
        // No process has so high a number:
        // <https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html>
        writeln!(copy, "process 4194305, run r0000").unwrap();
        copy.lock().unwrap();
        let mut pauses = 0;
        let becomes_another_program = || {
            pauses += 1;
            copy.unlock().unwrap();
        };
        let _lock = repository.take_with("r2", becomes_another_program).unwrap();
        assert_eq!(pauses, 1);
        let note = std::fs::read_to_string(path).unwrap();
        assert_eq!(note, format!("process {}, run r2\n", std::process::id()));
    }

    #[test]
    fn a_run_is_at_work_as_long_as_its_host_holds_a_branch() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let repository = sandbox.open();
        let at_work = |run: &str| is_at_work(repository.common_directory(), run).unwrap();
        assert!(!at_work("r1"));
        let lock = repository.take("r1").unwrap();
        assert!(at_work("r1") && !at_work("r") && !at_work("r2"));
        drop(lock);
        assert!(!at_work("r1"));
    }
}
