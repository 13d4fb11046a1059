//! `code-agent status`: a run as it stands, and the other runs in a line each.
//! What is said of the run is the fold over its events; here it is asked who
//! holds its branch, and put into words.

mod words;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::look::{LookArguments, RunChoice, each_event, json_line};
use super::terminal::print;
use crate::Result;
use crate::events::RunView;
use crate::queue::RunRow;
use crate::repo::lock;

#[derive(Args, Clone)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    run: RunChoice,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

/// What `--json` prints: the view, and what events can't tell.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    view: RunView,
    #[serde(flatten)]
    state: State,
    /// The other runs in the database, the newest first.
    other_runs: Vec<OtherRun>,
}

#[derive(Serialize)]
struct OtherRun {
    #[serde(flatten)]
    row: RunRow,
    #[serde(flatten)]
    state: State,
}

/// Whether a run goes on.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum State {
    /// A live host has its branch.
    Running {
        /// `process N`.
        by: String,
    },
    /// It has not ended, and no host is at work on it.
    NotRunning,
    /// It has ended; how is told elsewhere.
    Ended,
    /// The repository could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
}

pub(super) fn status(arguments: &StatusArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let (run, others) = arguments.run.choose(reader.runs()?)?;
    let root_path = &arguments.look.root_path;
    // Asked before the events are read: a run that ends meanwhile shows its
    // end, and is not taken for one whose host died.
    let held = state(root_path, &run.id, &run.branch);
    let mut view = RunView::default();
    each_event(&reader, &run.id, |event| view.apply(event))?;
    let state = if view.outcome.is_some() { State::Ended } else { held };
    let other_runs = others.into_iter().map(|row| other(root_path, row)).collect();
    let status = Status { view, state, other_runs };
    print(&if arguments.look.json { json_line(&status)? } else { words::status(&status) })?;
    Ok(ExitCode::SUCCESS)
}

fn other(root_path: &Path, row: RunRow) -> OtherRun {
    let state =
        if row.outcome.is_some() { State::Ended } else { state(root_path, &row.id, &row.branch) };
    OtherRun { row, state }
}

fn state(root_path: &Path, run: &str, branch: &str) -> State {
    match lock::holder(root_path, branch) {
        Ok(holder) => match holder.as_deref().and_then(|note| note.strip_suffix(run)) {
            Some(by) => State::Running { by: by.trim_end_matches(", run ").to_owned() },
            None => State::NotRunning,
        },
        Err(error) => State::Unknown { why: error.to_string() },
    }
}
