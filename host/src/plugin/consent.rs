//! What the user allows plugins beyond the base: asked for in the manifest,
//! granted by `code-agent plugin allow`, and written down in the user's own
//! config with the hash of the manifest and of each component, so that one byte
//! that changes asks again. Owns that record.

#![expect(clippy::disallowed_methods, reason = "the user's own config is no checkout")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::folder::{Contents, PluginFolder};
use super::grants;
use crate::agent::Rights;
use crate::{Error, Result};

/// The record's file in the user's config folder.
pub const RECORD_NAME: &str = "allowed-plugins.json";

/// Whether the user allows what plugins ask for.
#[derive(Clone, Debug)]
pub enum Consent {
    /// All of it as it is when the run begins; what changes later, as the record at
    /// this path says.
    Given(Option<PathBuf>),
    /// What the record at this path says; nothing where there is none.
    Recorded(Option<PathBuf>),
}

impl Consent {
    /// What the user says of what the folder holds later on: nobody has seen that
    /// when a flag was given.
    pub fn later(&self) -> Self {
        match self {
            Self::Given(record) | Self::Recorded(record) => Self::Recorded(record.clone()),
        }
    }
}

/// All folders that the user has allowed something, by path.
type Record = BTreeMap<PathBuf, Contents>;

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
        Some(allowed) => match allowed.changes(&folder.contents()) {
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
    record.insert(folder.path.clone(), folder.contents());
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
    use crate::plugin::manifest::FILE_NAME;

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
        assert!(check(&folder::read(at.path()).unwrap(), &Consent::Given(None)).is_ok());
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
