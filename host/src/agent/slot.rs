//! A slot: a checkout for whoever works in it, one after the other, and what
//! commands leave beside it. How a checkout is filled is `repo/`'s business.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, RwLock};

use super::commands::{Prepared, lock_files, prepare};
use crate::repo::{Checkout, Checkouts};
use crate::sandbox::Sandbox;
use crate::{Error, Result};

/// A checkout and who is busy in it.
pub struct Slot {
    /// Names it among the run's.
    pub name: String,
    /// The checkout.
    pub checkout: Arc<Checkout>,
    /// Tools hold it for reading, a reset for writing: a tool of an attempt
    /// that was dropped must not write into the next one's files.
    pub busy: Arc<RwLock<()>>,
    /// Where commands keep their temporary files.
    pub temporary: PathBuf,
    /// What the user's setup command has prepared it for.
    prepared: Mutex<Option<Prepared>>,
    checkouts: Arc<Checkouts>,
}

impl Slot {
    /// Opens a slot, whose checkout holds nothing yet.
    pub async fn open(checkouts: &Arc<Checkouts>, name: &str) -> Result<Arc<Self>> {
        let (checkouts, name) = (checkouts.clone(), name.to_owned());
        blocking("making a checkout", move || {
            Ok(Arc::new(Self {
                checkout: Arc::new(checkouts.open(&name)?),
                busy: Arc::default(),
                temporary: checkouts.temporary(&name)?,
                prepared: Mutex::default(),
                name,
                checkouts,
            }))
        })
        .await
    }

    /// Waits until nobody is busy in it, and makes it hold exactly what `commit`
    /// holds, and what `.gitignore` names.
    pub async fn stand_on(&self, commit: &str) -> Result<()> {
        let alone = self.busy.clone().write_owned().await;
        let (checkout, commit) = (self.checkout.clone(), commit.to_owned());
        let (checkouts, name) = (self.checkouts.clone(), self.name.clone());
        blocking("preparing a checkout", move || {
            let _alone = alone;
            checkouts.temporary(&name)?;
            checkout.reset(&commit)
        })
        .await
    }

    /// Where a command runs. Without walls, what it starts may outlive it.
    pub fn folder_for_command(&self, sandbox: &Sandbox) -> PathBuf {
        self.checkout.folder_for_command(sandbox.abilities.is_none()).to_owned()
    }

    /// The same for somebody who runs commands: what the user's setup command
    /// makes is there, as far as `.gitignore` names it.
    pub async fn stand_prepared_on(
        &self,
        commit: &str,
        sandbox: &Sandbox,
        setup: &str,
    ) -> Result<()> {
        self.stand_on(commit).await?;
        let mut prepared = self.prepared.lock().await;
        let wanted = lock_files(self.checkout.folder());
        if prepared.as_ref() != Some(&wanted) {
            *prepared = None;
            prepare(sandbox, self, setup).await?;
            self.stand_on(commit).await?;
            *prepared = Some(wanted);
        }
        Ok(())
    }
}

/// Runs what blocks where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::failed(format!("{what} broke off: {error}"))),
    }
}
