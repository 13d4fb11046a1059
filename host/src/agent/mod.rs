//! One agent at work: which role it plays, what it may do, and the checkout,
//! the model and the landing desk that it works with. Owns no decisions: roles
//! are components, tools are `tools/`, landing is `repo/`.

mod desk;
mod rights;

use std::sync::Arc;

pub use desk::{LandingDesk, LandingSetback};
pub use rights::{Grant, Rights};

use crate::lm::Model;
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::repo::{Checkout, Landed};
use crate::tools::place::WriteArea;
use crate::types::{CallError, Role};

/// What an agent works with during one call.
pub struct Agent {
    /// Names it in logs and events: its slot or its planner's id.
    pub name: String,
    /// Which part it plays.
    pub role: Role,
    /// Its own checkout, or one that it shares with other readers.
    pub checkout: Arc<Checkout>,
    /// The folder that the run is about.
    pub root: CheckoutPath,
    /// Whom it asks.
    pub model: Model,
    /// Where a worker's changes land; others have none.
    pub desk: Option<LandingDesk>,
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

    /// Its role's rights.
    pub fn rights(&self) -> Rights {
        Rights::of(self.role)
    }

    /// Whom it asks.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs blocking work on the checkout where it holds nobody up.
    pub async fn in_checkout<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Checkout) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let checkout = self.checkout.clone();
        match tokio::task::spawn_blocking(move || work(&checkout)).await {
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
        self.in_folder(move |folder| work(WriteArea { folder, root: &root })).await
    }

    /// Lands what is in the checkout now; returns the commit.
    pub async fn commit_and_land(&self, message: &str) -> Result<String, CallError> {
        let Some(desk) = &self.desk else {
            return Err(CallError::Denied(format!("the role {} lands nothing", self.role)));
        };
        match desk.land(&self.checkout, message).await {
            Ok(Some(Landed { commit, .. })) => Ok(commit),
            Ok(None) => {
                Err(CallError::Invalid("there is nothing to commit: no file has changed".into()))
            }
            Err(LandingSetback::Conflict(why)) => Err(CallError::Conflict(why)),
            Err(LandingSetback::Refused(why)) => Err(CallError::Invalid(why)),
            Err(LandingSetback::Broken(error)) => Err(CallError::Unavailable(error.to_string())),
        }
    }
}
