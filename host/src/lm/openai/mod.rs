//! The chat-completions wire (OpenAI's API reference, "Create chat
//! completion"), as OpenAI, vLLM, llama.cpp and Ollama speak it: requests are
//! written strictly, answers are read with patience. Sends nothing itself.

mod answer;
mod request;

pub(super) use answer::{Answer, excerpt, read_answer, read_complaint, read_first_model};
pub(super) use request::{
    Fragment, LONGEST_TOOL_NAME, Request, assistant_message, text_message, tool_message, tools,
};
