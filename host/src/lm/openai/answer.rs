//! The reading half: whole answers and lists of models, with patience for
//! what real servers leave out or write otherwise.

use serde_json::Value;

use crate::lm::Stop;
use crate::lm::answer::{Answer, RawCall, read_calls};
use crate::lm::complaint::{read_object, strange};
use crate::lm::retry::{Failure, Remedy};
use crate::types::Usage;

/// Reads the body of a chat answer whose status was good and that is not a
/// stream. What isn't a chat completion is the server's fault and may pass.
pub(in crate::lm) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let answer = read_object(body)?;
    let choice = answer.pointer("/choices/0").unwrap_or(&Value::Null);
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(strange("has no choice with a message", body));
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).map_or(&[][..], |calls| calls);
    let written = Written {
        text: read_text(message.get("content").unwrap_or(&Value::Null)),
        refusal: text(message, "refusal").to_owned(),
        calls: calls.iter().filter_map(read_call).collect(),
        finish_reason: text(choice, "finish_reason").to_owned(),
        usage: answer.get("usage").and_then(read_usage),
    };
    written.into_answer()
}

/// An answer as the server wrote it, whole or in pieces.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) calls: Vec<RawCall>,
    pub(super) finish_reason: String,
    pub(super) usage: Option<Usage>,
}

impl Written {
    pub(super) fn into_answer(self) -> Result<Answer, Failure> {
        let Self { text, refusal, calls, finish_reason, usage } = self;
        if finish_reason == "error" {
            return Err(Failure::new(Remedy::Retry, "its answer was broken off by an error"));
        }
        let calls = read_calls(calls);
        let stop = match finish_reason.as_str() {
            "length" => Stop::Length,
            "content_filter" => Stop::Refusal,
            _ if !calls.is_empty() => Stop::ToolCalls,
            _ if !refusal.is_empty() => Stop::Refusal,
            _ => Stop::End,
        };
        let text = if text.is_empty() { refusal } else { text };
        Ok(Answer { text, calls, stop, usage })
    }
}

/// A model that a server lists.
#[derive(Debug, PartialEq)]
pub(in crate::lm) struct Listed {
    pub(in crate::lm) name: String,
    pub(in crate::lm) context_window: Option<u64>,
}

/// Reads a list of models, which looks the same at Anthropic's.
pub(in crate::lm) fn read_models(body: &[u8]) -> Result<Vec<Listed>, Failure> {
    let answer = read_object(body)?;
    let Some(models) = answer.get("data").and_then(Value::as_array) else {
        // Ollama lists `null` where no model was pulled yet.
        let empty = answer.get("data").is_some_and(Value::is_null);
        return if empty { Ok(Vec::new()) } else { Err(strange("is no list of models", body)) };
    };
    let listed = models.iter().filter_map(|model| {
        let name = model.get("id")?.as_str().filter(|name| !name.is_empty())?.to_owned();
        // vLLM's own field.
        let context_window = model.get("max_model_len").and_then(Value::as_u64);
        Some(Listed { name, context_window })
    });
    Ok(listed.collect())
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Content is a text, null, or a list of parts with texts.
pub(super) fn read_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text(part, "text")).collect(),
        _ => String::new(),
    }
}

/// A call, or a piece of one.
pub(super) fn read_call(call: &Value) -> Option<RawCall> {
    let function = call.get("function")?;
    Some(RawCall {
        id: text(call, "id").to_owned(),
        name: text(function, "name").to_owned(),
        arguments: match function.get("arguments") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Some servers give the object itself.
            Some(object) => object.to_string(),
        },
    })
}

pub(super) fn read_usage(usage: &Value) -> Option<Usage> {
    let tokens = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: tokens("/prompt_tokens")?,
        cached_input_tokens: tokens("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        output_tokens: tokens("/completion_tokens").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lm::retry::Mend;

    fn read(message: Value, finish_reason: &str) -> Answer {
        let choice = json!({ "message": message, "finish_reason": finish_reason });
        read_answer(json!({ "choices": [choice] }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn calls_are_read_as_servers_write_them() {
        let answer = read(
            json!({
                "content": null,
                "reasoning_content": "hm",
                "tool_calls": [
                    { "function": { "name": "a", "arguments": { "x": 1 } } },
                    { "id": "y", "function": { "name": "b", "arguments": "{\"x\":" } },
                    { "id": "z", "function": { "name": "c", "arguments": null } },
                    null,
                ],
            }),
            "stop",
        );
        let calls: Vec<_> = answer
            .calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("call_1", "a", "{\"x\":1}"), ("y", "b", "{\"x\":"), ("z", "c", "{}")]);
        assert_eq!((answer.stop, answer.text.as_str(), answer.usage), (Stop::ToolCalls, "", None));
    }

    #[test]
    fn stops_and_texts_are_read() {
        let cut = json!({ "tool_calls": [{ "id": "a", "function": { "name": "b" } }] });
        for (message, finish_reason, stop, text) in [
            (json!({ "content": "Hi." }), "stop", Stop::End, "Hi."),
            (json!({ "content": "Hi" }), "length", Stop::Length, "Hi"),
            (cut, "length", Stop::Length, ""),
            (json!({ "content": null, "refusal": "No." }), "stop", Stop::Refusal, "No."),
            (json!({ "content": "" }), "content_filter", Stop::Refusal, ""),
            (json!({ "content": [{ "type": "text", "text": "Hi." }] }), "eos", Stop::End, "Hi."),
            (json!({ "tool_calls": [] }), "tool_calls", Stop::End, ""),
        ] {
            let answer = read(message, finish_reason);
            assert_eq!((answer.stop, answer.text.as_str()), (stop, text), "{finish_reason}");
        }
    }

    #[test]
    fn what_is_no_completion_is_sorted() {
        let unpaid = Remedy::Mend(Mend::Credit);
        for (body, remedy) in [
            (&b"<html>"[..], Remedy::Retry),
            (b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", Remedy::Retry),
            (b"{\"choices\":[]}", Remedy::Retry),
            (b"{\"choices\":[{\"message\":{},\"finish_reason\":\"error\"}]}", Remedy::Retry),
            (b"{\"error\":\"model is loading\"}", Remedy::Retry),
            (b"{\"error\":{\"code\":402,\"message\":\"pay\"}}", unpaid),
            (b"{\"error\":{\"message\":\"context length\",\"code\":400}}", Remedy::Shorten),
        ] {
            let failure = read_answer(body).unwrap_err();
            assert_eq!(failure.remedy, remedy, "{}", String::from_utf8_lossy(body));
            assert!(!failure.what.is_empty());
        }
    }
}
