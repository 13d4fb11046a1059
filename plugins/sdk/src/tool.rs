//! The tools that a tool plugin brings. Owns what such a tool is and the macro
//! that exports a set of them; what the host makes of them is in `../../wit`.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::arguments::{self, Described};
use crate::tools::ToolSpec;
use crate::types::Error;

/// A tool that every role may call, brought by a tool plugin.
///
/// As for [`OwnTool`](crate::OwnTool), a tool is a name, a type and a function;
/// but the function has no state, since each call gets an instance of its own. The
/// guide has [a page about it](crate::guide::tool_plugins).
///
/// ```standalone_crate
/// use code_agent_sdk::{Tool, files, types::Error};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// Counts the lines of one file.
/// #[derive(Deserialize, JsonSchema)]
/// struct CountLines {
///     /// The file, relative to the repository's root.
///     path: String,
/// }
///
/// fn count_lines(CountLines { path }: CountLines) -> Result<String, Error> {
///     let text = files::read_lines(&path, 1, u32::MAX)?;
///     Ok(format!("{path} has {} lines", text.lines().count()))
/// }
///
/// fn tools() -> Vec<Tool> {
///     vec![Tool::new("count_lines", count_lines)]
/// }
///
/// code_agent_sdk::export_tools!(tools);
/// ```
pub struct Tool {
    name: &'static str,
    writes: bool,
    describe: fn() -> Described,
    handle: BoxedHandler,
}

/// Gets the arguments as the model wrote them.
type BoxedHandler = Box<dyn Fn(&str) -> Result<String, Error>>;

impl Tool {
    /// A tool that changes no file. The name has letters, digits, `_` and `-`, at
    /// most 64, and is no other tool's.
    pub fn new<A: DeserializeOwned + JsonSchema + 'static>(
        name: &'static str,
        handle: impl Fn(A) -> Result<String, Error> + 'static,
    ) -> Self {
        Self {
            name,
            writes: false,
            describe: arguments::describe::<A>,
            handle: Box::new(move |text| handle(arguments::read(name, text)?)),
        }
    }

    /// The same tool, but it changes files: roles that may only read don't see it.
    #[must_use]
    pub fn writing(self) -> Self {
        Self { writes: true, ..self }
    }

    fn spec(&self) -> ToolSpec {
        let Described { description, parameters } = (self.describe)();
        ToolSpec {
            name: self.name.to_owned(),
            description,
            parameters: parameters.to_string(),
            writes: self.writes,
        }
    }
}

/// The tools as the host and the model see them.
pub fn specs(tools: &[Tool]) -> Vec<ToolSpec> {
    tools.iter().map(Tool::spec).collect()
}

/// Carries out one call, as the host would have it done.
///
/// # Errors
/// `not-found` where no tool has the name, `invalid` for arguments that can't be
/// read, else what the tool's function returns.
pub fn call(tools: &[Tool], name: &str, arguments: &str) -> Result<String, Error> {
    crate::panics::log();
    match tools.iter().find(|tool| tool.name == name) {
        Some(tool) => (tool.handle)(arguments),
        None => {
            let names: Vec<_> = tools.iter().map(|tool| tool.name).collect();
            Err(Error::NotFound(format!(
                "there is no tool `{name}` here, only {}",
                crate::message::names(&names)
            )))
        }
    }
}

/// Makes the crate a tool plugin. Takes the name of a function without arguments
/// that returns its tools, a `Vec<`[`Tool`]`>`.
#[macro_export]
macro_rules! export_tools {
    ($tools:path) => {
        const _: () = {
            struct ExportedTools;

            impl $crate::tool_provider::Guest for ExportedTools {
                fn specs() -> Result<Vec<$crate::tools::ToolSpec>, $crate::types::Error> {
                    Ok($crate::tool::specs(&$tools()))
                }

                fn call(name: String, arguments: String) -> Result<String, $crate::types::Error> {
                    $crate::tool::call(&$tools(), &name, &arguments)
                }
            }

            $crate::export_tool_provider!(ExportedTools);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use serde::Deserialize;

    /// Appends a line.
    #[derive(Deserialize, JsonSchema)]
    struct Append {
        path: String,
        line: String,
    }

    fn append(Append { path, line }: Append) -> Result<String, Error> {
        let mut bytes = crate::files::read(&path, 0, 1 << 20)?;
        bytes.extend_from_slice(line.as_bytes());
        crate::files_write::write(&path, &bytes, None)?;
        Ok("appended".to_owned())
    }

    fn tools() -> Vec<Tool> {
        vec![Tool::new("append", append).writing()]
    }

    #[test]
    fn a_tool_says_what_it_is() {
        let [spec] = &specs(&tools())[..] else { panic!("not one tool") };
        assert_eq!((&*spec.name, &*spec.description), ("append", "Appends a line."));
        assert!(spec.writes && spec.parameters.contains(r#""required":["path","line"]"#));
    }

    #[test]
    fn a_call_finds_its_tool_and_goes_through_the_host() {
        let arguments = r#"{"path": "a.txt", "line": "two\n"}"#;
        let ran = Host::new()
            .file("a.txt", "one\n")
            .run(|| (call(&tools(), "append", arguments), call(&tools(), "prepend", "{}")));
        assert_eq!(ran.returned.0, Ok("appended".to_owned()));
        assert!(matches!(ran.returned.1, Err(Error::NotFound(text)) if text.contains("`append`")));
        assert_eq!(ran.files["a.txt"], b"one\ntwo\n");
    }
}
