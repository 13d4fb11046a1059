//! How long a server may take, and the clock of one exchange. The sentence
//! about a limit that ran out names the flag that sets it.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::Provider;
use super::retry::{Failure, Remedy};

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// For the connection; it is down otherwise. 30 seconds by default.
    pub connect: Duration,
    /// Until the model says its first word: reasoning takes long, and so does
    /// the queue of a server on one's own machine. 10 minutes by default.
    pub first_token: Duration,
    /// Between two pieces of an answer. By default 60 seconds, and 5 minutes
    /// for vLLM and Ollama: while a call is being written they may send
    /// nothing, for their parsers give it out whole (vLLM's issue 43267).
    pub gap: Duration,
    /// For the whole of an exchange, and for how long a request may be refused
    /// again and again. One hour by default.
    pub total: Duration,
}

impl TimeLimits {
    /// The usual limits for a provider's servers.
    pub fn of(provider: Provider) -> Self {
        let gap = match provider {
            Provider::OpenAi | Provider::Anthropic => 60,
            Provider::Vllm | Provider::Ollama => 300,
        };
        Self {
            connect: Duration::from_secs(30),
            first_token: Duration::from_secs(600),
            gap: Duration::from_secs(gap),
            total: Duration::from_secs(3600),
        }
    }
}

/// Limits that differ from the usual ones, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Option<u32>,
    /// Until the model says its first word.
    pub first_token: Option<u32>,
    /// Between two pieces of an answer.
    pub gap: Option<u32>,
    /// For the whole of an exchange.
    pub total: Option<u32>,
}

impl Timeouts {
    /// These limits, and those of `wider` where none is given.
    pub fn or(self, wider: Self) -> Self {
        Self {
            connect: self.connect.or(wider.connect),
            first_token: self.first_token.or(wider.first_token),
            gap: self.gap.or(wider.gap),
            total: self.total.or(wider.total),
        }
    }

    /// Whether one of them leaves no time at all.
    pub fn has_zero(self) -> bool {
        [self.connect, self.first_token, self.gap, self.total].contains(&Some(0))
    }

    /// These limits, and the usual ones of the provider where none is given.
    pub fn or_usual(self, provider: Provider) -> TimeLimits {
        let usual = TimeLimits::of(provider);
        let seconds = |given: Option<u32>, usual: Duration| {
            given.map_or(usual, |seconds| Duration::from_secs(seconds.into()))
        };
        TimeLimits {
            connect: seconds(self.connect, usual.connect),
            first_token: seconds(self.first_token, usual.first_token),
            gap: seconds(self.gap, usual.gap),
            total: seconds(self.total, usual.total),
        }
    }
}

/// The clock of one exchange.
pub(super) struct Timer {
    limits: TimeLimits,
    started: Instant,
    begun: bool,
}

impl Timer {
    pub(super) fn start(limits: TimeLimits) -> Self {
        Self { limits, started: Instant::now(), begun: false }
    }

    /// The answer has begun: from now on the gaps count.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// Waits for the server's next move for as long as it may take.
    pub(super) async fn within<T>(&self, next: impl Future<Output = T>) -> Result<T, Failure> {
        let (first_token, gap, total) =
            (self.limits.first_token, self.limits.gap, self.limits.total);
        let (deadline, what) = if self.begun {
            (Instant::now() + gap, format!("it stopped in its answer for {gap:?} (--gap-timeout)"))
        } else {
            let what = format!("nothing came within {first_token:?} (--first-token-timeout)");
            (self.started + first_token, what)
        };
        let end = self.started + total;
        let what = if end < deadline {
            format!("its answer was not complete after {total:?} (--request-timeout)")
        } else {
            what
        };
        timeout_at(deadline.min(end), next).await.map_err(|_| Failure::new(Remedy::Retry, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_limit_that_ran_out_is_named() {
        let mut timer = Timer::start(TimeLimits::of(Provider::OpenAi));
        let silence = std::future::pending::<()>;
        let failure = timer.within(silence()).await.unwrap_err();
        assert!(failure.what.contains("600s (--first-token-timeout)"), "{}", failure.what);
        timer.begin();
        let failure = timer.within(silence()).await.unwrap_err();
        assert!(failure.what.contains("60s (--gap-timeout)"), "{}", failure.what);
        tokio::time::advance(Duration::from_secs(3600 - 690)).await;
        let failure = timer.within(silence()).await.unwrap_err();
        assert!(failure.what.contains("3600s (--request-timeout)"), "{}", failure.what);
        assert_eq!(timer.started.elapsed(), Duration::from_secs(3600));
    }
}
