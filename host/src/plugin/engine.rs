//! The engine that compiles and runs components, and the clock that its
//! epochs go by.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Engine};

use super::limits::{STACK_BYTES, TICK_MILLISECONDS};
use crate::{Error, Result};

/// Bytes of compiled components that are kept; beyond that, those go that were
/// not used for the longest time.
const LARGEST_CACHE: u64 = 512 * 1024 * 1024;

/// Makes the engine. Proposals that no guest needs are off, since each is
/// code that a hostile component could reach. Constant expressions with sums
/// are on, since the Python interpreter of componentize-py is linked with them.
pub(super) fn new(cache: &Path) -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_extended_const(true)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .epoch_interruption(true)
        // What is left of a call's whole stack, 1.5 MiB, is the host functions'.
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(4 * STACK_BYTES);
    let mut cache_config = CacheConfig::new();
    // What is loaded often would be compressed anew, better, in a thread that takes
    // some 160 MiB of memory for it, in the middle of a run.
    let never = u64::MAX;
    cache_config
        .with_directory(cache)
        .with_files_total_size_soft_limit(LARGEST_CACHE)
        .with_optimized_compression_usage_counter_threshold(never);
    match Cache::new(cache_config) {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => {
            tracing::warn!("compiled components are not kept in {}: {error:#}", cache.display());
        }
    }
    Engine::new(&config)
        .map_err(|error| Error::failed(format!("can't start the WebAssembly engine: {error:#}")))
}

/// Moves the engine's epoch on, so that a looping component yields to others
/// and is ended in time. Stops and joins its thread when dropped.
pub(super) struct EpochTicker {
    stop: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl EpochTicker {
    pub(super) fn start(engine: &Engine) -> Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let engine = engine.weak();
        let tick = Duration::from_millis(u64::from(TICK_MILLISECONDS));
        let thread = thread::Builder::new()
            .name("epoch-ticker".into())
            .spawn(move || {
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| Error::failed(format!("can't start the epoch thread: {error}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        // The thread may have ended already; then nobody listens.
        let _ = self.stop.try_send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the epoch thread panicked");
        }
    }
}
