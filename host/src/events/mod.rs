//! What happens in a run, as data: the one stream that the progress view,
//! `--json` and `status` read. Events are recorded by `queue/` in the same
//! transaction as the change that they tell of; showing them is `cli/`'s.
//! `view` folds them into a run as it stands, `history` into what became of
//! one task.

mod history;
mod view;
#[cfg(test)]
mod view_tests;

pub use history::{AttemptEnd, AttemptView, LandedCommit, MergeView, TaskHistory};
pub use view::{
    CycleView, Phase, PlannerState, PlannerView, RunView, TaskCounts, UsageView, WorkerView,
};

use serde::{Deserialize, Serialize};

use crate::types::{Decision, Retreat, Role, Usage};

/// One change of a run's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// What the user asked for.
        goal: String,
        /// The branch that the work goes to.
        branch: String,
        /// The branch's commit at the start.
        base: String,
        /// The model's name, as the server calls it.
        model: String,
        /// How many cycles the run may have; 0 where the event is older than
        /// the field.
        #[serde(default)]
        max_cycles: u32,
        /// How many workers work at once; 0 as above.
        #[serde(default)]
        max_workers: u32,
    },
    /// A run goes on after an interruption or a crash.
    RunResumed {
        /// The commit that its work stands on.
        tip: String,
        /// How many cycles the run may have; 0 where the event is older than
        /// the field.
        #[serde(default)]
        max_cycles: u32,
        /// How many workers work at once; 0 as above.
        #[serde(default)]
        max_workers: u32,
    },
    /// A run was told to stop and waits for what is landing.
    Stopping,
    /// The tokens, the money or the time of a run are used up: it winds down.
    BudgetUsedUp {
        /// One sentence.
        message: String,
    },
    /// A cycle began, fresh from this commit.
    CycleStarted {
        /// Counts from 1.
        cycle: u32,
        /// The branch's commit.
        base: String,
    },
    /// A cycle that is open begins on this commit from now on: what it began on was
    /// taken back, or others came before its work.
    CycleMoved {
        /// Counts from 1.
        cycle: u32,
        /// The branch's commit.
        base: String,
    },
    /// A planner began.
    PlannerStarted {
        /// Its id.
        planner: String,
        /// Main planner or sub-planner.
        role: Role,
        /// Its domain's name; the main planner has none.
        domain: Option<String>,
        /// The planner that asked for it.
        parent: Option<String>,
    },
    /// A planner's or the judge's attempt came to nothing.
    RoleFailed {
        /// Its role.
        role: Role,
        /// Its domain's name, where it has one.
        domain: Option<String>,
        /// Counts from 1.
        attempt: u32,
        /// Why.
        error: String,
    },
    /// A planner returned its plan.
    PlannerFinished {
        /// Its id.
        planner: String,
        /// Its domain's name; the main planner has none.
        domain: Option<String>,
        /// How many tasks it made.
        tasks: u32,
        /// How many sub-planners it asked for.
        sub_planners: u32,
        /// What was left out because a cap was reached.
        left_out: u32,
    },
    /// A planner gave up.
    PlannerFailed {
        /// Its id.
        planner: String,
        /// Its domain's name.
        domain: Option<String>,
        /// Why.
        error: String,
    },
    /// A worker took a task.
    AttemptStarted {
        /// The task's id.
        task: String,
        /// The task's title.
        title: String,
        /// Counts from 1.
        attempt: u32,
        /// The worker's slot.
        slot: String,
        /// The planner that made the task; empty where the event is older
        /// than the field.
        #[serde(default)]
        planner: String,
    },
    /// A task was in progress when its host ended: it is pending again, and
    /// the attempt does not count.
    TaskReturned {
        /// The task's id.
        task: String,
        /// The task's title.
        title: String,
    },
    /// An attempt came to nothing.
    AttemptFailed {
        /// The task's id.
        task: String,
        /// The task's title.
        title: String,
        /// Counts from 1.
        attempt: u32,
        /// Why.
        error: String,
        /// Whether there is another attempt.
        again: bool,
    },
    /// The check was red at a cycle's end, and the run moved back.
    RolledBack(Retreat),
    /// The user's check has looked at a commit.
    Checked {
        /// The task that it was made for; none for the branch at a cycle's end.
        task: Option<String>,
        /// The commit; one that was red never landed.
        commit: String,
        /// Whether it was green.
        passed: bool,
    },
    /// A finished task collided with what had landed meanwhile, and a merger
    /// begins to bring both together.
    MergeTried {
        /// The task's id.
        task: String,
        /// Where they collide.
        files: Vec<String>,
    },
    /// A merger brought both together, and that is what completed the task.
    Merged {
        /// The task's id.
        task: String,
        /// What landed; none where the branch had it all.
        commit: Option<String>,
    },
    /// A commit landed on the run's ref.
    Landed {
        /// The task's id.
        task: String,
        /// The commit.
        commit: String,
    },
    /// New files of a worker's checkout stayed out of its landing.
    LeftOut {
        /// The task's id.
        task: String,
        /// How many.
        files: usize,
        /// The first of them, files and folders.
        names: Vec<String>,
    },
    /// A task is done.
    TaskCompleted {
        /// The task's id.
        task: String,
        /// The task's title.
        title: String,
        /// The attempt that did it.
        attempt: u32,
        /// The worker's words.
        summary: String,
    },
    /// A task is given up.
    TaskFailed {
        /// The task's id.
        task: String,
        /// The task's title.
        title: String,
        /// The last attempt's error.
        error: String,
    },
    /// A role's call has ended; this is what it asked of the model.
    ModelUsed {
        /// The role.
        role: Role,
        /// The planner or task that it was about; none for the judge.
        subject: Option<String>,
        /// The tokens.
        usage: Usage,
    },
    /// A cycle was judged.
    CycleEnded {
        /// Counts from 1.
        cycle: u32,
        /// Tasks done.
        completed: u32,
        /// Tasks given up.
        failed: u32,
        /// The judge's decision.
        decision: Decision,
        /// Whether the goal is reached.
        goal_met: bool,
        /// The judge's reasons.
        reasoning: String,
    },
    /// What has changed in the plugins folder holds from this cycle on.
    PluginsTakenUp {
        /// One sentence each.
        changes: Vec<String>,
    },
    /// What became of the branch at a cycle's end.
    Branch {
        /// One sentence.
        message: String,
    },
    /// What has landed so far was pushed to the remote `origin`.
    Pushed {
        /// The branch there.
        branch: String,
        /// The commit that it stands on.
        commit: String,
        /// Whether what others had pushed was merged in first.
        merged: bool,
    },
    /// A run's checkouts at its end.
    Checkouts {
        /// What they take of the disk.
        bytes: u64,
        /// The folder in which they stay, if they do.
        kept: Option<String>,
    },
    /// Something that a person should know.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A run ended.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// Why, where it failed.
        message: Option<String>,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The judge said that the goal is met.
    GoalMet,
    /// The judge gave up.
    GivenUp,
    /// The cycles are used up and the judge wanted another.
    CyclesUsedUp,
    /// Something that only a person can mend.
    Failed,
    /// A person stopped it.
    Interrupted,
    /// Its tokens, its money or its time are used up.
    BudgetUsedUp,
}

impl Outcome {
    /// The word that stands in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GoalMet => "goal-met",
            Self::GivenUp => "given-up",
            Self::CyclesUsedUp => "cycles-used-up",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::BudgetUsedUp => "budget-used-up",
        }
    }
}

/// An event as it was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Grows by the order of recording; unique in a database.
    pub sequence: i64,
    /// When: RFC 3339, UTC.
    pub time: String,
    /// The run's id.
    pub run: String,
    /// Who: an agent's name, or `host`.
    pub who: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}
