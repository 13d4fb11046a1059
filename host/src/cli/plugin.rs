//! `code-agent plugin`: what is in a plugins folder, what a component needs, and
//! the user's consent to what plugins ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::LogArguments;
use super::look::json_line;
use super::plugin_new::{self, NewArguments};
use super::plugin_trial::{self, RunArguments, TestArguments};
use super::terminal::{print, printable, short, table};
use crate::config::allowed_plugins;
use crate::plugin::inspect::{self, Described};
use crate::plugin::manifest::{FILE_NAME, PluginEntry};
use crate::plugin::{consent, folder};
use crate::{Error, Options, Result};

#[derive(Subcommand)]
pub(super) enum PluginCommand {
    /// List the plugins of a folder: roles, tools, grants, imports without a grant, and limits.
    List(ListArguments),
    /// Look whether a component can be a plugin, and say what it needs.
    Check(CheckArguments),
    /// Allow what the plugins of a folder ask for beyond the base rights, as they are now.
    Allow(AllowArguments),
    /// Make a folder for a plugin of your own, which builds with one command.
    New(NewArguments),
    /// Try a folder's plugins on its tests/*.toml, without a model.
    Test(TestArguments),
    /// Call a tool of a plugin on a copy of a folder's files.
    Run(RunArguments),
}

#[derive(Args, Clone)]
pub(super) struct ListArguments {
    /// A folder with plugins.toml, or more of them [default: the one shipped with the program].
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArguments,
}

#[derive(Args, Clone)]
pub(super) struct CheckArguments {
    /// The component.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArguments,
}

#[derive(Args, Clone)]
pub(super) struct AllowArguments {
    /// The plugins folder.
    folder: PathBuf,
    #[command(flatten)]
    log: LogArguments,
}

impl PluginCommand {
    pub(super) fn log(&self) -> &LogArguments {
        match self {
            Self::List(arguments) => &arguments.log,
            Self::Check(arguments) => &arguments.log,
            Self::Allow(arguments) => &arguments.log,
            Self::New(arguments) => &arguments.log,
            Self::Test(arguments) => &arguments.log,
            Self::Run(arguments) => &arguments.log,
        }
    }
}

pub(super) async fn plugin(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List(arguments) => list(arguments).await,
        PluginCommand::Check(arguments) => check(arguments).await,
        PluginCommand::Allow(arguments) => allow(&arguments),
        PluginCommand::New(arguments) => plugin_new::new(&arguments),
        PluginCommand::Test(arguments) => plugin_trial::test(arguments).await,
        PluginCommand::Run(arguments) => plugin_trial::run(arguments).await,
    }
}

async fn list(arguments: ListArguments) -> Result<ExitCode> {
    let mut options = Options::new("Look", ".");
    options.plugins = arguments.plugins;
    let found = inspect::folder(&options.plugin_source()?).await?;
    if arguments.json {
        print(&found.plugins.iter().map(json_line).collect::<Result<String>>()?)?;
    } else {
        print(&table(HEAD, &found.plugins.iter().map(row).collect::<Vec<_>>()))?;
    }
    let problems: Vec<String> = found.plugins.iter().filter_map(problem).collect();
    match (problems.is_empty(), found.refusal) {
        (true, None) => Ok(ExitCode::SUCCESS),
        (true, Some(refusal)) => Err(refusal),
        (false, _) => Err(Error::usage(problems.join("\n"))),
    }
}

const HEAD: [&str; 8] =
    ["name", "is", "size", "sha-256", "grants", "imports without a grant", "limits", "tools"];

fn row(plugin: &Described) -> [String; 8] {
    let or_dash = |words: String| if words.is_empty() { "-".to_owned() } else { words };
    [
        plugin.name.clone(),
        or_dash(plugin.kinds.join(" or ")),
        size(plugin),
        short(&plugin.sha256).to_owned(),
        or_dash(plugin.grants.join(" ")),
        or_dash(plugin.not_granted.join(" ")),
        or_dash(in_words(&plugin.limits)),
        or_dash(plugin.tools.join(" ")),
    ]
}

fn problem(plugin: &Described) -> Option<String> {
    let sentence = plugin.problem.as_ref()?;
    let named = sentence.starts_with("plugin `");
    Some(if named { sentence.clone() } else { format!("plugin `{}`: {sentence}", plugin.name) })
}

fn size(plugin: &Described) -> String {
    format!("{} KiB", plugin.size.div_ceil(1024))
}

async fn check(arguments: CheckArguments) -> Result<ExitCode> {
    let cache = Options::new("Look", ".").plugin_cache()?;
    let plugin = inspect::component(&arguments.file, &cache).await?;
    // That nothing says which of several it shall be is no fault of its own.
    let is_fine = plugin.problem.is_none() || plugin.kinds.len() > 1;
    if arguments.json {
        print(&json_line(&plugin)?)?;
    } else if is_fine {
        print(&described(&plugin, &arguments.file.display().to_string()))?;
    }
    match problem(&plugin) {
        Some(sentence) if !is_fine => Err(Error::usage(sentence)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn described(plugin: &Described, file: &str) -> String {
    let none = |words: String| if words.is_empty() { "nothing".to_owned() } else { words };
    let mut lines = vec![
        format!("{file} can be a plugin: {}", plugin.kinds.join(" or ")),
        format!("  size       {}", size(plugin)),
        format!("  sha-256    {}", plugin.sha256),
        format!("  exports    {}", none(plugin.exports.join(" "))),
        format!("  imports    {}", none(plugin.imports.join(" "))),
        format!("  gets       {}, as far as its caller has it", none(plugin.grants.join(", "))),
    ];
    if !plugin.tools.is_empty() {
        lines.push(format!("  tools      {}", plugin.tools.join(", ")));
    }
    let never: Vec<&str> = plugin
        .not_granted
        .iter()
        .filter(|grant| !plugin.can_ask_for.contains(grant))
        .copied()
        .collect();
    if !never.is_empty() {
        lines.push(format!("  never gets {}: calls of that are denied", never.join(", ")));
    }
    if !plugin.can_ask_for.is_empty() {
        lines.push(format!(
            "  can ask for {}: calls of that are denied until {FILE_NAME} asks for it and you allow it",
            plugin.can_ask_for.join(", ")
        ));
    }
    lines.push(format!("\nA {FILE_NAME} beside it may say:\n{}", entry(plugin, file)));
    lines.iter().map(|line| super::terminal::printable_lines(line) + "\n").collect()
}

/// The table for the manifest, with all that can be asked for.
fn entry(plugin: &Described, file: &str) -> String {
    let kinds = plugin.kinds.iter().map(|kind| match kind.as_str() {
        "tool" => "tool = true".to_owned(),
        role => format!("role = \"{role}\""),
    });
    let mut lines = vec![
        format!("[plugins.{}]", printable(&plugin.name)),
        format!("component = {:?}", Path::new(file).file_name().unwrap_or_default()),
        format!("sha-256 = \"{}\"", plugin.sha256),
        kinds.collect::<Vec<_>>().join("  # or "),
    ];
    if !plugin.can_ask_for.is_empty() {
        let grants = plugin.grants.iter().filter(|grant| **grant != "settings");
        let grants: Vec<String> =
            grants.chain(&plugin.can_ask_for).map(|grant| format!("\"{grant}\"")).collect();
        lines.push(format!("grants = [{}]", grants.join(", ")));
    }
    lines.join("\n")
}

fn in_words(limits: &BTreeMap<&'static str, u32>) -> String {
    let words: Vec<String> = limits.iter().map(|(name, most)| format!("{name} {most}")).collect();
    words.join(", ")
}

/// What the plugin may use that is not usual, where its entry says such a thing.
fn limits(entry: &PluginEntry) -> Option<String> {
    let unusual = in_words(&entry.unusual_limits());
    (!unusual.is_empty()).then(|| format!("plugin `{}` has limits: {unusual}", entry.name))
}

fn allow(arguments: &AllowArguments) -> Result<ExitCode> {
    let record = allowed_plugins().ok_or_else(|| {
        Error::failed(
            "neither XDG_CONFIG_HOME nor HOME is set; set one, for the record of what you allow",
        )
    })?;
    let found = folder::read(&arguments.folder)?;
    let asked = consent::asked(&found);
    let mut lines: Vec<String> =
        asked.iter().map(|(name, rights)| format!("plugin `{name}` asks for {rights}")).collect();
    lines.extend(found.plugins.iter().filter_map(|plugin| limits(&plugin.entry)));
    if asked.is_empty() {
        lines.push("nothing to allow: no plugin asks for more than its base rights".to_owned());
        return print_lines(&lines);
    }
    consent::allow(&found, &record)?;
    lines.push(format!("Allowed for {}, as it is now:", found.path.display()));
    let hashes = [(FILE_NAME, &found.manifest_sha256)]
        .into_iter()
        .chain(found.plugins.iter().map(|plugin| (plugin.entry.name.as_str(), &plugin.sha256)));
    lines.extend(hashes.map(|(name, hash)| format!("  {hash}  {name}")));
    lines.push(format!(
        "One byte of these that changes asks again. Recorded in {}",
        record.display()
    ));
    print_lines(&lines)
}

fn print_lines(lines: &[String]) -> Result<ExitCode> {
    print(&lines.iter().map(|line| printable(line) + "\n").collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}
