//! Pushing what has landed, and telling what became of it. How it is pushed is
//! `repo/`'s business.

use super::HostCrew;
use crate::Result;
use crate::agent::blocking;
use crate::cycle::{Crew, Stop};
use crate::events::Event;
use crate::queue::Store;
use crate::repo::Published;

impl HostCrew {
    /// Pushes what has landed, unless it is not to be, until a person wishes the
    /// run to stop.
    pub(super) async fn share(&self, stop: Stop) -> Result<()> {
        // What is not this run's is not its business to push.
        if !self.push || self.store.landed().await?.is_empty() {
            return Ok(());
        }
        let before = self.head().await?;
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        let time = self.clock.milliseconds() / 1000;
        let pushing = move || repository.publish(&run, time, &|| *stop.borrow());
        let published = blocking("pushing", pushing).await?;
        let merged = self.head().await? != before;
        if let Some(event) = self.told(published, merged) {
            self.store.record("host", event).await?;
        }
        if !merged {
            return Ok(());
        }
        match self.end_cycle().await? {
            Some(message) => self.store.record("host", Event::Branch { message }).await,
            None => Ok(()),
        }
    }

    fn told(&self, published: Published, merged: bool) -> Option<Event> {
        let branch = self.repository.branch().to_owned();
        match published {
            Published::NoRemote | Published::UpToDate => None,
            Published::Pushed { commit } => Some(Event::Pushed { branch, commit, merged }),
            Published::NotPushed { why } => Some(Event::Warning {
                message: format!(
                    "what has landed was not pushed to `{branch}` of origin, and the run goes on: \
                     {why}"
                ),
            }),
            Published::Stopped => Some(Event::Warning {
                message: format!(
                    "the run stops before what has landed was pushed to `{branch}` of origin: it is \
                     pushed when the run is resumed"
                ),
            }),
        }
    }
}
