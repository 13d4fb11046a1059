//! Puts a message together from the events of a stream.

use serde_json::Value;

use super::answer::{Tokens, Written, read_call, text};
use crate::lm::answer::{Answer, RawCall};
use crate::lm::complaint::{broken_off, read_object};
use crate::lm::retry::Failure;

/// What of a message has come so far.
#[derive(Debug, Default)]
pub(in crate::lm) struct Assembly {
    /// With the index that the server gave each.
    blocks: Vec<(u64, Block)>,
    stop_reason: String,
    tokens: Tokens,
    begun: bool,
    stopped: bool,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Call(RawCall),
    /// Thoughts, and whatever is not asked for.
    Other,
}

impl Assembly {
    /// Whether the model has said anything yet, be it thoughts.
    pub(in crate::lm) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the server said that nothing follows.
    pub(in crate::lm) fn is_complete(&self) -> bool {
        self.stopped
    }

    /// Takes the data of one event. Unknown events are to be ignored, says the
    /// reference.
    pub(in crate::lm) fn take(&mut self, data: &str) -> Result<(), Failure> {
        if data.trim().is_empty() {
            return Ok(());
        }
        let event = read_object(data.as_bytes())?;
        let index = event.get("index").and_then(Value::as_u64).unwrap_or_default();
        let part = |field: &str| event.get(field).unwrap_or(&Value::Null);
        match text(&event, "type") {
            "message_start" => {
                let usage = event.pointer("/message/usage").unwrap_or(&Value::Null);
                self.tokens = self.tokens.updated(usage);
            }
            "content_block_start" => {
                self.begun = true;
                self.blocks.push((index, started(part("content_block"))));
            }
            "content_block_delta" => self.take_delta(index, part("delta")),
            "message_delta" => {
                self.tokens = self.tokens.updated(part("usage"));
                text(part("delta"), "stop_reason").clone_into(&mut self.stop_reason);
            }
            "message_stop" => self.stopped = true,
            _ => {}
        }
        Ok(())
    }

    fn take_delta(&mut self, index: u64, delta: &Value) {
        let block = self.blocks.iter_mut().rev().find(|(known, _)| *known == index);
        match (block, text(delta, "type")) {
            (Some((_, Block::Text(written))), "text_delta") => *written += text(delta, "text"),
            (Some((_, Block::Call(call))), "input_json_delta") => {
                call.arguments += text(delta, "partial_json");
            }
            _ => {}
        }
    }

    /// What came, at the end of the stream.
    pub(in crate::lm) fn finish(self) -> Result<Answer, Failure> {
        if !self.stopped && self.stop_reason.is_empty() {
            return Err(broken_off());
        }
        let mut written = Written {
            stop_reason: self.stop_reason,
            usage: self.tokens.sum(),
            ..Written::default()
        };
        for (_, block) in self.blocks {
            match block {
                Block::Text(text) => written.text += &text,
                Block::Call(call) => written.calls.push(call),
                Block::Other => {}
            }
        }
        Ok(written.into_answer())
    }
}

fn started(block: &Value) -> Block {
    match text(block, "type") {
        "text" => Block::Text(text(block, "text").to_owned()),
        "tool_use" => Block::Call(read_call(block)),
        _ => Block::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lm::Stop;
    use crate::lm::retry::Remedy;
    use crate::types::Usage;

    fn read(events: &[Value]) -> Result<Answer, Failure> {
        let mut assembly = Assembly::default();
        for event in events {
            assembly.take(&event.to_string())?;
        }
        assembly.finish()
    }

    fn start(index: u64, block: Value) -> Value {
        json!({ "type": "content_block_start", "index": index, "content_block": block })
    }

    fn delta(index: u64, delta: Value) -> Value {
        json!({ "type": "content_block_delta", "index": index, "delta": delta })
    }

    fn ended(reason: &str) -> Value {
        let usage = json!({ "output_tokens": 9 });
        json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": usage })
    }

    #[test]
    fn events_become_an_answer() {
        let usage = json!({ "input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1 });
        let call = json!({ "type": "tool_use", "id": "a", "name": "look", "input": {} });
        let json_delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
        let answer = read(&[
            json!({ "type": "message_start", "message": { "usage": usage } }),
            start(0, json!({ "type": "thinking", "thinking": "" })),
            json!({ "type": "ping" }),
            delta(0, json!({ "type": "thinking_delta", "thinking": "hm" })),
            json!({ "type": "content_block_stop", "index": 0 }),
            start(1, json!({ "type": "text", "text": "" })),
            delta(1, json!({ "type": "text_delta", "text": "Looking" })),
            delta(1, json!({ "type": "text_delta", "text": "." })),
            start(2, call),
            delta(2, json_delta("")),
            delta(2, json_delta("{\"x\"")),
            delta(2, json_delta(": 1}")),
            json!({ "type": "something_new" }),
            ended("tool_use"),
            json!({ "type": "message_stop" }),
        ])
        .unwrap();
        assert_eq!((answer.text.as_str(), answer.stop), ("Looking.", Stop::ToolCalls));
        assert_eq!(answer.calls[0].arguments, "{\"x\": 1}");
        let usage = Usage { input_tokens: 7, cached_input_tokens: 4, output_tokens: 9 };
        assert_eq!(answer.usage, Some(usage));
    }

    #[test]
    fn errors_and_early_ends_are_failures() {
        let busy = json!({ "type": "error", "error": { "type": "overloaded_error" } });
        assert_eq!(read(&[busy]).unwrap_err().remedy, Remedy::Queue);
        let hi = start(0, json!({ "type": "text", "text": "Hi" }));
        assert_eq!(read(std::slice::from_ref(&hi)).unwrap_err().remedy, Remedy::Retry);
        assert_eq!(read(&[hi, ended("end_turn")]).unwrap().text, "Hi");
    }
}
