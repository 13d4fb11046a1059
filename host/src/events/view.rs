//! A run as it stands: a pure fold over its events, and nothing else. Knows no
//! database and no process, so it can't tell whether the run's host is alive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, Outcome, Recorded};
use crate::types::{Decision, Retreat, Role, Usage, Verdict};

/// A run as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The run's id.
    pub run: String,
    /// What the user asked for.
    pub goal: String,
    /// The branch that the work goes to.
    pub branch: String,
    /// The model's name.
    pub model: String,
    /// The branch's commit at the start.
    pub base: String,
    /// The commit that the work stands on.
    pub tip: String,
    /// How many cycles the run may have; 0 where that is not known.
    pub max_cycles: u32,
    /// How many workers work at once; 0 where that is not known.
    pub max_workers: u32,
    /// How far it is.
    pub phase: Phase,
    /// How it ended, where it has.
    pub outcome: Option<Outcome>,
    /// Why it ended so, where it failed.
    pub message: Option<String>,
    /// How often it was resumed.
    pub resumed: u32,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// When its last event was recorded.
    pub updated_at: String,
    /// Its cycles, oldest first.
    pub cycles: Vec<CycleView>,
    /// The tasks of all cycles.
    pub tasks: TaskCounts,
    /// Who works on what, by slot. A host that was killed leaves them as they
    /// were until the run is resumed.
    pub workers: Vec<WorkerView>,
    /// What the calls of roles that have ended asked of the model.
    pub usage: UsageView,
    /// What was last said of the branch or warned of.
    pub notice: Option<String>,
}

/// How far a run is, as far as events tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was started or resumed, and has not ended.
    #[default]
    Going,
    /// It was told to stop and waits for what is landing.
    Stopping,
    /// It has ended.
    Ended,
}

/// One cycle of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CycleView {
    /// Counts from 1.
    pub cycle: u32,
    /// The commit that it started from.
    pub base: String,
    /// When it began.
    pub started_at: String,
    /// When it was judged.
    pub ended_at: Option<String>,
    /// What the judge said.
    pub verdict: Option<Verdict>,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// Its planners in the order in which they began; `parent` makes the tree.
    pub planners: Vec<PlannerView>,
}

/// One planner of a cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannerView {
    /// Its id.
    pub planner: String,
    /// Main planner or sub-planner.
    pub role: Role,
    /// Its domain's name; the main planner has none.
    pub domain: Option<String>,
    /// The planner that asked for it.
    pub parent: Option<String>,
    /// How far it is.
    pub state: PlannerState,
    /// When it began.
    pub started_at: String,
    /// How many sub-planners it asked for.
    pub sub_planners: u32,
    /// What was left out because a cap was reached.
    pub left_out: u32,
    /// The tasks that it made.
    pub tasks: TaskCounts,
    /// Why it gave up.
    pub error: Option<String>,
}

/// How far a planner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannerState {
    /// It has not returned.
    Planning,
    /// It returned its plan.
    Finished,
    /// It gave up.
    Failed,
}

/// How many tasks are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Nobody has them.
    pub pending: u32,
    /// A worker has them.
    pub in_progress: u32,
    /// Done.
    pub completed: u32,
    /// Given up.
    pub failed: u32,
}

/// A worker and what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its slot.
    pub slot: String,
    /// The task's id.
    pub task: String,
    /// The task's title.
    pub title: String,
    /// The planner that made the task.
    pub planner: String,
    /// Counts from 1.
    pub attempt: u32,
    /// When the attempt began.
    pub since: String,
}

/// Tokens, in all and by role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageView {
    /// In all.
    pub total: Usage,
    /// By role.
    pub by_role: BTreeMap<Role, Usage>,
}

impl RunView {
    /// Takes the run's next event in.
    pub fn apply(&mut self, recorded: &Recorded) {
        let time = &recorded.time;
        self.updated_at.clone_from(time);
        match &recorded.event {
            Event::RunStarted { .. } | Event::RunResumed { .. } | Event::RunEnded { .. } => {
                self.apply_to_run(recorded);
            }
            Event::Stopping | Event::BudgetUsedUp { .. } => self.phase = Phase::Stopping,
            Event::CycleStarted { cycle, base } => {
                self.cycles.push(CycleView::new(*cycle, base, time));
            }
            Event::CycleMoved { base, .. } => {
                if let Some(cycle) = self.cycles.last_mut() {
                    cycle.base.clone_from(base);
                }
            }
            Event::CycleEnded { decision, goal_met, reasoning, .. } => {
                self.end_cycle(time, *decision, *goal_met, reasoning);
            }
            Event::PlannerStarted { .. }
            | Event::PlannerFinished { .. }
            | Event::PlannerFailed { .. } => self.apply_to_planner(recorded),
            Event::AttemptStarted { task, title, attempt, slot, planner } => {
                self.count(planner, |tasks| take(&mut tasks.pending, &mut tasks.in_progress));
                self.workers.push(WorkerView {
                    slot: slot.clone(),
                    task: task.clone(),
                    title: title.clone(),
                    planner: planner.clone(),
                    attempt: *attempt,
                    since: time.clone(),
                });
                self.workers
                    .sort_by(|one, other| slot_order(&one.slot).cmp(&slot_order(&other.slot)));
            }
            Event::TaskReturned { task, .. } | Event::AttemptFailed { task, again: true, .. } => {
                self.end_attempt(task, |tasks| take(&mut tasks.in_progress, &mut tasks.pending));
            }
            Event::TaskCompleted { task, .. } => {
                self.end_attempt(task, |tasks| take(&mut tasks.in_progress, &mut tasks.completed));
            }
            Event::TaskFailed { task, .. } => {
                self.end_attempt(task, |tasks| take(&mut tasks.in_progress, &mut tasks.failed));
            }
            Event::Landed { commit, .. } => self.tip.clone_from(commit),
            Event::Pushed { commit, .. } => self.tip.clone_from(commit),
            Event::RolledBack(Retreat { to, .. }) => self.tip.clone_from(to),
            Event::ModelUsed { role, usage, .. } => self.usage.add(*role, *usage),
            Event::Branch { message } | Event::Warning { message } => {
                self.notice = Some(message.clone());
            }
            // The last attempt's failure is told by `TaskFailed`, which comes
            // with it; a role's is one of several and shows in its end.
            Event::AttemptFailed { again: false, .. }
            | Event::RoleFailed { .. }
            | Event::Checkouts { .. }
            | Event::PluginsTakenUp { .. }
            | Event::MergeTried { .. }
            | Event::Merged { .. }
            | Event::LeftOut { .. }
            | Event::Checked { .. } => {}
        }
    }

    fn apply_to_run(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::RunStarted { goal, branch, base, model, max_cycles, max_workers } => {
                self.run.clone_from(&recorded.run);
                self.started_at.clone_from(&recorded.time);
                self.goal.clone_from(goal);
                self.branch.clone_from(branch);
                self.model.clone_from(model);
                self.base.clone_from(base);
                self.tip.clone_from(base);
                (self.max_cycles, self.max_workers) = (*max_cycles, *max_workers);
            }
            Event::RunResumed { tip, max_cycles, max_workers } => {
                self.resumed += 1;
                self.tip.clone_from(tip);
                (self.max_cycles, self.max_workers) = (*max_cycles, *max_workers);
                (self.phase, self.outcome, self.message) = (Phase::Going, None, None);
            }
            Event::RunEnded { outcome, message } => {
                self.phase = Phase::Ended;
                self.outcome = Some(*outcome);
                self.message.clone_from(message);
            }
            _ => {}
        }
    }

    fn apply_to_planner(&mut self, recorded: &Recorded) {
        let Some(cycle) = self.cycles.last_mut() else { return };
        match &recorded.event {
            Event::PlannerStarted { planner, role, domain, parent } => {
                cycle.start_planner(PlannerView {
                    planner: planner.clone(),
                    role: *role,
                    domain: domain.clone(),
                    parent: parent.clone(),
                    state: PlannerState::Planning,
                    started_at: recorded.time.clone(),
                    sub_planners: 0,
                    left_out: 0,
                    tasks: TaskCounts::default(),
                    error: None,
                });
            }
            Event::PlannerFinished { planner, tasks, sub_planners, left_out, .. } => {
                if let Some(planner) = cycle.planner(planner) {
                    planner.state = PlannerState::Finished;
                    planner.sub_planners = *sub_planners;
                    planner.left_out = *left_out;
                }
                self.count(planner, |counts| counts.pending += tasks);
            }
            Event::PlannerFailed { planner, error, .. } => {
                if let Some(planner) = cycle.planner(planner) {
                    planner.state = PlannerState::Failed;
                    planner.error = Some(error.clone());
                }
            }
            _ => {}
        }
    }

    fn end_cycle(&mut self, time: &str, decision: Decision, goal_met: bool, reasoning: &str) {
        let Some(cycle) = self.cycles.last_mut() else { return };
        cycle.ended_at = Some(time.to_owned());
        cycle.verdict = Some(Verdict { decision, goal_met, reasoning: reasoning.to_owned() });
        // What is pending at a cycle's end is cleared, for a fresh start.
        self.tasks.pending = self.tasks.pending.saturating_sub(cycle.tasks.pending);
        cycle.tasks.pending = 0;
        for planner in &mut cycle.planners {
            planner.tasks.pending = 0;
        }
    }

    fn end_attempt(&mut self, task: &str, change: impl Fn(&mut TaskCounts)) {
        let Some(at) = self.workers.iter().position(|worker| worker.task == task) else { return };
        let worker = self.workers.remove(at);
        self.count(&worker.planner, change);
    }

    /// Changes the counts of the run, of the cycle and of the task's planner.
    fn count(&mut self, planner: &str, change: impl Fn(&mut TaskCounts)) {
        change(&mut self.tasks);
        let Some(cycle) = self.cycles.last_mut() else { return };
        change(&mut cycle.tasks);
        if let Some(planner) = cycle.planner(planner) {
            change(&mut planner.tasks);
        }
    }
}

impl CycleView {
    fn new(cycle: u32, base: &str, time: &str) -> Self {
        Self {
            cycle,
            base: base.to_owned(),
            started_at: time.to_owned(),
            ended_at: None,
            verdict: None,
            tasks: TaskCounts::default(),
            planners: Vec::new(),
        }
    }

    fn planner(&mut self, id: &str) -> Option<&mut PlannerView> {
        self.planners.iter_mut().find(|planner| planner.planner == id)
    }

    /// A planner that a resumed run asks again takes its old place.
    fn start_planner(&mut self, started: PlannerView) {
        match self.planner(&started.planner) {
            Some(planner) => *planner = started,
            None => self.planners.push(started),
        }
    }

    /// The planners that this one asked for and that have begun; with none,
    /// the main planner.
    pub fn children<'a>(
        &'a self,
        parent: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PlannerView> {
        self.planners.iter().filter(move |planner| planner.parent.as_deref() == parent)
    }
}

impl UsageView {
    fn add(&mut self, role: Role, usage: Usage) {
        for sum in [&mut self.total, self.by_role.entry(role).or_default()] {
            sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
            sum.cached_input_tokens =
                sum.cached_input_tokens.saturating_add(usage.cached_input_tokens);
            sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
        }
    }
}

fn take(from: &mut u32, to: &mut u32) {
    *from = from.saturating_sub(1);
    *to = to.saturating_add(1);
}

/// `worker-10` comes after `worker-9`.
fn slot_order(slot: &str) -> (usize, &str) {
    (slot.len(), slot)
}
