//! The store of one run: each operation is a change that the writer makes, in
//! the transaction that it shares with what came in at the same time.

use std::time::Duration;

use rusqlite::Connection;

use super::{Database, statements};
use crate::Result;
use crate::clock::Clock;
use crate::events::{Event, Outcome};
use crate::queue::{
    Claim, Counts, CycleEnd, CycleState, LandingRow, OpenCycle, Plan, Planner, Spending, Spent,
    Standing, Store,
};
use crate::transcript::Journal;
use crate::types::{Report, Role, Usage};

/// The store of one run in a database.
#[derive(Clone)]
pub struct RunStore {
    database: Database,
    run: std::sync::Arc<str>,
    clock: Clock,
    journal: Journal,
}

/// What a change works with: a transaction, and whose it is.
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
    pub(super) run: &'a str,
    pub(super) clock: &'a Clock,
}

impl RunStore {
    pub(super) fn new(database: Database, run: &str, clock: Clock) -> Self {
        Self { database, run: run.into(), clock, journal: Journal::default() }
    }

    /// The same store, with ids and claims written down in `journal` and, in a
    /// replay, taken from there.
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The database that the run is in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Writes down what is about to land. Returns the ids of landings whose
    /// claims are lost; then nothing was written. Blocks.
    pub fn record_landings(&self, rows: Vec<LandingRow>) -> Result<Vec<String>> {
        let change = self.job(move |change| statements::landings::record_all(change, &rows));
        self.database.writer.run_blocking(change)
    }

    /// Writes down that these have landed, and completes the tasks of those
    /// that came with a report. Blocks.
    pub fn confirm_landings(&self, rows: Vec<LandingRow>) -> Result<()> {
        let change = self.job(move |change| statements::landings::confirm_all(change, &rows));
        self.database.writer.run_blocking(change)
    }

    /// Writes down that git keeps what stood at `path` before a tool replaced it.
    /// Blocks.
    pub fn keep_file(&self, subject: Option<String>, path: String, blob: String) -> Result<()> {
        let keep = move |change: &Change<'_>| {
            statements::kept_files::keep(change, subject.as_deref(), &path, &blob)
        };
        self.database.writer.run_blocking(self.job(keep))
    }

    /// Writes down how the run ended.
    pub async fn end_run(&self, outcome: Outcome, message: Option<String>) -> Result<()> {
        self.write(move |change| statements::runs::end(change, outcome, message)).await
    }

    /// Writes that a run goes on, standing on `tip`, with so many cycles and
    /// workers.
    pub async fn resumed(&self, tip: String, max_cycles: u32, max_workers: u32) -> Result<()> {
        self.write(move |change| statements::runs::resumed(change, &tip, max_cycles, max_workers))
            .await
    }

    /// Lets a cycle that is open begin on another commit.
    pub async fn move_cycle(&self, cycle: u32, base: String) -> Result<()> {
        self.write(move |change| statements::cycles::move_to(change, cycle, &base)).await
    }

    /// Whether a task of the cycle has landed something.
    pub async fn has_landed_in(&self, cycle: u32) -> Result<bool> {
        self.write(move |change| statements::landings::has_landed_in(change, cycle)).await
    }

    /// Landings of which it is not known whether their ref has moved: their
    /// ids and commits.
    pub async fn unconfirmed_landings(&self) -> Result<Vec<(String, String)>> {
        self.write(|change| statements::landings::of_run(change, false)).await
    }

    /// What has landed, in its order: the landings' ids and commits.
    pub async fn landed(&self) -> Result<Vec<(String, String)>> {
        self.write(|change| statements::landings::of_run(change, true)).await
    }

    /// Brings the rows in line with what a host left behind when it ended:
    /// these landings did land, and nobody works any more.
    pub async fn settle(&self, landed: Vec<String>) -> Result<()> {
        self.write(move |change| statements::landings::settle(change, &landed)).await
    }

    /// Writes down what a request to a model took.
    pub async fn spent(&self, spending: Spending) -> Result<()> {
        self.write(move |change| statements::usage::spent(change, &spending)).await
    }

    /// What the run has spent so far, by role.
    pub async fn spent_by_role(&self) -> Result<Vec<Spent>> {
        self.write(statements::usage::by_role).await
    }

    /// How long the run's hosts have run so far, all together.
    pub async fn elapsed(&self) -> Result<Duration> {
        self.write(statements::usage::elapsed).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.database.writer.run(self.job(change)).await
    }

    fn job<T>(
        &self,
        change: impl FnOnce(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static {
        let (run, clock) = (self.run.clone(), self.clock.clone());
        move |connection| change(&Change { connection, run: &run, clock: &clock })
    }
}

impl Store for RunStore {
    async fn standing(&self) -> Result<Standing> {
        self.write(statements::cycles::standing).await
    }

    async fn start_cycle(&self, cycle: u32, base: String) -> Result<OpenCycle> {
        let main_planner = self.journal.ids(&format!("cycle-{cycle}"), 1, &self.clock).concat();
        self.write(move |change| statements::cycles::start(change, cycle, &base, main_planner))
            .await
    }

    async fn start_planner(&self, planner: &Planner) -> Result<()> {
        let planner = planner.clone();
        self.write(move |change| statements::planners::start(change, &planner)).await
    }

    async fn finish_planner(
        &self,
        cycle: u32,
        planner: &Planner,
        plan: Plan,
    ) -> Result<Vec<Planner>> {
        let count = plan.tasks.len() + plan.domains.len();
        let ids = self.journal.ids(&planner.id, count, &self.clock);
        let planner = planner.clone();
        self.write(move |change| statements::planners::finish(change, cycle, &planner, &plan, ids))
            .await
    }

    async fn fail_planner(&self, planner: &Planner, error: String) -> Result<()> {
        let planner = planner.clone();
        self.write(move |change| statements::planners::fail(change, &planner, &error)).await
    }

    async fn claim(&self, cycle: u32, slot: &str) -> Result<Option<Claim>> {
        let Some(replay) = self.journal.replay() else {
            let slot = slot.to_owned();
            return self.write(move |change| statements::tasks::claim(change, cycle, &slot)).await;
        };
        let Some((task, attempt)) = replay.next_claim(slot)? else { return Ok(None) };
        let taker = slot.to_owned();
        let claim = self
            .write(move |change| {
                statements::tasks::claim_recorded(change, cycle, &taker, &task, attempt)
            })
            .await?;
        if claim.is_some() {
            replay.claimed(slot);
        }
        Ok(claim)
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        let claim = claim.clone();
        self.write(move |change| statements::tasks::renew(change, &claim)).await
    }

    async fn complete(&self, claim: &Claim, report: Report) -> Result<bool> {
        let claim = claim.clone();
        self.write(move |change| statements::tasks::complete(change, &claim, &report)).await
    }

    async fn fail_attempt(&self, claim: &Claim, error: String) -> Result<bool> {
        let claim = claim.clone();
        self.write(move |change| statements::tasks::fail_attempt(change, &claim, &error)).await
    }

    async fn model_used(
        &self,
        _cycle: u32,
        role: Role,
        subject: Option<&str>,
        usage: Usage,
    ) -> Result<()> {
        let subject = subject.map(str::to_owned);
        self.write(move |change| statements::usage::model_used(change, role, subject, usage)).await
    }

    async fn open_tasks(&self, cycle: u32) -> Result<u32> {
        self.write(move |change| statements::tasks::open(change, cycle)).await
    }

    async fn cycle_state(&self, cycle: u32) -> Result<CycleState> {
        self.write(move |change| statements::cycles::state(change, cycle)).await
    }

    async fn end_cycle(&self, end: CycleEnd) -> Result<Counts> {
        self.write(move |change| statements::cycles::end(change, &end)).await
    }

    async fn record(&self, who: &str, event: Event) -> Result<()> {
        let who = who.to_owned();
        self.write(move |change| statements::record(change, &who, &event)).await
    }
}
