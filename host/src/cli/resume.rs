//! `code-agent resume`: goes on with a run where it stands. The options come
//! from the run's row; flags override them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::LogArguments;
use super::landing_arguments::LandingArguments;
use super::look::{find_run, open};
use super::plugin_arguments::PluginArguments;
use super::run::{absolute, drive};
use super::sandbox_arguments::SandboxArguments;
use super::spending_arguments::SpendingArguments;
use super::timeouts::TimeoutArguments;
use crate::clock::Clock;
use crate::events::Outcome;
use crate::queue::RunRow;
use crate::run::{Run, database_below};
use crate::{Error, Options, Result};

#[derive(Args, Clone)]
pub(super) struct ResumeArguments {
    /// The run's id or its beginning [default: the newest that is not done].
    run: Option<String>,
    /// The git repository, or the folder in it that the run is about.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root_path: PathBuf,
    /// The task database [default: .code-agent/code_agent_tasks.db below the root path].
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// Models, bounds and budget: what is named here holds instead of what held before.
    #[command(flatten)]
    spending: SpendingArguments,
    /// Leave the checkouts where they are when the run has ended.
    #[arg(long)]
    keep_checkouts: bool,
    #[command(flatten)]
    plugins: PluginArguments,
    /// Another number of repetitions of a request.
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,
    /// Another number of requests that the model's server gets at once.
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

pub(super) async fn resume(arguments: ResumeArguments) -> Result<ExitCode> {
    let root_path = absolute(&arguments.root_path)?;
    let database = database_below(&root_path, arguments.database.as_deref());
    let row = {
        let runs = open(&database)?.runs()?;
        choose(runs, arguments.run.as_deref())?
    };
    let json = arguments.json;
    let mut options = Options::from_json(&row.options)?;
    // The repository may have been moved since, and the database with it.
    options.root_path = root_path;
    options.database = arguments.database.clone();
    override_options(&mut options, arguments)?;
    drive(Run::resume(&row.id, options, Clock::system()).await?, json).await
}

fn override_options(options: &mut Options, arguments: ResumeArguments) -> Result<()> {
    arguments.plugins.overlay(options)?;
    options.keep_checkouts |= arguments.keep_checkouts;
    options.max_retries = arguments.max_retries.unwrap_or(options.max_retries);
    options.max_requests = arguments.max_requests.or(options.max_requests);
    options.timeouts = arguments.timeouts.named().or(options.timeouts);
    arguments.sandbox.overlay(options)?;
    arguments.landing.overlay(options);
    options.refill(&arguments.spending.named(None))
}

/// Finds the run that is meant among all, the newest first.
fn choose(runs: Vec<RunRow>, wanted: Option<&str>) -> Result<RunRow> {
    let done = |run: &RunRow| run.outcome.as_deref() == Some(Outcome::GoalMet.as_str());
    let Some(wanted) = wanted else {
        return runs
            .into_iter()
            .find(|run| !done(run))
            .ok_or_else(|| Error::usage("there is no run to go on with; start one with --goal"));
    };
    let run = find_run(&runs, wanted)?;
    if done(run) {
        return Err(Error::usage(format!(
            "the goal of run {} is met; start a new one with --goal",
            run.id
        )));
    }
    Ok(run.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, outcome: Option<&str>) -> RunRow {
        RunRow {
            id: id.into(),
            goal: String::new(),
            branch: "main".into(),
            options: "{}".into(),
            outcome: outcome.map(str::to_owned),
            created_at: String::new(),
            ended_at: None,
        }
    }

    #[test]
    fn the_newest_run_that_is_not_done_is_meant() {
        let runs = || vec![run("c1", Some("goal-met")), run("b2", None), run("b1", Some("failed"))];
        assert_eq!(choose(runs(), None).unwrap().id, "b2");
        assert_eq!(choose(runs(), Some("b1")).unwrap().id, "b1");
        for (wanted, word) in
            [("b", "more than one"), ("x", "no run"), ("c", "goal of run c1 is met")]
        {
            assert!(
                choose(runs(), Some(wanted)).unwrap_err().to_string().contains(word),
                "{wanted}"
            );
        }
        assert!(choose(vec![run("c1", Some("goal-met"))], None).is_err());
    }
}
