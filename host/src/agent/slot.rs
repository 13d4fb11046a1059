//! A slot: a checkout for whoever works in it, one after the other, and what
//! commands leave beside it. How a checkout is filled is `repo/`'s business.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, RwLock};

use super::commands::{Prepared, Setup, lock_files};
use crate::repo::{Checkout, Checkouts};
use crate::sandbox::{Folders, Ran, Sandbox};
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
    /// Where commands keep their temporary files, for one task.
    temporary: PathBuf,
    /// The commands' home, which stays from task to task with its caches.
    home: PathBuf,
    /// Whether anybody has run a command in it.
    used: AtomicBool,
    /// Whether a command was stopped in it: what it left may stop the next one.
    spoilt: AtomicBool,
    /// What the user's setup command has prepared it for.
    prepared: Mutex<Option<Prepared>>,
}

impl Slot {
    /// Opens a slot, whose checkout holds nothing yet.
    pub async fn open(checkouts: &Arc<Checkouts>, name: &str) -> Result<Arc<Self>> {
        let (checkouts, name) = (checkouts.clone(), name.to_owned());
        blocking("making a checkout", move || {
            let checkout = checkouts.open(&name)?;
            Ok(Arc::new(Self {
                temporary: checkout.temporary()?,
                home: checkout.home()?,
                checkout: Arc::new(checkout),
                busy: Arc::default(),
                used: AtomicBool::default(),
                spoilt: AtomicBool::default(),
                prepared: Mutex::default(),
                name,
            }))
        })
        .await
    }

    /// Waits until nobody is busy in it, and makes it hold exactly what `commit`
    /// holds, and what `.gitignore` names.
    pub async fn stand_on(&self, commit: &str) -> Result<()> {
        let alone = self.busy.clone().write_owned().await;
        let (checkout, commit) = (self.checkout.clone(), commit.to_owned());
        let spoilt = self.spoilt.swap(false, Ordering::AcqRel);
        if spoilt {
            *self.prepared.lock().await = None;
            self.used.store(false, Ordering::Release);
        }
        blocking("preparing a checkout", move || {
            let _alone = alone;
            if spoilt {
                checkout.start_anew()?;
            }
            checkout.temporary()?;
            checkout.home()?;
            checkout.reset(&commit)
        })
        .await
    }

    /// Notes what became of a command that was run in it.
    pub fn has_run(&self, ran: &Ran) {
        self.used.store(true, Ordering::Release);
        if ran.stopped.is_some() {
            self.spoil();
        }
    }

    /// Whether a command was stopped in it. Where there are no namespaces, what that
    /// has started may live and write there still, so that nobody else should work
    /// in these folders.
    pub fn is_spoilt(&self) -> bool {
        self.spoilt.load(Ordering::Acquire)
    }

    /// Lets the next one who stands in it find nothing of those before.
    fn spoil(&self) {
        self.spoilt.store(true, Ordering::Release);
    }

    /// The same for somebody who runs commands: what the user's setup command
    /// makes is there, as far as `.gitignore` names it. Returns what is to be said
    /// where that command failed.
    pub async fn stand_prepared_on(&self, commit: &str, setup: &Setup) -> Result<Option<String>> {
        self.stand_on(commit).await?;
        let wanted = lock_files(&self.checkout);
        if self.prepared.lock().await.as_ref() == Some(&wanted) {
            return Ok(None);
        }
        *self.prepared.lock().await = None;
        let mut failed = setup.run(self).await?;
        if failed.is_some() && self.used.load(Ordering::Acquire) {
            // That may be the fault of what was run here before.
            self.spoil();
            self.stand_on(commit).await?;
            failed = setup.run(self).await?;
        }
        self.stand_on(commit).await?;
        if failed.is_none() {
            *self.prepared.lock().await = Some(wanted);
        }
        Ok(failed)
    }

    /// The folders that are a command's own here. Without walls, what it starts may
    /// outlive it.
    pub fn folders(&self, sandbox: &Sandbox) -> Folders {
        Folders {
            checkout: self.checkout.folder_for_command(sandbox.abilities.is_none()).to_owned(),
            temporary: self.temporary.clone(),
            home: self.home.clone(),
        }
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
