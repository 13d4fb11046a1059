//! The roles as they really are: components that talk to a model and work in
//! checkouts, behind the plain data that `cycle/` asks for. Owns which agent
//! gets which checkout, model and rights; decides nothing about the cycle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::agent::{Agent, LandingDesk, LandingSetback};
use crate::clock::Clock;
use crate::cycle::{Crew, Setback};
use crate::lm::Model;
use crate::plugin::{CallFailure, Plugins};
use crate::queue::Claim;
use crate::queue::sqlite::RunStore;
use crate::repo::path::CheckoutPath;
use crate::repo::{BranchOutcome, Checkout, Checkouts, Lander, Repository};
use crate::types::{Brief, CycleReport, Domain, DomainPlan, ProjectPlan, Report, Role, Verdict};
use crate::{Error, Result};

/// The checkout that all planners of a cycle read; nobody writes to it.
const PLANNERS_SLOT: &str = "planners";
const JUDGE_SLOT: &str = "judge";

/// The name under which a repository keeps its instructions to agents.
const INSTRUCTIONS_FILE: &str = "AGENTS.md";
/// Bytes of it that go into each brief; more would crowd out the work.
const LONGEST_INSTRUCTIONS: usize = 64 * 1024;

/// Everything that agents are made of.
pub struct HostCrew {
    /// The components.
    pub plugins: Plugins,
    /// Whom all roles ask.
    pub model: Model,
    /// The repository that the run is about.
    pub repository: Repository,
    /// The run's checkouts.
    pub checkouts: Checkouts,
    /// Lands what workers hand in.
    pub lander: Arc<Lander>,
    /// The run's store, for landings.
    pub store: RunStore,
    /// Time and ids.
    pub clock: Clock,
    /// What the user asked for.
    pub goal: String,
    /// Checkouts in use, by slot.
    pub slots: Mutex<HashMap<String, Arc<Checkout>>>,
}

impl HostCrew {
    /// The slot's checkout, holding exactly what `commit` holds.
    async fn checkout_at(self: &Arc<Self>, slot: &str, commit: String) -> Result<Arc<Checkout>> {
        let (crew, slot) = (self.clone(), slot.to_owned());
        blocking("preparing a checkout", move || {
            let checkout = crew.slot(&slot)?;
            checkout.reset(&commit)?;
            Ok(checkout)
        })
        .await
    }

    fn slot(&self, slot: &str) -> Result<Arc<Checkout>> {
        if let Some(checkout) = self.known_slots().get(slot) {
            return Ok(checkout.clone());
        }
        let checkout = Arc::new(self.checkouts.open(slot)?);
        self.known_slots().insert(slot.to_owned(), checkout.clone());
        Ok(checkout)
    }

    fn known_slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Checkout>>> {
        // A panic elsewhere leaves the map itself whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tip(self: &Arc<Self>) -> Result<String> {
        let crew = self.clone();
        blocking("reading the run's ref", move || crew.repository.tip(crew.store.run())).await
    }

    fn agent(
        &self,
        name: &str,
        role: Role,
        checkout: Arc<Checkout>,
        desk: Option<LandingDesk>,
    ) -> Arc<Agent> {
        Arc::new(Agent {
            name: name.to_owned(),
            role,
            checkout,
            root: self.repository.root().clone(),
            model: self.model.clone(),
            desk,
        })
    }

    fn planner(&self, name: &str, role: Role) -> Result<Arc<Agent>> {
        Ok(self.agent(name, role, self.slot(PLANNERS_SLOT)?, None))
    }

    /// A failed call is a failed attempt, unless the model's server said
    /// something that only a person can mend.
    fn setback(&self, failure: &CallFailure) -> Setback {
        match self.model.broken() {
            Some(error) => Setback::Stop(error),
            None => Setback::Attempt(failure.to_string()),
        }
    }

    fn desk(&self, claim: &Claim) -> LandingDesk {
        LandingDesk {
            lander: self.lander.clone(),
            store: self.store.clone(),
            claim: claim.clone(),
            clock: self.clock.clone(),
        }
    }

    fn instructions(&self, commit: &str) -> Result<Option<String>> {
        let mut folder = Some(self.repository.root().clone());
        while let Some(at) = folder {
            let path =
                CheckoutPath::parse(&format!("{}/{INSTRUCTIONS_FILE}", at.as_path().display()))
                    .map_err(|error| Error::failed(error.to_string()))?;
            if let Some(bytes) = self.repository.file_at(commit, &path, LONGEST_INSTRUCTIONS)? {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
            folder = at.parent();
        }
        Ok(None)
    }
}

/// The crew as the cycle holds it.
#[derive(Clone)]
pub struct SharedCrew(pub Arc<HostCrew>);

impl Crew for SharedCrew {
    async fn start_cycle(&self) -> Result<String> {
        let tip = self.0.tip().await?;
        self.0.checkout_at(PLANNERS_SLOT, tip.clone()).await?;
        Ok(tip)
    }

    async fn brief(&self, cycle: u32, max_cycles: u32) -> Result<Brief> {
        let tip = self.0.tip().await?;
        let crew = self.0.clone();
        let instructions = blocking("reading AGENTS.md", move || crew.instructions(&tip)).await?;
        Ok(Brief {
            goal: self.0.goal.clone(),
            cycle,
            max_cycles,
            instructions,
            guidance: Vec::new(),
            root_path: self.0.repository.root().as_str().to_owned(),
        })
    }

    async fn plan(&self, planner: &str, brief: Brief) -> Result<ProjectPlan, Setback> {
        let agent = self.0.planner(planner, Role::MainPlanner).map_err(Setback::Stop)?;
        self.0.plugins.plan(agent, brief).await.map_err(|failure| self.0.setback(&failure))
    }

    async fn plan_domain(
        &self,
        planner: &str,
        brief: Brief,
        overview: &str,
        domain: Domain,
        depth: u32,
    ) -> Result<DomainPlan, Setback> {
        let agent = self.0.planner(planner, Role::SubPlanner).map_err(Setback::Stop)?;
        let plan = self.0.plugins.plan_domain(agent, brief, overview, domain, depth).await;
        plan.map_err(|failure| self.0.setback(&failure))
    }

    async fn work(&self, claim: &Claim, brief: Brief) -> Result<Report, Setback> {
        let crew = &self.0;
        let tip = crew.tip().await.map_err(Setback::Stop)?;
        let checkout = crew.checkout_at(&claim.slot, tip).await.map_err(Setback::Stop)?;
        let agent = crew.agent(&claim.slot, Role::Worker, checkout.clone(), Some(crew.desk(claim)));
        let report = crew
            .plugins
            .work(agent, brief, claim.task.clone())
            .await
            .map_err(|failure| crew.setback(&failure))?;
        if !report.success {
            return Ok(report);
        }
        let message = commit_message(&claim.task.draft.title, &report);
        match crew.desk(claim).land(&checkout, &message).await {
            Ok(_) => Ok(report),
            Err(LandingSetback::Conflict(why) | LandingSetback::Refused(why)) => {
                Err(Setback::Attempt(why))
            }
            Err(LandingSetback::Broken(error)) => Err(Setback::Stop(error)),
        }
    }

    async fn review(&self, brief: Brief, report: CycleReport) -> Result<Verdict, Setback> {
        let crew = &self.0;
        let checkout =
            crew.checkout_at(JUDGE_SLOT, report.head.clone()).await.map_err(Setback::Stop)?;
        let agent = crew.agent("judge", Role::Judge, checkout, None);
        crew.plugins.review(agent, brief, report).await.map_err(|failure| crew.setback(&failure))
    }

    async fn head(&self) -> Result<String> {
        self.0.tip().await
    }

    async fn end_cycle(&self) -> Result<String> {
        let crew = self.0.clone();
        let outcome =
            blocking("moving the branch", move || crew.repository.end_cycle(crew.store.run()))
                .await?;
        Ok(describe_branch(self.0.repository.branch(), &outcome))
    }
}

/// Says what became of the branch.
pub fn describe_branch(branch: &str, outcome: &BranchOutcome) -> String {
    match outcome {
        BranchOutcome::Moved { to } => format!("the branch {branch} moved to {to}"),
        BranchOutcome::AlreadyThere => format!("the branch {branch} holds everything that landed"),
        BranchOutcome::LeftAlone { reason, command } => {
            format!("the branch {branch} was left alone: {reason}. To bring the work in: {command}")
        }
    }
}

/// The title, then what the worker says of its work.
fn commit_message(title: &str, report: &Report) -> String {
    let mut message = format!("{}\n\n{}", title.trim(), report.summary.trim());
    for note in &report.notes {
        message.push_str("\n- ");
        message.push_str(note.trim());
    }
    message
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::failed(format!("{what} broke off: {error}"))),
    }
}
