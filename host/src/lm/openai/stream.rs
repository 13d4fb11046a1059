//! Puts an answer together from the pieces of a stream ("chat completion
//! chunks"). Calls come by their index; what servers make of that differs.

use serde_json::Value;

use super::answer::{Written, read_call, read_text, read_usage, text};
use crate::lm::answer::{Answer, MOST_CALLS, RawCall};
use crate::lm::complaint::{broken_off, read_object, strange};
use crate::lm::retry::Failure;

/// What of an answer has come so far.
#[derive(Debug, Default)]
pub(in crate::lm) struct Assembly {
    written: Written,
    /// Where the last piece of a call with this index went.
    places: Vec<(u64, usize)>,
    /// Whether there was a choice at all.
    chosen: bool,
    begun: bool,
    done: bool,
}

impl Assembly {
    /// Whether the model has said anything yet, be it thoughts.
    pub(in crate::lm) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the server said that nothing follows.
    pub(in crate::lm) fn is_complete(&self) -> bool {
        self.done
    }

    /// Takes the data of one event.
    pub(in crate::lm) fn take(&mut self, data: &str) -> Result<(), Failure> {
        match data.trim() {
            "" => return Ok(()),
            "[DONE]" => {
                self.done = true;
                return Ok(());
            }
            _ => {}
        }
        let chunk = read_object(data.as_bytes())?;
        if let Some(usage) = chunk.get("usage").and_then(read_usage) {
            self.written.usage = Some(usage);
        }
        let choices = chunk.get("choices").and_then(Value::as_array);
        let first =
            |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or_default() == 0;
        if let Some(choice) = choices.and_then(|choices| choices.iter().find(first)) {
            self.take_choice(choice);
        }
        Ok(())
    }

    fn take_choice(&mut self, choice: &Value) {
        self.chosen = true;
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            reason.clone_into(&mut self.written.finish_reason);
        }
        // Some servers send a single chunk with the whole message.
        let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) else { return };
        let says_something = |(field, value): (&String, &Value)| {
            field != "role" && !value.is_null() && value.as_str() != Some("")
        };
        self.begun |= delta.as_object().is_some_and(|delta| delta.iter().any(says_something));
        self.written.text += &read_text(delta.get("content").unwrap_or(&Value::Null));
        self.written.refusal += text(delta, "refusal");
        for piece in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.take_call(piece);
        }
    }

    fn take_call(&mut self, piece: &Value) {
        let Some(read) = read_call(piece) else { return };
        let calls = &mut self.written.calls;
        let last = self.places.last().map(|(index, _)| *index);
        // Without an index, a piece goes where the last one went.
        let index = piece.get("index").and_then(Value::as_u64).or(last).unwrap_or_default();
        let place = self.places.iter().find(|(known, _)| *known == index).map(|(_, place)| *place);
        if let Some(call) = place.and_then(|place| calls.get_mut(place))
            && !begins_anew(call, &read)
        {
            if call.id.is_empty() {
                call.id = read.id;
            }
            if call.name.is_empty() {
                call.name = read.name;
            }
            call.arguments += &read.arguments;
        } else if calls.len() <= MOST_CALLS {
            // One more than is taken, so that the cut is noticed and said.
            self.places.retain(|(known, _)| *known != index);
            self.places.push((index, calls.len()));
            calls.push(read);
        }
    }

    /// What came, at the end of the stream.
    pub(in crate::lm) fn finish(self) -> Result<Answer, Failure> {
        if !self.chosen && self.done {
            return Err(strange("has no choice with a message", b"[DONE]"));
        }
        // vLLM sometimes leaves out the reason, others the last event.
        if !self.done && self.written.finish_reason.is_empty() {
            return Err(broken_off());
        }
        self.written.into_answer()
    }
}

/// Whether a piece belongs to another call although it has the same index:
/// several servers number each call 0. Others repeat id and name with every
/// piece.
fn begins_anew(call: &RawCall, piece: &RawCall) -> bool {
    if piece.name.is_empty() || call.name.is_empty() {
        return false;
    }
    if piece.id.is_empty() || call.id.is_empty() {
        let so_far: Result<Value, _> = serde_json::from_str(&call.arguments);
        return so_far.is_ok_and(|arguments| arguments.is_object());
    }
    piece.id != call.id
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lm::Stop;
    use crate::lm::retry::Remedy;

    fn read(events: &[Value]) -> Result<Answer, Failure> {
        let mut assembly = Assembly::default();
        for event in events {
            let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
            assembly.take(&data)?;
        }
        assembly.finish()
    }

    fn delta(delta: Value) -> Value {
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
    }

    fn end(reason: &str) -> Value {
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
    }

    /// A piece of a call; an empty id or name and no index are left out.
    fn piece(index: Option<u64>, id: &str, name: &str, arguments: Value) -> Value {
        let mut call = json!({ "function": { "arguments": arguments } });
        if let Some(index) = index {
            call["index"] = json!(index);
        }
        if !id.is_empty() {
            call["id"] = json!(id);
        }
        if !name.is_empty() {
            call["function"]["name"] = json!(name);
        }
        delta(json!({ "tool_calls": [call] }))
    }

    #[test]
    fn pieces_become_an_answer() {
        let usage = json!({ "prompt_tokens": 7, "completion_tokens": 2 });
        let answer = read(&[
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "reasoning_content": "hm" })),
            delta(json!({ "content": "Hi" })),
            delta(json!({ "content": " there." })),
            end("stop"),
            json!({ "choices": [], "usage": usage }),
            json!("[DONE]"),
        ])
        .unwrap();
        assert_eq!((answer.text.as_str(), answer.stop), ("Hi there.", Stop::End));
        assert_eq!(answer.usage.map(|usage| usage.input_tokens), Some(7));
    }

    #[test]
    fn calls_are_put_together_whatever_the_server_makes_of_index_and_id() {
        let two = [("a", "look", r#"{"x":1}"#), ("b", "look", r#"{"y":2}"#)];
        let whole = |index, id, arguments| piece(index, id, "look", json!(arguments));
        let more = |index, text: &str| piece(index, "", "", json!(text));
        for (pieces, expected) in [
            // OpenAI: by index, the id once.
            (
                vec![
                    whole(Some(0), "a", ""),
                    more(Some(0), "{\"x\""),
                    whole(Some(1), "b", ""),
                    more(Some(1), "{\"y\":2}"),
                    more(Some(0), ":1}"),
                ],
                two,
            ),
            // Each call has the index 0.
            (vec![whole(Some(0), "a", "{\"x\":1}"), whole(Some(0), "b", "{\"y\":2}")], two),
            // No index at all.
            (
                vec![
                    whole(None, "a", "{\"x\""),
                    more(None, ":1}"),
                    whole(None, "b", "{\"y\":"),
                    more(None, "2}"),
                ],
                two,
            ),
            // Id and name with every piece, and an object.
            (
                vec![
                    whole(Some(0), "a", "{\"x\""),
                    whole(Some(0), "a", ":1}"),
                    piece(Some(1), "b", "look", json!({ "y": 2 })),
                ],
                two,
            ),
            // Neither index nor id.
            (
                vec![whole(None, "", "{\"x\":1}"), whole(None, "", "{\"y\":2}")],
                [("call_1", two[0].1, two[0].2), ("call_2", two[1].1, two[1].2)],
            ),
        ] {
            let answer = read(&[pieces, vec![end("tool_calls")]].concat()).unwrap();
            let calls: Vec<_> = answer
                .calls
                .iter()
                .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
                .collect();
            assert_eq!(calls, expected);
            assert_eq!(answer.stop, Stop::ToolCalls);
        }
    }

    #[test]
    fn an_end_that_is_none_is_a_failure() {
        for events in [
            vec![],
            vec![delta(json!({ "content": "Hi" }))],
            vec![json!({ "choices": [] }), json!("[DONE]")],
            vec![delta(json!({ "content": "Hi" })), end("error")],
            vec![json!("{\"choices\": [")],
        ] {
            assert_eq!(read(&events).unwrap_err().remedy, Remedy::Retry, "{events:?}");
        }
        let busy = json!({ "error": { "message": "Overloaded", "type": "overloaded_error" } });
        assert_eq!(read(&[busy]).unwrap_err().remedy, Remedy::Queue);
        // vLLM sometimes leaves out the reason.
        assert_eq!(read(&[delta(json!({ "content": "Hi" })), json!("[DONE]")]).unwrap().text, "Hi");
    }

    #[test]
    fn thoughts_begin_an_answer_and_a_role_does_not() {
        let mut assembly = Assembly::default();
        assembly.take(&delta(json!({ "role": "assistant", "content": "" })).to_string()).unwrap();
        assert!(!assembly.has_begun());
        assembly.take(&delta(json!({ "reasoning": "hm" })).to_string()).unwrap();
        assert!(assembly.has_begun());
    }
}
