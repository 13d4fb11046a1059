//! Errors as texts, and texts as errors. Owns no rule about who gets to see them.

use crate::types::Error;

/// What a model, or a person, reads of an error. An `invalid` is a sentence
/// already; the others say first what kind they are.
pub fn sentence(error: &Error) -> String {
    match error {
        Error::Invalid(text) => text.clone(),
        Error::Denied(text) => format!("denied: {text}"),
        Error::NotFound(text) => format!("not found: {text}"),
        Error::Conflict(text) => format!("conflict: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        Error::Exhausted(text) => format!("exhausted: {text}"),
        Error::TooLong(text) => format!("too long: {text}"),
    }
}

/// A text alone is for the one who called: what was wrong, and what would be
/// right.
impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Invalid(text)
    }
}

/// As for a [`String`].
impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Invalid(text.to_owned())
    }
}
