//! `git`: reading the history that the caller's checkout stands on.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::git::{Commit, Host, StatusEntry};
use crate::plugin::convert::{ImportError, all};
use crate::plugin::state::CallState;
use crate::repo::path::CheckoutPath;

impl Host for CallState {
    async fn status(&mut self) -> Result<Vec<StatusEntry>, ImportError> {
        let agent = self.enter(Grant::Git)?;
        Ok(all(agent.in_checkout(|checkout| checkout.status()).await?))
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
