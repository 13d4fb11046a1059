//! `plugins.toml`: which component fills which role, with which settings and
//! limits. Owns the file's form; whether a component really exports the role
//! is found out when it is loaded.

#![expect(clippy::disallowed_methods, reason = "a plugins folder is no checkout")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::types::Role;
use crate::{Error, Result};

/// The file's name in a plugins folder.
pub const FILE_NAME: &str = "plugins.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plugins: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    component: PathBuf,
    role: Role,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    limits: Limits,
}

/// How much a plugin may use in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// All linear memories of one call together, in MiB.
    pub memory_mib: u32,
    /// Wall time of one call, in seconds.
    pub call_seconds: u32,
    /// Time that the component may compute between two calls to the host,
    /// in milliseconds.
    pub compute_milliseconds: u32,
}

impl Default for Limits {
    /// 64 MiB hold a role in Rust many times over. An hour is far above what
    /// a task takes. Ten seconds of computing is what no role needs.
    fn default() -> Self {
        Self { memory_mib: 64, call_seconds: 3600, compute_milliseconds: 10_000 }
    }
}

/// One plugin as the folder's file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// The table's name in the file.
    pub name: String,
    /// Where the component lies.
    pub component: PathBuf,
    /// The role that it fills.
    pub role: Role,
    /// What `settings.get` gives it.
    pub settings: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
}

/// Reads the file in `folder`.
pub fn read(folder: &Path) -> Result<Vec<PluginEntry>> {
    let path = folder.join(FILE_NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::usage(format!(
            "can't read {}: {error}. A plugins folder holds a {FILE_NAME} and the components that it names; give \
             another one with --plugins",
            path.display()
        ))
    })?;
    parse(folder, &text)
        .map_err(|error| Error::usage(format!("{} is not right: {error}", path.display())))
}

fn parse(folder: &Path, text: &str) -> std::result::Result<Vec<PluginEntry>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let entries = file.plugins.into_iter().map(|(name, entry)| PluginEntry {
        component: folder.join(&entry.component),
        name,
        role: entry.role,
        settings: entry.settings,
        limits: entry.limits,
    });
    let entries: Vec<PluginEntry> = entries.collect();
    for role in Role::ALL {
        let names: Vec<&str> = entries
            .iter()
            .filter(|entry| entry.role == role)
            .map(|entry| entry.name.as_str())
            .collect();
        match names.len() {
            1 => {}
            0 if role.is_optional() => {}
            0 => {
                return Err(format!(
                    "no plugin fills the role {role}; add a table [plugins.NAME] with role = \"{role}\" and its \
                     component"
                ));
            }
            _ => {
                return Err(format!(
                    "the plugins {} fill the role {role}; keep one",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = r#"
        [plugins.planner]
        component = "planner.wasm"
        role = "main-planner"
        [plugins.sub]
        component = "/elsewhere/sub.wasm"
        role = "sub-planner"
        [plugins.sub.limits]
        memory-mib = 8
        [plugins.worker]
        component = "worker.wasm"
        role = "worker"
        settings = { max-turns = "9" }
        [plugins.judge]
        component = "judge.wasm"
        role = "judge"
    "#;

    #[test]
    fn a_whole_file_is_read() {
        let entries = parse(Path::new("/plugins"), FOUR).unwrap();
        let sub = entries.iter().find(|entry| entry.role == Role::SubPlanner).unwrap();
        assert_eq!(sub.limits, Limits { memory_mib: 8, ..Limits::default() });
        assert_eq!(sub.component, Path::new("/elsewhere/sub.wasm"));
        assert_eq!(entries.len(), 4, "a merger may be left out");
        let merger = "[plugins.merger]\ncomponent = \"merger.wasm\"\nrole = \"merger\"\n";
        let with_merger = format!("{FOUR}\n{merger}");
        assert_eq!(parse(Path::new("/plugins"), &with_merger).unwrap().len(), 5);
        let twice = format!("{with_merger}{}", merger.replace("plugins.merger", "plugins.other"));
        assert!(parse(Path::new("/plugins"), &twice).unwrap_err().contains("fill the role merger"));
        let worker = entries.iter().find(|entry| entry.role == Role::Worker).unwrap();
        assert_eq!(worker.settings["max-turns"], "9");
        assert_eq!(worker.component, Path::new("/plugins/worker.wasm"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let folder = Path::new("/plugins");
        let without_judge = FOUR.replace("role = \"judge\"", "role = \"worker\"");
        assert!(parse(folder, &without_judge).unwrap_err().contains("worker"));
        let (three, _) = FOUR.split_at(FOUR.find("[plugins.judge]").unwrap());
        assert!(parse(folder, three).unwrap_err().contains("no plugin fills the role judge"));
        assert!(
            parse(folder, &FOUR.replace("memory-mib", "memory")).unwrap_err().contains("memory")
        );
    }
}
