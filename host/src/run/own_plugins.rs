//! What a run itself has written becomes no plugin of it, not even when it goes on:
//! its own work would judge itself. Looks at what the run has landed and at where its
//! commands could write; between two cycles that is the crew's business.

use std::path::Path;

use super::database_path;
use crate::config::Options;
use crate::plugin::Current;
use crate::queue::RunStore;
use crate::repo::{Checkouts, Repository};
use crate::{Error, Result, transcript};

/// Refuses to go on with plugins that are the run's own work.
pub(super) async fn refuse(
    store: &RunStore,
    repository: &Repository,
    checkouts: &Checkouts,
    options: &Options,
    plugins: &Current,
) -> Result<()> {
    let landed: Vec<String> = store.landed().await?.into_iter().map(|(_, commit)| commit).collect();
    for file in plugins.files() {
        if checkouts.are_around(&file) || repository.have_changed(&landed, &file)? {
            return Err(refusal(&file));
        }
    }
    if options.access.writable.is_empty() {
        return Ok(());
    }
    let folder = database_path(options);
    let path = transcript::path(folder.parent().unwrap_or(Path::new("")), store.run());
    // What is as the run had it before, no command has changed.
    let changed = match transcript::last_plugins(&path)? {
        Some(recorded) => plugins.files_unlike(&recorded),
        None => plugins.files(),
    };
    match changed.iter().find(|file| options.access.lets_write(file)) {
        Some(file) => Err(refusal(file)),
        None => Ok(()),
    }
}

fn refusal(file: &Path) -> Error {
    Error::usage(format!(
        "the run itself has changed {}, or one of its commands may have, so it can't go on with the plugins \
         there; name a folder with --plugins that it can't write, or start another run",
        file.display()
    ))
}
