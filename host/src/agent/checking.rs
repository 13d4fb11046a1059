//! The user's check: a command that says whether a commit is good. It runs in
//! slots that only checks write to, so that nothing that a worker left can turn
//! it green, and it holds up nobody else's landing. A slot in which it was red is
//! thrown away; one in which it was green keeps its caches for the next check.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::commands::ended;
use super::{Setup, Slot, blocking};
use crate::repo::Checkouts;
use crate::sandbox::{self, Job, LONGEST_TIME, Ran, Sandbox};
use crate::types::CheckResult;
use crate::{Error, Result, crash};

/// So many commits are remembered on which it was green.
const MOST_REMEMBERED: usize = 64;
/// So often has the branch to be red before that is said of it: once may be chance.
const SURE: u32 = 2;

/// Runs the user's check.
pub struct Checker {
    sandbox: Arc<Sandbox>,
    command_line: String,
    setup: Option<Setup>,
    checkouts: Arc<Checkouts>,
    /// How many checks run at once.
    places: Semaphore,
    /// Slots that no check uses now.
    free: Mutex<Free>,
    /// On what it was green last.
    green: Mutex<VecDeque<String>>,
    /// Where the branch stood when it was found red; held while it is looked at.
    red_tip: tokio::sync::Mutex<Option<String>>,
}

#[derive(Default)]
struct Free {
    slots: Vec<Arc<Slot>>,
    /// How many have been opened.
    opened: u32,
}

impl Checker {
    /// For this command line; `at_once`: how many checks run side by side.
    pub fn new(
        sandbox: Arc<Sandbox>,
        command_line: String,
        setup: Option<Setup>,
        checkouts: Arc<Checkouts>,
        at_once: usize,
    ) -> Self {
        Self {
            sandbox,
            command_line,
            setup,
            checkouts,
            places: Semaphore::new(at_once.max(1)),
            free: Mutex::default(),
            green: Mutex::default(),
            red_tip: tokio::sync::Mutex::default(),
        }
    }

    /// Runs the check on a commit. That it is red is an answer; an error says
    /// that it could not be run.
    pub async fn check(&self, commit: &str) -> Result<CheckResult> {
        // Never closed.
        let _place = self.places.acquire().await;
        let mut ran = self.look(commit).await?;
        if ran.stopped.is_some() {
            // That may have been left by those before, or pass by itself.
            ran = self.look(commit).await?;
        }
        crash::point("check: ran");
        let result =
            result(&self.command_line, ran, || sandbox::shortage(self.checkouts.folder()))?;
        if result.passed {
            self.remember_green(commit);
        }
        Ok(result)
    }

    /// Looks whether the branch is red by itself, where something on top of it was;
    /// once for each commit that it stands on. None where it is green, else whether
    /// that is news.
    pub async fn red_without(&self, tip: &str) -> Result<Option<bool>> {
        let mut red_tip = self.red_tip.lock().await;
        if red_tip.as_deref() == Some(tip) {
            return Ok(Some(false));
        }
        if self.green().iter().any(|green| green == tip)
            || self.check_often(tip, SURE).await?.passed
        {
            return Ok(None);
        }
        *red_tip = Some(tip.to_owned());
        Ok(Some(true))
    }

    /// The same, once more while it is red: `times` at most. One red may be a matter
    /// of luck.
    async fn check_often(&self, commit: &str, times: u32) -> Result<CheckResult> {
        let mut last = self.check(commit).await?;
        for _ in 1..times {
            if last.passed {
                break;
            }
            last = self.check(commit).await?;
        }
        Ok(last)
    }

    /// Looks for who made it red, halving: the last of these commits is, as `red`
    /// says, and each stands on the one before. One counts as red where it is so
    /// `times` times. Returns how many from the first on are green, and what the check
    /// says of the next one.
    pub async fn find_red(
        &self,
        commits: &[&str],
        mut red: CheckResult,
        times: u32,
    ) -> Result<(usize, CheckResult)> {
        let (mut green, mut first_red) = (0, commits.len());
        while first_red - green > 1 {
            let middle = usize::midpoint(green, first_red);
            let at = self.check_often(commits[middle - 1], times).await?;
            if at.passed {
                green = middle;
            } else {
                (first_red, red) = (middle, at);
            }
        }
        Ok((green, red))
    }

    /// Runs it in some slot, which is thrown away unless it was green.
    async fn look(&self, commit: &str) -> Result<Ran> {
        let slot = self.slot().await?;
        let outcome = self.look_in(&slot, commit).await;
        if outcome.as_ref().is_ok_and(|ran| ran.exit_code == Some(0)) {
            self.free().slots.push(slot);
        } else {
            blocking("throwing a slot away", move || {
                drop(slot);
                Ok(())
            })
            .await?;
        }
        outcome
    }

    async fn look_in(&self, slot: &Slot, commit: &str) -> Result<Ran> {
        let failed = match &self.setup {
            Some(setup) => slot.stand_prepared_on(commit, setup).await?,
            None => slot.stand_on(commit).await.map(|()| None)?,
        };
        if let Some(output) = failed {
            let stopped = Some("its slot could not be prepared".to_owned());
            return Ok(Ran { exit_code: None, output, timed_out: false, stopped });
        }
        let job = Job {
            command_line: self.command_line.clone(),
            folders: slot.folders(&self.sandbox),
            time: LONGEST_TIME,
            hold: Box::new(slot.busy.clone().read_owned().await),
        };
        let ran = sandbox::run(&self.sandbox, job).await?;
        slot.has_run(&ran);
        Ok(ran)
    }

    async fn slot(&self) -> Result<Arc<Slot>> {
        let number = {
            let mut free = self.free();
            if let Some(slot) = free.slots.pop() {
                return Ok(slot);
            }
            free.opened += 1;
            free.opened
        };
        Slot::open(&self.checkouts, &format!("checker-{number}")).await
    }

    fn remember_green(&self, commit: &str) {
        let mut green = self.green();
        green.push_back(commit.to_owned());
        if green.len() > MOST_REMEMBERED {
            green.pop_front();
        }
    }

    fn green(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        // The list is whole at any time, whoever panicked.
        self.green.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        // The list is whole at any time, whoever panicked.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run of the check says. Where the disk has no room, it says nothing: that
/// is no commit's fault.
fn result(
    command_line: &str,
    ran: Ran,
    shortage: impl FnOnce() -> Option<String>,
) -> Result<CheckResult> {
    if let Some(why) = ran.stopped.as_ref().and_then(|_| shortage()) {
        return Err(Error::failed(format!(
            "the check `{command_line}` could not be run: {why}. Make room, and resume the run"
        )));
    }
    let passed = ran.exit_code == Some(0);
    let output = if passed { ran.output } else { format!("{}\n{}", ended(&ran), ran.output) };
    Ok(CheckResult { command_line: command_line.to_owned(), passed, output })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_full_disk_is_no_answer_and_nobodys_fault() {
        let ran = |stopped: Option<&str>, exit_code| Ran {
            exit_code,
            output: String::new(),
            timed_out: false,
            stopped: stopped.map(str::to_owned),
        };
        // This file system has no room at any time.
        let full = || sandbox::shortage(Path::new("/proc"));
        let error = result("test", ran(Some("the disk is almost full"), None), full).unwrap_err();
        assert!(error.to_string().contains("resume the run"), "{error}");
        assert!(!result("test", ran(Some("too much memory"), None), || None).unwrap().passed);
        assert!(!result("test", ran(None, Some(1)), full).unwrap().passed, "it was red by itself");
        assert!(result("test", ran(None, Some(0)), full).unwrap().passed);
    }
}
