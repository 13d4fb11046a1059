//! Runs the real program and waits for it, but not for ever; or lets it run
//! while a test looks at it.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use model_server::ModelServer;

use crate::project::Project;

/// Far longer than any test's run takes: only a hang is ended by it.
pub const TOO_LONG: Duration = Duration::from_secs(300);

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn new(status: ExitStatus, stdout: String, stderr: String) -> Self {
        Self { code: status.code(), signal: status.signal(), stdout, stderr }
    }

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
    code_agent_at(project, &project.path())
}

/// The same with a root path that is not the repository's top.
pub fn code_agent_at(project: &Project, root_path: &Path) -> Command {
    let mut command = program(project);
    command.arg("--root-path").arg(root_path);
    command.args(["--branch", "main", "--plugins"]).arg(default_plugins());
    command
}

/// The same with the default plugins but the merger: what collides is done anew.
pub fn code_agent_without_merger(project: &Project) -> Command {
    let mut command = bare(project);
    let plugins = plugins_with(project, &["main-planner", "sub-planner", "worker", "judge"], "");
    command.args(["--branch", "main", "--plugins"]).arg(plugins);
    command
}

/// A call with nothing but the root path and the test's own cache.
pub fn bare(project: &Project) -> Command {
    let mut command = program(project);
    command.arg("--root-path").arg(project.path());
    command
}

/// Goes on with the run that is not done; its options come from its row.
pub fn resume(project: &Project) -> Command {
    resume_at(project, &project.path())
}

/// The same with another root path.
pub fn resume_at(project: &Project, root_path: &Path) -> Command {
    let mut command = program(project);
    command.args(["resume", "--root-path"]).arg(root_path);
    command
}

pub fn program(project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_code-agent"));
    command
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
    start(command).finish()
}

/// A run of the program that goes on; it is killed where a test forgets it.
pub struct Running {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

pub fn start(command: &mut Command) -> Running {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    Running { child, stdout, stderr }
}

impl Running {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as SIGKILL does.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.finish()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Ended {
        let status = wait(&mut self.child);
        Ended::new(status, self.stdout.recv().unwrap(), self.stderr.recv().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that was waited for is no longer there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (whole, read) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        whole.send(text).ok();
    });
    read
}

pub fn wait(child: &mut Child) -> ExitStatus {
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
    status
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

/// A folder with the default plugins of these roles, and what else its
/// `plugins.toml` shall say.
pub fn plugins_with(project: &Project, roles: &[&str], more: &str) -> PathBuf {
    let folder = project.beside("plugins");
    fs::create_dir_all(&folder).unwrap();
    let mut manifest = String::new();
    for role in roles {
        let component = default_plugins().join(role).join(format!("{role}.wasm"));
        manifest += &format!(
            "[plugins.{role}]\ncomponent = \"{}\"\nrole = \"{role}\"\n",
            component.display()
        );
    }
    fs::write(folder.join("plugins.toml"), manifest + more).unwrap();
    folder
}

/// The component that misbehaves.
pub fn hostile_component() -> PathBuf {
    test_component("hostile")
}

/// The component with tools for tests.
pub fn toolbox_component() -> PathBuf {
    test_component("toolbox")
}

/// The judge that decides what its settings say.
pub fn umpire_component() -> PathBuf {
    test_component("umpire")
}

/// The component of the first contract.
pub fn frozen_component() -> PathBuf {
    test_component("frozen")
}

fn test_component(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let path = tests.join(name).join(name).with_extension("wasm");
    path.canonicalize().expect("build the components first: cargo xtask plugins")
}
