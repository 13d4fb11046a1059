//! Landing: one thread takes all that wait and lands them together. Owns the way
//! to it and the way back to those who wait; what becomes of a group is `group`'s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use git2::Oid;
use tokio::sync::{mpsc, oneshot};

use super::changes::Change;
use super::group::land_those_in_time;
use super::joining::TOGETHER;
use super::open::Repository;
use super::references::run_tip;
use super::worktrees::name_some;
use super::{commit_id, failed};
use crate::{Error, Result};

/// How many may wait in the channel, and how many make a group at most.
const GROUP: usize = 64;
/// How long a group waits for the next one to come, and how often at most.
const PAUSE: Duration = Duration::from_millis(1);
const MOST_PAUSES: u32 = 10;

/// What a worker wants to land.
#[derive(Clone, Debug)]
pub struct Landing {
    /// Unique; becomes a trailer and a row.
    pub landing_id: String,
    /// The task; becomes a trailer.
    pub task_id: String,
    /// The cycle's number; becomes a trailer.
    pub cycle: u32,
    /// The worker's model, where that is known; becomes a trailer.
    pub model: Option<String>,
    /// The commit that the checkout stood on.
    pub base: String,
    /// What differs from it.
    pub changes: Vec<Change>,
    /// For the commit; a model's text.
    pub message: String,
    /// When the work was done: seconds since 1970-01-01 UTC. Dates the commit.
    pub author_time: i64,
    /// Goes into the landing's record as it is.
    pub memo: Option<String>,
}

/// What landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The new commit.
    pub commit: String,
    /// The paths that it changed.
    pub files: Vec<String>,
}

/// Why something did not land. None of these moved the run's reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LandError {
    /// Others changed the same: start anew on the tip.
    #[error("others changed the same files: {}", name_some(files))]
    Conflict {
        /// The files that collided.
        files: Vec<String>,
        /// Those commits since the base that touched the first of them, the newest
        /// first, as far as was looked.
        commits: Vec<String>,
    },
    /// Whoever wants to land has lost the right to it.
    #[error("it may not land any more")]
    Late,
    /// There is nothing to land: the tip has it all already.
    #[error("nothing differs from what has landed already")]
    Nothing,
    /// What would have landed is not the commit that was checked.
    #[error("the branch is not what it was when this was checked")]
    Unchecked,
    /// Only a person can mend it.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// What is written down of a landing before the reference moves. Whether it
/// landed is asked of the reference: only what that contains did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandingRecord {
    /// The landing's id.
    pub landing_id: String,
    /// The task's id.
    pub task_id: String,
    /// The commit that was made for it.
    pub commit: String,
    /// That commit's parent.
    pub parent: String,
    /// The files that the commit changes.
    pub files: Vec<String>,
    /// What the landing carried.
    pub memo: Option<String>,
}

/// Where landings are written down. Called on the landing thread, so it may
/// block; if it fails, the whole group does.
pub trait LandingLog: Send + 'static {
    /// Writes a group down, after its commits are safe on the disk and before
    /// the run's reference moves. Returns the ids of landings that must not
    /// land any more; where there are some, nothing was written down.
    fn record(&mut self, group: &[LandingRecord]) -> Result<Vec<String>>;

    /// Writes down that the group has landed.
    fn confirm(&mut self, group: &[LandingRecord]) -> Result<()>;

    /// Hears how each landing ended, in the order in which they did, before
    /// whoever waits for it.
    fn ended(&mut self, landing: &Landing, outcome: &Result<Landed, LandError>);
}

/// How one of them ended.
pub(super) type Outcome = Result<Landed, LandError>;

/// What one caller wants to land.
struct Waiting {
    landings: Vec<Landing>,
    /// The commit that these have to come to, or none of them lands.
    checked: Option<Oid>,
    answer: oneshot::Sender<Vec<Outcome>>,
}

/// The thread that lands, and the way to it.
#[derive(Debug)]
pub struct Lander {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lander {
    /// Starts the thread, which writes each group down in `log`.
    pub fn start(repository: &Repository, run: &str, mut log: impl LandingLog) -> Result<Self> {
        let (repository, run) = (repository.clone(), run.to_owned());
        run_tip(&repository.git()?, &run)?;
        let (queue, mut waiting) = mpsc::channel(GROUP);
        let work = move || {
            let (mut group, mut last) = (Vec::new(), 0);
            while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
                if last > 1 {
                    gather(&mut waiting, &mut group);
                }
                last = group.len();
                let (checked, group): (Vec<Waiting>, Vec<Waiting>) =
                    group.drain(..).partition(|waiting: &Waiting| waiting.checked.is_some());
                let groups = checked.into_iter().map(|alone| vec![alone]).chain([group]);
                for group in groups.filter(|group| !group.is_empty()) {
                    land_and_answer(&repository, &run, group, &mut log);
                }
                repository.join_packs(&run, TOGETHER);
            }
            repository.join_packs(&run, 2);
            repository.let_go_of_packs();
        };
        let thread = std::thread::Builder::new().name("landing".to_owned()).spawn(work);
        let thread = thread.map_err(failed("start the landing thread"))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Lands, and waits for it. Dropping the future while it waits does not
    /// take back what is on its way.
    pub async fn land(&self, landing: Landing) -> Result<Landed, LandError> {
        let mut outcomes = self.hand_over(vec![landing], None).await?;
        outcomes.pop().unwrap_or_else(|| Err(has_ended().into()))
    }

    /// Lands these one on the other, in one step, if they come to the commit that
    /// `stack` has made of them; else those that still may are `Unchecked`.
    pub async fn land_checked(&self, landings: Vec<Landing>, commit: &str) -> Result<Vec<Outcome>> {
        self.hand_over(landings, Some(commit_id(commit)?)).await
    }

    async fn hand_over(
        &self,
        landings: Vec<Landing>,
        checked: Option<Oid>,
    ) -> Result<Vec<Outcome>> {
        let queue = lock(&self.queue).clone().ok_or_else(has_ended)?;
        let (answer, outcomes) = oneshot::channel();
        let waiting = Waiting { landings, checked, answer };
        queue.send(waiting).await.map_err(|_| has_ended())?;
        // Whoever waits for its landing must not keep the thread from ending.
        drop(queue);
        outcomes.await.map_err(|_| has_ended())
    }

    /// Lands what waits, takes nothing more and joins the thread. Blocks.
    pub fn close(&self) {
        drop(lock(&self.queue).take());
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the landing thread panicked");
        }
    }
}

impl Drop for Lander {
    fn drop(&mut self) {
        self.close();
    }
}

fn has_ended() -> Error {
    Error::failed("the landing thread has ended; resume the run")
}

/// What the locks guard is whole at any time, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where several landed together the last time, more are likely on their way: a
/// group costs as many syncs as one landing does, so it waits for them for as
/// long as they keep coming.
fn gather(waiting: &mut mpsc::Receiver<Waiting>, group: &mut Vec<Waiting>) {
    for _ in 0..MOST_PAUSES {
        let before = group.len();
        std::thread::sleep(PAUSE);
        while group.len() < GROUP
            && let Ok(more) = waiting.try_recv()
        {
            group.push(more);
        }
        if group.len() == before || group.len() == GROUP {
            return;
        }
    }
}

fn land_and_answer(
    repository: &Repository,
    run: &str,
    group: Vec<Waiting>,
    log: &mut impl LandingLog,
) {
    let checked = group.first().and_then(|waiting| waiting.checked);
    let (mut landings, mut answers) = (Vec::new(), Vec::new());
    for waiting in group {
        answers.push((waiting.landings.len(), waiting.answer));
        landings.extend(waiting.landings);
    }
    let failed = |error: &Error| {
        tracing::error!(run, %error, "a group of landings failed");
        landings.iter().map(|_| Err(LandError::Failed(error.clone()))).collect::<Vec<Outcome>>()
    };
    let (mut outcomes, trouble) = land_those_in_time(repository, run, &landings, checked, log)
        .unwrap_or_else(|error| (failed(&error), None));
    for (landing, outcome) in landings.iter().zip(&outcomes) {
        log.ended(landing, outcome);
    }
    // It has landed all the same, and that is how it is written down; but whoever
    // goes on would do so on rows that do not know of it.
    if let Some(trouble) = trouble {
        outcomes = failed(&trouble);
    }
    for (count, answer) in answers {
        let own = outcomes.drain(..count.min(outcomes.len())).collect();
        if answer.send(own).is_err() {
            tracing::debug!(run, "nobody waits for a landing any more");
        }
    }
}

#[cfg(test)]
#[path = "landing_tests.rs"]
mod tests;
