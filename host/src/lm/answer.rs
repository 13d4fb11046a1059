//! What a model answered, the same over every wire: its calls get ids that
//! are unique, and are told to the model again in good form.

use std::collections::HashSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Stop;
use crate::types::{ToolCall, Usage};

/// More calls in one reply are cut off, before the model hears of them.
pub(super) const MOST_CALLS: usize = 128;
/// Longer ids of calls are replaced by shorter ones, in bytes.
const LONGEST_CALL_ID: usize = 64;
/// The longest name of a tool that servers accept, in bytes.
pub(super) const LONGEST_TOOL_NAME: usize = 64;

/// What a server answered to a request for a reply.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) stop: Stop,
    pub(super) usage: Option<Usage>,
}

/// A call as the server wrote it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawCall {
    /// Empty where the server gave none.
    pub(super) id: String,
    pub(super) name: String,
    /// As text, whatever is in it.
    pub(super) arguments: String,
}

/// Makes calls that can be answered one by one out of what the server wrote.
pub(super) fn read_calls(raw: Vec<RawCall>) -> Vec<ToolCall> {
    if raw.len() > MOST_CALLS {
        tracing::warn!(
            calls = raw.len(),
            "a reply has more than {MOST_CALLS} calls; the rest is cut"
        );
    }
    let mut taken = HashSet::new();
    raw.into_iter()
        .take(MOST_CALLS)
        .enumerate()
        .map(|(index, call)| ToolCall {
            id: unique_id(&call.id, index + 1, &mut taken),
            name: call.name,
            // A tool without parameters is often called with nothing at all.
            arguments: match call.arguments.trim() {
                "" => "{}".to_owned(),
                _ => call.arguments,
            },
        })
        .collect()
}

/// The id that the server gave, or one of our own where it gave none, one that
/// is too long to be taken back, or the same one twice.
fn unique_id(given: &str, number: usize, taken: &mut HashSet<String>) -> String {
    let usable = (1..=LONGEST_CALL_ID).contains(&given.len());
    let mut id = if usable { given.to_owned() } else { format!("call_{number}") };
    let mut suffix = number;
    while !taken.insert(id.clone()) {
        suffix += 1;
        id = format!("call_{suffix}");
    }
    id
}

/// A call's name as servers accept it in the past of a conversation: they
/// refuse other letters.
pub(super) fn past_name(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let name: String = name
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .take(LONGEST_TOOL_NAME)
        .collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// A call's arguments in the past of a conversation, where they have to be an
/// object. What the model wrote stays readable, so that it sees its mistake.
pub(super) fn past_arguments(arguments: &str) -> Box<RawValue> {
    let written: Result<Box<RawValue>, _> = serde_json::from_str(arguments);
    match (serde_json::from_str(arguments), written) {
        (Ok(Value::Object(_)), Ok(object)) => object,
        _ => {
            let malformed = serde_json::json!({ "malformed": arguments });
            serde_json::value::to_raw_value(&malformed).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_gets_an_id_of_its_own() {
        let long = "x".repeat(65);
        let ids = ["", "call_1", "call_1", "z", &long];
        let raw = ids.map(|id| RawCall { id: id.to_owned(), ..RawCall::default() });
        let calls = read_calls(raw.into());
        let ids: Vec<_> = calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_1", "call_3", "call_4", "z", "call_5"]);
        assert!(calls.iter().all(|call| call.arguments == "{}"));
    }

    #[test]
    fn malformed_calls_are_told_again_in_good_form() {
        assert_eq!(past_name("edit file"), "edit_file");
        assert_eq!(past_name(""), "unnamed");
        assert_eq!(past_name("ä".repeat(99).as_str()), "_".repeat(64));
        assert_eq!(past_arguments("{\"x\": 1}").get(), "{\"x\": 1}");
        assert_eq!(past_arguments("{\"x\":").get(), r#"{"malformed":"{\"x\":"}"#);
        assert_eq!(past_arguments("[]").get(), r#"{"malformed":"[]"}"#);
    }
}
