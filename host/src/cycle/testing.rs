//! A store and a crew without database, components and repository, for tests
//! of the cycle alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{Crew, Stop};
use crate::events::Event;
use crate::queue::{
    Claim, Counts, CycleEnd, CycleState, MAX_ATTEMPTS, OpenCycle, Plan, Planner, Standing, Store,
};
use crate::types::{
    Brief, CheckResult, CycleReport, Decision, Domain, DomainPlan, Priority, ProjectPlan, Report,
    Retreat, Role, Task, TaskDraft, Usage, Verdict,
};
use crate::{Result, Setback};

/// Keeps everything in memory.
#[derive(Clone, Default)]
pub(super) struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Default)]
pub(super) struct Memory {
    pending: VecDeque<Task>,
    in_progress: u32,
    ids: u32,
    pub(super) completed: Vec<String>,
    pub(super) failed: Vec<(String, String)>,
    pub(super) plans: Vec<Plan>,
    pub(super) planner_failures: Vec<String>,
    /// Where the run stands at the start.
    pub(super) standing: Standing,
    /// Leases are lost at their first renewal.
    pub(super) loses_leases: bool,
}

impl MemoryStore {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl Memory {
    fn planner(&mut self, depth: u32, domain: Option<Domain>) -> Planner {
        self.ids += 1;
        Planner { id: format!("planner-{}", self.ids), depth, domain }
    }
}

impl Store for MemoryStore {
    async fn standing(&self) -> Result<Standing> {
        Ok(self.with(|memory| memory.standing.clone()))
    }

    async fn start_cycle(&self, cycle: u32, base: String) -> Result<OpenCycle> {
        let planner = self.with(|memory| memory.planner(0, None));
        Ok(OpenCycle { cycle, base, overview: String::new(), planners: vec![planner], tasks: 0 })
    }

    async fn model_used(
        &self,
        _cycle: u32,
        _role: Role,
        _subject: Option<&str>,
        _usage: Usage,
    ) -> Result<()> {
        Ok(())
    }

    async fn start_planner(&self, _planner: &Planner) -> Result<()> {
        Ok(())
    }

    async fn finish_planner(
        &self,
        _cycle: u32,
        planner: &Planner,
        plan: Plan,
    ) -> Result<Vec<Planner>> {
        Ok(self.with(|memory| {
            for draft in &plan.tasks {
                memory.ids += 1;
                let id = format!("task-{}", memory.ids);
                memory.pending.push_back(Task {
                    id,
                    draft: draft.clone(),
                    attempt: 0,
                    last_error: None,
                });
            }
            let domains = plan.domains.clone();
            memory.plans.push(plan);
            domains
                .into_iter()
                .map(|domain| memory.planner(planner.depth + 1, Some(domain)))
                .collect()
        }))
    }

    async fn fail_planner(&self, _planner: &Planner, error: String) -> Result<()> {
        self.with(|memory| memory.planner_failures.push(error));
        Ok(())
    }

    async fn claim(&self, _cycle: u32, slot: &str) -> Result<Option<Claim>> {
        Ok(self.with(|memory| {
            let mut task = memory.pending.pop_front()?;
            task.attempt += 1;
            memory.in_progress += 1;
            Some(Claim { task, slot: slot.to_owned() })
        }))
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        Ok(self.with(|memory| {
            if memory.loses_leases {
                // Somebody else has finished it meanwhile.
                memory.in_progress -= 1;
                memory.completed.push(claim.task.draft.title.clone());
            }
            !memory.loses_leases
        }))
    }

    async fn complete(&self, claim: &Claim, _report: Report) -> Result<bool> {
        self.with(|memory| {
            memory.in_progress -= 1;
            memory.completed.push(claim.task.draft.title.clone());
        });
        Ok(true)
    }

    async fn fail_attempt(&self, claim: &Claim, error: String) -> Result<bool> {
        Ok(self.with(|memory| {
            memory.in_progress -= 1;
            if claim.task.attempt < MAX_ATTEMPTS {
                memory.pending.push_back(Task { last_error: Some(error), ..claim.task.clone() });
                return true;
            }
            memory.failed.push((claim.task.draft.title.clone(), error));
            true
        }))
    }

    async fn open_tasks(&self, _cycle: u32) -> Result<u32> {
        Ok(self.with(|memory| memory.in_progress + u32::try_from(memory.pending.len()).unwrap()))
    }

    async fn cycle_state(&self, _cycle: u32) -> Result<CycleState> {
        let planner_failures = self.with(|memory| memory.planner_failures.clone());
        Ok(CycleState { planner_failures, ..CycleState::default() })
    }

    async fn end_cycle(&self, _end: CycleEnd) -> Result<Counts> {
        let count = |length: usize| u32::try_from(length).unwrap();
        Ok(self.with(|memory| Counts {
            completed: count(memory.completed.len()),
            failed: count(memory.failed.len()),
        }))
    }

    async fn record(&self, _who: &str, _event: Event) -> Result<()> {
        Ok(())
    }
}

type Answer<A, B> = Box<dyn Fn(A) -> Result<B, Setback> + Send + Sync>;

/// Roles that answer as a test says. The default plans two domains with a
/// task each, works with success and is content.
pub(super) struct FakeCrew {
    pub(super) plan: Answer<Brief, ProjectPlan>,
    pub(super) plan_domain: Answer<(Domain, u32), DomainPlan>,
    pub(super) work: Answer<Task, Report>,
    pub(super) review: Answer<Brief, Verdict>,
    /// How long each work takes.
    pub(super) work_takes: std::time::Duration,
}

impl Default for FakeCrew {
    fn default() -> Self {
        Self {
            plan: Box::new(|_| Ok(project_plan(&["left", "right"]))),
            plan_domain: Box::new(|(domain, _)| Ok(domain_plan(&[&domain.name], &[]))),
            work: Box::new(|_| Ok(report(true))),
            review: Box::new(|_| Ok(verdict(Decision::Stop))),
            work_takes: std::time::Duration::ZERO,
        }
    }
}

impl Crew for FakeCrew {
    async fn brief(&self, cycle: u32, max_cycles: u32) -> Result<Brief> {
        Ok(Brief {
            goal: "A goal".into(),
            cycle,
            max_cycles,
            instructions: None,
            guidance: Vec::new(),
            root_path: String::new(),
        })
    }

    async fn plan(&self, _planner: &str, brief: Brief) -> Result<ProjectPlan, Setback> {
        (self.plan)(brief)
    }

    async fn plan_domain(
        &self,
        _planner: &str,
        _brief: Brief,
        _overview: &str,
        domain: Domain,
        depth: u32,
    ) -> Result<DomainPlan, Setback> {
        (self.plan_domain)((domain, depth))
    }

    async fn work(&self, claim: &Claim, _brief: Brief) -> Result<Report, Setback> {
        tokio::time::sleep(self.work_takes).await;
        (self.work)(claim.task.clone())
    }

    async fn check(&self, _commit: &str) -> Result<Option<CheckResult>> {
        Ok(None)
    }

    async fn find_green(
        &self,
        _base: &str,
        _head: &str,
        red: CheckResult,
    ) -> Result<(CheckResult, Option<Retreat>)> {
        Ok((red, None))
    }

    async fn retreat(&self, _retreat: &Retreat) -> Result<()> {
        Ok(())
    }

    async fn review(
        &self,
        brief: Brief,
        _report: CycleReport,
        _is_last_attempt: bool,
    ) -> Result<Verdict, Setback> {
        (self.review)(brief)
    }

    async fn head(&self) -> Result<String> {
        Ok("head".into())
    }

    async fn prepare(&self, _base: &str) -> Result<()> {
        Ok(())
    }

    async fn publish(&self, _stop: Stop) -> Result<Option<CheckResult>> {
        Ok(None)
    }

    async fn end_cycle(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

pub(super) fn domain(name: &str) -> Domain {
    Domain { name: name.to_owned(), description: String::new(), file_patterns: Vec::new() }
}

pub(super) fn project_plan(domains: &[&str]) -> ProjectPlan {
    ProjectPlan {
        overview: "overview".into(),
        domains: domains.iter().map(|name| domain(name)).collect(),
    }
}

pub(super) fn domain_plan(tasks: &[&str], domains: &[&str]) -> DomainPlan {
    let draft = |title: &&str| TaskDraft {
        title: (*title).to_owned(),
        description: String::new(),
        priority: Priority::Medium,
        file_paths: Vec::new(),
    };
    DomainPlan {
        summary: "summary".into(),
        tasks: tasks.iter().map(draft).collect(),
        domains: domains.iter().map(|name| domain(name)).collect(),
    }
}

pub(super) fn report(success: bool) -> Report {
    Report { success, summary: "the summary".into(), notes: Vec::new() }
}

pub(super) fn verdict(decision: Decision) -> Verdict {
    Verdict { decision, goal_met: decision == Decision::Stop, reasoning: "reasons".into() }
}
