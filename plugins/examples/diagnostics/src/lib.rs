//! A tool that runs the type checkers and linters which a repository uses and
//! makes one list of what they say. Owns what a model can ask; which are used is
//! `detection`'s business, how each is run and read `checkers`' (a table),
//! `running`'s and `reading`'s, and the list `report`'s.

mod checkers;
mod detection;
mod reading;
mod report;
mod running;

use checkers::Name;
use code_agent_sdk::types::Error;
use code_agent_sdk::{Tool, commands, files};
use report::Report;
use schemars::JsonSchema;
use serde::Deserialize;

/// So many files that say which checkers are used are looked at.
const MOST_FILES: u32 = 1_000;
/// In bytes: of a larger file, the rest is not looked at.
const LARGEST: u32 = 1 << 18;
/// So many checkers are run for one call, one for each folder that uses it.
const MOST_RUNS: usize = 20;
/// In seconds: how long one checker may take if the model says nothing.
const USUAL_SECONDS: u32 = 600;

code_agent_sdk::export_tools!(tools);

fn tools() -> Vec<Tool> {
    vec![Tool::new("diagnostics", diagnostics)]
}

/// Runs the type checkers and linters that this repository uses and gives one
/// list of what they say, errors first: file, line, column, severity, rule and
/// message. Finds out by itself which are used.
#[derive(Deserialize, JsonSchema)]
struct Diagnostics {
    /// Only what lies in these files and folders is told; none: everything.
    #[serde(default)]
    paths: Vec<String>,
    /// Only these are run; none: all that are used.
    #[serde(default)]
    checkers: Vec<Name>,
    /// How long each may take.
    #[serde(default)]
    seconds: Option<u32>,
}

fn diagnostics(asked: Diagnostics) -> Result<String, Error> {
    let globs = detection::GLOBS.map(str::to_owned);
    let listing = files::list(&globs, MOST_FILES)?;
    let mut used = detection::used(&listing.paths, read);
    used.retain(|used| asked.checkers.is_empty() || asked.checkers.contains(&used.checker.name));
    used.retain(|used| concerns(&used.folder, &asked.paths));
    if used.is_empty() {
        return Ok(format!(
            "No checker that is known is used here. Looked for {} in this repository's files.",
            detection::GLOBS.join(", ")
        ));
    }
    let seconds = asked.seconds.unwrap_or(USUAL_SECONDS);
    let mut report = Report::default();
    for used in used.iter().take(MOST_RUNS) {
        report.add(used, &running::run(used, seconds, commands::run)?);
    }
    for used in used.iter().skip(MOST_RUNS) {
        report.skip(used);
    }
    Ok(report.finish(&asked.paths))
}

/// Whether a checker of this folder may have something to say about the paths:
/// the folder lies in one of them, or one of them in it.
fn concerns(folder: &str, paths: &[String]) -> bool {
    let folder_alone = [folder.to_owned()];
    report::is_in(folder, paths) || paths.iter().any(|path| report::is_in(path, &folder_alone))
}

/// A file that can't be read says nothing.
fn read(path: &str) -> Option<String> {
    let bytes = files::read(path, 0, LARGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
