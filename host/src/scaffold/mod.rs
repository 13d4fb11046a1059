//! A new plugin's folder: a template of the language and the kind, the contract,
//! and an entry for `plugins.toml`. Owns which files it is made of; what they
//! say stands in `host/templates`.

#![expect(clippy::disallowed_methods, reason = "a new plugin's folder is no checkout")]

mod embedded;
mod workspace;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::plugin::manifest::{self, Kind};
use crate::types::Role;
use crate::{Error, Result};
use embedded::{Contract, Sdk, Templates, text, texts};

/// The languages that there are templates for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// With the SDK.
    Rust,
    /// Built by componentize-py.
    Python,
    /// Built by componentize-js.
    JavaScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::JavaScript];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }

    /// What has to be done once on a machine, if anything, and is harmless where it
    /// has been.
    pub fn preparation(self) -> Option<&'static str> {
        match self {
            Self::Rust => Some("rustup target add wasm32-unknown-unknown"),
            Self::Python | Self::JavaScript => None,
        }
    }

    /// What builds the component, in its folder.
    pub fn build_command(self) -> &'static str {
        match self {
            Self::Rust => "cargo build --release --target wasm32-unknown-unknown",
            Self::Python => "python3 build.py",
            Self::JavaScript => "node build.mjs",
        }
    }

    /// Where that leaves it, in the folder.
    fn component(self, name: &str) -> String {
        match self {
            Self::Rust => {
                format!("target/wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"))
            }
            Self::Python | Self::JavaScript => format!("{name}.wasm"),
        }
    }

    /// MiB of memory; the languages with an engine of their own need more than
    /// the usual.
    fn memory_mib(self) -> u32 {
        match self {
            Self::Rust => 64,
            Self::Python | Self::JavaScript => 256,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|language| language.as_str() == word);
        known.ok_or_else(|| "it is rust, python or javascript".to_owned())
    }
}

/// Reads the word for a kind of plugin.
pub fn kind(word: &str) -> Result<Kind, String> {
    if word == "tool" {
        return Ok(Kind::Tool);
    }
    let role = Role::ALL.into_iter().find(|role| role.as_str() == word);
    role.map(Kind::Role)
        .ok_or_else(|| "it is judge, worker, main-planner, sub-planner, merger or tool".to_owned())
}

/// Makes the folder, which must not be there; returns the files' names.
pub fn make(folder: &Path, name: &str, language: Language, kind: Kind) -> Result<Vec<String>> {
    if !manifest::is_name(name) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(Error::usage(format!(
            "`{name}` can't be a new plugin's name: it begins with a small letter, and has letters, digits, `-` and \
             `_`, at most 64"
        )));
    }
    let files = files(name, language, kind)?;
    let cannot = |path: &Path, error: io::Error| {
        Error::failed(format!("can't make {}: {error}", path.display()))
    };
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::usage(format!(
                "{} is there already; give another name, or remove it",
                folder.display()
            )));
        }
        made => made.map_err(|error| cannot(folder, error))?,
    }
    for (path, contents) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, contents));
        written.map_err(|error| cannot(&path, error))?;
    }
    Ok(files.into_keys().collect())
}

/// What the folder will hold, by path.
fn files(name: &str, language: Language, kind: Kind) -> Result<BTreeMap<String, String>> {
    let kind_name = word(kind);
    let mut folders = vec![
        format!("kinds/{kind_name}/"),
        format!("{language}/common/"),
        format!("{language}/{kind_name}/"),
    ];
    if !matches!(kind, Kind::Tool | Kind::Role(Role::Judge)) {
        // These ask a model.
        folders.push(format!("{language}/agent/"));
    }
    let mut files = BTreeMap::new();
    for folder in folders {
        for (path, contents) in texts::<Templates>(&folder)? {
            files.insert(path, filled(&contents, name, kind));
        }
    }
    let contract = if language == Language::Rust { "vendor/wit" } else { CONTRACT_FOLDER };
    for (path, contents) in texts::<Contract>("")? {
        files.insert(format!("{contract}/{path}"), contents);
    }
    if language == Language::Rust {
        for (path, contents) in texts::<Sdk>("sdk/")? {
            files.insert(format!("{}/{path}", workspace::SDK_FOLDER), contents);
        }
        let own = files.remove("Cargo.toml").unwrap_or_default();
        files.insert("Cargo.toml".into(), workspace::manifest(&own, &text::<Sdk>("Cargo.toml")?)?);
        // The component's world is what its code uses of the SDK's.
        files.retain(|path, _| !path.starts_with("wit/"));
    }
    files.insert(manifest::FILE_NAME.into(), entry(name, language, kind));
    Ok(files)
}

/// Where WIT tools look for the packages that a world names.
const CONTRACT_FOLDER: &str = "wit/deps/code-agent-plugin";

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Role(role) => role.as_str(),
        Kind::Tool => "tool",
    }
}

fn filled(template: &str, name: &str, kind: Kind) -> String {
    template
        .replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{kind}}", word(kind))
}

fn entry(name: &str, language: Language, kind: Kind) -> String {
    let is = match kind {
        Kind::Role(role) => format!("role = \"{role}\""),
        Kind::Tool => "tool = true".to_owned(),
    };
    format!(
        "# What this folder brings. Beside the default plugins, whose roles it takes over:\n\
         #   code-agent --plugins PLUGINS --plugins THIS-FOLDER --root-path PROJECT --goal …\n\
         \n\
         [plugins.{name}]\n\
         component = \"{}\"\n\
         {is}\n\
         \n\
         [plugins.{name}.limits]\n\
         memory-mib = {}\n",
        language.component(name),
        language.memory_mib()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What builds the examples and tells their errors is what authors get.
    #[test]
    fn the_examples_are_what_the_templates_give() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples");
        let judge = Kind::Role(Role::Judge);
        for (name, language, kind, same) in [
            (
                "criteria-judge",
                Language::Python,
                judge,
                ["build.py", "guard.py", "requirements.txt", ".gitignore"].as_slice(),
            ),
            (
                "validate",
                Language::JavaScript,
                Kind::Tool,
                ["build.mjs", "guard.js", ".gitignore"].as_slice(),
            ),
        ] {
            let made = files(name, language, kind).unwrap();
            for file in same {
                let example = fs::read_to_string(examples.join(name).join(file)).unwrap();
                assert_eq!(example, made[*file], "plugins/examples/{name}/{file}");
            }
        }
    }
}
