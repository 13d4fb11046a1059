//! Pushing what has landed, and telling what became of it. How it is pushed is
//! `repo/`'s business.
//!
//! With a strict check, a merge of what others pushed is looked at before anything
//! moves to it. Without, it is taken as any landing is that merges cleanly with what
//! came meanwhile: the check at the cycle's end looks at it, and the next cycle can
//! mend what is red.

use super::HostCrew;
use super::retreating::SURE;
use crate::agent::blocking;
use crate::cycle::{Crew, Stop, unless_stopped};
use crate::events::Event;
use crate::queue::Store;
use crate::repo::{Merges, Published};
use crate::types::CheckResult;
use crate::{Error, Result};

/// How many merges are looked at for one push: each takes a whole check, during
/// which others may push again.
const LOOKS: u32 = 5;
/// Characters at the end of what the check says that are quoted where it is red.
const LONGEST_QUOTE: usize = 2_000;

impl HostCrew {
    /// Pushes what has landed, unless it is not to be, until a person wishes the
    /// run to stop. Returns what the check says of what came in, where it was asked.
    pub(super) async fn share(&self, stop: Stop) -> Result<Option<CheckResult>> {
        // What is not this run's is not its business to push.
        if !self.push || self.store.landed().await?.is_empty() {
            return Ok(None);
        }
        let before = self.head().await?;
        let (published, said) = self.push(stop).await?;
        let merged = self.head().await? != before;
        if let Some(event) = self.told(published, merged) {
            self.store.record("host", event).await?;
        }
        if !merged {
            return Ok(None);
        }
        if let Some(message) = self.end_cycle().await? {
            self.store.record("host", Event::Branch { message }).await?;
        }
        Ok(said)
    }

    /// Pushes, and looks at each merge before where the check is strict. Returns what
    /// the check says of what was pushed, where it was asked.
    async fn push(&self, mut stop: Stop) -> Result<(Published, Option<CheckResult>)> {
        let mut green: Option<(String, CheckResult)> = None;
        for looks in 0..=LOOKS {
            let ready = green.as_ref().map(|(commit, _)| commit.clone());
            let published = self.push_once(ready, &stop).await?;
            let Published::Merged { commit } = published else {
                return Ok((published, green.map(|(_, said)| said)));
            };
            if looks == LOOKS {
                break;
            }
            let Some(said) = unless_stopped(&mut stop, self.look_at_merge(&commit)).await? else {
                return Ok((Published::Stopped, None));
            };
            if !said.passed {
                return Err(self.red(&said));
            }
            green = Some((commit, said));
        }
        let why =
            format!("others pushed each of {LOOKS} times while a merge with theirs was checked");
        Ok((Published::NotPushed { why }, None))
    }

    async fn push_once(&self, ready: Option<String>, stop: &Stop) -> Result<Published> {
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        let (strict, stop) = (self.queue.is_some(), stop.clone());
        let time = self.clock.milliseconds() / 1000;
        let pushing = move || {
            let merges = if strict { Merges::HandedOut(ready.as_deref()) } else { Merges::Pushed };
            repository.publish(&run, time, merges, &|| *stop.borrow())
        };
        blocking("pushing", pushing).await
    }

    /// What the check says of a merge; once more while it is red, for a red by chance
    /// would end the run.
    async fn look_at_merge(&self, commit: &str) -> Result<CheckResult> {
        let mut last = None;
        for _ in 0..SURE {
            last = Crew::check(self, commit).await?;
            if last.as_ref().is_none_or(|said| said.passed) {
                break;
            }
        }
        last.ok_or_else(|| Error::failed("there is no check to look at a merge with"))
    }

    fn red(&self, said: &CheckResult) -> Error {
        let because = format!(
            "the check `{}` is red on both together, so that nothing was pushed and the branch stays \
             where it was",
            said.command_line
        );
        let error = self.repository.needs_a_person(self.store.run(), &because);
        let from = said.output.char_indices().nth_back(LONGEST_QUOTE).map_or(0, |(at, _)| at);
        let end = said.output.get(from..).unwrap_or_default().trim();
        Error::failed(format!("{error}\nThe check says:\n{end}"))
    }

    fn told(&self, published: Published, merged: bool) -> Option<Event> {
        let branch = self.repository.branch().to_owned();
        match published {
            // A merge is told of once it is pushed.
            Published::NoRemote | Published::UpToDate | Published::Merged { .. } => None,
            Published::Pushed { commit } => Some(Event::Pushed { branch, commit, merged }),
            Published::NotPushed { why } => Some(Event::Warning {
                message: format!(
                    "what has landed was not pushed to `{branch}` of origin, and the run goes on: \
                     {why}"
                ),
            }),
            Published::Stopped => Some(Event::Warning {
                message: format!(
                    "the run stops before what has landed was pushed to `{branch}` of origin: it is \
                     pushed when the run is resumed"
                ),
            }),
        }
    }
}
