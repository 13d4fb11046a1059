//! What a person is told of a run that no single task or cycle tells: at its
//! beginning that the branch is behind, or a replay's plugins are others, at its end of disk and hooks. Where the
//! repository can't be asked, that is told instead: no run fails for a notice.

use std::sync::Arc;

use crate::Result;
use crate::agent::blocking;
use crate::events::Event;
use crate::plugin::folder::Contents;
use crate::queue::{RunStore, Store};
use crate::repo::{Checkouts, Repository};

/// Says that `origin` had commits which the run does not begin with.
pub(super) async fn behind(store: &RunStore, repository: &Repository) -> Result<()> {
    let message = match repository.behind_remote() {
        Ok(0) => return Ok(()),
        Ok(behind) => format!(
            "the branch lacks {behind} commits that origin had when it was last fetched: they are \
             merged in when the work is pushed. To start from them, run `git pull` first"
        ),
        Err(error) => format!("whether the branch is behind origin can't be said: {error}"),
    };
    store.record("host", Event::Warning { message }).await
}

/// Says that what is played back was made with other plugins than those that are
/// here now: they are what a replay has.
pub(super) async fn other_plugins(
    store: &RunStore,
    recorded: &[Contents],
    now: &Contents,
) -> Result<()> {
    let pairs = recorded.iter().zip(recorded.iter().skip(1));
    let meanwhile: Vec<String> = pairs.flat_map(|(one, next)| one.changes(next)).collect();
    let since = recorded.last().map(|last| last.changes(now)).unwrap_or_default();
    let parts = [("while it was recorded", meanwhile), ("since then", since)];
    let parts = parts.iter().filter(|(_, changes)| !changes.is_empty());
    let said: Vec<String> =
        parts.map(|(when, changes)| format!("{when}, {}", changes.join(", "))).collect();
    if said.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the run was recorded with other plugins than those of this replay: {}. It has those that are there now from \
         beginning to end, and stops where they ask for something else",
        said.join("; ")
    );
    store.record("host", Event::Warning { message }).await
}

/// Says what the checkouts take of the disk, before they go.
pub(super) async fn disk_use(store: &RunStore, checkouts: &Arc<Checkouts>) -> Result<()> {
    let checkouts = checkouts.clone();
    let kept = checkouts.kept().map(|folder| folder.display().to_string());
    let bytes = blocking("measuring checkouts", move || Ok(checkouts.disk_use())).await?;
    store.record("host", Event::Checkouts { bytes, kept }).await
}

/// Says that what landed was not seen by the repository's hooks, if it has some.
pub(super) async fn hooks(store: &RunStore, repository: &Repository) -> Result<()> {
    if store.landed().await?.is_empty() {
        return Ok(());
    }
    let message = match repository.hooks() {
        Ok(hooks) if hooks.is_empty() => return Ok(()),
        Ok(hooks) => format!(
            "the repository's hooks never run, so none of {} has seen what landed; what must hold, \
             say with --check",
            hooks.join(", ")
        ),
        Err(error) => format!(
            "the repository's hooks never run; whether there are any can't be said: {error}"
        ),
    };
    store.record("host", Event::Warning { message }).await
}
