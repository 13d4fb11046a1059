//! The tools that a [`testing::Host`](crate::testing::Host) was given. In a
//! component, all that the caller may use: the host's own and those of plugins.

pub use crate::bindings::imports::code_agent::plugin::tools::{ToolCall, ToolResult, ToolSpec};
use crate::mistake::sentence;
use crate::testing::Event;
use crate::testing::state::granted;
use crate::types::Error;

/// What they are.
pub fn specs() -> Result<Vec<ToolSpec>, Error> {
    granted("tools", |state| Ok(state.tools.iter().map(|(spec, _)| spec.clone()).collect()))
}

/// Runs the calls, one after the other. What the model can mend comes back as a
/// result with `is_error`.
pub fn call(calls: &[ToolCall]) -> Result<Vec<ToolResult>, Error> {
    let tools = granted("tools", |state| {
        state.events.push(Event::Called(calls.to_vec()));
        Ok(state.tools.clone())
    })?;
    // The host is not borrowed any more: a tool may use it.
    let answer = |call: &ToolCall| match tools.iter().find(|(spec, _)| spec.name == call.name) {
        Some((_, answer)) => answer(&call.arguments),
        None => Err(Error::NotFound(format!("no tool is called `{}`", call.name))),
    };
    let result = |call: &ToolCall| {
        let (output, is_error) = match answer(call) {
            Ok(output) => (output, false),
            Err(error) => (sentence(&error), true),
        };
        ToolResult { id: call.id.clone(), output, is_error }
    };
    Ok(calls.iter().map(result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use crate::testing::Host;

    #[test]
    fn a_tool_may_use_the_host_and_one_that_is_not_there_is_named() {
        let call_of = |name: &str| ToolCall {
            id: name.to_owned(),
            name: name.to_owned(),
            arguments: "{}".to_owned(),
        };
        let ran = Host::new()
            .file("a", "one")
            .tool("read", |_| files::read_lines("a", 1, 1))
            .run(|| call(&[call_of("read"), call_of("write")]));
        let results = ran.returned.unwrap();
        assert_eq!((&*results[0].output, results[0].is_error), ("one", false));
        assert!(results[1].is_error && results[1].output.contains("`write`"));
    }
}
