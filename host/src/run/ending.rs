//! How a run ends: what is landing lands, rows, branch and working tree come in
//! line with it, and one outcome is told.

use std::sync::Arc;

use super::{RunResult, telling};
use crate::agent::blocking;
use crate::crew::{HostCrew, bring_in};
use crate::cycle::{CycleResult, Ended};
use crate::events::{Event, Outcome};
use crate::queue::{RunStore, Store};
use crate::repo::{BranchOutcome, Lander, Repository};
use crate::{Error, Result};

/// Waits for what is landing, then brings rows, branch and working tree in
/// line with what has landed. Agents have ended before.
pub(super) async fn wind_down(
    store: &RunStore,
    repository: &Repository,
    lander: Arc<Lander>,
    crew: Arc<HostCrew>,
    ended: &Ended,
) -> Result<()> {
    let closing = move || {
        lander.close();
        Ok(())
    };
    blocking("the end of landing", closing).await?;
    let brought = bring_in_line(store, repository, ended).await;
    // To look at large checkouts and to remove them takes its time: the branch
    // does not wait for that.
    let told = telling::disk_use(store, &crew.checkouts).await;
    let removing = move || {
        // The checkouts go with the crew.
        drop(crew);
        Ok(())
    };
    blocking("removing the checkouts", removing).await?;
    brought.and(told)
}

async fn bring_in_line(store: &RunStore, repository: &Repository, ended: &Ended) -> Result<()> {
    settle(store, repository).await?;
    let finished = *ended == Ended::Judged;
    let (at, run) = (repository.clone(), store.run().to_owned());
    let message = blocking("moving the branch", move || {
        if at.auto_commit() { bring_in(&at, &run) } else { leave(&at, &run, finished).map(Some) }
    })
    .await?;
    if let Some(message) = message {
        store.record("host", Event::Branch { message }).await?;
    }
    // A notice comes last, for it must not keep the branch where it is.
    telling::hooks(store, repository).await
}

/// Without commits on the branch, the working tree gets the work at the very
/// end: an earlier change would make it dirty for the run that goes on.
fn leave(repository: &Repository, run: &str, finished: bool) -> Result<String> {
    if !finished {
        return Ok(format!(
            "what has landed is in refs/code-agent/runs/{run}; resume the run to go on"
        ));
    }
    Ok(match repository.leave_uncommitted(run)? {
        BranchOutcome::Moved { to } => {
            format!("the working tree has the changes of {to}, uncommitted; no branch moved")
        }
        BranchOutcome::AlreadyThere => "nothing has changed".into(),
        BranchOutcome::LeftAlone { reason, command } => {
            format!("{reason}. To bring the work in: {command}")
        }
    })
}

/// Brings the rows in line with the run's ref: which landings it contains,
/// and that nobody is at work.
pub(crate) async fn settle(store: &RunStore, repository: &Repository) -> Result<()> {
    let unconfirmed = store.unconfirmed_landings().await?;
    let (repository, run) = (repository.clone(), store.run().to_owned());
    let landed = blocking("looking for landings", move || {
        let mut landed = Vec::new();
        for (landing, commit) in unconfirmed {
            if repository.contains(&run, &commit)? {
                landed.push(landing);
            }
        }
        Ok(landed)
    })
    .await?;
    store.settle(landed).await
}

pub(super) fn result(
    cycles: Vec<CycleResult>,
    ended: Ended,
    used_up: bool,
    wind_down: Option<Error>,
) -> RunResult {
    let (outcome, error) = match (ended, wind_down) {
        (Ended::Failed(error), Some(_)) if !used_up => (Outcome::Failed, Some(error)),
        (_, Some(error)) => (Outcome::Failed, Some(error)),
        (_, None) if used_up => (Outcome::BudgetUsedUp, None),
        (Ended::Failed(error), None) => (Outcome::Failed, Some(error)),
        (Ended::Stopped, None) => (Outcome::Interrupted, None),
        (Ended::Judged, None) => (judged(&cycles), None),
    };
    RunResult { outcome, cycles, error }
}

fn judged(cycles: &[CycleResult]) -> Outcome {
    match cycles.last() {
        Some(last) if !last.continue_next_cycle && last.goal_met => Outcome::GoalMet,
        Some(last) if !last.continue_next_cycle => Outcome::GivenUp,
        _ => Outcome::CyclesUsedUp,
    }
}
