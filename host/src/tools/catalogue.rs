//! All the tools that an agent may use, the host's own and those of plugins, and
//! the running of its calls: readers side by side, each writer alone in its
//! place, results in the calls' order.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::command::{self, RUN_COMMAND};
use super::git::{self, COMMIT_AND_PUSH, GIT_TOOLS};
use super::specs::{FILE_TOOLS, Tool};
use crate::agent::{Agent, Grant, Rights};
use crate::types::{CallError, ToolCall, ToolResult, ToolSpec};

/// More calls in one go than any model makes; a component that sends more
/// is told so.
const MOST_CALLS: usize = 128;
/// Of them, readers that run at the same time: more would only stand before those of
/// other agents.
const MOST_READERS: usize = 8;

/// The tools for an agent in whose name these rights may be used.
pub fn specs(agent: &Agent, rights: Rights) -> Vec<ToolSpec> {
    let of_host = all().filter(|tool| is_allowed(tool, rights)).map(Tool::spec);
    let of_plugins = agent.tools.all().iter().map(|tool| &tool.spec);
    let of_plugins = of_plugins.filter(|spec| may_use(spec, rights)).cloned();
    of_host.chain(of_plugins).collect()
}

/// Whether the host has a tool of this name.
pub fn is_host_tool(name: &str) -> bool {
    find(name).is_some()
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
    if GIT_TOOLS.iter().any(|git_tool| git_tool.name == tool.name) {
        return rights.allows(Grant::Git);
    }
    rights.allows(if tool.writes { Grant::FilesWrite } else { Grant::Files })
}

/// Whether a plugin's tool is for those who have these rights. What it really
/// does is held to them as well.
fn may_use(spec: &ToolSpec, rights: Rights) -> bool {
    !spec.writes || rights.allows(Grant::FilesWrite)
}

fn find(name: &str) -> Option<&'static Tool> {
    all().find(|tool| tool.name == name)
}

/// Whether a call of this tool has to run alone.
fn writes(agent: &Agent, rights: Rights, name: &str) -> bool {
    match find(name) {
        Some(tool) => tool.writes,
        None => agent.tools.find(name).is_some_and(|tool| tool.may_change_files(rights)),
    }
}

/// Runs the calls and returns their results in order. What the model can mend
/// is a result with `is_error`.
pub async fn call_all(
    agent: &Arc<Agent>,
    rights: Rights,
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
        return Ok(vec![into_result(call.id.clone(), call_one(agent, rights, call).await)]);
    }
    let mut results = Vec::with_capacity(calls.len());
    let mut readers: Vec<(String, AbortOnDrop)> = Vec::new();
    let places = Arc::new(Semaphore::new(MOST_READERS));
    for call in calls {
        if writes(agent, rights, &call.name) {
            // A reader that comes before a writer sees the files as they were.
            collect(&mut readers, &mut results).await;
            results.push(into_result(call.id.clone(), call_one(agent, rights, &call).await));
        } else {
            let (agent, places) = (agent.clone(), places.clone());
            let id = call.id.clone();
            let reader = tokio::spawn(async move {
                // An error only from a semaphore that is closed, and this one never is.
                let _place = places.acquire().await;
                call_one(&agent, rights, &call).await
            });
            readers.push((id, AbortOnDrop(reader)));
        }
    }
    collect(&mut readers, &mut results).await;
    Ok(results)
}

/// A reader that ends with the call that waits for it: a component must not go
/// on in a checkout that is the next attempt's.
struct AbortOnDrop(JoinHandle<Result<String, CallError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn collect(readers: &mut Vec<(String, AbortOnDrop)>, results: &mut Vec<ToolResult>) {
    for (id, mut reader) in readers.drain(..) {
        let outcome = (&mut reader.0).await.unwrap_or_else(|error| {
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

async fn call_one(
    agent: &Arc<Agent>,
    rights: Rights,
    call: &ToolCall,
) -> Result<String, CallError> {
    let Some(tool) = find(&call.name) else { return call_plugin(agent, rights, call).await };
    if !is_allowed(tool, rights) {
        return Err(not_for(agent, tool.name));
    }
    if tool.name == RUN_COMMAND.name {
        return command::call(agent, &call.arguments).await;
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

async fn call_plugin(
    agent: &Arc<Agent>,
    rights: Rights,
    call: &ToolCall,
) -> Result<String, CallError> {
    let Some(tool) = agent.tools.find(&call.name) else {
        let names: Vec<String> = specs(agent, rights).into_iter().map(|spec| spec.name).collect();
        return Err(CallError::NotFound(format!(
            "no tool is called `{}`; there are: {}",
            call.name,
            names.join(", ")
        )));
    };
    if !may_use(&tool.spec, rights) {
        return Err(not_for(agent, &tool.spec.name));
    }
    // On the heap: a component's call may be made by another component's.
    Box::pin(agent.tools.call(tool, agent.clone(), rights, &call.arguments)).await
}

fn not_for(agent: &Agent, tool: &str) -> CallError {
    CallError::Denied(format!(
        "`{tool}` is not for the {}, or not to be had on this host",
        agent.role()
    ))
}
