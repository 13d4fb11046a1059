//! Plays a recorded run back: hands out the recorded answers, ids and claims,
//! and lets landings come in the recorded order. What happens by itself
//! (planning, merging, completing) happens again; so a replay tells whether
//! host and components still do what they did.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use super::schedule::{Key, RecordedCall, Schedule, Tried, schedule};
use super::{About, Host, Lines};
use crate::plugin::folder::Contents;
use crate::types::CheckResult;
use crate::{Error, Result};

/// A recorded run that is played back.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    schedule: Schedule,
    given: Mutex<Given>,
    done: watch::Sender<Done>,
    broken: OnceLock<Error>,
}

/// How much was handed out.
#[derive(Debug, Default)]
struct Given {
    calls: HashMap<Key, usize>,
    claims: HashMap<String, usize>,
}

/// What has come to its end.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    landings: usize,
    calls: usize,
}

/// A recorded landing whose turn it is.
#[derive(Debug)]
pub struct LandingTurn {
    replay: Arc<Replay>,
    index: usize,
    /// The landing's id.
    pub landing: String,
    /// What dates the commit: seconds since 1970-01-01 UTC.
    pub author_time: i64,
    /// The worker's model, which the commit names.
    pub model: Option<String>,
}

/// What became of the next thing that a call tried to land.
#[derive(Debug)]
pub enum Turn {
    /// It is its turn to land.
    Landing(LandingTurn),
    /// The user's check was red on it.
    Red(CheckResult),
}

impl Replay {
    /// Reads the recording at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |error: Error| match error {
            Error::Usage(sentence) => Error::usage(format!("{}: {sentence}", path.display())),
            Error::Failed(sentence) => Error::failed(sentence),
        };
        let schedule = schedule(Lines::open(path)?).map_err(named)?;
        Ok(Self {
            path: path.to_owned(),
            schedule,
            given: Mutex::default(),
            done: watch::Sender::new(Done::default()),
            broken: OnceLock::new(),
        })
    }

    /// What the recorded run was.
    pub fn host(&self) -> &Host {
        &self.schedule.host
    }

    /// What the plugins folder held while the run was recorded, one after the other;
    /// nothing where the recording is older than that.
    pub fn plugins(&self) -> &[Contents] {
        &self.schedule.plugins
    }

    /// Why the replay can't go on, once that is so.
    pub fn broken(&self) -> Option<Error> {
        self.broken.get().cloned()
    }

    /// What the slot took next; none where it took nothing more. An error once
    /// nothing is left that could still come.
    pub fn next_claim(&self, slot: &str) -> Result<Option<(String, u32)>> {
        let taken = self.given().claims.get(slot).copied().unwrap_or_default();
        let next = self.schedule.claims.get(slot).and_then(|claims| claims.get(taken));
        match next {
            None if self.is_over(*self.done.borrow()) => Err(self.over()),
            next => Ok(next.cloned()),
        }
    }

    /// The slot has taken what was next.
    pub fn claimed(&self, slot: &str) {
        *self.given().claims.entry(slot.to_owned()).or_default() += 1;
    }

    /// The commit that the checkout of this attempt stood on, once that has
    /// landed; none where the recording doesn't know the attempt.
    pub async fn base(&self, about: &About) -> Option<String> {
        let base = self.peek(&Key::of(about))?.base.clone()?;
        let mut landings = self.schedule.landings.iter();
        if let Some(index) = landings.position(|one| one.commit.as_ref() == Some(&base)) {
            self.when(|done| done.landings > index).await;
        }
        Some(base)
    }

    /// The recorded ids of what `of` made, if it made so many.
    pub(super) fn ids(&self, of: &str, count: usize) -> Option<Vec<String>> {
        self.schedule.ids.get(of).filter(|ids| ids.len() == count).cloned()
    }

    /// The next call about this; one in which nothing was said where the
    /// recording has none.
    pub(super) fn call(&self, about: &About) -> Arc<RecordedCall> {
        let key = Key::of(about);
        let call = self.peek(&key).unwrap_or_default();
        *self.given().calls.entry(key).or_default() += 1;
        call
    }

    fn peek(&self, key: &Key) -> Option<Arc<RecordedCall>> {
        let taken = self.given().calls.get(key).copied().unwrap_or_default();
        self.schedule.calls.get(key)?.get(taken).cloned()
    }

    pub(super) fn call_ended(&self) {
        self.done.send_modify(|done| done.calls += 1);
    }

    /// Waits for the turn of a call's `number`th landing, from 0. An error
    /// where the recording has none. `ended` tells whether the call has said its
    /// last word.
    pub(super) async fn landing(
        self: &Arc<Self>,
        call: &RecordedCall,
        number: usize,
        ended: bool,
    ) -> Result<Turn> {
        let index = match call.tried.get(number) {
            Some(Tried::Red(check)) => return Ok(Turn::Red(check.clone())),
            Some(Tried::Landing(index)) => *index,
            None => return Err(self.not_recorded(call, ended).await),
        };
        let Some(landing) = self.schedule.landings.get(index) else {
            return Err(self.end().await);
        };
        self.when(|done| done.landings == index).await;
        Ok(Turn::Landing(LandingTurn {
            replay: self.clone(),
            index,
            landing: landing.landing.clone(),
            author_time: landing.author_time,
            model: landing.model.clone(),
        }))
    }

    /// Where nothing tells what a call came to, the recording ends. Else it landed
    /// nothing more, and to wait for the end would be for ever.
    async fn not_recorded(&self, call: &RecordedCall, ended: bool) -> Error {
        if call.settled || (call.ended && !ended) {
            return self.diverged("a worker lands what it did not land when it was recorded");
        }
        self.end().await
    }

    /// Stops the replay: what is said now is not what was recorded.
    pub(super) fn diverged(&self, what: &str) -> Error {
        let error = Error::failed(format!(
            "the recording {} does not fit: {what}\nReplay with the program, the plugins and the \
             repository's state that it was recorded with, or ask a model with --model",
            self.path.display()
        ));
        self.broken.get_or_init(|| error).clone()
    }

    /// Waits for all that was recorded, and stops the replay.
    pub(super) async fn end(&self) -> Error {
        self.when(|done| self.is_over(done)).await;
        self.over()
    }

    fn over(&self) -> Error {
        let error = Error::failed(format!(
            "the recording {} ends here: its run was stopped or failed before it was done",
            self.path.display()
        ));
        self.broken.get_or_init(|| error).clone()
    }

    fn is_over(&self, done: Done) -> bool {
        done.calls >= self.schedule.ended && done.landings >= self.schedule.landings.len()
    }

    async fn when(&self, so: impl Fn(Done) -> bool) {
        // The sender lives as long as this replay, which is borrowed here.
        let _ = self.done.subscribe().wait_for(|done| so(*done)).await;
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        // The maps are whole at any time, whoever panicked.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LandingTurn {
    /// Lets the next landing come. An error where this one came to something
    /// else than what was recorded.
    pub fn ended(self, commit: Option<&str>) -> Result<()> {
        let recorded = self.replay.schedule.landings.get(self.index);
        let recorded = recorded.and_then(|landing| landing.commit.as_deref());
        if recorded != commit {
            let shown = |commit: Option<&str>| match commit {
                Some(commit) => format!("the commit {commit}"),
                None => "nothing".to_owned(),
            };
            return Err(self.replay.diverged(&format!(
                "the landing {} came to {}, and to {} when it was recorded",
                self.landing,
                shown(commit),
                shown(recorded)
            )));
        }
        self.replay.done.send_modify(|done| done.landings += 1);
        Ok(())
    }
}
