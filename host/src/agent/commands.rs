//! An agent runs commands in its checkout, and a slot is prepared by the user's
//! own command. How a command is kept from doing harm is `sandbox/`'s business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Slot};
use crate::repo::folder::Folder;
use crate::sandbox::{self, Job, LONGEST_TIME, Ran, Sandbox, USUAL_TIME};
use crate::types::CallError;
use crate::{Error, Result};

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

/// How an agent's commands are run.
#[derive(Clone)]
pub struct Commands {
    /// The walls.
    pub sandbox: Arc<Sandbox>,
    /// The slot's folder for temporary files.
    pub temporary: PathBuf,
}

impl Agent {
    /// Runs a command line in the checkout; without a time it is the usual one.
    pub async fn run_command(
        &self,
        command_line: &str,
        seconds: Option<u32>,
    ) -> Result<Ran, CallError> {
        let Some(commands) = &self.commands else {
            return Err(CallError::Unavailable(
                "this host has no sandbox to run commands in; `code-agent doctor` says why".into(),
            ));
        };
        let time = seconds.map_or(USUAL_TIME, |seconds| Duration::from_secs(seconds.into()));
        check(command_line, time)?;
        let hold = self.slot.busy.clone().read_owned().await;
        let job = Job {
            command_line: command_line.to_owned(),
            folder: self.slot.folder_for_command(&commands.sandbox),
            temporary: commands.temporary.clone(),
            time,
            hold: Box::new(hold),
        };
        sandbox::run(&commands.sandbox, job)
            .await
            .map_err(|error| CallError::Unavailable(error.to_string()))
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

/// What a slot was prepared for: its lock files, by their contents.
pub type Prepared = BTreeMap<&'static str, Vec<u8>>;

/// The lock files at the top of a checkout.
pub fn lock_files(folder: &Folder) -> Prepared {
    let read = |name: &&'static str| Some((*name, folder.directory().read(name).ok()?));
    LOCK_FILES.iter().filter_map(read).collect()
}

/// Prepares a slot by the user's command, which alone may use the network.
pub async fn prepare(sandbox: &Sandbox, slot: &Slot, command_line: &str) -> Result<()> {
    let mut sandbox = sandbox.clone();
    sandbox.access.network = true;
    let job = Job {
        command_line: command_line.to_owned(),
        folder: slot.folder_for_command(&sandbox),
        temporary: slot.temporary.clone(),
        time: LONGEST_TIME,
        hold: Box::new(slot.busy.clone().read_owned().await),
    };
    let ran = sandbox::run(&sandbox, job).await?;
    if ran.exit_code == Some(0) {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the setup command `{command_line}` failed ({}); mend it and resume the run. It said:\n{}",
        ended(&ran),
        ran.output.trim_end()
    )))
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
