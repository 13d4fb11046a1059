//! Calling a role: one call whose end is either the role's answer, in bounds,
//! or a failed attempt.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::exports::code_agent::plugin::{
    judge, main_planner, merger, sub_planner, worker,
};
use super::bounds::Bounded;
use super::machine::Answer;
use super::state::{CallState, Caller};
use super::{CallFailure, FailureReason, Plugin, Plugins};
use crate::agent::Agent;
use crate::types::{
    Brief, CycleReport, Domain, DomainPlan, MergeRequest, ProjectPlan, Report, Role, Task, Verdict,
};

/// Which roles a component exports.
pub(super) fn exported_roles(instance: &InstancePre<CallState>) -> Vec<Role> {
    Role::ALL
        .into_iter()
        .filter(|role| match role {
            Role::MainPlanner => main_planner::GuestIndices::new(instance).is_ok(),
            Role::SubPlanner => sub_planner::GuestIndices::new(instance).is_ok(),
            Role::Worker => worker::GuestIndices::new(instance).is_ok(),
            Role::Merger => merger::GuestIndices::new(instance).is_ok(),
            Role::Judge => judge::GuestIndices::new(instance).is_ok(),
        })
        .collect()
}

impl Plugins {
    /// Asks the main planner for a plan.
    pub async fn plan(&self, agent: Arc<Agent>, brief: Brief) -> Result<ProjectPlan, CallFailure> {
        self.call(self.of_role(agent.role()), agent, async |store, plugin, instance| {
            let guest =
                main_planner::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let plan = guest.call_plan(store, &brief.into()).await?;
            Ok(plan.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Asks a sub-planner to plan its domain.
    pub async fn plan_domain(
        &self,
        agent: Arc<Agent>,
        brief: Brief,
        overview: &str,
        domain: Domain,
        depth: u32,
    ) -> Result<DomainPlan, CallFailure> {
        self.call(self.of_role(agent.role()), agent, async |store, plugin, instance| {
            let guest =
                sub_planner::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let plan = guest
                .call_plan_domain(store, &brief.into(), overview, &domain.into(), depth)
                .await?;
            Ok(plan.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Has a worker do a task.
    pub async fn work(
        &self,
        agent: Arc<Agent>,
        brief: Brief,
        task: Task,
    ) -> Result<Report, CallFailure> {
        self.call(self.of_role(agent.role()), agent, async |store, plugin, instance| {
            let guest =
                worker::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let report = guest.call_run(store, &brief.into(), &task.into()).await?;
            Ok(report.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Has a merger bring both sides of a conflict together.
    pub async fn merge(
        &self,
        agent: Arc<Agent>,
        brief: Brief,
        request: MergeRequest,
    ) -> Result<Report, CallFailure> {
        self.call(self.of_role(agent.role()), agent, async |store, plugin, instance| {
            let guest =
                merger::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let report = guest.call_merge(store, &brief.into(), &request.into()).await?;
            Ok(report.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Asks the judge of this name for its verdict.
    pub async fn review(
        &self,
        judge: &str,
        agent: Arc<Agent>,
        brief: Brief,
        report: CycleReport,
    ) -> Result<Verdict, CallFailure> {
        self.call(self.judge(judge), agent, async |store, plugin, instance| {
            let guest = judge::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let verdict = guest.call_review(store, &brief.into(), &report.into()).await?;
            Ok(verdict.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Makes an instance of what fills the agent's role and lets it go again:
    /// shows that it starts, and what that takes.
    pub async fn start(&self, agent: Arc<Agent>) -> Result<(), CallFailure> {
        self.call(self.of_role(agent.role()), agent, async |_, _, _| Ok(Ok(()))).await
    }

    async fn call<T: Bounded>(
        &self,
        plugin: Option<&Arc<Plugin>>,
        agent: Arc<Agent>,
        ask: impl AsyncFnOnce(&mut Store<CallState>, &Plugin, Instance) -> Answer<T>,
    ) -> Result<T, CallFailure> {
        let role = agent.role();
        let Some(plugin) = plugin else {
            let reason = FailureReason::Missing;
            return Err(CallFailure { plugin: role.to_string(), role, reason });
        };
        let caller = Caller { rights: agent.rights(), agent };
        let seconds = plugin.limits.call_seconds;
        let answer = self.machine.call(plugin, Some(caller), seconds, ask).await;
        let plugin = plugin.entry.name.clone();
        answer.map(Bounded::bounded).map_err(|reason| CallFailure { plugin, role, reason })
    }
}
