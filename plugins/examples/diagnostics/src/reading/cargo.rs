//! Cargo's messages as JSON lines: <https://doc.rust-lang.org/cargo/reference/external-tools.html>

use serde_json::Value;

use super::{Finding, Severity, number, text};

/// The compiler's and clippy's findings.
pub fn read(output: &str) -> Vec<Finding> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(finding).collect()
}

fn finding(line: Value) -> Option<Finding> {
    if line["reason"] != "compiler-message" {
        return None;
    }
    let message = &line["message"];
    let finding = without_place(message);
    let span = message["spans"].as_array()?.iter().find(|span| span["is_primary"] == true);
    match span {
        None if is_summary(&finding.message) || message["level"] == "failure-note" => None,
        None => Some(finding),
        Some(span) => Some(Finding {
            path: text(&span["file_name"]),
            line: number(&span["line_start"]),
            column: number(&span["column_start"]),
            ..finding
        }),
    }
}

/// "2 warnings emitted" and "aborting due to 1 previous error" are counts of what
/// came before.
fn is_summary(message: &str) -> bool {
    message.starts_with("aborting due to") || message.ends_with(" emitted")
}

fn without_place(message: &Value) -> Finding {
    Finding {
        severity: Severity::of(message["level"].as_str().unwrap_or_default()),
        path: String::new(),
        line: 0,
        column: 0,
        rule: text(&message["code"]["code"]),
        message: text(&message["message"]),
    }
}
