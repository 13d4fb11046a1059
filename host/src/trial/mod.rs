//! Tries a plugin without a run: a role against a conversation that was written
//! down or recorded, and a folder; a tool with given arguments. The plugin gets
//! the checkout, the rights and the limits that it would have in a run, and what
//! it leaves is looked at and thrown away. Owns what a trial is made of; which
//! are made, and how they are told, is `cli/`'s.

pub mod case;
mod expected;
mod folder;
mod recorded;
mod workshop;

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::agent::{Slot, blocking};
use crate::clock::Clock;
use crate::cycle::Crew;
use crate::plugin::Plugins;
use crate::plugin::manifest::Kind;
use crate::repo::path::CheckoutPath;
use crate::sandbox::Sandbox;
use crate::types::{CycleReport, Role};
use crate::{Error, Result, Setback};
use case::Case;
use expected::{Outcome, in_kebab_case, problems};
use workshop::{Sides, Workshop};

/// What trials have in common.
pub struct Bench {
    /// The plugin that is tried, alone.
    pub plugins: Plugins,
    /// What it is.
    pub kind: Kind,
    /// How commands are run; none where nobody can.
    pub sandbox: Option<Arc<Sandbox>>,
    /// Time and ids.
    pub clock: Clock,
}

/// The longest file that is held against an expectation, in bytes.
const LONGEST_FILE: usize = 16 << 20;

/// What a tool said in a trial, and what it changed.
pub struct Called {
    /// Its answer, or what a model would be told.
    pub answer: Result<String, String>,
    /// A unified diff of the files; empty where it changed none.
    pub diff: String,
}

/// Makes the trial that `case` describes; `folder` is its file's. Returns what
/// is not as it should be.
pub async fn make(bench: &Bench, case: &Case, folder: &Path) -> Result<Vec<String>> {
    let replies = match &case.recorded {
        Some(recorded) => recorded::replies(recorded, folder)?,
        None => case.replies(),
    };
    let count = replies.len();
    let base = case.folder.as_ref().map(|name| folder::beside(folder, name)).transpose()?;
    let branch = case.merge.as_ref().map(|merge| folder::beside(folder, &merge.branch));
    let branch = branch.transpose()?;
    let sides = Sides { base: base.as_deref(), branch: branch.as_deref() };
    let workshop = Workshop::open(bench, &case.brief(), sides, replies).await?;
    let asked = ask(bench, &workshop, case, folder).await?;
    let talks = workshop.talks()?;
    let unasked = count.saturating_sub(talks.told.len());
    let outcome = Outcome { answer: asked.answer, told: talks.told, unasked };
    let tip = workshop.tip().await?;
    let read = |path: &str| asked.place.read(&workshop, &tip, path);
    let mut found = problems(case, &outcome, read);
    drop(asked.place);
    if bench.kind == Kind::Role(Role::Merger) && !talks.merger {
        found.push("the two sides do not collide, so no merger was asked".to_owned());
    }
    workshop.close().await?;
    Ok(found)
}

/// Calls a tool on a copy of `folder`'s files.
pub async fn call(bench: &Bench, folder: &Path, name: &str, arguments: &str) -> Result<Called> {
    let brief = Case::default().brief();
    let sides = Sides { base: Some(folder), branch: None };
    let workshop = Workshop::open(bench, &brief, sides, Vec::new()).await?;
    let tried = workshop.crew.try_tool(name, arguments).await?;
    let (slot, base) = (tried.slot.clone(), workshop.base.clone());
    let diff = blocking("comparing", move || {
        slot.checkout.diff(&base, None).map_err(|error| Error::failed(error.to_string()))
    });
    let diff = diff.await?;
    drop(tried.slot);
    workshop.close().await?;
    Ok(Called { answer: tried.answer, diff })
}

/// Where the files are looked for that a trial left.
enum Place {
    /// On the run's tip.
    Tip,
    /// In a checkout.
    Checkout(Arc<Slot>),
}

impl Place {
    /// The file's bytes, if it is there.
    fn read(&self, workshop: &Workshop, tip: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        let path = CheckoutPath::parse_file(path).map_err(|error| error.to_string())?;
        match self {
            Self::Tip => {
                let repository = &workshop.crew.repository;
                repository.file_at(tip, &path, LONGEST_FILE).map_err(|error| error.to_string())
            }
            Self::Checkout(slot) => {
                let directory = slot.checkout.folder().directory();
                match directory.read(path.as_path()) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            }
        }
    }
}

struct Asked {
    answer: Result<Value, String>,
    place: Place,
}

async fn ask(bench: &Bench, workshop: &Workshop, case: &Case, folder: &Path) -> Result<Asked> {
    let (crew, brief) = (&workshop.crew, case.brief());
    let answer = match bench.kind {
        Kind::Role(Role::MainPlanner) => record(crew.plan("main-planner", brief).await),
        Kind::Role(Role::SubPlanner) => {
            let domain = wanted(case.domain(), "a [domain], for a sub-planner")?;
            record(crew.plan_domain("planner-1", brief, &case.overview, domain, 1).await)
        }
        Kind::Role(Role::Worker) => {
            let task = wanted(case.task(), "a [task], for a worker")?;
            record(crew.work(&workshop.claim(task).await?, brief).await)
        }
        Kind::Role(Role::Merger) => {
            let task = wanted(case.task(), "a [task], for a merger")?;
            let merge = wanted(case.merge.as_ref(), "a [merge], for a merger")?;
            let claim = workshop.claim(task).await?;
            let side = folder::beside(folder, &merge.worker)?;
            let lay = move |to: &Path| folder::copy(&side, to);
            record(crew.try_merge(&claim, brief, &workshop.base, lay).await)
        }
        Kind::Role(Role::Judge) => {
            record(crew.review(brief, report(workshop, case).await?, true).await)
        }
        Kind::Tool => return call_tool(workshop, case).await,
    };
    Ok(Asked { answer, place: Place::Tip })
}

async fn call_tool(workshop: &Workshop, case: &Case) -> Result<Asked> {
    let call = wanted(case.call.as_ref(), "a [call], for a tool")?;
    let tried = workshop.crew.try_tool(&call.name, &call.text()).await?;
    Ok(Asked { answer: tried.answer.map(Value::String), place: Place::Checkout(tried.slot) })
}

fn wanted<T>(part: Option<T>, what: &str) -> Result<T> {
    part.ok_or_else(|| Error::usage(format!("the case needs {what}")))
}

fn record<T: Serialize>(answer: Result<T, Setback>) -> Result<Value, String> {
    match answer {
        Ok(record) => {
            serde_json::to_value(record).map(in_kebab_case).map_err(|error| error.to_string())
        }
        Err(Setback::Attempt(why)) => Err(why),
        Err(Setback::Stop(error)) => Err(error.to_string()),
    }
}

async fn report(workshop: &Workshop, case: &Case) -> Result<CycleReport> {
    Ok(CycleReport {
        overview: case.overview.clone(),
        outcomes: case.cycle.outcomes(),
        planner_failures: case.cycle.planner_failures.clone(),
        check: case.cycle.check(),
        rolled_back: case.cycle.rolled_back.clone(),
        base: workshop.base.clone(),
        head: workshop.tip().await?,
    })
}
