//! What differs between what was recorded and what is said now, for a person
//! who wants to know why a recording does not fit.

use super::Said;
use crate::types::ToolSpec;

/// So many lines around a difference are shown.
const CONTEXT: usize = 2;
/// Bytes of a difference that are shown.
const LONGEST: usize = 4096;

/// The difference as `diff -u` shows it: `-` is recorded, `+` is now. Cut where
/// it is long.
pub(super) fn difference(recorded: &str, now: &str) -> String {
    let diff = similar::TextDiff::from_lines(recorded, now);
    let mut shown = diff
        .unified_diff()
        .context_radius(CONTEXT)
        .missing_newline_hint(false)
        .header("recorded", "now")
        .to_string();
    if shown.len() > LONGEST {
        shown.truncate(shown.floor_char_boundary(LONGEST));
        shown.push_str("\n[the rest of the difference is cut]");
    }
    shown
}

/// What was said, in lines.
pub(super) fn said_lines(said: &Said) -> String {
    match said {
        Said::Text(text) => format!("user: {text}\n"),
        Said::Results(results) => results
            .iter()
            .map(|result| {
                let kind = if result.is_error { "error" } else { "result" };
                format!("{kind} of {}: {}\n", result.id, result.output)
            })
            .collect(),
        Said::Elided(keep) => format!("results emptied, but for those of {keep} replies\n"),
    }
}

/// What a conversation was opened with, in lines.
pub(super) fn opening_lines(system: &str, tools: &[ToolSpec]) -> String {
    let mut lines = format!("system: {system}\n");
    for tool in tools {
        lines.push_str(&format!(
            "tool {}: {}\nparameters of {}: {}\n",
            tool.name, tool.description, tool.name, tool.parameters
        ));
    }
    lines
}
