//! A whole run: checks what it was asked for, puts store, repository, model
//! and plugins together, lets the cycles go, winds down in order and writes
//! down how it ended.

#![expect(clippy::disallowed_methods, reason = "the program's own folder is no checkout")]

mod commands;
mod ending;
mod going_on;
mod spending;
mod telling;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::agent::{RoleModels, RunLog};
use crate::clock::Clock;
use crate::config::Options;
use crate::crew::HostCrew;
use crate::cycle::{CycleResult, Stop, run_cycles};
use crate::events::{Event, Outcome};
use crate::plugin::Current;
use crate::queue::{Database, NewRun, RunStore, Store};
use crate::repo::lock::HostLock;
use crate::repo::{Checkouts, Lander, Repository};
use crate::sandbox::Sandbox;
use crate::transcript::{self, Entry, Host, Journal, Recorder, Replay};
use crate::{Error, OWN_FOLDER, Result, crash};
pub(crate) use commands::sandbox as sandbox_of;
use commands::{checker, merge_queue, sandbox, setup};
pub(crate) use ending::settle;
use ending::{result, wind_down};
use spending::Spending;

/// The database's file in it.
pub const DATABASE_FILE: &str = "code_agent_tasks.db";

/// A run that is ready to go.
pub struct Run {
    options: Options,
    clock: Clock,
    store: RunStore,
    journal: Journal,
    repository: Repository,
    checkouts: Checkouts,
    models: RoleModels,
    spending: Spending,
    plugins: Current,
    sandbox: Option<Arc<Sandbox>>,
    /// What a person should know before the run begins.
    warnings: Vec<String>,
    /// Keeps other hosts away until the run has ended.
    lock: HostLock,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// How.
    pub outcome: Outcome,
    /// The cycles that were judged.
    pub cycles: Vec<CycleResult>,
    /// What only a person can mend, where it failed.
    pub error: Option<Error>,
}

impl Run {
    /// Checks everything that can be wrong with what was asked for, and only
    /// then makes the run's ref and its row.
    pub async fn prepare(options: Options, clock: Clock) -> Result<Self> {
        let (options, replay) = replaying(options)?;
        options.check()?;
        let id = replay.as_ref().map_or_else(|| clock.id(), |replay| replay.host().run.clone());
        let repository =
            Repository::open(&options.root_path, &options.branch, options.auto_commit)?;
        let lock = repository.take(&id)?;
        if let Some(replay) = &replay {
            repository.check_beginning(&id, &replay.host().base)?;
        }
        let (plugins, models) = load(&options, replay.as_ref()).await?;
        let path = database_path(&options);
        refuse_foreign_folder(&options, &repository)?;
        let checkouts = checkouts(&repository, &id, &options)?;
        make_own_folder(&options)?;
        let (sandbox, mut warnings) = sandbox(&options).await?;
        warnings.extend(repository.missing_branch()?);
        let database = Database::open(&path)?;
        let row = NewRun {
            goal: options.goal.clone(),
            branch: options.branch.clone(),
            root_path: options.root_path.display().to_string(),
            base: repository.begin(&id)?,
            model: models.names(),
            options: options.to_json()?,
            max_cycles: options.max_cycles,
            max_workers: options.max_workers,
        };
        let base = row.base.clone();
        let store = database.start_run(&id, row, clock.clone()).await?;
        let journal = journal(&options, &store, base, replay, &clock).await?;
        let store = store.with_journal(journal.clone());
        let spending = Spending::read(&store, &options, &models).await?;
        Ok(Self {
            sandbox,
            warnings,
            options,
            clock,
            store,
            journal,
            repository,
            checkouts,
            models,
            spending,
            plugins,
            lock,
        })
    }

    /// Goes on with a run that was started before: puts right what its host
    /// left half done, and brings the rows in line with what landed.
    pub async fn resume(id: &str, options: Options, clock: Clock) -> Result<Self> {
        options.check()?;
        refuse_replay(&options)?;
        let repository =
            Repository::find(&options.root_path, &options.branch, options.auto_commit)?;
        let lock = repository.take(id)?;
        let (plugins, models) = load(&options, None).await?;
        repository.recover(id)?;
        repository.check()?;
        repository.adopt(id)?;
        let checkouts = checkouts(&repository, id, &options)?;
        let store = Database::open(&database_path(&options))?.run(id, clock.clone());
        settle(&store, &repository).await?;
        let spending = Spending::read(&store, &options, &models).await?;
        refuse_own_plugins(&store, &repository, &plugins).await?;
        let tip = repository.tip(id)?;
        store.resumed(tip.clone(), options.max_cycles, options.max_workers).await?;
        going_on::begin_anew(&store, &repository, &tip).await?;
        let journal = journal(&options, &store, tip, None, &clock).await?;
        let store = store.with_journal(journal.clone());
        let (sandbox, warnings) = sandbox(&options).await?;
        Ok(Self {
            sandbox,
            warnings,
            options,
            clock,
            store,
            journal,
            repository,
            checkouts,
            models,
            spending,
            plugins,
            lock,
        })
    }

    /// The run's store, for whoever wants to follow it.
    pub fn store(&self) -> &RunStore {
        &self.store
    }

    /// Lets the cycles go until they end or `stop` says so, winds down and
    /// writes down how the run ended. An error means that not even that could
    /// be written down.
    pub async fn go(self, stop: Stop) -> Result<RunResult> {
        self.warn().await?;
        let Self {
            sandbox,
            warnings: _,
            options,
            clock,
            store,
            journal,
            repository,
            checkouts,
            models,
            spending,
            plugins,
            lock,
        } = self;
        let log = RunLog { store: store.clone(), journal: journal.clone() };
        journal.write(Entry::Plugins(plugins.plugins().contents()));
        let begun_on = repository.tip(store.run())?;
        let lander = Arc::new(Lander::start(&repository, store.run(), log)?);
        let checkouts = Arc::new(checkouts);
        let setup = setup(&options, sandbox.as_ref());
        let checker = checker(&options, sandbox.as_ref(), setup.clone(), &checkouts);
        let crew = Arc::new(HostCrew {
            plugins,
            models,
            ledger: spending.ledger.clone(),
            repository: repository.clone(),
            queue: merge_queue(&options, checker.as_ref(), &lander, &repository, &store),
            rollback: options.rollback,
            checker,
            checkouts,
            lander: lander.clone(),
            store: store.clone(),
            sandbox,
            setup,
            allow_secrets: options.allow_secrets,
            journal,
            clock,
            begun_on,
            goal: options.goal.clone(),
            push: pushes(&options),
            slots: Mutex::new(HashMap::new()),
            verdicts: Mutex::default(),
        });
        let (early, told) = watch::channel(false);
        let cycles = run_cycles(&store, &crew, options.limits(), told);
        let (cycles, ended) = spending.watch(&store, cycles, stop, early).await;
        let closed = spending.close(&store).await;
        let wound_down = wind_down(&store, &repository, lander, crew, &ended).await.and(closed);
        let used_up = spending.ended(&ended);
        let result = result(cycles, ended, used_up.is_some(), wound_down.err());
        crash::point("run: wound down");
        let message = result.error.as_ref().map(ToString::to_string).or(used_up);
        let written = store.end_run(result.outcome, message).await;
        drop(lock);
        written_down(result, written)
    }

    async fn warn(&self) -> Result<()> {
        for message in &self.warnings {
            self.store.record("host", Event::Warning { message: message.clone() }).await?;
        }
        if let Some(replay) = self.journal.replay() {
            let plugins = self.plugins.plugins();
            telling::other_plugins(&self.store, replay.plugins(), &plugins.contents()).await?;
        }
        if pushes(&self.options) {
            telling::behind(&self.store, &self.repository).await?;
        }
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

/// What is told of a run's end, written down or not: what ended it comes first.
fn written_down(result: RunResult, written: Result<()>) -> Result<RunResult> {
    match (written, &result.error) {
        (Ok(()), _) => Ok(result),
        (Err(unwritten), Some(error)) => {
            tracing::error!("the run's end could not be written down: {unwritten}");
            Err(error.clone())
        }
        (Err(unwritten), None) => Err(unwritten),
    }
}

/// Where a run is played back, what it was comes from the recording.
fn replaying(mut options: Options) -> Result<(Options, Option<Arc<Replay>>)> {
    let Some(path) = &options.replay else { return Ok((options, None)) };
    let replay = Arc::new(Replay::open(path)?);
    let host = replay.host();
    options.goal.clone_from(&host.goal);
    options.max_cycles = host.max_cycles;
    options.max_workers = host.max_workers;
    Ok((options, Some(replay)))
}

/// Whether what lands is pushed. What is played back was pushed before, if it
/// was to be.
fn pushes(options: &Options) -> bool {
    options.push && options.auto_commit && options.replay.is_none()
}

/// What a run has landed becomes no plugin of it, not even when it goes on: its own
/// work would judge itself.
async fn refuse_own_plugins(
    store: &RunStore,
    repository: &Repository,
    plugins: &Current,
) -> Result<()> {
    let landed: Vec<String> = store.landed().await?.into_iter().map(|(_, commit)| commit).collect();
    for file in plugins.files() {
        if repository.have_changed(&landed, &file)? {
            return Err(Error::usage(format!(
                "the run itself has changed {}, so it can't go on with the plugins there; name a folder outside of \
                 the repository with --plugins, or start another run",
                file.display()
            )));
        }
    }
    Ok(())
}

fn refuse_replay(options: &Options) -> Result<()> {
    match &options.replay {
        None => Ok(()),
        Some(path) => Err(Error::usage(format!(
            "a replay can't be gone on with; play {} back from its start, in a fresh clone",
            path.display()
        ))),
    }
}

/// Opens the run's transcript; a replay has one as well.
async fn journal(
    options: &Options,
    store: &RunStore,
    base: String,
    replay: Option<Arc<Replay>>,
    clock: &Clock,
) -> Result<Journal> {
    let database = database_path(options);
    let folder = database.parent().unwrap_or(Path::new(""));
    let path = transcript::path(folder, store.run());
    let landed = store.landed().await?;
    let recorder = Recorder::open(path, clock.clone(), options.secrets(), landed)?;
    let journal = Journal::new(recorder, replay);
    journal.write(Entry::Host(Host {
        run: store.run().to_owned(),
        goal: options.goal.clone(),
        base,
        max_cycles: options.max_cycles,
        max_workers: options.max_workers,
    }));
    Ok(journal)
}

async fn load(options: &Options, replay: Option<&Arc<Replay>>) -> Result<(Current, RoleModels)> {
    let plugins = Current::load(options.plugin_source()?).await?;
    Ok((plugins, RoleModels::connect(options, replay).await?))
}

fn checkouts(repository: &Repository, run: &str, options: &Options) -> Result<Checkouts> {
    Checkouts::new(repository.clone(), run, &options.cache_folder()?, options.keep_checkouts)
}

/// Where the database of these options lies.
pub fn database_path(options: &Options) -> PathBuf {
    database_below(&options.root_path, options.database.as_deref())
}

/// The named database, or the one below the root path.
pub fn database_below(root_path: &Path, named: Option<&Path>) -> PathBuf {
    match named {
        Some(path) => path.to_owned(),
        None => root_path.join(OWN_FOLDER).join(DATABASE_FILE),
    }
}

/// A repository must not make the host write somewhere else, or read a
/// database that came with it.
fn refuse_foreign_folder(options: &Options, repository: &Repository) -> Result<()> {
    let folder = options.root_path.join(OWN_FOLDER);
    let own =
        repository.root().join(OWN_FOLDER).map_err(|error| Error::failed(error.to_string()))?;
    let tracked = repository.tracks(&own)?;
    if folder.is_symlink() || tracked {
        return Err(Error::usage(format!(
            "{} belongs to the repository ({}); the program keeps its own files under that name, so remove it there",
            folder.display(),
            if tracked { "git tracks it" } else { "it is a link" }
        )));
    }
    Ok(())
}

/// Makes the program's folder, unless the database goes elsewhere. It ignores
/// itself, so that it never shows up as a change.
fn make_own_folder(options: &Options) -> Result<()> {
    if options.database.is_some() {
        return Ok(());
    }
    let folder = options.root_path.join(OWN_FOLDER);
    let ignore = folder.join(".gitignore");
    let made = std::fs::create_dir_all(&folder)
        .and_then(|()| if ignore.exists() { Ok(()) } else { std::fs::write(&ignore, "*\n") });
    made.map_err(|error| Error::failed(format!("can't make {}: {error}", folder.display())))
}
