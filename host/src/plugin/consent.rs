//! What the user allows plugins beyond the base: asked for in the manifest,
//! granted by `code-agent plugin allow`, and written down in the user's own
//! config with the hash of the manifest and of each component, so that one byte
//! that changes asks again. Owns that record.

#![expect(clippy::disallowed_methods, reason = "the user's own config is no checkout")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::PluginFolder;
use super::grants;
use super::manifest::FILE_NAME;
use crate::agent::Rights;
use crate::{Error, Result};

/// The record's file in the user's config folder.
pub const RECORD_NAME: &str = "allowed-plugins.json";

/// Whether the user allows what plugins ask for.
#[derive(Clone, Debug)]
pub enum Consent {
    /// All of it, for this run.
    Given,
    /// What the record at this path says; nothing where there is none.
    Recorded(Option<PathBuf>),
}

/// All folders that the user has allowed something, by path.
type Record = BTreeMap<PathBuf, Allowed>;

/// What a folder was when the user allowed what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Allowed {
    manifest: String,
    /// The components' hashes by the plugins' names.
    components: BTreeMap<String, String>,
}

impl Allowed {
    fn of(folder: &PluginFolder) -> Self {
        let components = folder.plugins.iter();
        let components = components.map(|found| (found.entry.name.clone(), found.sha256.clone()));
        Self { manifest: folder.manifest_sha256.clone(), components: components.collect() }
    }

    /// What differs between what was allowed and what is there now.
    fn changes(&self, now: &Self) -> Vec<String> {
        let manifest = (self.manifest != now.manifest).then(|| format!("{FILE_NAME} has changed"));
        let changed =
            now.components.iter().filter_map(|(name, hash)| match self.components.get(name) {
                None => Some(format!("the plugin `{name}` is new")),
                Some(before) if before != hash => {
                    Some(format!("the component of `{name}` has changed"))
                }
                Some(_) => None,
            });
        let gone = self.components.keys().filter(|name| !now.components.contains_key(*name));
        let gone = gone.map(|name| format!("the plugin `{name}` is gone"));
        manifest.into_iter().chain(changed).chain(gone).collect()
    }
}

/// What each plugin asks for beyond the base.
pub fn asked(folder: &PluginFolder) -> Vec<(&str, Rights)> {
    let asked = folder.plugins.iter().filter_map(|found| {
        let rights = grants::to_allow(found.entry.kind?, found.entry.grants);
        Some((found.entry.name.as_str(), rights)).filter(|(_, rights)| !rights.is_empty())
    });
    asked.collect()
}

/// Refuses a folder whose plugins ask for more than the user allows them. What
/// passes may have what it asks for.
pub fn check(folder: &PluginFolder, consent: &Consent) -> Result<()> {
    let asked = asked(folder);
    let Consent::Recorded(record) = consent else { return Ok(()) };
    if asked.is_empty() {
        return Ok(());
    }
    let record = record.as_deref().map(read).transpose()?.unwrap_or_default();
    let why = match record.get(&folder.path) {
        None => "nobody has allowed that yet".to_owned(),
        Some(allowed) => match allowed.changes(&Allowed::of(folder)) {
            changes if changes.is_empty() => return Ok(()),
            changes => format!("since that was allowed, {}", changes.join(", ")),
        },
    };
    let asked: Vec<String> =
        asked.iter().map(|(name, rights)| format!("plugin `{name}` asks for {rights}")).collect();
    let path = folder.path.display();
    Err(Error::usage(format!(
        "{}, and {why}. Look at what it is, then allow it with `code-agent plugin allow {path}`, or with \
         --allow-plugins for one run",
        asked.join("; ")
    )))
}

/// Writes down that the user allows what this folder asks for, as it is now.
pub fn allow(folder: &PluginFolder, path: &Path) -> Result<()> {
    let mut record = read(path)?;
    record.insert(folder.path.clone(), Allowed::of(folder));
    let cannot = |error: std::io::Error| {
        Error::failed(format!("can't write {}: {error}; nothing is allowed", path.display()))
    };
    let text = serde_json::to_string_pretty(&record).map_err(|error| cannot(error.into()))?;
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(cannot)?;
    // Whole or not at all, whoever reads it meanwhile; and the user's alone.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    file.as_file().sync_all().map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}

fn read(path: &Path) -> Result<Record> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Record::new()),
        Err(error) => return Err(Error::failed(format!("can't read {}: {error}", path.display()))),
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::failed(format!(
            "{} is no record of allowed plugins ({error}); remove it and allow them again",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::folder;

    const MANIFEST: &str =
        "[plugins.fmt]\ncomponent = \"fmt.wasm\"\ntool = true\ngrants = [\"files-write\"]\n";

    #[test]
    fn one_changed_byte_asks_again() {
        let at = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(at.path().join(name), text).unwrap();
        let record = at.path().join("config/allowed.json");
        let consent = Consent::Recorded(Some(record.clone()));
        let checked = || check(&folder::read(at.path()).unwrap(), &consent);
        let refused = |words: &str| {
            let error = checked().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("plugin allow"), "{error}");
        };
        write(FILE_NAME, MANIFEST);
        write("fmt.wasm", "one");
        write("other.wasm", "other");
        refused("`fmt` asks for files-write, and nobody has allowed that yet");
        assert!(check(&folder::read(at.path()).unwrap(), &Consent::Given).is_ok());
        assert!(check(&folder::read(at.path()).unwrap(), &Consent::Recorded(None)).is_err());
        allow(&folder::read(at.path()).unwrap(), &record).unwrap();
        checked().unwrap();
        write("fmt.wasm", "onf");
        refused("the component of `fmt` has changed");
        write("fmt.wasm", "one");
        write("other.wasm", "0ther");
        refused("the component of `other` has changed");
        write("other.wasm", "other");
        checked().unwrap();
        write(FILE_NAME, &format!("{MANIFEST}\n"));
        refused("plugins.toml has changed");
        write(FILE_NAME, MANIFEST);
        write("third.wasm", "");
        refused("the plugin `third` is new");
        fs::remove_file(at.path().join("third.wasm")).unwrap();
        fs::remove_file(at.path().join("other.wasm")).unwrap();
        refused("the plugin `other` is gone");
        allow(&folder::read(at.path()).unwrap(), &record).unwrap();
        checked().unwrap();
        fs::write(&record, "{").unwrap();
        let error = checked().unwrap_err().to_string();
        assert!(error.contains("allow them again"), "{error}");
    }
}
