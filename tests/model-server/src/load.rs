//! How many requests are answered at once: the limit, and what came of it.
//! Knows nothing of what is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More refusals are counted, but their times are no longer kept.
const MOST_TIMES: usize = 100_000;

/// What a server has had to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// All requests for replies, refused ones included.
    pub requests: u64,
    /// When requests were refused, since the server's start; at most 100,000.
    pub refusals: Vec<Duration>,
    /// When requests were let in, since the server's start; at most 100,000.
    pub admissions: Vec<Duration>,
    /// How many were in flight at once at most.
    pub most_in_flight: usize,
}

/// Lets requests in, up to a limit.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    started: Instant,
    limit: Option<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    load: Load,
}

/// One request in flight, until this is dropped.
pub(crate) struct InFlight(Gate);

impl Gate {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { started: Instant::now(), limit, state }))
    }

    pub(crate) fn load(&self) -> Load {
        self.state().load.clone()
    }

    /// Lets one more in; none where the limit is reached.
    pub(crate) fn enter(&self) -> Option<InFlight> {
        let now = self.0.started.elapsed();
        let mut state = self.state();
        state.load.requests += 1;
        if self.0.limit.is_some_and(|limit| state.in_flight >= limit) {
            keep(&mut state.load.refusals, now);
            return None;
        }
        keep(&mut state.load.admissions, now);
        state.in_flight += 1;
        state.load.most_in_flight = state.load.most_in_flight.max(state.in_flight);
        Some(InFlight(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

fn keep(times: &mut Vec<Duration>, time: Duration) {
    if times.len() < MOST_TIMES {
        times.push(time);
    }
}
