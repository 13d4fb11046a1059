#![doc = include_str!("../docs/sdk.md")]
//!
//! # The map
//!
//! [`agent`] is a model with its tools and [`turns`] the loop between them, with
//! [`own_tool`] for the role's own tools and [`repeats`] for the call that is made
//! over and over;
//! [`tool`] is for plugins that bring tools to every role; [`message`] turns a
//! brief into Markdown; [`planning`] is what both planners share,
//! [`judging`] what judges share; [`testing`] is
//! the host that tests have. [`files`], [`git`], [`commands`] and the others are
//! the contract's imports. Owns no prompt and no role: those are the plugins'.

pub mod agent;
mod arguments;
#[doc(hidden)]
pub mod bindings;
mod calls;
pub mod guide;
pub mod judging;
pub mod message;
mod mistake;
pub mod own_tool;
mod panics;
pub mod planning;
pub mod repeats;
mod silence;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod tool;
pub mod turns;

pub use agent::Agent;
pub use arguments::required_text;
pub use bindings::imports::code_agent::plugin::types;
#[cfg(target_arch = "wasm32")]
pub use bindings::imports::code_agent::plugin::{
    commands, files, files_write, git, git_write, lm, log, settings, tools,
};
pub use mistake::sentence;
pub use own_tool::OwnTool;
#[cfg(not(target_arch = "wasm32"))]
pub use testing::imports::{
    commands, files, files_write, git, git_write, lm, log, settings, tools,
};
pub use tool::Tool;

pub use bindings::judge::export_judge;
pub use bindings::main_planner::export_main_planner;
pub use bindings::merger::export_merger;
pub use bindings::sub_planner::export_sub_planner;
#[doc(hidden)]
pub use bindings::tool_provider::export_tool_provider;
pub use bindings::worker::export_worker;

/// What a main planner implements, and returns.
pub mod main_planner {
    pub use crate::bindings::main_planner::exports::code_agent::plugin::main_planner::{
        Guest, ProjectPlan,
    };
}

/// What a sub-planner implements, and returns.
pub mod sub_planner {
    pub use crate::bindings::sub_planner::exports::code_agent::plugin::sub_planner::{
        DomainPlan, Guest,
    };
}

/// What a worker implements, and returns.
pub mod worker {
    pub use crate::bindings::worker::exports::code_agent::plugin::worker::{Guest, Report};
}

/// What a merger implements, gets, and returns.
pub mod merger {
    pub use crate::bindings::merger::exports::code_agent::plugin::merger::{
        Collision, Guest, MergeReport, MergeRequest,
    };
}

/// What a judge implements, gets, and returns.
pub mod judge {
    pub use crate::bindings::judge::exports::code_agent::plugin::judge::{
        CheckResult, CycleReport, Decision, Guest, TaskOutcome, TaskStatus, Verdict,
    };
}

/// What [`export_tools!`] implements for a tool plugin.
pub mod tool_provider {
    pub use crate::bindings::tool_provider::exports::code_agent::plugin::tool_provider::Guest;
}
