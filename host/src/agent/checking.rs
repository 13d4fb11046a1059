//! The user's check: a command that says whether a commit is good. It runs in
//! slots that only checks write to, so that nothing that a worker left can turn
//! it green, and it holds up nobody else's landing. A slot in which it was red is
//! thrown away; one in which it was green keeps its caches for the next check.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::commands::ended;
use super::{Setup, Slot, blocking};
use crate::repo::Checkouts;
use crate::sandbox::{self, Job, LONGEST_TIME, Ran, Sandbox};
use crate::types::CheckResult;
use crate::{Result, crash};

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
        let places = Semaphore::new(at_once.max(1));
        Self { sandbox, command_line, setup, checkouts, places, free: Mutex::default() }
    }

    /// Runs the check on a commit. That it is red is an answer; an error says
    /// that it could not be run.
    pub async fn check(&self, commit: &str) -> Result<CheckResult> {
        // Never closed.
        let _place = self.places.acquire().await;
        let ran = self.look(commit).await?;
        // What stopped it may have been left by those before, or be the disk's.
        let ran = if ran.stopped.is_some() { self.look(commit).await? } else { ran };
        crash::point("check: ran");
        let passed = ran.exit_code == Some(0);
        let output = if passed { ran.output } else { format!("{}\n{}", ended(&ran), ran.output) };
        Ok(CheckResult { command_line: self.command_line.clone(), passed, output })
    }

    /// Looks for who made it red, halving: the last of these commits is, as `red`
    /// says, and each stands on the one before. Returns how many from the first on
    /// are green, and what the check says of the next one.
    pub async fn find_red(
        &self,
        commits: &[&str],
        mut red: CheckResult,
    ) -> Result<(usize, CheckResult)> {
        let (mut green, mut first_red) = (0, commits.len());
        while first_red - green > 1 {
            let middle = usize::midpoint(green, first_red);
            let at = self.check(commits[middle - 1]).await?;
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
            return Ok(Ran { exit_code: Some(1), output, timed_out: false, stopped: None });
        }
        let job = Job {
            command_line: self.command_line.clone(),
            folders: slot.folders(&self.sandbox),
            time: LONGEST_TIME,
            hold: Box::new(slot.busy.clone().read_owned().await),
        };
        sandbox::run(&self.sandbox, job).await
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

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        // The list is whole at any time, whoever panicked.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
