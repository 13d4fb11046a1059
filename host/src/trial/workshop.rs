//! A small run of its own, in a temporary folder, in which one plugin is tried:
//! a repository of the case's files, a database, a checkout, and a model that
//! says what was written down. All of it is gone afterwards.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::{Bench, folder};
use crate::agent::{RoleModels, RunLog, blocking};
use crate::clock::Clock;
use crate::crew::HostCrew;
use crate::cycle::Crew;
use crate::lm::Model;
use crate::lm::budget::{Amount, Ledger, Limits};
use crate::plugin::Current;
use crate::queue::{Claim, Database, NewRun, OpenCycle, Plan, RunStore, Store};
use crate::repo::{Checkouts, Lander, Repository, scratch};
use crate::transcript::{Entry, Host, Journal, Lines, Recorder, Said};
use crate::types::{Brief, Reply, Role, TaskDraft};
use crate::{Error, Result};

/// Who works in a trial.
const SLOT: &str = "worker-1";

/// The files that a trial is about.
pub(super) struct Sides<'a> {
    /// What the checkout holds; none: nothing.
    pub(super) base: Option<&'a Path>,
    /// What landed on top of it before the plugin is called, if anything.
    pub(super) branch: Option<&'a Path>,
}

/// The place of one trial.
pub(super) struct Workshop {
    pub(super) crew: HostCrew,
    /// The commit of the case's files.
    pub(super) base: String,
    cycle: OpenCycle,
    transcript: PathBuf,
    lander: Arc<Lander>,
    // Dropped last: the others lie in it.
    _folder: TempDir,
}

/// What was said in a trial.
pub(super) struct Talks {
    /// What the model was told before each of its replies, as one text.
    pub(super) told: Vec<String>,
    /// Whether a merger was asked.
    pub(super) merger: bool,
}

impl Workshop {
    /// Makes the place, with a run that is about to begin.
    pub(super) async fn open(
        bench: &Bench,
        brief: &Brief,
        sides: Sides<'_>,
        replies: Vec<Reply>,
    ) -> Result<Self> {
        let place = tempfile::tempdir()
            .map_err(|error| Error::failed(format!("can't make a temporary folder: {error}")))?;
        let (project, cache) = (place.path().join("project"), place.path().join("cache"));
        let clock = bench.clock.clone();
        let base = commit_sides(&project, &sides, &clock)?;
        let repository = Repository::open(&project, scratch::BRANCH, true)?;
        let id = clock.id();
        let row = row(brief, &project, repository.begin(&id)?);
        let tip = row.base.clone();
        let database = Database::open(&place.path().join("trial.db"))?;
        let store = database.start_run(&id, row, clock.clone()).await?;
        let transcript = place.path().join("transcript.jsonl");
        let journal = journal(&transcript, &store, brief, &tip, &clock)?;
        let store = store.with_journal(journal.clone());
        let log = RunLog { store: store.clone(), journal: journal.clone() };
        let lander = Arc::new(Lander::start(&repository, &id, log)?);
        let checkouts = Arc::new(Checkouts::new(repository.clone(), &id, &cache, false)?);
        let cycle = store.start_cycle(brief.cycle, tip.clone()).await?;
        let crew = HostCrew {
            plugins: Current::fixed(bench.plugins.clone()),
            models: RoleModels::one(Model::scripted(replies)),
            ledger: Ledger::new(Limits::default(), Amount::default()),
            repository,
            checkouts,
            lander: lander.clone(),
            sandbox: bench.sandbox.clone(),
            checker: None,
            queue: None,
            rollback: false,
            setup: None,
            allow_secrets: false,
            store,
            journal,
            clock,
            begun_on: tip.clone(),
            goal: brief.goal.clone(),
            push: false,
            slots: Mutex::new(HashMap::new()),
            verdicts: Mutex::default(),
        };
        crew.prepare(&tip).await?;
        Ok(Self { crew, base, cycle, transcript, lander, _folder: place })
    }

    /// Puts the task into the queue and takes it.
    pub(super) async fn claim(&self, draft: TaskDraft) -> Result<Claim> {
        let nothing = || Error::failed("the task of a trial is gone; please report it");
        let store = &self.crew.store;
        let planner = self.cycle.planners.first().ok_or_else(nothing)?;
        let plan = Plan { tasks: vec![draft], ..Plan::default() };
        store.finish_planner(self.cycle.cycle, planner, plan).await?;
        store.claim(self.cycle.cycle, SLOT).await?.ok_or_else(nothing)
    }

    /// The tip's commit.
    pub(super) async fn tip(&self) -> Result<String> {
        self.crew.head().await
    }

    /// What was said up to now.
    pub(super) fn talks(&self) -> Result<Talks> {
        let mut talks = Talks { told: Vec::new(), merger: false };
        let mut told = String::new();
        for line in Lines::open(&self.transcript)? {
            match line?.entry {
                Entry::Call { about, .. } => talks.merger |= about.role == Role::Merger,
                Entry::Opened { system, .. } => add(&mut told, &system),
                Entry::Said { said: Said::Text(text), .. } => add(&mut told, &text),
                Entry::Said { said: Said::Results(results), .. } => {
                    results.iter().for_each(|result| add(&mut told, &result.output));
                }
                Entry::Reply { .. } => talks.told.push(std::mem::take(&mut told)),
                _ => {}
            }
        }
        Ok(talks)
    }

    /// Ends the run and removes all of it.
    pub(super) async fn close(self) -> Result<()> {
        blocking("removing the trial's folder", move || {
            self.lander.close();
            Ok(())
        })
        .await
    }
}

fn add(told: &mut String, text: &str) {
    told.push_str(text);
    told.push('\n');
}

/// Commits the case's files, and what landed on top of them; returns the first.
fn commit_sides(project: &Path, sides: &Sides<'_>, clock: &Clock) -> Result<String> {
    let time = clock.milliseconds() / 1000;
    if let Some(folder) = sides.base {
        folder::copy(folder, project)?;
    }
    let base = scratch::commit_all(project, "Begin", time)?;
    if let Some(folder) = sides.branch {
        folder::copy(folder, project)?;
        scratch::commit_all(project, "What landed meanwhile", time)?;
    }
    Ok(base)
}

fn row(brief: &Brief, project: &Path, base: String) -> NewRun {
    NewRun {
        goal: brief.goal.clone(),
        branch: scratch::BRANCH.to_owned(),
        root_path: project.display().to_string(),
        base,
        model: "script".to_owned(),
        options: "{}".to_owned(),
        max_cycles: brief.max_cycles,
        max_workers: 1,
    }
}

fn journal(
    path: &Path,
    store: &RunStore,
    brief: &Brief,
    base: &str,
    clock: &Clock,
) -> Result<Journal> {
    let recorder = Recorder::open(path.to_owned(), clock.clone(), Vec::new(), Vec::new())?;
    let journal = Journal::new(recorder, None);
    journal.write(Entry::Host(Host {
        run: store.run().to_owned(),
        goal: brief.goal.clone(),
        base: base.to_owned(),
        max_cycles: brief.max_cycles,
        max_workers: 1,
    }));
    Ok(journal)
}
