//! `go vet -json`: one JSON object for each package, between lines that name the
//! package, and lines of the compiler where something can't be compiled.

use serde_json::{Deserializer, Value};

use super::{Finding, Severity, place, text};

/// The analyzers' findings, and what could not be compiled.
pub fn read(output: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut rest = output;
    while let Some(start) = object_start(rest) {
        let (lines, object) = rest.split_at(start);
        found.extend(lines.lines().filter_map(compiler_line));
        let mut values = Deserializer::from_str(object).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                found.extend(analyzed(&value));
                rest = object.get(values.byte_offset()..).unwrap_or_default();
            }
            // No object after all: the rest are lines.
            _ => {
                rest = object;
                break;
            }
        }
    }
    found.extend(rest.lines().filter_map(compiler_line));
    found
}

/// Where a line begins with a brace.
fn object_start(text: &str) -> Option<usize> {
    if text.starts_with('{') { Some(0) } else { text.find("\n{").map(|newline| newline + 1) }
}

/// `{"package": {"analyzer": [{"posn": "…", "message": "…"}]}}`
fn analyzed(value: &Value) -> Vec<Finding> {
    let packages = value.as_object().into_iter().flatten();
    let analyzers = packages.flat_map(|(_, package)| package.as_object().into_iter().flatten());
    analyzers
        .flat_map(|(analyzer, list)| {
            list.as_array().into_iter().flatten().map(move |entry| (analyzer, entry))
        })
        .map(|(analyzer, entry)| {
            let (path, line, column) =
                place(entry["posn"].as_str().unwrap_or_default()).unwrap_or_default();
            Finding {
                severity: Severity::Warning,
                path,
                line,
                column,
                rule: analyzer.clone(),
                message: text(&entry["message"]),
            }
        })
        .collect()
}

/// `vet: ./a.go:3:5: undefined: x`, also without the word `vet`.
fn compiler_line(line: &str) -> Option<Finding> {
    let line = line.trim_start_matches("vet: ");
    let (at, message) = line.split_once(": ")?;
    let (path, line, column) = place(at)?;
    let path = path.trim_start_matches("./").to_owned();
    (path.ends_with(".go")).then(|| Finding {
        severity: Severity::Error,
        path,
        line,
        column,
        rule: String::new(),
        message: message.to_owned(),
    })
}
