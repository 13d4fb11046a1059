//! The one test binary over the real program: each test runs `code-agent` on a
//! repository of its own, against the scripted model server over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]
#![allow(clippy::disallowed_methods, reason = "tests make what they look at")]

mod architecture;
mod broken_storage;
mod budget;
mod chaos;
mod check;
mod checked_push;
mod claims;
mod commands;
mod components;
mod conflicts;
mod crashes;
mod examples;
mod examples_in_rust;
mod faults;
mod filters;
mod frozen;
mod going_back;
mod greedy;
mod half_moves;
mod hostile_inputs;
mod hostile_planners;
mod hot_reload;
mod interruption;
mod judges;
mod junk;
mod large_run;
mod left_behind;
mod library;
mod merge_queue;
mod merging;
mod missing_branch;
mod models;
mod new_plugins;
mod plugin_command;
mod plugin_trial;
mod program;
mod project;
mod push;
mod red_branch;
mod refusals;
mod remote;
mod replay;
mod restore;
mod resumed_plans;
mod sandbox;
mod scripts;
mod status;
mod stopped_push;
mod storm;
mod story;
mod tool_plugins;
mod users_side;
mod watched;
mod whole_run;
mod workshop;
