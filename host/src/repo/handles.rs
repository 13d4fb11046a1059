//! Handles of the repository that are used again: a fresh one opens the index of
//! every pack anew, and a run makes a pack for each group that lands. libgit2's
//! handle can't be shared by threads, so each is lent to one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// How many wait for the next who needs one; more are closed.
const MOST_WAITING: usize = 8;
/// After so many uses all of them are closed, and with them the packs that only
/// they held open: those may be gone since, or become too many.
const USES: u64 = 200;

/// The handles that nobody uses now.
#[derive(Default)]
pub(super) struct Handles(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// With the generation that each belongs to.
    handles: Vec<(u64, git2::Repository)>,
    /// How often one was lent.
    uses: u64,
}

impl Handles {
    /// Does some work with one of them, or with one that `open` opens. Where the
    /// work fails, the handle is closed, so that nothing of it stays in libgit2's
    /// memory.
    pub(super) fn lend<T, E: From<Error>>(
        &self,
        open: impl FnOnce() -> Result<git2::Repository>,
        work: impl FnOnce(&git2::Repository) -> Result<T, E>,
    ) -> Result<T, E> {
        let (generation, waiting) = self.take();
        let git = waiting.map_or_else(open, Ok)?;
        let done = work(&git)?;
        let mut waiting = self.waiting();
        if waiting.handles.len() < MOST_WAITING {
            waiting.handles.push((generation, git));
        }
        Ok(done)
    }

    fn take(&self) -> (u64, Option<git2::Repository>) {
        let mut waiting = self.waiting();
        waiting.uses += 1;
        let generation = waiting.uses / USES;
        waiting.handles.retain(|(own, _)| *own == generation);
        (generation, waiting.handles.pop().map(|(_, git)| git))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Whole at any time, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Handles").field("uses", &self.waiting().uses).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::testing::Sandbox;
    use super::*;

    #[test]
    fn a_handle_is_used_again_unless_its_work_failed_and_not_for_ever() {
        let sandbox = Sandbox::with(&[("a", "one\n")]);
        let (handles, opened) = (Handles::default(), Cell::new(0));
        let open = || {
            opened.set(opened.get() + 1);
            Ok(git2::Repository::open(sandbox.top()).unwrap())
        };
        let lend = |works: bool| {
            let result = if works { Ok(()) } else { Err(Error::failed("no")) };
            handles.lend(open, |_| result)
        };
        for _ in 0..3 {
            lend(true).unwrap();
        }
        assert_eq!(opened.get(), 1);
        lend(false).unwrap_err();
        lend(true).unwrap();
        assert_eq!(opened.get(), 2);
        // Two at a time are two, and both are used again.
        handles.lend(open, |_| lend(true)).unwrap();
        handles.lend(open, |_| lend(true)).unwrap();
        assert_eq!(opened.get(), 3);
        for _ in 0..USES {
            lend(true).unwrap();
        }
        assert_eq!(opened.get(), 4);
    }
}
