//! The agent: what a model is told, what it may call, and how its conversation is
//! opened. Owns the user's settings for it; what happens then is `turns`'
//! business, what the model is told about its role the plugin's.

use crate::lm::{Conversation, Options};
use crate::tools::ToolSpec;
use crate::types::Error;
use crate::{OwnTool, panics, settings, tools, turns};

/// One agent: what the model is told and what it may call. `S` is what its own
/// tools collect, `R` what its finishing tool returns.
///
/// The guide has [a page about its loop](crate::guide::agent_loop).
pub struct Agent<S, R> {
    /// The system prompt.
    pub system: String,
    /// The first message from the user's side.
    pub first_message: String,
    /// The role's own tools, at least one of which finishes. The host's tools are
    /// offered beside them.
    pub tools: Vec<OwnTool<S, R>>,
    /// So many replies of the model, and the attempt is over; the user's setting
    /// `max-turns` comes first.
    pub max_turns: u32,
}

impl<S, R> Agent<S, R> {
    /// Lets the model work until a finishing tool takes its call; returns what it
    /// finished with. The user's settings `max-turns` and `max-output-tokens` are
    /// heeded.
    ///
    /// # Errors
    /// `exhausted` when the turns are used up or one call is made over and over;
    /// `invalid` when the model refuses or stops without the finishing tool, and
    /// for a setting that is no number; `too-long` when it can't get an answer
    /// out; else what the host's calls return.
    pub fn run(mut self, state: &mut S) -> Result<R, Error> {
        panics::log();
        if let Some(max_turns) = number_setting("max-turns")? {
            self.max_turns = max_turns;
        }
        let options = Options {
            system: self.system.clone(),
            tools: offered_tools(&self, tools::specs()?),
            max_output_tokens: number_setting("max-output-tokens")?,
        };
        turns::take(&Conversation::open(&options)?, &self, state)
    }
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
    let own = |name: &str| agent.tools.iter().any(|tool| tool.name() == name);
    let others = host_tools.into_iter().filter(|tool| !own(&tool.name));
    others.chain(agent.tools.iter().map(OwnTool::spec)).collect()
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::{Event, Host, Ran, call};

    /// One word.
    #[derive(Deserialize, JsonSchema)]
    struct Word {
        word: String,
    }

    fn run(host: Host) -> Ran<Result<String, Error>> {
        let agent = Agent {
            system: "You find a word.".into(),
            first_message: "begin".into(),
            tools: vec![OwnTool::finish("finish", |_: &mut (), Word { word }| Ok(word))],
            max_turns: 9,
        };
        host.tool("read", |_| Ok("read done".into())).run(|| agent.run(&mut ()))
    }

    fn options(ran: &Ran<Result<String, Error>>) -> &Options {
        match ran.events.first() {
            Some(Event::Opened(options)) => options,
            other => panic!("it began with {other:?}"),
        }
    }

    #[test]
    fn the_users_settings_are_heeded() {
        let host = Host::new().setting("max-turns", " 1 ").setting("max-output-tokens", "500");
        let ran = run(host.reply(call("read", json!({}))));
        let Err(Error::Exhausted(why)) = &ran.returned else { panic!("{:?}", ran.returned) };
        assert!(why.contains("all 1 turns"), "{why}");
        assert_eq!(options(&ran).max_output_tokens, Some(500));
        for bad in ["0", "-1", "many", ""] {
            let ran = run(Host::new().setting("max-turns", bad));
            let Err(Error::Invalid(why)) = &ran.returned else { panic!("{:?}", ran.returned) };
            assert!(why.contains("`max-turns`"), "{why}");
        }
    }

    #[test]
    fn an_own_tool_hides_the_hosts_tool_of_that_name() {
        let host = Host::new().tool("finish", |_| Ok("the host's".into()));
        let ran = run(host.reply(call("finish", json!({"word": "mine"}))));
        assert_eq!(ran.returned, Ok("mine".to_owned()));
        let offered = options(&ran).tools.iter().map(|tool| (&*tool.name, &*tool.description));
        let expected = [("read", "The test's read."), ("finish", "One word.")];
        assert_eq!(offered.collect::<Vec<_>>(), expected);
    }
}
