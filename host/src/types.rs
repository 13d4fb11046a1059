//! The plain data that the modules pass to one another, in the words of
//! `wit/types.wit` and `wit/roles.wit`. Owns no behaviour beyond naming and
//! parsing; how the data is stored, sent or shown is other modules' business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How urgent a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Others are worthless without it.
    Critical,
    /// Much depends on it.
    High,
    /// The usual.
    Medium,
    /// Can wait.
    Low,
}

impl Priority {
    /// The word that stands in the database and that models use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "critical" => Ok(Self::Critical),
            "high" => Ok(Self::High),
            "medium" => Ok(Self::Medium),
            "low" => Ok(Self::Low),
            other => Err(format!("`{other}` is no priority; use critical, high, medium or low")),
        }
    }
}

/// Which part an agent plays in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Divides the goal into domains.
    MainPlanner,
    /// Breaks a domain into tasks.
    SubPlanner,
    /// Does one task.
    Worker,
    /// Brings a finished task together with what it collides with.
    Merger,
    /// Decides whether another cycle starts.
    Judge,
}

impl Role {
    /// All roles, in the order in which a cycle needs them.
    pub const ALL: [Self; 5] =
        [Self::MainPlanner, Self::SubPlanner, Self::Worker, Self::Merger, Self::Judge];

    /// The name that messages, `plugins.toml` and the WIT interfaces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MainPlanner => "main-planner",
            Self::SubPlanner => "sub-planner",
            Self::Worker => "worker",
            Self::Merger => "merger",
            Self::Judge => "judge",
        }
    }

    /// Whether a run can do without it.
    pub fn is_optional(self) -> bool {
        self == Self::Merger
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What every role of a cycle is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// What the user asked for.
    pub goal: String,
    /// Counts from 1.
    pub cycle: u32,
    /// How many cycles the run may have.
    pub max_cycles: u32,
    /// The repository's own instructions to agents (AGENTS.md).
    pub instructions: Option<String>,
    /// What a person told this run while it was running.
    pub guidance: Vec<String>,
    /// The folder that the run is about, relative to the repository's top;
    /// empty for the top itself.
    pub root_path: String,
}

/// An area of the codebase that one sub-planner owns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// A short name.
    pub name: String,
    /// What has to be reached there.
    pub description: String,
    /// Globs, relative to the repository's top.
    pub file_patterns: Vec<String>,
}

/// A task as a planner writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDraft {
    /// One line; becomes the commit's first.
    pub title: String,
    /// What to do and how to know that it is done.
    pub description: String,
    /// How urgent it is.
    pub priority: Priority,
    /// The files it is about, relative to the repository's top.
    pub file_paths: Vec<String>,
}

/// A task as a worker gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The row's key in the queue.
    pub id: String,
    /// What the planner wrote.
    pub draft: TaskDraft,
    /// Counts from 1.
    pub attempt: u32,
    /// Why the attempt before this one did not land.
    pub last_error: Option<String>,
}

/// What a main planner returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectPlan {
    /// How the parts fit together; every sub-planner is told.
    pub overview: String,
    /// One sub-planner each.
    pub domains: Vec<Domain>,
}

/// What a sub-planner returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainPlan {
    /// What it found and planned, in a few sentences.
    pub summary: String,
    /// The tasks of this domain.
    pub tasks: Vec<TaskDraft>,
    /// Parts that get a sub-planner of their own.
    pub domains: Vec<Domain>,
}

/// What a worker returns, and a merger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// False: what is in the checkout does not land.
    pub success: bool,
    /// What was done, or why it could not be.
    pub summary: String,
    /// Concerns, deviations and findings, for the judge.
    pub notes: Vec<String>,
}

/// A path at which a worker's changes collide with the branch's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collision {
    /// Relative to the repository's top.
    pub path: String,
    /// How long the conflict markers in the checkout's file are; none where it
    /// has none, and is the branch's version.
    pub markers: Option<u16>,
    /// What the two sides did to it, for the merger.
    pub description: String,
}

/// What a merger is asked to merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergeRequest {
    /// The worker's task.
    pub task: Task,
    /// What the worker says of its work.
    pub report: Report,
    /// The commit that the worker started from.
    pub base: String,
    /// The commit that the merger's checkout stands on.
    pub tip: String,
    /// The commits since the base that touched the colliding files.
    pub commits: Vec<String>,
    /// Where the two sides collide.
    pub collisions: Vec<Collision>,
    /// What the worker changed since the base, as a unified diff.
    pub worker_diff: String,
    /// What the branch changed since the base in the colliding files.
    pub branch_diff: String,
}

/// How one task of a cycle ended, as the judge hears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// What the planner wrote.
    pub draft: TaskDraft,
    /// Whether it was done.
    pub completed: bool,
    /// The worker's report, or why the task failed.
    pub summary: String,
    /// The worker's notes, and the host's, which begin with `host: `.
    pub notes: Vec<String>,
    /// What landed, if anything: commit ids.
    pub commits: Vec<String>,
    /// What those commits changed.
    pub changed_files: Vec<String>,
}

/// What the user's check said of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The command.
    pub command_line: String,
    /// Whether it ended with 0.
    pub passed: bool,
    /// What it said, shortened in the middle.
    pub output: String,
}

/// What a judge is asked to judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CycleReport {
    /// The main planner's overview.
    pub overview: String,
    /// All tasks of the cycle.
    pub outcomes: Vec<TaskOutcome>,
    /// Domains that could not be planned, and why.
    pub planner_failures: Vec<String>,
    /// What the user's check said of the branch, where there is one.
    pub check: Option<CheckResult>,
    /// The commits that were taken back because the check was red, the oldest first.
    pub rolled_back: Vec<String>,
    /// The branch's commit at the cycle's start.
    pub base: String,
    /// The branch's commit now.
    pub head: String,
}

/// A way back, to a commit where the user's check is green.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retreat {
    /// The commit that the run stood on.
    pub from: String,
    /// The commit where it stands then.
    pub to: String,
    /// The reference that holds the first.
    pub kept: String,
    /// The commits in between, the oldest first.
    #[serde(default)]
    pub commits: Vec<String>,
    /// Their titles.
    pub titles: Vec<String>,
}

/// Whether another cycle starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// There is more to do.
    NextCycle,
    /// Enough, for better or worse.
    Stop,
}

/// What a judge returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether another cycle starts.
    pub decision: Decision,
    /// Whether the goal is reached. A stop without it is an honest "no".
    pub goal_met: bool,
    /// Why.
    pub reasoning: String,
}

/// Tokens that requests to a model have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Those of the input that came from the server's cache.
    pub cached_input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
}

/// A tool as a model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Letters, digits, '_' and '-'; at most 64.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// A JSON Schema of an object, as text.
    pub parameters: String,
    /// Whether it changes files.
    pub writes: bool,
}

/// What a model said in one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The text beside the calls; empty where there is none.
    pub text: String,
    /// The tools that it wants to use; their ids are unique within the reply.
    pub calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// The tokens of this turn: the server's figures, or an estimate from the
    /// length of the texts where the server gives none.
    pub usage: Usage,
    /// How full the context window is now, from 0 to 1; none where its size is not known.
    pub context_used: Option<f32>,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It had said everything.
    End,
    /// It waits for the results of its calls.
    ToolCalls,
    /// It ran into the limit of output tokens; the last call may be cut.
    Length,
    /// It, or its server's filter, will not answer that.
    Refusal,
}

/// A model's wish to use a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within its reply.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// A JSON object, as the model wrote it: possibly malformed.
    pub arguments: String,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// For the model.
    pub output: String,
    /// Whether the model has something to mend.
    pub is_error: bool,
}

/// Why a call from a component or a model failed, sorted by what the caller
/// can do about it: the `error` of `wit/types.wit`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallError {
    /// The grant is missing. Asking again does not help.
    #[error("denied: {0}")]
    Denied(String),
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// Fix the arguments and call again.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Somebody else changed it meanwhile.
    #[error("conflict: {0}")]
    Conflict(String),
    /// May work later.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A budget is used up.
    #[error("exhausted: {0}")]
    Exhausted(String),
    /// More than the receiver takes.
    #[error("too long: {0}")]
    TooLong(String),
}
