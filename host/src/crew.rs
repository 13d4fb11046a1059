//! The roles as they really are: components that talk to a model and work in
//! checkouts, behind the plain data that `cycle/` asks for. Owns which agent
//! gets which checkout, model and rights; decides nothing about the cycle.
//! How a finished task's work lands is `merging`'s, how several judges come to
//! one verdict `judging`'s.

mod judging;
mod merging;
mod renewing;
mod retreating;
mod sharing;
mod trial;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::agent::{
    Account, Agent, Check, Checker, ClaimLanding, MergeQueue, RoleModels, Scope, Setup, Slot,
    blocking, note_lost, note_outside,
};
use crate::clock::Clock;
use crate::cycle::{Crew, Stop};
use crate::events::Event;
use crate::lm::budget::Ledger;
use crate::plugin::{CallFailure, Current, Plugins, Tally};
use crate::queue::{Claim, RunStore, Store};
use crate::repo::path::CheckoutPath;
use crate::repo::{BranchOutcome, Checkouts, Lander, Repository};
use crate::sandbox::Sandbox;
use crate::transcript::{About, CallTranscript, Journal};
use crate::types::{
    Brief, CheckResult, CycleReport, Domain, DomainPlan, ProjectPlan, Report, Retreat, Role, Usage,
    Verdict,
};
use crate::{Error, Result, Setback};

/// The checkout that all planners of a cycle read; nobody writes to it.
const PLANNERS_SLOT: &str = "planners";

/// The name under which a repository keeps its instructions to agents.
const INSTRUCTIONS_FILE: &str = "AGENTS.md";
/// Bytes of it that go into each brief; more would crowd out the work.
const LONGEST_INSTRUCTIONS: usize = 64 * 1024;

/// Everything that agents are made of.
pub struct HostCrew {
    /// The components.
    pub plugins: Current,
    /// Whom the roles ask.
    pub models: RoleModels,
    /// What the run may spend on that.
    pub ledger: Arc<Ledger>,
    /// The repository that the run is about.
    pub repository: Repository,
    /// The run's checkouts.
    pub checkouts: Arc<Checkouts>,
    /// Lands what workers hand in.
    pub lander: Arc<Lander>,
    /// How commands are run; none where nobody can.
    pub sandbox: Option<Arc<Sandbox>>,
    /// The user's check, if there is one.
    pub checker: Option<Arc<Checker>>,
    /// Where landings wait to be checked as they land; none where one look at
    /// each is enough.
    pub queue: Option<Arc<MergeQueue>>,
    /// Whether a branch that is red at a cycle's end moves back.
    pub rollback: bool,
    /// The user's command that prepares a slot.
    pub setup: Option<Setup>,
    /// Whether the user lets land what looks like a key.
    pub allow_secrets: bool,
    /// The run's store, for what calls cost.
    pub store: RunStore,
    /// Where what agents say is written down.
    pub journal: Journal,
    /// Time and ids.
    pub clock: Clock,
    /// The commit that this host took the run up on.
    pub begun_on: String,
    /// What the user asked for.
    pub goal: String,
    /// Whether what has landed is pushed to `origin`.
    pub push: bool,
    /// Checkouts in use, by slot.
    pub slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// What judges have said while others still have to be asked.
    pub verdicts: Mutex<BTreeMap<String, Verdict>>,
}

impl HostCrew {
    /// The plugins of this cycle.
    fn plugins(&self) -> Arc<Plugins> {
        self.plugins.plugins()
    }

    /// The slot, its checkout holding exactly what `commit` holds.
    async fn slot_at(&self, name: &str, commit: &str) -> Result<Arc<Slot>> {
        let slot = self.slot(name).await?;
        slot.stand_on(commit).await?;
        Ok(slot)
    }

    /// The same for somebody who runs commands. Where the user's setup command
    /// fails before anything has landed, that is the user's to mend; later it is
    /// the run's, whose agents hear of it by the brief.
    async fn prepared_slot_at(
        &self,
        name: &str,
        commit: &str,
        brief: &mut Brief,
    ) -> Result<Arc<Slot>> {
        let Some(setup) = &self.setup else { return self.slot_at(name, commit).await };
        let slot = self.slot(name).await?;
        if let Some(why) = slot.stand_prepared_on(commit, setup).await? {
            if self.store.landed().await?.is_empty() {
                return Err(Error::failed(format!("{why}\nMend it and resume the run")));
            }
            let message = format!("on {commit}, {why}");
            self.store.record("host", Event::Warning { message }).await?;
            brief.guidance.push(format!(
                "{why}\nSo what it makes may be missing. If it is this run's work that broke it, \
                 mend that first."
            ));
        }
        Ok(slot)
    }

    async fn slot(&self, name: &str) -> Result<Arc<Slot>> {
        let known = self.known_slots().get(name).cloned();
        if let Some(slot) = known.filter(|slot| !slot.is_spoilt()) {
            return Ok(slot);
        }
        let slot = Slot::open(&self.checkouts, name).await?;
        let spoilt = self.known_slots().insert(name.to_owned(), slot.clone());
        let throwing_away = move || {
            drop(spoilt);
            Ok(())
        };
        blocking("throwing a slot away", throwing_away).await?;
        Ok(slot)
    }

    fn known_slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        // A panic elsewhere leaves the map itself whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agent(
        &self,
        name: &str,
        role: Role,
        slot: Arc<Slot>,
        transcript: Arc<CallTranscript>,
        landing: Option<ClaimLanding>,
        account: Account,
    ) -> Result<Arc<Agent>, Setback> {
        Ok(Arc::new(Agent {
            name: name.to_owned(),
            role,
            slot,
            sandbox: self.sandbox.clone(),
            root: self.repository.root().clone(),
            model: self.models.of(role).map_err(Setback::Stop)?.clone(),
            account,
            transcript,
            tools: self.plugins().tools(),
            landing,
            setback: OnceLock::new(),
            usage: Mutex::default(),
            tally: Tally::default(),
        }))
    }

    async fn planner(&self, name: &str, role: Role, cycle: u32) -> Result<Arc<Agent>, Setback> {
        let slot = self.slot(PLANNERS_SLOT).await.map_err(Setback::Stop)?;
        let transcript = self.journal.call(About {
            agent: name.to_owned(),
            role,
            subject: Some(name.to_owned()),
            cycle,
            attempt: 0,
            base: None,
        });
        let account = self.account(cycle, Some(name));
        self.agent(name, role, slot, Arc::new(transcript), None, account)
    }

    /// Begins a worker's call. In a replay its checkout stands on what it stood
    /// on before, whatever has landed since.
    async fn begin_work(&self, claim: &Claim, cycle: u32) -> Result<(CallTranscript, String)> {
        let tip = self.head().await?;
        let mut about = About {
            agent: claim.slot.clone(),
            role: Role::Worker,
            subject: Some(claim.task.id.clone()),
            cycle,
            attempt: claim.task.attempt,
            base: None,
        };
        let recorded = match self.journal.replay() {
            Some(replay) => replay.base(&about).await,
            None => None,
        };
        let base = recorded.unwrap_or(tip);
        about.base = Some(base.clone());
        Ok((self.journal.call(about), base))
    }

    fn account(&self, cycle: u32, subject: Option<&str>) -> Account {
        let (ledger, store) = (self.ledger.clone(), self.store.clone());
        Account { ledger, store, cycle, subject: subject.map(str::to_owned) }
    }

    fn landing(
        &self,
        claim: &Claim,
        cycle: u32,
        transcript: &Arc<CallTranscript>,
    ) -> Result<ClaimLanding, Setback> {
        let worker = self.models.of(Role::Worker).map_err(Setback::Stop)?;
        Ok(ClaimLanding {
            lander: self.lander.clone(),
            claim: claim.clone(),
            cycle,
            model: worker.model.name().to_owned(),
            scope: Arc::new(Scope::of(&claim.task.draft)),
            allow_secrets: self.allow_secrets,
            clock: self.clock.clone(),
            transcript: transcript.clone(),
            check: self.checker.as_ref().map(|checker| Check {
                checker: checker.clone(),
                repository: self.repository.clone(),
                store: self.store.clone(),
                queue: self.queue.clone(),
            }),
        })
    }

    /// Ends an agent's call: what it cost is written down, and a failure
    /// becomes a failed attempt, unless it is one that only a person can mend.
    async fn ended<T>(
        &self,
        agent: &Agent,
        cycle: u32,
        subject: Option<&str>,
        answer: Result<T, CallFailure>,
    ) -> Result<T, Setback> {
        let usage = agent.used();
        if usage != Usage::default() {
            let written = self.store.model_used(cycle, agent.role(), subject, usage).await;
            written.map_err(Setback::Stop)?;
        }
        let answer = match (answer, agent.ended_by(), agent.model().broken()) {
            (_, Some(setback), _) => Err(setback.clone()),
            (Ok(answer), None, _) => Ok(answer),
            (Err(_), None, Some(error)) => Err(Setback::Stop(error)),
            // No attempt is to be blamed for a budget that is used up.
            (Err(failure), None, None) => Err(match self.ledger.used_up() {
                Some(sentence) => Setback::Stop(Error::failed(sentence)),
                None => Setback::Attempt(failure.to_string()),
            }),
        };
        // A call that the run's end has cut off did not end by itself.
        match &answer {
            Ok(_) => agent.transcript.ended(None),
            Err(Setback::Attempt(why)) => agent.transcript.ended(Some(why)),
            Err(Setback::Stop(_)) => {}
        }
        answer
    }

    /// The repository's instructions to agents: the nearest to the root path.
    fn instructions(repository: &Repository, commit: &str) -> Result<Option<String>> {
        let mut folder = Some(repository.root().clone());
        while let Some(at) = folder {
            let path =
                CheckoutPath::parse(&format!("{}/{INSTRUCTIONS_FILE}", at.as_path().display()))
                    .map_err(|error| Error::failed(error.to_string()))?;
            if let Some(bytes) = repository.file_at(commit, &path, LONGEST_INSTRUCTIONS + 1)? {
                return Ok(Some(shown_instructions(&path, &bytes)));
            }
            folder = at.parent();
        }
        Ok(None)
    }
}

fn shown_instructions(path: &CheckoutPath, bytes: &[u8]) -> String {
    let shown = bytes.len().min(LONGEST_INSTRUCTIONS);
    let mut text = String::from_utf8_lossy(&bytes[..shown]).into_owned();
    if shown < bytes.len() {
        text.push_str(&format!("\n[cut here: read {path} for the rest]"));
    }
    text
}

impl Crew for HostCrew {
    async fn head(&self) -> Result<String> {
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        blocking("reading the run's ref", move || repository.tip(&run)).await
    }

    async fn prepare(&self, base: &str) -> Result<()> {
        self.renew_plugins().await?;
        self.slot_at(PLANNERS_SLOT, base).await?;
        Ok(())
    }

    async fn brief(&self, cycle: u32, max_cycles: u32) -> Result<Brief> {
        let tip = self.head().await?;
        let repository = self.repository.clone();
        let instructions =
            blocking("reading AGENTS.md", move || Self::instructions(&repository, &tip)).await?;
        Ok(Brief {
            goal: self.goal.clone(),
            cycle,
            max_cycles,
            instructions,
            guidance: Vec::new(),
            root_path: self.repository.root().as_str().to_owned(),
        })
    }

    async fn plan(&self, planner: &str, brief: Brief) -> Result<ProjectPlan, Setback> {
        let cycle = brief.cycle;
        let agent = self.planner(planner, Role::MainPlanner, cycle).await?;
        let plan = self.plugins().plan(agent.clone(), brief).await;
        self.ended(&agent, cycle, Some(planner), plan).await
    }

    async fn plan_domain(
        &self,
        planner: &str,
        brief: Brief,
        overview: &str,
        domain: Domain,
        depth: u32,
    ) -> Result<DomainPlan, Setback> {
        let cycle = brief.cycle;
        let agent = self.planner(planner, Role::SubPlanner, cycle).await?;
        let plan = self.plugins().plan_domain(agent.clone(), brief, overview, domain, depth).await;
        self.ended(&agent, cycle, Some(planner), plan).await
    }

    async fn work(&self, claim: &Claim, mut brief: Brief) -> Result<Report, Setback> {
        let cycle = brief.cycle;
        let (transcript, base) = self.begin_work(claim, cycle).await.map_err(Setback::Stop)?;
        let transcript = Arc::new(transcript);
        let slot = self.prepared_slot_at(&claim.slot, &base, &mut brief).await;
        let slot = slot.map_err(Setback::Stop)?;
        let landing = Some(self.landing(claim, cycle, &transcript)?);
        let account = self.account(cycle, Some(&claim.task.id));
        let (name, role) = (&claim.slot, Role::Worker);
        let agent = self.agent(name, role, slot.clone(), transcript, landing, account)?;
        let report = self.plugins().work(agent.clone(), brief.clone(), claim.task.clone()).await;
        let report = self.ended(&agent, cycle, Some(&claim.task.id), report).await?;
        if !report.success {
            return Ok(report);
        }
        self.land(claim, brief, &agent, report).await
    }

    async fn check(&self, commit: &str) -> Result<Option<CheckResult>> {
        let Some(checker) = &self.checker else { return Ok(None) };
        let result = checker.check(commit).await?;
        let (commit, passed) = (commit.to_owned(), result.passed);
        self.store.record("host", Event::Checked { task: None, commit, passed }).await?;
        Ok(Some(result))
    }

    async fn find_green(
        &self,
        base: &str,
        head: &str,
        red: CheckResult,
    ) -> Result<(CheckResult, Option<Retreat>)> {
        match &self.checker {
            Some(checker) if self.rollback => self.way_back(checker, base, head, red).await,
            _ => Ok((red, None)),
        }
    }

    async fn retreat(&self, retreat: &Retreat) -> Result<()> {
        self.go_back(retreat.clone()).await
    }

    async fn review(
        &self,
        brief: Brief,
        mut report: CycleReport,
        is_last_attempt: bool,
    ) -> Result<Verdict, Setback> {
        let lost = self.lost(&report).await.map_err(Setback::Stop)?;
        for outcome in &mut report.outcomes {
            note_outside(outcome);
            note_lost(outcome, &lost);
        }
        self.judge(brief, report, is_last_attempt).await
    }

    async fn publish(&self, stop: Stop) -> Result<Option<CheckResult>> {
        self.share(stop).await
    }

    async fn end_cycle(&self) -> Result<Option<String>> {
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        blocking("moving the branch", move || bring_in(&repository, &run)).await
    }
}

/// Brings what has landed to the user's branch, if it is to move; returns a
/// sentence where there is something to say.
pub fn bring_in(repository: &Repository, run: &str) -> Result<Option<String>> {
    if !repository.auto_commit() {
        return Ok(None);
    }
    let branch = repository.branch();
    Ok(match repository.end_cycle(run)? {
        BranchOutcome::Moved { to } => Some(format!("the branch {branch} moved to {to}")),
        BranchOutcome::AlreadyThere => None,
        BranchOutcome::LeftAlone { reason, command } => {
            Some(format!("{reason}. To bring the work in: {command}"))
        }
    })
}
