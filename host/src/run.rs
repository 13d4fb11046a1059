//! A whole run: checks what it was asked for, puts store, repository, model
//! and plugins together, lets the cycles go and writes down how it ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::config::Options;
use crate::crew::{HostCrew, SharedCrew, describe_branch};
use crate::cycle::{CycleResult, run_cycles};
use crate::events::{Event, Outcome};
use crate::lm::{Model, ModelChoice, ModelSettings};
use crate::plugin::Plugins;
use crate::queue::sqlite::{Database, RunStore};
use crate::queue::{LandingRow, NewRun, Store};
use crate::repo::{Checkouts, Lander, LandingRecord, Repository};
use crate::{Error, Result};

/// The folder below the root path that holds the program's own files.
pub const OWN_FOLDER: &str = ".code-agent";
/// The database's file in it.
pub const DATABASE_FILE: &str = "code_agent_tasks.db";

/// A run that is ready to go.
pub struct Run {
    options: Options,
    clock: Clock,
    store: RunStore,
    repository: Repository,
    model: Model,
    plugins: Plugins,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// How.
    pub outcome: Outcome,
    /// Its cycles.
    pub cycles: Vec<CycleResult>,
}

impl Run {
    /// Checks everything that can be wrong with what was asked for, and only
    /// then makes the run's row and its ref.
    pub async fn prepare(options: Options, clock: Clock) -> Result<Self> {
        options.check()?;
        let repository =
            Repository::open(&options.root_path, &options.branch, options.auto_commit)?;
        let plugins =
            Plugins::load(&options.plugins_folder()?, &options.cache_folder()?.join("compiled"))?;
        let model = Model::connect(ModelSettings {
            api_base: options.api_base.clone(),
            api_key: options.api_key.clone(),
            max_retries: options.max_retries,
            ..ModelSettings::new(ModelChoice::parse(&options.lm)?)
        })
        .await?;
        let database = Database::open(&database_path(&options)?)?;
        let id = clock.id();
        let base = repository.begin(&id)?;
        let row = NewRun {
            goal: options.goal.clone(),
            branch: options.branch.clone(),
            root_path: options.root_path.display().to_string(),
            base,
            model: model.name().to_owned(),
            options: options.to_json()?,
        };
        let store = database.start_run(&id, row, clock.clone()).await?;
        Ok(Self { options, clock, store, repository, model, plugins })
    }

    /// The run's store, for whoever wants to follow it.
    pub fn store(&self) -> &RunStore {
        &self.store
    }

    /// Lets the cycles go, and writes down how the run ended.
    pub async fn go(self) -> Result<RunResult> {
        let store = self.store.clone();
        let ended = self.run().await;
        let (outcome, message) = match &ended {
            Ok(result) => (result.outcome, None),
            Err(error) => (Outcome::Failed, Some(error.to_string())),
        };
        match (ended, store.end_run(outcome, message).await) {
            (Ok(result), Ok(())) => Ok(result),
            (Ok(_), Err(error)) | (Err(error), Ok(())) => Err(error),
            (Err(error), Err(unrecorded)) => {
                tracing::error!("the run's end could not be written down: {unrecorded}");
                Err(error)
            }
        }
    }

    async fn run(self) -> Result<RunResult> {
        self.warn_of_untracked_files().await?;
        let Self { options, clock, store, repository, model, plugins } = self;
        let recorder = store.clone();
        let lander =
            Lander::start(&repository, store.run(), move |records: &[LandingRecord]| {
                recorder.record_landings(records.iter().map(landing_row).collect())
            })?;
        let checkouts = Checkouts::new(repository.clone(), store.run(), &options.cache_folder()?)?;
        let crew = SharedCrew(Arc::new(HostCrew {
            plugins,
            model,
            repository: repository.clone(),
            checkouts,
            lander: Arc::new(lander),
            store: store.clone(),
            clock,
            goal: options.goal.clone(),
            slots: Mutex::new(HashMap::new()),
        }));
        let cycles = run_cycles(&store, &Arc::new(crew), options.limits()).await?;
        if !options.auto_commit {
            let outcome = repository.leave_uncommitted(store.run())?;
            let message = describe_branch(repository.branch(), &outcome);
            store.record("host", Event::Branch { message }).await?;
        }
        Ok(RunResult { outcome: outcome(&cycles), cycles })
    }

    async fn warn_of_untracked_files(&self) -> Result<()> {
        let count = self.repository.untracked_files();
        if count == 0 {
            return Ok(());
        }
        let message = format!(
            "{count} untracked files of the working tree are on no branch, so no agent sees them; commit them first \
             if they matter"
        );
        self.store.record("host", Event::Warning { message }).await
    }
}

fn outcome(cycles: &[CycleResult]) -> Outcome {
    match cycles.last() {
        Some(last) if !last.continue_next_cycle && last.goal_met => Outcome::GoalMet,
        Some(last) if !last.continue_next_cycle => Outcome::GivenUp,
        _ => Outcome::CyclesUsedUp,
    }
}

fn landing_row(record: &LandingRecord) -> LandingRow {
    LandingRow {
        landing: record.landing_id.clone(),
        task: record.task_id.clone(),
        commit: record.commit.clone(),
        parent: record.parent.clone(),
    }
}

/// Where the database lies; makes our own folder where it goes there.
fn database_path(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.database {
        return Ok(path.clone());
    }
    let folder = options.root_path.join(OWN_FOLDER);
    make_own_folder(&folder).map_err(|error| {
        Error::failed(format!("can't make the folder {}: {error}", folder.display()))
    })?;
    Ok(folder.join(DATABASE_FILE))
}

/// The folder ignores itself, so that it never shows up as a change.
fn make_own_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let ignore = folder.join(".gitignore");
    if ignore.exists() { Ok(()) } else { std::fs::write(ignore, "*\n") }
}
