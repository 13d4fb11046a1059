//! The real program on a small project: hundreds of lines of a library with
//! failing tests, and a model that is scripted unless the user names a real
//! one. Afterwards it looks at what is there now, and says what holds.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::command::{self, Failure, Result, at, failed};
use crate::plugins;
use crate::target::Choice;

mod history;
pub mod llama;
pub mod project;
mod script;
pub mod server;

const GOAL: &str = "Make the failing tests of textkit pass and write what its README promises.";

/// What `cargo xtask demo` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the wasm target comes from.
    pub toolchain: Choice,
    /// A real model; none for the scripted one.
    pub model: Option<String>,
    /// Where the real model's server listens.
    pub api_base: Option<String>,
    /// What to do instead of the scripted goal.
    pub goal: Option<String>,
    /// The repository to work on instead of the demo's project.
    pub root_path: Option<PathBuf>,
}

impl Options {
    /// Refuses what a scripted model can't do.
    pub fn checked(self) -> Result<Self> {
        let given = self.api_base.is_some() || self.goal.is_some() || self.root_path.is_some();
        if self.model.is_none() && given {
            return Err(Failure::Usage(
                "the scripted model knows one goal in one project: add --model".to_owned(),
            ));
        }
        Ok(self)
    }
}

/// One thing that was looked at after the run.
pub struct Finding {
    holds: bool,
    text: String,
}

fn finding(holds: bool, text: impl Into<String>) -> Finding {
    Finding { holds, text: text.into() }
}

/// Where the demo finds and puts things.
struct Places {
    top: PathBuf,
    /// The repository that the agents work on.
    root: PathBuf,
    /// Where the project's own tests are built.
    builds: PathBuf,
    /// Whether the repository is the demo's own project.
    ours: bool,
}

/// Builds the program, runs it and tells what came of it.
pub fn run(top: &Path, options: &Options) -> Result<()> {
    plugins::build(top, options.toolchain)?;
    let program = built(top, "code-agent")?;
    let places = places(top, options)?;
    if places.ours {
        project::make(&top.join("xtask/demo/project"), &places.root)?;
        let before = project::test(&places.root, &places.builds)?;
        println!("\nBefore the run: {before}.");
        if before.failed == 0 {
            return Err(failed("the demo's project has no failing test: nothing to show"));
        }
    }
    println!("\nThe run:\n");
    let status = match &options.model {
        Some(model) => with_real_model(&program, &places, model, options)?,
        None => with_scripted_model(&program, &places)?,
    };
    let findings = look(&places, options, status)?;
    report(&places, &findings)
}

fn places(top: &Path, options: &Options) -> Result<Places> {
    let demo = top.join("target/demo");
    let root = match &options.root_path {
        Some(root) => root.canonicalize().map_err(at("find the repository", root))?,
        None => demo.join("project"),
    };
    let ours = options.root_path.is_none();
    Ok(Places { top: top.to_path_buf(), root, builds: demo.join("target"), ours })
}

/// Builds one program of the workspace and returns its path.
pub fn built(top: &Path, package: &str) -> Result<PathBuf> {
    let mut build = command::cargo();
    build.args(["build", "--package", package, "--bin", package]).current_dir(top);
    let artifacts = command::artifacts(&mut build)?;
    let named = |file: &PathBuf| file.file_stem().is_some_and(|name| name == package);
    let mut files = artifacts.into_iter().filter_map(|artifact| artifact.program);
    files.find(named).ok_or_else(|| failed(format!("cargo built no program {package}")))
}

fn with_scripted_model(program: &Path, places: &Places) -> Result<ExitStatus> {
    let server = built(&places.top, "model-server")?;
    let server = server::start(&server, &places.top.join("xtask/demo/script.toml"))?;
    let mut command = agent(program, places, GOAL, "main", "openai:scripted");
    command.args(["--api-base", &server.address]);
    // No request leaves this machine: neither a real key nor a proxy is wanted.
    command.env("OPENAI_API_KEY", "unused-on-loopback").env("NO_PROXY", "127.0.0.1,localhost");
    started(&mut command)
}

fn with_real_model(
    program: &Path,
    places: &Places,
    model: &str,
    options: &Options,
) -> Result<ExitStatus> {
    let branch = command::capture(command::git(&places.root).args(["branch", "--show-current"]))?;
    if branch.is_empty() {
        return Err(failed(format!("{} has no branch checked out", places.root.display())));
    }
    let goal = options.goal.as_deref().unwrap_or(GOAL);
    let mut command = agent(program, places, goal, &branch, model);
    if let Some(address) = &options.api_base {
        command.args(["--api-base", address]);
    }
    started(&mut command)
}

fn agent(program: &Path, places: &Places, goal: &str, branch: &str, model: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--goal", goal, "--branch", branch, "--model", model]);
    command.arg("--root-path").arg(&places.root);
    command.arg("--plugins").arg(places.top.join("plugins"));
    command.args(["--max-cycles", "3", "--max-workers", "4"]);
    command
}

/// Its exit code is a finding like others, so that the rest is looked at too.
fn started(command: &mut Command) -> Result<ExitStatus> {
    command.status().map_err(|error| failed(format!("can't start code-agent: {error}")))
}

fn look(places: &Places, options: &Options, status: ExitStatus) -> Result<Vec<Finding>> {
    let mut findings = vec![finding(status.success(), format!("the program ended with {status}"))];
    findings.push(project::fsck(&places.root)?);
    if places.ours {
        let after = project::test(&places.root, &places.builds)?;
        findings.push(finding(after.all_pass(), format!("the project's tests: {after}")));
        findings.push(project::clean(&places.root)?);
    }
    if options.model.is_none() {
        let script = places.top.join("xtask/demo/script.toml");
        let expected = script::expected(&script::calls(&script)?);
        findings.extend(history::look(&places.root, &expected)?);
    }
    Ok(findings)
}

fn report(places: &Places, findings: &[Finding]) -> Result<()> {
    println!("\nAfter the run:");
    for finding in findings {
        println!("  {} {}", if finding.holds { "ok    " } else { "FAILED" }, finding.text);
    }
    let root = places.root.strip_prefix(&places.top).unwrap_or(&places.root).display();
    println!(
        "\nA main planner divided the goal into domains, sub-planners made tasks of them, workers \
         did the tasks\nside by side, each in a checkout of its own, and a judge decided after \
         each cycle whether it was enough.\nEvery task is one commit:\n\n  \
         git -C {root} log --oneline --stat\n\n\
         What every agent did is in {root}/.code-agent/code_agent_tasks.db (SQLite).\n"
    );
    let wrong = findings.iter().filter(|finding| !finding.holds).count();
    if wrong > 0 {
        return Err(failed(format!(
            "{wrong} of {} findings are not as they should be",
            findings.len()
        )));
    }
    Ok(())
}
