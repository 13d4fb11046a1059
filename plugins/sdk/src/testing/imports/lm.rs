//! The model of a [`testing::Host`](crate::testing::Host), which says what the
//! test scripted. In a component, the model that the user chose for the role.

use std::cell::RefCell;

pub use crate::bindings::imports::code_agent::plugin::lm::{Options, Reply, StopReason, Usage};
use crate::testing::Event;
use crate::testing::state::granted;
use crate::tools::ToolResult;
use crate::types::Error;

/// One conversation. Like the real one, it takes messages only in the order that
/// models take them.
#[derive(Debug)]
pub struct Conversation(RefCell<Turn>);

/// What may come next.
#[derive(Debug)]
enum Turn {
    /// Nothing to reply to.
    Silent,
    /// The model has something to reply to.
    Spoken,
    /// Calls with these ids wait for their results.
    Called(Vec<String>),
}

impl Conversation {
    /// Opens a conversation.
    pub fn open(options: &Options) -> Result<Self, Error> {
        granted("lm", |state| {
            state.events.push(Event::Opened(options.clone()));
            Ok(Self(RefCell::new(Turn::Silent)))
        })
    }

    /// Appends a message from the user's side.
    pub fn say(&self, text: &str) -> Result<(), Error> {
        if matches!(&*self.0.borrow(), Turn::Called(_)) {
            return Err("the last reply's calls have to be answered first".into());
        }
        if text.trim().is_empty() {
            return Err("there is nothing in the message".into());
        }
        self.note(Turn::Spoken, vec![Event::Said(text.to_owned())])
    }

    /// Appends the results of all calls in the last reply.
    pub fn answer(&self, results: &[ToolResult]) -> Result<(), Error> {
        match &*self.0.borrow() {
            Turn::Called(ids) if ids.iter().eq(results.iter().map(|result| &result.id)) => {}
            Turn::Called(ids) => {
                return Err(Error::Invalid(format!(
                    "the results have to be those of the calls {}, in this order",
                    ids.join(", ")
                )));
            }
            _ => return Err("the last message has no calls that could be answered".into()),
        }
        self.note(Turn::Spoken, results.iter().cloned().map(Event::Answered).collect())
    }

    /// The next reply of the script.
    pub fn reply(&self) -> Result<Reply, Error> {
        if !matches!(&*self.0.borrow(), Turn::Spoken) {
            return Err("the model has nothing to reply to: say something or answer its calls \
                        first"
                .into());
        }
        let reply = granted("lm", |state| match state.replies.pop_front() {
            None => panic!("the model has nothing more to say: script another `.reply(…)`"),
            Some(scripted) => {
                let mut reply = scripted?;
                for call in &mut reply.calls {
                    state.calls += 1;
                    call.id = format!("call-{}", state.calls);
                }
                Ok(reply)
            }
        })?;
        let ids: Vec<_> = reply.calls.iter().map(|call| call.id.clone()).collect();
        *self.0.borrow_mut() = if ids.is_empty() { Turn::Silent } else { Turn::Called(ids) };
        Ok(reply)
    }

    /// Notes that it was asked for.
    pub fn elide_results(&self, keep: u32) {
        crate::testing::state::with(|state| state.events.push(Event::Elided(keep)));
    }

    fn note(&self, turn: Turn, events: Vec<Event>) -> Result<(), Error> {
        granted("lm", |state| {
            state.events.extend(events);
            Ok(())
        })?;
        *self.0.borrow_mut() = turn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, call};
    use serde_json::json;

    #[test]
    fn messages_are_taken_in_the_order_that_models_take_them() {
        let options = Options { system: String::new(), tools: Vec::new(), max_output_tokens: None };
        Host::new().reply(call("read", json!({}))).run(|| {
            let conversation = Conversation::open(&options).unwrap();
            assert!(conversation.reply().is_err(), "nothing was said");
            assert!(conversation.answer(&[]).is_err(), "nothing was called");
            assert!(conversation.say(" ").is_err(), "nothing is in it");
            conversation.say("begin").unwrap();
            let id = conversation.reply().unwrap().calls.remove(0).id;
            assert!(conversation.say("more").is_err(), "a call waits");
            let result =
                |id: &str| ToolResult { id: id.to_owned(), output: String::new(), is_error: false };
            assert!(conversation.answer(&[result("another")]).is_err());
            conversation.answer(&[result(&id)]).unwrap();
        });
    }
}
