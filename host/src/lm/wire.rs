//! The two wires behind one face: what a request is made of, and how its
//! answer is read. A conversation knows pieces; how they stand in a request
//! is known here and below.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::retry::Failure;
use super::{Provider, anthropic, openai};
use crate::types::{CallError, ToolSpec};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// Chat completions, of OpenAI's own server or of another one.
    OpenAi { own: bool },
    /// Messages.
    Anthropic,
}

/// What stays the same in all requests of a conversation.
pub(super) struct Opening<'a> {
    pub(super) model: &'a str,
    pub(super) system: &'a str,
    pub(super) tools: &'a [ToolSpec],
    pub(super) temperature: Option<f32>,
    pub(super) max_output_tokens: Option<u32>,
}

/// Whose a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The user's words, and the results of calls.
    User,
    /// The model's.
    Assistant,
}

impl Wire {
    /// The wire of a provider's server at `base`.
    pub(super) fn of(provider: Provider, base: &str) -> Self {
        match provider {
            Provider::Anthropic => Self::Anthropic,
            _ => Self::OpenAi { own: base == Provider::OpenAi.default_base() },
        }
    }

    /// Where requests go, below the server's address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::OpenAi { .. } => "chat/completions",
            Self::Anthropic => "messages",
        }
    }

    /// A request up to its first piece.
    pub(super) fn opening(self, opening: &Opening<'_>) -> Result<Vec<u8>, CallError> {
        match self {
            Self::OpenAi { own } => openai::opening(opening, own),
            Self::Anthropic => anthropic::opening(opening),
        }
    }

    /// The user's words.
    pub(super) fn user(self, text: &str) -> Result<Vec<u8>, CallError> {
        match self {
            Self::OpenAi { .. } => openai::text_message("user", text),
            Self::Anthropic => anthropic::text_block(text),
        }
    }

    /// The result of one call.
    pub(super) fn result(
        self,
        call: &str,
        output: &str,
        is_error: bool,
    ) -> Result<Vec<u8>, CallError> {
        match self {
            // This wire has no field for it, and the model should know.
            Self::OpenAi { .. } if is_error => {
                openai::tool_message(call, &format!("Error: {output}"))
            }
            Self::OpenAi { .. } => openai::tool_message(call, output),
            Self::Anthropic => anthropic::result_block(call, output, is_error),
        }
    }

    /// What the model said.
    pub(super) fn assistant(self, answer: &Answer) -> Result<Vec<u8>, CallError> {
        match self {
            Self::OpenAi { .. } => openai::assistant_message(answer),
            Self::Anthropic => anthropic::assistant_message(answer),
        }
    }

    /// What stands between two pieces; none before the first one.
    pub(super) fn between(self, before: Option<Side>, next: Side) -> &'static str {
        match (self, before, next) {
            (Self::OpenAi { .. }, _, _) => ",",
            (Self::Anthropic, None, Side::User) => r#"{"role":"user","content":["#,
            (Self::Anthropic, None, Side::Assistant) => "",
            (Self::Anthropic, Some(Side::User), Side::User) => "},",
            (Self::Anthropic, Some(Side::User), Side::Assistant) => "}]},",
            (Self::Anthropic, Some(Side::Assistant), Side::User) => {
                r#",{"role":"user","content":["#
            }
            (Self::Anthropic, Some(Side::Assistant), Side::Assistant) => ",",
        }
    }

    /// What ends a request after its last piece.
    pub(super) fn closing(self, last: Option<Side>) -> &'static str {
        match (self, last) {
            (Self::Anthropic, Some(Side::User)) => r#","cache_control":{"type":"ephemeral"}}]}]}"#,
            _ => "]}",
        }
    }

    /// Reads an answer that is no stream.
    pub(super) fn read_answer(self, body: &[u8]) -> Result<Answer, Failure> {
        match self {
            Self::OpenAi { .. } => openai::read_answer(body),
            Self::Anthropic => anthropic::read_answer(body),
        }
    }

    /// What puts a stream's answer together.
    pub(super) fn assembly(self) -> Assembly {
        match self {
            Self::OpenAi { .. } => Assembly::OpenAi(openai::Assembly::default()),
            Self::Anthropic => Assembly::Anthropic(anthropic::Assembly::default()),
        }
    }
}

/// An answer of which not all has come yet.
#[derive(Debug)]
pub(super) enum Assembly {
    OpenAi(openai::Assembly),
    Anthropic(anthropic::Assembly),
}

impl Assembly {
    /// Takes the data of one event.
    pub(super) fn take(&mut self, data: &str) -> Result<(), Failure> {
        match self {
            Self::OpenAi(assembly) => assembly.take(data),
            Self::Anthropic(assembly) => assembly.take(data),
        }
    }

    /// Whether the model has said anything yet, be it thoughts.
    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::OpenAi(assembly) => assembly.has_begun(),
            Self::Anthropic(assembly) => assembly.has_begun(),
        }
    }

    /// Whether the server said that nothing follows.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::OpenAi(assembly) => assembly.is_complete(),
            Self::Anthropic(assembly) => assembly.is_complete(),
        }
    }

    /// What came, at the end of the stream.
    pub(super) fn finish(self) -> Result<Answer, Failure> {
        match self {
            Self::OpenAi(assembly) => assembly.finish(),
            Self::Anthropic(assembly) => assembly.finish(),
        }
    }
}

/// Writes a part of a request.
pub(super) fn json(part: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(part).map_err(|error| {
        CallError::Invalid(format!("the message can't be written as JSON: {error}"))
    })
}

/// A tool's parameters as they were written.
pub(super) fn parameters(spec: &ToolSpec) -> Result<&RawValue, CallError> {
    serde_json::from_str(&spec.parameters).map_err(|error| {
        CallError::Invalid(format!("the parameters of `{}` are no JSON: {error}", spec.name))
    })
}
