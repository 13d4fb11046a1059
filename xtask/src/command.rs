//! Starting other programs: cargo, git, rustup and apt. Their output streams
//! through unless a chore needs to read it. It knows nothing of what they are
//! started for.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How often a download is tried.
const TRIES: u32 = 3;
/// The pause before it is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Why a chore ended early.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// The chore didn't succeed: exit code 1.
    Failed(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => formatter.write_str(message),
        }
    }
}

/// What a chore returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// A failure with a sentence for a person.
pub fn failed(message: impl Into<String>) -> Failure {
    Failure::Failed(message.into())
}

/// Names what an input or output error happened to.
pub fn at<'a, E: std::fmt::Display>(
    doing: &'a str,
    path: &'a Path,
) -> impl FnOnce(E) -> Failure + 'a {
    move |error| failed(format!("can't {doing} {}: {error}", path.display()))
}

/// The repository's top folder.
pub fn top() -> PathBuf {
    // Cargo sets the variable when it runs us; the constant is for the binary
    // started by hand.
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Git in a folder, deaf to a repository that the environment names (a git hook
/// that calls us sets these).
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command
}

/// Runs it with its output streaming through.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(ended(command, &status.to_string())) }
}

/// Runs what does nothing but download, and again where it failed: a mirror that is
/// slow for a moment shall not cost all that was done before. The last failure counts.
pub fn download(command: &mut Command) -> Result<()> {
    try_again(command, || thread::sleep(PAUSE))
}

fn try_again(command: &mut Command, pause: impl Fn()) -> Result<()> {
    for attempt in 1..TRIES {
        // What can't even be started isn't mended by a pause.
        let status = command.status().map_err(|error| not_started(command, &error))?;
        if status.success() {
            return Ok(());
        }
        let failure = ended(command, &status.to_string());
        let seconds = PAUSE.as_secs();
        println!("attempt {attempt} of {TRIES}: {failure}; trying again in {seconds} s");
        pause();
    }
    run(command)
}

/// Makes those tests of the host's that are ignored where something is missing, and
/// have this in their names. That there are none is a failure, which cargo takes for
/// a success.
pub fn ignored_tests(top: &Path, name: &str) -> Result<()> {
    let tests = || {
        let mut test = cargo();
        test.args(["test", "--locked", "--package", "code-agent", "--test", "program", "--"]);
        test.args(["--ignored", name]).current_dir(top);
        test
    };
    if !lists_any(&capture(tests().arg("--list"))?) {
        return Err(failed(format!(
            "none of the host's ignored tests has `{name}` in its name: whoever renamed them has \
             to rename them here, too"
        )));
    }
    run(&mut tests())
}

/// Whether a list of tests, as their program prints it, holds one.
fn lists_any(list: &str) -> bool {
    list.lines().any(|line| line.ends_with(": test"))
}

/// Runs it and returns what it printed on stdout; stderr streams through.
pub fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        return Err(ended(command, &output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Whether it can be started and succeeds; what it prints is nobody's concern.
pub fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// One artifact that cargo built.
pub struct Artifact {
    /// The folder of the package's `Cargo.toml`.
    pub package: PathBuf,
    /// Every file, libraries and programs alike.
    pub files: Vec<PathBuf>,
    /// The program, if it is one that can be started here.
    pub program: Option<PathBuf>,
}

/// Runs `cargo build …`, its diagnostics streaming through, and returns what it
/// built. Cargo says itself where that lies, whatever the user's target folder.
pub fn artifacts(command: &mut Command) -> Result<Vec<Artifact>> {
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    let mut found = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| not_started(command, &error))?;
            found.extend(artifact(&line));
        }
    }
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(found) } else { Err(ended(command, &status.to_string())) }
}

fn artifact(line: &str) -> Option<Artifact> {
    // Build scripts may print lines of their own; they are no messages.
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    let program = message["executable"].as_str().map(PathBuf::from);
    Some(Artifact { package, files: files.map(PathBuf::from).collect(), program })
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    failed(format!("can't run `{}`: {error}", line(command)))
}

fn ended(command: &Command, status: &str) -> Failure {
    failed(format!("`{}` failed ({status})", line(command)))
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    /// Counts its runs in a file, and succeeds from this one on. Returns what came of
    /// it, the runs and the pauses.
    fn tried(succeeds_at: u32) -> (Result<()>, usize, u32) {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("echo run >> runs; test $(wc -l < runs) -ge {succeeds_at}");
        let pauses = Cell::new(0);
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(folder.path());
        let outcome = try_again(&mut command, || pauses.set(pauses.get() + 1));
        let runs = fs::read_to_string(folder.path().join("runs")).unwrap().lines().count();
        (outcome, runs, pauses.get())
    }

    #[test]
    fn what_fails_at_first_is_tried_again_but_not_for_ever() {
        for (succeeds_at, pauses) in [(1, 0), (2, 1), (3, 2)] {
            let (outcome, runs, paused) = tried(succeeds_at);
            outcome.unwrap();
            assert_eq!((runs, paused), (succeeds_at as usize, pauses));
        }
        let (outcome, runs, paused) = tried(4);
        assert!(outcome.unwrap_err().to_string().contains("failed (exit status: 1)"));
        assert_eq!((runs, paused), (3, 2));
    }

    #[test]
    fn what_can_not_be_started_is_not_tried_again() {
        let again = || panic!("it was tried again");
        let failure = try_again(&mut Command::new("no-such-program"), again).unwrap_err();
        assert!(failure.to_string().contains("can't run `no-such-program`"), "{failure}");
    }

    #[test]
    fn a_list_without_a_test_is_noticed() {
        assert!(lists_any("examples::a_judge: test\n\n1 test, 0 benchmarks"));
        assert!(!lists_any("\n0 tests, 0 benchmarks"));
    }
}
