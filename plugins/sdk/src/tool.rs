//! A role's own tools: handled inside the component, offered to the model beside
//! the host's. Owns their description, the reading of their arguments and what a
//! model is told when these can't be read.

use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tools::ToolSpec;

/// A tool of a role. `S` is what the role collects while it works, `R` what it
/// returns in the end.
pub struct OwnTool<S, R> {
    /// Letters, digits and `_`; at most 64.
    pub name: &'static str,
    /// What the model is told of it.
    pub description: String,
    /// A JSON Schema of an object, as text: that takes a fifth of its tree's memory.
    pub parameters: Rc<str>,
    pub(crate) handler: Handler<S, R>,
}

/// What happens on a call. The error is a text for the model: what was wrong,
/// and what would be right.
pub(crate) enum Handler<S, R> {
    /// The conversation goes on with this answer.
    Step(BoxedHandler<S, String>),
    /// The conversation is over with this result.
    Finish(BoxedHandler<S, R>),
}

/// Gets the state and the arguments as the model wrote them.
type BoxedHandler<S, T> = Box<dyn Fn(&mut S, &str) -> Result<T, String>>;

impl<S, R> OwnTool<S, R> {
    /// A tool that answers and lets the model go on. `A` is what the arguments
    /// are read into; its fields have to agree with `parameters`.
    pub fn step<A: DeserializeOwned>(
        name: &'static str,
        description: impl Into<String>,
        parameters: Value,
        handle: impl Fn(&mut S, A) -> Result<String, String> + 'static,
    ) -> Self
    where
        S: 'static,
    {
        let parameters: Rc<str> = parameters.to_string().into();
        let handler = Handler::Step(reading(name, parameters.clone(), handle));
        Self { name, description: description.into(), parameters, handler }
    }

    /// The tool that ends the conversation, if its handler takes the call.
    pub fn finish<A: DeserializeOwned>(
        name: &'static str,
        description: impl Into<String>,
        parameters: Value,
        handle: impl Fn(&mut S, A) -> Result<R, String> + 'static,
    ) -> Self
    where
        S: 'static,
        R: 'static,
    {
        let parameters: Rc<str> = parameters.to_string().into();
        let handler = Handler::Finish(reading(name, parameters.clone(), handle));
        Self { name, description: description.into(), parameters, handler }
    }

    /// Whether a call of this tool can end the conversation.
    pub fn finishes(&self) -> bool {
        matches!(self.handler, Handler::Finish(_))
    }

    /// The tool as the host and the model see it.
    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: self.description.clone(),
            parameters: self.parameters.to_string(),
            writes: false,
        }
    }
}

/// Puts the reading of the arguments before a handler.
fn reading<S: 'static, A: DeserializeOwned, T: 'static>(
    name: &'static str,
    parameters: Rc<str>,
    handle: impl Fn(&mut S, A) -> Result<T, String> + 'static,
) -> BoxedHandler<S, T> {
    Box::new(move |state, text| handle(state, read_arguments(name, &parameters, text)?))
}

/// Reads the arguments of a call; the error tells the model what to write
/// instead.
fn read_arguments<A: DeserializeOwned>(
    name: &str,
    parameters: &str,
    text: &str,
) -> Result<A, String> {
    // Some models write nothing at all for an object without fields.
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        format!(
            "The arguments of `{name}` can't be read: {error}. Nothing was done. Call `{name}` \
             again with one JSON object that fits this schema: {parameters}"
        )
    })
}

/// A text that says something, without the space around it; the error names the
/// field for the model.
pub fn required_text(field: &str, text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err(format!("`{field}` is empty. Nothing was done. Call again with a text in it.")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: u32,
    }

    #[test]
    fn what_can_not_be_read_is_explained() {
        let schema = json!({"type": "object", "required": ["x"]}).to_string();
        assert_eq!(read_arguments("point", &schema, r#"{"x": 3}"#), Ok(Point { x: 3 }));
        for (text, complaint) in [
            ("", "missing field `x`"),
            ("{}", "missing field `x`"),
            (r#"{"x": "three"}"#, "invalid type"),
            (r#"{"x": 3"#, "EOF"),
        ] {
            let error = read_arguments::<Point>("point", &schema, text).unwrap_err();
            assert!(error.contains(complaint), "{error}");
            assert!(error.contains("`point`") && error.contains(r#""required":["x"]"#), "{error}");
        }
    }
}
