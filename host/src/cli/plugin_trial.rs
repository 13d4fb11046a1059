//! `code-agent plugin test` and `plugin run`: plugins at work without a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::LogArguments;
use super::terminal::{print, printable_lines};
use crate::clock::Clock;
use crate::plugin::Plugins;
use crate::plugin::manifest::Kind;
use crate::run::sandbox_of;
use crate::sandbox::Sandbox;
use crate::trial::case::Case;
use crate::trial::{self, Bench};
use crate::{Error, Options, Result};

/// The folder of the cases, in a plugin's.
const CASES_FOLDER: &str = "tests";

#[derive(Args, Clone)]
pub(super) struct TestArguments {
    /// The plugin's folder, with plugins.toml and tests/*.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Make only the cases whose file's name holds this.
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Allow what the plugins ask for, for this call.
    #[arg(long)]
    allow_plugins: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

#[derive(Args, Clone)]
pub(super) struct RunArguments {
    /// The tool's name.
    tool: String,
    /// Its arguments, a JSON object.
    #[arg(default_value = "{}")]
    arguments: String,
    /// The folder with plugins.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    plugins: PathBuf,
    /// The files that the tool sees: a copy of this folder's.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root_path: PathBuf,
    /// Allow what the plugins ask for, for this call.
    #[arg(long)]
    allow_plugins: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// Makes every case; a failure of one is told and the others are made.
pub(super) async fn test(arguments: TestArguments) -> Result<ExitCode> {
    let cases = cases(&arguments.folder, arguments.case.as_deref())?;
    let options = options(&arguments.folder, arguments.allow_plugins);
    let mut benches = Benches::new(options).await?;
    let (mut passed, mut failed) = (0, 0);
    for path in cases {
        let shown = path.strip_prefix(&arguments.folder).unwrap_or(&path).display().to_string();
        let problems = match one(&mut benches, &path).await {
            Ok(problems) => problems,
            Err(error) => vec![error.to_string()],
        };
        if problems.is_empty() {
            passed += 1;
            print(&printable_lines(&format!("ok      {shown}\n")))?;
        } else {
            failed += 1;
            let problems: String =
                problems.iter().map(|line| format!("        {line}\n")).collect();
            print(&printable_lines(&format!("FAILED  {shown}\n{problems}")))?;
        }
    }
    print(&format!("{passed} passed, {failed} failed\n"))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn one(benches: &mut Benches, path: &Path) -> Result<Vec<String>> {
    let case = Case::read(path)?;
    let bench = benches.of(case.plugin.as_deref()).await?;
    trial::make(bench, &case, path.parent().unwrap_or(Path::new("."))).await
}

/// Plugins that were loaded, each alone, so that one is compiled once.
struct Benches {
    options: Options,
    sandbox: Option<Arc<Sandbox>>,
    loaded: HashMap<Option<String>, Bench>,
}

impl Benches {
    async fn new(options: Options) -> Result<Self> {
        let sandbox = sandbox(&options).await?;
        Ok(Self { options, sandbox, loaded: HashMap::new() })
    }

    async fn of(&mut self, name: Option<&str>) -> Result<&Bench> {
        let key = name.map(str::to_owned);
        if !self.loaded.contains_key(&key) {
            let source = self.options.plugin_source()?;
            let (plugins, kind) = Plugins::load_alone(&source, name).await?;
            let (sandbox, clock) = (self.sandbox.clone(), Clock::system());
            self.loaded.insert(key.clone(), Bench { plugins, kind, sandbox, clock });
        }
        self.loaded.get(&key).ok_or_else(|| Error::failed("a plugin was not loaded"))
    }
}

/// The cases of a folder, by name.
fn cases(folder: &Path, wanted: Option<&str>) -> Result<Vec<PathBuf>> {
    let at = folder.join(CASES_FOLDER);
    let found = crate::trial::case::find(&at)?;
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        wanted.is_none_or(|text| name.contains(text))
    };
    let (wanted_ones, others): (Vec<PathBuf>, Vec<PathBuf>) =
        found.into_iter().partition(is_wanted);
    if wanted_ones.is_empty() && !others.is_empty() {
        let names = others.iter().filter_map(|path| path.file_stem());
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        return Err(Error::usage(format!(
            "no case of {} is called so; there are {}",
            at.display(),
            names.join(", ")
        )));
    }
    if wanted_ones.is_empty() {
        return Err(Error::usage(format!(
            "no case lies in {}; a case is a .toml file there that says what the plugin is given and what has to come \
             of it (plugins/README.md)",
            at.display()
        )));
    }
    Ok(wanted_ones)
}

/// Calls a tool and prints what a model would be told, and what it changed.
pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode> {
    let options = options(&arguments.plugins, arguments.allow_plugins);
    let sandbox = sandbox(&options).await?;
    let plugins = Plugins::load_tools(&options.plugin_source()?).await?;
    let bench = Bench { plugins, kind: Kind::Tool, sandbox, clock: Clock::system() };
    let called =
        trial::call(&bench, &arguments.root_path, &arguments.tool, &arguments.arguments).await?;
    let answer = called.answer.map_err(Error::failed)?;
    print(&printable_lines(&format!("{}\n", answer.trim_end())))?;
    if !called.diff.is_empty() {
        let note = "it changed these files of the copy that it was given:";
        print(&printable_lines(&format!("\n{note}\n{}", called.diff)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn sandbox(options: &Options) -> Result<Option<Arc<Sandbox>>> {
    let (sandbox, warnings) = sandbox_of(options).await?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(sandbox)
}

fn options(plugins: &Path, allow_plugins: bool) -> Options {
    let mut options = Options::new("Try a plugin", ".");
    options.plugins = vec![plugins.to_owned()];
    options.allow_plugins = allow_plugins;
    options.sandbox_helper = std::env::current_exe().ok();
    options
}
