//! What the commands that look at a database have in common: where it is, and
//! which run is meant.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use super::LogArguments;
use super::run::absolute;
use crate::events::Recorded;
use crate::queue::{Reader, RunRow};
use crate::run::database_below;
use crate::{Error, Result};

#[derive(Args, Clone)]
pub(super) struct LookArguments {
    /// The git repository, or the folder in it that the run is about.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) root_path: PathBuf,
    /// The task database [default: .code-agent/code_agent_tasks.db below the root path].
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

#[derive(Args, Clone)]
pub(super) struct RunChoice {
    /// The run's id or its beginning [default: the newest].
    #[arg(long, value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
    run: Option<String>,
}

impl LookArguments {
    /// Opens the database to read it.
    pub(super) fn open(&self) -> Result<Reader> {
        open(&self.database()?)
    }

    /// Where the database is.
    pub(super) fn database(&self) -> Result<PathBuf> {
        Ok(match &self.database {
            Some(path) => path.clone(),
            None => database_below(&absolute(&self.root_path)?, None),
        })
    }
}

/// Opens a database that has to be there.
pub(super) fn open(path: &Path) -> Result<Reader> {
    if path.exists() {
        return Reader::open(path);
    }
    Err(Error::failed(format!(
        "there is no task database at {}; start a run with `code-agent --goal TEXT`, or name \
         another place with --root-path or --database",
        path.display()
    )))
}

impl RunChoice {
    /// The run that is meant, and the others; both the newest first.
    pub(super) fn choose(&self, runs: Vec<RunRow>) -> Result<(RunRow, Vec<RunRow>)> {
        let chosen = match &self.run {
            Some(beginning) => find_run(&runs, beginning)?.clone(),
            None => runs.first().cloned().ok_or_else(|| {
                Error::failed(
                    "no run has been started yet; start one with `code-agent --goal TEXT`",
                )
            })?,
        };
        let others = runs.into_iter().filter(|run| run.id != chosen.id).collect();
        Ok((chosen, others))
    }
}

/// The one run whose id begins so.
pub(super) fn find_run<'a>(runs: &'a [RunRow], beginning: &str) -> Result<&'a RunRow> {
    let mut matching = runs.iter().filter(|run| run.id.starts_with(beginning));
    match (matching.next(), matching.next()) {
        (Some(run), None) => Ok(run),
        (Some(_), Some(_)) => Err(Error::usage(format!(
            "more than one run begins with `{beginning}`; give more of its id"
        ))),
        (None, _) => {
            Err(Error::usage(format!("no run begins with `{beginning}`; see `code-agent status`")))
        }
    }
}

/// Hands all of a run's events to `take`, oldest first.
pub(super) fn each_event(
    reader: &Reader,
    run: &str,
    mut take: impl FnMut(&Recorded),
) -> Result<()> {
    let mut last = 0;
    loop {
        let events = reader.events_after(run, last)?;
        let Some(newest) = events.last() else { return Ok(()) };
        last = newest.sequence;
        events.iter().for_each(&mut take);
    }
}

/// One line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map(|line| line + "\n")
        .map_err(|error| Error::failed(format!("can't write JSON: {error}")))
}
