//! The reading half: whole messages, and what their parts mean.

use serde_json::Value;

use crate::lm::Stop;
use crate::lm::answer::{Answer, RawCall, read_calls};
use crate::lm::complaint::{read_object, strange};
use crate::lm::retry::Failure;
use crate::types::Usage;

/// Reads the body of an answer whose status was good and that is not a stream.
pub(in crate::lm) fn read_answer(body: &[u8]) -> Result<Answer, Failure> {
    let message = read_object(body)?;
    let Some(content) = message.get("content").and_then(Value::as_array) else {
        return Err(strange("is no message", body));
    };
    let mut written = Written {
        stop_reason: text(&message, "stop_reason").to_owned(),
        usage: message.get("usage").and_then(|usage| Tokens::default().updated(usage).sum()),
        ..Written::default()
    };
    for block in content {
        match text(block, "type") {
            "text" => written.text += text(block, "text"),
            "tool_use" => written.calls.push(read_call(block)),
            _ => {}
        }
    }
    Ok(written.into_answer())
}

/// An answer as the server wrote it, whole or in pieces.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) calls: Vec<RawCall>,
    pub(super) stop_reason: String,
    pub(super) usage: Option<Usage>,
}

impl Written {
    pub(super) fn into_answer(self) -> Answer {
        let calls = read_calls(self.calls);
        let stop = match self.stop_reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => Stop::Length,
            "refusal" => Stop::Refusal,
            _ if !calls.is_empty() => Stop::ToolCalls,
            // Also `pause_turn`: the model goes on when it is spoken to.
            _ => Stop::End,
        };
        Answer { text: self.text, calls, stop, usage: self.usage }
    }
}

/// A call whose arguments are there, or an empty object where they follow.
pub(super) fn read_call(block: &Value) -> RawCall {
    RawCall {
        id: text(block, "id").to_owned(),
        name: text(block, "name").to_owned(),
        arguments: match block.get("input") {
            Some(Value::Object(input)) if input.is_empty() => String::new(),
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(input) => input.to_string(),
        },
    }
}

/// The server's figures, which come in several events, the later ones in place
/// of the earlier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    uncached: Option<u64>,
    read: Option<u64>,
    created: Option<u64>,
    output: Option<u64>,
}

impl Tokens {
    pub(super) fn updated(self, usage: &Value) -> Self {
        let tokens = |field: &str| usage.get(field).and_then(Value::as_u64);
        Self {
            uncached: tokens("input_tokens").or(self.uncached),
            read: tokens("cache_read_input_tokens").or(self.read),
            created: tokens("cache_creation_input_tokens").or(self.created),
            output: tokens("output_tokens").or(self.output),
        }
    }

    /// All tokens of the input together: what was read from the cache and what
    /// was written to it are counted apart by the server.
    pub(super) fn sum(self) -> Option<Usage> {
        let cached = self.read.unwrap_or(0);
        let created = self.created.unwrap_or(0);
        Some(Usage {
            input_tokens: self.uncached?.saturating_add(cached).saturating_add(created),
            cached_input_tokens: cached,
            output_tokens: self.output.unwrap_or(0),
        })
    }
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lm::retry::{Mend, Remedy};

    #[test]
    fn a_whole_message_is_read() {
        let answer = read_answer(
            json!({
                "type": "message",
                "content": [
                    { "type": "thinking", "thinking": "hm", "signature": "s" },
                    { "type": "text", "text": "Looking." },
                    { "type": "tool_use", "id": "a", "name": "look", "input": { "x": 1 } },
                ],
                "stop_reason": "tool_use",
                "usage": { "input_tokens": 1, "cache_read_input_tokens": 10,
                    "cache_creation_input_tokens": 100, "output_tokens": 5 },
            })
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        assert_eq!((answer.text.as_str(), answer.stop), ("Looking.", Stop::ToolCalls));
        assert_eq!(answer.calls[0].arguments, "{\"x\":1}");
        let usage = Usage { input_tokens: 111, cached_input_tokens: 10, output_tokens: 5 };
        assert_eq!(answer.usage, Some(usage));
    }

    #[test]
    fn stop_reasons_are_read() {
        for (reason, stop) in [
            ("end_turn", Stop::End),
            ("stop_sequence", Stop::End),
            ("pause_turn", Stop::End),
            ("max_tokens", Stop::Length),
            ("model_context_window_exceeded", Stop::Length),
            ("refusal", Stop::Refusal),
        ] {
            let body = json!({ "content": [], "stop_reason": reason }).to_string();
            assert_eq!(read_answer(body.as_bytes()).unwrap().stop, stop, "{reason}");
        }
    }

    #[test]
    fn what_is_no_message_is_sorted() {
        let key = json!({ "type": "error", "error": { "type": "authentication_error" } });
        for (body, remedy) in [
            ("<html>".to_owned(), Remedy::Retry),
            ("{}".to_owned(), Remedy::Retry),
            (key.to_string(), Remedy::Mend(Mend::Key)),
        ] {
            assert_eq!(read_answer(body.as_bytes()).unwrap_err().remedy, remedy, "{body}");
        }
    }
}
