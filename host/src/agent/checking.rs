//! The user's check: a command that says whether a commit is good. It runs in
//! slots that only checks write to, so that nothing that a worker left can turn
//! it green, and it holds up nobody else's landing.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::Slot;
use super::commands::ended;
use crate::Result;
use crate::repo::Checkouts;
use crate::sandbox::{self, Job, LONGEST_TIME, Sandbox};
use crate::types::CheckResult;

/// Runs the user's check.
pub struct Checker {
    sandbox: Arc<Sandbox>,
    command_line: String,
    setup: Option<String>,
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
        setup: Option<String>,
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
        let slot = self.slot().await?;
        let outcome = self.check_in(&slot, commit).await;
        self.free().slots.push(slot);
        outcome
    }

    async fn check_in(&self, slot: &Slot, commit: &str) -> Result<CheckResult> {
        match &self.setup {
            Some(setup) => slot.stand_prepared_on(commit, &self.sandbox, setup).await?,
            None => slot.stand_on(commit).await?,
        }
        let job = Job {
            command_line: self.command_line.clone(),
            folder: slot.folder_for_command(&self.sandbox),
            temporary: slot.temporary.clone(),
            time: LONGEST_TIME,
            hold: Box::new(slot.busy.clone().read_owned().await),
        };
        let ran = sandbox::run(&self.sandbox, job).await?;
        let passed = ran.exit_code == Some(0);
        let output = if passed { ran.output } else { format!("{}\n{}", ended(&ran), ran.output) };
        Ok(CheckResult { command_line: self.command_line.clone(), passed, output })
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
