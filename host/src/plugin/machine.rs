//! What all calls of components share: the engine with its clock, the linked
//! interfaces, the places of tools, and which denials have been told. Compiles components, and runs
//! one call in a fresh Store with its limits.

use std::collections::HashSet;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

use super::bounds::{Bounded, cut_reason};
use super::call::exported_roles;
use super::engine::{self, EpochTicker};
use super::folder::Found;
use super::limits::{HOSTCALL_BYTES, MAX_HANDLES, STACK_BYTES};
use super::manifest::{FILE_NAME, Kind, PluginEntry, wrong};
use super::state::{CallState, Caller};
use super::tool::{MOST_CALLS_OF_ALL, exports_tools};
use super::{FailureReason, Plugin, grants, imports, inspect};
use crate::types::{CallError, Role};
use crate::{Error, Result};

/// A component's answer, or the error that it returned.
pub(super) type Answer<T> = wasmtime::Result<Result<T, CallError>>;

/// Where a plugin was denied something: plugin, its caller's role, and the
/// host's function.
type Denied = (String, Option<Role>, &'static Location<'static>);

pub(super) struct Machine {
    engine: Engine,
    linker: Linker<CallState>,
    denied: Mutex<HashSet<Denied>>,
    /// One for each call of a tool that may run at the same time as others.
    tool_places: Semaphore,
    /// Dropped last: while a call runs, its limits need the ticks.
    _ticker: EpochTicker,
}

impl Machine {
    /// Compiled code is kept in `cache`, so that only the first load of a
    /// component compiles it.
    pub(super) fn new(cache: &Path) -> Result<Arc<Self>> {
        let engine = engine::new(cache)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(|error| {
            Error::failed(format!("can't link the contract's interfaces: {error:#}"))
        })?;
        let _ticker = EpochTicker::start(&engine)?;
        let tool_places = Semaphore::new(MOST_CALLS_OF_ALL);
        Ok(Arc::new(Self { engine, linker, denied: Mutex::default(), tool_places, _ticker }))
    }

    /// Compiles and links a component, and looks whether it speaks this host's
    /// contract and is what its entry says. It may have what it asks for: the user's consent was checked before.
    pub(super) fn load(&self, found: Found) -> Result<Arc<Plugin>> {
        let component = self.compile(&found)?;
        let (imports, exports) = self.names(&component);
        inspect::check_version(imports.iter().chain(&exports))
            .map_err(|error| wrong(&found.entry.name, error))?;
        let instance = self.link(&found.entry, &component)?;
        let entry = &found.entry;
        let kind = kind(entry, &kinds(&instance))
            .map_err(|why| wrong(&entry.name, format!("{} {why}", entry.component.display())))?;
        let allowed = grants::to_allow(kind, entry.grants);
        Ok(Arc::new(Plugin::new(found, kind, allowed, instance)))
    }

    pub(super) fn compile(&self, found: &Found) -> Result<Component> {
        Component::from_binary(&self.engine, &found.bytes)
            .map_err(|error| refused(&found.entry, "is no component", &error))
    }

    pub(super) fn link(
        &self,
        entry: &PluginEntry,
        component: &Component,
    ) -> Result<InstancePre<CallState>> {
        let what = "asks for something that this host does not offer";
        self.linker.instantiate_pre(component).map_err(|error| refused(entry, what, &error))
    }

    /// The names of what a component imports and exports.
    pub(super) fn names(&self, component: &Component) -> (Vec<String>, Vec<String>) {
        let of_component = component.component_type();
        let imports = of_component.imports(&self.engine).map(|(name, _)| name.to_owned());
        let exports = of_component.exports(&self.engine).map(|(name, _)| name.to_owned());
        (imports.collect(), exports.collect())
    }

    /// Runs one call: instantiates the component and asks it, for so many
    /// seconds at most.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        caller: Option<Caller>,
        seconds: u32,
        ask: impl AsyncFnOnce(&mut Store<CallState>, &Plugin, Instance) -> Answer<T>,
    ) -> Result<T, FailureReason> {
        let mut store = self.store(plugin, caller);
        let answer = tokio::time::timeout(Duration::from_secs(seconds.into()), async {
            let instance = plugin.instance.instantiate_async(&mut store).await?;
            ask(&mut store, plugin, instance).await
        })
        .await;
        match answer {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(FailureReason::GaveUp(error.bounded())),
            Ok(Err(error)) => Err(FailureReason::Crashed(describe(&error))),
            Err(_) => Err(FailureReason::TimedOut(seconds)),
        }
    }

    /// The places that the tools of all plugins share.
    pub(super) fn tool_places(&self) -> &Semaphore {
        &self.tool_places
    }

    /// Whether this is the first time that it is denied there.
    pub(super) fn is_first_denial(&self, denied: Denied) -> bool {
        // A panic elsewhere leaves the set itself whole.
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(denied)
    }

    fn store(self: &Arc<Self>, plugin: &Arc<Plugin>, caller: Option<Caller>) -> Store<CallState> {
        let state = CallState::new(self.clone(), plugin.clone(), caller);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

fn refused(entry: &PluginEntry, what: &str, error: &wasmtime::Error) -> Error {
    wrong(&entry.name, format!("{} {what}: {error:#}", entry.component.display()))
}

/// All that the component can be.
pub(super) fn kinds(instance: &InstancePre<CallState>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = exported_roles(instance).into_iter().map(Kind::Role).collect();
    kinds.extend(exports_tools(instance).then_some(Kind::Tool));
    kinds
}

/// What the plugin is: what its entry says, or the one thing that it exports.
pub(super) fn kind(entry: &PluginEntry, exported: &[Kind]) -> std::result::Result<Kind, String> {
    let names: Vec<String> = exported.iter().map(Kind::to_string).collect();
    let names = if names.is_empty() { "no role and no tool".to_owned() } else { names.join(", ") };
    match (entry.kind, exported) {
        (Some(kind), exported) if exported.contains(&kind) => Ok(kind),
        (Some(Kind::Tool), _) => {
            Err(format!("exports {names}, not tool-provider; correct its entry in {FILE_NAME}"))
        }
        (Some(Kind::Role(role)), _) => {
            Err(format!("exports {names}, not {role}; correct its role in {FILE_NAME}"))
        }
        (None, [kind]) => Ok(*kind),
        (None, []) => Err(format!(
            "exports {names}; it has to export an interface of the contract (see wit/worlds.wit), or be removed"
        )),
        (None, _) => Err(format!(
            "exports {names}; give it an entry in {FILE_NAME} that says which of them is meant"
        )),
    }
}

/// The reason at the root of a trap, without the frames of a stripped module.
fn describe(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    let limit = if error.downcast_ref() == Some(&Trap::StackOverflow) {
        format!(" ({} KiB)", STACK_BYTES >> 10)
    } else if root.contains("fuel allocated for hostcalls") {
        format!(" ({} MiB at a time)", HOSTCALL_BYTES >> 20)
    } else if root.contains("store handle limit") {
        format!(" ({MAX_HANDLES} at once)")
    } else {
        String::new()
    };
    cut_reason(root + &limit)
}
