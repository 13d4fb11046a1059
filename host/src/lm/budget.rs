//! The ledger of what a run may spend on models. Each request reserves the
//! most that it can take before it is sent, and settles what it took; so what
//! is spent and what is in flight together never pass a limit, however many
//! agents ask at once. Sends nothing and knows no prices: amounts come in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::prices::Cost;
use crate::types::CallError;

/// Output tokens that a request may take under a limit if nobody has set
/// another: a reply with one large file fits.
pub const DEFAULT_OUTPUT_TOKENS: u32 = 16_384;
/// If nothing was settled for so long, whoever waits for it gives up: a
/// request ends within ten minutes, and few are tried more than three times.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(30 * 60);

/// Who pays for a request that is sent more than once.
pub trait Payer: Send {
    /// A try has broken off that the server may have read and charged; another
    /// one follows, unless this is an error.
    fn broke_off(&mut self) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Nobody counts what is spent.
#[derive(Clone, Copy, Debug)]
pub struct Uncounted;

impl Payer for Uncounted {
    async fn broke_off(&mut self) -> Result<(), CallError> {
        Ok(())
    }
}

/// What requests take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Input and output tokens together, cached ones included.
    pub tokens: u64,
    /// What they cost; zero where the price is not known.
    pub cost: Cost,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), cost: self.cost.plus(other.cost) }
    }

    fn minus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(other.tokens), cost: self.cost.minus(other.cost) }
    }
}

/// How much may be spent; none: as much as is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Tokens, input and output together.
    pub tokens: Option<u64>,
    /// Money.
    pub cost: Option<Cost>,
}

impl Limits {
    fn allow(&self, amount: Amount) -> bool {
        self.tokens.is_none_or(|most| amount.tokens <= most)
            && self.cost.is_none_or(|most| amount.cost <= most)
    }
}

/// What a run has spent, what its requests in flight can take at most, and
/// what it may spend. One for all agents of a run.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    sums: Mutex<Sums>,
    /// Whoever waits for room does so in the order of coming, so that small
    /// requests never starve a large one.
    turn: tokio::sync::Mutex<()>,
    changed: Notify,
    used_up: watch::Sender<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    spent: Amount,
    reserved: Amount,
    /// The part of `spent` that no answer came for.
    unanswered: Amount,
}

enum Room {
    Reserved,
    /// There will be, once others settle for less than they have reserved.
    Later,
    Never(String),
}

impl Ledger {
    /// A ledger of a run that has `spent` so much already.
    pub fn new(limits: Limits, spent: Amount) -> Arc<Self> {
        Arc::new(Self {
            limits,
            sums: Mutex::new(Sums { spent, ..Sums::default() }),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            used_up: watch::Sender::new(None),
        })
    }

    /// Whether there is a limit at all: then each request needs a bound on its
    /// output.
    pub fn is_limited(&self) -> bool {
        self.limits != Limits::default()
    }

    /// Reserves what a request takes at most; waits while there is no room
    /// that others in flight may still leave. `Exhausted` where there will
    /// never be room, which ends the run; `Unavailable` where nothing has
    /// moved for half an hour.
    pub async fn reserve(
        self: &Arc<Self>,
        input: Amount,
        output: Amount,
    ) -> Result<Reservation, CallError> {
        let worst = input.plus(output);
        let _turn = self.turn.lock().await;
        loop {
            // Listening starts before looking, so that no change is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.room(worst) {
                Room::Reserved => {
                    let ledger = self.clone();
                    return Ok(Reservation { ledger, input, worst, end: End::Free });
                }
                Room::Never(sentence) => {
                    self.end(sentence.clone());
                    return Err(CallError::Exhausted(sentence));
                }
                Room::Later => {}
            }
            if tokio::time::timeout(LONGEST_STANDSTILL, changed).await.is_err() {
                return Err(CallError::Unavailable(
                    "the rest of the budget has been held by requests in flight for half an hour"
                        .to_owned(),
                ));
            }
        }
    }

    /// Ends the spending: from now on every request is refused with this
    /// sentence. The first one counts.
    pub fn end(&self, sentence: String) {
        self.used_up.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(sentence);
            }
            first
        });
        self.changed.notify_waiters();
    }

    /// Why nothing is spent any more, once that is so.
    pub fn used_up(&self) -> Option<String> {
        self.used_up.borrow().clone()
    }

    /// Returns once nothing is spent any more, with the reason.
    pub async fn when_used_up(&self) -> String {
        let mut ended = self.used_up.subscribe();
        match ended.wait_for(Option::is_some).await.map(|sentence| sentence.clone()) {
            Ok(Some(sentence)) => sentence,
            // The sender lives as long as this ledger, which is borrowed here.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// What was spent, requests without an answer included.
    pub fn spent(&self) -> Amount {
        self.sums().spent
    }

    /// What requests were worth that were sent and then dropped before their
    /// answer came: an estimate of their input.
    pub fn unanswered(&self) -> Amount {
        self.sums().unanswered
    }

    fn room(&self, worst: Amount) -> Room {
        if let Some(sentence) = self.used_up() {
            return Room::Never(sentence);
        }
        let mut sums = self.sums();
        if !self.limits.allow(sums.spent.plus(worst)) {
            return Room::Never(self.sentence(sums.spent, worst));
        }
        if !self.limits.allow(sums.spent.plus(sums.reserved).plus(worst)) {
            return Room::Later;
        }
        sums.reserved = sums.reserved.plus(worst);
        Room::Reserved
    }

    fn sentence(&self, spent: Amount, worst: Amount) -> String {
        let nothing_spent = spent == Amount::default();
        match (self.limits.tokens, self.limits.cost) {
            (Some(most), _) if nothing_spent && worst.tokens > most => format!(
                "the budget of {most} tokens does not suffice for one request, which may take {}; give \
                 more with --max-tokens",
                worst.tokens
            ),
            (Some(most), _) if spent.tokens.saturating_add(worst.tokens) > most => format!(
                "the budget of {most} tokens is used up: {} are spent, and the next request may \
                 take {}; resume the run with a higher --max-tokens",
                spent.tokens, worst.tokens
            ),
            (_, most) => format!(
                "the budget of {} is used up: {} is spent, and the next request may cost {}; \
                 resume the run with a higher --max-cost",
                most.unwrap_or_default(),
                spent.cost,
                worst.cost
            ),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        // A panic elsewhere leaves the sums themselves whole.
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one request. Dropped after the request was sent, its input counts
/// as spent, for the server has read it; dropped before, nothing does.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    input: Amount,
    worst: Amount,
    end: End,
}

/// What becomes of a reservation if it is dropped now.
#[derive(Clone, Copy, Debug)]
enum End {
    Free,
    Unanswered,
    Settled(Amount),
}

impl Reservation {
    /// Notes that the request is on its way.
    pub fn sent(&mut self) {
        self.end = End::Unanswered;
    }

    /// Ends it with what the request took.
    pub fn settle(mut self, actual: Amount) {
        self.end = End::Settled(actual);
    }

    /// Ends it where the server has refused the request, which nobody charges.
    pub fn refused(mut self) {
        self.end = End::Free;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut sums = self.ledger.sums();
        sums.reserved = sums.reserved.minus(self.worst);
        match self.end {
            End::Free => {}
            End::Unanswered => {
                sums.spent = sums.spent.plus(self.input);
                sums.unanswered = sums.unanswered.plus(self.input);
            }
            End::Settled(actual) => sums.spent = sums.spent.plus(actual),
        }
        drop(sums);
        self.ledger.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, cost: Cost::ZERO }
    }

    fn limited(limit: u64, spent: u64) -> Arc<Ledger> {
        Ledger::new(Limits { tokens: Some(limit), cost: None }, tokens(spent))
    }

    /// A sequence that looks random and is the same every time.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *state >> 33
    }

    /// Checked inside the lock of the ledger: no other moment exists.
    fn never_passed(ledger: &Ledger) {
        let sums = *ledger.sums();
        assert!(ledger.limits.allow(sums.spent.plus(sums.reserved)), "{sums:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn spent_and_reserved_never_pass_the_limit() {
        let limits = Limits { tokens: Some(200_000), cost: Cost::from_dollars(1.5) };
        let ledger = Ledger::new(limits, tokens(5));
        let mut agents = tokio::task::JoinSet::new();
        for seed in 0..32_u64 {
            let ledger = ledger.clone();
            agents.spawn(async move {
                let (mut state, mut spent) = (seed, 0);
                loop {
                    let amount = |tokens: u64| Amount {
                        tokens,
                        cost: Cost::from_dollars(tokens as f64 * 1e-5).unwrap(),
                    };
                    let (input, output) = (next(&mut state) % 500, next(&mut state) % 500);
                    let reserved = ledger.reserve(amount(input), amount(output)).await;
                    never_passed(&ledger);
                    let Ok(mut reservation) = reserved else { return spent };
                    tokio::task::yield_now().await;
                    let actual = next(&mut state) % (input + output + 1);
                    match next(&mut state) % 4 {
                        0 => drop(reservation),
                        1 => {
                            reservation.sent();
                            drop(reservation);
                            spent += input;
                        }
                        _ => {
                            reservation.settle(amount(actual));
                            spent += actual;
                        }
                    }
                    never_passed(&ledger);
                }
            });
        }
        let counted: u64 = agents.join_all().await.into_iter().sum();
        assert_eq!(ledger.spent().tokens, counted + 5);
        assert_eq!(ledger.sums().reserved, Amount::default(), "nothing stays reserved");
        assert!(counted > 100_000, "most of the budget was used: {counted}");
        assert!(ledger.used_up().unwrap().contains("--max-cost"), "{:?}", ledger.used_up());
    }

    #[tokio::test]
    async fn a_request_that_fits_later_waits_and_one_that_never_does_ends_it() {
        let ledger = limited(100, 10);
        let large = ledger.reserve(tokens(40), tokens(40)).await.unwrap();
        let waits = ledger.reserve(tokens(30), tokens(20));
        tokio::pin!(waits);
        let second = ledger.reserve(tokens(1), tokens(0));
        tokio::pin!(second);
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is no room yet"),
            _ = &mut second => panic!("it overtook the one before it"),
            () = std::future::ready(()) => {}
        }
        large.settle(tokens(20));
        let mut reservation = waits.await.unwrap();
        second.await.unwrap().refused();
        reservation.sent();
        drop(reservation);
        assert_eq!((ledger.spent(), ledger.unanswered()), (tokens(60), tokens(30)));
        match ledger.reserve(tokens(41), tokens(0)).await {
            Err(CallError::Exhausted(sentence)) => assert!(sentence.contains("60 are spent")),
            other => panic!("{other:?}"),
        }
        assert!(ledger.reserve(tokens(0), tokens(0)).await.is_err(), "it is over for all");
        assert_eq!(ledger.when_used_up().await, ledger.used_up().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let ledger = limited(100, 0);
        let _held = ledger.reserve(tokens(100), tokens(0)).await.unwrap();
        let refused = ledger.reserve(tokens(1), tokens(0)).await;
        assert!(matches!(refused, Err(CallError::Unavailable(_))), "{refused:?}");
        assert_eq!(ledger.used_up(), None);
    }
}
