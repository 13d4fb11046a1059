//! What servers complain about, in whichever shape, as codes and a message.
//! What follows from it is decided in `retry`.

use serde_json::Value;

use super::retry::{Failure, Remedy, sort};

/// What a server says about a failure.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Complaint {
    /// Its words for machines: codes and types, among them numbers.
    pub(super) codes: Vec<String>,
    /// Its words for people, or the whole answer where that is unreadable.
    pub(super) message: String,
}

impl Complaint {
    pub(super) fn has(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn says(&self, wordings: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        wordings.iter().any(|wording| message.contains(wording))
    }

    /// Servers that answer 200 with an error put the real status here
    /// (OpenRouter, vLLM).
    pub(super) fn status(&self) -> Option<u16> {
        self.codes
            .iter()
            .find_map(|code| code.parse().ok().filter(|code| (400..600).contains(code)))
    }

    /// The wordings of OpenAI, Anthropic, vLLM, llama.cpp and of gateways
    /// before others.
    pub(super) fn is_about_context(&self) -> bool {
        self.has(&["context_length_exceeded", "exceed_context_size_error"])
            || self.says(&[
                "context length",
                "context window",
                "context size",
                "context limit",
                "maximum context",
                "maximum model length",
                "prompt is too long",
                "input is too long",
            ])
    }

    /// Anthropic has no code for an empty account: it is an invalid request
    /// with the status 400.
    pub(super) fn is_about_credit(&self) -> bool {
        self.has(&["insufficient_quota", "billing_hard_limit_reached", "billing_error"])
            || self.says(&["credit balance is too low"])
    }

    /// Too many requests for now.
    pub(super) fn is_about_load(&self) -> bool {
        self.has(&["overloaded_error", "rate_limit_error", "rate_limit_exceeded"])
            || self.says(&["overloaded"])
    }

    /// vLLM refuses tools where it was started without a parser for calls.
    pub(super) fn is_about_tool_parser(&self) -> bool {
        self.says(&["--enable-auto-tool-choice"])
    }
}

/// Reads what a server complains about: OpenAI's and Anthropic's shape, vLLM's
/// older one with the fields at the top, FastAPI's `detail`, Ollama's plain
/// text.
pub(super) fn read_complaint(body: &[u8]) -> Complaint {
    let answer = serde_json::from_slice(body).unwrap_or(Value::Null);
    match complaint_in(&answer) {
        Complaint { codes, message } if message.is_empty() => {
            Complaint { codes, message: String::from_utf8_lossy(body).into_owned() }
        }
        complaint => complaint,
    }
}

fn complaint_in(answer: &Value) -> Complaint {
    let error = match answer.get("error") {
        Some(error) if !error.is_null() => error,
        _ => answer,
    };
    let texts = [Some(error), error.get("message"), error.get("detail")];
    let message = texts.into_iter().flatten().find_map(Value::as_str);
    let codes = ["code", "type"].into_iter().filter_map(|field| match error.get(field) {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    });
    Complaint { codes: codes.collect(), message: message.unwrap_or_default().to_owned() }
}

/// Reads a JSON object that is no error.
pub(super) fn read_object(body: &[u8]) -> Result<Value, Failure> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(strange("is no UTF-8", body));
    };
    let answer = serde_json::from_str(text).unwrap_or(Value::Null);
    if !answer.is_object() {
        return Err(strange("is no JSON object", body));
    }
    let is_error = answer.get("object").and_then(Value::as_str) == Some("error");
    if is_error || answer.get("error").is_some_and(|error| !error.is_null()) {
        let complaint = read_complaint(body);
        let what = format!("it answered with an error: {}", excerpt(&complaint.message));
        return Err(Failure::new(sort(200, &complaint), what));
    }
    Ok(answer)
}

/// An answer that is none: the server's fault, which may pass.
pub(super) fn strange(what: &str, body: &[u8]) -> Failure {
    let body = excerpt(&String::from_utf8_lossy(body));
    Failure::new(Remedy::Retry, format!("its answer {what}: {body}"))
}

/// A stream that ended too early.
pub(super) fn broken_off() -> Failure {
    Failure::new(Remedy::Retry, "its answer broke off before the end")
}

/// The start of a text on one line, for sentences to people.
pub(super) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(1000).collect();
    let line = start.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_in_all_shapes() {
        for (body, codes, message) in [
            (r#"{"error":{"message":"a","type":"t","code":"c"}}"#, &["c", "t"][..], "a"),
            (r#"{"type":"error","error":{"type":"t","message":"a"}}"#, &["t"], "a"),
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
