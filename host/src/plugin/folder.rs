//! What lies in a plugins folder: the manifest's entries, and each `.wasm` that
//! no entry names; their bytes, read once, so that what is hashed is what runs.
//! Compiles nothing and grants nothing.

#![expect(clippy::disallowed_methods, reason = "a plugins folder is no checkout")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::{self, FILE_NAME, PluginEntry, wrong};
use crate::{Error, Result};

/// Bytes of a component; a Python guest has 18 MiB, its interpreter included.
const LONGEST_COMPONENT: u64 = 256 << 20;
/// Bytes of the manifest; more is no manifest.
const LONGEST_MANIFEST: u64 = 256 * 1024;
/// More plugins than this in one folder is a mistake.
const MOST_PLUGINS: usize = 100;

/// A plugins folder as it was when it was read.
#[derive(Debug)]
pub struct PluginFolder {
    /// Where it really lies.
    pub path: PathBuf,
    /// The SHA-256 of the manifest's bytes; of none where there is no manifest.
    pub manifest_sha256: String,
    /// What it holds, the entries first.
    pub plugins: Vec<Found>,
}

impl PluginFolder {
    /// What its files were when they were read.
    pub fn contents(&self) -> Contents {
        let components = self.plugins.iter();
        let components = components.map(|found| (found.entry.name.clone(), found.sha256.clone()));
        Contents { manifest: self.manifest_sha256.clone(), components: components.collect() }
    }
}

/// What a folder's files were: one byte that changes shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contents {
    /// The SHA-256 of the manifest's bytes; of several folders, one after the other.
    pub manifest: String,
    /// The components' hashes by the plugins' names.
    pub components: BTreeMap<String, String>,
}

impl Contents {
    /// Several folders as one: of two plugins of one name, the last folder's, which
    /// is the one that is used.
    pub(super) fn together(all: &[Self]) -> Self {
        let manifests: Vec<&str> = all.iter().map(|one| one.manifest.as_str()).collect();
        let components = all.iter().flat_map(|one| one.components.clone()).collect();
        Self { manifest: manifests.join(" "), components }
    }

    /// What differs between what was there and what is there now.
    pub fn changes(&self, now: &Self) -> Vec<String> {
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

/// A component and what is known of it before it is compiled.
#[derive(Debug)]
pub struct Found {
    /// What the manifest says of it.
    pub entry: PluginEntry,
    /// The component.
    pub bytes: Vec<u8>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Reads all of it. A folder without a manifest has to hold a component.
pub fn read(folder: &Path) -> Result<PluginFolder> {
    let cannot = |error: io::Error| {
        Error::usage(format!(
            "can't read {}: {error}. A plugins folder holds a {FILE_NAME} and the components that it names; give \
             another one with --plugins",
            folder.join(FILE_NAME).display()
        ))
    };
    let path = folder.canonicalize().map_err(cannot)?;
    let manifest = path.join(FILE_NAME);
    let (text, missing) = match read_file(&manifest, LONGEST_MANIFEST) {
        Ok(bytes) => (bytes, None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), Some(error)),
        Err(error) => return Err(cannot(error)),
    };
    let manifest_sha256 = sha256(&text);
    let text = String::from_utf8(text)
        .map_err(|_| Error::usage(format!("{} is no UTF-8 text", manifest.display())))?;
    let mut entries = manifest::parse(&manifest, &path, &text)?;
    let others = without_entry(&path, &entries).map_err(cannot)?;
    if let Some(error) = missing.filter(|_| others.is_empty()) {
        return Err(cannot(error));
    }
    for component in others {
        entries.push(dropped_in(component, &entries)?);
    }
    if entries.len() > MOST_PLUGINS {
        return Err(Error::usage(format!(
            "{} holds {} plugins; {MOST_PLUGINS} are the most",
            path.display(),
            entries.len()
        )));
    }
    let plugins = entries.into_iter().map(found).collect::<Result<_>>()?;
    Ok(PluginFolder { path, manifest_sha256, plugins })
}

/// Reads one component that lies anywhere, as one without an entry.
pub fn read_component(path: &Path) -> Result<Found> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    found(PluginEntry::without_entry(name, path.to_owned()))
}

/// The components right in the folder that no entry names, by name.
fn without_entry(folder: &Path, entries: &[PluginEntry]) -> io::Result<Vec<PathBuf>> {
    let named: Vec<PathBuf> =
        entries.iter().filter_map(|entry| entry.component.canonicalize().ok()).collect();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        let is_named = path.canonicalize().is_ok_and(|path| named.contains(&path));
        if is_component && !is_named {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn dropped_in(component: PathBuf, entries: &[PluginEntry]) -> Result<PluginEntry> {
    let name = component.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let taken = entries.iter().any(|entry| entry.name == name);
    if taken || !manifest::is_name(&name) {
        let why = if taken {
            format!("[plugins.{name}] in {FILE_NAME} names another component")
        } else {
            "a plugin's name is letters, digits, `-` and `_`, at most 64".to_owned()
        };
        return Err(Error::usage(format!(
            "{} can't be a plugin under its file's name: {why}. Rename it, remove it or give it an entry",
            component.display()
        )));
    }
    Ok(PluginEntry::without_entry(name, component))
}

fn found(entry: PluginEntry) -> Result<Found> {
    let bytes = read_file(&entry.component, LONGEST_COMPONENT).map_err(|error| {
        let path = entry.component.display();
        wrong(
            &entry.name,
            format!(
                "can't read its component {path}: {error}. Build it first, as the README.md beside it \
                 says (`cargo xtask plugins` builds the default ones)"
            ),
        )
    })?;
    let sha256 = sha256(&bytes);
    if let Some(expected) = entry.sha256.as_ref().filter(|expected| **expected != sha256) {
        let path = entry.component.display();
        return Err(wrong(
            &entry.name,
            format!(
                "{path} is not the component that {FILE_NAME} means: its SHA-256 is {sha256}, and `sha-256` says \
                 {expected}. If the new one is right, correct the line; otherwise bring the old one back"
            ),
        ));
    }
    Ok(Found { entry, bytes, sha256 })
}

/// The whole file, which has to be one: a pipe would never end.
fn read_file(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::other(format!("it is longer than {} KiB", longest >> 10)));
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // A String takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[plugins.named]\ncomponent = \"named.wasm\"\ntool = true\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn components_without_an_entry_are_found_beside_the_others() {
        let at = folder(&[(FILE_NAME, ENTRY), ("named.wasm", "n"), ("other.wasm", ""), ("x", "")]);
        let read = read(at.path()).unwrap();
        let names: Vec<&str> = read.plugins.iter().map(|one| one.entry.name.as_str()).collect();
        assert_eq!(names, ["named", "other"]);
        assert_eq!(read.plugins[1].entry.kind, None);
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(read.plugins[1].sha256, of_nothing);
        let bare = folder(&[("other.wasm", "")]);
        let bare = super::read(bare.path()).unwrap();
        assert_eq!((bare.plugins.len(), bare.manifest_sha256.as_str()), (1, of_nothing));
    }

    #[test]
    fn what_can_not_be_read_is_refused_with_what_helps() {
        let hash = format!("{ENTRY}sha-256 = \"{}\"\n", "0".repeat(64));
        let elsewhere = ENTRY.replace("named.wasm", "missing.wasm");
        for (files, words) in [
            (vec![], "A plugins folder holds a plugins.toml"),
            (vec![(FILE_NAME, ENTRY)], "Build it first"),
            (vec![(FILE_NAME, &hash), ("named.wasm", "n")], "`sha-256` says 000000"),
            (vec![("a b.wasm", "")], "Rename it"),
            (vec![(FILE_NAME, &elsewhere), ("named.wasm", "")], "names another component"),
            (vec![(FILE_NAME, "plugins = 1"), ("a.wasm", "")], "`plugins` has to be a table"),
        ] {
            let at = folder(&files);
            let error = read(at.path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let at = folder(&[(FILE_NAME, &hash), ("named.wasm", "")]);
        let error = read(at.path()).unwrap_err().to_string();
        assert!(error.contains("its SHA-256 is e3b0c442"), "both hashes are named: {error}");
    }
}
