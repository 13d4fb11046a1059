//! The turns of a model and its tools, until a finishing tool takes its call. Owns
//! the rules that end or steer a conversation; how the calls of one reply are
//! carried out is `calls`' business.

use crate::calls::{self, CallOutput};
use crate::lm::{Conversation, Reply, StopReason};
use crate::log::{self, Level};
use crate::message::clip;
use crate::mistake::sentence;
use crate::repeats::{self, Repeats};
use crate::silence::Silence;
use crate::tools::ToolResult;
use crate::types::Error;
use crate::{Agent, OwnTool};

/// From this share of the context window on, old tool results are emptied.
pub const FULL_CONTEXT: f32 = 0.8;
/// The results of so many replies stay when the context gets full.
pub const KEPT_WHEN_FULL: u32 = 3;
/// So many stay when the model's server refused the conversation as too long:
/// what the model has not seen yet, and no more.
const KEPT_WHEN_TOO_LONG: u32 = 1;
/// So many turns before the last, the model is told.
pub const NOTICE_BEFORE_END: u32 = 5;
/// How much of a model's text goes into an error, in bytes.
pub(crate) const QUOTED: usize = 1000;

/// Lets the two take turns. The errors are those of [`Agent::run`].
pub(crate) fn take<S, R>(
    conversation: &Conversation,
    agent: &Agent<S, R>,
    state: &mut S,
) -> Result<R, Error> {
    conversation.say(&agent.first_message)?;
    let mut repeats = Repeats::default();
    let mut silence = Silence::default();
    for turn in 1..=agent.max_turns {
        let reply = ask(conversation)?;
        if reply.stop == StopReason::Refusal {
            let text = clip(&reply.text, QUOTED);
            return Err(Error::Invalid(format!("the model refused to go on: {text}")));
        }
        if reply.calls.is_empty() {
            conversation.say(&silence.note(&reply, &finishing_tool(agent))?)?;
        } else {
            silence = Silence::default();
            let left = agent.max_turns - turn;
            if let Some(result) = answer(conversation, agent, state, &reply, &mut repeats, left)? {
                return Ok(result);
            }
        }
        if reply.context_used.is_some_and(|share| share >= FULL_CONTEXT) {
            conversation.elide_results(KEPT_WHEN_FULL);
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
fn ask(conversation: &Conversation) -> Result<Reply, Error> {
    match conversation.reply() {
        Err(Error::TooLong(why)) => {
            log::write(Level::Warn, &format!("old tool results are emptied: {why}"));
            conversation.elide_results(KEPT_WHEN_TOO_LONG);
            conversation.reply()
        }
        answered => answered,
    }
}

/// Carries out the calls of a reply and appends their results. Returns what the
/// agent finished with, if it did.
fn answer<S, R>(
    conversation: &Conversation,
    agent: &Agent<S, R>,
    state: &mut S,
    reply: &Reply,
    repeats: &mut Repeats,
    turns_left: u32,
) -> Result<Option<R>, Error> {
    let counts: Vec<u32> = reply.calls.iter().map(|call| repeats.note(call)).collect();
    let stuck = |(_, count): &(_, &u32)| **count >= repeats::STOP_AT;
    if let Some((call, count)) = reply.calls.iter().zip(&counts).find(stuck) {
        return Err(Error::Exhausted(repeats.stuck(&call.name, *count)));
    }
    let (outputs, finished) = calls::carry_out(&agent.tools, state, reply)?;
    if let Some(output) = outputs.last() {
        repeats.answered(output);
    }
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
    match (conversation.answer(&results), finished) {
        // The work is done; only the transcript lacks its last lines.
        (Err(error), Some(finished)) => {
            log::write(
                Level::Warn,
                &format!("the last results were not recorded: {}", sentence(&error)),
            );
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
    let names: Vec<_> =
        agent.tools.iter().filter(|tool| tool.finishes()).map(OwnTool::name).collect();
    names.join("` or `")
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Event, Host, call};

    /// One word.
    #[derive(Deserialize, JsonSchema)]
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
            if word == "no" { Err("not so".into()) } else { Ok(words.join(" ") + &word) }
        };
        Agent {
            system: "You collect words.".into(),
            first_message: "begin".into(),
            tools: vec![OwnTool::step("note", note), OwnTool::finish("finish", finish)],
            max_turns,
        }
    }

    /// What the agent came to, and what happened, as one line each.
    fn play(max_turns: u32, host: Host) -> (Result<String, Error>, Vec<String>) {
        let done = |name: &'static str| move |_: &str| Ok(format!("{name} done"));
        let ran = host
            .tool("read", done("read"))
            .tool("list", done("list"))
            .tool("fail", |_| Err("fail done".into()))
            .run(|| agent(max_turns).run(&mut Vec::new()));
        (ran.returned, ran.events.iter().skip(1).map(line).collect())
    }

    fn line(event: &Event) -> String {
        match event {
            Event::Said(text) => format!("say {text}"),
            Event::Answered(result) if result.is_error => format!("error {}", result.output),
            Event::Answered(result) => format!("result {}", result.output),
            Event::Elided(keep) => format!("elide {keep}"),
            Event::Called(calls) => {
                let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
                format!("host {}", names.join("+"))
            }
            other => format!("{other:?}"),
        }
    }

    fn read(argument: u32) -> Reply {
        call("read", json!({"line": argument}))
    }

    fn done() -> Reply {
        call("finish", json!({"word": "!"}))
    }

    #[test]
    fn calls_are_answered_in_order_and_the_finish_comes_last() {
        let reply = testing::calls([
            ("finish", json!({"word": "!"})),
            ("read", json!({})),
            ("note", json!({"word": "hello"})),
            ("list", json!({})),
        ]);
        let (result, events) = play(9, Host::new().reply(reply));
        assert_eq!(result, Ok("hello!".into()));
        let results = ["result Accepted.", "result read done", "result noted", "result list done"];
        assert_eq!(events[..2], ["say begin", "host read+list"]);
        assert_eq!(events[2..], results);
    }

    #[test]
    fn a_bad_call_goes_back_to_the_model() {
        let mut malformed = testing::calls([("note", json!({})), ("finish", json!({}))]);
        malformed.calls[0].arguments = "{\"word\":".to_owned();
        let host = Host::new()
            .reply(malformed)
            .reply(call("finish", json!({"word": "no"})))
            .reply(testing::calls([("fail", json!({})), ("finish", json!({"word": "!"}))]))
            .reply(done());
        let (result, events) = play(9, host);
        assert_eq!(result, Ok("!".into()));
        assert!(events[1].starts_with("error The arguments of `note` can't be read"), "{events:?}");
        assert!(events[2].starts_with("error Not accepted yet"), "{events:?}");
        assert_eq!(events[3], "error not so");
        assert_eq!(events[5], "error fail done");
        assert!(events[6].starts_with("error Not accepted yet"), "{events:?}");
    }

    #[test]
    fn one_silent_reply_is_reminded_and_the_second_in_a_row_ends_it() {
        let silent = || testing::text("I am done.");
        let host = Host::new().reply(silent()).reply(read(1)).reply(silent()).reply(silent());
        let (result, events) = play(9, host);
        assert!(matches!(&result, Err(Error::Invalid(text)) if text.contains("`finish`")));
        let reminders = events.iter().filter(|event| event.starts_with("say You called no tool"));
        assert_eq!(reminders.count(), 2);
    }

    #[test]
    fn the_same_call_is_warned_of_three_times_and_ends_it_the_sixth() {
        let (result, events) = play(9, (0..6).fold(Host::new(), |host, _| host.reply(read(1))));
        assert!(matches!(&result, Err(Error::Exhausted(text)) if text.contains("`read`")));
        let results: Vec<_> = events.iter().filter(|event| event.starts_with("result")).collect();
        let warned: Vec<_> = results.iter().map(|event| event.contains("Warning: ")).collect();
        assert_eq!(warned, [false, false, true, true, true]);
    }

    #[test]
    fn turns_run_out_with_a_notice_before() {
        let (result, events) = play(7, (0..7).fold(Host::new(), |host, n| host.reply(read(n))));
        assert!(matches!(&result, Err(Error::Exhausted(text)) if text.contains("all 7 turns")));
        let noticed = |event: &&String| event.contains("Only 5 turns are left");
        assert_eq!(events.iter().filter(noticed).count(), 1);
    }

    #[test]
    fn old_results_are_elided_when_the_context_fills_or_overflows() {
        let full = Reply { context_used: Some(0.8), ..read(1) };
        let too_long = || Error::TooLong("window".into());
        let host = Host::new().reply(full).reply_fails(too_long()).reply(done());
        let (result, events) = play(9, host);
        assert_eq!(result, Ok("!".into()));
        assert_eq!(events[3], "elide 3");
        assert_eq!(events[5], "elide 1");
        let host = Host::new().reply_fails(too_long()).reply_fails(too_long());
        assert_eq!(play(9, host).0, Err(too_long()));
    }

    #[test]
    fn a_cut_answer_is_told_so_and_its_cut_call_is_not_made() {
        let cut = |reply: Reply| Reply { stop: StopReason::Length, ..reply };
        let silent = || cut(testing::text("I think"));
        let mut broken = testing::calls([("read", json!({})), ("write", json!({}))]);
        broken.calls[1].arguments = "{\"text\":\"ab".to_owned();
        let host = Host::new().reply(silent()).reply(silent()).reply(cut(broken)).reply(done());
        let (result, events) = play(9, host);
        assert_eq!(result, Ok("!".into()));
        assert!(events[2].starts_with("say Your answer was cut off"), "{events:?}");
        assert_eq!(events[3], "host read");
        assert!(events[5].starts_with("error Your answer was cut off"), "{events:?}");
        let host = Host::new().reply(silent()).reply(silent()).reply(silent());
        assert!(matches!(play(9, host).0, Err(Error::TooLong(_))));
    }

    #[test]
    fn a_refusal_ends_it_with_the_models_words() {
        let refusal = Reply { stop: StopReason::Refusal, ..testing::text("I would rather not.") };
        let (result, _) = play(9, Host::new().reply(refusal));
        assert!(matches!(&result, Err(Error::Invalid(text)) if text.ends_with("rather not.")));
    }
}
