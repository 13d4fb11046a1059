//! `tools`: the catalogue that the agent may use.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::tools::{Host, ToolCall, ToolResult, ToolSpec};
use crate::plugin::convert::{ImportError, all};
use crate::plugin::state::CallState;
use crate::tools::catalogue;

impl Host for CallState {
    async fn specs(&mut self) -> Result<Vec<ToolSpec>, ImportError> {
        let agent = self.enter(Grant::Tools)?;
        Ok(all(catalogue::specs(&agent, self.rights())))
    }

    async fn call(&mut self, calls: Vec<ToolCall>) -> Result<Vec<ToolResult>, ImportError> {
        let agent = self.enter(Grant::Tools)?;
        self.hand_over(calls.iter().map(|call| call.arguments.len()).sum())?;
        Ok(all(catalogue::call_all(&agent, self.rights(), all(calls)).await?))
    }
}
