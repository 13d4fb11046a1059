//! The reading half: answers, lists of models and complaints, with patience
//! for what real servers leave out or write otherwise.

use std::collections::HashSet;

use serde_json::Value;

use crate::lm::Stop;
use crate::lm::retry::{Complaint, Failure, Fault, sort};
use crate::types::{ToolCall, Usage};

/// More calls in one reply are cut off, before the model hears of them.
const MOST_CALLS: usize = 128;
/// Longer ids of calls are replaced by shorter ones, in bytes.
const LONGEST_CALL_ID: usize = 64;

/// What a server answered to a chat request.
#[derive(Debug, PartialEq)]
pub(in crate::lm) struct Answer {
    pub(in crate::lm) text: String,
    pub(in crate::lm) calls: Vec<ToolCall>,
    pub(in crate::lm) stop: Stop,
    pub(in crate::lm) usage: Option<Usage>,
}

/// Reads the body of a chat answer whose status was good. What isn't a chat
/// completion is the server's fault and may pass.
pub(in crate::lm) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let answer = read_object(body)?;
    let choice = answer.pointer("/choices/0").unwrap_or(&Value::Null);
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(strange("has no choice with a message", body));
    };
    let finish_reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    if finish_reason == "error" {
        return Err(strange("was broken off by an error", body));
    }
    let calls = read_calls(message);
    let refusal = message.get("refusal").and_then(Value::as_str);
    let stop = match finish_reason {
        "length" => Stop::Length,
        "content_filter" => Stop::Refusal,
        _ if !calls.is_empty() => Stop::ToolCalls,
        _ if refusal.is_some() => Stop::Refusal,
        _ => Stop::End,
    };
    let mut text = read_text(message.get("content").unwrap_or(&Value::Null));
    if text.is_empty() {
        text = refusal.unwrap_or_default().to_owned();
    }
    Ok(Answer { text, calls, stop, usage: answer.get("usage").and_then(read_usage) })
}

/// A model that a server lists.
#[derive(Debug, PartialEq)]
pub(in crate::lm) struct Listed {
    pub(in crate::lm) name: String,
    pub(in crate::lm) context_window: Option<u64>,
}

/// Reads the first model of a list; none where the list is empty.
pub(in crate::lm) fn read_first_model(body: &[u8]) -> Result<Option<Listed>, Failure> {
    let answer = read_object(body)?;
    let Some(models) = answer.get("data").and_then(Value::as_array) else {
        // Ollama lists `null` where no model was pulled yet.
        let empty = answer.get("data").is_some_and(Value::is_null);
        return if empty { Ok(None) } else { Err(strange("is no list of models", body)) };
    };
    Ok(models.iter().find_map(|model| {
        let name = model.get("id")?.as_str().filter(|name| !name.is_empty())?.to_owned();
        // vLLM's own field.
        let context_window = model.get("max_model_len").and_then(Value::as_u64);
        Some(Listed { name, context_window })
    }))
}

/// Reads what a server complains about: OpenAI's shape, vLLM's older one with
/// the fields at the top, FastAPI's `detail`, Ollama's plain text.
pub(in crate::lm) fn read_complaint(body: &[u8]) -> Complaint {
    let answer = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = match answer.get("error") {
        Some(error) if !error.is_null() => error,
        _ => &answer,
    };
    let texts = [Some(error), error.get("message"), error.get("detail")];
    let message = texts.into_iter().flatten().find_map(Value::as_str);
    let codes = ["code", "type"].into_iter().filter_map(|field| match error.get(field) {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    });
    Complaint {
        codes: codes.collect(),
        message: message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned),
    }
}

/// The start of a text on one line, for sentences to people.
pub(in crate::lm) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(1000).collect();
    let line = start.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

fn strange(what: &str, body: &[u8]) -> Failure {
    let body = excerpt(&String::from_utf8_lossy(body));
    Failure::new(Fault::Passing, format!("its answer {what}: {body}"))
}

fn read_object(body: &[u8]) -> Result<Value, Failure> {
    let answer = serde_json::from_slice(body).unwrap_or(Value::Null);
    if !answer.is_object() {
        return Err(strange("is no JSON object", body));
    }
    if answer.get("error").is_some_and(|error| !error.is_null()) {
        let complaint = read_complaint(body);
        let what = format!("it answered with an error: {}", excerpt(&complaint.message));
        return Err(Failure::new(sort(200, &complaint), what));
    }
    Ok(answer)
}

/// Content is a text, null, or a list of parts with texts.
fn read_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

fn read_calls(message: &Value) -> Vec<ToolCall> {
    let calls = message.get("tool_calls").and_then(Value::as_array).map_or(&[][..], |calls| calls);
    if calls.len() > MOST_CALLS {
        tracing::warn!(
            calls = calls.len(),
            "a reply has more than {MOST_CALLS} calls; the rest is cut"
        );
    }
    let mut taken = HashSet::new();
    let functions = calls.iter().filter_map(|call| Some((call, call.get("function")?)));
    functions
        .take(MOST_CALLS)
        .enumerate()
        .map(|(index, (call, function))| ToolCall {
            id: unique_id(call.get("id").and_then(Value::as_str), index + 1, &mut taken),
            name: function.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            arguments: read_arguments(function.get("arguments")),
        })
        .collect()
}

/// The id that the server gave, or one of our own where it gave none, one that
/// is too long to be taken back, or the same one twice.
fn unique_id(id: Option<&str>, number: usize, taken: &mut HashSet<String>) -> String {
    let given = id.filter(|id| (1..=LONGEST_CALL_ID).contains(&id.len()));
    let mut id = given.map_or_else(|| format!("call_{number}"), str::to_owned);
    let mut suffix = number;
    while !taken.insert(id.clone()) {
        suffix += 1;
        id = format!("call_{suffix}");
    }
    id
}

fn read_arguments(arguments: Option<&Value>) -> String {
    match arguments {
        // A tool without parameters is often called with nothing at all.
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(object) => object.to_string(),
    }
}

fn read_usage(usage: &Value) -> Option<Usage> {
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
                    { "id": "call_1", "function": { "name": "b", "arguments": "" } },
                    { "id": "call_1", "function": { "name": "c", "arguments": "{\"x\":" } },
                    { "id": "z", "function": { "name": "d", "arguments": null } },
                    null,
                ],
            }),
            "stop",
        );
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let calls = [
            call("call_1", "a", "{\"x\":1}"),
            call("call_3", "b", "{}"),
            call("call_4", "c", "{\"x\":"),
            call("z", "d", "{}"),
        ];
        assert_eq!(answer.calls, calls);
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
        for (body, fault) in [
            ("<html>", Fault::Passing),
            ("{\"choices\":[]}", Fault::Passing),
            ("{\"choices\":[{\"message\":{},\"finish_reason\":\"error\"}]}", Fault::Passing),
            ("{\"error\":\"model is loading\"}", Fault::Passing),
            ("{\"error\":{\"code\":402,\"message\":\"pay\"}}", Fault::Unpaid),
            ("{\"error\":{\"message\":\"context length\"}}", Fault::TooLong),
        ] {
            let failure = read_answer(body.as_bytes()).unwrap_err();
            assert_eq!(failure.fault, fault, "{body}");
            assert!(!failure.what.is_empty());
        }
    }

    #[test]
    fn complaints_are_found_in_all_shapes() {
        for (body, codes, message) in [
            (r#"{"error":{"message":"a","type":"t","code":"c"}}"#, &["c", "t"][..], "a"),
            (r#"{"object":"error","message":"a","code":404}"#, &["404"], "a"),
            (r#"{"detail":"a"}"#, &[], "a"),
            (r#"{"error":"a"}"#, &[], "a"),
            ("a", &[], "a"),
        ] {
            let complaint = read_complaint(body.as_bytes());
            assert_eq!(complaint.codes, codes, "{body}");
            assert_eq!(complaint.message, message, "{body}");
        }
    }

    #[test]
    fn excerpts_are_bounded_single_lines() {
        assert_eq!(excerpt(" a\n\tb\u{1b}[2J "), "a b[2J");
        assert_eq!(excerpt(&"ä".repeat(5000)).chars().count(), 300);
    }
}
