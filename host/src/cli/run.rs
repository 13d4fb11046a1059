//! `code-agent run`: one run from start to end.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::LogArguments;
use super::follow::Follower;
use super::summary;
use crate::clock::Clock;
use crate::events::Outcome;
use crate::lm::{ModelChoice, Provider, Secret};
use crate::queue::Store;
use crate::run::Run;
use crate::{Error, Options, Result};

#[derive(Args, Clone)]
pub(super) struct RunArguments {
    /// What the team shall reach; @FILE reads it from a file.
    #[arg(long, value_name = "TEXT|@FILE")]
    goal: Option<String>,
    /// The git repository, or the folder in it that the run is about.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root_path: PathBuf,
    /// The branch that the work goes to; made from HEAD if missing.
    #[arg(long, default_value = "main")]
    branch: String,
    /// The model: openai:NAME, vllm:, vllm:NAME, ollama:NAME.
    #[arg(long, default_value = "vllm:")]
    model: String,
    /// The model server's address [default: OPENAI_BASE_URL for openai:, else the provider's usual one].
    #[arg(long, value_name = "URL")]
    api_base: Option<String>,
    /// How many cycles the run may have.
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_cycles: u32,
    /// How many workers work at once.
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_workers: u32,
    /// Leave the changes in the working tree, uncommitted; move no branch.
    #[arg(long)]
    no_auto_commit: bool,
    /// The folder with plugins.toml [default: the one shipped with the program].
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// The task database [default: .code-agent/code_agent_tasks.db below the root path].
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// How often a request to the model is repeated after a fault that may pass.
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_retries: u32,
    /// Print what happens as JSON lines on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode> {
    let json = arguments.json;
    let run = Run::prepare(options(arguments)?, Clock::system()).await?;
    let store = run.store().clone();
    let follower = Follower::start(store.database(), store.run(), json)?;
    let result = tokio::select! {
        result = run.go() => result.map(Some),
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => store.end_run(Outcome::Interrupted, None).await.map(|()| None),
            Err(error) => Err(Error::failed(format!("can't listen for Ctrl-C: {error}"))),
        },
    };
    follower.finish().await;
    let Some(result) = result? else {
        return Ok(ExitCode::from(130));
    };
    if !json {
        summary::print(&store, &result)?;
    }
    Ok(ExitCode::from(match result.outcome {
        Outcome::GoalMet => 0,
        Outcome::GivenUp | Outcome::Failed => 1,
        Outcome::CyclesUsedUp => 3,
        Outcome::Interrupted => 130,
    }))
}

fn options(arguments: RunArguments) -> Result<Options> {
    let goal = match arguments.goal {
        Some(goal) => read_goal(goal)?,
        None => {
            return Err(Error::usage(
                "no goal was given; say with --goal what the team shall reach",
            ));
        }
    };
    let root_path = arguments.root_path.canonicalize().map_err(|error| {
        Error::usage(format!(
            "the root path {} can't be opened: {error}",
            arguments.root_path.display()
        ))
    })?;
    let mut options = Options::new(goal, root_path);
    options.branch = arguments.branch;
    options.lm = arguments.model;
    // OpenAI's variables are for OpenAI's wire as the user named it: a local
    // server must not get a key that was not meant for it.
    let is_openai = ModelChoice::parse(&options.lm)?.provider == Provider::OpenAi;
    let variable =
        |name: &str| std::env::var(name).ok().filter(|value| is_openai && !value.is_empty());
    options.api_base = arguments.api_base.or_else(|| variable("OPENAI_BASE_URL"));
    options.api_key = variable("OPENAI_API_KEY").as_deref().and_then(Secret::new);
    options.max_cycles = arguments.max_cycles;
    options.max_workers = arguments.max_workers;
    options.auto_commit = !arguments.no_auto_commit;
    options.plugins = arguments.plugins;
    options.database = arguments.database;
    options.max_retries = arguments.max_retries;
    Ok(options)
}

fn read_goal(goal: String) -> Result<String> {
    match goal.strip_prefix('@') {
        None => Ok(goal),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("can't read the goal from {file}: {error}"))),
    }
}
