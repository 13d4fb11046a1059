//! Answers as OpenAI's chat completions and those that follow it write them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::completion::{Said, SaidCall, event, in_pieces};
use crate::script::Quirk;

/// A whole completion.
pub(crate) fn whole(said: &Said<'_>) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.turn.text });
    if !said.calls.is_empty() {
        message["tool_calls"] = said.calls.iter().map(|call| whole_call(said, call)).collect();
    }
    if said.has(Quirk::Reasoning) {
        message["reasoning_content"] = json!("Let me think.");
    }
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish_reason(said) });
    let choices = if said.has(Quirk::EmptyChoices) { json!([]) } else { json!([choice]) };
    let mut body = json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": said.model,
        "choices": choices,
    });
    if !said.has(Quirk::NoUsage) {
        body["usage"] = usage(said);
    }
    body
}

fn whole_call(said: &Said<'_>, call: &SaidCall<'_>) -> Value {
    let arguments = if said.has(Quirk::ArgumentsAsObject) {
        call.arguments.clone()
    } else {
        json!(call.text())
    };
    let function = json!({ "name": call.name, "arguments": arguments });
    let mut call = json!({ "id": call.id, "type": "function", "function": function });
    if said.has(Quirk::NoIds)
        && let Some(call) = call.as_object_mut()
    {
        call.remove("id");
    }
    call
}

/// The events of a stream.
pub(crate) fn events(said: &Said<'_>) -> Vec<Bytes> {
    let mut events = vec![Bytes::from_static(b": welcome\n\n")];
    if !said.has(Quirk::EmptyChoices) {
        let mut say = |delta: Value, reason: Option<&str>| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
            events.push(event("", &chunk(said, json!([choice]))));
        };
        say(json!({ "role": "assistant", "content": "" }), None);
        if said.has(Quirk::Reasoning) {
            say(json!({ "reasoning_content": "Let me think." }), None);
        }
        for piece in in_pieces(said.turn.text.as_deref().unwrap_or_default()) {
            say(json!({ "content": piece }), None);
        }
        for (index, call) in said.calls.iter().enumerate() {
            for piece in call_pieces(said, index, call) {
                say(json!({ "tool_calls": [piece] }), None);
            }
        }
        say(json!({}), Some(finish_reason(said)));
    }
    if said.include_usage && !said.has(Quirk::NoUsage) {
        let mut last = chunk(said, json!([]));
        last["usage"] = usage(said);
        events.push(event("", &last));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// A call's pieces: its name first, then the arguments bit by bit.
fn call_pieces(said: &Said<'_>, index: usize, call: &SaidCall<'_>) -> Vec<Value> {
    let mut first = json!({
        "index": index,
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": "" },
    });
    if said.has(Quirk::NoIds)
        && let Some(first) = first.as_object_mut()
    {
        first.remove("id");
    }
    if said.has(Quirk::ArgumentsAsObject) {
        first["function"]["arguments"] = call.arguments.clone();
        return vec![first];
    }
    let more = in_pieces(&call.text()).into_iter();
    let more = more.map(|piece| json!({ "index": index, "function": { "arguments": piece } }));
    std::iter::once(first).chain(more).collect()
}

fn chunk(said: &Said<'_>, choices: Value) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": said.model,
        "choices": choices,
    })
}

fn usage(said: &Said<'_>) -> Value {
    json!({
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
    })
}

fn finish_reason(said: &Said<'_>) -> &'static str {
    if said.calls.is_empty() { "stop" } else { "tool_calls" }
}
