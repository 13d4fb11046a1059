//! `git`: reading the history that the caller's checkout stands on.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::git::{Commit, Host, StatusEntry};
use crate::plugin::convert::{ImportError, all};
use crate::plugin::state::CallState;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// Entries of one status, as of one listing: it has no way to say that it was cut.
const MOST_ENTRIES: usize = 20_000;

impl Host for CallState {
    async fn status(&mut self) -> Result<Vec<StatusEntry>, ImportError> {
        let agent = self.enter(Grant::Git)?;
        let changed = agent.in_checkout(|checkout| checkout.status()).await?;
        if changed.len() > MOST_ENTRIES {
            return Err(CallError::TooLong(format!(
                "{} files are changed, and {MOST_ENTRIES} are the most that one status holds; \
                 remove those that are no part of the work",
                changed.len()
            ))
            .into());
        }
        Ok(all(changed))
    }

    async fn diff(&mut self, from: String, to: Option<String>) -> Result<String, ImportError> {
        let agent = self.enter(Grant::Git)?;
        Ok(agent.in_checkout(move |checkout| checkout.diff(&from, to.as_deref())).await?)
    }

    async fn log(
        &mut self,
        path: Option<String>,
        max_entries: u32,
    ) -> Result<Vec<Commit>, ImportError> {
        let agent = self.enter(Grant::Git)?;
        let path = path.map(|path| CheckoutPath::parse(&path)).transpose()?;
        Ok(all(agent.in_checkout(move |checkout| checkout.log(path.as_ref(), max_entries)).await?))
    }
}
