//! An agent runs commands in its checkout, and a slot is prepared by the user's
//! own command. How a command is kept from doing harm is `sandbox/`'s business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Slot};
use crate::Result;
use crate::repo::Checkout;
use crate::sandbox::{self, Job, LONGEST_TIME, Ran, Sandbox, USUAL_TIME};
use crate::types::CallError;

/// The longest command line, in bytes; the system takes a little more.
const LONGEST_COMMAND: usize = 100 * 1024;
/// Files that say which packages a project needs: when one of them changes, a
/// slot is prepared anew.
const LOCK_FILES: [&str; 16] = [
    "Cargo.lock",
    "Gemfile.lock",
    "Pipfile.lock",
    "bun.lock",
    "bun.lockb",
    "composer.lock",
    "go.sum",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "requirements.txt",
    "uv.lock",
    "yarn.lock",
];

impl Agent {
    /// Runs a command line in the checkout; without a time it is the usual one.
    pub async fn run_command(
        &self,
        command_line: &str,
        seconds: Option<u32>,
    ) -> Result<Ran, CallError> {
        let Some(sandbox) = &self.sandbox else {
            return Err(CallError::Unavailable(
                "this host has no sandbox to run commands in; `code-agent doctor` says why".into(),
            ));
        };
        let time = seconds.map_or(USUAL_TIME, |seconds| Duration::from_secs(seconds.into()));
        check(command_line, time)?;
        let hold = self.slot.busy.clone().read_owned().await;
        let job = Job {
            command_line: command_line.to_owned(),
            folders: self.slot.folders(sandbox),
            time,
            hold: Box::new(hold),
        };
        let ran = sandbox::run(sandbox, job)
            .await
            .map_err(|error| CallError::Unavailable(error.to_string()))?;
        self.slot.has_run(&ran);
        Ok(ran)
    }
}

fn check(command_line: &str, time: Duration) -> Result<(), CallError> {
    if command_line.trim().is_empty() {
        return Err(CallError::Invalid("the command is empty".into()));
    }
    if command_line.contains('\0') {
        return Err(CallError::Invalid("a command can't hold a NUL character".into()));
    }
    if command_line.len() > LONGEST_COMMAND {
        return Err(CallError::TooLong(format!(
            "a command can have at most {LONGEST_COMMAND} bytes; write a script and run that"
        )));
    }
    if time.is_zero() || time > LONGEST_TIME {
        return Err(CallError::Invalid(format!(
            "the time of a command has to be from 1 to {} seconds",
            LONGEST_TIME.as_secs()
        )));
    }
    Ok(())
}

/// What a slot was prepared for: the commit's lock files, and git's ids of them.
pub type Prepared = BTreeMap<String, String>;

/// The lock files of the commit that a checkout stands on.
pub fn lock_files(checkout: &Checkout) -> Prepared {
    checkout.tracked(&LOCK_FILES)
}

/// The user's command that prepares a slot.
#[derive(Clone)]
pub struct Setup {
    /// The walls, with caches of packages that it can fill.
    pub sandbox: Arc<Sandbox>,
    /// What the user typed.
    pub command_line: String,
}

impl Setup {
    /// Runs it in a slot; it alone may use the network. Returns what is to be
    /// said where it failed; an error says that it could not be run.
    pub(super) async fn run(&self, slot: &Slot) -> Result<Option<String>> {
        let mut sandbox = Sandbox::clone(&self.sandbox);
        sandbox.access.network = true;
        let job = Job {
            command_line: self.command_line.clone(),
            folders: slot.folders(&sandbox),
            time: LONGEST_TIME,
            hold: Box::new(slot.busy.clone().read_owned().await),
        };
        let ran = sandbox::run(&sandbox, job).await?;
        if ran.exit_code == Some(0) {
            return Ok(None);
        }
        Ok(Some(format!(
            "the setup command `{}` failed ({}). It said:\n{}",
            self.command_line,
            ended(&ran),
            ran.output.trim_end()
        )))
    }
}

/// How a command ended, in a few words.
pub fn ended(ran: &Ran) -> String {
    match (&ran.stopped, ran.timed_out, ran.exit_code) {
        (Some(why), ..) => format!("it was stopped: {why}"),
        (None, true, _) => "its time was up".to_owned(),
        (None, false, Some(code)) => format!("exit code {code}"),
        (None, false, None) => "a signal ended it".to_owned(),
    }
}
