//! What a request to Anthropic's messages endpoint says, and whether it is
//! well formed as the reference ("Messages", "Tool use", "Prompt caching")
//! demands.

use std::collections::HashSet;

use serde_json::Value;

use crate::Role;
use crate::wire::{Request, Wire, check_tool_name, role_of, text};

/// The most marks for the cache in one request.
const MOST_MARKS: usize = 4;

/// Reads a request's body; the error names the breach.
pub(crate) fn read(body: &[u8]) -> Result<Request, String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let model = text(&body, "model").filter(|name| !name.is_empty()).ok_or("`model` is empty")?;
    if body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0) == 0 {
        return Err("`max_tokens` is missing".to_owned());
    }
    check_system(&body)?;
    let tools = tool_names(&body)?;
    let messages =
        body.get("messages").and_then(Value::as_array).ok_or("`messages` is no array")?;
    check_messages(messages)?;
    let marks = marks(&body)?;
    if marks > MOST_MARKS {
        return Err(format!("{marks} blocks have a `cache_control`, more than {MOST_MARKS}"));
    }
    let last = blocks(messages.last()).last();
    Ok(Request {
        wire: Wire::Anthropic,
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        model: model.to_owned(),
        role: Role::of_tools(&tools),
        first_user_message: blocks(messages.first()).next().map(said_in).unwrap_or_default(),
        last_message: last.map(said_in).unwrap_or_default(),
        messages: messages.len(),
        assistant_messages: messages.iter().filter(|one| role_of(one) == "assistant").count(),
    })
}

fn blocks(message: Option<&Value>) -> impl DoubleEndedIterator<Item = &Value> {
    message.and_then(|message| message.get("content")?.as_array()).into_iter().flatten()
}

/// What a block says, with a failed call's result marked as on the other wire,
/// so that scripts can expect the same.
fn said_in(block: &Value) -> String {
    let said = text(block, "text").or_else(|| text(block, "content")).unwrap_or_default();
    match block.get("is_error") {
        Some(Value::Bool(true)) => format!("Error: {said}"),
        _ => said.to_owned(),
    }
}

fn check_system(body: &Value) -> Result<(), String> {
    match body.get("system") {
        None => Ok(()),
        Some(Value::Array(blocks)) if !blocks.is_empty() => blocks.iter().try_for_each(check_text),
        Some(_) => Err("`system` is no array of texts".to_owned()),
    }
}

fn check_text(block: &Value) -> Result<(), String> {
    match text(block, "text") {
        Some(text) if !text.trim().is_empty() => Ok(()),
        _ => Err(format!("a text block has no text: {block}")),
    }
}

fn tool_names(body: &Value) -> Result<Vec<String>, String> {
    let Some(tools) = body.get("tools") else { return Ok(Vec::new()) };
    let tools = tools.as_array().filter(|tools| !tools.is_empty());
    let mut names = Vec::new();
    for tool in tools.ok_or("`tools` is no array, or an empty one")? {
        let name = text(tool, "name").ok_or("a tool has no name")?;
        check_tool_name(name)?;
        if names.iter().any(|known| known == name) {
            return Err(format!("the tool `{name}` is offered twice"));
        }
        let schema = tool.get("input_schema");
        if schema.and_then(|schema| text(schema, "type")) != Some("object") {
            return Err(format!("the `input_schema` of `{name}` is no JSON Schema of an object"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn check_messages(messages: &[Value]) -> Result<(), String> {
    // The calls that the message before made, in their order.
    let mut waiting: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        if role_of(message) != role {
            return Err(format!("message {index} is not the {role}'s"));
        }
        if blocks(Some(message)).next().is_none() {
            return Err(format!("message {index} has no blocks"));
        }
        if role == "user" {
            check_user(message, &waiting)?;
        } else {
            waiting = check_assistant(message)?;
        }
    }
    match messages.len() % 2 {
        1 => Ok(()),
        _ => Err("the last message is not the user's".to_owned()),
    }
}

/// First the results of all calls, then texts.
fn check_user<'a>(message: &'a Value, waiting: &[&'a str]) -> Result<(), String> {
    let mut waiting = waiting.iter();
    for block in blocks(Some(message)) {
        match (text(block, "type"), waiting.as_slice().first()) {
            (Some("tool_result"), Some(call)) if text(block, "tool_use_id") == Some(call) => {
                text(block, "content").ok_or("a `tool_result` has no text")?;
                waiting.next();
            }
            (Some("text"), None) => check_text(block)?,
            (_, Some(call)) => return Err(format!("the call `{call}` is not answered: {block}")),
            (_, None) => return Err(format!("a user's block of another kind: {block}")),
        }
    }
    match waiting.next() {
        Some(call) => Err(format!("the call `{call}` is not answered")),
        None => Ok(()),
    }
}

/// Checks an assistant's message and returns the ids of its calls.
fn check_assistant(message: &Value) -> Result<Vec<&str>, String> {
    let mut ids = Vec::new();
    for block in blocks(Some(message)) {
        match text(block, "type") {
            Some("text") => check_text(block)?,
            Some("tool_use") => {
                check_tool_name(text(block, "name").unwrap_or_default())?;
                if !block.get("input").is_some_and(Value::is_object) {
                    return Err(format!("the input of a call is no object: {block}"));
                }
                let id = text(block, "id").filter(|id| !id.is_empty());
                ids.push(id.ok_or("a call has no id")?);
            }
            _ => return Err(format!("an assistant's block of another kind: {block}")),
        }
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(format!("two calls of one message have the same id: {ids:?}"));
    }
    Ok(ids)
}

/// Counts the marks up to which the server shall cache.
fn marks(value: &Value) -> Result<usize, String> {
    let mut count = 0;
    match value {
        Value::Array(values) => {
            for value in values {
                count += marks(value)?;
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                match field.as_str() {
                    "cache_control" if text(value, "type") == Some("ephemeral") => count += 1,
                    "cache_control" => return Err(format!("a `cache_control` is {value}")),
                    // What the model or a tool said is not the request's.
                    "input" | "input_schema" => {}
                    _ => count += marks(value)?,
                }
            }
        }
        _ => {}
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_messages(messages: &Value) -> Result<Request, String> {
        let body = json!({ "model": "scripted", "max_tokens": 1, "messages": messages });
        read(body.to_string().as_bytes())
    }

    fn user(blocks: Value) -> Value {
        json!({ "role": "user", "content": blocks })
    }

    fn calling(ids: &[&str]) -> Value {
        let call = |id| json!({ "type": "tool_use", "id": id, "name": "look", "input": {} });
        json!({ "role": "assistant", "content": ids.iter().map(call).collect::<Value>() })
    }

    fn result(id: &str) -> Value {
        json!({ "type": "tool_result", "tool_use_id": id, "content": "seen", "is_error": true })
    }

    #[test]
    fn a_well_formed_conversation_is_read() {
        let hi = json!({ "type": "text", "text": "Task: X" });
        let request = read_messages(&json!([
            user(json!([hi])),
            calling(&["a", "b"]),
            user(json!([result("a"), result("b")])),
        ]))
        .unwrap();
        assert_eq!(request.first_user_message, "Task: X");
        assert_eq!(request.last_message, "Error: seen");
        assert_eq!((request.messages, request.assistant_messages), (3, 1));
    }

    #[test]
    fn each_breach_is_named() {
        let hi = json!({ "type": "text", "text": "Hi" });
        let said = user(json!([hi]));
        let mark =
            json!({ "type": "text", "text": "Hi", "cache_control": { "type": "ephemeral" } });
        for (messages, breach) in [
            (json!([]), "not the user's"),
            (json!([said, said]), "not the assistant's"),
            (json!([said, calling(&["a"])]), "last message"),
            (json!([said, calling(&["a"]), said]), "`a` is not answered"),
            (json!([said, calling(&["a", "b"]), user(json!([result("b")]))]), "not answered"),
            (json!([said, calling(&["a", "b"]), user(json!([result("a")]))]), "not answered"),
            (json!([said, calling(&["a", "a"]), said]), "the same id"),
            (json!([said, calling(&["a"]), user(json!([hi, result("a")]))]), "not answered"),
            (json!([user(json!([result("a")]))]), "another kind"),
            (json!([user(json!([{ "type": "text", "text": " " }]))]), "has no text"),
            (json!([user(json!([]))]), "has no blocks"),
            (json!([user(json!([mark, mark, mark, mark, mark]))]), "more than 4"),
        ] {
            let error = read_messages(&messages).unwrap_err();
            assert!(error.contains(breach), "{error} should contain {breach}");
        }
        let body = json!({ "model": "scripted", "messages": [said] });
        assert!(read(body.to_string().as_bytes()).unwrap_err().contains("max_tokens"));
    }
}
