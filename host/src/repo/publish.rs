//! Bringing a run's work to the remote `origin`: pushing, and where others have
//! pushed meanwhile, merging theirs in and trying again. Owns the order of
//! these steps; running git is `push`'s, merging `merge`'s. Whether a merge is good
//! is for the caller to say, who gets it before it is pushed where that matters.
//!
//! Where the remote's branch has all that has landed, nothing moves here: what
//! others have put on top is theirs and there already, and a run takes it in only
//! by a merge with work of its own.

use std::time::{Duration, Instant};

use git2::{ErrorCode, Oid, Signature, Time};

use super::draft::MEMORY_FIRST;
use super::merge::{Merged, merge_histories};
use super::open::Repository;
use super::push::{self, Bounds, Called};
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::working_tree::descends;
use super::{commit_id, failed, pack};
use crate::{Error, Result, crash};

/// The one remote that is pushed to.
pub(super) const REMOTE: &str = "origin";
/// Where what others have pushed is held until it is merged.
const FETCHED: &str = "refs/code-agent/fetched/";
/// How often to push where others are faster each time. Each try comes with
/// little chance beside a client that pushes without a pause.
const TRIES: u32 = 100;
/// How often in a row to push what the remote refuses though it is built on all that
/// its branch has: somebody else's push may hold the branch's lock for a moment. The
/// price is that who refuses for good, as for a protected branch, is asked so often.
const REFUSALS: u32 = 3;
const BETWEEN_REFUSALS: Duration = Duration::from_millis(500);
/// How long all tries may take together, with all that git does in them: a large
/// repository goes up a slow line.
const TIME: Duration = Duration::from_secs(600);

/// What became of a run's work on its way to the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// There is no remote `origin`.
    NoRemote,
    /// The remote had it already, maybe with what others have put on top.
    UpToDate,
    /// The remote's branch stands on it now.
    Pushed {
        /// The commit.
        commit: String,
    },
    /// It did not get there, as far as is known; nothing is lost, and the run can go
    /// on.
    NotPushed {
        /// Why, with git's words.
        why: String,
    },
    /// Others came first: this commit holds theirs and the run's work, and waits
    /// to be looked at. Neither the run nor the remote stands on it.
    Merged {
        /// The commit, whose first parent is where the run stands.
        commit: String,
    },
    /// Somebody wished it to stop before it got there, as far as is known; nothing
    /// is lost.
    Stopped,
}

/// What becomes of a merge with what others have pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merges<'a> {
    /// It is pushed at once.
    Pushed,
    /// It is handed out first, and pushed once it comes back: this one has.
    HandedOut(Option<&'a str>),
}

impl Repository {
    /// Pushes what has landed in a run to its branch of `origin`. What others
    /// have pushed there is merged in: then the run stands on a commit whose
    /// first parent is where it stood, dated `time` (seconds since 1970-01-01
    /// UTC). An error where a person has to merge. Nothing may be landing. Once
    /// `stopped` says so, it ends within seconds.
    pub fn publish(
        &self,
        run: &str,
        time: i64,
        merges: Merges<'_>,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Published> {
        if !self.has_remote()? {
            return Ok(Published::NoRemote);
        }
        if let Some(why) = self.kept_from_push(run)? {
            return Ok(Published::NotPushed { why });
        }
        let bounds = Bounds { until: Instant::now() + TIME, stopped };
        self.publish_within(run, time, merges, &bounds)
    }

    fn publish_within(
        &self,
        run: &str,
        time: i64,
        merges: Merges<'_>,
        bounds: &Bounds<'_>,
    ) -> Result<Published> {
        if let Some(instead) = self.not_ours_to_push(run, bounds)? {
            return Ok(instead);
        }
        let published = match self.unanswered(bounds) {
            Some(unanswered) => unanswered,
            None => self.push_and_merge(run, time, merges, bounds)?,
        };
        if !matches!(published, Published::Merged { .. }) {
            self.forget_fetched(run)?;
        }
        Ok(published)
    }

    /// The run moves only once the remote has what it moves to, so that however
    /// often others come first, its history has one merge.
    fn push_and_merge(
        &self,
        run: &str,
        time: i64,
        merges: Merges<'_>,
        bounds: &Bounds<'_>,
    ) -> Result<Published> {
        let longest = bounds.left();
        let tip = run_tip(&self.git()?, run)?;
        let before = self.pushed(&self.git()?, run)?;
        let (mut wanted, mut last, mut refusals) = (self.wanted(tip, merges)?, String::new(), 0);
        for _ in 0..TRIES {
            if let Some(ended) = ended(bounds, longest, &last) {
                return Ok(ended);
            }
            // First, for whoever ends in the middle of it does not know. It is taken
            // back only where the remote was seen without it.
            self.note_pushed(&self.git()?, run, Some(wanted))?;
            match push::push(self, REMOTE, &wanted.to_string(), self.branch(), bounds) {
                Called::Well(words) if push::had_it_already(&words) => {
                    return Ok(Published::UpToDate);
                }
                Called::Well(_) => return self.arrived(run, tip, wanted),
                Called::NotAtAll(words) => return Ok(not_pushed(&words)),
                Called::Stopped => return Ok(Published::Stopped),
                Called::Badly(words) => last = words,
            }
            // Why a push failed is seen from what the remote has, not from
            // words that each server chooses itself.
            let Some(theirs) = self.fetched(run, bounds)? else {
                if self.has_no_branch(bounds) {
                    self.note_pushed(&self.git()?, run, before)?;
                }
                return Ok(ended(bounds, longest, &last).unwrap_or_else(|| not_pushed(&last)));
            };
            let git = self.git()?;
            if theirs == wanted {
                return self.arrived(run, tip, wanted);
            }
            if descends(&git, theirs, tip)? {
                return Ok(Published::UpToDate);
            }
            self.note_pushed(&git, run, before)?;
            if descends(&git, wanted, theirs)? {
                refusals += 1;
                if gives_up(refusals, bounds) {
                    return Ok(not_pushed(&last));
                }
                continue;
            }
            refusals = 0;
            wanted = self.merged(&git, run, tip, theirs, time)?;
            if let Merges::HandedOut(_) = merges {
                return Ok(Published::Merged { commit: wanted.to_string() });
            }
        }
        Ok(not_pushed(&format!("others pushed before each of {TRIES} tries. {last}")))
    }

    /// Where nobody answers, nothing is sent, and nothing is unknown.
    fn unanswered(&self, bounds: &Bounds<'_>) -> Option<Published> {
        match push::ask(self, REMOTE, self.branch(), bounds) {
            Called::Well(_) => None,
            Called::Stopped => Some(Published::Stopped),
            Called::Badly(words) | Called::NotAtAll(words) => Some(not_pushed(&words)),
        }
    }

    /// The remote has it, so the run goes there.
    fn arrived(&self, run: &str, tip: Oid, wanted: Oid) -> Result<Published> {
        crash::point("publish: pushed");
        self.take_in(run, tip, wanted)?;
        Ok(Published::Pushed { commit: wanted.to_string() })
    }

    /// What to push first: a merge that has come back, unless the run stands
    /// elsewhere by now, or what has landed.
    fn wanted(&self, tip: Oid, merges: Merges<'_>) -> Result<Oid> {
        let Merges::HandedOut(Some(back)) = merges else { return Ok(tip) };
        let back = commit_id(back)?;
        Ok(if descends(&self.git()?, back, tip)? { back } else { tip })
    }

    /// How many commits the branch lacks of what `origin` had when it was last
    /// fetched; 0 where there is nothing to compare.
    pub fn behind_remote(&self) -> Result<usize> {
        let git = self.git()?;
        let theirs = git.refname_to_id(&self.remote_branch());
        let (Some(ours), Ok(theirs)) = (self.branch_commit(&git)?, theirs) else { return Ok(0) };
        let doing = "compare the branch with that of origin";
        git.graph_ahead_behind(ours, theirs).map(|(_, behind)| behind).map_err(failed(doing))
    }

    pub(super) fn has_remote(&self) -> Result<bool> {
        match self.git()?.find_remote(REMOTE) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(failed(format!("read the remote `{REMOTE}`"))(error)),
        }
    }

    /// Whether the remote answers that it has no such branch.
    fn has_no_branch(&self, bounds: &Bounds<'_>) -> bool {
        let answer = push::ask(self, REMOTE, self.branch(), bounds);
        matches!(answer, Called::Well(words) if !push::names(&words, self.branch()))
    }

    /// What the remote's branch stands on now; none where that is not to be had.
    pub(super) fn fetched(&self, run: &str, bounds: &Bounds<'_>) -> Result<Option<Oid>> {
        let name = format!("{FETCHED}{run}");
        match push::fetch(self, REMOTE, self.branch(), &name, bounds) {
            Called::Well(_) => {}
            Called::Stopped => return Ok(None),
            Called::Badly(words) | Called::NotAtAll(words) => {
                tracing::debug!("nothing was fetched: {}", push::quoted(&words));
                return Ok(None);
            }
        }
        self.git()?
            .refname_to_id(&name)
            .map(Some)
            .map_err(failed(format!("read `{name}`, which git has just fetched")))
    }

    /// What others pushed and the run's tip in one commit, safe on the disk.
    fn merged(
        &self,
        git: &git2::Repository,
        run: &str,
        tip: Oid,
        theirs: Oid,
        time: i64,
    ) -> Result<Oid> {
        let odb = git.odb().map_err(failed("open the repository's objects"))?;
        let _in_memory = odb
            .add_new_mempack_backend(MEMORY_FIRST)
            .map_err(failed("keep a merge's objects in memory"))?;
        let doing = || format!("merge {theirs}, which others pushed");
        let tree = match merge_histories(git, tip, theirs).map_err(failed(doing()))? {
            Merged::Tree(tree) => tree,
            Merged::Conflict(files) if files.is_empty() => {
                return Err(self.needs_a_person(run, "the two have no commit in common"));
            }
            Merged::Conflict(files) => {
                let because = format!("both changed {}", super::worktrees::name_some(&files));
                return Err(self.needs_a_person(run, &because));
            }
        };
        let merge = make_merge(git, run, self.branch(), tip, theirs, tree, time)
            .map_err(failed(doing()))?;
        pack::write(self, git, run, tip, &[merge])?;
        crash::point("publish: merged");
        Ok(merge)
    }

    /// Lets the run stand on what was pushed.
    fn take_in(&self, run: &str, tip: Oid, pushed: Oid) -> Result<()> {
        if pushed == tip {
            return Ok(());
        }
        let name = run_reference(run)?;
        let log = "code-agent: merged what others pushed";
        if !move_reference(&self.git()?, &name, tip, pushed, log)? {
            return Err(Error::failed(format!(
                "`{name}` was moved by somebody else while it was pushed; resume the run"
            )));
        }
        sync_reference(self.common_directory(), &name)
    }

    pub(super) fn forget_fetched(&self, run: &str) -> Result<()> {
        self.remove_reference(&format!("{FETCHED}{run}"))
    }

    /// Says what a person has to do where a run's work and what others have pushed
    /// don't go together.
    pub fn needs_a_person(&self, run: &str, because: &str) -> Error {
        let branch = self.branch();
        Error::failed(format!(
            "what has landed can't be merged with what others pushed to `{branch}` of {REMOTE}: \
             {because}. All of the run's work is in `refs/code-agent/runs/{run}`. Merge by hand \
             and go on: git switch {branch} && git merge refs/code-agent/runs/{run} && git merge \
             {FETCHED}{run} (mend, git commit), then code-agent resume {run}"
        ))
    }
}

/// What it comes to where somebody wished it to stop, or the time is up.
fn ended(bounds: &Bounds<'_>, longest: Duration, last: &str) -> Option<Published> {
    if (bounds.stopped)() {
        return Some(Published::Stopped);
    }
    let seconds = longest.as_secs_f32().round();
    let why = format!("others pushed before each try for {seconds} seconds. {last}");
    bounds.left().is_zero().then(|| not_pushed(&why))
}

/// Whether to give up, now that the remote has refused so often in a row; if not, a
/// moment has passed.
fn gives_up(refusals: u32, bounds: &Bounds<'_>) -> bool {
    if refusals < REFUSALS {
        bounds.pause(BETWEEN_REFUSALS);
    }
    refusals == REFUSALS || bounds.left().is_zero()
}

fn not_pushed(words: &str) -> Published {
    Published::NotPushed { why: push::quoted(words) }
}

fn make_merge(
    git: &git2::Repository,
    run: &str,
    branch: &str,
    tip: Oid,
    theirs: Oid,
    tree: Oid,
    time: i64,
) -> Result<Oid, git2::Error> {
    let who = Signature::new("code-agent", "code-agent@localhost", &Time::new(time, 0))?;
    let message =
        format!("Merge what others pushed to {branch} of {REMOTE}\n\nCode-Agent-Run: {run}\n");
    let parents = [&git.find_commit(tip)?, &git.find_commit(theirs)?];
    git.commit(None, &who, &who, &message, &git.find_tree(tree)?, &parents)
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
