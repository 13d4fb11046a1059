//! tsc and eslint.

use serde_json::Value;

use super::{Finding, Severity, number, text};

/// Lines such as `src/a.ts(1,7): error TS2322: Type …`, or without a place where
/// the configuration is wrong. Lines that are indented go on with the message.
pub fn tsc(output: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for line in output.lines() {
        match (tsc_line(line), found.last_mut()) {
            (Some(finding), _) => found.push(finding),
            (None, Some(last)) if line.starts_with("  ") => {
                last.message.push(' ');
                last.message.push_str(line.trim());
            }
            _ => {}
        }
    }
    found
}

fn tsc_line(line: &str) -> Option<Finding> {
    let (at, word, rest) = ["error", "warning"].iter().find_map(|word| {
        let start = line.find(&format!("{word} TS"))?;
        let (at, rest) = (line.get(..start)?, line.get(start + word.len() + 1..)?);
        (at.is_empty() || at.ends_with("): ")).then_some((at, word, rest))
    })?;
    let (rule, message) = rest.split_once(": ")?;
    let (path, place) = at.trim_end_matches("): ").rsplit_once('(').unwrap_or_default();
    let (line, column) = place.split_once(',').unwrap_or_default();
    Some(Finding {
        severity: Severity::of(word),
        path: path.to_owned(),
        line: line.parse().unwrap_or_default(),
        column: column.parse().unwrap_or_default(),
        rule: rule.to_owned(),
        message: message.to_owned(),
    })
}

/// ESLint's one JSON list of files. A message without a rule is one that could
/// not be parsed, or a file that is left out.
pub fn eslint(output: &str) -> Vec<Finding> {
    let Ok(files) = serde_json::from_str::<Value>(output) else { return Vec::new() };
    let mut found = Vec::new();
    for file in files.as_array().into_iter().flatten() {
        for message in file["messages"].as_array().into_iter().flatten() {
            let grave = message["severity"] == 2;
            found.push(Finding {
                severity: if grave { Severity::Error } else { Severity::Warning },
                path: text(&file["filePath"]),
                line: number(&message["line"]),
                column: number(&message["column"]),
                rule: text(&message["ruleId"]),
                message: text(&message["message"]),
            });
        }
    }
    found
}
