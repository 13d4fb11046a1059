//! `commands`: linked, so that components that import it load; no role has
//! the right to it while the host has no sandbox to run commands in.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::commands::{CommandOutput, Host};
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;
use crate::types::CallError;

impl Host for CallState {
    async fn run(
        &mut self,
        _command_line: String,
        _timeout_seconds: u32,
    ) -> Result<CommandOutput, ImportError> {
        self.enter(Grant::Commands)?;
        Err(CallError::Unavailable("this host has no sandbox to run commands in".into()).into())
    }
}
