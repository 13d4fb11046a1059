//! The contract in Rust: what `wit-bindgen` makes of `wit/`. The imports are
//! bound once, in [`imports`]; the world of each role, and that of tools, adds its
//! export and shares their types. Owns no behaviour.
//!
//! A world's export gets into a component through its `export_…!` macro alone,
//! which the plugin's crate expands. That is why all worlds can stand here side by
//! side, and a component still exports nothing but its own. Imports that a
//! component does not use are dropped when it is linked.

// Generated code: its unsafe blocks are the canonical ABI, and its documentation
// is the contract's, which leaves out what a name says already.
#![allow(missing_docs, unsafe_code)]

/// Everything that the host provides.
pub mod imports {
    wit_bindgen::generate!({
        world: "sdk",
        path: "../../wit",
        generate_all,
        additional_derives: [PartialEq],
    });
}

/// Binds one world on top of the imports above: its trait `Guest`, its records
/// and its macro. What follows the name of the macro is what the world imports,
/// which is what it shares.
macro_rules! export {
    (
        $module:ident, $world:literal, $export:literal, $bindings:literal
        $(, $interface:literal => $shared:ident)*
    ) => {
        /// One world's trait `Guest`, its records and its macro.
        pub mod $module {
            use crate::bindings::imports::code_agent::plugin;

            wit_bindgen::generate!({
                world: $world,
                path: "../../wit",
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $bindings,
                additional_derives: [PartialEq],
                with: {
                    "code-agent:plugin/types@0.1.0": plugin::types,
                    "code-agent:plugin/tools@0.1.0": plugin::tools,
                    "code-agent:plugin/files@0.1.0": plugin::files,
                    "code-agent:plugin/git@0.1.0": plugin::git,
                    "code-agent:plugin/settings@0.1.0": plugin::settings,
                    "code-agent:plugin/log@0.1.0": plugin::log,
                    $($interface: plugin::$shared,)*
                },
            });
        }
    };
}

export!(
    main_planner,
    "main-planner-plugin",
    "export_main_planner",
    "code_agent_sdk::bindings::main_planner",
    "code-agent:plugin/lm@0.1.0" => lm
);
export!(
    sub_planner,
    "sub-planner-plugin",
    "export_sub_planner",
    "code_agent_sdk::bindings::sub_planner",
    "code-agent:plugin/lm@0.1.0" => lm
);
export!(
    worker,
    "worker-plugin",
    "export_worker",
    "code_agent_sdk::bindings::worker",
    "code-agent:plugin/lm@0.1.0" => lm,
    "code-agent:plugin/files-write@0.1.0" => files_write,
    "code-agent:plugin/git-write@0.1.0" => git_write,
    "code-agent:plugin/commands@0.1.0" => commands
);
export!(
    merger,
    "merger-plugin",
    "export_merger",
    "code_agent_sdk::bindings::merger",
    "code-agent:plugin/lm@0.1.0" => lm,
    "code-agent:plugin/files-write@0.1.0" => files_write,
    "code-agent:plugin/commands@0.1.0" => commands
);
export!(
    judge,
    "judge-plugin",
    "export_judge",
    "code_agent_sdk::bindings::judge",
    "code-agent:plugin/lm@0.1.0" => lm,
    "code-agent:plugin/commands@0.1.0" => commands
);
export!(
    tool_provider,
    "tool-plugin",
    "export_tool_provider",
    "code_agent_sdk::bindings::tool_provider",
    "code-agent:plugin/files-write@0.1.0" => files_write,
    "code-agent:plugin/commands@0.1.0" => commands
);
