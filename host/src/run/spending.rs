//! A run's budget: the ledger that goes on where earlier hosts of the same run
//! left off, the time that is left, and what ends the cycles early.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::agent::{RoleModels, unanswered};
use crate::config::duration::shown;
use crate::cycle::{CycleResult, Ended, Stop};
use crate::events::Event;
use crate::lm::budget::{Amount, Ledger};
use crate::lm::prices::Cost;
use crate::queue::{RunStore, Spent, Store};
use crate::types::Role;
use crate::{Options, Result};

/// What a run may still use.
pub(super) struct Spending {
    pub(super) ledger: Arc<Ledger>,
    /// The time that is left for this host, and all that the run has.
    time: Option<(Duration, Duration)>,
    is_priced: bool,
}

impl Spending {
    /// Counts what the run has used so far against its limits.
    pub(super) async fn read(
        store: &RunStore,
        options: &Options,
        models: &RoleModels,
    ) -> Result<Self> {
        let elapsed = store.elapsed().await?;
        let spent = sum(&store.spent_by_role().await?);
        let mut is_priced = true;
        for role in Role::ALL {
            is_priced &= models.of(role)?.price.is_some();
        }
        Ok(Self {
            ledger: Ledger::new(options.spending_limits(), spent),
            time: options.max_time.map(|time| (time.saturating_sub(elapsed), time)),
            is_priced,
        })
    }

    /// Lets `cycles` go until they end, a person wishes it or the budget is
    /// used up; `early` tells them of the last two.
    pub(super) async fn watch(
        &self,
        store: &RunStore,
        cycles: impl Future<Output = (Vec<CycleResult>, Ended)>,
        mut wish: Stop,
        early: watch::Sender<bool>,
    ) -> (Vec<CycleResult>, Ended) {
        tokio::pin!(cycles);
        let (event, ended) = tokio::select! {
            ended = &mut cycles => match self.ended(&ended.1) {
                // It may have ended them before anybody heard of it.
                Some(message) => (Event::BudgetUsedUp { message }, Some(ended)),
                None => return ended,
            },
            Ok(_) = wish.wait_for(|wish| *wish) => (Event::Stopping, None),
            message = self.used_up() => (Event::BudgetUsedUp { message }, None),
        };
        // A database that fails now fails the wind-down too, which says so.
        if let Err(error) = store.record("host", event).await {
            tracing::error!("{error}");
        }
        early.send_replace(true);
        match ended {
            Some(ended) => ended,
            None => cycles.await,
        }
    }

    /// Returns once tokens, money or time are used up, with the reason.
    async fn used_up(&self) -> String {
        let Some((left, time)) = self.time else { return self.ledger.when_used_up().await };
        tokio::select! {
            sentence = self.ledger.when_used_up() => sentence,
            () = tokio::time::sleep(left) => {
                self.ledger.end(format!(
                    "the time of {} is used up; resume the run with a higher --max-time",
                    shown(time)
                ));
                self.ledger.when_used_up().await
            }
        }
    }

    /// Writes down what was sent and never answered. To be called when no
    /// agent is left.
    pub(super) async fn close(&self, store: &RunStore) -> Result<()> {
        let cycle = store.standing().await?;
        let cycle = cycle.open.map(|open| open.cycle);
        match unanswered(&self.ledger, cycle.unwrap_or_default(), self.is_priced) {
            Some(row) => store.spent(row).await,
            None => Ok(()),
        }
    }

    /// Why the cycles ended early, if it was the budget: they hear of it by
    /// the wish or by an error, whichever comes first.
    pub(super) fn ended(&self, ended: &Ended) -> Option<String> {
        let sentence = self.ledger.used_up()?;
        match ended {
            Ended::Stopped => Some(sentence),
            Ended::Failed(error) if error.to_string() == sentence => Some(sentence),
            Ended::Failed(_) | Ended::Judged => None,
        }
    }
}

fn sum(spent: &[Spent]) -> Amount {
    let tokens = spent.iter().fold(0_u64, |sum, role| {
        sum.saturating_add(role.usage.input_tokens).saturating_add(role.usage.output_tokens)
    });
    let cost = spent.iter().map(|role| role.cost_usd).sum();
    Amount { tokens, cost: Cost::from_dollars(cost).unwrap_or_default() }
}
