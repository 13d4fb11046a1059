//! The queue of `--check-strict`: nothing lands that was not checked as it lands.
//! All that waits is put together and checked in one go; where that is red, halves
//! of it are, until it is known who makes it red. Owns the order of landings then;
//! running a check is `checking`'s, landing `repo/`'s.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Checker, blocking, red_branch};
use crate::events::Event;
use crate::queue::{RunStore, Store};
use crate::repo::{LandError, Landed, Lander, Landing, Repository, Stack, stack};
use crate::transcript::CallTranscript;
use crate::types::CheckResult;
use crate::{Error, Result, crash};

/// How many are checked together at most: a culprit among them costs as many
/// checks more as this can be halved.
const TOGETHER: usize = 16;

/// What the queue works with.
pub struct MergeBench {
    /// Runs the check.
    pub checker: Arc<Checker>,
    /// Lands what is green.
    pub lander: Arc<Lander>,
    /// Where what would land is put together.
    pub repository: Repository,
    /// Where it is told.
    pub store: RunStore,
}

/// The queue. What waits in it when it is dropped does not land.
pub struct MergeQueue {
    waiting: mpsc::Sender<Waiting>,
    work: JoinHandle<()>,
}

/// Why something was not even tried to land.
pub enum Refused {
    /// The check is red with it; without it, it is green, or says so.
    Red(CheckResult),
    /// Only a person can mend it.
    Failed(Error),
}

type Outcome = Result<Result<Landed, LandError>, Refused>;

struct Waiting {
    landing: Landing,
    transcript: Arc<CallTranscript>,
    /// Whether the transcript has it.
    written_down: bool,
    answer: oneshot::Sender<Outcome>,
}

impl Waiting {
    fn answer(self, outcome: Outcome) {
        if self.answer.send(outcome).is_err() {
            tracing::debug!("nobody waits for a landing any more");
        }
    }
}

/// Some of those that wait, each with the commit that it would become on top of
/// those before.
type Together = Vec<(Waiting, String)>;

impl MergeQueue {
    /// Starts the queue.
    pub fn start(bench: MergeBench) -> Self {
        let (waiting, mut taken) = mpsc::channel(TOGETHER);
        let work = tokio::spawn(async move {
            let mut waiting = Vec::new();
            while taken.recv_many(&mut waiting, TOGETHER).await > 0 {
                while !waiting.is_empty() {
                    waiting = bench.round(std::mem::take(&mut waiting)).await;
                }
            }
        });
        Self { waiting, work }
    }

    /// Checks and lands, and waits for it.
    pub async fn land(&self, landing: Landing, transcript: Arc<CallTranscript>) -> Outcome {
        let ended = || Refused::Failed(Error::failed("the merge queue has ended; resume the run"));
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { landing, transcript, written_down: false, answer };
        self.waiting.send(waiting).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

impl Drop for MergeQueue {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl MergeBench {
    /// Lands those that are green together, and refuses who makes it red. Returns
    /// who has to wait for the next round; at least one has not.
    async fn round(&self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let Stack { tip, commits } = match self.put_together(&waiting).await {
            Ok(stack) => stack,
            Err(error) => return refuse_all(waiting, &error),
        };
        let (mut together, mut later): (Together, Vec<Waiting>) = Default::default();
        for (waiting, commit) in waiting.into_iter().zip(commits) {
            match commit {
                Ok(commit) => together.push((waiting, commit)),
                // It is on the tip itself: there it is told why, and nothing moves.
                Err(_) if together.is_empty() => {
                    later.extend(self.land(vec![(waiting, tip.clone())]).await);
                }
                // Those before it may yet be red.
                Err(_) => later.push(waiting),
            }
        }
        let (green, red) = match self.find_red(&tip, &together).await {
            Ok(found) => found,
            Err(error) => {
                refuse_all(together.into_iter().map(|(waiting, _)| waiting), &error);
                return later;
            }
        };
        let mut rest = together.split_off(green).into_iter();
        if let (Some(result), Some((culprit, commit))) = (red, rest.next()) {
            self.tell(&culprit, &commit, false).await;
            culprit.transcript.red(&result);
            culprit.answer(Err(Refused::Red(result)));
        }
        for (waiting, commit) in &together {
            self.tell(waiting, commit, true).await;
        }
        crash::point("queue: checked");
        let mut next = self.land(together).await;
        next.extend(rest.map(|(waiting, _)| waiting));
        next.append(&mut later);
        next
    }

    async fn put_together(&self, waiting: &[Waiting]) -> Result<Stack> {
        let landings: Vec<Landing> =
            waiting.iter().map(|waiting| waiting.landing.clone()).collect();
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        blocking("putting landings together", move || {
            stack(&repository, &run, &landings.iter().collect::<Vec<_>>())
        })
        .await
    }

    /// How many from the first on are green together on the tip, and what the check
    /// says with one more.
    async fn find_red(
        &self,
        tip: &str,
        together: &Together,
    ) -> Result<(usize, Option<CheckResult>)> {
        let commits: Vec<&str> = together.iter().map(|(_, commit)| commit.as_str()).collect();
        let Some(last) = commits.last() else { return Ok((0, None)) };
        let result = self.checker.check(last).await?;
        if result.passed {
            return Ok((commits.len(), None));
        }
        let (green, mut red) = self.checker.find_red(&commits, result, 1).await?;
        if green == 0 {
            red = red_branch::with_tip(&self.checker, &self.store, tip, red).await?;
        }
        Ok((green, Some(red)))
    }

    /// Lands these in one step, if they come to the last one's commit; returns who has to be checked again.
    async fn land(&self, mut green: Together) -> Vec<Waiting> {
        let Some((_, commit)) = green.last() else { return Vec::new() };
        let commit = commit.clone();
        let mut landings = Vec::with_capacity(green.len());
        for (waiting, _) in &mut green {
            let landing = &waiting.landing;
            if !std::mem::replace(&mut waiting.written_down, true) {
                let model = landing.model.as_deref();
                waiting.transcript.lands(&landing.landing_id, landing.author_time, model);
            }
            landings.push(landing.clone());
        }
        let outcomes = match self.lander.land_checked(landings, &commit).await {
            Ok(outcomes) => outcomes,
            Err(error) => return refuse_all(green.into_iter().map(|(waiting, _)| waiting), &error),
        };
        let mut again = Vec::new();
        for ((waiting, _), outcome) in green.into_iter().zip(outcomes) {
            match outcome {
                Err(LandError::Unchecked) => again.push(waiting),
                outcome => waiting.answer(Ok(outcome)),
            }
        }
        again
    }

    async fn tell(&self, waiting: &Waiting, commit: &str, passed: bool) {
        let task = Some(waiting.landing.task_id.clone());
        let event = Event::Checked { task, commit: commit.to_owned(), passed };
        // The landing's own rows are what counts; they fail as loudly.
        if let Err(error) = self.store.record("host", event).await {
            tracing::error!("a check could not be written down: {error}");
        }
    }
}

fn refuse_all(waiting: impl IntoIterator<Item = Waiting>, error: &Error) -> Vec<Waiting> {
    for waiting in waiting {
        waiting.answer(Err(Refused::Failed(error.clone())));
    }
    Vec::new()
}
