//! Whether the text that a tool calls its parameters is a JSON Schema, all the way
//! down: a lie below the top is found by a model's server, in the middle of a run.
//! Pure. Looks at a schema's form; what it allows is the tool's business.

use serde_json::{Map, Value};

/// Bytes of a schema; each costs context with every request.
const LONGEST: usize = 16 * 1024;
/// Schemas within each other.
const DEEPEST: usize = 32;
/// Characters that are shown of the way to what is wrong.
const LONGEST_WAY: usize = 200;

/// The words that `type` knows.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
/// What holds one schema.
const ONE: [&str; 11] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// What holds schemas by name.
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
/// What holds a list of schemas.
const LISTED: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// What holds a text.
const TEXTS: [&str; 5] = ["$ref", "description", "format", "pattern", "title"];
/// What holds a list of values.
const VALUES: [&str; 2] = ["enum", "examples"];
/// What holds a number.
const NUMBERS: [&str; 2] = ["maximum", "minimum"];
/// The same; earlier drafts have a boolean there.
const EXCLUSIVE: [&str; 2] = ["exclusiveMaximum", "exclusiveMinimum"];
/// What holds a whole number from 0 on.
const COUNTS: [&str; 8] = [
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
];
/// What holds true or false.
const BOOLEANS: [&str; 4] = ["deprecated", "readOnly", "uniqueItems", "writeOnly"];

/// Checks a tool's parameters; the sentence says what is wrong with them.
pub(super) fn check(text: &str) -> Result<(), String> {
    read(text).map_err(|why| {
        format!(
            "has parameters that are no JSON Schema of an object ({why}); the least is \
             {{\"type\": \"object\", \"properties\": {{}}}}"
        )
    })
}

fn read(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let schema = value.as_object().ok_or("it is another kind of JSON")?;
    if schema.get("type") != Some(&Value::from("object")) {
        return Err("its `type` is not \"object\"".to_owned());
    }
    object(schema, &mut Vec::new())
}

/// Checks one schema, to which `way` leads from the top.
fn schema<'a>(value: &'a Value, way: &mut Vec<&'a str>) -> Result<(), String> {
    match value {
        Value::Bool(_) => Ok(()),
        Value::Object(schema) => object(schema, way),
        _ => Err(wrong(way, "is no schema: neither an object nor a boolean")),
    }
}

fn object<'a>(schema: &'a Map<String, Value>, way: &mut Vec<&'a str>) -> Result<(), String> {
    for (key, value) in schema {
        way.push(key);
        keyword(key, value, way)?;
        way.pop();
    }
    Ok(())
}

fn keyword<'a>(key: &str, value: &'a Value, way: &mut Vec<&'a str>) -> Result<(), String> {
    // Each schema adds a keyword, and one with a name that name.
    if way.len() > 2 * DEEPEST {
        return Err(format!("more than {DEEPEST} schemas within each other"));
    }
    match (key, value) {
        // Earlier drafts have a list there.
        ("items", Value::Array(list)) => all(list, way),
        (key, value) if ONE.contains(&key) => schema(value, way),
        (key, value) if NAMED.contains(&key) => named(value, way),
        (key, value) if LISTED.contains(&key) => match value.as_array() {
            Some(list) if !list.is_empty() => all(list, way),
            _ => Err(wrong(way, "is no list of schemas")),
        },
        (key, value) => fits(key, value).map_err(|why| wrong(way, &why)),
    }
}

/// Checks what a keyword holds that holds no schemas; one that is not known may hold
/// anything.
fn fits(key: &str, value: &Value) -> Result<(), String> {
    if key == "type" && !is_type(value) {
        return Err(format!("is none of {}, nor a list of these", TYPES.join(", ")));
    }
    let (is_right, otherwise) = match key {
        "required" => (is_list_of_texts(value), "is no list of names"),
        "dependentRequired" => (
            value.as_object().is_some_and(|lists| lists.values().all(is_list_of_texts)),
            "is no object of lists of names",
        ),
        "multipleOf" => (value.as_f64().is_some_and(|number| number > 0.0), "is no number above 0"),
        key if VALUES.contains(&key) => (value.is_array(), "is no list of values"),
        key if TEXTS.contains(&key) => (value.is_string(), "is no text"),
        key if NUMBERS.contains(&key) => (value.is_number(), "is no number"),
        key if EXCLUSIVE.contains(&key) => {
            (value.is_number() || value.is_boolean(), "is no number")
        }
        key if COUNTS.contains(&key) => (is_count(value), "is no whole number from 0 on"),
        key if BOOLEANS.contains(&key) => (value.is_boolean(), "is neither true nor false"),
        _ => return Ok(()),
    };
    if is_right { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn named<'a>(value: &'a Value, way: &mut Vec<&'a str>) -> Result<(), String> {
    let schemas = value.as_object().ok_or_else(|| wrong(way, "is no object of schemas"))?;
    for (name, value) in schemas {
        way.push(name);
        schema(value, way)?;
        way.pop();
    }
    Ok(())
}

fn all<'a>(list: &'a [Value], way: &mut Vec<&'a str>) -> Result<(), String> {
    list.iter().try_for_each(|value| schema(value, way))
}

fn is_type(value: &Value) -> bool {
    let is_known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(is_known),
        value => is_known(value),
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// Also `3.0`, which is 3 for a JSON Schema.
fn is_count(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0)
}

/// The way is the component's own words: shown in part, and without what a terminal
/// would obey.
fn wrong(way: &[&str], why: &str) -> String {
    let way = way.join("/");
    let shown: String = way.chars().filter(|one| !one.is_control()).take(LONGEST_WAY).collect();
    format!("its `{shown}` {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authors_write_passes() {
        for right in [
            r#"{"type": "object"}"#,
            r#"{"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}"#,
            r#"{"type": "object", "properties": {"a": true, "type": {"type": ["string", "null"]}}}"#,
            r#"{"type": "object", "additionalProperties": false, "$defs": {"One": {"enum": [1]}},
                "properties": {"many": {"type": "array", "items": {"$ref": "$defs/One"}},
                "any": {"anyOf": [{"type": "null"}, {"const": 1, "description": "One."}]},
                "two": {"items": [{}, false]}, "properties": {"default": {"type": 3}}}}"#,
            r#"{"type": "object", "minProperties": 0, "maxProperties": 3.0, "examples": [{}], "properties": {
                "a": {"minimum": -1.5, "maximum": 1e9, "multipleOf": 0.1, "exclusiveMinimum": true},
                "b": {"minLength": 0, "uniqueItems": false, "default": {"minLength": "x"}},
                "minLength": {"const": {"minLength": "x"}}}, "dependentRequired": {"a": ["b"]}}"#,
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        let nested = |depth| {
            let opened = r#"{"type":"object","properties":{"a":"#.repeat(depth);
            format!(r#"{opened}{{"type":"string"}}{}"#, "}}".repeat(depth))
        };
        assert_eq!(check(&nested(20)), Ok(()));
        assert!(check(&nested(40)).unwrap_err().contains("32 schemas within each other"));
    }

    #[test]
    fn a_lie_is_found_wherever_it_stands() {
        let of = |keys: &str| format!(r#"{{"type": "object", {keys}}}"#);
        for (text, words) in [
            (String::new(), "no JSON"),
            ("[]".into(), "another kind of JSON"),
            ("{}".into(), "its `type` is not \"object\""),
            (r#"{"type": "string"}"#.into(), "its `type` is not \"object\""),
            (of(r#""properties": []"#), "its `properties` is no object of schemas"),
            (of(r#""properties": {"a": 1}"#), "its `properties/a` is no schema"),
            (of(r#""required": "a""#), "its `required` is no list of names"),
            (
                of(r#""properties": {"a": {"type": "text"}}"#),
                "`properties/a/type` is none of array",
            ),
            (of(r#""properties": {"a": {"type": []}}"#), "`properties/a/type` is none of"),
            (
                of(r#""properties": {"a": {"items": "string"}}"#),
                "`properties/a/items` is no schema",
            ),
            (of(r#""properties": {"a": {"items": [1]}}"#), "`properties/a/items` is no schema"),
            (
                of(r#""properties": {"a": {"anyOf": {}}}"#),
                "`properties/a/anyOf` is no list of schemas",
            ),
            (of(r#""allOf": [{"not": {"enum": 1}}]"#), "`allOf/not/enum` is no list of values"),
            (of(r#""$defs": {"a": {"required": [1]}}"#), "`$defs/a/required` is no list of names"),
            (of(r#""additionalProperties": "no""#), "`additionalProperties` is no schema"),
            (
                of(r#""properties": {"a": {"description": 1}}"#),
                "`properties/a/description` is no text",
            ),
            (of(r#""properties": {"a": {"minimum": "1"}}"#), "`properties/a/minimum` is no number"),
            (of(r#""not": {"exclusiveMaximum": [1]}"#), "`not/exclusiveMaximum` is no number"),
            (of(r#""$defs": {"a": {"multipleOf": 0}}"#), "`$defs/a/multipleOf` is no number above"),
            (of(r#""items": {"maxItems": "three"}"#), "`items/maxItems` is no whole number"),
            (of(r#""minLength": -1"#), "`minLength` is no whole number from 0 on"),
            (of(r#""maxLength": 1.5"#), "`maxLength` is no whole number from 0 on"),
            (of(r#""uniqueItems": "yes""#), "`uniqueItems` is neither true nor false"),
            (of(r#""readOnly": 1"#), "`readOnly` is neither true nor false"),
            (of(r#""examples": {"a": 1}"#), "`examples` is no list of values"),
            (of(r#""dependentRequired": {"a": "b"}"#), "`dependentRequired` is no object of lists"),
            (of(r#""properties": {"a\u001b[2J": 1}"#), "`properties/a[2J` is no schema"),
            (of(&format!(r#""x": {}1{}"#, "[".repeat(500), "]".repeat(500))), "no JSON"),
            (of(&format!(r#""x": "{}""#, "x".repeat(LONGEST))), "longer than 16384 bytes"),
        ] {
            let why = check(&text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
