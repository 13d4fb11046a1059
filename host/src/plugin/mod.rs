//! Components: loading, linking, limiting and calling them. The only module
//! that knows wasmtime. What a component may do is the agent's business, what
//! it is called for the cycle's.

#![expect(clippy::disallowed_methods, reason = "a plugins folder is no checkout")]

mod bindings;
mod bounds;
mod call;
mod convert;
mod engine;
mod imports;
mod limits;
pub mod manifest;
mod meter;
mod state;

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};

use crate::types::{CallError, Role};
use crate::{Error, Result};
use engine::EpochTicker;
use manifest::PluginEntry;
use state::CallState;

/// The plugins of a run, loaded and ready to be called.
pub struct Plugins {
    main_planner: Plugin,
    sub_planner: Plugin,
    worker: Plugin,
    merger: Option<Plugin>,
    judge: Plugin,
    engine: wasmtime::Engine,
    /// Dropped last: while a call runs, its limits need the ticks.
    _ticker: EpochTicker,
}

/// A loaded component that exports its role.
struct Plugin {
    entry: Arc<PluginEntry>,
    instance: InstancePre<CallState>,
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
    /// Loads what `folder` holds. Compiled code is kept in `cache`, so that
    /// only the first load of a component compiles it.
    pub fn load(folder: &Path, cache: &Path) -> Result<Self> {
        let entries = manifest::read(folder)?;
        let engine = engine::new(cache)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(|error| {
            Error::failed(format!("can't link the contract's interfaces: {error:#}"))
        })?;
        let optional = |role: Role| {
            let entry = entries.iter().find(|entry| entry.role == role);
            entry.map(|entry| load(&engine, &linker, entry.clone())).transpose()
        };
        let plugin = |role: Role| {
            optional(role)?.ok_or_else(|| Error::usage(format!("no plugin fills the role {role}")))
        };
        Ok(Self {
            main_planner: plugin(Role::MainPlanner)?,
            sub_planner: plugin(Role::SubPlanner)?,
            worker: plugin(Role::Worker)?,
            merger: optional(Role::Merger)?,
            judge: plugin(Role::Judge)?,
            _ticker: EpochTicker::start(&engine)?,
            engine,
        })
    }

    /// Whether there is one to merge what collides.
    pub fn has_merger(&self) -> bool {
        self.merger.is_some()
    }

    fn of_role(&self, role: Role) -> Option<&Plugin> {
        match role {
            Role::MainPlanner => Some(&self.main_planner),
            Role::SubPlanner => Some(&self.sub_planner),
            Role::Worker => Some(&self.worker),
            Role::Merger => self.merger.as_ref(),
            Role::Judge => Some(&self.judge),
        }
    }
}

fn load(
    engine: &wasmtime::Engine,
    linker: &Linker<CallState>,
    entry: PluginEntry,
) -> Result<Plugin> {
    let path = entry.component.clone();
    let wrong = |what: &str, error: wasmtime::Error| {
        Error::usage(format!("plugin `{}`: {} {what}: {error:#}", entry.name, path.display()))
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        Error::usage(format!(
            "plugin `{}`: can't read its component {}: {error}. Build it first (`cargo xtask plugins` builds the \
             default ones)",
            entry.name,
            path.display()
        ))
    })?;
    let component =
        Component::from_binary(engine, &bytes).map_err(|error| wrong("is no component", error))?;
    let instance = linker
        .instantiate_pre(&component)
        .map_err(|error| wrong("asks for something that this host does not offer", error))?;
    let roles = call::exported_roles(&instance);
    if !roles.contains(&entry.role) {
        let found = match roles.as_slice() {
            [] => "no role".to_owned(),
            roles => roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "),
        };
        return Err(Error::usage(format!(
            "plugin `{}`: {} exports {found}, not {}; correct its role in {}",
            entry.name,
            path.display(),
            entry.role,
            manifest::FILE_NAME
        )));
    }
    Ok(Plugin { entry: Arc::new(entry), instance })
}
