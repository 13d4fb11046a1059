//! code-agent: a team of coding agents on one repository, every role a
//! WebAssembly component that is loaded at run time.
//!
//! # The map
//!
//! - [`config`]: what a run is asked to do; [`run`]: a whole run, put together.
//! - [`cycle`]: the hierarchy: plan, sub-plan, work, judge, start fresh.
//! - [`crew`]: the roles as they really are, behind what `cycle` asks for;
//!   [`agent`]: one agent at work, its rights, its model and how its work lands.
//! - [`queue`]: the task store; [`events`]: what happened, as one stream.
//! - [`lm`]: conversations with models; [`repo`]: checkouts and landing;
//!   [`tools`]: the host's own tools; [`sandbox`]: commands behind walls;
//!   [`plugin`]: components.
//! - [`transcript`]: what was said and decided, written down and played back.
//! - [`scaffold`]: a new plugin's folder; [`trial`]: a plugin tried without a run.
//! - [`cli`]: the command line.
//!
//! # Invariants
//!
//! 1. Only `plugin` knows wasmtime. Only `queue` knows SQL. Only `repo` knows
//!    git. Only `lm` knows HTTP. `cycle` sees traits and plain data.
//! 2. Paths inside a checkout are opened through `cap_std::fs::Dir` and nothing
//!    else; a walker may list names, never open them.
//! 3. Roles return data. Only the host changes the queue and the branch. A
//!    crashed component costs one attempt at one task.
//! 4. A call gets a fresh `Store`, dropped afterwards. Nothing carries over
//!    from call to call, or from cycle to cycle: the code is the memory.
//! 5. A secret never enters a Store, a command's environment, the database, a
//!    transcript or a log.
//! 6. What the model can mend goes back to the model. What a new attempt can
//!    mend fails the attempt. What only a person can mend stops the run with a
//!    sentence that says what to do.
//!
//! # Embedding
//!
//! ```no_run
//! use code_agent::{Options, hierarchical_code_agent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> code_agent::Result<()> {
//! let mut options = Options::new("Make the failing tests pass", "/path/to/repository");
//! options.branch = "main".into();
//! options.lm = "vllm:".into();
//! options.api_base = Some("http://localhost:8000".into());
//! options.plugins = vec!["/path/to/plugins".into()];
//! options.max_cycles = 3;
//! options.max_workers = 8;
//! options.auto_commit = true;
//! // Without this program's path there are no commands.
//! options.sandbox_helper = Some("/usr/bin/code-agent".into());
//! for cycle in hierarchical_code_agent(options).await? {
//!     println!("{}: {} done, {}", cycle.cycle_number, cycle.tasks_completed, cycle.judge_reasoning);
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make what they look at"))]

pub mod agent;
pub mod cli;
pub mod clock;
pub mod config;
mod crash;
pub mod crew;
pub mod cycle;
pub mod error;
pub mod events;
pub mod lm;
pub mod plugin;
pub mod queue;
pub mod repo;
pub mod run;
pub mod sandbox;
pub mod scaffold;
pub mod tools;
pub mod transcript;
pub mod trial;
pub mod types;

pub use config::Options;
pub use cycle::CycleResult;
pub use error::{Error, Result, Setback};

/// The folder below the root path that holds the program's own files.
pub const OWN_FOLDER: &str = ".code-agent";

/// Runs the whole hierarchy on a repository and returns what became of each
/// cycle. That the goal is met says the last one's `goal_met`.
pub async fn hierarchical_code_agent(options: Options) -> Result<Vec<CycleResult>> {
    let run = run::Run::prepare(options, clock::Clock::system()).await?;
    // Nobody wishes to stop: the sender lives as long as the run.
    let (_wish, stop) = tokio::sync::watch::channel(false);
    let result = run.go(stop).await?;
    match result.error {
        Some(error) => Err(error),
        None => Ok(result.cycles),
    }
}
