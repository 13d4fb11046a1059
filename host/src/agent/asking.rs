//! An agent asks its model: reserves what the request takes at most, settles
//! what it took and writes that down, request by request, so that a run that
//! goes on after a crash knows what it has spent.

use std::pin::Pin;
use std::sync::Arc;

use super::{Agent, RoleModel};
use crate::lm::budget::{Amount, DEFAULT_OUTPUT_TOKENS, Ledger, Payer, Reservation};
use crate::lm::prices::Cost;
use crate::lm::{Conversation, Reply};
use crate::queue::{RunStore, Spending};
use crate::types::{CallError, ToolSpec, Usage};
use crate::{Error, Setback};

/// A conversation's share of a known context that its answer may fill.
const ANSWER_SHARE: u64 = 4;

/// A model that is asked.
type Asking<'a> = Pin<Box<dyn Future<Output = Result<Reply, CallError>> + Send + 'a>>;

/// Who pays for an agent's requests.
pub struct Account {
    /// The run's ledger.
    pub ledger: Arc<Ledger>,
    /// Where it is written down.
    pub store: RunStore,
    /// The cycle's number.
    pub cycle: u32,
    /// The planner or task that the agent is about; none for the judge.
    pub subject: Option<String>,
}

impl Agent {
    /// Opens a conversation. Its answers are no longer than the component and
    /// the user allow; where spending is limited, there always is a bound.
    pub fn open(
        &self,
        system: String,
        tools: Vec<ToolSpec>,
        max_output_tokens: Option<u32>,
    ) -> Result<Conversation, CallError> {
        let RoleModel { model, max_output_tokens: allowed, .. } = &self.model;
        let bound = match (max_output_tokens, *allowed) {
            (Some(wanted), Some(allowed)) => Some(wanted.min(allowed)),
            (wanted, allowed) => wanted.or(allowed),
        };
        let bound = bound.or_else(|| self.account.ledger.is_limited().then(|| self.usual_bound()));
        model.open_in(self.transcript.open(), &system, &tools, bound)
    }

    /// A small model's server refuses a bound that its context has no room for.
    fn usual_bound(&self) -> u32 {
        let window = self.model.model.context_window().map(|tokens| (tokens / ANSWER_SHARE).max(1));
        let window = window.and_then(|tokens| u32::try_from(tokens).ok());
        window.map_or(DEFAULT_OUTPUT_TOKENS, |tokens| tokens.min(DEFAULT_OUTPUT_TOKENS))
    }

    /// Asks the model for its reply, if the budget allows it. The future comes on
    /// the heap: whoever waits for it does so on a component's stack, keeps what
    /// that has touched, and would have several copies there.
    #[inline(never)]
    pub fn ask<'a>(&'a self, conversation: &'a mut Conversation) -> Asking<'a> {
        Box::pin(self.ask_within_budget(conversation))
    }

    async fn ask_within_budget(&self, conversation: &mut Conversation) -> Result<Reply, CallError> {
        self.check_transcript()?;
        let input_tokens = conversation.most_input_tokens();
        let bound = conversation.max_output_tokens();
        let output_tokens = u64::from(bound.unwrap_or(DEFAULT_OUTPUT_TOKENS));
        let input = Usage { input_tokens, ..Usage::default() };
        let output = Usage { output_tokens, ..Usage::default() };
        let mut tries = Tries { agent: self, input, output, reservation: None };
        tries.reserve().await?;
        match conversation.reply_paid_by(&mut tries).await {
            Ok(reply) => {
                tries.settle(reply.usage).await?;
                Ok(reply)
            }
            // It may have been read before the connection broke; who breaks
            // off here is charged for the input at least.
            Err(CallError::Unavailable(why)) if self.model.model.broken().is_none() => {
                tries.settle(input).await?;
                Err(CallError::Unavailable(why))
            }
            Err(error) => {
                if let Some(reservation) = tries.reservation.take() {
                    reservation.refused();
                }
                Err(error)
            }
        }
    }

    /// Counts what a request took and writes it down. A database that fails
    /// ends the run.
    async fn spent(&self, usage: Usage) -> Result<(), CallError> {
        self.count(usage);
        let Account { store, cycle, subject, .. } = &self.account;
        let cost = self.model.price.map(|price| price.cost(usage));
        let spending = Spending {
            cycle: *cycle,
            role: self.role.as_str().to_owned(),
            subject: subject.clone(),
            usage,
            cost_usd: cost.map(Cost::dollars),
        };
        store.spent(spending).await.map_err(|error| self.stopped(error))
    }

    /// What is not written down is not said: a run whose transcript has a hole
    /// could neither be read nor played back.
    fn check_transcript(&self) -> Result<(), CallError> {
        self.transcript.broken().map_or(Ok(()), |error| Err(self.stopped(error)))
    }

    /// Ends the run by this error.
    pub(super) fn stopped(&self, error: Error) -> CallError {
        let sentence = error.to_string();
        // The first one counts; there is none after it.
        let _ = self.setback.set(Setback::Stop(error));
        CallError::Unavailable(sentence)
    }

    fn amount(&self, usage: Usage) -> Amount {
        let cost = self.model.price.map_or(Cost::ZERO, |price| price.cost(usage));
        Amount { tokens: usage.input_tokens.saturating_add(usage.output_tokens), cost }
    }

    fn most(&self, usage: Usage) -> Amount {
        let cost = self.model.price.map_or(Cost::ZERO, |price| price.most(usage));
        Amount { cost, ..self.amount(usage) }
    }
}

/// One request's tries: each has room reserved before it is sent, and what it
/// took is settled before the next.
struct Tries<'a> {
    agent: &'a Agent,
    /// The most that goes in.
    input: Usage,
    /// The most that comes out.
    output: Usage,
    reservation: Option<Reservation>,
}

impl Tries<'_> {
    async fn reserve(&mut self) -> Result<(), CallError> {
        let (input, output) = (self.agent.most(self.input), self.agent.most(self.output));
        let mut reservation = self.agent.account.ledger.reserve(input, output).await?;
        reservation.sent();
        self.reservation = Some(reservation);
        Ok(())
    }

    /// Counts what a try took; nothing where it has been counted already.
    async fn settle(&mut self, usage: Usage) -> Result<(), CallError> {
        let Some(reservation) = self.reservation.take() else { return Ok(()) };
        reservation.settle(self.agent.amount(usage));
        self.agent.spent(usage).await
    }
}

impl Payer for Tries<'_> {
    async fn broke_off(&mut self) -> Result<(), CallError> {
        self.settle(self.input).await?;
        self.reserve().await
    }
}

/// Stands in the table `usage` where a role would, for requests that were sent
/// and whose agent was dropped before the answer came.
const UNANSWERED: &str = "unanswered";

/// The row for all that was sent and never answered; none where nothing was.
pub fn unanswered(ledger: &Ledger, cycle: u32, is_priced: bool) -> Option<Spending> {
    let amount = ledger.unanswered();
    (amount != Amount::default()).then(|| Spending {
        cycle,
        role: UNANSWERED.to_owned(),
        subject: None,
        usage: Usage { input_tokens: amount.tokens, ..Usage::default() },
        cost_usd: is_priced.then(|| amount.cost.dollars()),
    })
}
