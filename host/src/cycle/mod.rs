//! The hierarchy: plan, sub-plan, work, judge, start fresh. Sees the store and
//! the crew as traits and plain data; knows no component, no repository, no
//! database and no network.

mod planning;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod working;

use std::future::Future;
use std::sync::Arc;

use crate::events::Event;
use crate::queue::{Claim, CycleEnd, Planner, Store};
use crate::types::{
    Brief, CycleReport, Decision, Domain, DomainPlan, ProjectPlan, Report, Role, Verdict,
};
use crate::{Error, Result};

/// How often a planner or the judge is asked before it counts as failed.
const ROLE_ATTEMPTS: u32 = 3;

/// How far a run may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cycles.
    pub max_cycles: u32,
    /// Workers at once, and sub-planners at once.
    pub max_workers: u32,
    /// Domains that one planner may hand on.
    pub max_domains: usize,
    /// How deep sub-planners may go; 1 is a domain of the main planner's.
    pub max_depth: u32,
    /// Tasks that one planner may make.
    pub max_tasks_per_plan: usize,
    /// Tasks of a whole cycle.
    pub max_tasks_per_cycle: u32,
}

impl Default for Limits {
    /// The default roles ask for 2 to 5 domains and 3 to 10 tasks; these caps
    /// leave other roles room and still end a planner that never stops.
    fn default() -> Self {
        Self {
            max_cycles: 5,
            max_workers: 10,
            max_domains: 10,
            max_depth: 3,
            max_tasks_per_plan: 50,
            max_tasks_per_cycle: 1000,
        }
    }
}

/// Why something that a role was asked for did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Another attempt may do better.
    Attempt(String),
    /// Only a person can help: the run stops.
    Stop(Error),
}

/// The roles at work: whom the cycle asks, and the ground that they work on.
pub trait Crew: Send + Sync + 'static {
    /// Gets ready for a cycle; returns the commit that it starts from.
    fn start_cycle(&self) -> impl Future<Output = Result<String>> + Send;

    /// What the roles of this cycle are told.
    fn brief(&self, cycle: u32, max_cycles: u32) -> impl Future<Output = Result<Brief>> + Send;

    /// Asks the main planner.
    fn plan(
        &self,
        planner: &str,
        brief: Brief,
    ) -> impl Future<Output = Result<ProjectPlan, Setback>> + Send;

    /// Asks a sub-planner.
    fn plan_domain(
        &self,
        planner: &str,
        brief: Brief,
        overview: &str,
        domain: Domain,
        depth: u32,
    ) -> impl Future<Output = Result<DomainPlan, Setback>> + Send;

    /// Has a worker do the claimed task and lands what it did.
    fn work(
        &self,
        claim: &Claim,
        brief: Brief,
    ) -> impl Future<Output = Result<Report, Setback>> + Send;

    /// Asks the judge.
    fn review(
        &self,
        brief: Brief,
        report: CycleReport,
    ) -> impl Future<Output = Result<Verdict, Setback>> + Send;

    /// The commit that the run stands on now.
    fn head(&self) -> impl Future<Output = Result<String>> + Send;

    /// Brings the cycle's work to the user's branch; returns a sentence that
    /// says what became of it.
    fn end_cycle(&self) -> impl Future<Output = Result<String>> + Send;
}

/// What became of one cycle.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CycleResult {
    /// Counts from 1.
    pub cycle_number: u32,
    /// Tasks that were done.
    pub tasks_completed: u32,
    /// Tasks that were given up.
    pub tasks_failed: u32,
    /// Whether the judge wanted another cycle.
    pub continue_next_cycle: bool,
    /// Whether the judge says that the goal is reached.
    pub goal_met: bool,
    /// The judge's reasons.
    pub judge_reasoning: String,
}

/// Runs cycles until the judge stops or none is left.
pub async fn run_cycles<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    limits: Limits,
) -> Result<Vec<CycleResult>> {
    let mut results = Vec::new();
    for cycle in 1..=limits.max_cycles {
        let result = run_cycle(store, crew, limits, cycle).await?;
        let goes_on = result.continue_next_cycle;
        results.push(result);
        if !goes_on {
            break;
        }
    }
    Ok(results)
}

async fn run_cycle<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    limits: Limits,
    cycle: u32,
) -> Result<CycleResult> {
    let base = crew.start_cycle().await?;
    let brief = crew.brief(cycle, limits.max_cycles).await?;
    let main_planner = store.start_cycle(cycle, base.clone()).await?;
    let site = Site::new(store, crew, brief.clone(), limits);
    let workers = site.build(main_planner).await?;

    let branch = crew.end_cycle().await?;
    store.record("host", Event::Branch { message: branch }).await?;
    let head = crew.head().await?;
    let state = store.cycle_state(cycle).await?;
    let report = CycleReport {
        overview: state.overview,
        outcomes: state.outcomes,
        planner_failures: state.planner_failures,
        base,
        head: head.clone(),
    };
    let verdict = ask(Role::Judge, || crew.review(brief.clone(), report.clone())).await?;
    let counts =
        store.end_cycle(CycleEnd { cycle, head, workers, verdict: verdict.clone() }).await?;
    Ok(CycleResult {
        cycle_number: cycle,
        tasks_completed: counts.completed,
        tasks_failed: counts.failed,
        continue_next_cycle: verdict.decision == Decision::NextCycle,
        goal_met: verdict.goal_met,
        judge_reasoning: verdict.reasoning,
    })
}

/// Asks a role without which a cycle can't go on, a few times.
async fn ask<T, F: Future<Output = Result<T, Setback>>>(
    role: Role,
    attempt: impl Fn() -> F,
) -> Result<T> {
    let mut last = String::new();
    for _ in 0..ROLE_ATTEMPTS {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(Setback::Stop(error)) => return Err(error),
            Err(Setback::Attempt(why)) => {
                tracing::warn!(%role, "an attempt failed: {why}");
                last = why;
            }
        }
    }
    Err(Error::failed(format!("the {role} failed {ROLE_ATTEMPTS} times; the last time: {last}")))
}

/// One cycle's building site: what planners and workers share.
struct Site<S, C> {
    store: S,
    crew: Arc<C>,
    brief: Brief,
    limits: Limits,
    progress: Arc<working::Progress>,
}

impl<S: Store, C: Crew> Site<S, C> {
    fn new(store: &S, crew: &Arc<C>, brief: Brief, limits: Limits) -> Self {
        Self { store: store.clone(), crew: crew.clone(), brief, limits, progress: Arc::default() }
    }

    fn share(&self) -> Self {
        Self {
            store: self.store.clone(),
            crew: self.crew.clone(),
            brief: self.brief.clone(),
            limits: self.limits,
            progress: self.progress.clone(),
        }
    }

    /// Plans and works, side by side, until nothing is left to do; returns
    /// the most workers that worked at once.
    async fn build(&self, main_planner: Planner) -> Result<u32> {
        let planning = async {
            let outcome = self.plan_all(main_planner).await;
            self.progress.planning_ended();
            outcome
        };
        // An error of one side drops the other: claims in flight come back
        // when their leases run out.
        tokio::try_join!(planning, self.work_all())?;
        Ok(self.progress.most_at_once())
    }
}
