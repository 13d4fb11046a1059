//! How much blocking work in checkouts goes on at once in this process, whatever
//! agents ask for: each piece takes a thread and may take much memory. Owns the
//! places; what is done there is the agents'.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Also on a large machine: a search has up to four threads, each of which may hold
/// a line and an automaton of 10 MiB and more.
const MOST: usize = 16;

static PLACES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(most_at_work())));

/// How many pieces of work go on at once.
pub fn most_at_work() -> usize {
    // Some of them wait for the disk.
    (2 * std::thread::available_parallelism().map_or(1, usize::from)).min(MOST)
}

/// Waits for a place. It belongs to the work, not to who asked for it: work that
/// has begun goes on when nobody waits for it any more.
pub(super) async fn place() -> Option<OwnedSemaphorePermit> {
    // None only from a semaphore that is closed, and this one never is.
    PLACES.clone().acquire_owned().await.ok()
}
