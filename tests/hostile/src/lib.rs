//! A sub-planner that misbehaves in the way that its domain's name asks for, so
//! that tests can see the host's limits hold. Any other name gets one plain
//! task, without a model. It fills the role of the merger too, and traps there.
//! Owns no rule: what has to happen is the tests'.

/// The bindings, without the SDK: a component owes the host nothing but the
/// contract.
mod bindings {
    // Generated code: its unsafe blocks are the canonical ABI.
    #![allow(missing_docs, unsafe_code)]

    wit_bindgen::generate!({
        world: "sub-planner-plugin",
        path: "../../wit",
        generate_all,
    });

    export!(Hostile with_types_in self);

    use super::Hostile;

    /// The other role, on top of the same imports.
    pub mod merger {
        use super::code_agent::plugin;

        wit_bindgen::generate!({
            world: "merger-plugin",
            path: "../../wit",
            with: {
                "code-agent:plugin/types@0.1.0": plugin::types,
                "code-agent:plugin/tools@0.1.0": plugin::tools,
                "code-agent:plugin/lm@0.1.0": plugin::lm,
                "code-agent:plugin/files@0.1.0": plugin::files,
                "code-agent:plugin/git@0.1.0": plugin::git,
                "code-agent:plugin/settings@0.1.0": plugin::settings,
                "code-agent:plugin/log@0.1.0": plugin::log,
            },
            generate_all,
        });

        export!(Hostile with_types_in self);

        use super::super::Hostile;
    }
}

use std::hint::black_box;

use bindings::code_agent::plugin::tools;
use bindings::code_agent::plugin::types::{Brief, Domain, Error, Priority, TaskDraft};
use bindings::exports::code_agent::plugin::sub_planner::{DomainPlan, Guest};
use bindings::merger::exports::code_agent::plugin::merger;

/// How much "memory" asks for at a time, in bytes.
const STEP: usize = 16 << 20;
/// Blocks of that size in 4 GiB.
const MOST_BLOCKS: usize = 256;
/// Whoever gets 3 GiB is not limited.
const UNLIMITED_BLOCKS: usize = 192;

struct Hostile;

impl Guest for Hostile {
    fn plan_domain(
        _brief: Brief,
        _overview: String,
        domain: Domain,
        _depth: u32,
    ) -> Result<DomainPlan, Error> {
        match domain.name.as_str() {
            "trap" => trap(),
            "loop" => spin(),
            "memory" => take_all_memory(),
            "recursion" => Err(Error::Invalid(format!("came back with {}", recurse(black_box(0))))),
            "error" => Err(Error::Unavailable("this domain asks for an error".to_owned())),
            name => match name.strip_prefix("calls ").and_then(|count| count.parse().ok()) {
                Some(count) => call_tools(count, &domain),
                None => Ok(one_task(domain)),
            },
        }
    }
}

impl merger::Guest for Hostile {
    fn merge(_: Brief, _: merger::MergeRequest) -> Result<merger::MergeReport, Error> {
        trap()
    }
}

/// Makes so many calls of one tool, one after the other: the domain's pattern
/// is the tool's name, its description the arguments. For benchmarks.
fn call_tools(count: u32, domain: &Domain) -> Result<DomainPlan, Error> {
    for _ in 0..count {
        let call = tools::ToolCall {
            id: "1".to_owned(),
            name: domain.file_patterns.concat(),
            arguments: domain.description.clone(),
        };
        let results = tools::call(&[call])?;
        if results.iter().any(|result| result.is_error) {
            return Err(Error::Invalid("a tool's call failed".to_owned()));
        }
    }
    let summary = format!("{count} calls were answered");
    Ok(DomainPlan { summary, tasks: Vec::new(), domains: Vec::new() })
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory until none is given, and says how much it got. Traps if it got
/// nearly all that an address of 32 bits can reach: then no limit held.
fn take_all_memory() -> Result<DomainPlan, Error> {
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

/// Calls itself until the call stack is used up: each call waits for what the
/// one below it returns, so that the compiler can't make a loop of it. It keeps
/// nothing in memory, for it is the host's stack that has to be guarded.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).rotate_left(7) ^ depth.wrapping_mul(3) }
}

fn one_task(domain: Domain) -> DomainPlan {
    let draft = TaskDraft {
        title: format!("Add {}", domain.name),
        description: domain.description,
        priority: Priority::Medium,
        file_paths: domain.file_patterns,
    };
    DomainPlan {
        summary: format!("one task for {}", domain.name),
        tasks: vec![draft],
        domains: Vec::new(),
    }
}
