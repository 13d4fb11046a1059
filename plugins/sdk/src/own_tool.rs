//! A role's own tools: handled inside the component, offered to the model beside
//! the host's. Owns what such a tool is; when it is called is `calls`' business.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::arguments::{self, Described};
use crate::tools::ToolSpec;
use crate::types::Error;

/// A tool of a role's own. `S` is what the role collects while it works, `R` what
/// it returns in the end.
///
/// A tool is a name, a type and a function. The type is what a model has to
/// write: its doc comment becomes the tool's description, its fields the
/// parameters, their doc comments the parameters' descriptions. The function gets
/// the state and the arguments; its error goes back to the model, so it says what
/// would be right.
///
/// ```
/// use code_agent_sdk::OwnTool;
/// use code_agent_sdk::types::Error;
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// Notes one finding. Call it once for each.
/// #[derive(Deserialize, JsonSchema)]
/// struct NoteFinding {
///     /// Where it is: a path, relative to the repository's root.
///     path: String,
///     /// What is wrong there.
///     finding: String,
/// }
///
/// fn note_finding(findings: &mut Vec<String>, note: NoteFinding) -> Result<String, Error> {
///     if findings.len() == 20 {
///         return Err("There are 20 findings, and more would not be read.".into());
///     }
///     findings.push(format!("{}: {}", note.path, note.finding));
///     Ok("Noted.".to_owned())
/// }
///
/// let tool = OwnTool::<_, ()>::step("note_finding", note_finding);
/// assert_eq!(tool.spec().description, "Notes one finding. Call it once for each.");
/// ```
pub struct OwnTool<S, R> {
    name: &'static str,
    description: Option<String>,
    describe: fn() -> Described,
    pub(crate) handler: Handler<S, R>,
}

/// What happens on a call.
pub(crate) enum Handler<S, R> {
    /// The conversation goes on with this answer.
    Step(BoxedHandler<S, String>),
    /// The conversation is over with this result.
    Finish(BoxedHandler<S, R>),
}

/// Gets the state and the arguments as the model wrote them.
type BoxedHandler<S, T> = Box<dyn Fn(&mut S, &str) -> Result<T, Error>>;

impl<S: 'static, R: 'static> OwnTool<S, R> {
    /// A tool that answers and lets the model go on. The name has letters, digits
    /// and `_`, at most 64.
    pub fn step<A: DeserializeOwned + JsonSchema + 'static>(
        name: &'static str,
        handle: impl Fn(&mut S, A) -> Result<String, Error> + 'static,
    ) -> Self {
        Self::new::<A>(name, Handler::Step(reading(name, handle)))
    }

    /// The tool that ends the conversation, if its handler takes the call.
    pub fn finish<A: DeserializeOwned + JsonSchema + 'static>(
        name: &'static str,
        handle: impl Fn(&mut S, A) -> Result<R, Error> + 'static,
    ) -> Self {
        Self::new::<A>(name, Handler::Finish(reading(name, handle)))
    }

    fn new<A: JsonSchema>(name: &'static str, handler: Handler<S, R>) -> Self {
        Self { name, description: None, describe: arguments::describe::<A>, handler }
    }
}

impl<S, R> OwnTool<S, R> {
    /// The same tool with another description than the doc comment of its
    /// arguments.
    #[must_use]
    pub fn described(self, description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..self }
    }

    /// What the model calls it by.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a call of this tool can end the conversation.
    pub fn finishes(&self) -> bool {
        matches!(self.handler, Handler::Finish(_))
    }

    /// The tool as the host and the model see it.
    pub fn spec(&self) -> ToolSpec {
        let Described { description, parameters } = (self.describe)();
        ToolSpec {
            name: self.name.to_owned(),
            description: self.description.clone().unwrap_or(description),
            parameters: parameters.to_string(),
            writes: false,
        }
    }
}

/// Puts the reading of the arguments before a handler.
fn reading<S: 'static, A: DeserializeOwned + JsonSchema + 'static, T: 'static>(
    name: &'static str,
    handle: impl Fn(&mut S, A) -> Result<T, Error> + 'static,
) -> BoxedHandler<S, T> {
    Box::new(move |state, text| handle(state, arguments::read(name, text)?))
}
