//! `git-write`: landing before the task is finished, and what would land.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::git_write::Host;
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;

impl Host for CallState {
    async fn commit_and_push(&mut self, message: String) -> Result<String, ImportError> {
        let agent = self.enter(Grant::GitWrite)?;
        Ok(agent.commit_and_land(&message, &[]).await?.0)
    }

    async fn prepare(&mut self, include: Vec<String>) -> Result<Vec<String>, ImportError> {
        let agent = self.enter(Grant::GitWrite)?;
        Ok(agent.prepare(&include).await?)
    }
}
