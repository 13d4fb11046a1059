//! Between the contract's generated types and the host's plain data. Nothing
//! is decided here.

use super::bindings::code_agent::plugin::{files, git, lm, tools, types};
use super::bindings::exports::code_agent::plugin::{
    judge, main_planner, merger, sub_planner, worker,
};
use crate::types::{
    Brief, CallError, CheckResult, Collision, CycleReport, Decision, Domain, DomainPlan,
    MergeRequest, Priority, ProjectPlan, Report, Task, TaskDraft, TaskOutcome, ToolCall,
    ToolResult, ToolSpec, Verdict,
};

/// Why a call from a component fails: an answer that it can act on, or the
/// end of the call.
#[derive(Debug)]
pub(crate) enum ImportError {
    /// Goes back to the component.
    Answer(CallError),
    /// Ends the component's call: a handle that it doesn't have, say.
    Trap(wasmtime::Error),
}

impl From<CallError> for ImportError {
    fn from(error: CallError) -> Self {
        Self::Answer(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for ImportError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<CallError> for types::Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Denied(text) => Self::Denied(text),
            CallError::NotFound(text) => Self::NotFound(text),
            CallError::Invalid(text) => Self::Invalid(text),
            CallError::Conflict(text) => Self::Conflict(text),
            CallError::Unavailable(text) => Self::Unavailable(text),
            CallError::Exhausted(text) => Self::Exhausted(text),
            CallError::TooLong(text) => Self::TooLong(text),
        }
    }
}

impl From<types::Error> for CallError {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::NotFound(text) => Self::NotFound(text),
            types::Error::Invalid(text) => Self::Invalid(text),
            types::Error::Conflict(text) => Self::Conflict(text),
            types::Error::Unavailable(text) => Self::Unavailable(text),
            types::Error::Exhausted(text) => Self::Exhausted(text),
            types::Error::TooLong(text) => Self::TooLong(text),
        }
    }
}

impl From<types::Priority> for Priority {
    fn from(priority: types::Priority) -> Self {
        match priority {
            types::Priority::Critical => Self::Critical,
            types::Priority::High => Self::High,
            types::Priority::Medium => Self::Medium,
            types::Priority::Low => Self::Low,
        }
    }
}

impl From<Priority> for types::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Critical => Self::Critical,
            Priority::High => Self::High,
            Priority::Medium => Self::Medium,
            Priority::Low => Self::Low,
        }
    }
}

impl From<Brief> for types::Brief {
    fn from(brief: Brief) -> Self {
        let Brief { goal, cycle, max_cycles, instructions, guidance, root_path } = brief;
        Self { goal, cycle, max_cycles, instructions, guidance, root_path }
    }
}

impl From<Domain> for types::Domain {
    fn from(domain: Domain) -> Self {
        let Domain { name, description, file_patterns } = domain;
        Self { name, description, file_patterns }
    }
}

impl From<types::Domain> for Domain {
    fn from(domain: types::Domain) -> Self {
        let types::Domain { name, description, file_patterns } = domain;
        Self { name, description, file_patterns }
    }
}

impl From<TaskDraft> for types::TaskDraft {
    fn from(draft: TaskDraft) -> Self {
        let TaskDraft { title, description, priority, file_paths } = draft;
        Self { title, description, priority: priority.into(), file_paths }
    }
}

impl From<types::TaskDraft> for TaskDraft {
    fn from(draft: types::TaskDraft) -> Self {
        let types::TaskDraft { title, description, priority, file_paths } = draft;
        Self { title, description, priority: priority.into(), file_paths }
    }
}

impl From<Task> for types::Task {
    fn from(task: Task) -> Self {
        let Task { id, draft, attempt, last_error } = task;
        Self { id, draft: draft.into(), attempt, last_error }
    }
}

impl From<main_planner::ProjectPlan> for ProjectPlan {
    fn from(plan: main_planner::ProjectPlan) -> Self {
        Self { overview: plan.overview, domains: all(plan.domains) }
    }
}

impl From<sub_planner::DomainPlan> for DomainPlan {
    fn from(plan: sub_planner::DomainPlan) -> Self {
        Self { summary: plan.summary, tasks: all(plan.tasks), domains: all(plan.domains) }
    }
}

impl From<worker::Report> for Report {
    fn from(report: worker::Report) -> Self {
        Self { success: report.success, summary: report.summary, notes: report.notes }
    }
}

impl From<merger::MergeReport> for Report {
    fn from(report: merger::MergeReport) -> Self {
        Self { success: report.success, summary: report.summary, notes: report.notes }
    }
}

impl From<Collision> for merger::Collision {
    fn from(collision: Collision) -> Self {
        let Collision { path, markers, description } = collision;
        Self { path, markers: markers.map(Into::into), description }
    }
}

impl From<MergeRequest> for merger::MergeRequest {
    fn from(request: MergeRequest) -> Self {
        Self {
            task: request.task.into(),
            summary: request.report.summary,
            notes: request.report.notes,
            base: request.base,
            tip: request.tip,
            commits: request.commits,
            collisions: all(request.collisions),
            worker_diff: request.worker_diff,
            branch_diff: request.branch_diff,
        }
    }
}

impl From<TaskOutcome> for judge::TaskOutcome {
    fn from(outcome: TaskOutcome) -> Self {
        let status = if outcome.completed {
            judge::TaskStatus::Completed
        } else {
            judge::TaskStatus::Failed
        };
        Self {
            draft: outcome.draft.into(),
            status,
            summary: outcome.summary,
            notes: outcome.notes,
            commits: outcome.commits,
            changed_files: outcome.changed_files,
        }
    }
}

impl From<CheckResult> for judge::CheckResult {
    fn from(check: CheckResult) -> Self {
        let CheckResult { command_line, passed, output } = check;
        Self { command_line, passed, output }
    }
}

impl From<CycleReport> for judge::CycleReport {
    fn from(report: CycleReport) -> Self {
        Self {
            overview: report.overview,
            outcomes: all(report.outcomes),
            planner_failures: report.planner_failures,
            check: report.check.map(Into::into),
            rolled_back: report.rolled_back,
            base: report.base,
            head: report.head,
        }
    }
}

impl From<judge::Verdict> for Verdict {
    fn from(verdict: judge::Verdict) -> Self {
        let decision = match verdict.decision {
            judge::Decision::NextCycle => Decision::NextCycle,
            judge::Decision::Stop => Decision::Stop,
        };
        Self { decision, goal_met: verdict.goal_met, reasoning: verdict.reasoning }
    }
}

impl From<ToolSpec> for tools::ToolSpec {
    fn from(spec: ToolSpec) -> Self {
        let ToolSpec { name, description, parameters, writes } = spec;
        Self { name, description, parameters, writes }
    }
}

impl From<tools::ToolSpec> for ToolSpec {
    fn from(spec: tools::ToolSpec) -> Self {
        let tools::ToolSpec { name, description, parameters, writes } = spec;
        Self { name, description, parameters, writes }
    }
}

impl From<tools::ToolCall> for ToolCall {
    fn from(call: tools::ToolCall) -> Self {
        let tools::ToolCall { id, name, arguments } = call;
        Self { id, name, arguments }
    }
}

impl From<ToolCall> for tools::ToolCall {
    fn from(call: ToolCall) -> Self {
        let ToolCall { id, name, arguments } = call;
        Self { id, name, arguments }
    }
}

impl From<ToolResult> for tools::ToolResult {
    fn from(result: ToolResult) -> Self {
        let ToolResult { id, output, is_error } = result;
        Self { id, output, is_error }
    }
}

impl From<tools::ToolResult> for ToolResult {
    fn from(result: tools::ToolResult) -> Self {
        let tools::ToolResult { id, output, is_error } = result;
        Self { id, output, is_error }
    }
}

impl From<crate::lm::Reply> for lm::Reply {
    fn from(reply: crate::lm::Reply) -> Self {
        Self {
            text: reply.text,
            calls: all(reply.calls),
            stop: match reply.stop {
                crate::lm::Stop::End => lm::StopReason::End,
                crate::lm::Stop::ToolCalls => lm::StopReason::ToolCalls,
                crate::lm::Stop::Length => lm::StopReason::Length,
                crate::lm::Stop::Refusal => lm::StopReason::Refusal,
            },
            usage: lm::Usage {
                input_tokens: reply.usage.input_tokens,
                cached_input_tokens: reply.usage.cached_input_tokens,
                output_tokens: reply.usage.output_tokens,
            },
            context_used: reply.context_used,
        }
    }
}

impl From<crate::tools::search::Hit> for files::Hit {
    fn from(hit: crate::tools::search::Hit) -> Self {
        Self { path: hit.path.to_string(), line: hit.line, text: hit.text, matched: hit.matched }
    }
}

impl From<crate::repo::CommitSummary> for git::Commit {
    fn from(commit: crate::repo::CommitSummary) -> Self {
        Self { id: commit.id, summary: commit.summary, author: commit.author, time: commit.time }
    }
}

impl From<crate::repo::StatusEntry> for git::StatusEntry {
    fn from(entry: crate::repo::StatusEntry) -> Self {
        let change = match entry.change {
            crate::repo::FileChange::Added => git::Change::Added,
            crate::repo::FileChange::Modified => git::Change::Modified,
            crate::repo::FileChange::Deleted => git::Change::Deleted,
        };
        Self { path: entry.path.to_string(), change }
    }
}

/// Converts each element.
pub(super) fn all<T: Into<U>, U>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}
