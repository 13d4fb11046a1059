//! `code-agent run`: one run from start to end.

#![expect(clippy::disallowed_methods, reason = "the goal's file is the user's own")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::LogArguments;
use super::follow::Follower;
use super::landing_arguments::LandingArguments;
use super::plugin_arguments::PluginArguments;
use super::sandbox_arguments::SandboxArguments;
use super::spending_arguments::SpendingArguments;
use super::timeouts::TimeoutArguments;
use super::{spending, summary};
use crate::clock::Clock;
use crate::cycle::Stop;
use crate::events::Outcome;
use crate::run::Run;
use crate::{Error, Options, Result};

/// The exit code of a run that a person stopped.
const INTERRUPTED: u8 = 130;

#[derive(Args, Clone)]
pub(super) struct RunArguments {
    /// What the team shall reach; @FILE reads it from a file.
    #[arg(long, value_name = "TEXT|@FILE")]
    goal: Option<String>,
    /// The git repository, or the folder in it that the run is about.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root_path: PathBuf,
    /// The branch that the work goes to; if missing, made from origin's or else from HEAD [default: main].
    #[arg(long)]
    branch: Option<String>,
    #[command(flatten)]
    spending: SpendingArguments,
    /// Leave the changes in the working tree, uncommitted; move no branch.
    #[arg(long)]
    no_auto_commit: bool,
    /// Leave the checkouts where they are when the run has ended, for a look at them.
    #[arg(long)]
    keep_checkouts: bool,
    #[command(flatten)]
    plugins: PluginArguments,
    /// The task database [default: .code-agent/code_agent_tasks.db below the root path].
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// How often a request to the model is repeated after a fault that may pass.
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_retries: u32,
    /// How many requests the model's server gets at once at most, for servers
    /// that queue instead of refusing [default: as many as it takes].
    #[arg(long, value_name = "N")]
    max_requests: Option<u32>,
    #[command(flatten)]
    timeouts: TimeoutArguments,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    landing: LandingArguments,
    /// Print what happens as JSON lines on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode> {
    let json = arguments.json;
    drive(Run::prepare(options(arguments)?, Clock::system()).await?, json).await
}

/// Lets a run go, shows what happens and turns its end into an exit code.
pub(super) async fn drive(run: Run, json: bool) -> Result<ExitCode> {
    let store = run.store().clone();
    // Who has read an event may send a signal at once.
    let stop = listen_for_signals()?;
    let follower = Follower::start(store.database(), store.run(), json)?;
    let ended = run.go(stop).await;
    follower.finish().await;
    let result = ended?;
    if !json && let Err(error) = summary::print(&store, &result) {
        // A reader that has seen enough does not change how the run ended.
        tracing::warn!("{error}");
    }
    if !json && let Err(error) = spending::print(&store).await {
        tracing::warn!("{error}");
    }
    if let Some(error) = result.error {
        return Err(error);
    }
    Ok(ExitCode::from(match result.outcome {
        Outcome::GoalMet => 0,
        Outcome::GivenUp | Outcome::Failed => 1,
        Outcome::CyclesUsedUp => 3,
        Outcome::BudgetUsedUp => 4,
        Outcome::Interrupted => INTERRUPTED,
    }))
}

/// The first Ctrl-C or SIGTERM lets the run wind down; the next one ends the
/// program where it stands, which a resume can deal with.
fn listen_for_signals() -> Result<Stop> {
    let cannot = |error| Error::failed(format!("can't listen for signals: {error}"));
    let mut interrupts = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(cannot)?;
    let (wish, stop) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if wish.send_replace(true) {
                std::process::exit(INTERRUPTED.into());
            }
        }
    });
    Ok(stop)
}

fn options(arguments: RunArguments) -> Result<Options> {
    let goal = arguments.goal.map(read_goal).transpose()?;
    let is_given = goal.is_some();
    let mut options = Options::new(goal.unwrap_or_default(), absolute(&arguments.root_path)?);
    options.auto_commit = !arguments.no_auto_commit;
    options.keep_checkouts = arguments.keep_checkouts;
    arguments.plugins.overlay(&mut options)?;
    options.database = arguments.database;
    options.max_retries = arguments.max_retries;
    options.max_requests = arguments.max_requests;
    options.timeouts = arguments.timeouts.named();
    arguments.sandbox.overlay(&mut options)?;
    arguments.landing.overlay(&mut options);
    options.fill(&arguments.spending.named(arguments.branch))?;
    match (is_given, &options.replay) {
        // A recording knows its goal.
        (true, None) | (false, Some(_)) => Ok(options),
        (true, Some(_)) => {
            Err(Error::usage("the goal of a replay is the recorded one; leave --goal out"))
        }
        (false, None) => {
            Err(Error::usage("no goal was given; say with --goal what the team shall reach"))
        }
    }
}

/// The root path as it goes into the run's row, where it has to be absolute.
pub(super) fn absolute(root_path: &Path) -> Result<PathBuf> {
    root_path.canonicalize().map_err(|error| {
        Error::usage(format!("the root path {} can't be opened: {error}", root_path.display()))
    })
}

fn read_goal(goal: String) -> Result<String> {
    match goal.strip_prefix('@') {
        None => Ok(goal),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("can't read the goal from {file}: {error}"))),
    }
}
