//! The planners' half of a cycle: the main planner, then sub-planners,
//! recursively. Tasks go to the queue as each planner returns.

use std::collections::HashSet;
use std::sync::Arc;

use super::work::{CycleWork, Step};
use super::{Crew, NoAnswer, ask};
use crate::queue::{Plan, Planner, Store};
use crate::types::{Domain, DomainPlan, Role};
use crate::{Error, Result, crash};

impl<S: Store, C: Crew> CycleWork<S, C> {
    pub(super) async fn run_planner(&self, planner: Planner, overview: Arc<str>) -> Result<Step> {
        self.store.start_planner(&planner).await?;
        match planner.domain.clone() {
            None => self.run_main_planner(&planner).await,
            Some(domain) => self.run_sub_planner(&planner, domain, overview).await,
        }
    }

    async fn run_main_planner(&self, planner: &Planner) -> Result<Step> {
        let question = |_| self.crew.plan(&planner.id, self.brief.clone());
        match ask(&self.store, Role::MainPlanner, None, question).await {
            Ok(plan) => {
                let overview = plan.overview.as_str().into();
                let plan =
                    DomainPlan { summary: plan.overview, tasks: Vec::new(), domains: plan.domains };
                self.finish(planner, plan, overview).await
            }
            Err(no_answer) => {
                let error = Error::from(no_answer);
                self.store.fail_planner(planner, error.to_string()).await?;
                Err(error)
            }
        }
    }

    /// That a sub-planner gives up is a loss for its domain, which the judge
    /// hears of, not for the run; unless only a person can mend it.
    async fn run_sub_planner(
        &self,
        planner: &Planner,
        domain: Domain,
        overview: Arc<str>,
    ) -> Result<Step> {
        let question = |_| {
            let (brief, domain) = (self.brief.clone(), domain.clone());
            self.crew.plan_domain(&planner.id, brief, &overview, domain, planner.depth)
        };
        match ask(&self.store, Role::SubPlanner, Some(&domain.name), question).await {
            Ok(plan) => self.finish(planner, plan, overview.clone()).await,
            Err(NoAnswer::Role(error)) => {
                self.store.fail_planner(planner, error.to_string()).await?;
                Ok(Step::Planned { next: Vec::new(), overview })
            }
            Err(NoAnswer::Run(error)) => Err(error),
        }
    }

    async fn finish(
        &self,
        planner: &Planner,
        plan: DomainPlan,
        overview: Arc<str>,
    ) -> Result<Step> {
        let plan = self.within_limits(planner, plan);
        crash::point("planner: plan returned");
        let next = self.store.finish_planner(self.brief.cycle, planner, plan).await?;
        crash::point("planner: tasks added");
        self.progress.changed();
        Ok(Step::Planned { next, overview })
    }

    /// Leaves out what is more than the caps allow, and says how much it was.
    fn within_limits(&self, planner: &Planner, plan: DomainPlan) -> Plan {
        let DomainPlan { summary, mut tasks, mut domains } = plan;
        // A name that stands twice is one domain, not one too many.
        let mut seen = HashSet::new();
        domains.retain(|domain| seen.insert(domain.name.clone()));
        let wanted = tasks.len() + domains.len();
        tasks.truncate(self.progress.take_tasks(tasks.len(), &self.limits));
        let deeper = planner.depth < self.limits.max_depth;
        domains.truncate(if deeper { self.limits.max_domains } else { 0 });
        let left_out = wanted - tasks.len() - domains.len();
        if left_out > 0 {
            tracing::warn!(planner = planner.id, left_out, "a plan was larger than the caps allow");
        }
        Plan { summary, tasks, domains, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) }
    }
}
