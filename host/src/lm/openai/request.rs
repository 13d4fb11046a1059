//! The writing half: messages, tools and the request around them, as the
//! strictest servers accept them.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::Answer;
use crate::types::{ToolCall, ToolSpec};

/// A message or the list of tools, serialised once and never again.
pub(in crate::lm) type Fragment = Box<RawValue>;

/// The longest name of a tool that servers accept, in bytes.
pub(in crate::lm) const LONGEST_TOOL_NAME: usize = 64;

/// Everything in a request.
#[derive(Serialize)]
pub(in crate::lm) struct Request<'a, Message> {
    pub(in crate::lm) model: &'a str,
    pub(in crate::lm) messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::lm) tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::lm) temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::lm) max_tokens: Option<u32>,
    /// What OpenAI's own models want instead of `max_tokens`, which other
    /// servers don't all know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::lm) max_completion_tokens: Option<u32>,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
}

#[derive(Serialize)]
struct Call {
    id: String,
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

/// A message with a text: the system's or the user's.
pub(in crate::lm) fn text_message(role: &str, text: &str) -> serde_json::Result<Fragment> {
    to_raw_value(&Message { role, content: Some(text), ..Message::default() })
}

/// The result of one call.
pub(in crate::lm) fn tool_message(call: &str, output: &str) -> serde_json::Result<Fragment> {
    let message = Message { role: "tool", content: Some(output), ..Message::default() };
    to_raw_value(&Message { tool_call_id: Some(call), ..message })
}

/// What the model said, as it is told to it again.
pub(in crate::lm) fn assistant_message(answer: &Answer) -> serde_json::Result<Fragment> {
    let content = (!answer.text.is_empty() || answer.calls.is_empty()).then_some(&*answer.text);
    let tool_calls = answer.calls.iter().map(past_call).collect();
    to_raw_value(&Message { role: "assistant", content, tool_calls, ..Message::default() })
}

/// A call as servers accept it in the past of a conversation: OpenAI refuses
/// names with other letters, and chat templates read the arguments as an
/// object. What the model wrote stays readable, so that it sees its mistake.
fn past_call(call: &ToolCall) -> Call {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let name: String =
        call.name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let name = match name.get(..LONGEST_TOOL_NAME.min(name.len())) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "unnamed".to_owned(),
    };
    let arguments = match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(_)) => call.arguments.clone(),
        _ => serde_json::json!({ "malformed": call.arguments }).to_string(),
    };
    Call { id: call.id.clone(), r#type: "function", function: Function { name, arguments } }
}

/// The list of tools; none where there are none, since servers refuse an empty
/// list. Fails where parameters are no JSON.
pub(in crate::lm) fn tools(specs: &[ToolSpec]) -> serde_json::Result<Option<Fragment>> {
    if specs.is_empty() {
        return Ok(None);
    }
    let tools: Vec<Tool<'_>> = specs
        .iter()
        .map(|spec| {
            let parameters = serde_json::from_str(&spec.parameters)?;
            let function = Offer { name: &spec.name, description: &spec.description, parameters };
            Ok(Tool { r#type: "function", function })
        })
        .collect::<serde_json::Result<_>>()?;
    to_raw_value(&tools).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_calls_are_told_again_in_good_form() {
        let call = |name: &str, arguments: &str| {
            past_call(&ToolCall { id: "a".into(), name: name.into(), arguments: arguments.into() })
        };
        assert_eq!(call("edit file", "{\"x\": 1}").function.name, "edit_file");
        assert_eq!(call("", "{\"x\": 1}").function.name, "unnamed");
        assert_eq!(call("ä".repeat(99).as_str(), "").function.name, "_".repeat(64));
        assert_eq!(call("a", "{\"x\": 1}").function.arguments, "{\"x\": 1}");
        assert_eq!(call("a", "{\"x\":").function.arguments, r#"{"malformed":"{\"x\":"}"#);
    }
}
