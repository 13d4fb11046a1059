//! What a Store holds during one call: who calls, where it works, what it may
//! do and what it has used. Dropped with the Store at the call's end.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;

use wasmtime::component::{HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::convert::ImportError;
use super::limits::StoreLimiter;
use super::machine::Machine;
use super::meter::Meter;
use super::tally::{LogLine, Tally};
use super::{Plugin, grants};
use crate::agent::{Agent, Grant, Rights};
use crate::types::CallError;

/// How many things of the host's a component may hold at once: conversations,
/// and the streams and the like that WASI gives.
const MAX_HELD: usize = 64;
/// Bytes that WASI makes up at a time.
const MAX_RANDOM: u64 = 1 << 20;

/// What a plugin may do while it only says what its tools are.
const WITHOUT_CALLER: Rights = Rights::these(&[Grant::Settings]);

/// For whom a plugin works.
pub(super) struct Caller {
    pub(super) agent: Arc<Agent>,
    /// What may be done in the agent's name: the agent's rights for a role, those
    /// of the role's plugin for a tool that it calls.
    pub(super) rights: Rights,
}

pub(super) struct CallState {
    machine: Arc<Machine>,
    pub(super) plugin: Arc<Plugin>,
    caller: Option<Caller>,
    rights: Rights,
    pub(super) table: ResourceTable,
    pub(super) limiter: StoreLimiter,
    pub(super) meter: Meter,
    /// What is written down for it while nobody calls it.
    own_tally: Tally,
    /// Made when it is first asked for: most components never do.
    wasi: Option<WasiCtx>,
}

/// The state itself implements all imports.
pub(super) type Imports = HasSelf<CallState>;

impl CallState {
    pub(super) fn new(machine: Arc<Machine>, plugin: Arc<Plugin>, caller: Option<Caller>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HELD);
        let of_caller = caller.as_ref().map_or(WITHOUT_CALLER, |caller| caller.rights);
        Self {
            limiter: StoreLimiter::new(plugin.limits.memory_mib),
            rights: plugin.rights(of_caller),
            machine,
            plugin,
            caller,
            table,
            meter: Meter::default(),
            own_tally: Tally::default(),
            wasi: None,
        }
    }

    pub(super) fn settings(&self) -> &BTreeMap<String, String> {
        &self.plugin.entry.settings
    }

    /// What this call may do.
    pub(super) fn rights(&self) -> Rights {
        self.rights
    }

    /// Names the caller in logs.
    pub(super) fn caller_name(&self) -> &str {
        self.caller.as_ref().map_or("nobody", |caller| caller.agent.name())
    }

    /// Begins a call from the component: its computing time counts anew, and
    /// it has to have the grant. Returns the agent that it works for.
    #[track_caller]
    pub(super) fn enter(&mut self, grant: Grant) -> Result<Arc<Agent>, ImportError> {
        self.check(grant)?;
        match &self.caller {
            Some(caller) => Ok(caller.agent.clone()),
            None => Err(self.deny(grant, Location::caller())),
        }
    }

    /// The same for what needs no agent.
    #[track_caller]
    pub(super) fn check(&mut self, grant: Grant) -> Result<(), ImportError> {
        self.meter.enter().map_err(ImportError::Trap)?;
        if self.caller.as_ref().is_some_and(|caller| caller.agent.ended_by().is_some()) {
            return Err(ImportError::Trap(wasmtime::Error::msg("the attempt is over")));
        }
        if self.rights.allows(grant) { Ok(()) } else { Err(self.deny(grant, Location::caller())) }
    }

    fn deny(&self, grant: Grant, place: &'static Location<'static>) -> ImportError {
        let Plugin { entry, kind, .. } = &*self.plugin;
        let caller = self.caller.as_ref().map(|caller| (caller.agent.role(), caller.rights));
        let sentence = grants::denial(entry, *kind, grant, caller);
        let denied = (entry.name.clone(), caller.map(|(role, _)| role), place);
        if self.machine.is_first_denial(denied) {
            tracing::warn!(plugin = entry.name, %grant, "denied: {sentence}");
        }
        CallError::Denied(sentence).into()
    }

    /// The same for what every component may do.
    pub(super) fn enter_free(&mut self) -> wasmtime::Result<()> {
        self.meter.enter()
    }

    /// Counts bytes that are written down for the component, in a transcript or
    /// a file.
    pub(super) fn hand_over(&mut self, bytes: usize) -> Result<(), ImportError> {
        let plugin = &self.plugin.entry.name;
        self.tally().hand_over(plugin, bytes).map_err(ImportError::Trap)
    }

    /// Counts a line of so many bytes that it logs.
    pub(super) fn log(&mut self, bytes: usize) -> wasmtime::Result<LogLine> {
        self.tally().log(&self.plugin.entry.name, bytes)
    }

    fn tally(&self) -> &Tally {
        self.caller.as_ref().map_or(&self.own_tally, |caller| &caller.agent.tally)
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
