//! Calling a role: a fresh Store with its limits, one call, and an end that
//! is either the role's answer or a failed attempt.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline};

use super::bindings::exports::code_agent::plugin::{
    judge, main_planner, merger, sub_planner, worker,
};
use super::bounds::{Bounded, cut_reason};
use super::limits::{HOSTCALL_BYTES, MAX_HANDLES, STACK_BYTES};
use super::state::CallState;
use super::{CallFailure, FailureReason, Plugin, Plugins};
use crate::agent::Agent;
use crate::types::{
    Brief, CallError, CycleReport, Domain, DomainPlan, MergeRequest, ProjectPlan, Report, Role,
    Task, Verdict,
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

/// A role's answer, or the error that it returned.
type Answer<T> = wasmtime::Result<Result<T, CallError>>;

impl Plugins {
    /// Asks the main planner for a plan.
    pub async fn plan(&self, agent: Arc<Agent>, brief: Brief) -> Result<ProjectPlan, CallFailure> {
        self.call(agent, async |store, plugin, instance| {
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
        self.call(agent, async |store, plugin, instance| {
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
        self.call(agent, async |store, plugin, instance| {
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
        self.call(agent, async |store, plugin, instance| {
            let guest =
                merger::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let report = guest.call_merge(store, &brief.into(), &request.into()).await?;
            Ok(report.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Asks the judge for its verdict.
    pub async fn review(
        &self,
        agent: Arc<Agent>,
        brief: Brief,
        report: CycleReport,
    ) -> Result<Verdict, CallFailure> {
        self.call(agent, async |store, plugin, instance| {
            let guest = judge::GuestIndices::new(&plugin.instance)?.load(&mut *store, &instance)?;
            let verdict = guest.call_review(store, &brief.into(), &report.into()).await?;
            Ok(verdict.map(Into::into).map_err(Into::into))
        })
        .await
    }

    /// Makes an instance of what fills the agent's role and lets it go again:
    /// shows that it starts, and what that takes.
    pub async fn start(&self, agent: Arc<Agent>) -> Result<(), CallFailure> {
        self.call(agent, async |_, _, _| Ok(Ok(()))).await
    }

    async fn call<T: Bounded>(
        &self,
        agent: Arc<Agent>,
        ask: impl AsyncFnOnce(&mut Store<CallState>, &Plugin, Instance) -> Answer<T>,
    ) -> Result<T, CallFailure> {
        let role = agent.role();
        let Some(plugin) = self.of_role(role) else {
            return Err(CallFailure {
                plugin: role.to_string(),
                role,
                reason: FailureReason::Missing,
            });
        };
        let mut store = self.store(plugin, agent);
        let limit = plugin.entry.limits.call_seconds;
        let answer = tokio::time::timeout(Duration::from_secs(limit.into()), async {
            let instance = plugin.instance.instantiate_async(&mut store).await?;
            ask(&mut store, plugin, instance).await
        })
        .await;
        let reason = match answer {
            Ok(Ok(Ok(value))) => return Ok(value.bounded()),
            Ok(Ok(Err(error))) => FailureReason::GaveUp(error.bounded()),
            Ok(Err(error)) => FailureReason::Crashed(describe(&error)),
            Err(_) => FailureReason::TimedOut(limit),
        };
        Err(CallFailure { plugin: plugin.entry.name.clone(), role, reason })
    }

    fn store(&self, plugin: &Plugin, agent: Arc<Agent>) -> Store<CallState> {
        let mut store = Store::new(&self.engine, CallState::new(plugin.entry.clone(), agent));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

/// The reason at the root of a trap, without the frames of a stripped module.
fn describe(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    let limit = if error.downcast_ref() == Some(&Trap::StackOverflow) {
        format!(" ({} KiB)", STACK_BYTES >> 10)
    } else if root.contains("fuel allocated for hostcalls") {
        format!(" ({} MiB at a time)", HOSTCALL_BYTES >> 20)
    } else if root.contains("store handle limit") {
        format!(" ({MAX_HANDLES} at once)")
    } else {
        String::new()
    };
    cut_reason(root + &limit)
}
