//! What checkers say, as one kind of data: a file for each family of formats.
//! Owns the data; a line that no format knows is no finding.

pub mod cargo;
pub mod go;
pub mod javascript;
pub mod python;

use serde_json::Value;

/// One thing that a checker has found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub severity: Severity,
    /// As the checker writes it. Empty where it is about no file.
    pub path: String,
    /// Counts from 1; 0 where it is about the whole file.
    pub line: u64,
    /// Counts from 1; 0 where the checker says none.
    pub column: u64,
    /// The rule's name or number; empty where there is none.
    pub rule: String,
    pub message: String,
}

/// The gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    /// By the word that a checker uses.
    pub fn of(word: &str) -> Self {
        match word {
            "error" | "error: internal compiler error" => Self::Error,
            "warning" => Self::Warning,
            _ => Self::Note,
        }
    }

    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A text in a JSON value; empty where there is none.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A number in a JSON value; 0 where there is none.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// `path:line:column` or `path:line` at the end of a text.
fn place(text: &str) -> Option<(String, u64, u64)> {
    let (before, last) = text.rsplit_once(':')?;
    let last = last.parse().ok()?;
    match before.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse().ok()?))) {
        Some((path, line)) => Some((path.to_owned(), line, last)),
        None => Some((before.to_owned(), last, 0)),
    }
}
