//! What this machine can do for commands: the walls are built once for `true`,
//! so that no command is offered that could not be run.

#![expect(clippy::disallowed_methods, reason = "the user's cache is no checkout")]

use std::path::Path;
use std::time::Duration;

use super::{Access, Folders, Job, Sandbox, growth, running};
use crate::{Error, Result};

/// How long building the walls may take at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a machine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether commands get namespaces; Landlock and seccomp they always get.
    pub namespaces: bool,
    /// Why not, where they don't.
    pub without: Option<String>,
}

/// Finds out how commands can be run here, in a folder that may be written. An
/// error says why they can't be.
pub async fn probe(helper: &Path, access: &Access, folder: &Path) -> Result<Sandbox> {
    let with = |namespaces, without| Sandbox {
        helper: helper.to_owned(),
        access: access.clone(),
        own_caches: false,
        abilities: Some(Abilities { namespaces, without }),
    };
    if let Some(shortage) = growth::shortage(folder) {
        return Err(Error::failed(format!("{shortage} ({})", folder.display())));
    }
    let walled = with(true, None);
    let Err(why) = try_out(&walled, folder).await else { return Ok(walled) };
    let plain = with(false, Some(why.to_string()));
    match try_out(&plain, folder).await {
        Ok(()) => Ok(plain),
        Err(error) => Err(Error::failed(format!("{error}; and with namespaces: {why}"))),
    }
}

async fn try_out(sandbox: &Sandbox, folder: &Path) -> Result<()> {
    let place = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempdir_in(folder))
        .map_err(|error| Error::failed(format!("no folder for a first command: {error}")))?;
    let folders = Folders::below(place.path())?;
    let job =
        Job { command_line: "exit 7".to_owned(), folders, time: PATIENCE, hold: Box::new(()) };
    let ran = running::run(sandbox, job).await?;
    if ran.exit_code == Some(7) {
        return Ok(());
    }
    Err(Error::failed(format!("a first command did not end as it should: {ran:?}")))
}
