//! The messages wire (Anthropic's API reference, "Messages" and "Streaming
//! messages"). Sends nothing itself.
//!
//! User and assistant take turns there: the results of calls and a text of
//! the user after them are blocks of one message. A user's block is written
//! without its closing brace, so that the mark up to which the server shall
//! cache can stand behind it for as long as it is the last one.

mod answer;
mod request;
mod stream;

pub(super) use answer::read_answer;
pub(super) use request::{assistant_message, opening, result_block, text_block};
pub(super) use stream::Assembly;
