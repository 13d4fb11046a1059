//! All the tools that an agent may use, and the running of its calls: readers
//! side by side, each writer alone in its place, results in the calls' order.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::command::{self, RUN_COMMAND};
use super::git::{self, COMMIT_AND_PUSH, GIT_TOOLS};
use super::specs::{FILE_TOOLS, Tool};
use crate::agent::{Agent, Grant, Rights};
use crate::types::{CallError, ToolCall, ToolResult, ToolSpec};

/// More calls in one go than any model makes; a component that sends more
/// is told so.
const MOST_CALLS: usize = 128;

/// The tools for these rights.
pub fn specs(rights: Rights) -> Vec<ToolSpec> {
    all().filter(|tool| is_allowed(tool, rights)).map(Tool::spec).collect()
}

fn all() -> impl Iterator<Item = &'static Tool> {
    FILE_TOOLS.iter().chain(GIT_TOOLS).chain([&RUN_COMMAND])
}

fn is_allowed(tool: &Tool, rights: Rights) -> bool {
    if tool.name == RUN_COMMAND.name {
        return rights.allows(Grant::Commands);
    }
    if tool.name == COMMIT_AND_PUSH {
        return rights.allows(Grant::GitWrite);
    }
    !tool.writes || rights.allows(Grant::FilesWrite)
}

fn find(name: &str) -> Option<&'static Tool> {
    all().find(|tool| tool.name == name)
}

/// Runs the calls and returns their results in order. What the model can mend
/// is a result with `is_error`.
pub async fn call_all(
    agent: &Arc<Agent>,
    calls: Vec<ToolCall>,
) -> Result<Vec<ToolResult>, CallError> {
    if calls.len() > MOST_CALLS {
        return Err(CallError::Invalid(format!(
            "{} calls in one go; at most {MOST_CALLS} are run",
            calls.len()
        )));
    }
    if let [call] = calls.as_slice() {
        // The usual case needs no task of its own.
        return Ok(vec![into_result(call.id.clone(), call_one(agent, call).await)]);
    }
    let mut results = Vec::with_capacity(calls.len());
    let mut readers: Vec<(String, JoinHandle<Result<String, CallError>>)> = Vec::new();
    for call in calls {
        let writes = find(&call.name).is_some_and(|tool| tool.writes);
        if writes {
            // A reader that comes before a writer sees the files as they were.
            collect(&mut readers, &mut results).await;
            results.push(into_result(call.id.clone(), call_one(agent, &call).await));
        } else {
            let agent = agent.clone();
            let id = call.id.clone();
            readers.push((id, tokio::spawn(async move { call_one(&agent, &call).await })));
        }
    }
    collect(&mut readers, &mut results).await;
    Ok(results)
}

async fn collect(
    readers: &mut Vec<(String, JoinHandle<Result<String, CallError>>)>,
    results: &mut Vec<ToolResult>,
) {
    for (id, reader) in readers.drain(..) {
        let outcome = reader.await.unwrap_or_else(|error| {
            tracing::error!("a tool broke off: {error}");
            Err(CallError::Unavailable("the tool broke off; this is a fault of the host".into()))
        });
        results.push(into_result(id, outcome));
    }
}

fn into_result(id: String, outcome: Result<String, CallError>) -> ToolResult {
    match outcome {
        Ok(output) => ToolResult { id, output, is_error: false },
        Err(error) => ToolResult { id, output: error.to_string(), is_error: true },
    }
}

async fn call_one(agent: &Agent, call: &ToolCall) -> Result<String, CallError> {
    let Some(tool) = find(&call.name) else {
        let names: Vec<String> = specs(agent.rights()).into_iter().map(|spec| spec.name).collect();
        return Err(CallError::NotFound(format!(
            "no tool is called `{}`; there are: {}",
            call.name,
            names.join(", ")
        )));
    };
    if tool.name == RUN_COMMAND.name && is_allowed(tool, agent.rights()) {
        return command::call(agent, &call.arguments).await;
    }
    if !is_allowed(tool, agent.rights()) {
        return Err(CallError::Denied(format!(
            "`{}` is not for the {}, or not to be had on this host",
            tool.name,
            agent.role()
        )));
    }
    if GIT_TOOLS.iter().any(|git_tool| git_tool.name == tool.name) {
        return git::call(agent, tool, &call.arguments).await;
    }
    let (name, arguments) = (tool.name, call.arguments.clone());
    let may_write = tool.writes;
    agent
        .in_write_area(move |area| {
            super::call_file_tool(area, may_write, name, &arguments)
                .unwrap_or_else(|| Err(CallError::NotFound(format!("no tool is called `{name}`"))))
        })
        .await
}
