//! Carries out the calls of one reply. Owns their order: first all others, the
//! role's own one by one and the host's together, then those that finish. What a
//! result says beyond its call's output is the loop's business.

use serde_json::Value;

use crate::OwnTool;
use crate::lm::{Reply, StopReason};
use crate::mistake::sentence;
use crate::own_tool::Handler;
use crate::tools::{self, ToolCall, ToolResult};
use crate::types::Error;

/// What a call gave; the error is a text for the model.
pub(crate) type CallOutput = Result<String, String>;

/// Carries out all calls of the reply. Returns one output for each call, in
/// their order, and what the agent finished with, if it did.
pub(crate) fn carry_out<S, R>(
    tools: &[OwnTool<S, R>],
    state: &mut S,
    reply: &Reply,
) -> Result<(Vec<CallOutput>, Option<R>), Error> {
    let find = |name: &str| tools.iter().find(|tool| tool.name() == name);
    let mut outputs: Vec<Option<CallOutput>> = Vec::with_capacity(reply.calls.len());
    let mut for_host = Vec::new();
    for call in &reply.calls {
        outputs.push(match find(&call.name).map(|tool| &tool.handler) {
            _ if is_cut(reply, call) => Some(Err(cut_call())),
            Some(Handler::Step(handle)) => {
                Some(handle(state, &call.arguments).map_err(|error| sentence(&error)))
            }
            Some(Handler::Finish(_)) => None,
            None => {
                for_host.push(call.clone());
                None
            }
        });
    }
    let mut from_host = ask_host(&for_host)?.into_iter();
    for (call, output) in reply.calls.iter().zip(&mut outputs) {
        if output.is_none() && find(&call.name).is_none() {
            *output = from_host.next().map(into_output);
        }
    }
    let failed = outputs.iter().flatten().any(Result::is_err);
    let mut finished = None;
    for (call, output) in reply.calls.iter().zip(&mut outputs) {
        if output.is_none()
            && let Some(Handler::Finish(handle)) = find(&call.name).map(|tool| &tool.handler)
        {
            *output = Some(match &finished {
                Some(_) => Err("Another call has finished already.".to_owned()),
                None if failed => Err(held_back(&call.name)),
                None => match handle(state, &call.arguments) {
                    Ok(result) => {
                        finished = Some(result);
                        Ok("Accepted.".to_owned())
                    }
                    Err(error) => Err(sentence(&error)),
                },
            });
        }
    }
    let missing = || Error::Unavailable("the host left a call without a result".to_owned());
    let outputs = outputs.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
    Ok((outputs, finished))
}

/// Runs the host's tools; makes sure that each call got one result.
fn ask_host(calls: &[ToolCall]) -> Result<Vec<ToolResult>, Error> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let results = tools::call(calls)?;
    let ids = results.iter().map(|result| &result.id);
    if ids.ne(calls.iter().map(|call| &call.id)) {
        return Err(Error::Unavailable(format!(
            "the host returned {} results for {} calls, or not in their order",
            results.len(),
            calls.len()
        )));
    }
    Ok(results)
}

fn into_output(result: ToolResult) -> CallOutput {
    if result.is_error { Err(result.output) } else { Ok(result.output) }
}

/// Whether the output limit ended the answer in the middle of this call.
fn is_cut(reply: &Reply, call: &ToolCall) -> bool {
    reply.stop == StopReason::Length && serde_json::from_str::<Value>(&call.arguments).is_err()
}

fn cut_call() -> String {
    "Your answer was cut off at the output limit before this call was complete, so nothing of it \
     was done. Make a smaller call: write a long file in several steps, and call one tool at a \
     time."
        .to_owned()
}

/// A model that finishes in the same breath has not seen that something failed.
fn held_back(name: &str) -> String {
    format!(
        "Not accepted yet: another call of the same answer failed. Look at its result and mend \
         what has to be mended; then call `{name}` again."
    )
}
