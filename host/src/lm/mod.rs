//! Conversations with models: the only code that knows HTTP, and the only
//! owner of the model's key. What is said and which tools are offered is the
//! caller's business; nothing here knows roles, components or checkouts.
//!
//! - `choice`: what a user may write to choose a model;
//! - `secret`: a text that no log shows;
//! - `model`: a model that is ready to talk, and what broke it;
//! - `conversation`: the messages of one conversation, kept well formed;
//! - `openai`: the chat-completions wire: requests written, answers read;
//! - `server`: the exchange with a server: address, key, bounds, trying again;
//! - `budget`: the ledger of what may be spent, and `prices`, what models cost;
//! - `retry`: which failures pass by themselves, and how long to wait for it.
//!
//! The environment is not read here: addresses and keys come in as data. The
//! one exception is reqwest's own reading of the proxy variables, for servers
//! on other machines.

pub mod budget;
mod choice;
mod conversation;
mod model;
mod openai;
pub mod prices;
mod retry;
mod secret;
mod server;
#[cfg(test)]
mod tests;

pub use choice::{ModelChoice, Provider};
pub use conversation::Conversation;
pub use model::{Model, ModelSettings};
pub use secret::Secret;

use crate::types::{ToolCall, Usage};

/// What a model said in one turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The text beside the calls; empty where there is none.
    pub text: String,
    /// The tools that it wants to use; their ids are unique within the reply.
    pub calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// The tokens of this turn: the server's figures, or an estimate from the
    /// length of the texts where the server gives none.
    pub usage: Usage,
    /// How full the context window is now, from 0 to 1; none where its size is
    /// not known.
    pub context_used: Option<f32>,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It had said everything.
    End,
    /// It waits for the results of its calls.
    ToolCalls,
    /// It ran into the limit of output tokens; the last call may be cut.
    Length,
    /// It, or its server's filter, will not answer that.
    Refusal,
}
