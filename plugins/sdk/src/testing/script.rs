//! Values that tests need again and again. Owns their defaults.

use serde_json::Value;

use crate::lm::{Reply, StopReason, Usage};
use crate::tools::ToolCall;
use crate::types::{Brief, Priority, Task, TaskDraft};

/// The model calls one tool.
pub fn call(name: &str, arguments: Value) -> Reply {
    calls([(name, arguments)])
}

/// The model calls several tools at once. The host gives each call its id.
pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Reply {
    let call = |(name, arguments): (&str, Value)| ToolCall {
        id: String::new(),
        name: name.to_owned(),
        arguments: arguments.to_string(),
    };
    let calls = calls.into_iter().map(call).collect();
    Reply { calls, stop: StopReason::ToolCalls, ..text("") }
}

/// The model writes a text and calls nothing. Other replies are made of this one:
/// `Reply { stop: StopReason::Length, ..text("I") }`.
pub fn text(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        calls: Vec::new(),
        stop: StopReason::End,
        usage: Usage { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0 },
        context_used: None,
    }
}

/// The first of five cycles, for a whole repository.
pub fn brief(goal: &str) -> Brief {
    Brief {
        goal: goal.to_owned(),
        cycle: 1,
        max_cycles: 5,
        instructions: None,
        guidance: Vec::new(),
        root_path: ".".to_owned(),
    }
}

/// The first attempt at a task.
pub fn task(title: &str) -> Task {
    Task { id: "task-1".to_owned(), draft: draft(title), attempt: 1, last_error: None }
}

/// A task as a planner writes it, of medium priority, for no file.
pub fn draft(title: &str) -> TaskDraft {
    TaskDraft {
        title: title.to_owned(),
        description: format!("{title}."),
        priority: Priority::Medium,
        file_paths: Vec::new(),
    }
}
