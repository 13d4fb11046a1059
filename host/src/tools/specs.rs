//! The catalogue of the file tools, as models see it. One table says which
//! arguments a tool takes; the JSON Schema and the check of a call's arguments
//! both come from it, so that they can't differ.

use serde_json::{Map, Value, json};

use crate::types::ToolSpec;

/// A tool as it is declared here.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Letters, digits, '_' and '-'; at most 64.
    pub name: &'static str,
    /// What it does and when to use it, for the model.
    pub description: &'static str,
    /// Whether it changes files.
    pub writes: bool,
    /// All that it takes.
    pub parameters: &'static [Parameter],
}

/// One argument of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// As models write it.
    pub name: &'static str,
    /// What it has to be.
    pub kind: Kind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What it means, for the model.
    pub description: &'static str,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// A whole number from 0 to `u32::MAX`.
    Number,
    /// True or false.
    Flag,
}

impl Tool {
    /// The tool with its JSON Schema.
    pub fn spec(&self) -> ToolSpec {
        let properties: Map<String, Value> =
            self.parameters.iter().map(|one| (one.name.to_owned(), one.schema())).collect();
        let required: Vec<&str> =
            self.parameters.iter().filter(|one| one.required).map(|one| one.name).collect();
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        ToolSpec {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            parameters: schema.to_string(),
            writes: self.writes,
        }
    }
}

impl Parameter {
    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Number => json!({"type": "integer", "minimum": 0}),
            Kind::Flag => json!({"type": "boolean"}),
        };
        schema["description"] = Value::from(self.description);
        schema
    }
}

const fn required(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, kind, required: true, description }
}

const fn optional(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, kind, required: false, description }
}

const FILE: &str = "The file, relative to the repository's top: `src/main.rs`.";
const GLOBS: &str = "Only files that match one of these, relative to the repository's top: \
    `*.rs` (in any folder), `src/auth` (all below it), `src/**/*.rs`; `!target` leaves out.";

/// All file tools.
pub const FILE_TOOLS: &[Tool] = &[
    Tool {
        name: "list_files_recursive",
        description: "Lists the files of the repository, one path a line, without what \
            .gitignore leaves out. Narrow a large repository with `path` or `globs`.",
        writes: false,
        parameters: &[
            optional("path", Kind::Text, "The folder to list; the repository's top if left out."),
            optional("globs", Kind::Texts, GLOBS),
        ],
    },
    Tool {
        name: "read_file_content",
        description: "Shows a text file. Each line has its number and a tab in front, which are \
            not part of the file. A long file is cut; the last line then says how to go on.",
        writes: false,
        parameters: &[
            required("path", Kind::Text, FILE),
            optional("first_line", Kind::Number, "The first line to show, from 1; 1 if left out."),
            optional("last_line", Kind::Number, "The last line to show; the file's if left out."),
        ],
    },
    Tool {
        name: "write_file_content",
        description: "Creates a file, or replaces all that is in it; missing folders are created. \
            To change a part of a file use `edit_file`.",
        writes: true,
        parameters: &[
            required("path", Kind::Text, FILE),
            required("content", Kind::Text, "All that the file shall hold."),
        ],
    },
    Tool {
        name: "edit_file",
        description: "Replaces one place in a text file. `old_text` has to stand there exactly, \
            indentation included, and only once: give enough lines around it. Where it is not \
            found the nearest lines are shown; copy them and call again.",
        writes: true,
        parameters: &[
            required("path", Kind::Text, FILE),
            required("old_text", Kind::Text, "What stands there now, without line numbers."),
            required("new_text", Kind::Text, "What shall stand there; empty to delete."),
        ],
    },
    Tool {
        name: "delete_file",
        description: "Deletes one file. A folder is gone when its last file is.",
        writes: true,
        parameters: &[required("path", Kind::Text, FILE)],
    },
    Tool {
        name: "move_file",
        description: "Moves or renames a file or a folder; missing folders are created. Never \
            replaces what is there: delete that first.",
        writes: true,
        parameters: &[
            required("from", Kind::Text, "What to move, relative to the repository's top."),
            required("to", Kind::Text, "Its new path with its new name."),
        ],
    },
    Tool {
        name: "search_code_pattern",
        description: "Searches the files' lines with a regular expression, without what \
            .gitignore leaves out. Shows each file's path, then its lines: `12: a hit`, \
            `11- a line beside it`.",
        writes: false,
        parameters: &[
            required(
                "pattern",
                Kind::Text,
                "Rust's regex syntax, within one line: `fn \\w+_test\\(`. No look-around, no \
                 back-references.",
            ),
            optional("globs", Kind::Texts, GLOBS),
            optional("ignore_case", Kind::Flag, "Whether letter case does not count."),
            optional("context_lines", Kind::Number, "Lines around each hit; 0 if left out."),
            optional("max_results", Kind::Number, "At most so many hits; 100 if left out."),
        ],
    },
    Tool {
        name: "get_directory_structure",
        description: "Draws the folders and files as an indented tree, without what .gitignore \
            leaves out. Good for a first look; `list_files_recursive` gives whole paths.",
        writes: false,
        parameters: &[
            optional("path", Kind::Text, "The folder to draw; the repository's top if left out."),
            optional("depth", Kind::Number, "How many levels; 3 if left out."),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_what_models_servers_take() {
        for tool in FILE_TOOLS {
            let spec = tool.spec();
            assert!(spec.name.len() <= 64);
            assert!(spec.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            let schema: Value = serde_json::from_str(&spec.parameters).unwrap();
            assert_eq!(schema["type"], "object");
            for name in schema["required"].as_array().unwrap() {
                assert!(schema["properties"][name.as_str().unwrap()].is_object(), "{name}");
            }
        }
    }
}
