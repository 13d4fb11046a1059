//! One agent at work: which role it plays, what it may do, and the checkout,
//! the model and the landing desk that it works with. Owns no decisions: roles
//! are components, tools are `tools/`, landing is `repo/`.

mod asking;
mod checking;
mod commands;
mod handing_in;
mod landing;
mod merge_queue;
mod models;
mod places;
mod red_branch;
mod rights;
mod scope;
mod slot;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use asking::{Account, unanswered};
pub use checking::Checker;
pub use commands::{Setup, ended};
pub use handing_in::{note_lost, note_outside};
pub use landing::{Check, ClaimLanding, NotLanded, RunLog};
pub use merge_queue::{MergeBench, MergeQueue};
pub use models::{RoleModel, RoleModels};
pub use places::most_at_work;
pub use rights::{Grant, Rights};
pub use scope::{FilePaths, Scope};
pub use slot::Slot;
pub(crate) use slot::blocking;

use crate::Setback;
use crate::lm::Model;
use crate::plugin::{Tally, ToolPlugins};
use crate::repo::Checkout;
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::sandbox::Sandbox;
use crate::tools::place::WriteArea;
use crate::transcript::CallTranscript;
use crate::types::{CallError, Role, Usage};

/// What an agent works with during one call.
pub struct Agent {
    /// Names it in logs and events: its slot or its planner's id.
    pub name: String,
    /// Which part it plays.
    pub role: Role,
    /// Its own checkout, or one that it shares with other readers.
    pub slot: Arc<Slot>,
    /// The folder that the run is about.
    pub root: CheckoutPath,
    /// Whom it asks.
    pub model: RoleModel,
    /// Who pays for that.
    pub account: Account,
    /// Where it is written down.
    pub transcript: Arc<CallTranscript>,
    /// How it runs commands; none where nobody can.
    pub sandbox: Option<Arc<Sandbox>>,
    /// The tools that plugins bring.
    pub tools: Arc<ToolPlugins>,
    /// Where a worker's changes land; others have none.
    pub landing: Option<ClaimLanding>,
    /// What ended the attempt while the component was still at work.
    pub setback: OnceLock<Setback>,
    /// What the agent has asked of the model so far.
    pub usage: Mutex<Usage>,
    /// What was written down for its component, and for those of its tools.
    pub tally: Tally,
}

impl Agent {
    /// Its name in logs and events.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its role's rights, as far as the host can grant them.
    pub fn rights(&self) -> Rights {
        let rights = Rights::of(self.role);
        if self.sandbox.is_some() {
            rights
        } else {
            rights.beyond(Rights::these(&[Grant::Commands]))
        }
    }

    /// Whom it asks.
    pub fn model(&self) -> &Model {
        &self.model.model
    }

    /// What ended the attempt, if something has: the component is not to go on.
    pub fn ended_by(&self) -> Option<&Setback> {
        self.setback.get()
    }

    /// Counts what a request asked of the model.
    pub fn count(&self, usage: Usage) {
        let mut sum = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
        sum.cached_input_tokens = sum.cached_input_tokens.saturating_add(usage.cached_input_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
    }

    /// What the agent has asked of the model so far.
    pub fn used(&self) -> Usage {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs blocking work on the checkout where it holds nobody up, when there is a
    /// place for it.
    pub async fn in_checkout<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Checkout) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let checkout = self.slot.checkout.clone();
        let busy = self.slot.busy.clone().read_owned().await;
        let place = places::place().await;
        let work = move || {
            let outcome = work(&checkout);
            drop((busy, place));
            outcome
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(agent = self.name, "a tool broke off: {error}");
                Err(CallError::Unavailable(
                    "the tool broke off; this is a fault of the host".into(),
                ))
            }
        }
    }

    /// Runs blocking work on the checkout's folder.
    pub async fn in_folder<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        self.in_checkout(move |checkout| work(checkout.folder())).await
    }

    /// Runs blocking work on the part of the checkout that may change.
    pub async fn in_write_area<T: Send + 'static>(
        &self,
        work: impl FnOnce(WriteArea<'_>) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let root = self.root.clone();
        let (store, subject) = (self.account.store.clone(), self.account.subject.clone());
        let unwritten = Arc::new(OnceLock::new());
        let tell = unwritten.clone();
        let outcome = self.in_checkout(move |checkout| {
            let keep = |path: &CheckoutPath, bytes: &[u8]| -> Result<String, CallError> {
                let kept = checkout.keep(bytes).and_then(|blob| {
                    let row =
                        store.keep_file(subject.clone(), path.as_str().to_owned(), blob.clone());
                    // The first one counts; there is none after it.
                    row.inspect_err(|error| drop(tell.set(error.clone())))?;
                    Ok(blob)
                });
                kept.map_err(|error| CallError::Unavailable(error.to_string()))
            };
            let note = |path: &CheckoutPath| checkout.note(path);
            let folder = checkout.folder();
            work(WriteArea { folder, root: &root, keeper: Some(&keep), witness: Some(&note) })
        });
        let outcome = outcome.await;
        // Like any other row that can't be written, it ends the run: whoever goes on would
        // not know of it.
        match unwritten.get() {
            Some(error) => Err(self.stopped(crate::Error::clone(error))),
            None => outcome,
        }
    }
}
