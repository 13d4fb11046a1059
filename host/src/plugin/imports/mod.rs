//! What the host offers to components: one file per interface of the
//! contract. Each function first enters, which checks the grant and starts
//! the component's computing time anew; the work itself is done elsewhere.

mod commands;
mod files;
mod files_write;
mod git;
mod git_write;
mod lm;
mod log;
mod settings;
mod tools;
mod types;

use wasmtime::component::Linker;

use super::bindings::Contract;
use super::state::{CallState, Imports};

/// Links all interfaces, and WASI with nothing behind it for guests of
/// languages whose runtime imports it.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    Contract::add_to_linker::<_, Imports>(linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
