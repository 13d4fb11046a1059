//! What a role needs to be a component, for authors in Rust.
//!
//! The map: [`bindings`] is the contract in Rust; [`agent`] is the loop between a
//! model and its tools, with [`tool`] for the role's own tools, [`repeats`] for
//! the call that is made over and over, and [`session`] for what the loop needs
//! of the outside; [`host`] is that outside as the contract provides it;
//! [`message`] turns a brief into Markdown; [`planning`] is what both planners
//! share. Owns no prompt and no role: those are the plugins'.
//!
//! Everything but [`host`] and [`bindings`] is plain data and functions, and is
//! tested natively. A role is a type that implements its `Guest` and hands it to
//! its macro; `../worker` is a short example.

pub mod agent;
pub mod bindings;
mod calls;
pub mod host;
pub mod message;
pub mod planning;
pub mod repeats;
pub mod session;
mod silence;
pub mod tool;

pub use agent::Agent;
pub use bindings::imports::code_agent::plugin::{
    commands, files, files_write, git, git_write, lm, log, settings, tools, types,
};
pub use bindings::judge::export_judge;
pub use bindings::main_planner::export_main_planner;
pub use bindings::merger::export_merger;
pub use bindings::sub_planner::export_sub_planner;
pub use bindings::worker::export_worker;
pub use tool::OwnTool;

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
