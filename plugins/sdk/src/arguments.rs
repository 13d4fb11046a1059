//! What a tool's arguments are: a Rust type, from which come both the schema that
//! models are told and the reading of what they write. Owns the form of the
//! schema and the words for arguments that can't be read; what a tool does with
//! them is its handler's business.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::types::Error;

/// So many characters before a mistake are quoted.
const QUOTED: usize = 60;

/// What the formats of Rust's numbers begin with; a model has no use for them.
const NUMBERS: [&str; 4] = ["uint", "int", "float", "double"];

/// How a type looks to a model.
pub(crate) struct Described {
    /// The type's doc comment; empty without one.
    pub(crate) description: String,
    /// A JSON Schema of an object.
    pub(crate) parameters: Value,
}

/// Describes the type of a tool's arguments.
pub(crate) fn describe<A: JsonSchema>() -> Described {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        // Not every model's server follows references.
        settings.inline_subschemas = true;
    });
    let mut parameters = settings.into_generator().into_root_schema_for::<A>().to_value();
    tidy(&mut parameters);
    let mut description = String::new();
    if let Value::Object(schema) = &mut parameters {
        if let Some(Value::String(text)) = schema.remove("description") {
            description = text;
        }
        // The name of the type says nothing to a model.
        schema.remove("title");
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    Described { description, parameters }
}

/// Takes out of a schema what a model has no use for: the formats of Rust's
/// numbers, and the ends of lines within a paragraph of a comment.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_rusts = |format: &str| NUMBERS.iter().any(|number| format.starts_with(number));
            if fields.get("format").and_then(Value::as_str).is_some_and(is_rusts) {
                fields.remove("format");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = paragraphs(text);
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(entries) => entries.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The text with one line for each paragraph; lines that begin like a list's
/// entry stay apart.
fn paragraphs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim) {
        let starts_anew = line.is_empty() || line.starts_with(['-', '*', '|', '#']);
        if !joined.is_empty() {
            joined.push(if starts_anew || joined.ends_with('\n') { '\n' } else { ' ' });
        }
        joined.push_str(line);
    }
    joined
}

/// Reads the arguments of a call; the error tells the model what to write
/// instead.
pub(crate) fn read<A: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<A, Error> {
    // Some models write nothing at all for an object without fields.
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        Error::Invalid(format!(
            "The arguments of `{name}` can't be read: {error}{}. Nothing was done. Call `{name}` \
             again with one JSON object that fits this schema: {}",
            place(text, &error),
            describe::<A>().parameters
        ))
    })
}

/// Where the mistake is, in the model's own words: a column tells it little.
fn place(text: &str, error: &serde_json::Error) -> String {
    let line = error.line().checked_sub(1).and_then(|line| text.lines().nth(line));
    let before = line.map(|line| &line[..line.floor_char_boundary(error.column())]);
    match before {
        Some(before) if error.is_data() && error.column() > 2 => {
            let start = before.floor_char_boundary(before.len().saturating_sub(QUOTED));
            format!(", after `{}`", before[start..].trim_start())
        }
        _ => String::new(),
    }
}

/// A text that says something, without the space around it; the error names the
/// field for the model.
///
/// ```
/// use code_agent_sdk::required_text;
///
/// assert_eq!(required_text("title", " Add a parser ").unwrap(), "Add a parser");
/// assert!(required_text("title", "  ").is_err());
/// ```
///
/// # Errors
/// `invalid` for a text that is empty.
pub fn required_text(field: &str, text: &str) -> Result<String, Error> {
    match text.trim() {
        "" => Err(Error::Invalid(format!(
            "`{field}` is empty. Nothing was done. Call again with a text in it."
        ))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    /// Moves the
    /// point.
    ///
    /// - up
    /// - down
    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Move {
        /// How far.
        x: u32,
        how: Option<How>,
        #[serde(default)]
        again: Vec<Step>,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum How {
        Slow,
        Fast,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Step {
        y: f64,
    }

    #[test]
    fn a_type_tells_all_that_a_model_needs_and_no_more() {
        let described = describe::<Move>();
        assert_eq!(described.description, "Moves the point.\n\n- up\n- down");
        let properties = &described.parameters["properties"];
        assert_eq!(
            properties["x"],
            json!({"type": "integer", "minimum": 0, "description": "How far."})
        );
        assert_eq!(properties["again"]["items"]["properties"]["y"], json!({"type": "number"}));
        assert!(properties["how"].to_string().contains(r#""slow","fast""#), "{properties}");
        assert_eq!(described.parameters["required"], json!(["x"]));
        assert_eq!(described.parameters["additionalProperties"], json!(false));
        let text = described.parameters.to_string();
        for absent in ["$ref", "$defs", "$schema", "title", "uint32", "double"] {
            assert!(!text.contains(absent), "{absent} is in {text}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_explained() {
        let read = |text: &str| read::<Move>("move", text);
        assert_eq!(read(r#"{"x": 3}"#).unwrap().x, 3);
        for (text, complaint) in [
            ("", "missing field `x`"),
            ("{}", "missing field `x`"),
            (r#"{"x": "three"}"#, r#"after `{"x": "three"`"#),
            (r#"{"x": 3, "how": "sideways"}"#, "expected `slow` or `fast`"),
            ("{\"x\": 3,\n \"again\": [{\"y\": \"é\"}]}", "after `\"again\": [{\"y\": \"é\"`"),
            (r#"{"x": 3"#, "EOF"),
            ("[]", "invalid"),
        ] {
            let Err(Error::Invalid(error)) = read(text) else { panic!("{text} was read") };
            assert!(error.contains(complaint), "{error}");
            assert!(error.contains("`move`") && error.contains(r#""required":["x"]"#), "{error}");
        }
    }
}
