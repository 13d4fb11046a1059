//! The planners' half of a cycle: the main planner, then sub-planners, side
//! by side and recursively. Tasks go to the queue as each planner returns.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Crew, ROLE_ATTEMPTS, Setback, Site, ask};
use crate::queue::{Plan, Planner, Store};
use crate::types::{Domain, DomainPlan, Role};
use crate::{Error, Result};

impl<S: Store, C: Crew> Site<S, C> {
    /// Runs the main planner and everything that it sets off.
    pub(super) async fn plan_all(&self, main_planner: Planner) -> Result<()> {
        self.store.start_planner(&main_planner).await?;
        let asked =
            ask(Role::MainPlanner, || self.crew.plan(&main_planner.id, self.brief.clone())).await;
        let plan = match asked {
            Ok(plan) => plan,
            Err(error) => {
                self.store.fail_planner(&main_planner, error.to_string()).await?;
                return Err(error);
            }
        };
        let overview: Arc<str> = plan.overview.as_str().into();
        let plan = DomainPlan { summary: plan.overview, tasks: Vec::new(), domains: plan.domains };
        let waiting = self.finish(&main_planner, plan).await?;
        self.run_sub_planners(waiting, overview).await
    }

    async fn run_sub_planners(&self, waiting: Vec<Planner>, overview: Arc<str>) -> Result<()> {
        let places = Arc::new(Semaphore::new(self.limits.max_workers.max(1) as usize));
        let mut running = JoinSet::new();
        let start = |running: &mut JoinSet<_>, planners: Vec<Planner>| {
            for planner in planners {
                let (site, overview, places) = (self.share(), overview.clone(), places.clone());
                running.spawn(async move {
                    let _place = places.acquire().await;
                    site.plan_one(planner, &overview).await
                });
            }
        };
        start(&mut running, waiting);
        while let Some(joined) = running.join_next().await {
            let sub_planners = joined.map_err(|error| {
                Error::failed(format!("a sub-planner's task broke off: {error}"))
            })??;
            start(&mut running, sub_planners);
        }
        Ok(())
    }

    /// Runs one sub-planner. That it gives up is a loss for its domain, which
    /// the judge hears of, not for the run.
    async fn plan_one(&self, planner: Planner, overview: &str) -> Result<Vec<Planner>> {
        let Some(domain) = planner.domain.clone() else {
            return Err(Error::failed(format!("the sub-planner {} has no domain", planner.id)));
        };
        self.store.start_planner(&planner).await?;
        let mut last = String::new();
        for _ in 0..ROLE_ATTEMPTS {
            let (brief, depth) = (self.brief.clone(), planner.depth);
            match self.crew.plan_domain(&planner.id, brief, overview, domain.clone(), depth).await {
                Ok(plan) => return self.finish(&planner, plan).await,
                Err(Setback::Stop(error)) => return Err(error),
                Err(Setback::Attempt(why)) => {
                    tracing::warn!(domain = domain.name, "a sub-planner's attempt failed: {why}");
                    last = why;
                }
            }
        }
        self.store.fail_planner(&planner, last).await?;
        Ok(Vec::new())
    }

    async fn finish(&self, planner: &Planner, plan: DomainPlan) -> Result<Vec<Planner>> {
        let plan = self.within_limits(planner, plan);
        let sub_planners = self.store.finish_planner(self.brief.cycle, planner, plan).await?;
        self.progress.ring();
        Ok(sub_planners)
    }

    /// Leaves out what is more than the caps allow, and says how much it was.
    fn within_limits(&self, planner: &Planner, plan: DomainPlan) -> Plan {
        let DomainPlan { summary, mut tasks, mut domains } = plan;
        let wanted = tasks.len() + domains.len();
        let room = self.progress.take_tasks(tasks.len(), &self.limits);
        tasks.truncate(room);
        domains.truncate(if planner.depth < self.limits.max_depth {
            self.limits.max_domains
        } else {
            0
        });
        drop_same_names(&mut domains);
        let left_out = wanted - tasks.len() - domains.len();
        if left_out > 0 {
            tracing::warn!(planner = planner.id, left_out, "a plan was larger than the caps allow");
        }
        Plan { summary, tasks, domains, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) }
    }
}

/// Two domains of one name would be planned twice.
fn drop_same_names(domains: &mut Vec<Domain>) {
    let mut seen = std::collections::HashSet::new();
    domains.retain(|domain| seen.insert(domain.name.clone()));
}
