//! What ends a run: errors that only a person can mend. Errors for models and
//! components are `types::CallError`; a failed attempt is data, not an error.

/// Why the program can't go on, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The call itself is wrong: nothing was started, nothing was changed.
    #[error("{0}")]
    Usage(String),
    /// The run could not start or could not go on.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// An error that the caller's arguments caused.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(sentence.into())
    }

    /// An error that stops the run.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed(sentence.into())
    }
}

/// Why something that was asked of an agent did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Another attempt may do better.
    Attempt(String),
    /// Only a person can help: the run stops.
    Stop(Error),
}

/// A result whose error only a person can mend.
pub type Result<T, E = Error> = std::result::Result<T, E>;
