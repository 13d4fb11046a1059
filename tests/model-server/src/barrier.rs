//! Answers that wait for one another. Owns who waits where; how long anyone
//! may wait is told from outside, so that no wait is without an end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// All barriers that requests wait at, by name. Who waits holds a receiver:
/// one that gives up, or whose client goes away, drops it and so leaves the
/// count.
#[derive(Default)]
pub(crate) struct Barriers {
    closed: Mutex<HashMap<String, watch::Sender<bool>>>,
}

impl Barriers {
    /// Returns once `parties` wait at the barrier `name`; those who come later
    /// wait for one another anew. The error says how many came within
    /// `longest`.
    pub(crate) async fn meet(
        &self,
        name: &str,
        parties: usize,
        longest: Duration,
    ) -> Result<(), String> {
        let (barrier, mut opened) = self.arrive(name, parties);
        match tokio::time::timeout(longest, opened.wait_for(|open| *open)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "only {} of {parties} requests came to the barrier `{name}`",
                barrier.receiver_count()
            )),
        }
    }

    fn arrive(&self, name: &str, parties: usize) -> (watch::Sender<bool>, watch::Receiver<bool>) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let barrier =
            closed.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(false)).clone();
        let opened = barrier.subscribe();
        if barrier.receiver_count() >= parties {
            closed.remove(name);
            barrier.send_replace(true);
        }
        (barrier, opened)
    }
}
