//! ruff, mypy and pyright.

use serde_json::Value;

use super::{Finding, Severity, number, place, text};

/// Ruff's JSON lines. It knows no severities: what it could not parse is an
/// error, all else a warning.
pub fn ruff(output: &str) -> Vec<Finding> {
    let values = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let finding = |value: Value| {
        let rule = text(&value["code"]);
        let unparsed = rule.is_empty() || rule == "invalid-syntax" || rule.starts_with("E9");
        Some(Finding {
            severity: if unparsed { Severity::Error } else { Severity::Warning },
            path: value["filename"].as_str()?.to_owned(),
            line: number(&value["location"]["row"]),
            column: number(&value["location"]["column"]),
            rule,
            message: text(&value["message"]),
        })
    };
    values.filter_map(finding).collect()
}

/// Lines such as `a.py:3:5: error: Incompatible types  [assignment]`.
pub fn mypy(output: &str) -> Vec<Finding> {
    output.lines().filter_map(mypy_line).collect()
}

fn mypy_line(line: &str) -> Option<Finding> {
    let (at, word, rest) = ["error", "warning", "note"].iter().find_map(|word| {
        let (at, rest) = line.split_once(&format!(": {word}: "))?;
        Some((at, word, rest))
    })?;
    let (path, line, column) = place(at).unwrap_or((at.to_owned(), 0, 0));
    let ruled = rest.strip_suffix(']').and_then(|rest| rest.rsplit_once("  ["));
    let (message, rule) = ruled.unwrap_or((rest, ""));
    Some(Finding {
        severity: Severity::of(word),
        path,
        line,
        column,
        rule: rule.to_owned(),
        message: message.trim_end().to_owned(),
    })
}

/// Pyright's one JSON object. Its lines and columns count from 0.
pub fn pyright(output: &str) -> Vec<Finding> {
    let Ok(report) = serde_json::from_str::<Value>(output) else { return Vec::new() };
    let finding = |value: &Value| {
        let start = &value["range"]["start"];
        let counted = |value: &Value| value.as_u64().map_or(0, |number| number + 1);
        Some(Finding {
            severity: Severity::of(value["severity"].as_str()?),
            path: text(&value["file"]),
            line: counted(&start["line"]),
            column: counted(&start["character"]),
            rule: text(&value["rule"]),
            message: text(&value["message"]),
        })
    };
    report["generalDiagnostics"].as_array().into_iter().flatten().filter_map(finding).collect()
}
