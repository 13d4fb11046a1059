//! How many requests a server gets at once: one limit for each address, which
//! all conversations share. It grows while the server takes everything and
//! shrinks when it refuses (additive increase, multiplicative decrease, as in
//! RFC 5681). Knows nothing of what is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::retry::BackOff;

/// What a server gets before anything is known of it. A burst above what it
/// takes costs one refusal each; the limit is right after it.
const FIRST_LIMIT: f64 = 64.0;
/// The limit never grows beyond this.
const LARGEST_LIMIT: f64 = 4096.0;
/// What is left of the limit when the server refuses.
const DECREASE: f64 = 0.75;
/// Near the limit that was refused last, it grows so much slower: a probe that
/// fails costs a request.
const PROBING: f64 = 8.0;

/// The limits of all servers that a program talks to. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Paces(Arc<Mutex<HashMap<String, Arc<Pace>>>>);

impl Paces {
    /// The limit of the server at this address. The smallest of the hard caps
    /// that are named for an address holds.
    pub(super) fn of(&self, address: &str, cap: Option<u32>) -> Arc<Pace> {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(address.to_owned()).or_default();
        if let Some(cap) = cap {
            let mut state = pace.state();
            state.cap = state.cap.min(f64::from(cap.max(1)));
        }
        pace.clone()
    }
}

/// One server's limit.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    limit: f64,
    cap: f64,
    /// Below this, each success adds a whole place: after a burst the limit is
    /// back soon.
    fast_below: f64,
    /// Above this, places are added slowly.
    slow_above: f64,
    in_flight: usize,
    /// First come, first served; who was refused comes first.
    waiting: VecDeque<oneshot::Sender<Place>>,
    /// Counts the decreases: refusals of requests that were let go before the
    /// last one say nothing new.
    decreases: u64,
    successes: u64,
    /// Refusals since the last success while nothing else was in flight.
    refused_alone: u32,
    paused_until: Option<Instant>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            limit: FIRST_LIMIT,
            cap: LARGEST_LIMIT,
            fast_below: f64::INFINITY,
            slow_above: f64::INFINITY,
            in_flight: 0,
            waiting: VecDeque::new(),
            decreases: 0,
            successes: 0,
            refused_alone: 0,
            paused_until: None,
        }
    }
}

/// The right to have one request in flight; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    pace: Arc<Pace>,
    decreases: u64,
    successes: u64,
}

impl Pace {
    /// Waits for a place. `again`: the server refused the request before, so
    /// that it has its turn before those that were not let go yet.
    pub(super) async fn place(self: &Arc<Self>, again: bool) -> Place {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            if again {
                state.waiting.push_front(sender);
            } else {
                state.waiting.push_back(sender);
            }
        }
        self.admit();
        let place = match receiver.await {
            Ok(place) => place,
            // The queue is never dropped while it is waited in; were it, a
            // place too many would be better than none.
            Err(_) => self.state().taken(self),
        };
        while let Some(pause) = self.pause() {
            tokio::time::sleep_until(pause).await;
        }
        place
    }

    /// How many requests the server gets at once now.
    #[cfg(test)]
    pub(super) fn limit(&self) -> usize {
        self.state().places()
    }

    fn pause(&self) -> Option<Instant> {
        self.state().paused_until.filter(|until| *until > Instant::now())
    }

    /// Gives free places to those who wait, outside of the lock: a place that
    /// nobody takes any more is given back, which locks again.
    fn admit(self: &Arc<Self>) {
        loop {
            let (sender, place) = {
                let mut state = self.state();
                if state.in_flight >= state.places() {
                    return;
                }
                let Some(sender) = state.waiting.pop_front() else { return };
                if sender.is_closed() {
                    continue;
                }
                (sender, state.taken(self))
            };
            drop(sender.send(place));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn places(&self) -> usize {
        // Not negative and not large: see the bounds above.
        self.limit.min(self.cap).max(1.0) as usize
    }

    fn taken(&mut self, pace: &Arc<Pace>) -> Place {
        self.in_flight += 1;
        let (decreases, successes) = (self.decreases, self.successes);
        Place { pace: pace.clone(), decreases, successes }
    }

    fn grow(&mut self) {
        // A limit that is not used proves nothing about larger ones.
        if self.in_flight < self.places().div_ceil(2) {
            return;
        }
        self.limit += if self.limit < self.fast_below {
            1.0
        } else if self.limit < self.slow_above {
            1.0 / self.limit
        } else {
            1.0 / (PROBING * self.limit)
        };
        if self.limit > self.slow_above + 2.0 {
            // The server takes more than it did.
            self.slow_above = f64::INFINITY;
        }
        self.limit = self.limit.min(LARGEST_LIMIT).min(self.cap + 1.0);
    }

    fn shrink(&mut self, refused: &Place) {
        if refused.decreases == self.decreases {
            self.decreases += 1;
            self.slow_above = self.limit.floor() - 1.0;
            self.limit *= DECREASE;
            self.fast_below = self.limit;
        }
        // What else is in flight is the most that the server can have taken:
        // after a burst of refusals this is what it takes.
        let others = self.in_flight.saturating_sub(1);
        self.limit = self.limit.min(others as f64).max(1.0);
    }
}

impl Place {
    /// The server has answered.
    pub(super) fn succeeded(self) {
        let mut state = self.pace.state();
        state.successes += 1;
        state.refused_alone = 0;
        state.grow();
    }

    /// The server has refused the request because of its load. Returns whether
    /// it answers others, so that this one only has to wait for its turn;
    /// where it takes nothing at all, it is left alone for a while.
    pub(super) fn refused(self, back_off: &BackOff, wish: Option<Duration>) -> bool {
        let mut state = self.pace.state();
        state.shrink(&self);
        let alone = state.in_flight <= 1;
        if alone {
            state.refused_alone = state.refused_alone.saturating_add(1);
            let until = Instant::now() + back_off.wait(state.refused_alone, wish);
            state.paused_until = Some(state.paused_until.map_or(until, |other| other.max(until)));
        }
        !alone || state.successes > self.successes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.pace.state();
            state.in_flight = state.in_flight.saturating_sub(1);
        }
        self.pace.admit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK_OFF: BackOff = BackOff { retries: 0, first: Duration::from_secs(1), random: || 1.0 };

    async fn take(pace: &Arc<Pace>, count: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.push(pace.place(false).await);
        }
        places
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_refusals_counts_once_and_shows_what_the_server_takes() {
        let pace = Arc::new(Pace::default());
        let mut places = take(&pace, 64).await;
        let taken: Vec<_> = places.drain(..8).collect();
        for place in places {
            assert!(place.refused(&BACK_OFF, None));
        }
        assert_eq!(pace.limit(), 8);
        let mut taken = taken.into_iter();
        taken.next().unwrap().succeeded();
        drop(taken);
        assert_eq!(pace.limit(), 9);
        let mut places = take(&pace, 9).await;
        assert!(places.remove(0).refused(&BACK_OFF, None));
        assert_eq!(pace.limit(), 6, "three quarters of nine");
        assert!(places.remove(0).refused(&BACK_OFF, None), "the same burst");
        assert_eq!(pace.limit(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn it_grows_to_what_was_refused_and_beyond_it_slowly() {
        let pace = Arc::new(Pace::default());
        let mut places = take(&pace, 64).await;
        for place in places.drain(16..) {
            place.refused(&BACK_OFF, None);
        }
        drop(places);
        let mut rounds = 0;
        while pace.limit() < 63 {
            rounds += 1;
            let count = pace.limit();
            take(&pace, count).await.into_iter().for_each(Place::succeeded);
        }
        assert!((16..60).contains(&rounds), "fast up to 48, then one a round: {rounds}");
        let count = pace.limit();
        take(&pace, count).await.into_iter().for_each(Place::succeeded);
        assert_eq!(pace.limit(), 63);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_order_and_who_was_refused_first() {
        let paces = Paces::default();
        let pace = paces.of("a", Some(1));
        let held = paces.of("a", Some(5)).place(false).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let talks: Vec<_> = [("one", false), ("two", false), ("again", true)]
            .map(|(name, again)| {
                let (pace, order) = (pace.clone(), order.clone());
                tokio::spawn(async move {
                    let place = pace.place(again).await;
                    order.lock().unwrap().push(name);
                    drop(place);
                })
            })
            .into();
        // All three wait now, on a single thread; one gives up.
        tokio::task::yield_now().await;
        talks[0].abort();
        drop(held);
        for talk in talks {
            drop(talk.await);
        }
        assert_eq!(*order.lock().unwrap(), ["again", "two"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_is_left_alone() {
        let pace = Arc::new(Pace::default());
        let started = Instant::now();
        for (wish, seconds) in [(None, 1), (None, 3), (Some(Duration::from_secs(20)), 24)] {
            let place = pace.place(true).await;
            assert!(!place.refused(&BACK_OFF, wish));
            drop(pace.place(false).await);
            assert_eq!(started.elapsed(), Duration::from_secs(seconds));
        }
        pace.place(false).await.succeeded();
        assert!(!pace.place(false).await.refused(&BACK_OFF, None));
        drop(pace.place(false).await);
        assert_eq!(started.elapsed(), Duration::from_secs(25), "the count began anew");
    }
}
