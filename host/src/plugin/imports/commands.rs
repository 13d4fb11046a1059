//! `commands`: command lines in the caller's checkout, inside the sandbox.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::commands::{CommandOutput, Host};
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;

impl Host for CallState {
    async fn run(
        &mut self,
        command_line: String,
        timeout_seconds: u32,
    ) -> Result<CommandOutput, ImportError> {
        let agent = self.enter(Grant::Commands)?;
        let ran = agent.run_command(&command_line, Some(timeout_seconds)).await?;
        let mut output = ran.output;
        if let Some(why) = ran.stopped {
            output.push_str(&format!("\n[stopped: {why}]\n"));
        }
        Ok(CommandOutput { exit_code: ran.exit_code, output, timed_out: ran.timed_out })
    }
}
