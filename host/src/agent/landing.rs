//! How a worker's changes land: they are collected from its checkout, handed to
//! the landing thread and written down as its task's. What a conflict means
//! for the task is decided elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::merge_queue::Refused;
use super::{Checker, MergeQueue, Scope, blocking, red_branch};
use crate::clock::Clock;
use crate::events::Event;
use crate::queue::{Claim, LandingRow, RunStore, Store};
use crate::repo::{
    Changes, Checkout, Filtered, LandError, Landed, Lander, Landing, LandingLog, LandingRecord,
    NewKey, Repository, Stack, stack,
};
use crate::transcript::{CallTranscript, Entry, Journal, Turn};
use crate::types::{CallError, CheckResult, Report};
use crate::{Error, Setback};

/// So many places of keys are named.
const MOST_PLACES: usize = 10;
/// The same of files that collide.
const MOST_FILES: usize = 20;

/// Lands what belongs to one claim.
pub struct ClaimLanding {
    /// The thread that lands.
    pub lander: Arc<Lander>,
    /// Whose changes these are.
    pub claim: Claim,
    /// The cycle's number.
    pub cycle: u32,
    /// The worker's model, by its name.
    pub model: String,
    /// Names the landing and dates the commit.
    pub clock: Clock,
    /// The call that it belongs to.
    pub transcript: Arc<CallTranscript>,
    /// The user's check, if there is one.
    pub check: Option<Check>,
    /// Which new files belong to the task.
    pub scope: Arc<Scope>,
    /// Whether the user lets land what looks like a key.
    pub allow_secrets: bool,
}

/// What it takes to check something before it lands.
#[derive(Clone)]
pub struct Check {
    /// Runs it.
    pub checker: Arc<Checker>,
    /// Where what would land is put together.
    pub repository: Repository,
    /// Where it is told.
    pub store: RunStore,
    /// Where landings wait, if nothing may land that was not checked as it lands.
    pub queue: Option<Arc<MergeQueue>>,
}

/// Why something did not land.
pub enum NotLanded {
    /// The user's check is red on it.
    Red(CheckResult),
    /// Others have changed the same; a sentence for the next attempt.
    Conflict(String),
    /// It is too much, or holds what must not land; the sentence says what to do.
    Refused(String),
    /// The attempt, or the run, is over.
    Setback(Setback),
}

impl From<Setback> for NotLanded {
    fn from(setback: Setback) -> Self {
        Self::Setback(setback)
    }
}

impl NotLanded {
    /// For a task that is finished: what is red or collides is up to the next
    /// attempt.
    pub fn into_setback(self) -> Setback {
        match self {
            Self::Setback(setback) => setback,
            Self::Conflict(why) => Setback::Attempt(why),
            Self::Refused(why) => Setback::Attempt(why),
            Self::Red(check) => Setback::Attempt(format!(
                "the check `{}` was red on what would have landed:\n{}",
                check.command_line, check.output
            )),
        }
    }
}

/// What a landing carries, so that its row tells whose it is and whether it
/// completes the task.
#[derive(Serialize, Deserialize)]
struct Memo {
    slot: String,
    attempt: u32,
    report: Option<Report>,
}

impl ClaimLanding {
    /// Collects what differs in `checkout` from its base and may land.
    pub async fn collect(&self, checkout: &Arc<Checkout>) -> Result<Changes, NotLanded> {
        let changes = self.changes_of(checkout).await?;
        if !changes.outside.is_empty() {
            let paths: Vec<&str> =
                changes.outside.iter().take(10).map(|path| path.as_str()).collect();
            tracing::warn!(
                task = self.claim.task.id,
                "changes outside of the run's root path are left out: {}",
                paths.join(", ")
            );
        }
        Ok(changes)
    }

    async fn changes_of(&self, checkout: &Arc<Checkout>) -> Result<Changes, NotLanded> {
        let (checkout, scope) = (checkout.clone(), self.scope.clone());
        let allow_secrets = self.allow_secrets;
        let looking = move || {
            let changes = match checkout.changes_with(&scope.paths(), |path| scope.covers(path)) {
                Ok(changes) => changes,
                Err(CallError::TooLong(why)) => return Err(NotLanded::Refused(why)),
                Err(CallError::Unavailable(why)) => return Err(Setback::Attempt(why).into()),
                Err(other) => return Err(Setback::Attempt(other.to_string()).into()),
            };
            if !allow_secrets {
                let keys = checkout.new_keys(&changes);
                refuse_keys(&keys.map_err(|error| Setback::Attempt(error.to_string()))?)?;
            }
            let filtered = checkout.filtered(&changes);
            refuse_filtered(&filtered.map_err(|error| Setback::Attempt(error.to_string()))?)?;
            Ok(changes)
        };
        match tokio::task::spawn_blocking(looking).await {
            Ok(outcome) => outcome,
            Err(error) => {
                Err(Setback::Attempt(format!("reading the checkout broke off: {error}")).into())
            }
        }
    }

    /// Lands what was collected from `checkout`; none where nothing differs. With
    /// a `report`, the landing completes the task. The checkout stays as it is.
    pub async fn land(
        &self,
        checkout: &Checkout,
        changes: Changes,
        message: &str,
        report: Option<&Report>,
    ) -> Result<Option<Landed>, NotLanded> {
        if changes.changes.is_empty() {
            return Ok(None);
        }
        let mut landing = Landing {
            landing_id: self.clock.id(),
            task_id: self.claim.task.id.clone(),
            cycle: self.cycle,
            model: Some(self.model.clone()),
            base: checkout.base(),
            changes: changes.changes,
            message: message.to_owned(),
            author_time: self.clock.milliseconds() / 1000,
            memo: Some(self.memo(report)?),
        };
        // In a replay it waits for its turn, whatever a check would say by now.
        let turn = match self.transcript.landing().await.map_err(Setback::Stop)? {
            Some(Turn::Red(check)) => {
                self.transcript.red(&check);
                return Err(NotLanded::Red(check));
            }
            Some(Turn::Landing(turn)) => Some(turn),
            None => None,
        };
        match &self.check {
            Some(check) if turn.is_none() => {
                if let Some(queue) = &check.queue {
                    return landed(queue.land(landing, self.transcript.clone()).await?);
                }
                if let Some(red) = check.look_at(&landing).await? {
                    self.transcript.red(&red);
                    return Err(NotLanded::Red(red));
                }
            }
            _ => {}
        }
        if let Some(turn) = &turn {
            (landing.landing_id, landing.author_time) = (turn.landing.clone(), turn.author_time);
            landing.model.clone_from(&turn.model);
        }
        let model = landing.model.as_deref();
        self.transcript.lands(&landing.landing_id, landing.author_time, model);
        let outcome = self.lander.land(landing).await;
        if let Some(turn) = turn {
            let commit = outcome.as_ref().ok().map(|landed| landed.commit.as_str());
            turn.ended(commit).map_err(Setback::Stop)?;
        }
        landed(outcome)
    }

    fn memo(&self, report: Option<&Report>) -> Result<String, Setback> {
        let memo = Memo {
            slot: self.claim.slot.clone(),
            attempt: self.claim.task.attempt,
            report: report.cloned(),
        };
        serde_json::to_string(&memo)
            .map_err(|error| Setback::Attempt(format!("the report can't be written down: {error}")))
    }
}

impl From<Refused> for NotLanded {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Red(check) => Self::Red(check),
            Refused::Failed(error) => Self::Setback(Setback::Stop(error)),
        }
    }
}

/// What an outcome of a landing means for the attempt.
fn landed(outcome: Result<Landed, LandError>) -> Result<Option<Landed>, NotLanded> {
    match outcome {
        Ok(landed) => Ok(Some(landed)),
        Err(LandError::Nothing) => Ok(None),
        Err(LandError::Unchecked) => {
            Err(Setback::Attempt("the branch moved while it was checked".into()).into())
        }
        Err(LandError::Late) => {
            Err(Setback::Attempt("its lease ran out before it could land".into()).into())
        }
        Err(LandError::Conflict { files, commits }) => {
            Err(NotLanded::Conflict(describe_conflict(&files, &commits)))
        }
        Err(LandError::Failed(error)) => Err(Setback::Stop(error).into()),
    }
}

impl Check {
    /// Runs the check on what would land now; returns what it says where it is
    /// red. Where the tip moves meanwhile and the merge is clean, it lands without a
    /// second look.
    async fn look_at(&self, landing: &Landing) -> Result<Option<CheckResult>, Setback> {
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        let wanted = landing.clone();
        let tried =
            blocking("putting a landing together", move || stack(&repository, &run, &[&wanted]));
        let Stack { tip, mut commits } = tried.await.map_err(Setback::Stop)?;
        let commit = match commits.pop() {
            Some(Ok(commit)) => commit,
            // The landing itself says what is in its way.
            _ => return Ok(None),
        };
        let result = self.checker.check(&commit).await.map_err(Setback::Stop)?;
        let (task, passed) = (Some(landing.task_id.clone()), result.passed);
        let event = Event::Checked { task, commit, passed };
        self.store.record("host", event).await.map_err(Setback::Stop)?;
        if passed {
            return Ok(None);
        }
        let red = red_branch::with_tip(&self.checker, &self.store, &tip, result).await;
        red.map(Some).map_err(Setback::Stop)
    }
}

/// The sentence never holds the key itself.
fn refuse_keys(keys: &[NewKey]) -> Result<(), NotLanded> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut places: Vec<String> = keys
        .iter()
        .take(MOST_PLACES)
        .map(|key| format!("`{}` line {} ({})", key.path, key.line, key.what))
        .collect();
    if keys.len() > MOST_PLACES {
        places.push(format!("and {} more", keys.len() - MOST_PLACES));
    }
    Err(NotLanded::Refused(format!(
        "what looks like a key stands in {}, so this can't land. Keys don't belong into a \
         repository: take it out, and read it from the environment or from a file that .gitignore \
         names. For an example write a row of x, or put it together from parts. Only the user can \
         let it land as it is, with --allow-secrets",
        places.join(", ")
    )))
}

/// What would land is not what git keeps of such a file.
fn refuse_filtered(filtered: &[Filtered]) -> Result<(), NotLanded> {
    let Some(first) = filtered.first() else { return Ok(()) };
    let more = match filtered.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(NotLanded::Refused(format!(
        "`{}`{more} can't land from here: git passes it through the filter `{}`, which never runs \
         here. Take back what you changed there, and say in your report what a person has to do",
        first.path, first.filter
    )))
}

fn describe_conflict(files: &[String], commits: &[String]) -> String {
    let because =
        if commits.is_empty() { String::new() } else { format!(" by {}", commits.join(", ")) };
    let more = match files.len().saturating_sub(MOST_FILES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<&str> = files.iter().take(MOST_FILES).map(String::as_str).collect();
    format!(
        "the branch changed meanwhile{because}, and these changes collide with it in: {}{more}. Start \
         from the files as they are now",
        named.join(", ")
    )
}

/// Landings are written down in the run's store, and their order in its
/// transcript.
pub struct RunLog {
    /// The rows.
    pub store: RunStore,
    /// The order.
    pub journal: Journal,
}

impl LandingLog for RunLog {
    fn record(&mut self, group: &[LandingRecord]) -> crate::Result<Vec<String>> {
        self.store.record_landings(rows(group)?)
    }

    fn confirm(&mut self, group: &[LandingRecord]) -> crate::Result<()> {
        self.store.confirm_landings(rows(group)?)
    }

    fn ended(&mut self, landing: &Landing, outcome: &Result<Landed, LandError>) {
        // It is tried again, under the same id.
        if matches!(outcome, Err(LandError::Unchecked)) {
            return;
        }
        self.journal.write(Entry::Landed {
            landing: landing.landing_id.clone(),
            commit: outcome.as_ref().ok().map(|landed| landed.commit.clone()),
            late: matches!(outcome, Err(LandError::Late)),
        });
    }
}

fn rows(group: &[LandingRecord]) -> crate::Result<Vec<LandingRow>> {
    group.iter().map(row).collect()
}

fn row(record: &LandingRecord) -> crate::Result<LandingRow> {
    let memo = record.memo.as_deref().unwrap_or_default();
    let memo: Memo = serde_json::from_str(memo)
        .map_err(|error| Error::failed(format!("a landing does not say whose it is: {error}")))?;
    Ok(LandingRow {
        landing: record.landing_id.clone(),
        task: record.task_id.clone(),
        slot: memo.slot,
        attempt: memo.attempt,
        commit: record.commit.clone(),
        parent: record.parent.clone(),
        files: record.files.clone(),
        report: memo.report,
    })
}
