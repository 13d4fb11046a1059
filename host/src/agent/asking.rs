//! An agent asks its model: reserves what the request takes at most, settles
//! what it took and writes that down, request by request, so that a run that
//! goes on after a crash knows what it has spent.

use std::sync::Arc;

use super::{Agent, RoleModel};
use crate::Setback;
use crate::lm::budget::{Amount, DEFAULT_OUTPUT_TOKENS, Ledger};
use crate::lm::prices::Cost;
use crate::lm::{Conversation, Reply};
use crate::queue::{RunStore, Spending};
use crate::types::{CallError, ToolSpec, Usage};

/// A token is rarely shorter than three bytes; the usual rule of thumb is four.
const BYTES_PER_TOKEN: usize = 3;
/// A conversation's share of a known context that its answer may fill.
const ANSWER_SHARE: u64 = 4;

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
        model.open(system, tools, bound)
    }

    /// A small model's server refuses a bound that its context has no room for.
    fn usual_bound(&self) -> u32 {
        let window = self.model.model.context_window().map(|tokens| (tokens / ANSWER_SHARE).max(1));
        let window = window.and_then(|tokens| u32::try_from(tokens).ok());
        window.map_or(DEFAULT_OUTPUT_TOKENS, |tokens| tokens.min(DEFAULT_OUTPUT_TOKENS))
    }

    /// Asks the model for its reply, if the budget allows it.
    pub async fn ask(&self, conversation: &mut Conversation) -> Result<Reply, CallError> {
        let (bytes, bound) = conversation.next_request();
        let input_tokens = u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        let output_tokens = u64::from(bound.unwrap_or(DEFAULT_OUTPUT_TOKENS));
        let input = Usage { input_tokens, ..Usage::default() };
        let output = Usage { output_tokens, ..Usage::default() };
        let ledger = &self.account.ledger;
        let mut reservation = ledger.reserve(self.most(input), self.most(output)).await?;
        reservation.sent();
        match conversation.reply().await {
            Ok(reply) => {
                reservation.settle(self.amount(reply.usage));
                self.spent(reply.usage).await?;
                Ok(reply)
            }
            // It may have been read before the connection broke; who breaks
            // off here is charged for the input at least.
            Err(CallError::Unavailable(why)) if self.model.model.broken().is_none() => {
                reservation.settle(self.amount(input));
                self.spent(input).await?;
                Err(CallError::Unavailable(why))
            }
            Err(error) => {
                reservation.refused();
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
        store.spent(spending).await.map_err(|error| {
            let sentence = error.to_string();
            // The first one counts; there is none after it.
            let _ = self.setback.set(Setback::Stop(error));
            CallError::Unavailable(sentence)
        })
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
