//! Running a command: the helper is started, what it says is read, and at the
//! end, of its time or of whoever waits for it, nothing of it is left.

#![expect(clippy::disallowed_methods, reason = "a command's temporary folder is no checkout")]

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::group::Group;
use super::lifeline::{Lifeline, Word};
use super::output::Shortened;
use super::{Folders, HELPER, Policy, Sandbox, environment, growth, places};
use crate::{Error, Result};

/// How long the helper has to end everything before it is killed itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the rest of the output is waited for where nothing that was started there
/// can hold it open any more: only a machine that stands still takes so long.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// None where a signal ended it.
    pub exit_code: Option<i32>,
    /// Stdout and stderr together, shortened in the middle.
    pub output: String,
    /// Whether its time was up.
    pub timed_out: bool,
    /// Why else it was stopped.
    pub stopped: Option<String>,
}

/// What is to be run.
pub struct Job {
    /// The command line, for `sh -c`.
    pub command_line: String,
    /// The folders that are its own. All of them exist.
    pub folders: Folders,
    /// How long it may take.
    pub time: Duration,
    /// Dropped once nothing of the command is left, whoever waits for it.
    pub hold: Box<dyn Send>,
}

/// Runs a command. An error means that it could not be run.
pub async fn run(sandbox: &Sandbox, job: Job) -> Result<Ran> {
    let policy = sandbox.policy(&job.folders);
    run_under(sandbox, &policy, job).await
}

/// The same under a policy that is ready.
pub async fn run_under(sandbox: &Sandbox, policy: &Policy, job: Job) -> Result<Ran> {
    std::fs::create_dir_all(&policy.root).map_err(failed)?;
    let mut running =
        Running::start(sandbox, policy, &job.command_line, job.hold).map_err(failed)?;
    let (mut timed_out, mut stopped) = (false, None);
    tokio::select! {
        () = running.ended() => {}
        () = tokio::time::sleep(job.time) => timed_out = true,
        sentence = growth::too_much(policy) => stopped = Some(sentence),
    }
    let Ended { status, output, words } = running.finish().await?;
    let mut began = sandbox.abilities.is_none();
    for word in words {
        match word {
            Word::Began => began = true,
            Word::Stopped(why) => stopped = stopped.or(Some(why)),
            Word::NotBuilt(why) => {
                return Err(Error::failed(format!("a command could not be run: {why}")));
            }
        }
    }
    if !began && !timed_out && stopped.is_none() {
        let why = format!("the helper ended without a word ({status}): {}", output.trim());
        return Err(Error::failed(format!("a command could not be run: {why}")));
    }
    let exit_code = if timed_out || stopped.is_some() { None } else { status.code() };
    Ok(Ran { exit_code, output, timed_out, stopped })
}

fn failed(error: io::Error) -> Error {
    Error::failed(format!("a command could not be started: {error}"))
}

impl Sandbox {
    /// A command's world in these folders.
    pub fn policy(&self, folders: &Folders) -> Policy {
        Policy {
            folders: folders.clone(),
            root: folders.temporary.with_extension("root"),
            readable: places::readable(&self.access),
            allowed: self.access.writable.clone(),
            network: self.access.network,
            namespaces: self.abilities.as_ref().is_some_and(|abilities| abilities.namespaces),
            user: rustix::process::getuid().as_raw(),
            group: rustix::process::getgid().as_raw(),
            cargo_config: self.own_caches.then(places::cargo_config).flatten(),
            limits: super::Limits::default(),
            groups: Vec::new(),
        }
    }

    fn command(&self, policy: &Policy, command_line: &str) -> io::Result<Command> {
        let mut command = if self.abilities.is_some() {
            let mut command = Command::new(&self.helper);
            command.args([HELPER, &serde_json::to_string(policy)?, command_line]);
            command
        } else {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", command_line]).current_dir(&policy.folders.checkout);
            // Ctrl-C in the host's terminal is the host's; the helper leaves the
            // terminal altogether.
            command.process_group(0);
            command
        };
        command.env_clear().envs(environment::of(policy, self.own_caches));
        Ok(command)
    }
}

/// What is left of a command that has ended.
struct Ended {
    status: ExitStatus,
    output: String,
    words: Vec<Word>,
}

/// A command that runs. Dropped, it is ended.
struct Running {
    ended: oneshot::Receiver<()>,
    /// Says when the thread that waits has read everything.
    read: Option<oneshot::Receiver<io::Result<Ended>>>,
    /// None without a helper.
    lifeline: Option<Lifeline>,
    process_group: rustix::process::Pid,
    /// Whether it has ended, so that its id may be somebody else's.
    gone: Arc<AtomicBool>,
}

impl Running {
    fn start(
        sandbox: &Sandbox,
        policy: &Policy,
        command_line: &str,
        hold: Box<dyn Send>,
    ) -> io::Result<Self> {
        let (output, writer) = io::pipe()?;
        let group = Group::make(&policy.limits);
        let policy = Policy { groups: group.folders(), ..policy.clone() };
        let mut command = sandbox.command(&policy, command_line)?;
        let (lifeline, stdin) = match &sandbox.abilities {
            Some(_) => Lifeline::pair().map(|(host, helper)| (Some(host), Stdio::from(helper)))?,
            None => (None, Stdio::null()),
        };
        let child = command.stdin(stdin).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        // It holds the other ends, which would keep output and lifeline open.
        drop(command);
        let process_group = rustix::process::Pid::from_child(&child);
        let heard = lifeline.as_ref().map(Lifeline::try_clone).transpose()?;
        // A namespace of processes ends with all that is in it; elsewhere, something
        // that was left running may hold the output open for ever.
        let ends_whole = sandbox.abilities.is_some() && policy.namespaces;
        let patience = if ends_whole { LONG_PATIENCE } else { PATIENCE };
        let gone = Arc::new(AtomicBool::new(false));
        let is_gone = gone.clone();
        let (tell_ended, ended) = oneshot::channel();
        let (tell_read, read) = oneshot::channel();
        std::thread::Builder::new().name("command".into()).spawn(move || {
            // Nobody waits any more where the call was dropped.
            let followed = follow(child, output, patience, heard, &is_gone, tell_ended);
            let _ = tell_read.send(followed);
            drop((group, hold));
        })?;
        Ok(Self { ended, read: Some(read), lifeline, process_group, gone })
    }

    async fn ended(&mut self) {
        // An error says that the thread is gone, and so is the command.
        let _ = (&mut self.ended).await;
    }

    /// Ends what is left and returns what came.
    async fn finish(mut self) -> Result<Ended> {
        self.let_go();
        let Some(mut read) = self.read.take() else {
            return Err(Error::failed("a command was waited for twice; please report it"));
        };
        let outcome = match tokio::time::timeout(PATIENCE, &mut read).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.kill();
                read.await
            }
        };
        match outcome {
            Ok(outcome) => outcome.map_err(failed),
            Err(_) => Err(Error::failed("the thread of a command has ended; see the log")),
        }
    }

    /// Returns whether there is a helper, which ends everything then.
    fn let_go(&self) -> bool {
        self.lifeline.as_ref().inspect(|lifeline| lifeline.let_go()).is_some()
    }

    fn kill(&self) {
        kill(&self.gone, self.process_group);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.read.is_none() || !self.let_go() {
            return self.kill();
        }
        let (gone, process_group) = (self.gone.clone(), self.process_group);
        let patient =
            std::thread::Builder::new().name("end of a command".into()).spawn(move || {
                std::thread::sleep(PATIENCE);
                kill(&gone, process_group);
            });
        if patient.is_err() {
            self.kill();
        }
    }
}

fn kill(gone: &AtomicBool, process_group: rustix::process::Pid) {
    if !gone.load(Ordering::Acquire) {
        // One that goes at this moment needs no killing.
        let _ = rustix::process::kill_process_group(process_group, rustix::process::Signal::KILL);
    }
}

/// Waits for the child and reads its output to the end, for so long after its own end
/// at most: the output says where it was not waited for any longer.
fn follow(
    mut child: Child,
    mut output: PipeReader,
    patience: Duration,
    lifeline: Option<Lifeline>,
    gone: &AtomicBool,
    ended: oneshot::Sender<()>,
) -> io::Result<Ended> {
    let kept = Arc::new(Mutex::new(Shortened::default()));
    let (tell_read, read) = mpsc::channel();
    let keep = kept.clone();
    std::thread::Builder::new().name("output".into()).spawn(move || {
        let mut buffer = [0; 64 * 1024];
        let outcome = loop {
            match output.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => lock(&keep).push(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        // Nobody listens any more where it took too long.
        let _ = tell_read.send(outcome);
    })?;
    let status = child.wait()?;
    gone.store(true, Ordering::Release);
    // The call may have been dropped.
    let _ = ended.send(());
    let is_whole = match read.recv_timeout(patience) {
        Ok(outcome) => outcome.map(|()| true)?,
        Err(_) => false,
    };
    let mut output = std::mem::take(&mut *lock(&kept));
    if !is_whole {
        output.push(not_to_the_end(patience).as_bytes());
    }
    let words = lifeline.map(|lifeline| lifeline.words()).unwrap_or_default();
    Ok(Ended { status, output: output.text(), words })
}

/// The line that ends an output that was not read to its end.
fn not_to_the_end(patience: Duration) -> String {
    format!(
        "\n[there may be more output: {} s after the command's end it was still open, and nobody \
         waited any longer]\n",
        patience.as_secs()
    )
}

/// What was read is whole at any time, whoever panicked.
fn lock(kept: &Mutex<Shortened>) -> MutexGuard<'_, Shortened> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows from `echo said`, whose output somebody holds open or not.
    fn said(is_held: bool, patience: Duration) -> String {
        let (output, writer) = io::pipe().unwrap();
        let held = is_held.then(|| writer.try_clone().unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", "echo said"]).stdout(writer);
        let child = command.spawn().unwrap();
        drop(command);
        let (tell_ended, _ended) = oneshot::channel();
        let gone = AtomicBool::new(false);
        let ended = follow(child, output, patience, None, &gone, tell_ended).unwrap();
        assert!(ended.status.success() && gone.load(Ordering::Acquire));
        drop(held);
        ended.output
    }

    #[test]
    fn output_that_has_no_end_says_that_it_was_cut() {
        assert_eq!(said(false, LONG_PATIENCE), "said\n");
        let cut = said(true, Duration::from_millis(10));
        assert!(cut.ends_with(&not_to_the_end(Duration::from_millis(10))), "{cut}");
    }
}
