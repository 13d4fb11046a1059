//! `code-agent prune`: removes what runs have left behind: references, kept
//! files, checkouts and transcripts. Their rows stay as history.

#![expect(clippy::disallowed_methods, reason = "the program's own folder is no checkout")]

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::look::{LookArguments, find_run};
use super::run::absolute;
use super::terminal::{print, short};
use crate::clock::{Clock, format_milliseconds};
use crate::config::duration;
use crate::queue::RunRow;
use crate::repo::{Pruned, Repository, remove_checkouts};
use crate::{Error, Options, Result, crash, transcript};

#[derive(Args, Clone)]
pub(super) struct PruneArguments {
    /// The run's id or its beginning.
    #[arg(required_unless_present = "older_than", conflicts_with = "older_than",
          value_parser = NonEmptyStringValueParser::new())]
    run: Option<String>,
    /// All runs that ended (or began, where they did not end) longer ago: 12h, 30d.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Also where that loses commits that no branch holds.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

pub(super) fn prune(arguments: &PruneArguments) -> Result<ExitCode> {
    let runs = arguments.look.open()?.runs()?;
    if let Some(beginning) = &arguments.run {
        let run = find_run(&runs, beginning)?;
        let what = prune_one(run, arguments)?;
        print(&format!("{}: {what}\n", run.id))?;
        return Ok(ExitCode::SUCCESS);
    }
    let age = arguments.older_than.unwrap_or_default();
    let milliseconds = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let since = format_milliseconds(Clock::system().milliseconds().saturating_sub(milliseconds));
    let is_old = |run: &&RunRow| run.ended_at.as_ref().unwrap_or(&run.created_at) < &since;
    for run in runs.iter().filter(is_old) {
        // One that stays does not keep the others.
        let what = prune_one(run, arguments).unwrap_or_else(|error| format!("stays: {error}"));
        print(&format!("{}: {what}\n", run.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prune_one(run: &RunRow, arguments: &PruneArguments) -> Result<String> {
    let root_path = absolute(&arguments.look.root_path)?;
    let options = Options::from_json(&run.options)?;
    let repository = Repository::find(&root_path, &options.branch, true)?;
    refuse_elsewhere(&run.id, &options.root_path, &repository)?;
    // Held to the end, so that nobody goes on with what is being removed.
    let _lock = repository.take(&run.id)?;
    // With the references goes what tells that a working tree was half moved.
    repository.recover(&run.id)?;
    let Pruned { references, lost } = repository.prune(&run.id, arguments.force)?;
    let cache = Options { root_path, ..options }.cache_folder()?;
    let checkouts = remove_checkouts(&cache, &run.id)?;
    crash::point("prune: checkouts removed");
    let database = arguments.look.database()?;
    let transcript = transcript::path(database.parent().unwrap_or(Path::new("")), &run.id);
    let transcript = transcript.parent().is_some_and(Path::exists) && remove(transcript.parent())?;
    if references == 0 && !checkouts && !transcript {
        return Ok("nothing was left of it".into());
    }
    let also = |there: bool, what: &str| if there { format!(", {what}") } else { String::new() };
    let lost: Vec<&str> = lost.iter().map(|commit| short(commit)).collect();
    let until = match lost.as_slice() {
        [] => String::new(),
        lost => format!(
            "; what no branch holds is there until git's gc, as {}: git branch NAME COMMIT brings it back",
            lost.join(", ")
        ),
    };
    Ok(format!(
        "pruned: {references} references{}{}{until}",
        also(checkouts, "its checkouts"),
        also(transcript, "its transcript")
    ))
}

/// A database may hold runs of several repositories. What is at work on them, only
/// their own locks tell.
fn refuse_elsewhere(run: &str, there: &Path, repository: &Repository) -> Result<()> {
    if repository.has_run(run, there)? {
        return Ok(());
    }
    let id = short(run);
    let shown = there.display();
    Err(Error::failed(match there.exists() {
        true => format!(
            "run {id} belongs to {shown}, which is not in this repository; prune it with --root-path              {shown}"
        ),
        false => format!(
            "run {id} belongs to {shown}, which is not there now; prune it where that has moved to"
        ),
    }))
}

fn remove(folder: Option<&Path>) -> Result<bool> {
    let Some(folder) = folder else { return Ok(false) };
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::failed(format!("could not remove {}: {error}", folder.display()))),
    }
}
