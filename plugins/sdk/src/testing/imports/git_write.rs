//! Landing, as a [`testing::Host`](crate::testing::Host) plays it: nothing lands,
//! and the test sees what was asked.

use crate::testing::Event;
use crate::testing::state::granted;
use crate::types::Error;

/// Notes the message; returns the name of no real commit.
pub fn commit_and_push(message: &str) -> Result<String, Error> {
    granted("git-write", |state| {
        state.events.push(Event::Committed(message.to_owned()));
        let commits = state.events.iter().filter(|event| matches!(event, Event::Committed(_)));
        Ok(format!("commit-{}", commits.count()))
    })
}

/// The next answer that the test set; without one, nothing would stay out.
pub fn prepare(include_files: &[String]) -> Result<Vec<String>, Error> {
    granted("git-write", |state| {
        state.events.push(Event::Prepared(include_files.to_vec()));
        state.prepares.pop_front().unwrap_or_else(|| Ok(Vec::new()))
    })
}
