//! `code-agent undo`: takes back what a run, or one cycle of it, has landed.

use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::look::{LookArguments, find_run, json_line};
use super::run::absolute;
use super::terminal::{print, short};
use crate::clock::Clock;
use crate::events::Event;
use crate::queue::{Database, Store};
use crate::repo::{Repository, Undone};
use crate::run::settle;
use crate::{Error, Options, Result};

#[derive(Args, Clone)]
pub(super) struct UndoArguments {
    /// The run's id or its beginning.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    run: String,
    /// Take back what this cycle has landed, and nothing else.
    #[arg(long, value_name = "N")]
    cycle: Option<u32>,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

pub(super) async fn undo(arguments: UndoArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let row = find_run(&reader.runs()?, &arguments.run)?.clone();
    let branch = Options::from_json(&row.options)?.branch;
    let repository = Repository::find(&absolute(&arguments.look.root_path)?, &branch, true)?;
    let _lock = repository.take(&row.id)?;
    let clock = Clock::system();
    let store = Database::open(&arguments.look.database()?)?.run(&row.id, clock.clone());
    repository.recover(&row.id)?;
    // Of one that was pruned nobody asks any more.
    if repository.tip(&row.id).is_ok() {
        // Else a run that goes on would do anew what is taken back here.
        settle(&store, &repository).await?;
    }
    let landings = reader.landings_in(&row.id, arguments.cycle)?;
    if landings.is_empty() {
        let what = match arguments.cycle {
            Some(cycle) => format!("cycle {cycle} of run {}", row.id),
            None => format!("run {}", row.id),
        };
        return Err(Error::usage(format!("{what} has landed nothing; see `code-agent cycles`")));
    }
    repository.check()?;
    let undone = repository.undo(&row.id, &landings, clock.milliseconds() / 1000)?;
    let message = sentence(&branch, &row.id, &undone);
    store.record("host", Event::Branch { message: message.clone() }).await?;
    match arguments.look.json {
        true => print(&json_line(&undone)?)?,
        false => print(&format!("{message}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn sentence(branch: &str, run: &str, undone: &Undone) -> String {
    let Undone { to, reverted, kept } = undone;
    let (to, run) = (short(to), short(run));
    let (how, back) = match reverted {
        true => ("a new commit takes it back", format!("git revert {to}")),
        false => ("the branch went back", format!("git merge --ff-only {kept}")),
    };
    format!(
        "taken back from {branch} what {run} landed: {how}, to {to}. What was there is in {kept}; to \
         have it again: {back}"
    )
}
