//! Where a worker hands in its changes: they are collected from its checkout,
//! landed, and written down as its task's. What a conflict means for the task
//! is decided elsewhere.

use std::sync::Arc;

use crate::Error;
use crate::clock::Clock;
use crate::queue::sqlite::RunStore;
use crate::queue::{Claim, Store};
use crate::repo::{Checkout, LandError, Landed, Lander, Landing};

/// The landing desk of one claim.
pub struct LandingDesk {
    /// Lands.
    pub lander: Arc<Lander>,
    /// Remembers what landed.
    pub store: RunStore,
    /// Whose changes these are.
    pub claim: Claim,
    /// Names the landing and dates the commit.
    pub clock: Clock,
}

/// Why changes did not land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandingSetback {
    /// The branch has other changes in the same place.
    Conflict(String),
    /// The changes can't become a commit, whatever the branch looks like.
    Refused(String),
    /// Something that only a person can mend.
    Broken(Error),
}

impl LandingDesk {
    /// Lands what differs in `checkout` from its base; none where nothing
    /// does. Afterwards the checkout stands on what landed.
    pub async fn land(
        &self,
        checkout: &Arc<Checkout>,
        message: &str,
    ) -> Result<Option<Landed>, LandingSetback> {
        let changes =
            blocking(checkout, Checkout::changes).await.map_err(LandingSetback::Refused)?;
        if !changes.outside.is_empty() {
            let paths: Vec<&str> =
                changes.outside.iter().take(10).map(|path| path.as_str()).collect();
            tracing::warn!(
                task = self.claim.task.id,
                "changes outside of the run's root path are left out: {}",
                paths.join(", ")
            );
        }
        if changes.changes.is_empty() {
            return Ok(None);
        }
        let landing_id = self.clock.id();
        let landing = Landing {
            landing_id: landing_id.clone(),
            task_id: self.claim.task.id.clone(),
            base: checkout.base(),
            changes: changes.changes,
            message: message.to_owned(),
            author_time: self.clock.milliseconds() / 1000,
        };
        let landed = match self.lander.land(landing).await {
            Ok(landed) => landed,
            Err(LandError::Nothing) => return Ok(None),
            Err(LandError::Conflict { files, commits }) => {
                return Err(LandingSetback::Conflict(describe_conflict(&files, &commits)));
            }
            Err(LandError::Failed(error)) => return Err(LandingSetback::Broken(error)),
        };
        self.store
            .landed(&self.claim, landing_id, landed.commit.clone(), landed.files.clone())
            .await
            .map_err(LandingSetback::Broken)?;
        let tip = landed.commit.clone();
        blocking(checkout, move |checkout| checkout.reset(&tip))
            .await
            .map_err(LandingSetback::Refused)?;
        Ok(Some(landed))
    }
}

fn describe_conflict(files: &[String], commits: &[String]) -> String {
    let because =
        if commits.is_empty() { String::new() } else { format!(" by {}", commits.join(", ")) };
    format!(
        "the branch changed meanwhile{because}, and these changes collide with it in: {}. Start from the files as \
         they are now",
        files.join(", ")
    )
}

async fn blocking<T: Send + 'static>(
    checkout: &Arc<Checkout>,
    work: impl FnOnce(&Checkout) -> crate::Result<T> + Send + 'static,
) -> Result<T, String> {
    let checkout = checkout.clone();
    match tokio::task::spawn_blocking(move || work(&checkout)).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(error) => Err(format!("reading the checkout broke off: {error}")),
    }
}
