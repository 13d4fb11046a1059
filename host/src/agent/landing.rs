//! How a worker's changes land: they are collected from its checkout, handed to
//! the landing thread and written down as its task's. What a conflict means
//! for the task is decided elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::queue::{Claim, LandingRow, RunStore};
use crate::repo::{Checkout, LandError, Landed, Lander, Landing, LandingLog, LandingRecord};
use crate::transcript::{CallTranscript, Entry, Journal};
use crate::types::Report;
use crate::{Error, Setback};

/// Lands what belongs to one claim.
pub struct ClaimLanding {
    /// The thread that lands.
    pub lander: Arc<Lander>,
    /// Whose changes these are.
    pub claim: Claim,
    /// Names the landing and dates the commit.
    pub clock: Clock,
    /// The call that it belongs to.
    pub transcript: Arc<CallTranscript>,
}

/// What a landing carries, so that its row tells whose it is and whether it
/// completes the task.
#[derive(Serialize, Deserialize)]
struct Memo {
    slot: String,
    attempt: u32,
    report: Option<Report>,
}

impl ClaimLanding {
    /// Lands what differs in `checkout` from its base; none where nothing
    /// does. With a `report`, the landing completes the task. The checkout
    /// stays as it is.
    pub async fn land(
        &self,
        checkout: &Arc<Checkout>,
        message: &str,
        report: Option<&Report>,
    ) -> Result<Option<Landed>, Setback> {
        let changes = changes_of(checkout).await?;
        if !changes.outside.is_empty() {
            let paths: Vec<&str> =
                changes.outside.iter().take(10).map(|path| path.as_str()).collect();
            tracing::warn!(
                task = self.claim.task.id,
                "changes outside of the run's root path are left out: {}",
                paths.join(", ")
            );
        }
        if changes.changes.is_empty() {
            return Ok(None);
        }
        let turn = self.transcript.landing().await.map_err(Setback::Stop)?;
        let (landing_id, author_time) = match &turn {
            Some(turn) => (turn.landing.clone(), turn.author_time),
            None => (self.clock.id(), self.clock.milliseconds() / 1000),
        };
        self.transcript.lands(&landing_id, author_time);
        let landing = Landing {
            landing_id,
            task_id: self.claim.task.id.clone(),
            base: checkout.base(),
            changes: changes.changes,
            message: message.to_owned(),
            author_time,
            memo: Some(self.memo(report)?),
        };
        let outcome = self.lander.land(landing).await;
        if let Some(turn) = turn {
            let commit = outcome.as_ref().ok().map(|landed| landed.commit.as_str());
            turn.ended(commit).map_err(Setback::Stop)?;
        }
        match outcome {
            Ok(landed) => Ok(Some(landed)),
            Err(LandError::Nothing) => Ok(None),
            Err(LandError::Late) => {
                Err(Setback::Attempt("its lease ran out before it could land".into()))
            }
            Err(LandError::Conflict { files, commits }) => {
                Err(Setback::Attempt(describe_conflict(&files, &commits)))
            }
            Err(LandError::Failed(error)) => Err(Setback::Stop(error)),
        }
    }

    fn memo(&self, report: Option<&Report>) -> Result<String, Setback> {
        let memo = Memo {
            slot: self.claim.slot.clone(),
            attempt: self.claim.task.attempt,
            report: report.cloned(),
        };
        serde_json::to_string(&memo)
            .map_err(|error| Setback::Attempt(format!("the report can't be written down: {error}")))
    }
}

async fn changes_of(checkout: &Arc<Checkout>) -> Result<crate::repo::Changes, Setback> {
    let checkout = checkout.clone();
    let changes = tokio::task::spawn_blocking(move || checkout.changes()).await;
    match changes {
        Ok(Ok(changes)) => Ok(changes),
        Ok(Err(error)) => Err(Setback::Attempt(error.to_string())),
        Err(error) => Err(Setback::Attempt(format!("reading the checkout broke off: {error}"))),
    }
}

fn describe_conflict(files: &[String], commits: &[String]) -> String {
    let because =
        if commits.is_empty() { String::new() } else { format!(" by {}", commits.join(", ")) };
    format!(
        "the branch changed meanwhile{because}, and these changes collide with it in: {}. Start from the files as \
         they are now",
        files.join(", ")
    )
}

/// Landings are written down in the run's store, and their order in its
/// transcript.
pub struct RunLog {
    /// The rows.
    pub store: RunStore,
    /// The order.
    pub journal: Journal,
}

impl LandingLog for RunLog {
    fn record(&mut self, group: &[LandingRecord]) -> crate::Result<Vec<String>> {
        self.store.record_landings(rows(group)?)
    }

    fn confirm(&mut self, group: &[LandingRecord]) -> crate::Result<()> {
        self.store.confirm_landings(rows(group)?)
    }

    fn ended(&mut self, landing: &Landing, outcome: &Result<Landed, LandError>) {
        self.journal.write(Entry::Landed {
            landing: landing.landing_id.clone(),
            commit: outcome.as_ref().ok().map(|landed| landed.commit.clone()),
            late: matches!(outcome, Err(LandError::Late)),
        });
    }
}

fn rows(group: &[LandingRecord]) -> crate::Result<Vec<LandingRow>> {
    group.iter().map(row).collect()
}

fn row(record: &LandingRecord) -> crate::Result<LandingRow> {
    let memo = record.memo.as_deref().unwrap_or_default();
    let memo: Memo = serde_json::from_str(memo)
        .map_err(|error| Error::failed(format!("a landing does not say whose it is: {error}")))?;
    Ok(LandingRow {
        landing: record.landing_id.clone(),
        task: record.task_id.clone(),
        slot: memo.slot,
        attempt: memo.attempt,
        commit: record.commit.clone(),
        parent: record.parent.clone(),
        files: record.files.clone(),
        report: memo.report,
    })
}
