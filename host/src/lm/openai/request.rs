//! The writing half: messages, tools and the request around them, as the
//! strictest servers accept them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::lm::answer::{Answer, past_arguments, past_name};
use crate::lm::wire::{Opening, json, parameters};
use crate::types::{CallError, ToolCall, ToolSpec};

/// Everything in a request but the messages.
#[derive(Serialize)]
struct Head<'a> {
    model: &'a str,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    /// What OpenAI's own models want instead of `max_tokens`, which other
    /// servers don't all know.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: String,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Offer<'a>,
}

#[derive(Serialize)]
struct Offer<'a> {
    name: &'a str,
    description: &'a str,
    /// Kept as written, for the order of properties tells the model something.
    parameters: &'a RawValue,
}

/// The request up to where the messages after the system's go on.
/// `is_openai`: whether it is for OpenAI's own server.
pub(in crate::lm) fn opening(opening: &Opening<'_>, is_openai: bool) -> Result<Vec<u8>, CallError> {
    let tools = opening.tools.iter().map(tool).collect::<Result<_, _>>()?;
    let mut head = json(&Head {
        model: opening.model,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        tools,
        temperature: opening.temperature,
        max_tokens: opening.max_output_tokens.filter(|_| !is_openai),
        max_completion_tokens: opening.max_output_tokens.filter(|_| is_openai),
    })?;
    // The object stays open, for the messages grow behind it.
    head.pop();
    head.extend_from_slice(b",\"messages\":[");
    head.extend(text_message("system", opening.system)?);
    Ok(head)
}

/// A message with a text: the system's or the user's.
pub(in crate::lm) fn text_message(role: &str, text: &str) -> Result<Vec<u8>, CallError> {
    json(&Message { role, content: Some(text), ..Message::default() })
}

/// The result of one call.
pub(in crate::lm) fn tool_message(call: &str, output: &str) -> Result<Vec<u8>, CallError> {
    let message = Message { role: "tool", content: Some(output), ..Message::default() };
    json(&Message { tool_call_id: Some(call), ..message })
}

/// What the model said, as it is told to it again.
pub(in crate::lm) fn assistant_message(answer: &Answer) -> Result<Vec<u8>, CallError> {
    let content = (!answer.text.is_empty() || answer.calls.is_empty()).then_some(&*answer.text);
    let tool_calls = answer.calls.iter().map(past_call).collect();
    json(&Message { role: "assistant", content, tool_calls, ..Message::default() })
}

fn past_call(call: &ToolCall) -> Call<'_> {
    // Chat templates of local models read the arguments as an object.
    let arguments = past_arguments(&call.arguments).get().to_owned();
    let function = Function { name: past_name(&call.name), arguments };
    Call { id: &call.id, r#type: "function", function }
}

fn tool(spec: &ToolSpec) -> Result<Tool<'_>, CallError> {
    let parameters = parameters(spec)?;
    let function = Offer { name: &spec.name, description: &spec.description, parameters };
    Ok(Tool { r#type: "function", function })
}
