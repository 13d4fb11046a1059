//! The messages of one conversation, kept so that nothing malformed ever
//! leaves the program: every call is answered once, in order, before anything
//! else is said. Sending and trying again is the model's business.

use std::sync::Arc;

use tokio::time::Instant;

use super::answer::{Answer, LONGEST_TOOL_NAME};
use super::body::RequestBody;
use super::budget::{Payer, Uncounted};
use super::opening::SharedOpening;
use super::wire::{Opening, Side};
use super::{Model, Reply};
use crate::transcript::{Asked, Said, Talk};
use crate::types::{CallError, ToolResult, ToolSpec, Usage};

/// The longest system prompt, in bytes.
const LONGEST_SYSTEM: usize = 1024 * 1024;
/// The most tools that OpenAI takes.
const MOST_TOOLS: usize = 128;
/// The longest description and parameters of one tool together, in bytes.
const LONGEST_TOOL: usize = 64 * 1024;
/// The most that callers can say in one conversation, serialised, in bytes:
/// far above any model's context, and a bound on the host's memory.
const LONGEST_CONVERSATION: usize = 16 * 1024 * 1024;
/// What stands where a result was emptied.
const ELIDED: &str = "[left out to save space; call the tool again if you need this]";

/// One conversation with a model. All messages are kept here, written when
/// they are added, so that a turn costs no more than what is new in it.
#[derive(Debug)]
pub struct Conversation {
    model: Model,
    /// Where it is written down.
    talk: Talk,
    opening: Arc<SharedOpening>,
    body: RequestBody,
    /// What each piece of the body is.
    kinds: Vec<Kind>,
    max_output_tokens: Option<u32>,
    known: Option<Known>,
    usage: Usage,
}

/// What the server said of the last request, as long as it is a part of the
/// next one.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    tokens: u64,
    bytes: usize,
}

#[derive(Debug, PartialEq)]
enum Kind {
    User,
    /// With the ids of the calls that have to be answered next.
    Assistant(Vec<String>),
    /// The result of the call with this id.
    Result(String),
}

impl Conversation {
    pub(super) fn open(
        model: Model,
        mut talk: Talk,
        system: &str,
        tools: &[ToolSpec],
        max_output_tokens: Option<u32>,
    ) -> Result<Self, CallError> {
        if system.len() > LONGEST_SYSTEM {
            return Err(CallError::TooLong("the system prompt is longer than 1 MiB".to_owned()));
        }
        if max_output_tokens == Some(0) {
            return Err(invalid("a model can't answer in 0 tokens"));
        }
        check_tools(tools)?;
        let bytes = model.wire().opening(&Opening {
            model: model.name(),
            system,
            tools,
            temperature: model.temperature(),
            max_output_tokens,
        })?;
        let opening = model.share(SharedOpening {
            // Without the room that it grew in.
            bytes: bytes.into_boxed_slice().into(),
            tools: tools.iter().map(|tool| tool.name.clone()).collect(),
        });
        let asked =
            Asked { model: model.name(), max_output_tokens, temperature: model.temperature() };
        talk.opened(asked, system, tools);
        Ok(Self {
            body: RequestBody::new(model.wire(), opening.bytes.clone()),
            model,
            talk,
            opening,
            kinds: Vec::new(),
            max_output_tokens,
            known: None,
            usage: Usage::default(),
        })
    }

    /// Appends a message from the user's side. Invalid where the model waits
    /// for the results of its calls, or where there is nothing in it.
    pub fn say(&mut self, text: String) -> Result<(), CallError> {
        if !self.waiting_calls().is_empty() {
            return Err(invalid("the last reply's calls have to be answered first"));
        }
        if text.trim().is_empty() {
            return Err(invalid("there is nothing in the message"));
        }
        let piece = self.model.wire().user(&text)?;
        self.check_room(piece.len())?;
        self.append(Kind::User, &piece);
        self.talk.said(Said::Text(text));
        Ok(())
    }

    /// Appends the results of all calls in the last reply, one each and in
    /// their order; anything else is invalid and changes nothing.
    pub fn answer(&mut self, results: Vec<ToolResult>) -> Result<(), CallError> {
        let waiting = self.waiting_calls();
        if waiting.is_empty() {
            return Err(invalid("the last message has no calls that could be answered"));
        }
        if !waiting.iter().eq(results.iter().map(|result| &result.id)) {
            return Err(CallError::Invalid(format!(
                "the results have to be those of the calls {}, in this order",
                waiting.join(", ")
            )));
        }
        let mut pieces = Vec::with_capacity(results.len());
        for ToolResult { id, output, is_error } in &results {
            let piece = self.model.wire().result(id, output, *is_error)?;
            pieces.push((Kind::Result(id.clone()), piece));
        }
        self.check_room(pieces.iter().map(|(_, piece)| piece.len()).sum())?;
        for (kind, piece) in pieces {
            self.append(kind, &piece);
        }
        self.talk.said(Said::Results(results));
        Ok(())
    }

    /// Asks the model and appends what it says, with nobody who counts what that
    /// takes. After an error the conversation is as it was, so that this can be
    /// called again.
    pub async fn reply(&mut self) -> Result<Reply, CallError> {
        self.reply_paid_by(&mut Uncounted).await
    }

    /// The same with somebody who pays for tries that broke off.
    pub async fn reply_paid_by(&mut self, payer: &mut impl Payer) -> Result<Reply, CallError> {
        if !matches!(self.kinds.last(), Some(Kind::User | Kind::Result(_))) {
            return Err(invalid(
                "the model has nothing to reply to: say something or answer its calls first",
            ));
        }
        let begun = Instant::now();
        let outcome = match self.model.known_reply(&mut self.talk).await {
            Some(known) => known.and_then(|reply| self.take_known(reply)),
            None => self.ask(payer).await,
        };
        self.talk.asked(begun.elapsed(), &outcome);
        outcome
    }

    async fn ask(&mut self, payer: &mut impl Payer) -> Result<Reply, CallError> {
        let request = self.body.request();
        let request_bytes = request.len();
        let answer = self.model.complete(request, &self.opening.tools, payer).await?;
        let piece = self.model.wire().assistant(&answer)?;
        let Answer { text, calls, stop, usage } = answer;
        self.known = usage.map(|usage| Known { tokens: usage.input_tokens, bytes: request_bytes });
        let usage = usage.unwrap_or_else(|| estimated_usage(request_bytes, piece.len()));
        let context_used = self.context_used(usage);
        let reply = Reply { text, calls, stop, usage, context_used };
        self.take(&reply, &piece);
        Ok(reply)
    }

    fn take_known(&mut self, reply: Reply) -> Result<Reply, CallError> {
        let Reply { text, calls, stop, usage, .. } = reply.clone();
        let piece =
            self.model.wire().assistant(&Answer { text, calls, stop, usage: Some(usage) })?;
        self.take(&reply, &piece);
        Ok(reply)
    }

    /// Appends what the model said.
    fn take(&mut self, reply: &Reply, piece: &[u8]) {
        let calls_to_answer = reply.calls.iter().map(|call| call.id.clone()).collect();
        self.append(Kind::Assistant(calls_to_answer), piece);
        self.count(reply.usage);
    }

    /// Empties all tool results but those of the last `keep` replies. Those
    /// that are shorter than the note in their place stay.
    pub fn elide_results(&mut self, keep: u32) {
        let mut newer_replies = 0_u32;
        let mut elided = Vec::new();
        for (index, kind) in self.kinds.iter().enumerate().rev() {
            match kind {
                Kind::Assistant(_) => newer_replies = newer_replies.saturating_add(1),
                Kind::Result(call) if newer_replies >= keep => {
                    let Ok(piece) = self.model.wire().result(call, ELIDED, false) else {
                        continue;
                    };
                    if piece.len() < self.body.piece_length(index) {
                        elided.push((index, piece));
                    }
                }
                _ => {}
            }
        }
        elided.reverse();
        if !elided.is_empty() {
            self.known = None;
        }
        self.body.replace(&elided);
        self.talk.said(Said::Elided(keep));
    }

    /// The most input tokens that the next request can have. No token is shorter
    /// than a byte, and what the server has counted already is known.
    pub fn most_input_tokens(&self) -> u64 {
        let bytes = self.body.length();
        let known = self.known.unwrap_or_default();
        let new = u64::try_from(bytes.saturating_sub(known.bytes)).unwrap_or(u64::MAX);
        known.tokens.saturating_add(new)
    }

    /// The most output tokens of the next reply, where there is a limit.
    pub fn max_output_tokens(&self) -> Option<u32> {
        self.max_output_tokens
    }

    /// The tokens of all turns together.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The ids of the calls that were not answered yet.
    fn waiting_calls(&self) -> &[String] {
        match self.kinds.last() {
            Some(Kind::Assistant(calls)) => calls,
            _ => &[],
        }
    }

    fn check_room(&self, more: usize) -> Result<(), CallError> {
        if self.body.pieces_length().saturating_add(more) > LONGEST_CONVERSATION {
            return Err(CallError::TooLong(
                "the conversation would be longer than 16 MiB; empty old results first".to_owned(),
            ));
        }
        Ok(())
    }

    fn append(&mut self, kind: Kind, piece: &[u8]) {
        let side = if matches!(kind, Kind::Assistant(_)) { Side::Assistant } else { Side::User };
        self.body.append(side, piece);
        self.kinds.push(kind);
    }

    fn count(&mut self, usage: Usage) {
        let total = &mut self.usage;
        total.input_tokens = total.input_tokens.saturating_add(usage.input_tokens);
        total.cached_input_tokens =
            total.cached_input_tokens.saturating_add(usage.cached_input_tokens);
        total.output_tokens = total.output_tokens.saturating_add(usage.output_tokens);
    }

    fn context_used(&self, usage: Usage) -> Option<f32> {
        let window = self.model.context_window()?;
        let used = usage.input_tokens.saturating_add(usage.output_tokens);
        Some((used as f64 / window as f64).min(1.0) as f32)
    }
}

/// About four bytes a token is the usual rule of thumb for English text and
/// code. Better than nothing where a server tells no usage: a conversation
/// that never seems to grow would run into the context's end.
fn estimated_usage(request_bytes: usize, message_bytes: usize) -> Usage {
    let tokens = |bytes: usize| u64::try_from(bytes / 4).unwrap_or(u64::MAX);
    Usage {
        input_tokens: tokens(request_bytes),
        cached_input_tokens: 0,
        output_tokens: tokens(message_bytes),
    }
}

/// Servers refuse a request as a whole for one bad tool, so each is checked
/// for what OpenAI's reference demands.
fn check_tools(tools: &[ToolSpec]) -> Result<(), CallError> {
    if tools.len() > MOST_TOOLS {
        return Err(CallError::TooLong(format!("a model takes at most {MOST_TOOLS} tools")));
    }
    for (index, tool) in tools.iter().enumerate() {
        let shown: String = tool.name.chars().take(LONGEST_TOOL_NAME).collect();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=LONGEST_TOOL_NAME).contains(&tool.name.len()) || !tool.name.bytes().all(plain) {
            return Err(CallError::Invalid(format!(
                "the tool name {shown:?} has to be 1 to 64 letters, digits, `_` and `-`"
            )));
        }
        if tools.iter().take(index).any(|other| other.name == tool.name) {
            return Err(CallError::Invalid(format!("the tool `{shown}` is there twice")));
        }
        if tool.description.len().saturating_add(tool.parameters.len()) > LONGEST_TOOL {
            return Err(CallError::TooLong(format!("the tool `{shown}` is longer than 64 KiB")));
        }
        let schema: serde_json::Value = serde_json::from_str(&tool.parameters).unwrap_or_default();
        if schema.get("type").and_then(serde_json::Value::as_str) != Some("object") {
            return Err(CallError::Invalid(format!(
                "the parameters of the tool `{shown}` have to be a JSON Schema with \
                 \"type\": \"object\""
            )));
        }
    }
    Ok(())
}

fn invalid(sentence: &str) -> CallError {
    CallError::Invalid(sentence.to_owned())
}
