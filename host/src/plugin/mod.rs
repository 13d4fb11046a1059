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
mod names;
mod reload;
mod schema;
mod spec;
mod state;
mod tally;
mod tool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::InstancePre;

use crate::Result;
use crate::agent::Rights;
use crate::types::{CallError, Role};
use consent::Consent;
use folder::{Contents, Found, PluginFolder};
use machine::Machine;
use manifest::{Kind, Limits, PluginEntry};
use state::CallState;

pub use choice::Choice;
pub use reload::{Current, Renewal};
pub use tally::Tally;
pub use tool::{PluginTool, ToolPlugins};

/// Where plugins come from, and what the user says of them.
#[derive(Clone, Debug)]
pub struct Source {
    /// The plugins folders; the roles that a later one fills are taken from the
    /// earlier ones.
    pub folders: Vec<PathBuf>,
    /// Where compiled code is kept.
    pub cache: PathBuf,
    /// What the user allows.
    pub consent: Consent,
    /// Which plugins fill a role, where the user has named them.
    pub choice: Choice,
}

/// The plugins of a run, loaded and ready to be called. Cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    /// One for each role that is filled, but all judges that are asked.
    roles: BTreeMap<Role, Vec<Arc<Plugin>>>,
    tools: Arc<ToolPlugins>,
    /// All that the folders hold, whether a role needs it or not.
    loaded: Vec<Arc<Plugin>>,
    /// What the files of each folder were.
    contents: Vec<Contents>,
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
    limits: Limits,
    instance: InstancePre<CallState>,
    /// One for each call of its tools that may run at the same time.
    places: Semaphore,
}

impl Plugin {
    fn new(found: Found, kind: Kind, allowed: Rights, instance: InstancePre<CallState>) -> Self {
        let Found { entry, sha256, .. } = found;
        let limits = entry.limits.unwrap_or(Limits::usual(kind));
        let places = Semaphore::new(tool::MOST_CALLS);
        Self { entry, sha256, kind, allowed, limits, instance, places }
    }

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
    /// Its time was up before it began.
    #[error(
        "did not begin within {0} s (limits.call-seconds in plugins.toml), for other calls of tools took all places"
    )]
    Busy(u32),
    /// No plugin fills the role.
    #[error("is not there; a table of plugins.toml has to name it")]
    Missing,
}

/// What lies in the folders, if the user allows what it asks for.
fn found(source: &Source) -> Result<Vec<PluginFolder>> {
    let read = |folder: &PathBuf| {
        let found = folder::read(folder)?;
        consent::check(&found, &source.consent)?;
        Ok(found)
    };
    source.folders.iter().map(read).collect()
}

/// All of it, as far as no later folder takes its role.
fn all(
    machine: &Machine,
    folders: Vec<PluginFolder>,
    before: Option<&Plugins>,
) -> Result<Vec<Arc<Plugin>>> {
    let load = |found: Found| match before.and_then(|before| before.same(&found)) {
        Some(plugin) => Ok(plugin.clone()),
        None => machine.load(found),
    };
    let mut loaded = Vec::new();
    for folder in folders {
        let own = folder.plugins.into_iter().map(load).collect::<Result<_>>()?;
        loaded = choice::take_over(loaded, own)?;
    }
    Ok(loaded)
}

/// Those that bring tools, and those that fill roles.
fn by_kind(plugins: &[Arc<Plugin>]) -> (Vec<Arc<Plugin>>, Vec<Arc<Plugin>>) {
    plugins.iter().cloned().partition(|plugin| plugin.kind == Kind::Tool)
}

impl Plugins {
    /// Loads what the folders hold, if the user allows what it asks for, and asks
    /// tools what they are.
    pub async fn load(source: &Source) -> Result<Self> {
        let machine = Machine::new(&source.cache)?;
        Self::put_together(machine, found(source)?, &source.choice, None).await
    }

    /// What was found in the folders, ready to be called. A plugin that is the same
    /// as `before` stays as it is: it is not compiled, and not asked, anew.
    async fn put_together(
        machine: Arc<Machine>,
        found: Vec<PluginFolder>,
        choice: &Choice,
        before: Option<&Self>,
    ) -> Result<Self> {
        let contents = found.iter().map(PluginFolder::contents).collect();
        let loaded = all(&machine, found, before)?;
        let (tools, roles) = by_kind(&loaded);
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

    /// What the folders' files were when they were read, all together.
    pub fn contents(&self) -> Contents {
        Contents::together(&self.contents)
    }

    /// Loads the tools alone: for calls that no role makes.
    pub async fn load_tools(source: &Source) -> Result<Self> {
        let machine = Machine::new(&source.cache)?;
        let loaded = all(&machine, found(source)?, None)?;
        let (loaded, _) = by_kind(&loaded);
        Self::for_trial(machine, loaded).await
    }

    /// Loads one plugin, by its name or as the only one of its folder, and says
    /// what it is.
    pub async fn load_alone(source: &Source, name: Option<&str>) -> Result<(Self, Kind)> {
        let machine = Machine::new(&source.cache)?;
        let plugin = choice::alone(all(&machine, found(source)?, None)?, name)?;
        let kind = plugin.kind;
        Ok((Self::for_trial(machine, vec![plugin]).await?, kind))
    }

    /// These plugins and no others: most roles have none.
    async fn for_trial(machine: Arc<Machine>, loaded: Vec<Arc<Plugin>>) -> Result<Self> {
        let (tools, roles) = by_kind(&loaded);
        let of_role = |plugin: Arc<Plugin>| Some((plugin.kind.role()?, vec![plugin]));
        let roles = roles.into_iter().filter_map(of_role).collect();
        let tools = Arc::new(ToolPlugins::ask(&machine, &tools, None).await?);
        Ok(Self { roles, tools, loaded, contents: Vec::new(), machine })
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
