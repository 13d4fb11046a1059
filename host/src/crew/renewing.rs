//! The renewal of plugins where a cycle begins, so that each cycle has one set of
//! them from its first call to its last. Owns when it is looked for and what is
//! told of it; what is taken up is `plugin/`'s.

use std::path::Path;

use super::HostCrew;
use crate::Result;
use crate::events::Event;
use crate::plugin::Renewal;
use crate::queue::Store;
use crate::sandbox::Sandbox;
use crate::transcript::Entry;

impl HostCrew {
    /// Takes up what has changed in the plugins folder. A replay does not: its
    /// recording says what was changed, and holds no component to change to.
    pub(super) async fn renew_plugins(&self) -> Result<()> {
        if self.journal.replay().is_some() {
            return Ok(());
        }
        match self.plugins.renew(|file: &Path| self.can_have_written(file)).await {
            Renewal::Nothing => Ok(()),
            Renewal::TakenUp(changes) => {
                self.journal.write(Entry::Plugins(self.plugins().contents()));
                self.store.record("host", Event::PluginsTakenUp { changes }).await
            }
            Renewal::Kept(message) => self.store.record("host", Event::Warning { message }).await,
        }
    }

    /// Whether the run's own work may be what a file holds: by landing it in a
    /// working tree, or by a command that may write there.
    fn can_have_written(&self, file: &Path) -> Result<bool> {
        // Without walls a command writes wherever the user does.
        let reaches =
            |sandbox: &Sandbox| sandbox.abilities.is_none() || sandbox.access.lets_write(file);
        let reached = self.sandbox.as_deref().is_some_and(reaches);
        Ok(reached
            || self.checkouts.are_around(file)
            || self.repository.holds(file, &self.begun_on)?)
    }
}
