//! Replies that somebody has written down, given in their order to whoever
//! asks: for trials of plugins, which need no server. What was said to them is
//! not looked at; a transcript keeps that.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Reply;
use crate::Error;
use crate::types::CallError;

#[derive(Debug)]
pub(super) struct Script {
    left: Mutex<VecDeque<Reply>>,
    /// Set once somebody has asked for a reply too many.
    broken: OnceLock<Error>,
}

impl Script {
    pub(super) fn new(replies: Vec<Reply>) -> Self {
        Self { left: Mutex::new(replies.into()), broken: OnceLock::new() }
    }

    pub(super) fn next(&self) -> Result<Reply, CallError> {
        // A panic elsewhere leaves the queue itself whole.
        let next = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.ok_or_else(|| {
            let error = self.broken.get_or_init(|| {
                Error::failed("the model was asked once more than there are replies")
            });
            CallError::Unavailable(error.to_string())
        })
    }

    pub(super) fn broken(&self) -> Option<Error> {
        self.broken.get().cloned()
    }
}
