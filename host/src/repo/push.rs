//! The user's own `git`, which alone knows how to reach a remote: their ssh
//! config and credential helpers work. Owns how it is run: without hooks,
//! without anybody to ask, and not for ever. What is pushed is `publish`'s.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::open::Repository;
use crate::lm::Provider;

/// How long to wait for its end once it was asked to end, and for the rest of
/// what it said once it has ended: an ssh that stays for later calls keeps the
/// pipe open.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look whether it is still wanted.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Bytes of its words that are kept, and characters that a sentence quotes.
const LONGEST_OUTPUT: usize = 64 * 1024;
const LONGEST_QUOTE: usize = 1500;

/// What a hook that started this program may have set; git would follow it to
/// some other repository.
const OF_ANOTHER_REPOSITORY: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// What a call came to, with git's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Called {
    Well(String),
    /// Git has ended with an error.
    Badly(String),
    /// It could not be started, or did not end in time.
    NotAtAll(String),
    /// It was ended, since nobody wants it any more.
    Stopped,
}

/// How long git may take: until its time is over, or until somebody wishes it to
/// stop.
pub(super) struct Bounds<'a> {
    pub(super) until: Instant,
    pub(super) stopped: &'a dyn Fn() -> bool,
}

impl Bounds<'_> {
    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Waits for a moment, or until nobody wants it any more.
    pub(super) fn pause(&self, moment: Duration) {
        let over = Instant::now() + moment.min(self.left());
        while Instant::now() < over && !(self.stopped)() {
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}

/// Pushes a commit to a branch of the remote.
pub(super) fn push(
    repository: &Repository,
    remote: &str,
    commit: &str,
    branch: &str,
    bounds: &Bounds<'_>,
) -> Called {
    let mut command = git(repository);
    command.args(["push", "--porcelain", "--no-verify", "--no-follow-tags"]);
    command.args(["--recurse-submodules=no", remote]);
    command.arg(format!("{commit}:refs/heads/{branch}"));
    call(command, bounds)
}

/// Fetches a branch of the remote into a reference of ours.
pub(super) fn fetch(
    repository: &Repository,
    remote: &str,
    branch: &str,
    into: &str,
    bounds: &Bounds<'_>,
) -> Called {
    let mut command = git(repository);
    command.args(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc"]);
    command.args(["--no-write-fetch-head", remote]);
    command.arg(format!("+refs/heads/{branch}:{into}"));
    call(command, bounds)
}

/// Asks the remote for a branch: its name comes back if it is there.
pub(super) fn ask(
    repository: &Repository,
    remote: &str,
    branch: &str,
    bounds: &Bounds<'_>,
) -> Called {
    let mut command = git(repository);
    command.args(["ls-remote", "--quiet", "--refs", remote]);
    command.arg(format!("refs/heads/{branch}"));
    call(command, bounds)
}

/// Whether the remote's answer names the branch.
pub(super) fn names(words: &str, branch: &str) -> bool {
    let name = format!("\trefs/heads/{branch}");
    words.lines().any(|line| line.ends_with(&name))
}

/// Whether the push found that the remote had the commit already.
pub(super) fn had_it_already(words: &str) -> bool {
    words.lines().any(|line| line.starts_with("=\t"))
}

/// Git's words as part of a sentence: one line, without its advice, and without
/// what stands before the `@` of an address, which may be a password.
pub(super) fn quoted(words: &str) -> String {
    let lines = words.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    let words: Vec<String> = lines.flat_map(str::split_whitespace).map(without_password).collect();
    words.join(" ").chars().take(LONGEST_QUOTE).collect()
}

/// Of each address in the word: one may stand behind another.
fn without_password(word: &str) -> String {
    let mut parts = word.split("://");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let host = rest.split('/').next().unwrap_or_default();
        let secret = host.rfind('@').map_or(0, |at| at + 1);
        told += "://";
        told += rest.get(secret..).unwrap_or_default();
    }
    told
}

/// Git in the user's repository, with the user's environment but for what is
/// not for it.
fn git(repository: &Repository) -> Command {
    let mut command = Command::new("git");
    command.current_dir(repository.top());
    // No hook of the repository runs; what was fetched survives the plug being
    // pulled, since a commit of ours is going to name it.
    command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsync=committed"]);
    for variable in OF_ANOTHER_REPOSITORY {
        command.env_remove(variable);
    }
    for provider in Provider::ALL {
        command.env_remove(provider.key_variable());
    }
    command.env("GIT_TERMINAL_PROMPT", "0");
    if !names_ssh(repository) {
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    }
    command
}

/// Whether the user has said how ssh is to be started.
fn names_ssh(repository: &Repository) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some();
    let config =
        repository.git().and_then(|git| git.config().map_err(super::failed("read git's config")));
    let configured = config.is_ok_and(|config| config.get_string("core.sshCommand").is_ok());
    set("GIT_SSH_COMMAND") || set("GIT_SSH") || configured
}

fn call(command: Command, bounds: &Bounds<'_>) -> Called {
    let time = bounds.left();
    match run(command, bounds) {
        Ok((Some(status), words)) if status.success() => Called::Well(words),
        Ok((Some(_), words)) => Called::Badly(words),
        Ok((None, _)) if (bounds.stopped)() => Called::Stopped,
        Ok((None, words)) => Called::NotAtAll(format!(
            "git was ended after {:.1} seconds. {words}",
            time.as_secs_f32()
        )),
        Err(error) => Called::NotAtAll(format!("git could not be run: {error}")),
    }
}

/// Runs a command to its end or as far as it may go; then the status is none.
fn run(mut command: Command, bounds: &Bounds<'_>) -> io::Result<(Option<ExitStatus>, String)> {
    let (output, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // Ctrl-C in the host's terminal is the host's, and whatever git has started
    // can be ended with it.
    let child = command.process_group(0).spawn()?;
    // It holds the pipe's other end, which would keep the output open.
    drop(command);
    let group = Pid::from_child(&child);
    let (words, read) = read_on(output)?;
    let ended = wait_on(child)?;
    let status = end_of(&ended, bounds).transpose()?;
    if status.is_none() {
        end(group, &ended);
    }
    // That the pipe is still open is no reason to wait longer.
    let _ = read.recv_timeout(PATIENCE);
    let words = String::from_utf8_lossy(&lock(&words)).into_owned();
    Ok((status, words))
}

/// Waits for the end of a command, unless it takes too long.
fn end_of(
    ended: &mpsc::Receiver<io::Result<ExitStatus>>,
    bounds: &Bounds<'_>,
) -> Option<io::Result<ExitStatus>> {
    loop {
        match ended.recv_timeout(bounds.left().min(BETWEEN_LOOKS)) {
            Ok(status) => return Some(status),
            Err(RecvTimeoutError::Timeout) if !bounds.left().is_zero() && !(bounds.stopped)() => {}
            Err(_) => return None,
        }
    }
}

/// Ends a command with all that it has started. Asked to end, git removes its
/// locks, which would be in the next one's way; what stays all the same is killed.
fn end(group: Pid, ended: &mpsc::Receiver<io::Result<ExitStatus>>) {
    for signal in [Signal::TERM, Signal::KILL] {
        // A group that is gone by now needs no signal.
        let _ = kill_process_group(group, signal);
        let _ = ended.recv_timeout(PATIENCE);
    }
}

fn wait_on(mut child: Child) -> io::Result<mpsc::Receiver<io::Result<ExitStatus>>> {
    let (tell, ended) = mpsc::channel();
    thread::Builder::new().name("git".into()).spawn(move || {
        // Nobody listens any more where it took too long.
        let _ = tell.send(child.wait());
    })?;
    Ok(ended)
}

type Words = Arc<Mutex<Vec<u8>>>;

/// Reads to the end, so that git is never held up, and keeps the beginning.
fn read_on(mut output: PipeReader) -> io::Result<(Words, mpsc::Receiver<()>)> {
    let words = Words::default();
    let (kept, (tell, read)) = (words.clone(), mpsc::channel());
    thread::Builder::new().name("git's words".into()).spawn(move || {
        let mut buffer = [0; 8 * 1024];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            let mut kept = lock(&kept);
            let room = LONGEST_OUTPUT.saturating_sub(kept.len()).min(length);
            kept.extend(buffer.iter().take(room));
        }
        let _ = tell.send(());
    })?;
    Ok((words, read))
}

/// What was read is whole at any time, whoever panicked.
fn lock(words: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    words.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{BufRead, BufReader};

    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    /// Ends a shell that has begun; what it said after that, once all that it had
    /// started is gone: until then the pipe stays open.
    fn said_at_its_end(line: &str) -> String {
        let (output, writer) = io::pipe().unwrap();
        let child = shell(line).stdout(writer).process_group(0).spawn().unwrap();
        let mut output = BufReader::with_capacity(1, output);
        let mut begun = String::new();
        output.read_line(&mut begun).unwrap();
        assert_eq!(begun, "begun\n");
        let (words, read) = read_on(output.into_inner()).unwrap();
        end(Pid::from_child(&child), &wait_on(child).unwrap());
        read.recv_timeout(Duration::from_secs(60)).expect("something it started lives on");
        String::from_utf8(lock(&words).clone()).unwrap()
    }

    #[test]
    fn what_is_to_end_is_asked_first_and_ends_with_all_that_it_started() {
        let tidy = "trap 'echo tidied; exit 1' TERM; sleep 1000 & echo begun; wait";
        // A machine that stands still for longer than it is waited for kills it.
        let tidied = (0..3).any(|_| said_at_its_end(tidy) == "tidied\n");
        assert!(tidied, "it is asked before it is killed");
        let stubborn = "trap '' TERM; sleep 1000 & echo begun; wait";
        assert_eq!(said_at_its_end(stubborn), "");
    }

    fn within(time: Duration) -> Bounds<'static> {
        Bounds { until: Instant::now() + time, stopped: &|| false }
    }

    #[test]
    fn what_nobody_wants_any_more_is_ended() {
        let looks = Cell::new(0);
        let stopped = || looks.replace(looks.get() + 1) > 2;
        let until = Instant::now() + Duration::from_secs(3600);
        let called = call(shell("sleep 1000 & wait"), &Bounds { until, stopped: &stopped });
        assert_eq!(called, Called::Stopped);
    }

    #[test]
    fn what_does_not_end_in_time_is_said_so() {
        // How long it takes to say something is the machine's business.
        let said = [300, 3_000, 30_000].into_iter().any(|milliseconds| {
            let time = within(Duration::from_millis(milliseconds));
            let called = call(shell("echo begun; sleep 1000 & wait"), &time);
            let Called::NotAtAll(words) = called else { panic!("{called:?}") };
            assert!(words.contains("git was ended after"), "{words}");
            words.contains("begun")
        });
        assert!(said, "what it said until then is told");
    }

    #[test]
    fn words_are_kept_up_to_a_bound_and_the_end_is_told() {
        let minute = within(Duration::from_secs(60));
        let called = call(shell("yes line | head -c 1000000; exit 3"), &minute);
        let Called::Badly(words) = called else { panic!("{called:?}") };
        assert_eq!(words.len(), LONGEST_OUTPUT);
        let nothing = call(Command::new("/nowhere/git"), &minute);
        assert!(matches!(nothing, Called::NotAtAll(_)), "{nothing:?}");
    }

    #[test]
    fn git_is_quoted_without_passwords_and_advice() {
        let words = "To https://me:secret@host/a@b.git\n!\trefs [rejected]\nhint: try\nerror: no\n";
        assert_eq!(quoted(words), "To https://host/a@b.git ! refs [rejected] error: no");
        let proxied = "via:http://a:one@proxy:1/https://b:two@host/x,https://c:three@last";
        assert_eq!(quoted(proxied), "via:http://proxy:1/https://host/x,https://last");
        assert!(had_it_already("To x\n=\ta:b\t[up to date]\nDone\n"));
        assert!(!had_it_already("To x\n \ta:b\tc..d\nDone\n"));
        assert!(names("Welcome!\n0123\trefs/heads/a/b\n", "a/b"));
        assert!(!names("Welcome!\n0123\trefs/heads/a/b\n", "b"));
    }
}
