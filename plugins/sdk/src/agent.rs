//! The agent loop: a model and its tools take turns until the role's finishing
//! tool is called. Owns the rules that end or steer a conversation; how the
//! calls of one reply are carried out is `calls`' business, what the model is
//! told about its role the plugin's.

use crate::OwnTool;
use crate::calls::{self, CallOutput};
use crate::lm::{Reply, StopReason};
use crate::log::Level;
use crate::message::clip;
use crate::repeats::{self, Repeats};
use crate::session::Session;
use crate::silence::Silence;
use crate::tools::ToolResult;
use crate::types::Error;

/// From this share of the context window on, old tool results are emptied.
const FULL_CONTEXT: f32 = 0.8;
/// The results of so many replies stay when the context gets full.
const KEPT_WHEN_FULL: u32 = 3;
/// So many stay when the model's server refused the conversation as too long:
/// what the model has not seen yet, and no more.
const KEPT_WHEN_TOO_LONG: u32 = 1;
/// So many turns before the last, the model is told.
const NOTICE_BEFORE_END: u32 = 5;
/// How much of a model's text goes into an error, in bytes.
pub(crate) const QUOTED: usize = 1000;

/// One agent: what the model is told and what it may call. `S` is what its own
/// tools collect, `R` what its finishing tool returns.
pub struct Agent<S, R> {
    /// The system prompt.
    pub system: String,
    /// The first message from the user's side.
    pub first_message: String,
    /// The role's own tools, at least one of which finishes.
    pub tools: Vec<OwnTool<S, R>>,
    /// So many replies of the model, and the attempt is over.
    pub max_turns: u32,
}

/// Lets the model work until a finishing tool takes its call.
///
/// # Errors
/// `exhausted` when the turns are used up or one call is made over and over;
/// `invalid` when the model refuses or stops without the finishing tool;
/// `too-long` when it can't get an answer out; else what the session returns.
pub fn converse<S, R>(
    session: &mut impl Session,
    agent: &Agent<S, R>,
    state: &mut S,
) -> Result<R, Error> {
    session.say(&agent.first_message)?;
    let mut repeats = Repeats::default();
    let mut silence = Silence::default();
    for turn in 1..=agent.max_turns {
        let reply = ask(session)?;
        if reply.stop == StopReason::Refusal {
            let text = clip(&reply.text, QUOTED);
            return Err(Error::Invalid(format!("the model refused to go on: {text}")));
        }
        if reply.calls.is_empty() {
            session.say(&silence.note(&reply, &finishing_tool(agent))?)?;
        } else {
            silence = Silence::default();
            let left = agent.max_turns - turn;
            if let Some(result) = answer(session, agent, state, &reply, &mut repeats, left)? {
                return Ok(result);
            }
        }
        if reply.context_used.is_some_and(|share| share >= FULL_CONTEXT) {
            session.elide_results(KEPT_WHEN_FULL);
        }
    }
    Err(Error::Exhausted(format!(
        "all {} turns are used up, and `{}` was not called; make the task smaller or raise the \
         setting `max-turns`",
        agent.max_turns,
        finishing_tool(agent),
    )))
}

/// Asks the model; once more with an emptied past if the conversation is too
/// long for it.
fn ask(session: &mut impl Session) -> Result<Reply, Error> {
    match session.reply() {
        Err(Error::TooLong(why)) => {
            session.log(Level::Warn, &format!("old tool results are emptied: {why}"));
            session.elide_results(KEPT_WHEN_TOO_LONG);
            session.reply()
        }
        answered => answered,
    }
}

/// Carries out the calls of a reply and appends their results. Returns what the
/// agent finished with, if it did.
fn answer<S, R>(
    session: &mut impl Session,
    agent: &Agent<S, R>,
    state: &mut S,
    reply: &Reply,
    repeats: &mut Repeats,
    turns_left: u32,
) -> Result<Option<R>, Error> {
    let counts: Vec<u32> = reply.calls.iter().map(|call| repeats.note(call)).collect();
    let stuck = |(_, count): &(_, &u32)| **count >= repeats::STOP_AT;
    if let Some((call, count)) = reply.calls.iter().zip(&counts).find(stuck) {
        return Err(Error::Exhausted(format!(
            "the model was stuck: it called `{}` {count} times in a row with the same arguments",
            call.name
        )));
    }
    let (outputs, finished) = calls::carry_out(session, &agent.tools, state, reply)?;
    let mut results: Vec<ToolResult> = reply
        .calls
        .iter()
        .zip(outputs)
        .zip(counts)
        .map(|((call, output), count)| result(call.id.clone(), output, repeats::warning(count)))
        .collect();
    if turns_left == NOTICE_BEFORE_END
        && let Some(last) = results.last_mut()
    {
        let finish = finishing_tool(agent);
        last.output.push_str(&format!(
            "\n\nOnly {turns_left} turns are left. Bring your work to an end and call `{finish}`."
        ));
    }
    match (session.answer(&results), finished) {
        // The work is done; only the transcript lacks its last lines.
        (Err(error), Some(finished)) => {
            session.log(Level::Warn, &format!("the last results were not recorded: {error}"));
            Ok(Some(finished))
        }
        (Err(error), None) => Err(error),
        (Ok(()), finished) => Ok(finished),
    }
}

fn result(id: String, output: CallOutput, warning: Option<String>) -> ToolResult {
    let is_error = output.is_err();
    let mut output = output.unwrap_or_else(|mistake| mistake);
    if let Some(warning) = warning {
        output.push_str("\n\n");
        output.push_str(&warning);
    }
    ToolResult { id, output, is_error }
}

/// The finishing tools' names, for messages.
fn finishing_tool<S, R>(agent: &Agent<S, R>) -> String {
    let names: Vec<_> = agent.tools.iter().filter(|tool| tool.finishes()).map(|t| t.name).collect();
    names.join("` or `")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::lm::Usage;
    use crate::tools::ToolCall;

    /// A session whose model follows a script. It keeps the contract's rule that
    /// each reply's calls are answered in order, each exactly once.
    #[derive(Default)]
    struct Script {
        replies: VecDeque<Result<Reply, Error>>,
        open_calls: Vec<String>,
        events: Vec<String>,
    }

    impl Session for Script {
        fn say(&mut self, text: &str) -> Result<(), Error> {
            assert!(self.open_calls.is_empty(), "spoke before the calls were answered");
            self.events.push(format!("say {text}"));
            Ok(())
        }

        fn answer(&mut self, results: &[ToolResult]) -> Result<(), Error> {
            let ids: Vec<_> = results.iter().map(|result| result.id.clone()).collect();
            assert_eq!(ids, std::mem::take(&mut self.open_calls));
            for result in results {
                let kind = if result.is_error { "error" } else { "result" };
                self.events.push(format!("{kind} {}", result.output));
            }
            Ok(())
        }

        fn reply(&mut self) -> Result<Reply, Error> {
            assert!(self.open_calls.is_empty(), "asked before the calls were answered");
            let reply = self.replies.pop_front().expect("the script is over")?;
            self.open_calls = reply.calls.iter().map(|call| call.id.clone()).collect();
            Ok(reply)
        }

        fn elide_results(&mut self, keep: u32) {
            self.events.push(format!("elide {keep}"));
        }

        fn call_tools(&mut self, calls: &[ToolCall]) -> Result<Vec<ToolResult>, Error> {
            let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
            self.events.push(format!("host {}", names.join("+")));
            let result = |call: &ToolCall| ToolResult {
                id: call.id.clone(),
                output: format!("{} done", call.name),
                is_error: call.name == "fail",
            };
            Ok(calls.iter().map(result).collect())
        }

        fn log(&mut self, _level: Level, message: &str) {
            self.events.push(format!("log {message}"));
        }
    }

    #[derive(Deserialize)]
    struct Word {
        word: String,
    }

    /// Collects words with `note`, and returns them with `finish`.
    fn agent(max_turns: u32) -> Agent<Vec<String>, String> {
        let note = |words: &mut Vec<String>, Word { word }| {
            words.push(word);
            Ok("noted".to_owned())
        };
        let finish = |words: &mut Vec<String>, Word { word }| {
            if word == "no" { Err("not so".to_owned()) } else { Ok(words.join(" ") + &word) }
        };
        let schema = || json!({"required": ["word"]});
        Agent {
            system: String::new(),
            first_message: "begin".into(),
            tools: vec![
                OwnTool::step("note", "", schema(), note),
                OwnTool::finish("finish", "", schema(), finish),
            ],
            max_turns,
        }
    }

    fn reply(stop: StopReason, calls: &[(&str, &str)]) -> Result<Reply, Error> {
        let call = |(index, (name, arguments)): (usize, &(&str, &str))| ToolCall {
            id: index.to_string(),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        };
        Ok(Reply {
            text: "text".into(),
            calls: calls.iter().enumerate().map(call).collect(),
            stop,
            usage: Usage { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0 },
            context_used: None,
        })
    }

    fn calls(calls: &[(&str, &str)]) -> Result<Reply, Error> {
        reply(StopReason::ToolCalls, calls)
    }

    fn play(
        max_turns: u32,
        replies: impl IntoIterator<Item = Result<Reply, Error>>,
    ) -> (Result<String, Error>, Vec<String>) {
        let mut script = Script { replies: replies.into_iter().collect(), ..Script::default() };
        let result = converse(&mut script, &agent(max_turns), &mut Vec::new());
        assert!(script.replies.is_empty(), "{} replies unused", script.replies.len());
        (result, script.events)
    }

    const DONE: (&str, &str) = ("finish", r#"{"word":"!"}"#);

    #[test]
    fn calls_are_answered_in_order_and_the_finish_comes_last() {
        let (result, events) = play(
            9,
            [calls(&[DONE, ("read", "{}"), ("note", r#"{"word":"hello"}"#), ("list", "{}")])],
        );
        assert_eq!(result, Ok("hello!".into()));
        let results = ["result Accepted.", "result read done", "result noted", "result list done"];
        assert_eq!(events[..2], ["say begin", "host read+list"]);
        assert_eq!(events[2..], results);
    }

    #[test]
    fn a_bad_call_goes_back_to_the_model() {
        let (result, events) = play(
            9,
            [
                calls(&[("note", "{\"word\":"), ("finish", "{}")]),
                calls(&[("finish", r#"{"word":"no"}"#)]),
                calls(&[("fail", "{}"), DONE]),
                calls(&[DONE]),
            ],
        );
        assert_eq!(result, Ok("!".into()));
        assert!(events[1].starts_with("error The arguments of `note` can't be read"), "{events:?}");
        assert!(events[2].starts_with("error Not accepted yet"), "{events:?}");
        assert_eq!(events[3], "error not so");
        assert_eq!(events[5], "error fail done");
        assert!(events[6].starts_with("error Not accepted yet"), "{events:?}");
    }

    #[test]
    fn one_silent_reply_is_reminded_and_the_second_in_a_row_ends_it() {
        let silent = || reply(StopReason::End, &[]);
        let (result, events) = play(9, [silent(), calls(&[("read", "{}")]), silent(), silent()]);
        assert!(matches!(&result, Err(Error::Invalid(text)) if text.contains("`finish`")));
        let reminders = events.iter().filter(|event| event.starts_with("say You called no tool"));
        assert_eq!(reminders.count(), 2);
    }

    #[test]
    fn the_same_call_is_warned_of_three_times_and_ends_it_the_sixth() {
        let (result, events) = play(9, (0..6).map(|_| calls(&[("read", "{}")])));
        assert!(matches!(&result, Err(Error::Exhausted(text)) if text.contains("`read`")));
        let results: Vec<_> = events.iter().filter(|event| event.starts_with("result")).collect();
        let warned: Vec<_> = results.iter().map(|event| event.contains("Warning: ")).collect();
        assert_eq!(warned, [false, false, true, true, true]);
    }

    #[test]
    fn turns_run_out_with_a_notice_before() {
        let read = |turn: u32| calls(&[("read", &format!("{turn}"))]);
        let (result, events) = play(7, (0..7).map(read));
        assert!(matches!(&result, Err(Error::Exhausted(text)) if text.contains("all 7 turns")));
        let noticed = |event: &&String| event.contains("Only 5 turns are left");
        assert_eq!(events.iter().filter(noticed).count(), 1);
    }

    #[test]
    fn old_results_are_elided_when_the_context_fills_or_overflows() {
        let full = calls(&[("read", "1")]).map(|reply| Reply { context_used: Some(0.8), ..reply });
        let too_long = || Err(Error::TooLong("window".into()));
        let (result, events) = play(9, [full, too_long(), calls(&[DONE])]);
        assert_eq!(result, Ok("!".into()));
        assert_eq!(events[3], "elide 3");
        assert_eq!(events[5], "elide 1");
        let (result, _) = play(9, [too_long(), too_long()]);
        assert_eq!(result, Err(Error::TooLong("window".into())));
    }

    #[test]
    fn a_cut_answer_is_told_so_and_its_cut_call_is_not_made() {
        let cut = |calls| reply(StopReason::Length, calls);
        let (result, events) = play(
            9,
            [
                cut(&[]),
                cut(&[]),
                cut(&[("read", "{}"), ("write", "{\"text\":\"ab")]),
                calls(&[DONE]),
            ],
        );
        assert_eq!(result, Ok("!".into()));
        assert!(events[2].starts_with("say Your answer was cut off"), "{events:?}");
        assert_eq!(events[3], "host read");
        assert!(events[5].starts_with("error Your answer was cut off"), "{events:?}");
        let (result, _) = play(9, [cut(&[]), cut(&[]), cut(&[])]);
        assert!(matches!(result, Err(Error::TooLong(_))));
    }

    #[test]
    fn a_refusal_ends_it_with_the_models_words() {
        let (result, _) = play(9, [reply(StopReason::Refusal, &[])]);
        assert!(matches!(&result, Err(Error::Invalid(message)) if message.ends_with("text")));
    }
}
