//! `git-write`: landing before the task is finished.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::git_write::Host;
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;

impl Host for CallState {
    async fn commit_and_push(&mut self, message: String) -> Result<String, ImportError> {
        let agent = self.enter(Grant::GitWrite)?;
        Ok(agent.commit_and_land(&message).await?)
    }
}
