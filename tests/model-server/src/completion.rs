//! How a turn is said on a wire: whole or in a stream, with the faults and the
//! habits of real servers that the script wants.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, EVENTS, End};
use crate::script::{Fault, Quirk, Turn};
use crate::wire::{Request, Wire};
use crate::{anthropic, openai};

/// An endless answer is so long, in bytes.
const ENDLESS: usize = 50 * 1024 * 1024;

/// What the model says, as both wires need it.
pub(crate) struct Said<'a> {
    pub(crate) turn: &'a Turn,
    pub(crate) model: &'a str,
    pub(crate) calls: Vec<SaidCall<'a>>,
    pub(crate) input_tokens: usize,
    pub(crate) output_tokens: usize,
    /// Whether the client asked for usage in the stream.
    pub(crate) include_usage: bool,
}

pub(crate) struct SaidCall<'a> {
    pub(crate) id: String,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Value,
}

impl Said<'_> {
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.turn.quirks.contains(&quirk)
    }
}

impl SaidCall<'_> {
    /// The arguments as the model wrote them.
    pub(crate) fn text(&self) -> String {
        match self.arguments {
            Value::String(text) => text.clone(),
            object => object.to_string(),
        }
    }
}

/// Says `turn` to who asked; `fault`: what goes wrong with it.
pub(crate) fn answer(
    turn: &Turn,
    request: &Request,
    request_bytes: usize,
    fault: Option<Fault>,
) -> Answer {
    let said = said(turn, request, request_bytes);
    let answer = if request.stream && !said.has(Quirk::NotStreamed) {
        stream(&said, request.wire, fault)
    } else {
        whole(&said, request.wire, fault)
    };
    // Who does not hear the end does not hear of all tokens either.
    if fault.is_some() || said.has(Quirk::NoUsage) {
        return answer;
    }
    let tokens = u64::try_from(said.input_tokens + said.output_tokens).unwrap_or(u64::MAX);
    Answer { tokens, ..answer }
}

fn said<'a>(turn: &'a Turn, request: &'a Request, request_bytes: usize) -> Said<'a> {
    let calls = turn.calls.iter().enumerate().map(|(index, call)| SaidCall {
        id: match turn.quirks.as_slice() {
            quirks if quirks.contains(&Quirk::NoIds) => String::new(),
            quirks if quirks.contains(&Quirk::SameIds) => "call_0".to_owned(),
            _ => format!("call_{}_{index}", request.assistant_messages),
        },
        name: &call.name,
        arguments: &call.arguments,
    });
    let calls: Vec<_> = calls.collect();
    let text = turn.text.as_ref().map_or(0, String::len);
    let written: usize = calls.iter().map(|call| call.text().len() + call.name.len()).sum();
    Said {
        turn,
        model: &request.model,
        calls,
        // About four bytes a token is the usual rule of thumb for English text.
        input_tokens: request_bytes / 4,
        output_tokens: (text + written) / 4,
        include_usage: request.include_usage,
    }
}

fn whole(said: &Said<'_>, wire: Wire, fault: Option<Fault>) -> Answer {
    let body = match wire {
        Wire::OpenAi => openai::whole(said),
        Wire::Anthropic => anthropic::whole(said),
    };
    let body = body.to_string();
    match fault {
        None => Answer::whole(200, body),
        Some(Fault::Html) => html(),
        Some(Fault::ErrorObject) => Answer { status: 200, ..Answer::error(529, "Overloaded") },
        Some(Fault::HalfJson) => {
            Answer::whole(200, body.as_bytes().get(..body.len() / 2).unwrap_or_default().to_vec())
        }
        Some(Fault::InvalidUtf8) => Answer::whole(200, b"{\"text\":\"\xff\xfe\"}".to_vec()),
        Some(Fault::Endless) => endless(Answer::whole(200, vec![b' '; 64 * 1024])),
        Some(Fault::Stall(_)) => Answer { end: End::Stall, ..Answer::whole(200, body) },
        Some(Fault::Reset(_)) => {
            Answer { end: End::Reset, ..Answer::whole(200, body.get(..1).unwrap_or("").to_owned()) }
        }
    }
}

fn stream(said: &Said<'_>, wire: Wire, fault: Option<Fault>) -> Answer {
    let mut pieces = match wire {
        Wire::OpenAi => openai::events(said),
        Wire::Anthropic => anthropic::events(said),
    };
    let mut end = End::Proper;
    match fault {
        None => {}
        Some(Fault::Html) => return html(),
        Some(Fault::Stall(after)) => {
            pieces.truncate(after);
            end = End::Stall;
        }
        Some(Fault::Reset(after)) => {
            pieces.truncate(after);
            end = End::Reset;
        }
        Some(Fault::ErrorObject) => {
            pieces.truncate(1);
            let error = json!({ "type": "overloaded_error", "message": "Overloaded" });
            pieces.push(event("error", &json!({ "type": "error", "error": error })));
        }
        Some(Fault::HalfJson) => {
            pieces.truncate(1);
            pieces.push(Bytes::from_static(b"data: {\"choices\": [{\"del\n\n"));
        }
        Some(Fault::InvalidUtf8) => {
            pieces.truncate(1);
            pieces.push(Bytes::from_static(b"data: {\"text\":\"\xff\xfe\"}\n\n"));
        }
        Some(Fault::Endless) => {
            pieces.truncate(1);
            pieces.push(Bytes::from(format!(": {}\n", "x".repeat(64 * 1024))));
        }
    }
    let answer = Answer { content_type: EVENTS, pieces, end, ..Answer::whole(200, Bytes::new()) };
    if fault == Some(Fault::Endless) { endless(answer) } else { answer }
}

fn html() -> Answer {
    let page = "<html><body>Welcome to the gateway</body></html>";
    Answer { content_type: "text/html", ..Answer::whole(200, page) }
}

fn endless(answer: Answer) -> Answer {
    Answer { end: End::Repeat(ENDLESS / (64 * 1024)), ..answer }
}

/// One server-sent event.
pub(crate) fn event(name: &str, data: &Value) -> Bytes {
    let name = if name.is_empty() { String::new() } else { format!("event: {name}\n") };
    Bytes::from(format!("{name}data: {data}\n\n"))
}

/// A text in a few pieces, as models say it.
pub(crate) fn in_pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks((letters.len() / 4).max(5)).map(|piece| piece.iter().collect()).collect()
}
