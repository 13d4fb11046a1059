//! Takes without end: time, stack, memory, log lines, conversations.

use std::hint::black_box;

use crate::bindings::code_agent::plugin::log::{self, Level};
use crate::bindings::code_agent::plugin::types::Error;
use crate::bindings::code_agent::plugin::{lm, settings};

/// How much "memory" asks for at a time, in bytes.
const STEP: usize = 16 << 20;
/// Blocks of that size in 4 GiB.
const MOST_BLOCKS: usize = 256;
/// Whoever gets 3 GiB is not limited.
const UNLIMITED_BLOCKS: usize = 192;

#[cfg(target_arch = "wasm32")]
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
pub fn trap() -> ! {
    std::process::abort()
}

pub fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory until none is given, and says how much it got. Traps if it got
/// nearly all that an address of 32 bits can reach: then no limit held.
pub fn take_all_memory() -> Result<String, Error> {
    // Room for all blocks, since this list can't grow when memory is gone.
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(MOST_BLOCKS);
    while blocks.len() < MOST_BLOCKS {
        let mut block = Vec::new();
        if block.try_reserve_exact(STEP).is_err() {
            break;
        }
        // Only memory that is touched costs the host something.
        block.resize(STEP, 1_u8);
        blocks.push(black_box(block));
    }
    let taken = blocks.len();
    drop(blocks);
    if taken >= UNLIMITED_BLOCKS {
        trap();
    }
    Err(Error::Exhausted(format!("no more memory after {} MiB", taken * (STEP >> 20))))
}

pub fn recurse_without_end() -> Result<String, Error> {
    Err(Error::Invalid(format!("came back with {}", recurse(black_box(0)))))
}

/// Calls itself until the call stack is used up: each call waits for what the
/// one below it returns, so that the compiler can't make a loop of it. It keeps
/// nothing in memory, for it is the host's stack that has to be guarded.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).rotate_left(7) ^ depth.wrapping_mul(3) }
}

/// A million lines and more.
pub fn log_without_end() -> ! {
    loop {
        log::write(Level::Debug, "again and again");
    }
}

/// Conversations by the million; none is closed.
pub fn open_without_end() -> Result<String, Error> {
    loop {
        let options =
            lm::Options { system: String::new(), tools: Vec::new(), max_output_tokens: None };
        std::mem::forget(lm::Conversation::open(&options)?);
    }
}

/// Cheap calls, each of which starts the computing time anew.
pub fn ask_without_end() -> Result<String, Error> {
    loop {
        settings::get("nothing")?;
    }
}
