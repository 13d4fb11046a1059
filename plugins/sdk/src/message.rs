//! Turns a brief into the Markdown of a role's first message. Owns the form and
//! the shortening; what a role adds about its own subject is the role's.
//!
//! The brief comes first and is the same for all agents of a cycle, so that
//! model servers can reuse the work on it.

use std::fmt::Write as _;

use crate::types::Brief;

/// The part of the first message that all roles share.
pub fn brief(brief: &Brief) -> String {
    let mut text = format!("# Brief\n\nGoal: {}\n\n", brief.goal.trim());
    // Writing into a String does not fail.
    let _ = writeln!(text, "Cycle: {} of {}", brief.cycle, brief.max_cycles);
    if let Some(root) = bounded_root(brief) {
        let _ = writeln!(
            text,
            "Root path: {root} (everything can be read; only what lies below it can change)"
        );
    }
    if let Some(instructions) = &brief.instructions {
        text.push_str(&section("The repository's instructions to agents", instructions));
    }
    if !brief.guidance.is_empty() {
        let guidance = bullets(&brief.guidance);
        text.push_str(&section("What the user said since the run began", &guidance));
    }
    text
}

/// The root path, where it is narrower than the repository.
fn bounded_root(brief: &Brief) -> Option<&str> {
    let root = brief.root_path.trim().trim_end_matches('/');
    (!matches!(root, "" | ".")).then_some(root)
}

/// A heading with a body, set off by empty lines; nothing if the body is empty.
pub fn section(heading: &str, body: &str) -> String {
    match body.trim() {
        "" => String::new(),
        body => format!("\n## {heading}\n\n{body}\n"),
    }
}

/// A list with one entry for each text; further lines of a text are indented.
pub fn bullets<T: AsRef<str>>(entries: &[T]) -> String {
    entries
        .iter()
        .map(|entry| format!("- {}\n", entry.as_ref().trim().replace('\n', "\n  ")))
        .collect()
}

/// Names on one line, each set as code.
pub fn names<T: AsRef<str>>(entries: &[T]) -> String {
    entries.iter().map(|entry| format!("`{}`", entry.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The text on one line, for titles and names.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text, or its beginning and end if it has more than `most` bytes; says
/// what was cut.
pub fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(most / 2);
    let tail = text.ceil_char_boundary(text.len() - most / 2);
    let (start, end) = (text.get(..head).unwrap_or(""), text.get(tail..).unwrap_or(""));
    format!("{start}\n[… {} bytes left out …]\n{end}", tail - head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_brief() -> Brief {
        Brief {
            goal: "Add a parser.\nIt reads TOML.".into(),
            cycle: 1,
            max_cycles: 5,
            instructions: None,
            guidance: Vec::new(),
            root_path: ".".into(),
        }
    }

    #[test]
    fn a_plain_brief_has_the_goal_and_the_cycle_alone() {
        let text = brief(&plain_brief());
        assert_eq!(text, "# Brief\n\nGoal: Add a parser.\nIt reads TOML.\n\nCycle: 1 of 5\n");
    }

    #[test]
    fn what_else_is_there_is_told() {
        let text = brief(&Brief {
            instructions: Some("Use tabs.".into()),
            guidance: vec!["Leave `old/` alone.\nPlease.".into()],
            root_path: "crates/parser".into(),
            ..plain_brief()
        });
        assert!(text.contains("\nRoot path: crates/parser (everything"), "{text}");
        assert!(text.contains("\n## The repository's instructions to agents\n\nUse tabs.\n"));
        assert!(text.contains("\n- Leave `old/` alone.\n  Please.\n"), "{text}");
    }

    #[test]
    fn clipping_keeps_both_ends_and_whole_characters() {
        assert_eq!(clip("äöü", 6), "äöü");
        let clipped = clip(&"ä".repeat(100), 11);
        assert_eq!(clipped, "ää\n[… 192 bytes left out …]\nää");
    }
}
