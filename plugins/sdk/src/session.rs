//! What the agent loop needs of the outside: one conversation with a model, and
//! the host's tools. Owns the trait alone; `host` fills it with the contract,
//! the loop's tests with a script.

use crate::lm::Reply;
use crate::log::Level;
use crate::tools::{ToolCall, ToolResult};
use crate::types::Error;

/// One conversation with a model, and the tools that the host runs for it.
pub trait Session {
    /// Appends a message from the user's side.
    fn say(&mut self, text: &str) -> Result<(), Error>;
    /// Appends the results of all calls in the last reply, in their order.
    fn answer(&mut self, results: &[ToolResult]) -> Result<(), Error>;
    /// Asks the model and appends what it says.
    fn reply(&mut self) -> Result<Reply, Error>;
    /// Empties all tool results but those of the last `keep` replies.
    fn elide_results(&mut self, keep: u32);
    /// Runs tools of the host side by side; the results come in the order of the
    /// calls.
    fn call_tools(&mut self, calls: &[ToolCall]) -> Result<Vec<ToolResult>, Error>;
    /// Writes a line into the host's log.
    fn log(&mut self, level: Level, message: &str);
}
