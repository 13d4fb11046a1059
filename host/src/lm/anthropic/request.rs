//! The writing half: blocks, tools and the request around them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::lm::answer::{Answer, past_arguments, past_name};
use crate::lm::wire::{Opening, json, parameters};
use crate::types::CallError;

/// The wire demands a limit; this one every model accepts.
const USUAL_MAX_TOKENS: u32 = 8192;

/// Everything in a request but the messages.
#[derive(Serialize)]
struct Head<'a> {
    model: &'a str,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    /// Kept as written, for the order of properties tells the model something.
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

/// Up to where the server shall cache. There may be four in a request: here
/// they are behind the tools, the system prompt and the user's last block.
#[derive(Serialize)]
struct CacheControl {
    r#type: &'static str,
}

const CACHE_UP_TO_HERE: CacheControl = CacheControl { r#type: "ephemeral" };

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: &'a str,
        name: String,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// The request up to where the messages begin.
pub(in crate::lm) fn opening(opening: &Opening<'_>) -> Result<Vec<u8>, CallError> {
    let last = opening.tools.len().saturating_sub(1);
    let tools = opening.tools.iter().enumerate().map(|(index, spec)| {
        Ok(Tool {
            name: &spec.name,
            description: &spec.description,
            input_schema: parameters(spec)?,
            cache_control: (index == last).then_some(CACHE_UP_TO_HERE),
        })
    });
    // A text without anything in it is refused.
    let system = (!opening.system.trim().is_empty())
        .then_some(Block::Text { text: opening.system, cache_control: Some(CACHE_UP_TO_HERE) });
    let mut head = json(&Head {
        model: opening.model,
        max_tokens: opening.max_output_tokens.unwrap_or(USUAL_MAX_TOKENS),
        stream: true,
        temperature: opening.temperature,
        tools: tools.collect::<Result<_, CallError>>()?,
        system: system.into_iter().collect(),
    })?;
    // The object stays open, for the messages grow behind it.
    head.pop();
    head.extend_from_slice(b",\"messages\":[");
    Ok(head)
}

/// A text of the user, without its closing brace.
pub(in crate::lm) fn text_block(text: &str) -> Result<Vec<u8>, CallError> {
    open_block(&Block::Text { text, cache_control: None })
}

/// The result of one call, without its closing brace.
pub(in crate::lm) fn result_block(
    call: &str,
    output: &str,
    is_error: bool,
) -> Result<Vec<u8>, CallError> {
    let content = if output.trim().is_empty() { "(nothing)" } else { output };
    open_block(&Block::ToolResult { tool_use_id: call, content, is_error })
}

fn open_block(block: &Block<'_>) -> Result<Vec<u8>, CallError> {
    let mut block = json(block)?;
    block.pop();
    Ok(block)
}

/// What the model said, as it is told to it again.
pub(in crate::lm) fn assistant_message(answer: &Answer) -> Result<Vec<u8>, CallError> {
    let calls = answer.calls.iter().map(|call| Block::ToolUse {
        id: &call.id,
        name: past_name(&call.name),
        input: past_arguments(&call.arguments),
    });
    // A message without any block is refused, and so is an empty text.
    let text = match answer.text.as_str() {
        text if !text.trim().is_empty() => Some(text),
        _ if answer.calls.is_empty() => Some("(nothing)"),
        _ => None,
    };
    let text = text.map(|text| Block::Text { text, cache_control: None });
    json(&Message { role: "assistant", content: text.into_iter().chain(calls).collect() })
}
