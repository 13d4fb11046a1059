//! What of a request matters, on both wires; and what a chat-completions
//! request says, and whether it is well formed in the
//! way that the strictest servers demand. Knows nothing of scripts.
//!
//! The rules are those of OpenAI's API reference ("Create chat completion")
//! and of chat templates of local models, which read the arguments of earlier
//! calls as objects.

use std::collections::HashSet;

use serde_json::Value;

use crate::Role;

/// Which of the two ways of asking a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Chat completions.
    OpenAi,
    /// Messages; read in `messages`.
    Anthropic,
}

/// What of a request matters to a script.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) wire: Wire,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) model: String,
    pub(crate) role: Option<Role>,
    pub(crate) first_user_message: String,
    pub(crate) last_message: String,
    pub(crate) messages: usize,
    pub(crate) assistant_messages: usize,
}

/// Reads a request's body; the error names the breach.
pub(crate) fn read(body: &[u8]) -> Result<Request, String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let model = text(&body, "model").filter(|name| !name.is_empty()).ok_or("`model` is empty")?;
    let tools = tool_names(&body)?;
    let messages =
        body.get("messages").and_then(Value::as_array).ok_or("`messages` is no array")?;
    check_messages(messages)?;
    let with_role =
        |role: &'static str| messages.iter().filter(move |message| role_of(message) == role);
    let content = |message: Option<&Value>| {
        message.and_then(|message| text(message, "content")).unwrap_or_default().to_owned()
    };
    let usage = body.pointer("/stream_options/include_usage");
    let stream = body.get("stream") == Some(&Value::Bool(true));
    if body.get("stream_options").is_some() && !stream {
        return Err("`stream_options` without `stream`".to_owned());
    }
    Ok(Request {
        wire: Wire::OpenAi,
        stream,
        include_usage: usage == Some(&Value::Bool(true)),
        model: model.to_owned(),
        role: Role::of_tools(&tools),
        first_user_message: content(with_role("user").next()),
        last_message: content(messages.last()),
        messages: messages.len(),
        assistant_messages: with_role("assistant").count(),
    })
}

pub(crate) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

pub(crate) fn role_of(message: &Value) -> &str {
    text(message, "role").unwrap_or_default()
}

fn tool_names(body: &Value) -> Result<Vec<String>, String> {
    let Some(tools) = body.get("tools") else { return Ok(Vec::new()) };
    let tools = tools.as_array().ok_or("`tools` is no array")?;
    if tools.is_empty() {
        return Err("`tools` is an empty array; it has to be left out".to_owned());
    }
    let mut names = Vec::new();
    for tool in tools {
        if text(tool, "type") != Some("function") {
            return Err("a tool's `type` is not `function`".to_owned());
        }
        let function = tool.get("function").ok_or("a tool has no `function`")?;
        let name = text(function, "name").ok_or("a tool has no name")?;
        check_tool_name(name)?;
        if names.iter().any(|known| known == name) {
            return Err(format!("the tool `{name}` is offered twice"));
        }
        let schema = function.get("parameters");
        if schema.and_then(|schema| text(schema, "type")) != Some("object") {
            return Err(format!("the parameters of `{name}` are no JSON Schema of an object"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

pub(crate) fn check_tool_name(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if plain && (1..=64).contains(&name.len()) {
        Ok(())
    } else {
        Err(format!("the tool name {name:?} does not match ^[a-zA-Z0-9_-]{{1,64}}$"))
    }
}

fn check_messages(messages: &[Value]) -> Result<(), String> {
    if messages.first().map(role_of) != Some("system") {
        return Err("the first message is not the system's".to_owned());
    }
    // The calls that the last assistant message made and that still wait for
    // their answers, the next one last.
    let mut waiting: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = role_of(message);
        if role == "tool" {
            check_answer(message, waiting.pop())?;
            continue;
        }
        if let Some(id) = waiting.last() {
            return Err(format!("the call `{id}` is not answered directly after it"));
        }
        match role {
            "system" if index == 0 => check_content(message)?,
            "user" => check_content(message)?,
            "assistant" => waiting = check_assistant(message)?,
            other => return Err(format!("message {index} has the role `{other}`")),
        }
    }
    if let Some(id) = waiting.last() {
        return Err(format!("the call `{id}` is not answered"));
    }
    match messages.last().map(role_of) {
        Some("user" | "tool") => Ok(()),
        _ => Err("the last message is neither the user's nor a tool's".to_owned()),
    }
}

fn check_content(message: &Value) -> Result<(), String> {
    match text(message, "content") {
        Some(_) => Ok(()),
        None => Err(format!("a message of the role `{}` has no text", role_of(message))),
    }
}

fn check_answer(message: &Value, waiting: Option<&str>) -> Result<(), String> {
    check_content(message)?;
    let id = text(message, "tool_call_id").ok_or("a tool message has no `tool_call_id`")?;
    match waiting {
        Some(call) if call == id => Ok(()),
        Some(call) => Err(format!("`{id}` is answered where `{call}` is the next call")),
        None => Err(format!("`{id}` is answered, which no call waits for")),
    }
}

/// Checks an assistant message and returns the ids of its calls, the first
/// one last.
fn check_assistant(message: &Value) -> Result<Vec<&str>, String> {
    let Some(calls) = message.get("tool_calls") else {
        check_content(message)?;
        return Ok(Vec::new());
    };
    let calls = calls.as_array().filter(|calls| !calls.is_empty());
    let calls = calls.ok_or("`tool_calls` is no array, or an empty one")?;
    let mut ids = Vec::new();
    for call in calls {
        ids.push(check_call(call)?);
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(format!("two calls of one message have the same id: {ids:?}"));
    }
    ids.reverse();
    Ok(ids)
}

fn check_call(call: &Value) -> Result<&str, String> {
    let id = text(call, "id").filter(|id| !id.is_empty()).ok_or("a call has no id")?;
    if text(call, "type") != Some("function") {
        return Err(format!("the call `{id}` is not of the type `function`"));
    }
    let function = call.get("function").ok_or("a call has no `function`")?;
    check_tool_name(text(function, "name").unwrap_or_default())?;
    let arguments = text(function, "arguments")
        .ok_or_else(|| format!("the arguments of the call `{id}` are no string"))?;
    match serde_json::from_str(arguments) {
        Ok(Value::Object(_)) => Ok(id),
        _ => Err(format!("the arguments of the call `{id}` are no JSON object: {arguments}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_messages(messages: &Value) -> Result<Request, String> {
        read(json!({ "model": "scripted", "messages": messages }).to_string().as_bytes())
    }

    fn calling(ids: &[&str]) -> Value {
        let calls: Vec<Value> = ids
            .iter()
            .map(|id| {
                let function = json!({ "name": "look", "arguments": "{}" });
                json!({ "id": id, "type": "function", "function": function })
            })
            .collect();
        json!({ "role": "assistant", "content": null, "tool_calls": calls })
    }

    fn answering(id: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": id, "content": "seen" })
    }

    #[test]
    fn a_well_formed_conversation_is_read() {
        let system = json!({ "role": "system", "content": "Be brief." });
        let user = json!({ "role": "user", "content": "Task: X" });
        let request = read_messages(&json!([
            system,
            user,
            calling(&["a", "b"]),
            answering("a"),
            answering("b")
        ]))
        .unwrap();
        assert_eq!(request.first_user_message, "Task: X");
        assert_eq!(request.last_message, "seen");
        assert_eq!((request.messages, request.assistant_messages), (5, 1));
    }

    #[test]
    fn each_breach_is_named() {
        let system = json!({ "role": "system", "content": "Be brief." });
        let user = json!({ "role": "user", "content": "Task: X" });
        for (messages, breach) in [
            (json!([user]), "not the system's"),
            (json!([system, user, system]), "has the role `system`"),
            (json!([system]), "neither the user's nor a tool's"),
            (json!([system, user, answering("a")]), "no call waits for"),
            (json!([system, user, calling(&["a"])]), "is not answered"),
            (json!([system, user, calling(&["a"]), user]), "not answered directly"),
            (json!([system, user, calling(&["a", "b"]), answering("b")]), "is the next call"),
            (json!([system, user, calling(&["a", "a"]), answering("a")]), "the same id"),
            (
                json!([system, user, calling(&["a"]), answering("a"), answering("a")]),
                "no call waits",
            ),
            (json!([system, user, { "role": "assistant", "content": null }]), "has no text"),
        ] {
            let error = read_messages(&messages).unwrap_err();
            assert!(error.contains(breach), "{error} should contain {breach}");
        }
    }

    #[test]
    fn arguments_have_to_be_an_object_in_a_string() {
        for arguments in [json!({}), json!("{\"path\":"), json!("[]")] {
            let mut assistant = calling(&["a"]);
            assistant["tool_calls"][0]["function"]["arguments"] = arguments;
            let system = json!({ "role": "system", "content": "Be brief." });
            let error = read_messages(&json!([system, assistant, answering("a")])).unwrap_err();
            assert!(error.contains("arguments"), "{error}");
        }
    }

    #[test]
    fn offered_tools_are_checked() {
        let tool = |name: &str, parameters: Value| {
            let function = json!({ "name": name, "description": "", "parameters": parameters });
            json!({ "type": "function", "function": function })
        };
        let object = json!({ "type": "object", "properties": {} });
        for (tools, breach) in [
            (json!([]), "empty array"),
            (json!([tool("a b", object.clone())]), "does not match"),
            (json!([tool("a", object.clone()), tool("a", object)]), "offered twice"),
            (json!([tool("a", json!([]))]), "no JSON Schema"),
        ] {
            let body = json!({ "model": "scripted", "messages": [], "tools": tools });
            let error = read(body.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(breach), "{error} should contain {breach}");
        }
    }
}
