//! Holds what came of a trial against what its case expects. Pure.

use serde_json::{Map, Value};

use super::case::{Case, FileState};

/// What came of a trial.
pub(super) struct Outcome {
    /// The role's record or the tool's text; or why there is none.
    pub(super) answer: Result<Value, String>,
    /// What was said to the model before each of its replies, as one text.
    pub(super) told: Vec<String>,
    /// How many replies nobody asked for.
    pub(super) unasked: usize,
}

/// Everything that is not as the case wants it. `file` reads what was left.
pub(super) fn problems(
    case: &Case,
    outcome: &Outcome,
    file: impl Fn(&str) -> Result<Option<Vec<u8>>, String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    match &outcome.answer {
        Ok(answer) => check_answer(case, answer, &mut problems),
        Err(error) => check_error(case, error, &mut problems),
    }
    for (index, words) in case.expected_words().enumerate() {
        let Some(told) = outcome.told.get(index) else { break };
        let number = index + 1;
        for word in words.iter().filter(|word| !told.contains(word.as_str())) {
            problems.push(format!("the model was not told {word:?} before its reply {number}"));
        }
    }
    if outcome.unasked > 0 {
        problems.push(format!("the model was not asked for the last {} replies", outcome.unasked));
    }
    for (path, state) in &case.expect.files {
        problems.extend(wrong_file(path, state, file(path)));
    }
    problems
}

fn check_answer(case: &Case, answer: &Value, problems: &mut Vec<String>) {
    if !case.expect.error.is_empty() {
        problems.push(format!("it did not fail, but answered {}", shown(answer)));
        return;
    }
    if let Some(expected) = &case.expect.answer {
        compare("answer", expected, answer, problems);
    }
    let text = shown(answer);
    for word in case.expect.contains.iter().filter(|word| !holds(answer, word)) {
        problems.push(format!("{word:?} is not in the answer: {text}"));
    }
}

fn check_error(case: &Case, error: &str, problems: &mut Vec<String>) {
    if case.expect.error.is_empty() {
        problems.push(format!("it failed: {error}"));
    }
    for word in case.expect.error.iter().filter(|word| !error.contains(word.as_str())) {
        problems.push(format!("{word:?} is not in the error: {error}"));
    }
}

/// Tables may have more fields than are expected; everything else is equal.
fn compare(at: &str, expected: &Value, found: &Value, problems: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let at = format!("{at}.{name}");
                match found.get(name) {
                    Some(found) => compare(&at, value, found, problems),
                    None => problems.push(format!("{at} is not there, but {}", names(found))),
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{at}[{index}]"), expected, found, problems);
            }
        }
        _ if expected == found => {}
        _ => problems.push(format!("{at} is {}, not {}", shown(found), shown(expected))),
    }
}

fn names(table: &Map<String, Value>) -> String {
    table.keys().cloned().collect::<Vec<_>>().join(", ")
}

/// Whether a text is in one of the value's texts.
fn holds(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.contains(word),
        Value::Array(values) => values.iter().any(|value| holds(value, word)),
        Value::Object(values) => values.values().any(|value| holds(value, word)),
        other => other.to_string().contains(word),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn wrong_file(
    path: &str,
    state: &FileState,
    found: Result<Option<Vec<u8>>, String>,
) -> Option<String> {
    let found = match found {
        Ok(found) => found,
        Err(error) => return Some(format!("{path}: {error}")),
    };
    match (state, found) {
        (FileState::Holds(text), Some(bytes)) if text.as_bytes() == bytes => None,
        (FileState::Holds(_), Some(bytes)) => {
            Some(format!("{path} holds {:?}", String::from_utf8_lossy(&bytes)))
        }
        (FileState::IsThere(wanted), found) if *wanted == found.is_some() => None,
        (FileState::IsThere(false), Some(_)) => Some(format!("{path} is there")),
        (_, None) => Some(format!("{path} is not there")),
        (FileState::IsThere(true), Some(_)) => None,
    }
}

/// A record with the names that the contract gives its fields.
pub(super) fn in_kebab_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name.replace('_', "-"), in_kebab_case(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(in_kebab_case).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(expect: &str, answer: Result<Value, String>) -> Vec<String> {
        let case: Case = toml::from_str(expect).unwrap();
        let outcome = Outcome { answer, told: vec!["Goal: hello".into()], unasked: 0 };
        problems(&case, &outcome, |path| Ok((path == "a.txt").then(|| b"a\n".to_vec())))
    }

    #[test]
    fn what_is_as_expected_is_no_problem() {
        let case = r#"
            [[replies]]
            text = "Hi"
            expects = ["hello"]
            [expect]
            answer = { decision = "stop" }
            contains = ["all done"]
            files = { "a.txt" = "a\n", "b.txt" = false }
        "#;
        let answer =
            json!({ "decision": "stop", "goal-met": true, "reasoning": "It is all done." });
        assert_eq!(found(case, Ok(answer)), Vec::<String>::new());
        assert_eq!(found("expect.error = ['no']", Err("no way".into())), Vec::<String>::new());
    }

    #[test]
    fn everything_that_differs_is_named() {
        let case = r#"
            [[replies]]
            expects = ["good bye"]
            [expect]
            answer = { decision = "stop", because = "x" }
            contains = ["never"]
            files = { "a.txt" = false, "b.txt" = "b" }
        "#;
        let problems = found(case, Ok(json!({ "decision": "next-cycle" })));
        assert_eq!(
            problems,
            [
                "answer.because is not there, but decision",
                "answer.decision is \"next-cycle\", not \"stop\"",
                "\"never\" is not in the answer: {\"decision\":\"next-cycle\"}",
                "the model was not told \"good bye\" before its reply 1",
                "a.txt is there",
                "b.txt is not there",
            ]
        );
        assert_eq!(found("", Err("broken".into())), ["it failed: broken"]);
        let answered = found("expect.error = ['no']", Ok(json!("yes")));
        assert_eq!(answered, ["it did not fail, but answered \"yes\""]);
    }
}
