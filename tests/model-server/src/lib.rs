//! A scripted language model that speaks the OpenAI and the Anthropic wire over
//! real HTTP/1.1 on loopback, for tests, demo and benchmarks. It stands for a strict server:
//! every request is checked for being well formed, and a breach is recorded as
//! a violation, so that a test can say that there was none.
//!
//! - `script`: what the model says, as plain data, from TOML or from Rust;
//! - `wire`, `messages`: what a request says, and whether it is well formed;
//! - `play`: which turn answers which request, and the records;
//! - `completion`, `openai`, `anthropic`: how a turn is said on a wire, whole or
//!   in a stream, and what goes wrong with it;
//! - `answer`: the bytes that go back, and how they end;
//! - `barrier`: answers that wait for one another;
//! - `load`: how many requests are answered at once;
//! - `server`: the endpoints, and the thread that they run on.
//!
//! It knows nothing of `code-agent` but the names of the tools by which it
//! tells the roles apart.

mod answer;
mod anthropic;
mod barrier;
mod completion;
mod load;
mod messages;
mod openai;
mod play;
mod script;
mod server;
mod wire;

pub use load::Load;
pub use play::Recorded;
pub use script::{
    Barrier, Call, Fault, Quirk, Role, Rule, Script, Turn, call, calls, finish_merge, finish_task,
    status, submit_verdict, text,
};
pub use server::{ModelServer, Options};
