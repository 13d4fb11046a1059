//! A whole run: checks what it was asked for, puts store, repository, model
//! and plugins together, lets the cycles go, winds down in order and writes
//! down how it ended.

#![expect(clippy::disallowed_methods, reason = "the program's own folder is no checkout")]

mod spending;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::agent::{Checker, RoleModels, RunLog, Setup, blocking};
use crate::clock::Clock;
use crate::config::Options;
use crate::crew::{HostCrew, bring_in};
use crate::cycle::{CycleResult, Ended, Stop, run_cycles};
use crate::events::{Event, Outcome};
use crate::plugin::Plugins;
use crate::queue::{Database, NewRun, RunStore, Store};
use crate::repo::lock::HostLock;
use crate::repo::{BranchOutcome, Checkouts, Lander, Repository};
use crate::sandbox::{self, Sandbox};
use crate::transcript::{self, Entry, Host, Journal, Recorder, Replay};
use crate::{Error, OWN_FOLDER, Result, crash};
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
    plugins: Plugins,
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
        let checkouts = Checkouts::new(repository.clone(), &id, &options.cache_folder()?)?;
        make_own_folder(&options)?;
        let (sandbox, warnings) = sandbox(&options).await?;
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
        let checkouts = Checkouts::new(repository.clone(), id, &options.cache_folder()?)?;
        let store = Database::open(&database_path(&options))?.run(id, clock.clone());
        settle(&store, &repository).await?;
        let spending = Spending::read(&store, &options, &models).await?;
        let tip = repository.tip(id)?;
        store.resumed(tip.clone(), options.max_cycles, options.max_workers).await?;
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
        let lander = Arc::new(Lander::start(&repository, store.run(), log)?);
        let checkouts = Arc::new(checkouts);
        let setup = setup(&options, sandbox.as_ref());
        let crew = Arc::new(HostCrew {
            plugins,
            models,
            ledger: spending.ledger.clone(),
            repository: repository.clone(),
            checker: checker(&options, sandbox.as_ref(), setup.clone(), &checkouts),
            checkouts,
            lander: lander.clone(),
            store: store.clone(),
            sandbox,
            setup,
            journal,
            clock,
            goal: options.goal.clone(),
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
        match (written, &result.error) {
            (Ok(()), _) => Ok(result),
            (Err(unwritten), Some(error)) => {
                tracing::error!("the run's end could not be written down: {unwritten}");
                Err(error.clone())
            }
            (Err(unwritten), None) => Err(unwritten),
        }
    }

    async fn warn(&self) -> Result<()> {
        for message in &self.warnings {
            self.store.record("host", Event::Warning { message: message.clone() }).await?;
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

async fn load(options: &Options, replay: Option<&Arc<Replay>>) -> Result<(Plugins, RoleModels)> {
    let plugins = Plugins::load(&options.plugin_source()?).await?;
    Ok((plugins, RoleModels::connect(options, replay).await?))
}

/// How commands are run, and what is to be said of it. A run goes on without
/// them where this machine can't keep them from doing harm.
async fn sandbox(options: &Options) -> Result<(Option<Arc<Sandbox>>, Vec<String>)> {
    let Some(helper) = &options.sandbox_helper else {
        if options.setup.is_some() || options.check.is_some() {
            return Err(Error::usage("a setup or check command needs the sandbox's helper"));
        }
        return Ok((None, Vec::new()));
    };
    let (helper, access) = (helper.clone(), options.access.clone());
    let own_caches = options.setup.is_some();
    if options.unsandboxed_commands {
        let warning = "COMMANDS ARE NOT SANDBOXED (--unsandboxed-commands): a model can read, change \
                       and send whatever you can";
        let sandbox = Sandbox { helper, access, own_caches, abilities: None };
        return Ok((Some(Arc::new(sandbox)), vec![warning.to_owned()]));
    }
    match sandbox::probe(&helper, &access, &options.cache_folder()?).await {
        Ok(sandbox) => {
            let sandbox = Sandbox { own_caches, ..sandbox };
            let without =
                sandbox.abilities.as_ref().and_then(|abilities| abilities.without.clone());
            let warning = without.map(|why| {
                format!(
                    "commands run behind weaker walls, without namespaces ({why}); `code-agent doctor` \
                     says what helps"
                )
            });
            Ok((Some(Arc::new(sandbox)), warning.into_iter().collect()))
        }
        Err(_) if options.setup.is_some() || options.check.is_some() => Err(Error::failed(
            "--setup and --check need a sandbox, and this machine has none; `code-agent doctor` \
             says why",
        )),
        Err(error) => {
            tracing::debug!("no sandbox: {error}");
            let warning = "no commands are offered, for this machine can't keep them from doing harm; \
                           `code-agent doctor` says why";
            Ok((None, vec![warning.to_owned()]))
        }
    }
}

fn setup(options: &Options, sandbox: Option<&Arc<Sandbox>>) -> Option<Setup> {
    Some(Setup { sandbox: sandbox?.clone(), command_line: options.setup.clone()? })
}

/// The user's check, in as many slots as the machine has cores for: each may
/// well use all of them.
fn checker(
    options: &Options,
    sandbox: Option<&Arc<Sandbox>>,
    setup: Option<Setup>,
    checkouts: &Arc<Checkouts>,
) -> Option<Arc<Checker>> {
    let (check, sandbox) = (options.check.clone()?, sandbox?.clone());
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    Some(Arc::new(Checker::new(sandbox, check, setup, checkouts.clone(), at_once)))
}

/// Waits for what is landing, then brings rows, branch and working tree in
/// line with what has landed. Agents have ended before.
async fn wind_down(
    store: &RunStore,
    repository: &Repository,
    lander: Arc<Lander>,
    crew: Arc<HostCrew>,
    ended: &Ended,
) -> Result<()> {
    blocking("the end of landing", move || {
        lander.close();
        // The checkouts go with the crew.
        drop(crew);
        Ok(())
    })
    .await?;
    settle(store, repository).await?;
    let finished = *ended == Ended::Judged;
    let (at, run) = (repository.clone(), store.run().to_owned());
    let message = blocking("moving the branch", move || {
        if at.auto_commit() { bring_in(&at, &run) } else { leave(&at, &run, finished).map(Some) }
    })
    .await?;
    match message {
        Some(message) => store.record("host", Event::Branch { message }).await,
        None => Ok(()),
    }
}

/// Without commits on the branch, the working tree gets the work at the very
/// end: an earlier change would make it dirty for the run that goes on.
fn leave(repository: &Repository, run: &str, finished: bool) -> Result<String> {
    if !finished {
        return Ok(format!(
            "what has landed is in refs/code-agent/runs/{run}; resume the run to go on"
        ));
    }
    Ok(match repository.leave_uncommitted(run)? {
        BranchOutcome::Moved { to } => {
            format!("the working tree has the changes of {to}, uncommitted; no branch moved")
        }
        BranchOutcome::AlreadyThere => "nothing has changed".into(),
        BranchOutcome::LeftAlone { reason, command } => {
            format!("{reason}. To bring the work in: {command}")
        }
    })
}

/// Brings the rows in line with the run's ref: which landings it contains,
/// and that nobody is at work.
async fn settle(store: &RunStore, repository: &Repository) -> Result<()> {
    let unconfirmed = store.unconfirmed_landings().await?;
    let (repository, run) = (repository.clone(), store.run().to_owned());
    let landed = blocking("looking for landings", move || {
        let mut landed = Vec::new();
        for (landing, commit) in unconfirmed {
            if repository.contains(&run, &commit)? {
                landed.push(landing);
            }
        }
        Ok(landed)
    })
    .await?;
    store.settle(landed).await
}

fn result(
    cycles: Vec<CycleResult>,
    ended: Ended,
    used_up: bool,
    wind_down: Option<Error>,
) -> RunResult {
    let (outcome, error) = match (ended, wind_down) {
        (Ended::Failed(error), Some(_)) if !used_up => (Outcome::Failed, Some(error)),
        (_, Some(error)) => (Outcome::Failed, Some(error)),
        (_, None) if used_up => (Outcome::BudgetUsedUp, None),
        (Ended::Failed(error), None) => (Outcome::Failed, Some(error)),
        (Ended::Stopped, None) => (Outcome::Interrupted, None),
        (Ended::Judged, None) => (judged(&cycles), None),
    };
    RunResult { outcome, cycles, error }
}

fn judged(cycles: &[CycleResult]) -> Outcome {
    match cycles.last() {
        Some(last) if !last.continue_next_cycle && last.goal_met => Outcome::GoalMet,
        Some(last) if !last.continue_next_cycle => Outcome::GivenUp,
        _ => Outcome::CyclesUsedUp,
    }
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
