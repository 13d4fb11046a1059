//! Components: loading, linking, limiting and calling them. The only module
//! that knows wasmtime. What an agent may do is the agent's business, what a
//! component is called for the cycle's.

mod bindings;
mod bounds;
mod call;
mod choice;
pub mod consent;
mod convert;
mod engine;
pub mod folder;
pub mod grants;
mod imports;
pub mod inspect;
mod limits;
mod machine;
pub mod manifest;
mod meter;
mod reload;
mod spec;
mod state;
mod tool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::InstancePre;

use crate::Result;
use crate::agent::Rights;
use crate::types::{CallError, Role};
use consent::Consent;
use folder::{Contents, Found, PluginFolder};
use machine::Machine;
use manifest::{Kind, PluginEntry};
use state::CallState;

pub use choice::Choice;
pub use reload::{Current, Renewal};
pub use tool::{PluginTool, ToolPlugins};

/// Where plugins come from, and what the user says of them.
#[derive(Clone, Debug)]
pub struct Source {
    /// The plugins folder.
    pub folder: PathBuf,
    /// Where compiled code is kept.
    pub cache: PathBuf,
    /// What the user allows.
    pub consent: Consent,
    /// Which plugins fill a role, where the user has named them.
    pub choice: Choice,
}

/// The plugins of a run, loaded and ready to be called.
pub struct Plugins {
    /// One for each role that is filled, but all judges that are asked.
    roles: BTreeMap<Role, Vec<Arc<Plugin>>>,
    tools: Arc<ToolPlugins>,
    /// All that the folder holds, whether a role needs it or not.
    loaded: Vec<Arc<Plugin>>,
    contents: Contents,
    machine: Arc<Machine>,
}

/// A loaded component that exports what it is for.
struct Plugin {
    entry: PluginEntry,
    /// The component's SHA-256.
    sha256: String,
    kind: Kind,
    /// What the user allows it beyond the base.
    allowed: Rights,
    instance: InstancePre<CallState>,
}

impl Plugin {
    /// What it may do in the name of a caller who may do this much.
    fn rights(&self, caller: Rights) -> Rights {
        grants::effective(self.kind, self.entry.grants, self.allowed, caller)
    }
}

/// Why a call of a role came to nothing: a failed attempt, in a sentence that
/// names plugin and role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` (role {role}) {reason}")]
pub struct CallFailure {
    /// The plugin's name.
    pub plugin: String,
    /// The role that it was called as.
    pub role: Role,
    /// What happened.
    pub reason: FailureReason,
}

/// What ended a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailureReason {
    /// The component returned an error.
    #[error("gave up: {0}")]
    GaveUp(CallError),
    /// It trapped or went over a limit.
    #[error("crashed: {0}")]
    Crashed(String),
    /// Its time was up.
    #[error("took longer than {0} s (limits.call-seconds in plugins.toml)")]
    TimedOut(u32),
    /// No plugin fills the role.
    #[error("is not there; a table of plugins.toml has to name it")]
    Missing,
}

impl Plugins {
    /// Loads what the folder holds, if the user allows what it asks for, and asks
    /// tools what they are.
    pub async fn load(source: &Source) -> Result<Self> {
        let found = folder::read(&source.folder)?;
        consent::check(&found, &source.consent)?;
        Self::put_together(Machine::new(&source.cache)?, found, &source.choice, None).await
    }

    /// What was found in the folder, ready to be called. A plugin that is the same
    /// as `before` stays as it is: it is not compiled, and not asked, anew.
    async fn put_together(
        machine: Arc<Machine>,
        found: PluginFolder,
        choice: &Choice,
        before: Option<&Self>,
    ) -> Result<Self> {
        let contents = found.contents();
        let load = |found: Found| match before.and_then(|before| before.same(&found)) {
            Some(plugin) => Ok(plugin.clone()),
            None => machine.load(found),
        };
        let loaded: Vec<Arc<Plugin>> =
            found.plugins.into_iter().map(load).collect::<Result<_>>()?;
        let (tools, roles): (Vec<_>, Vec<_>) =
            loaded.iter().cloned().partition(|plugin| plugin.kind == Kind::Tool);
        let roles = choice::choose(roles, choice)?;
        let known = before.map(|before| &*before.tools);
        let tools = Arc::new(ToolPlugins::ask(&machine, &tools, known).await?);
        Ok(Self { roles, tools, loaded, contents, machine })
    }

    fn same(&self, found: &Found) -> Option<&Arc<Plugin>> {
        self.loaded
            .iter()
            .find(|plugin| plugin.entry == found.entry && plugin.sha256 == found.sha256)
    }

    /// What the folder's files were when they were read.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whether there is one to merge what collides.
    pub fn has_merger(&self) -> bool {
        self.roles.contains_key(&Role::Merger)
    }

    /// The names of all judges, each of which is asked.
    pub fn judges(&self) -> Vec<String> {
        let judges = self.roles.get(&Role::Judge).into_iter().flatten();
        judges.map(|judge| judge.entry.name.clone()).collect()
    }

    /// The tools that plugins bring.
    pub fn tools(&self) -> Arc<ToolPlugins> {
        self.tools.clone()
    }

    fn of_role(&self, role: Role) -> Option<&Arc<Plugin>> {
        self.roles.get(&role)?.first()
    }

    fn judge(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.roles.get(&Role::Judge)?.iter().find(|judge| judge.entry.name == name)
    }
}
