//! `run_command`, as models see it. Running is the agent's business.

use super::arguments::Arguments;
use super::specs::{Kind, Parameter, Tool};
use crate::agent::{Agent, ended};
use crate::types::CallError;

/// The tool.
pub const RUN_COMMAND: Tool = Tool {
    name: "run_command",
    description: "Runs a shell command at the repository's top: builds, tests, linters, programs. It runs in a \
        sandbox: no network beyond itself, writes only below the repository and /tmp, no git. Nothing can answer a \
        prompt, and what is left running in the background ends with the command. Shows the exit code and what it \
        said, stdout and stderr together, shortened in the middle where that is long.",
    writes: true,
    parameters: &[
        Parameter {
            name: "command",
            kind: Kind::Text,
            required: true,
            description: "The command line, for `sh -c`: `cargo test --workspace`, `cd web && npm test`.",
        },
        Parameter {
            name: "timeout_seconds",
            kind: Kind::Number,
            required: false,
            description: "How long it may take; 120 if left out, at most 1800.",
        },
    ],
};

/// Runs a model's call.
pub async fn call(agent: &Agent, arguments: &str) -> Result<String, CallError> {
    let arguments = Arguments::parse(&RUN_COMMAND, arguments)?;
    let command = arguments.required_text("command")?;
    let ran = agent.run_command(command, arguments.number("timeout_seconds")).await?;
    let output =
        if ran.output.trim().is_empty() { "(it said nothing)" } else { ran.output.trim_end() };
    Ok(format!("{}\n{output}", ended(&ran)))
}
