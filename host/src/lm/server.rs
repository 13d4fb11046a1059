//! One server that can be asked: when to send a request, and whether to send
//! it again. How bytes travel is the exchange's business, what they mean the
//! wire's.

use std::sync::Arc;

use tokio::time::Instant;

use super::answer::Answer;
use super::budget::Payer;
use super::exchange::Exchange;
use super::openai::{Listed, read_models};
use super::pace::Pace;
use super::request::Request;
use super::retry::{BackOff, Failure, Remedy};
use super::wire::Wire;
use crate::types::CallError;

/// A model server that can be asked.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) exchange: Exchange,
    pub(super) wire: Wire,
    pub(super) pace: Arc<Pace>,
    pub(super) back_off: BackOff,
}

impl Server {
    /// Sends a request until it is answered or trying again is of no use. The
    /// failure says how often it was tried. Each try that the server may charge
    /// is paid for.
    pub(super) async fn complete(
        &self,
        request: &Request,
        payer: &mut impl Payer,
    ) -> Result<Answer, Failure> {
        let mut first_sent = None;
        let (mut tried, mut refused) = (0_u32, 0_u32);
        loop {
            let place = self.pace.place(refused > 0).await;
            let sent = *first_sent.get_or_insert_with(Instant::now);
            // Boxed, for it is large, and whoever waits for a place has room for
            // it neither on the heap nor on a component's stack.
            let exchange = Box::pin(self.exchange.complete(self.wire, request.clone()));
            let failure = match exchange.await {
                Ok(answer) => {
                    place.succeeded();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            match failure.remedy {
                Remedy::Retry => {
                    drop(place);
                    tried += 1;
                    let is_free = failure.is_free;
                    self.wait(tried, failure).await?;
                    if !is_free {
                        payer.broke_off().await.map_err(unpaid)?;
                    }
                }
                Remedy::Queue => {
                    refused = refused.saturating_add(1);
                    let wish = failure.retry_after;
                    // A refusal is no failed try as long as others are served.
                    if !place.refused(&self.back_off, wish) {
                        tried += 1;
                    }
                    let long = sent.elapsed() > self.exchange.limits.total;
                    if long || tried > self.back_off.retries {
                        return Err(given_up(tried.max(refused), failure));
                    }
                    if wish.is_some() {
                        tokio::time::sleep(self.back_off.wait(1, wish)).await;
                    }
                }
                _ => return Err(failure),
            }
        }
    }

    /// Asks for the models that the server lists, trying again.
    pub(super) async fn models(&self) -> Result<Vec<Listed>, Failure> {
        let mut tried = 0_u32;
        loop {
            let failure = match self.list_models().await {
                Err(failure) if matches!(failure.remedy, Remedy::Retry | Remedy::Queue) => failure,
                outcome => return outcome,
            };
            tried += 1;
            self.wait(tried, failure).await?;
        }
    }

    /// Asks for the models once.
    pub(super) async fn list_models(&self) -> Result<Vec<Listed>, Failure> {
        self.exchange.get("models").await.and_then(|body| read_models(&body))
    }

    /// Waits before the next try, or fails where there is none.
    async fn wait(&self, tried: u32, failure: Failure) -> Result<(), Failure> {
        if tried > self.back_off.retries {
            return Err(given_up(tried, failure));
        }
        let wait = self.back_off.wait(tried, failure.retry_after);
        tracing::warn!(
            server = self.exchange.base(),
            tried,
            wait_ms = wait.as_millis(),
            "{}; trying again",
            failure.what
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

fn unpaid(error: CallError) -> Failure {
    Failure::new(Remedy::GiveUp, format!("its answer broke off, and no try is left: {error}"))
}

fn given_up(tried: u32, failure: Failure) -> Failure {
    let often = if tried == 1 { "once" } else { &format!("{tried} times") };
    let what = format!("it was asked {often}; the last time {}", failure.what);
    Failure { what, ..failure }
}
