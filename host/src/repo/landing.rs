//! Landing: one thread takes all that wait, merges one after the other onto the
//! tip in memory, writes the group as one pack, has it recorded and moves the
//! run's reference once. Owns the order of these steps and the way back to
//! those who wait; the merge itself is `merge`'s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use git2::{Oid, Signature, Time};
use tokio::sync::{mpsc, oneshot};

use super::changes::Change;
use super::merge::{Merged, merge, touching_commits};
use super::message::commit_message;
use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::tree::difference;
use super::worktrees::name_some;
use super::{commit_id, failed, pack};
use crate::{Error, Result, crash};

/// How many may wait in the channel, and how many make a group at most.
const GROUP: usize = 64;
/// How long a group waits for the next one to come, and how often at most.
const PAUSE: Duration = Duration::from_millis(1);
const MOST_PAUSES: u32 = 10;
/// Above the loose (1) and packed (2) backends of libgit2, so that what is
/// written goes to memory.
pub(super) const MEMORY_FIRST: i32 = 1_000;

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

type Outcome = Result<Landed, LandError>;

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
            }
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
    let mut outcomes =
        land_those_in_time(repository, run, &landings, checked, log).unwrap_or_else(|error| {
            tracing::error!(run, %error, "a group of landings failed");
            landings.iter().map(|_| Err(LandError::Failed(error.clone()))).collect()
        });
    for (landing, outcome) in landings.iter().zip(&outcomes) {
        log.ended(landing, outcome);
    }
    for (count, answer) in answers {
        let own = outcomes.drain(..count.min(outcomes.len())).collect();
        if answer.send(own).is_err() {
            tracing::debug!(run, "nobody waits for a landing any more");
        }
    }
}

/// Lands the group; without those, if there are any, of which the log says
/// that they come too late.
fn land_those_in_time(
    repository: &Repository,
    run: &str,
    landings: &[Landing],
    checked: Option<Oid>,
    log: &mut impl LandingLog,
) -> Result<Vec<Outcome>> {
    let mut late: Vec<String> = Vec::new();
    loop {
        let in_time: Vec<&Landing> =
            landings.iter().filter(|landing| !late.contains(&landing.landing_id)).collect();
        match land_group(repository, run, &in_time, checked, log)? {
            Group::Late(more) => late.extend(more),
            Group::Ended(outcomes) => {
                let mut outcomes = outcomes.into_iter();
                let outcome_of = |landing: &Landing| {
                    let in_time = !late.contains(&landing.landing_id);
                    in_time.then(|| outcomes.next()).flatten().unwrap_or(Err(LandError::Late))
                };
                return Ok(landings.iter().map(outcome_of).collect());
            }
        }
    }
}

enum Group {
    /// One outcome for each landing.
    Ended(Vec<Outcome>),
    /// Nothing landed: these come too late.
    Late(Vec<String>),
}

/// The repository is opened anew for each group, so that nothing of a group
/// that failed stays in libgit2's memory.
fn land_group(
    repository: &Repository,
    run: &str,
    landings: &[&Landing],
    checked: Option<Oid>,
    log: &mut impl LandingLog,
) -> Result<Group> {
    let git = repository.git()?;
    let odb = git.odb().map_err(failed("open the repository's objects"))?;
    let _in_memory = odb
        .add_new_mempack_backend(MEMORY_FIRST)
        .map_err(failed("keep a group's objects in memory"))?;
    let start = run_tip(&git, run)?;
    let mut tip = start;
    let (mut outcomes, mut records, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    for landing in landings {
        let outcome = land_one(&git, run, tip, landing);
        if let Ok((commit, files)) = &outcome {
            records.push(LandingRecord {
                landing_id: landing.landing_id.clone(),
                task_id: landing.task_id.clone(),
                commit: commit.to_string(),
                parent: tip.to_string(),
                files: files.clone(),
                memo: landing.memo.clone(),
            });
            commits.push(*commit);
            tip = *commit;
        }
        outcomes.push(outcome.map(|(commit, files)| Landed { commit: commit.to_string(), files }));
    }
    if checked.is_some_and(|checked| checked != tip) {
        let outcomes = landings.iter().map(|_| Err(LandError::Unchecked)).collect();
        return Ok(Group::Ended(outcomes));
    }
    if commits.is_empty() {
        return Ok(Group::Ended(outcomes));
    }
    pack::write(&git, repository.common_directory(), run, start, &commits)?;
    crash::point("landing: objects written");
    let late = log.record(&records)?;
    if !late.is_empty() {
        return Ok(Group::Late(late));
    }
    crash::point("landing: recorded");
    publish(repository, &git, run, start, tip)?;
    crash::point("landing: landed");
    log.confirm(&records)?;
    Ok(Group::Ended(outcomes))
}

/// What landings would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The commit that the run stands on.
    pub tip: String,
    /// The commit of each, or why it can't land.
    pub commits: Vec<Result<String, LandError>>,
}

/// Makes the commits that would land now one on the other, without landing them:
/// for a look at them before. What can't land is left out of those that follow.
/// Nothing refers to the commits, so that git forgets them in time; but they are
/// safe on the disk like all others, for what lands later may hold the same.
pub fn stack(repository: &Repository, run: &str, landings: &[&Landing]) -> Result<Stack> {
    let git = repository.git()?;
    let odb = git.odb().map_err(failed("open the repository's objects"))?;
    let _in_memory = odb
        .add_new_mempack_backend(MEMORY_FIRST)
        .map_err(failed("keep a stack's objects in memory"))?;
    let start = run_tip(&git, run)?;
    let (mut tip, mut made) = (start, Vec::new());
    let mut put_on = |landing: &&Landing| {
        let (commit, _) = land_one(&git, run, tip, landing)?;
        tip = commit;
        made.push(commit);
        Ok(commit.to_string())
    };
    let commits = landings.iter().map(&mut put_on).collect();
    if !made.is_empty() {
        pack::write(&git, repository.common_directory(), run, start, &made)?;
    }
    Ok(Stack { tip: start.to_string(), commits })
}

/// Merges one landing onto the tip and makes its commit, in memory.
fn land_one(
    git: &git2::Repository,
    run: &str,
    tip: Oid,
    landing: &Landing,
) -> Result<(Oid, Vec<String>), LandError> {
    let base = commit_id(&landing.base)?;
    let doing = || format!("merge what task {} changed", landing.task_id);
    let tree_of =
        |id| git.find_commit(id).and_then(|commit| commit.tree()).map_err(failed(doing()));
    let (base_tree, tip_tree) = (tree_of(base)?, tree_of(tip)?);
    let merged = merge(git, &base_tree, &tip_tree, &landing.changes).map_err(failed(doing()))?;
    let tree = match merged {
        Merged::Tree(tree) if tree == tip_tree.id() => return Err(LandError::Nothing),
        Merged::Tree(tree) => git.find_tree(tree).map_err(failed(doing()))?,
        Merged::Conflict(files) => {
            let commits = touching_commits(git, base, tip, &files).map_err(failed(doing()))?;
            return Err(LandError::Conflict { files, commits });
        }
    };
    let deltas = difference(git, Some(&tip_tree), &tree).map_err(failed(doing()))?;
    let files =
        deltas.iter().map(|delta| String::from_utf8_lossy(&delta.path).into_owned()).collect();
    let commit = make_commit(git, run, tip, &tree, landing).map_err(failed(doing()))?;
    Ok((commit, files))
}

fn make_commit(
    git: &git2::Repository,
    run: &str,
    parent: Oid,
    tree: &git2::Tree<'_>,
    landing: &Landing,
) -> Result<Oid, git2::Error> {
    let time = Time::new(landing.author_time, 0);
    let signature = Signature::new("code-agent", "code-agent@localhost", &time)?;
    let message = commit_message(run, landing);
    git.commit(None, &signature, &signature, &message, tree, &[&git.find_commit(parent)?])
}

/// From here on the group has landed: what goes wrong with the branch is left
/// to the end of the cycle, which says so to the user.
fn publish(
    repository: &Repository,
    git: &git2::Repository,
    run: &str,
    from: Oid,
    to: Oid,
) -> Result<()> {
    let name = run_reference(run)?;
    if !move_reference(git, &name, from, to, "code-agent: landed")? {
        return Err(Error::failed(format!(
            "`{name}` was moved by somebody else while a group landed on it; nothing of the group \
             landed"
        )));
    }
    sync_reference(repository.common_directory(), &name)?;
    match repository.follow(git, from, to) {
        Ok(follows) => tracing::debug!(run, follows, "the branch after a landing"),
        Err(error) => tracing::warn!(run, %error, "the branch did not follow"),
    }
    Ok(())
}

#[cfg(test)]
#[path = "landing_tests.rs"]
mod tests;
