//! The chat-completions wire (OpenAI's API reference, "Create chat
//! completion"), as OpenAI, vLLM, llama.cpp and Ollama speak it: requests are
//! written strictly, answers are read with patience. Sends nothing itself.

mod answer;
mod request;
mod stream;

pub(super) use answer::{Listed, read_answer, read_models};
pub(super) use request::{assistant_message, opening, text_message, tool_message};
pub(super) use stream::Assembly;
