//! Conversations with models: the only code that knows HTTP, and the only
//! owner of the model's key. What is said and which tools are offered is the
//! caller's business; nothing here knows roles, components or checkouts.
//!
//! - `choice`, `address`: what a user may write to choose a model and a server;
//! - `secret`: a text that no log shows;
//! - `model`: a model that is ready to talk, and what broke it;
//! - `conversation`, `body`: the messages of one conversation, kept well formed,
//!   and the bytes that grow with them; `opening`: what those of one role share;
//!   `request`: both together;
//! - `wire`, with `openai` and `anthropic`: requests written, answers read;
//!   `answer`: what both read; `complaint`: what servers complain about;
//!   `raw_calls`: calls that a server left in the text;
//! - `server`: when a request is sent, and whether again; `retry`: what helps
//!   against a failure; `pace`: how many requests a server gets at once;
//! - `exchange`: one exchange over HTTP, with `limits` of time and
//!   `server_events`, which reads streams;
//! - `scripted`: replies that were written down, with no server;
//! - `budget`: the ledger of what may be spent, and `prices`, what models cost.
//!
//! What is said is written down by `transcript`, where somebody wants that.
//!
//! The environment is not read here: addresses and keys come in as data. The
//! one exception is reqwest's own reading of the proxy variables, for servers
//! on other machines.

mod address;
mod answer;
mod anthropic;
mod body;
pub mod budget;
mod choice;
mod complaint;
mod conversation;
mod exchange;
mod limits;
mod model;
mod openai;
mod opening;
mod pace;
pub mod prices;
mod raw_calls;
mod request;
mod retry;
mod scripted;
mod secret;
mod server;
mod server_events;
#[cfg(test)]
mod tests;
mod wire;

pub use choice::{ModelChoice, Provider};
pub use conversation::Conversation;
pub use limits::{TimeLimits, Timeouts};
pub use model::{Model, ModelSettings};
pub use pace::Paces;
pub use secret::Secret;

pub use crate::types::{Reply, Stop};
