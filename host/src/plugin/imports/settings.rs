//! `settings`: what the user set for this plugin in `plugins.toml`.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::settings::Host;
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;

impl Host for CallState {
    async fn get(&mut self, key: String) -> Result<Option<String>, ImportError> {
        self.check(Grant::Settings)?;
        Ok(self.settings().get(&key).cloned())
    }
}
