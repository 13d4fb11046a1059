//! The hierarchy: plan, sub-plan, work, judge, start fresh. Sees the store and
//! the crew as traits and plain data; knows no component, no repository, no
//! database and no network.

mod planning;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod work;
mod working;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::events::Event;
use crate::queue::{Claim, CycleEnd, EndedCycle, OpenCycle, Store};
use crate::types::{
    Brief, CheckResult, CycleReport, Decision, Domain, DomainPlan, ProjectPlan, Report, Retreat,
    Role, Verdict,
};
use crate::{Error, Result, Setback, crash};
use work::CycleWork;

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

/// The roles at work: whom the cycle asks, and the ground that they work on.
pub trait Crew: Send + Sync + 'static {
    /// The commit that the run stands on now.
    fn head(&self) -> impl Future<Output = Result<String>> + Send;

    /// Gets ready for a cycle that starts, or started, from `base`.
    fn prepare(&self, base: &str) -> impl Future<Output = Result<()>> + Send;

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

    /// Runs the user's check on a commit; none where there is no check.
    fn check(&self, commit: &str) -> impl Future<Output = Result<Option<CheckResult>>> + Send;

    /// Looks, if the user wants that, for the last commit of the cycle where the
    /// check is green, since it is red on `head`. Returns what the check says of
    /// the first red one, and the way back, if there is one; or what it says of
    /// `head`, where it is green when it is asked again.
    fn find_green(
        &self,
        base: &str,
        head: &str,
        red: CheckResult,
    ) -> impl Future<Output = Result<(CheckResult, Option<Retreat>)>> + Send;

    /// Moves the run back. That it will is written down already.
    fn retreat(&self, retreat: &Retreat) -> impl Future<Output = Result<()>> + Send;

    /// Asks the judge. After the last attempt nobody asks again: what is known by
    /// then has to do.
    fn review(
        &self,
        brief: Brief,
        report: CycleReport,
        is_last_attempt: bool,
    ) -> impl Future<Output = Result<Verdict, Setback>> + Send;

    /// Shares what has landed with others, and takes in what they shared, if it
    /// is to; tells of it by events. Ends soon once a person wishes it, wherever it
    /// stands: the next host does what is left. Returns what the check said of what
    /// came in, where that was asked before.
    fn publish(&self, stop: Stop) -> impl Future<Output = Result<Option<CheckResult>>> + Send;

    /// Brings the cycle's work to the user's branch; returns a sentence that
    /// says what became of it, where there is something to say.
    fn end_cycle(&self) -> impl Future<Output = Result<Option<String>>> + Send;
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

impl From<EndedCycle> for CycleResult {
    fn from(ended: EndedCycle) -> Self {
        Self {
            cycle_number: ended.cycle,
            tasks_completed: ended.counts.completed,
            tasks_failed: ended.counts.failed,
            continue_next_cycle: ended.verdict.decision == Decision::NextCycle,
            goal_met: ended.verdict.goal_met,
            judge_reasoning: ended.verdict.reasoning,
        }
    }
}

/// How the cycles ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The judge stopped, or no cycle is left.
    Judged,
    /// A person stopped the run.
    Stopped,
    /// Something that only a person can mend.
    Failed(Error),
}

/// A person's wish that the run stops; true once it is there.
pub type Stop = watch::Receiver<bool>;

/// Runs cycles from where the run stands until the judge stops or none is
/// left. Returns the cycles that were judged, whatever ended them.
pub async fn run_cycles<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    limits: Limits,
    stop: Stop,
) -> (Vec<CycleResult>, Ended) {
    let mut results = Vec::new();
    let ended = match go_on(store, crew, limits, stop, &mut results).await {
        Ok(Some(())) => Ended::Judged,
        Ok(None) => Ended::Stopped,
        Err(error) => Ended::Failed(error),
    };
    (results, ended)
}

async fn go_on<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    limits: Limits,
    stop: Stop,
    results: &mut Vec<CycleResult>,
) -> Result<Option<()>> {
    let standing = store.standing().await?;
    results.extend(standing.ended.into_iter().map(CycleResult::from));
    let mut open = standing.open;
    // The last host may have died between the judge's word and the run's end.
    if open.is_none()
        && results.last().is_some_and(|last| last.goal_met && !last.continue_next_cycle)
    {
        return Ok(Some(()));
    }
    loop {
        let cycle = match open.take() {
            Some(cycle) => cycle,
            None => {
                let next = results.last().map_or(1, |last| last.cycle_number + 1);
                if next > limits.max_cycles {
                    return Ok(Some(()));
                }
                store.start_cycle(next, crew.head().await?).await?
            }
        };
        let Some(result) = run_cycle(store, crew, limits, stop.clone(), cycle).await? else {
            return Ok(None);
        };
        let goes_on = result.continue_next_cycle;
        results.push(result);
        if !goes_on {
            return Ok(Some(()));
        }
    }
}

/// Runs a cycle, or the rest of one; none where it was stopped.
async fn run_cycle<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    limits: Limits,
    mut stop: Stop,
    open: OpenCycle,
) -> Result<Option<CycleResult>> {
    let (cycle, base) = (open.cycle, open.base.clone());
    crew.prepare(&base).await?;
    let brief = crew.brief(cycle, limits.max_cycles).await?;
    let work = CycleWork::new(store, crew, brief.clone(), limits);
    let Some(workers) = work.run(open, stop.clone()).await? else { return Ok(None) };

    let finished = finish(store, crew, cycle, &base, &mut stop).await?;
    let Some((head, check)) = finished else { return Ok(None) };
    let state = store.cycle_state(cycle).await?;
    let check = check.map(|check| told(check, &state.retreats));
    let report = CycleReport {
        overview: state.overview,
        outcomes: state.outcomes,
        planner_failures: state.planner_failures,
        check,
        rolled_back: state.retreats.into_iter().flat_map(|retreat| retreat.commits).collect(),
        base,
        head: head.clone(),
    };
    let review = ask(store, Role::Judge, None, |attempt| {
        crew.review(brief.clone(), report.clone(), attempt == ROLE_ATTEMPTS)
    });
    let verdict = tokio::select! {
        verdict = review => verdict?,
        () = stopped(&mut stop) => return Ok(None),
    };
    let end = CycleEnd { cycle, head, workers, verdict: verdict.clone() };
    let counts = store.end_cycle(end).await?;
    crash::point("cycle: judged");
    Ok(Some(EndedCycle { cycle, counts, verdict }.into()))
}

/// Checks what the cycle has come to, brings it to the user's branch and shares
/// it; returns it with what the check says of it, or none where a person stopped
/// the run.
async fn finish<S: Store, C: Crew>(
    store: &S,
    crew: &Arc<C>,
    cycle: u32,
    base: &str,
    stop: &mut Stop,
) -> Result<Option<(String, Option<CheckResult>)>> {
    let mut head = crew.head().await?;
    let told = store.cycle_state(cycle).await?.retreats;
    if let Some(half_done) = told.iter().rfind(|retreat| retreat.from == head) {
        // A host wrote it down and died before it went.
        crew.retreat(half_done).await?;
        head = crew.head().await?;
    }
    let Some(mut check) = unless_stopped(stop, crew.check(&head)).await? else { return Ok(None) };
    if let Some(red) = check.take_if(|check| !check.passed) {
        let found = unless_stopped(stop, crew.find_green(base, &head, red)).await?;
        let Some((said, retreat)) = found else { return Ok(None) };
        check = Some(said);
        if let Some(retreat) = retreat {
            // First, so that the judge hears of it whoever asks it in the end.
            store.record("host", Event::RolledBack(retreat.clone())).await?;
            crash::point("rollback: written down");
            crew.retreat(&retreat).await?;
        }
    }
    let head = crew.head().await?;
    if let Some(message) = crew.end_cycle().await? {
        store.record("host", Event::Branch { message }).await?;
    }
    // Not dropped in the middle, for it moves what the run stands on.
    let said = crew.publish(stop.clone()).await?;
    let published = crew.head().await?;
    if published == head {
        return Ok(Some((head, check)));
    }
    // What others have shared came in with it.
    if said.is_some() {
        return Ok(Some((published, said)));
    }
    let check = unless_stopped(stop, crew.check(&published)).await?;
    Ok(check.map(|check| (published, check)))
}

/// What the check says, and where the run went back for it.
fn told(mut check: CheckResult, retreats: &[Retreat]) -> CheckResult {
    for Retreat { from, to, kept, titles, .. } in retreats.iter().rev() {
        check.output = format!(
            "The branch was rolled back from {from} to {to}, where the check is green. What came \
             after is in {kept} and no longer on the branch, whatever its tasks say:\n- {}\n{}",
            titles.join("\n- "),
            check.output
        );
    }
    check
}

/// What `work` comes to; none where a person's wish came first.
pub(crate) async fn unless_stopped<T>(
    stop: &mut Stop,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    tokio::select! {
        done = work => done.map(Some),
        () = stopped(stop) => Ok(None),
    }
}

/// Waits for a person's wish; for ever, where nobody can utter one any more.
async fn stopped(stop: &mut Stop) {
    if stop.wait_for(|wish| *wish).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Why a role's answer is not to be had.
enum NoAnswer {
    /// It failed each time; the sentence says how.
    Role(Error),
    /// Something else is wrong, and the run stops.
    Run(Error),
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

impl From<NoAnswer> for Error {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Role(error) | NoAnswer::Run(error) => error,
        }
    }
}

/// Asks a planner or the judge, a few times. The question is told which attempt
/// it is, from 1.
async fn ask<S: Store, T, F: Future<Output = Result<T, Setback>>>(
    store: &S,
    role: Role,
    domain: Option<&str>,
    question: impl Fn(u32) -> F,
) -> Result<T, NoAnswer> {
    let mut last = String::new();
    for attempt in 1..=ROLE_ATTEMPTS {
        match question(attempt).await {
            Ok(answer) => return Ok(answer),
            Err(Setback::Stop(error)) => return Err(error.into()),
            Err(Setback::Attempt(why)) => {
                last.clone_from(&why);
                let domain = domain.map(str::to_owned);
                let event = Event::RoleFailed { role, domain, attempt, error: why };
                store.record(role.as_str(), event).await?;
            }
        }
    }
    let sentence = format!("the {role} failed {ROLE_ATTEMPTS} times; the last time: {last}");
    Err(NoAnswer::Role(Error::failed(sentence)))
}
