//! Waiting for locks that git holds for a moment: on a reference while somebody
//! packs or moves it, on an index while somebody's editor asks for the status.
//! Never for long: who holds one may have died.

use std::path::Path;
use std::thread;
use std::time::Duration;

use git2::ErrorCode;

/// So often is it tried again, so far apart.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Takes a step once more while somebody holds a lock that it needs. To remove a
/// reference needs a fresh handle each time: libgit2 forgets a packed one before it
/// finds the lock, and would say the next time that all is well.
pub(super) fn unless_locked<T>(
    mut step: impl FnMut() -> Result<T, git2::Error>,
) -> Result<T, git2::Error> {
    let mut tries = 1;
    loop {
        match step() {
            Err(error) if error.code() == ErrorCode::Locked && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
        thread::sleep(BETWEEN_TRIES);
    }
}

/// Waits until the lock is gone; false where somebody holds it all the time.
pub(super) fn is_free(lock: &Path) -> bool {
    let mut tries = 1;
    while lock.exists() {
        if tries == TRIES {
            return false;
        }
        tries += 1;
        thread::sleep(BETWEEN_TRIES);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use git2::Oid;

    use super::super::references::move_reference;
    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn a_step_is_taken_once_the_lock_is_gone_and_not_tried_for_ever() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let git = git2::Repository::open(sandbox.top()).unwrap();
        let head = Oid::from_str(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        let lock = sandbox.top().join(".git/refs/heads/other.lock");
        let tries = Cell::new(0);
        let step = |until: u32| {
            tries.set(tries.get() + 1);
            if tries.get() == until {
                fs::remove_file(&lock).unwrap();
            }
            git.reference("refs/heads/other", head, true, "x").map(drop)
        };
        fs::write(&lock, "").unwrap();
        unless_locked(|| step(3)).unwrap();
        assert_eq!(tries.replace(0), 3);
        fs::write(&lock, "").unwrap();
        assert_eq!(unless_locked(|| step(TRIES + 1)).unwrap_err().code(), ErrorCode::Locked);
        assert!(!is_free(&lock));
    }

    #[test]
    fn a_reference_that_is_locked_for_a_moment_moves() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let git = git2::Repository::open(sandbox.top()).unwrap();
        let head = Oid::from_str(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        let next = sandbox.commit_beside("refs/heads/other", &[("a", "two\n")]);
        let lock = sandbox.top().join(".git/refs/heads/main.lock");
        fs::write(&lock, "").unwrap();
        let holder = thread::spawn(move || {
            thread::sleep(BETWEEN_TRIES);
            fs::remove_file(lock).unwrap();
        });
        let next = Oid::from_str(&next).unwrap();
        assert!(move_reference(&git, "refs/heads/main", head, next, "x").unwrap());
        holder.join().unwrap();
    }
}
