//! Reads a call's arguments as a model wrote them, and says what would be
//! right where they are wrong. What they mean is the tools' business.

use serde_json::{Map, Value};

use super::output::shorten;
use super::specs::{Kind, Parameter, Tool};
use crate::types::CallError;

/// Names less alike than this (from 0 to 1) are not taken for misspelt ones.
const LEAST_LIKENESS: f64 = 0.6;

/// Arguments that fit the tool's parameters.
#[derive(Debug)]
pub struct Arguments {
    tool: &'static str,
    values: Map<String, Value>,
}

impl Arguments {
    /// Checks `text` against the tool's parameters. An empty text counts as an
    /// empty object, a null as left out, and numbers and flags may be written
    /// as strings and a single string for a list, since models do all that.
    pub fn parse(tool: &Tool, text: &str) -> Result<Self, CallError> {
        let mut values = object(tool, text)?;
        values.retain(|_, value| !value.is_null());
        for (name, value) in &mut values {
            let Some(parameter) = tool.parameters.iter().find(|known| known.name == name) else {
                return Err(unknown(tool, name));
            };
            let given = std::mem::take(value);
            *value =
                fit(parameter.kind, given).map_err(|given| mistyped(tool, parameter, &given))?;
        }
        for parameter in tool.parameters {
            if parameter.required && !values.contains_key(parameter.name) {
                return Err(missing(tool.name, parameter.name));
            }
        }
        Ok(Self { tool: tool.name, values })
    }

    /// A string that the tool can't do without.
    pub fn required_text(&self, name: &str) -> Result<&str, CallError> {
        self.text(name).ok_or_else(|| missing(self.tool, name))
    }

    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// A list of strings; empty where it was left out.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.values.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Option<u32> {
        u32::try_from(self.values.get(name)?.as_u64()?).ok()
    }

    /// Whether the flag is given and true.
    pub fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
}

fn object(tool: &Tool, text: &str) -> Result<Map<String, Value>, CallError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(CallError::Invalid(format!(
            "the arguments of `{}` have to be one JSON object, {}",
            tool.name,
            accepted(tool)
        ))),
        Err(error) => Err(CallError::Invalid(format!(
            "the arguments of `{}` are no JSON: {error}. In strings write \\\" for a quote, \\n for \
             a new line and \\\\ for a backslash, and close all that was opened",
            tool.name
        ))),
    }
}

/// The value as its kind wants it, or the value back.
fn fit(kind: Kind, value: Value) -> Result<Value, Value> {
    let fitted = match (kind, &value) {
        (Kind::Text, Value::String(_)) => return Ok(value),
        (Kind::Texts, Value::String(text)) => Some(Value::from(vec![text.clone()])),
        (Kind::Texts, Value::Array(list)) if list.iter().all(Value::is_string) => return Ok(value),
        (Kind::Number, Value::String(text)) => text.trim().parse::<u32>().ok().map(Value::from),
        (Kind::Number, Value::Number(number)) => whole(number).map(Value::from),
        (Kind::Flag, Value::Bool(_)) => return Ok(value),
        (Kind::Flag, Value::String(text)) => match text.trim() {
            "true" | "True" => Some(Value::from(true)),
            "false" | "False" => Some(Value::from(false)),
            _ => None,
        },
        _ => None,
    };
    fitted.ok_or(value)
}

/// `12.0` is a whole number, too.
fn whole(number: &serde_json::Number) -> Option<u32> {
    if let Some(number) = number.as_u64() {
        return u32::try_from(number).ok();
    }
    let number = number.as_f64()?;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then_some(number as u32)
}

fn unknown(tool: &Tool, name: &str) -> CallError {
    let name = shorten(name, 60);
    let likeness = |known: &Parameter| strsim::jaro_winkler(known.name, &name);
    let nearest = tool
        .parameters
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
        .filter(|known| likeness(known) >= LEAST_LIKENESS)
        .map_or_else(String::new, |known| format!(" (did you mean `{}`?)", known.name));
    CallError::Invalid(format!(
        "`{}` takes no argument `{name}`{nearest}; it takes {}",
        tool.name,
        accepted(tool)
    ))
}

fn mistyped(tool: &Tool, parameter: &Parameter, given: &Value) -> CallError {
    let wanted = match parameter.kind {
        Kind::Text => "a string",
        Kind::Texts => "a list of strings",
        Kind::Number => "a whole number, not negative",
        Kind::Flag => "true or false",
    };
    CallError::Invalid(format!(
        "the argument `{}` of `{}` has to be {wanted}, not {}",
        parameter.name,
        tool.name,
        shorten(&given.to_string(), 80)
    ))
}

fn missing(tool: &str, name: &str) -> CallError {
    CallError::Invalid(format!("`{tool}` needs the argument `{name}`"))
}

fn accepted(tool: &Tool) -> String {
    let names: Vec<String> = tool
        .parameters
        .iter()
        .map(|one| format!("`{}`{}", one.name, if one.required { "" } else { " (optional)" }))
        .collect();
    if names.is_empty() { "no arguments".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::specs::FILE_TOOLS;

    fn parse(tool: &str, text: &str) -> Result<Arguments, String> {
        let tool = FILE_TOOLS.iter().find(|known| known.name == tool).unwrap();
        Arguments::parse(tool, text).map_err(|error| match error {
            CallError::Invalid(sentence) => sentence,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn what_models_write_is_understood() {
        assert!(parse("list_files_recursive", " ").unwrap().text("path").is_none());
        let read = r#"{"path": "a", "first_line": "12", "last_line": 20.0}"#;
        let read = parse("read_file_content", read).unwrap();
        assert_eq!(read.required_text("path").unwrap(), "a");
        assert_eq!((read.number("first_line"), read.number("last_line")), (Some(12), Some(20)));
        let search =
            r#"{"pattern": "x", "globs": "*.rs", "ignore_case": "true", "max_results": null}"#;
        let search = parse("search_code_pattern", search).unwrap();
        assert_eq!(search.texts("globs"), ["*.rs"]);
        assert!(search.flag("ignore_case") && search.number("max_results").is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (tool, text, wants) in [
            ("edit_file", r#"{"path": "a", "oldtext": "b"}"#, "did you mean `old_text`?"),
            ("delete_file", r#"{"path": "a", "zzz": 1}"#, "no argument `zzz`; it takes `path`"),
            ("delete_file", "{}", "`delete_file` needs the argument `path`"),
            ("delete_file", r#"{"path": null}"#, "needs the argument `path`"),
            (
                "delete_file",
                r#"{"path": ["a"]}"#,
                r#"`path` of `delete_file` has to be a string, not ["a"]"#,
            ),
            ("read_file_content", r#"{"path": "a", "first_line": -1}"#, "a whole number"),
            ("read_file_content", r#"{"path": "a", "first_line": 1e20}"#, "a whole number"),
            ("search_code_pattern", r#"{"pattern": "a", "globs": [1]}"#, "a list of strings"),
            ("search_code_pattern", r#"{"pattern": "a", "ignore_case": 3}"#, "true or false"),
            ("delete_file", r#"["a"]"#, "one JSON object, `path`"),
            ("delete_file", r#"{"path": "a"#, "no JSON"),
        ] {
            let error = parse(tool, text).unwrap_err();
            assert!(error.contains(wants), "{text}: {error}");
        }
    }
}
