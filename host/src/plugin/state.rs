//! What a Store holds during one call: who calls, where it works, what it may
//! do and what it has used. Dropped with the Store at the call's end.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::convert::ImportError;
use super::limits::StoreLimiter;
use super::manifest::PluginEntry;
use super::meter::Meter;
use crate::agent::{Agent, Grant};
use crate::types::CallError;

/// How many things of the host's a component may hold at once: conversations,
/// and the streams and the like that WASI gives.
const MAX_HELD: usize = 64;
/// Bytes that WASI makes up at a time.
const MAX_RANDOM: u64 = 1 << 20;

pub(super) struct CallState {
    pub(super) plugin: Arc<PluginEntry>,
    pub(super) agent: Arc<Agent>,
    pub(super) table: ResourceTable,
    pub(super) limiter: StoreLimiter,
    pub(super) meter: Meter,
    /// Made when it is first asked for: most components never do.
    wasi: Option<WasiCtx>,
}

/// The state itself implements all imports.
pub(super) type Imports = HasSelf<CallState>;

impl CallState {
    pub(super) fn new(plugin: Arc<PluginEntry>, agent: Arc<Agent>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HELD);
        Self {
            limiter: StoreLimiter::new(plugin.limits.memory_mib),
            plugin,
            agent,
            table,
            meter: Meter::default(),
            wasi: None,
        }
    }

    pub(super) fn settings(&self) -> &BTreeMap<String, String> {
        &self.plugin.settings
    }

    /// Begins a call from the component: its computing time counts anew, and
    /// it has to have the grant.
    pub(super) fn enter(&mut self, grant: Grant) -> Result<(), ImportError> {
        self.meter.enter().map_err(ImportError::Trap)?;
        if self.agent.ended_by().is_some() {
            return Err(ImportError::Trap(wasmtime::Error::msg("the attempt is over")));
        }
        if self.agent.rights().allows(grant) {
            return Ok(());
        }
        let (plugin, role) = (&self.plugin.name, self.agent.role());
        if self.meter.is_first_denial(grant) {
            tracing::warn!(plugin, %role, %grant, "denied: the role has no such right");
        }
        Err(CallError::Denied(format!("the role {role} has no right to `{grant}`")).into())
    }

    /// The same for what every component may do.
    pub(super) fn enter_free(&mut self) -> wasmtime::Result<()> {
        self.meter.enter()
    }

    /// Counts bytes that are written down for the component, in a transcript or
    /// a file.
    pub(super) fn hand_over(&mut self, bytes: usize) -> Result<(), ImportError> {
        self.meter.hand_over(bytes).map_err(ImportError::Trap)
    }

    /// Counts an epoch; an error once the component has computed too long.
    pub(super) fn tick(&mut self) -> wasmtime::Result<()> {
        self.meter.tick(self.plugin.limits.compute_milliseconds)
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(empty_wasi), table: &mut self.table }
    }
}

/// No folders, no environment, no sockets: clocks and randomness.
fn empty_wasi() -> WasiCtx {
    WasiCtx::builder().allow_tcp(false).allow_udp(false).max_random_size(MAX_RANDOM).build()
}
