//! The agent loop's outside as the contract provides it: the conversation, the
//! host's tools, settings and the log. Owns no rule of the loop. Works inside a
//! component only.

use crate::agent::{self, Agent};
use crate::lm::{Conversation, Options, Reply};
use crate::log::Level;
use crate::session::Session;
use crate::tools::{ToolCall, ToolResult, ToolSpec};
use crate::types::Error;
use crate::{log, settings, tools};

/// Lets a model work with its tools until it finishes; returns what it finished
/// with. The user's settings `max-turns` and `max-output-tokens` are heeded.
///
/// # Errors
/// Those of [`agent::converse`], those of the host's calls, and `invalid` for a
/// setting that is no number.
pub fn run<S, R>(mut agent: Agent<S, R>, state: &mut S) -> Result<R, Error> {
    log_panics();
    if let Some(max_turns) = number_setting("max-turns")? {
        agent.max_turns = max_turns;
    }
    let options = Options {
        // Moved, for what a component has touched once stays in memory.
        system: std::mem::take(&mut agent.system),
        tools: offered_tools(&agent, tools::specs()?),
        max_output_tokens: number_setting("max-output-tokens")?,
    };
    let mut session = HostSession { conversation: Conversation::open(&options)? };
    agent::converse(&mut session, &agent, state)
}

/// A component that panics traps, and a trap tells nobody why: the host gets the
/// message first.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log::write(Level::Error, &panic.to_string())));
}

fn number_setting(key: &str) -> Result<Option<u32>, Error> {
    settings::get(key)?.map(|value| parse_number(key, &value)).transpose()
}

fn parse_number(key: &str, value: &str) -> Result<u32, Error> {
    match value.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Error::Invalid(format!(
            "the setting `{key}` is \"{value}\"; set it to a whole number of 1 or more"
        ))),
    }
}

/// The host's tools and the role's own. Where both have a name, the role's own
/// stands, since models refuse two tools of one name.
fn offered_tools<S, R>(agent: &Agent<S, R>, host_tools: Vec<ToolSpec>) -> Vec<ToolSpec> {
    let own = |name: &str| agent.tools.iter().any(|tool| tool.name == name);
    let others = host_tools.into_iter().filter(|tool| !own(&tool.name));
    others.chain(agent.tools.iter().map(crate::OwnTool::spec)).collect()
}

struct HostSession {
    conversation: Conversation,
}

impl Session for HostSession {
    fn say(&mut self, text: &str) -> Result<(), Error> {
        self.conversation.say(text)
    }

    fn answer(&mut self, results: &[ToolResult]) -> Result<(), Error> {
        self.conversation.answer(results)
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        self.conversation.reply()
    }

    fn elide_results(&mut self, keep: u32) {
        self.conversation.elide_results(keep);
    }

    fn call_tools(&mut self, calls: &[ToolCall]) -> Result<Vec<ToolResult>, Error> {
        tools::call(calls)
    }

    fn log(&mut self, level: Level, message: &str) {
        log::write(level, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OwnTool;
    use serde_json::{Value, json};

    #[test]
    fn a_setting_is_a_number_from_one_on() {
        assert_eq!(parse_number("max-turns", " 40 "), Ok(40));
        for bad in ["0", "-1", "many", ""] {
            let error = parse_number("max-turns", bad).unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if text.contains("`max-turns`")));
        }
    }

    #[test]
    fn an_own_tool_hides_the_hosts_tool_of_that_name() {
        let finish = OwnTool::<(), ()>::finish("done", "mine", json!({}), |_, _: Value| Ok(()));
        let agent = Agent {
            system: String::new(),
            first_message: String::new(),
            tools: vec![finish],
            max_turns: 1,
        };
        let foreign = |name: &str| ToolSpec {
            name: name.into(),
            description: "host's".into(),
            parameters: "{}".into(),
            writes: false,
        };
        let offered = offered_tools(&agent, vec![foreign("read"), foreign("done")]);
        let names: Vec<_> = offered.iter().map(|tool| (&*tool.name, &*tool.description)).collect();
        assert_eq!(names, [("read", "host's"), ("done", "mine")]);
    }
}
