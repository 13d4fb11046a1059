//! What a Store holds during one call: who calls, where it works, what it may
//! do and what it has used. Dropped with the Store at the call's end.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::convert::ImportError;
use super::limits::{StoreLimiter, TICK_MILLISECONDS};
use super::manifest::PluginEntry;
use crate::agent::{Agent, Grant};
use crate::types::CallError;

/// How many handles a component may hold at once: conversations, and what
/// WASI gives.
const MAX_HANDLES: usize = 16;
/// How many lines a component may log in one call; more are dropped.
pub(super) const MAX_LOG_LINES: u32 = 1000;

pub(super) struct CallState {
    pub(super) plugin: Arc<PluginEntry>,
    pub(super) agent: Arc<Agent>,
    pub(super) table: ResourceTable,
    pub(super) limiter: StoreLimiter,
    pub(super) log_lines: u32,
    wasi: WasiCtx,
    /// Epochs since the last call to the host.
    ticks: u32,
}

/// The state itself implements all imports.
pub(super) type Imports = HasSelf<CallState>;

impl CallState {
    pub(super) fn new(plugin: Arc<PluginEntry>, agent: Arc<Agent>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            limiter: StoreLimiter::new(plugin.limits.memory_mib),
            plugin,
            agent,
            table,
            log_lines: 0,
            // No folders, no environment, no sockets: clocks and randomness.
            wasi: WasiCtx::builder().build(),
            ticks: 0,
        }
    }

    pub(super) fn settings(&self) -> &BTreeMap<String, String> {
        &self.plugin.settings
    }

    /// Begins a call from the component: its computing time counts anew, and
    /// it has to have the grant.
    pub(super) fn enter(&mut self, grant: Grant) -> Result<(), ImportError> {
        self.ticks = 0;
        if self.agent.ended_by().is_some() {
            return Err(ImportError::Trap(wasmtime::Error::msg("the attempt is over")));
        }
        if self.agent.rights().allows(grant) {
            return Ok(());
        }
        let (plugin, role) = (&self.plugin.name, self.agent.role());
        tracing::warn!(plugin, %role, %grant, "denied: the role has no such right");
        Err(CallError::Denied(format!("the role {role} has no right to `{grant}`")).into())
    }

    /// The same for what every component may do.
    pub(super) fn enter_free(&mut self) {
        self.ticks = 0;
    }

    /// Counts an epoch; an error once the component has computed too long.
    pub(super) fn tick(&mut self) -> wasmtime::Result<()> {
        self.ticks = self.ticks.saturating_add(1);
        let limit = self.plugin.limits.compute_milliseconds;
        if self.ticks.saturating_mul(TICK_MILLISECONDS) > limit {
            return Err(wasmtime::Error::msg(format!(
                "it computed for more than {limit} ms without a call to the host \
                 (limits.compute-milliseconds in plugins.toml)"
            )));
        }
        Ok(())
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
