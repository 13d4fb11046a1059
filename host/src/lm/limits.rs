//! How long a server may take, and the clock of one exchange. Each limit has a
//! name, and the sentence says which one it was.

use std::future::Future;
use std::time::Duration;

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
            (Instant::now() + gap, format!("it stopped in its answer for {gap:?} (limit `gap`)"))
        } else {
            let what = format!("nothing came within {first_token:?} (limit `first-token`)");
            (self.started + first_token, what)
        };
        let end = self.started + total;
        let what = if end < deadline {
            format!("its answer was not complete after {total:?} (limit `total`)")
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
        assert!(failure.what.contains("600s (limit `first-token`)"), "{}", failure.what);
        timer.begin();
        let failure = timer.within(silence()).await.unwrap_err();
        assert!(failure.what.contains("60s (limit `gap`)"), "{}", failure.what);
        tokio::time::advance(Duration::from_secs(3600 - 690)).await;
        let failure = timer.within(silence()).await.unwrap_err();
        assert!(failure.what.contains("3600s (limit `total`)"), "{}", failure.what);
        assert_eq!(timer.started.elapsed(), Duration::from_secs(3600));
    }
}
