//! The task store: what a run has planned, who does what, and what happened.
//! Owns the state of tasks, planners, cycles and runs and every change of it.
//! Only `sqlite/` below knows SQL; who claims and why is `cycle/`'s business.

mod read;
mod sqlite;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use read::{CycleRow, KeptFile, Reader, RunRow, TaskRow};
#[doc(hidden)]
pub use sqlite::measured;
pub use sqlite::{Database, RunStore};

use crate::Result;
use crate::events::Event;
use crate::types::{Domain, Report, Retreat, Role, Task, TaskDraft, TaskOutcome, Usage, Verdict};

/// How many attempts a task has before it is given up.
pub const MAX_ATTEMPTS: u32 = 3;

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(60);

/// What a run is remembered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRun {
    /// What the user asked for.
    pub goal: String,
    /// The branch that the work goes to.
    pub branch: String,
    /// The root path, absolute.
    pub root_path: String,
    /// The branch's commit at the start.
    pub base: String,
    /// The model's name, as the server calls it.
    pub model: String,
    /// The options as JSON, without secrets.
    pub options: String,
    /// How many cycles the run may have.
    pub max_cycles: u32,
    /// How many workers work at once.
    pub max_workers: u32,
}

/// One planner's place in the hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct Planner {
    /// The row's key.
    pub id: String,
    /// 0 for the main planner, 1 for its domains.
    pub depth: u32,
    /// What it plans; none for the main planner.
    pub domain: Option<Domain>,
}

/// What a planner adds to the queue, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The planner's overview or summary.
    pub summary: String,
    /// New tasks.
    pub tasks: Vec<TaskDraft>,
    /// New sub-planners.
    pub domains: Vec<Domain>,
    /// How much of the plan was left out because a cap was reached.
    pub left_out: u32,
}

/// A task that a slot has taken, until its lease runs out.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The task, with the attempt's number.
    pub task: Task,
    /// Who took it.
    pub slot: String,
}

/// What a cycle has come to, for the judge and for its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CycleState {
    /// The main planner's overview.
    pub overview: String,
    /// Tasks that were completed or given up, in the order of their making.
    pub outcomes: Vec<TaskOutcome>,
    /// Domains that could not be planned, and why.
    pub planner_failures: Vec<String>,
    /// Where it was rolled back, told once each.
    pub retreats: Vec<Retreat>,
}

/// What one request to a model took.
#[derive(Clone, Debug, PartialEq)]
pub struct Spending {
    /// The cycle's number.
    pub cycle: u32,
    /// The role's name, or a word for what no role is to be charged with.
    pub role: String,
    /// The planner or task that it was about; none for the judge.
    pub subject: Option<String>,
    /// The tokens.
    pub usage: Usage,
    /// What they cost in US dollars; none where the price is not known.
    pub cost_usd: Option<f64>,
}

/// What a role has taken in a whole run, or all roles together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The role's name, as in `Spending`.
    pub role: String,
    /// How many requests it sent.
    pub requests: u64,
    /// The tokens.
    pub usage: Usage,
    /// The known costs, in US dollars.
    pub cost_usd: f64,
    /// How many requests have a price that is not known.
    pub unpriced: u64,
}

/// How a cycle ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleEnd {
    /// Counts from 1.
    pub cycle: u32,
    /// The branch's commit.
    pub head: String,
    /// The most workers that worked at once.
    pub workers: u32,
    /// What the judge said.
    pub verdict: Verdict,
}

/// How many tasks of a cycle were done and given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Done.
    pub completed: u32,
    /// Given up.
    pub failed: u32,
}

/// A commit that is about to land, written down before the ref moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandingRow {
    /// The landing's id, which the commit's trailer carries too.
    pub landing: String,
    /// The task's id.
    pub task: String,
    /// Who claimed the task.
    pub slot: String,
    /// The claim's attempt.
    pub attempt: u32,
    /// The commit's id.
    pub commit: String,
    /// Its parent's id.
    pub parent: String,
    /// The files that it changes.
    pub files: Vec<String>,
    /// The worker's report, where this landing completes its task.
    pub report: Option<Report>,
}

/// Where a run stands, for going on with it. A new run stands before cycle 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The cycles that were judged.
    pub ended: Vec<EndedCycle>,
    /// The cycle that was begun and not judged.
    pub open: Option<OpenCycle>,
}

/// A cycle that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedCycle {
    /// Counts from 1.
    pub cycle: u32,
    /// What became of its tasks.
    pub counts: Counts,
    /// What the judge said.
    pub verdict: Verdict,
}

/// A cycle that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCycle {
    /// Counts from 1.
    pub cycle: u32,
    /// The branch's commit at its start.
    pub base: String,
    /// The main planner's overview; empty until it has returned.
    pub overview: String,
    /// The planners that have not returned.
    pub planners: Vec<Planner>,
    /// Tasks made so far.
    pub tasks: u32,
}

/// The store of one run. Each change is one transaction, durable when the
/// future returns, and tells of itself by events in the same transaction.
/// An error means that only a person can help; that a claim was lost to
/// somebody else is an answer, not an error.
pub trait Store: Clone + Send + Sync + 'static {
    /// Where the run stands.
    fn standing(&self) -> impl Future<Output = Result<Standing>> + Send;

    /// Starts a cycle, with its main planner's row.
    fn start_cycle(
        &self,
        cycle: u32,
        base: String,
    ) -> impl Future<Output = Result<OpenCycle>> + Send;

    /// Tells that a planner begins.
    fn start_planner(&self, planner: &Planner) -> impl Future<Output = Result<()>> + Send;

    /// Adds what a planner planned and ends it; returns its sub-planners.
    fn finish_planner(
        &self,
        cycle: u32,
        planner: &Planner,
        plan: Plan,
    ) -> impl Future<Output = Result<Vec<Planner>>> + Send;

    /// Ends a planner that gave up.
    fn fail_planner(
        &self,
        planner: &Planner,
        error: String,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Takes the most urgent, then oldest pending task of the cycle.
    fn claim(&self, cycle: u32, slot: &str) -> impl Future<Output = Result<Option<Claim>>> + Send;

    /// Keeps a claim for another lease; false where it is lost.
    fn renew(&self, claim: &Claim) -> impl Future<Output = Result<bool>> + Send;

    /// Completes a claimed task; false where the claim is lost. That its
    /// landing has completed it already is as good.
    fn complete(&self, claim: &Claim, report: Report) -> impl Future<Output = Result<bool>> + Send;

    /// Ends an attempt that came to nothing: the task is pending again, or
    /// given up after its last. False where the claim is lost.
    fn fail_attempt(
        &self,
        claim: &Claim,
        error: String,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Tells what a role's call has asked of the model, now that it has ended.
    /// Each request was written down when it was answered.
    fn model_used(
        &self,
        cycle: u32,
        role: Role,
        subject: Option<&str>,
        usage: Usage,
    ) -> impl Future<Output = Result<()>> + Send;

    /// How many tasks of the cycle are pending or in progress.
    fn open_tasks(&self, cycle: u32) -> impl Future<Output = Result<u32>> + Send;

    /// What the cycle has come to so far.
    fn cycle_state(&self, cycle: u32) -> impl Future<Output = Result<CycleState>> + Send;

    /// Writes the verdict down and clears what is pending, for a fresh start.
    fn end_cycle(&self, end: CycleEnd) -> impl Future<Output = Result<Counts>> + Send;

    /// Records something that changes no table of ours.
    fn record(&self, who: &str, event: Event) -> impl Future<Output = Result<()>> + Send;
}
