//! `log`: the one interface that can't be refused, so it is bounded.

use crate::plugin::bindings::code_agent::plugin::log::{Host, Level};
use crate::plugin::state::CallState;
use crate::plugin::tally::LogLine;

/// Characters of a line that are kept.
const MAX_LINE: usize = 2000;

impl Host for CallState {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.enter_free()?;
        let line = self.log(message.len())?;
        let (plugin, agent) = (&self.plugin.entry.name, self.caller_name());
        match line {
            LogLine::Kept => {}
            LogLine::FirstDropped => {
                tracing::warn!(
                    plugin,
                    agent,
                    "it logs too much; the rest of what it says in this call of the agent is dropped"
                );
                return Ok(());
            }
            LogLine::Dropped => return Ok(()),
        }
        // Control characters could rewrite what a terminal shows.
        let line: String = message
            .chars()
            .take(MAX_LINE)
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        match level {
            Level::Error => tracing::error!(plugin, agent, "{line}"),
            Level::Warn => tracing::warn!(plugin, agent, "{line}"),
            Level::Info => tracing::info!(plugin, agent, "{line}"),
            Level::Debug => tracing::debug!(plugin, agent, "{line}"),
        }
        Ok(())
    }
}
