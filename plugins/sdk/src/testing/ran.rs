//! What a test looks at after its plugin ran. Owns no expectation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::lm::Options;
use crate::log::Level;
use crate::tools::{ToolCall, ToolResult};

/// What came of a plugin's code.
#[derive(Debug)]
pub struct Ran<T> {
    /// What the code returned.
    pub returned: T,
    /// What it did, in order.
    pub events: Vec<Event>,
    /// The checkout as it was left.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// One thing that a plugin did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It opened a conversation.
    Opened(Options),
    /// It said something to the model.
    Said(String),
    /// It answered one of the model's calls.
    Answered(ToolResult),
    /// It emptied all tool results but those of the last so many replies.
    Elided(u32),
    /// It had tools of the host's run side by side.
    Called(Vec<ToolCall>),
    /// It ran a command line.
    Command(String),
    /// It asked what would land, with these files included.
    Prepared(Vec<String>),
    /// It committed, with this message.
    Committed(String),
    /// It wrote into the log.
    Logged(Level, String),
}

impl<T> Ran<T> {
    /// All that the model was told, the results of its calls aside.
    pub fn said(&self) -> Vec<&str> {
        self.pick(|event| match event {
            Event::Said(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The results of the model's calls.
    pub fn results(&self) -> Vec<&ToolResult> {
        self.pick(|event| match event {
            Event::Answered(result) => Some(result),
            _ => None,
        })
    }

    /// The command lines that the plugin itself ran.
    pub fn commands(&self) -> Vec<&str> {
        self.pick(|event| match event {
            Event::Command(line) => Some(line.as_str()),
            _ => None,
        })
    }

    /// The lines in the log.
    pub fn logged(&self) -> Vec<&str> {
        self.pick(|event| match event {
            Event::Logged(_, line) => Some(line.as_str()),
            _ => None,
        })
    }

    /// A file's text as it was left; none if there is no such file.
    pub fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.files.get(path).map(|bytes| String::from_utf8_lossy(bytes))
    }

    fn pick<'a, U>(&'a self, choose: impl Fn(&'a Event) -> Option<U>) -> Vec<U> {
        self.events.iter().filter_map(choose).collect()
    }
}
