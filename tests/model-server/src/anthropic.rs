//! Answers as Anthropic's messages endpoint writes them. Ids and arguments
//! have one form there, so that the habits about these don't apply.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::completion::{Said, SaidCall, event, in_pieces};
use crate::script::Quirk;

/// A whole message.
pub(crate) fn whole(said: &Said<'_>) -> Value {
    let mut content = Vec::new();
    if said.has(Quirk::Reasoning) {
        content.push(json!({ "type": "thinking", "thinking": "Hm.", "signature": "s" }));
    }
    if let Some(text) = &said.turn.text {
        content.push(json!({ "type": "text", "text": text }));
    }
    content.extend(said.calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input(call) })
    }));
    let mut message = message(said);
    message["content"] = json!(content);
    message["stop_reason"] = json!(stop_reason(said));
    if !said.has(Quirk::NoUsage) {
        message["usage"] = usage(said);
    }
    message
}

/// The events of a stream.
pub(crate) fn events(said: &Said<'_>) -> Vec<Bytes> {
    let mut start = message(said);
    if !said.has(Quirk::NoUsage) {
        start["usage"] = usage(said);
        start["usage"]["output_tokens"] = json!(1);
    }
    let mut events = vec![
        event("message_start", &json!({ "type": "message_start", "message": start })),
        event("ping", &json!({ "type": "ping" })),
    ];
    let mut index = 0;
    let mut say = |block: Value, deltas: Vec<Value>| {
        let start =
            json!({ "type": "content_block_start", "index": index, "content_block": block });
        events.push(event("content_block_start", &start));
        for delta in deltas {
            let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            events.push(event("content_block_delta", &delta));
        }
        let stop = json!({ "type": "content_block_stop", "index": index });
        events.push(event("content_block_stop", &stop));
        index += 1;
    };
    if said.has(Quirk::Reasoning) {
        let delta = json!({ "type": "thinking_delta", "thinking": "Hm." });
        say(json!({ "type": "thinking", "thinking": "" }), vec![delta]);
    }
    if let Some(text) = &said.turn.text {
        let deltas = in_pieces(text).into_iter();
        let deltas = deltas.map(|piece| json!({ "type": "text_delta", "text": piece }));
        say(json!({ "type": "text", "text": "" }), deltas.collect());
    }
    for call in &said.calls {
        let deltas = in_pieces(&call.text()).into_iter();
        let deltas = deltas.map(|text| json!({ "type": "input_json_delta", "partial_json": text }));
        let block = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
        say(block, deltas.collect());
    }
    let mut end = json!({ "type": "message_delta", "delta": { "stop_reason": stop_reason(said) } });
    if !said.has(Quirk::NoUsage) {
        end["usage"] = json!({ "output_tokens": said.output_tokens });
    }
    events.push(event("message_delta", &end));
    events.push(event("message_stop", &json!({ "type": "message_stop" })));
    events
}

fn message(said: &Said<'_>) -> Value {
    json!({
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [],
        "stop_reason": null,
    })
}

/// What is no object can't be said whole on this wire.
fn input(call: &SaidCall<'_>) -> Value {
    if call.arguments.is_object() { call.arguments.clone() } else { json!({}) }
}

/// Half of the input comes from the cache, so that a client which forgets to
/// count that shows.
fn usage(said: &Said<'_>) -> Value {
    let cached = said.input_tokens / 2;
    json!({
        "input_tokens": said.input_tokens - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": said.output_tokens,
    })
}

fn stop_reason(said: &Said<'_>) -> &'static str {
    if said.calls.is_empty() { "end_turn" } else { "tool_use" }
}
