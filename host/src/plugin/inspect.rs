//! What a person wants to know of a component before it runs: what it is, what
//! it imports, what it gets and what it doesn't. Grants nothing, and runs nothing
//! but a tool's own words about itself, without any right to a checkout.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::folder::{self, Found};
use super::machine::{self, Machine};
use super::manifest::Kind;
use super::{Plugin, Source, consent, grants, tool};
use crate::agent::{Grant, Rights};
use crate::{Error, Result};

/// The interfaces of the contract, as components name them.
const CONTRACT: &str = "code-agent:plugin/";
/// The contract that this host speaks.
const VERSION: &str = "0.1.0";

/// All that the plugins folders hold.
#[derive(Debug)]
pub struct Inspected {
    /// Each plugin, or why it can't be one.
    pub plugins: Vec<Described>,
    /// Why a run with this folder would be refused for what is asked.
    pub refusal: Option<Error>,
}

/// One component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Described {
    /// The plugin's name.
    pub name: String,
    /// Its role, or `tool`; all that it could be where no entry says which.
    pub kinds: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it gets, where its caller has that too.
    pub grants: Vec<&'static str>,
    /// What it imports and doesn't get.
    pub not_granted: Vec<&'static str>,
    /// Of that, what a line in `plugins.toml` can ask for.
    pub can_ask_for: Vec<&'static str>,
    /// Limits that `plugins.toml` sets and that are not the usual ones.
    pub limits: BTreeMap<&'static str, u32>,
    /// What its tools are called.
    pub tools: Vec<String>,
    /// Bytes of the component.
    pub size: usize,
    /// Its SHA-256.
    pub sha256: String,
    /// Why it can't run.
    pub problem: Option<String>,
}

/// Describes what lies in the folders.
pub async fn folder(source: &Source) -> Result<Inspected> {
    let machine = Machine::new(&source.cache)?;
    let (mut plugins, mut refusals) = (Vec::new(), Vec::new());
    for folder in &source.folders {
        let found = folder::read(folder)?;
        let refusal = consent::check(&found, &source.consent).err();
        for found in found.plugins {
            plugins.push(describe(&machine, found, refusal.is_none()).await);
        }
        refusals.extend(refusal.map(|error| error.to_string()));
    }
    let refusal = (!refusals.is_empty()).then(|| Error::usage(refusals.join("\n")));
    Ok(Inspected { plugins, refusal })
}

/// Describes one component, as if it lay in a folder without an entry.
pub async fn component(path: &Path, cache: &Path) -> Result<Described> {
    let found = folder::read_component(path)?;
    Ok(describe(&Machine::new(cache)?, found, false).await)
}

async fn describe(machine: &Arc<Machine>, found: Found, is_allowed: bool) -> Described {
    let mut described = Described {
        name: found.entry.name.clone(),
        kinds: Vec::new(),
        exports: Vec::new(),
        imports: Vec::new(),
        grants: Vec::new(),
        not_granted: Vec::new(),
        can_ask_for: Vec::new(),
        limits: BTreeMap::new(),
        tools: Vec::new(),
        size: found.bytes.len(),
        sha256: found.sha256.clone(),
        problem: None,
    };
    if let Err(error) = fill(&mut described, machine, found, is_allowed).await {
        described.problem = Some(error.to_string());
    }
    described
}

async fn fill(
    described: &mut Described,
    machine: &Arc<Machine>,
    found: Found,
    is_allowed: bool,
) -> Result<()> {
    described.limits = found.entry.unusual_limits();
    let component = machine.compile(&found)?;
    (described.imports, described.exports) = machine.names(&component);
    check_version(described.imports.iter().chain(&described.exports))?;
    let entry = &found.entry;
    let instance = machine.link(entry, &component)?;
    let kinds = match entry.kind {
        Some(kind) => vec![kind],
        None => machine::kinds(&instance),
    };
    described.kinds = kinds.iter().map(Kind::to_string).collect();
    let imported = imported(&described.imports);
    let all = Rights::these(&Grant::ALL);
    let rights = |of: &dyn Fn(Kind) -> Rights| {
        kinds.iter().fold(Rights::NONE, |rights, kind| rights.and(of(*kind)))
    };
    let granted = rights(&|kind| {
        let asked = grants::to_allow(kind, entry.grants);
        let allowed = if is_allowed { asked } else { Rights::NONE };
        grants::effective(kind, entry.grants, allowed, all)
    });
    let missing = imported.beyond(granted);
    described.grants = words(granted);
    described.not_granted = words(missing);
    described.can_ask_for = words(missing.also_in(rights(&grants::most)));
    let kind = machine::kind(entry, &machine::kinds(&instance)).map_err(Error::usage)?;
    if kind == Kind::Tool {
        let plugin = Arc::new(Plugin::new(found, kind, Rights::NONE, instance));
        let specs = tool::specs(machine, &plugin).await?;
        described.tools = specs.into_iter().map(|spec| spec.name).collect();
    }
    Ok(())
}

fn words(rights: Rights) -> Vec<&'static str> {
    rights.list().map(Grant::as_str).collect()
}

/// The grants that the imports stand for.
fn imported(imports: &[String]) -> Rights {
    let is_imported = |grant: &Grant| {
        let interface = format!("{CONTRACT}{grant}@");
        imports.iter().any(|import| import.starts_with(&interface))
    };
    Rights::these(&Grant::ALL.into_iter().filter(is_imported).collect::<Vec<_>>())
}

/// Refuses a component that names another version of the contract: what linking
/// would say of it leads nowhere.
pub(super) fn check_version<'a>(names: impl Iterator<Item = &'a String>) -> Result<()> {
    match other_version(names) {
        None => Ok(()),
        Some(other) => Err(Error::usage(format!(
            "it is built for the contract {other}, and this host speaks {VERSION}; build it against this host's wit/"
        ))),
    }
}

/// A version of the contract that a component names and this host can't speak.
fn other_version<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<String> {
    names.find_map(|name| {
        let (_, version) = name.strip_prefix(CONTRACT)?.split_once('@')?;
        let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
        (series(version) != series(VERSION)).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_stand_for_grants_and_versions_are_compared() {
        let names = ["files@0.1.0", "files-write@0.1.7", "log@0.1.0", "types@0.1.0"];
        let mut names: Vec<String> = names.map(|name| format!("{CONTRACT}{name}")).into();
        names.push("wasi:clocks/wall-clock@0.2.3".to_owned());
        assert_eq!(words(imported(&names)), ["files", "files-write"]);
        assert_eq!(other_version(names.iter()), None);
        names.push(format!("{CONTRACT}worker@0.2.0"));
        assert_eq!(other_version(names.iter()).as_deref(), Some("0.2.0"));
    }

    #[test]
    fn the_version_is_the_contracts() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/types.wit");
        let text = std::fs::read_to_string(top).unwrap();
        assert!(text.contains(&format!("package code-agent:plugin@{VERSION};")));
    }
}
