//! The workers' half of a cycle: each slot takes a task, does it, and takes
//! the next, from the moment that the first planner returns until nothing is
//! left.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

use super::work::{CycleWork, Step};
use super::{Crew, Limits};
use crate::queue::{Claim, LEASE, Store};
use crate::types::Report;
use crate::{Result, Setback, crash};

/// What the workers of a cycle have to know of each other and of the
/// planners: little.
#[derive(Debug, Default)]
pub(super) struct Progress {
    change: Notify,
    planning_ended: AtomicBool,
    tasks_made: AtomicU32,
    working: AtomicU32,
    most_at_once: AtomicU32,
}

impl Progress {
    /// Tells idle workers that there may be something for them.
    pub(super) fn changed(&self) {
        self.change.notify_waiters();
    }

    pub(super) fn planning_ended(&self) {
        self.planning_ended.store(true, Ordering::SeqCst);
        self.changed();
    }

    pub(super) fn most_at_once(&self) -> u32 {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Counts tasks that were made before a host took the cycle over.
    pub(super) fn tasks_made(&self, tasks: u32) {
        self.tasks_made.store(tasks, Ordering::SeqCst);
    }

    /// How many of `wanted` new tasks the caps allow; they count as made.
    pub(super) fn take_tasks(&self, wanted: usize, limits: &Limits) -> usize {
        let wanted = u32::try_from(wanted.min(limits.max_tasks_per_plan)).unwrap_or(u32::MAX);
        let room = |made: u32| wanted.min(limits.max_tasks_per_cycle.saturating_sub(made));
        let made = self
            .tasks_made
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |made| Some(made + room(made)));
        // The closure never refuses, so both arms hold the value before.
        let (Ok(made) | Err(made)) = made;
        room(made) as usize
    }

    fn start_work(&self) {
        let working = self.working.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(working, Ordering::SeqCst);
    }

    fn end_work(&self) {
        self.working.fetch_sub(1, Ordering::SeqCst);
        self.changed();
    }
}

impl<S: Store, C: Crew> CycleWork<S, C> {
    /// Takes one task after the other until the cycle has none.
    pub(super) async fn keep_working(&self, slot: String) -> Result<Step> {
        let cycle = self.brief.cycle;
        loop {
            // Listening starts before looking, so that no change is missed.
            let changed = self.progress.change.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(claim) = self.store.claim(cycle, &slot).await? {
                self.progress.start_work();
                let outcome = self.attempt(&claim).await;
                self.progress.end_work();
                outcome?;
                continue;
            }
            let nothing_comes = self.progress.planning_ended.load(Ordering::SeqCst);
            if nothing_comes && self.store.open_tasks(cycle).await? == 0 {
                return Ok(Step::SlotDone);
            }
            // A lease that runs out tells nobody.
            let _ = tokio::time::timeout(LEASE, changed).await;
        }
    }

    async fn attempt(&self, claim: &Claim) -> Result<()> {
        crash::point("worker: task claimed");
        let Some(outcome) = self.work_while_leased(claim).await? else {
            tracing::warn!(
                task = claim.task.id,
                slot = claim.slot,
                "the lease was lost; the attempt is dropped"
            );
            return Ok(());
        };
        let failure = match outcome {
            Ok(report) if report.success => {
                if !self.store.complete(claim, report).await? {
                    tracing::warn!(
                        task = claim.task.id,
                        "the lease was lost before the task was completed"
                    );
                }
                return Ok(());
            }
            Ok(report) => format!("the worker gave up: {}", report.summary),
            Err(Setback::Attempt(why)) => why,
            Err(Setback::Stop(error)) => return Err(error),
        };
        if !self.store.fail_attempt(claim, failure.clone()).await? {
            tracing::warn!(
                task = claim.task.id,
                "the lease was lost before the attempt failed: {failure}"
            );
        }
        Ok(())
    }

    /// Renews the lease while the worker works; none once it is lost.
    async fn work_while_leased(&self, claim: &Claim) -> Result<Option<Result<Report, Setback>>> {
        let work = self.crew.work(claim, self.brief.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return Ok(Some(outcome)),
                () = tokio::time::sleep(LEASE / 3) => {
                    if !self.store.renew(claim).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}
