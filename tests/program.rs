//! Runs the real program and waits for it, but not for ever.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use model_server::ModelServer;

use crate::project::Project;

/// Far longer than any test's run takes: only a hang is ended by it.
const TOO_LONG: Duration = Duration::from_secs(300);

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The events that `--json` printed.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A call of the program on `project`, with the default plugins.
pub fn code_agent(project: &Project) -> Command {
    let mut command = bare(project);
    command.args(["--branch", "main", "--plugins"]).arg(default_plugins());
    command
}

/// A call with nothing but the root path and the test's own cache.
pub fn bare(project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_code-agent"));
    command
        .arg("--root-path")
        .arg(project.path())
        .current_dir(project.path())
        .env("XDG_CACHE_HOME", project.beside("cache"))
        .env("XDG_CONFIG_HOME", project.beside("config"))
        .env("OPENAI_API_KEY", "sk-never-shown")
        .env_remove("OPENAI_BASE_URL");
    command
}

/// The flags that point a call at a scripted server.
pub fn model(server: &ModelServer) -> [String; 4] {
    ["--model".into(), "openai:scripted".into(), "--api-base".into(), server.base_url()]
}

pub fn run(command: &mut Command) -> Ended {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let code = wait(child);
    Ended { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

fn wait(mut child: Child) -> Option<i32> {
    let id = child.id();
    let (ended, end) = mpsc::channel();
    let watchdog = thread::spawn(move || {
        if end.recv_timeout(TOO_LONG).is_err() {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    });
    let status = child.wait().unwrap();
    ended.send(()).ok();
    watchdog.join().unwrap();
    status.code()
}

/// The repository's own plugins, as `cargo xtask plugins` builds them.
pub fn default_plugins() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").canonicalize().unwrap();
    assert!(
        folder.join("worker/worker.wasm").exists(),
        "build the components first: cargo xtask plugins"
    );
    folder
}

/// The component that misbehaves.
pub fn hostile_component() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile/hostile.wasm");
    path.canonicalize().expect("build the components first: cargo xtask plugins")
}
