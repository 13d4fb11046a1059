//! The plugins that a cycle's calls get, and their renewal between two cycles:
//! what has changed in the folder is taken up whole, or nothing of it is. Owns
//! what is taken up; when it looks, and who may have changed a file, is the
//! crew's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::consent::Consent;
use super::folder::{self, Contents, PluginFolder};
use super::manifest::FILE_NAME;
use super::names::{links, names};
use super::{Choice, Plugin, Plugins, Source, consent};
use crate::{Error, Result};

/// A run's plugins, as they are now.
pub struct Current {
    source: Source,
    state: Mutex<State>,
}

struct State {
    plugins: Arc<Plugins>,
    /// Why what is in the folder was not taken up, as it was told last.
    told: Option<String>,
}

/// What came of a look at the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing that is new to anybody.
    Nothing,
    /// These changes were taken up.
    TakenUp(Vec<String>),
    /// What is there can't be taken up, as this sentence says; the plugins are
    /// those that they were.
    Kept(String),
}

impl Current {
    /// Loads what the folder holds now.
    pub async fn load(source: Source) -> Result<Self> {
        let plugins = Arc::new(Plugins::load(&source).await?);
        Ok(Self { source, state: Mutex::new(State { plugins, told: None }) })
    }

    /// Plugins that come from no folder, so that they stay as they are.
    pub fn fixed(plugins: Plugins) -> Self {
        let source = Source {
            folders: Vec::new(),
            cache: PathBuf::new(),
            consent: Consent::Recorded(None),
            choice: Choice::new(),
        };
        let state = State { plugins: Arc::new(plugins), told: None };
        Self { source, state: Mutex::new(state) }
    }

    /// The plugins that calls get until the next renewal.
    pub fn plugins(&self) -> Arc<Plugins> {
        self.state().plugins.clone()
    }

    /// Takes up what has changed in the folder, unless it is broken, the user has
    /// to allow it first, or `is_the_runs` says of a changed file that the run
    /// itself may have written it.
    pub async fn renew(&self, is_the_runs: impl Fn(&Path) -> Result<bool>) -> Renewal {
        let before = self.plugins();
        let looked = self.look(&before, is_the_runs).await;
        let mut state = self.state();
        match looked {
            Ok(None) => {
                state.told = None;
                Renewal::Nothing
            }
            Ok(Some(plugins)) => {
                let pairs = before.contents.iter().zip(&plugins.contents);
                let changes = pairs.flat_map(|(was, is)| was.changes(is)).collect();
                *state = State { plugins: Arc::new(plugins), told: None };
                Renewal::TakenUp(changes)
            }
            Err(error) => {
                let sentence = format!(
                    "what is in the plugins folder {} now is not taken up, and the plugins stay as they were: {error}",
                    self.folders()
                );
                if state.told.as_ref() == Some(&sentence) {
                    return Renewal::Nothing;
                }
                state.told = Some(sentence.clone());
                Renewal::Kept(sentence)
            }
        }
    }

    /// The new plugins; none where nothing has changed.
    async fn look(
        &self,
        before: &Plugins,
        is_the_runs: impl Fn(&Path) -> Result<bool>,
    ) -> Result<Option<Plugins>> {
        let folders = self.source.folders.iter().map(|folder| folder::read(folder));
        let found: Vec<PluginFolder> = folders.collect::<Result<_>>()?;
        if found.iter().map(PluginFolder::contents).eq(before.contents.iter().cloned()) {
            return Ok(None);
        }
        let pairs = self.source.folders.iter().zip(before.contents.iter().zip(&found));
        for path in pairs.flat_map(|(named, (was, now))| changed_files(before, named, was, now)) {
            if is_the_runs(&path)? {
                return Err(Error::usage(format!(
                    "the run itself may have written {}, for it belongs to the run's repository or lies where commands \
                     may write, and nothing of that kind becomes a plugin of the same run; start another run to \
                     take it up",
                    path.display()
                )));
            }
        }
        for folder in &found {
            consent::check(folder, &self.source.consent.later())?;
        }
        let choice = &self.source.choice;
        Plugins::put_together(before.machine.clone(), found, choice, Some(before)).await.map(Some)
    }

    /// The files that the plugins are made of, by all their names.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files_where(true, |_| true)
    }

    /// The same of those that are not what they were when this was written down.
    pub fn files_unlike(&self, recorded: &Contents) -> Vec<PathBuf> {
        let manifest = self.plugins().contents().manifest;
        self.files_where(manifest != recorded.manifest, |plugin| {
            recorded.components.get(&plugin.entry.name) != Some(&plugin.sha256)
        })
    }

    fn files_where(&self, manifests: bool, is_meant: impl Fn(&Plugin) -> bool) -> Vec<PathBuf> {
        let folders = self.source.folders.iter().filter(|_| manifests);
        let manifests = folders.map(|folder| folder.join(FILE_NAME));
        let plugins = self.plugins();
        let meant = plugins.loaded.iter().filter(|plugin| is_meant(plugin));
        let components = meant.map(|plugin| plugin.entry.component.clone());
        manifests.chain(components).flat_map(|file| names(&file)).collect()
    }

    fn folders(&self) -> String {
        let folders = self.source.folders.iter().map(|folder| folder.display().to_string());
        folders.collect::<Vec<_>>().join(" or ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state itself whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a folder that are not what they were: those that came, went or have
/// another content, by all their names, and the links that lead to the folder.
fn changed_files(
    before: &Plugins,
    named: &Path,
    was: &Contents,
    now: &PluginFolder,
) -> Vec<PathBuf> {
    let contents = now.contents();
    if *was == contents {
        return Vec::new();
    }
    let manifest = (was.manifest != contents.manifest).then(|| named.join(FILE_NAME));
    let (was, is) = (&was.components, &contents.components);
    let old = before.loaded.iter().map(|plugin| &plugin.entry);
    let entries = old.chain(now.plugins.iter().map(|found| &found.entry));
    let changed = entries.filter(|entry| was.get(&entry.name) != is.get(&entry.name));
    let files = manifest.into_iter().chain(changed.map(|entry| entry.component.clone()));
    links(named).into_iter().chain(files.flat_map(|file| names(&file))).collect()
}
