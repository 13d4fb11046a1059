//! What one call of a component may use: memory over all its linear memories,
//! tables, instances, handles, stack and the size of what it hands over. What
//! the host counts itself is the meter's.

use wasmtime::{Error, ResourceLimiter, Result};

/// How often the engine's epoch moves on; the grain of the computing time.
pub(super) const TICK_MILLISECONDS: u32 = 10;

/// Elements of all tables together. The largest guest known, a Python
/// interpreter, has some 10,000.
const MAX_TABLE_ELEMENTS: usize = 200_000;
/// A Python guest has 38 core modules, each an instance with its own tables.
const MAX_INSTANCES: usize = 200;
/// Each reserves more than 4 GiB of addresses, however small it is, and a
/// process has 128 TiB of them: enough for a thousand calls at once.
const MAX_MEMORIES: usize = 16;
/// Handles of resources that live at once, a component's own included.
pub(super) const MAX_HANDLES: usize = 1_000;
/// Bytes that a component may hand over in one call to the host, or in what it
/// returns: above the largest file that a tool writes, 10 MiB.
pub(super) const HOSTCALL_BYTES: usize = 32 << 20;
/// Bytes of the stack that a component's calls may take.
pub(super) const STACK_BYTES: usize = 512 << 10;

/// Counts what a Store uses. `StoreLimits` counts for each memory and table
/// alone, so that a component with a hundred memories had a hundred times the
/// limit.
#[derive(Debug)]
pub(super) struct StoreLimiter {
    max_memory: usize,
    memory: usize,
    table_elements: usize,
}

impl StoreLimiter {
    pub(super) fn new(memory_mib: u32) -> Self {
        let max_memory = usize::try_from(memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Self { max_memory, memory: 0, table_elements: 0 }
    }
}

impl ResourceLimiter for StoreLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if is_beyond(desired, maximum) {
            return Ok(false);
        }
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.max_memory {
            // An error ends the call with this sentence; a plain `false` would
            // let it go on and fail somewhere else with no reason given.
            return Err(Error::msg(format!(
                "it asked for {} MiB of memory; its limit is {} MiB (limits.memory-mib in plugins.toml)",
                memory >> 20,
                self.max_memory >> 20
            )));
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if is_beyond(desired, maximum) {
            return Ok(false);
        }
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current));
        if elements > MAX_TABLE_ELEMENTS {
            return Err(Error::msg(format!(
                "its tables have more than {MAX_TABLE_ELEMENTS} elements"
            )));
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// What the component itself has ruled out is not given, and so not counted.
fn is_beyond(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut limiter = StoreLimiter::new(2);
        assert!(limiter.memory_growing(0, 1 << 20, None).is_ok());
        assert!(limiter.memory_growing(0, 1 << 20, None).is_ok());
        let error = limiter.memory_growing(1 << 20, (1 << 20) + 1, None).unwrap_err();
        assert!(error.to_string().contains("limit is 2 MiB"));
    }

    #[test]
    fn what_is_not_given_is_not_counted() {
        let mut limiter = StoreLimiter::new(2);
        for _ in 0..10 {
            assert!(!limiter.memory_growing(1 << 20, 2 << 20, Some(1 << 20)).unwrap());
            assert!(!limiter.table_growing(0, 150_000, Some(100_000)).unwrap());
        }
        assert!(limiter.memory_growing(0, 2 << 20, None).unwrap());
        assert!(limiter.table_growing(0, 150_000, None).unwrap());
        assert!(limiter.table_growing(0, 150_000, None).is_err());
    }
}
