//! The host's own tools. Owns what they are called, what they take and what
//! they do in a checkout; who may use which says the agent's rights.
//!
//! `files`, `edit`, `listing` and `search` are plain blocking functions for
//! components' calls; `call_file_tool` does the same for a model's. `git` holds
//! git's tools, `command` the one that runs commands, and `catalogue` runs a reply's calls, whichever tools they name.

pub mod arguments;
mod calls;
pub mod catalogue;
pub mod command;
pub mod edit;
pub mod files;
pub mod git;
pub mod globs;
pub mod listing;
mod nearest;
pub mod output;
pub mod place;
pub mod search;
pub mod specs;
#[cfg(test)]
mod testing;
mod walk;

use self::arguments::Arguments;
use self::place::WriteArea;
use self::specs::FILE_TOOLS;
use crate::types::{CallError, ToolSpec};

/// The file tools as models see them.
pub fn file_tool_specs() -> Vec<ToolSpec> {
    FILE_TOOLS.iter().map(specs::Tool::spec).collect()
}

/// Runs a model's call of a file tool, blocking; `arguments` is what the model
/// wrote. None where no file tool has that name. Nothing outside of `root`
/// changes, and nothing at all without `may_write`.
pub fn call_file_tool(
    area: WriteArea<'_>,
    may_write: bool,
    name: &str,
    arguments: &str,
) -> Option<Result<String, CallError>> {
    let tool = FILE_TOOLS.iter().find(|tool| tool.name == name)?;
    if tool.writes && !may_write {
        return Some(Err(CallError::Denied(format!(
            "`{name}` changes files, and this role may only read"
        ))));
    }
    match Arguments::parse(tool, arguments) {
        Ok(arguments) => calls::call(area, name, &arguments),
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::testing::{area, checkout};
    use super::*;
    use crate::repo::folder::Folder;

    fn call(folder: &Folder, name: &str, arguments: &str) -> String {
        match call_file_tool(area(folder), true, name, arguments).unwrap() {
            Ok(output) => output,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_tool_that_is_declared_is_there() {
        let (_guard, folder) = checkout(&[]);
        for spec in file_tool_specs() {
            assert!(call_file_tool(area(&folder), true, &spec.name, "{}").is_some());
            let reader = call_file_tool(area(&folder), false, &spec.name, "{}").unwrap();
            assert_eq!(matches!(reader, Err(CallError::Denied(_))), spec.writes, "{}", spec.name);
        }
        // With all that they need: none is declared without being done.
        for tool in FILE_TOOLS {
            let texts = tool.parameters.iter().filter(|one| one.required);
            let texts: Vec<String> = texts.map(|one| format!("{:?}: \"x\"", one.name)).collect();
            let arguments = format!("{{{}}}", texts.join(", "));
            assert!(
                call_file_tool(area(&folder), true, tool.name, &arguments).is_some(),
                "{}",
                tool.name
            );
        }
        assert!(call_file_tool(area(&folder), true, "git_status", "{}").is_none());
    }

    #[test]
    fn a_file_is_written_read_edited_moved_and_deleted() {
        let (guard, folder) = checkout(&[]);
        let write = r#"{"path": "src/a.rs", "content": "one\ntwo\n"}"#;
        assert_eq!(
            call(&folder, "write_file_content", write),
            "created src/a.rs: 2 lines, 8 bytes"
        );
        let read = r#"{"path": "src/a.rs"}"#;
        assert_eq!(call(&folder, "read_file_content", read), "    1\tone\n    2\ttwo");
        let edit = r#"{"path": "src/a.rs", "old_text": "two", "new_text": "2"}"#;
        assert_eq!(call(&folder, "edit_file", edit), "edited src/a.rs from line 2 on");
        let part = r#"{"path": "src/a.rs", "first_line": "2", "last_line": 2}"#;
        assert_eq!(call(&folder, "read_file_content", part), "    2\t2");
        let rename = r#"{"from": "src/a.rs", "to": "b.rs"}"#;
        assert_eq!(call(&folder, "move_file", rename), "moved src/a.rs to b.rs");
        assert_eq!(call(&folder, "list_files_recursive", ""), "b.rs");
        assert_eq!(call(&folder, "delete_file", r#"{"path": "b.rs"}"#), "deleted b.rs");
        assert!(!guard.path().join("b.rs").exists());
        let gone = call(&folder, "delete_file", r#"{"path": "b.rs"}"#);
        assert!(gone.starts_with("not found: b.rs does not exist; "), "{gone}");
    }

    #[test]
    fn hits_are_shown_by_file() {
        let (_guard, folder) = checkout(&[("a", "x1\ny\nx2\n"), ("b", "x3")]);
        let search = r#"{"pattern": "x\\d", "context_lines": 1}"#;
        assert_eq!(
            call(&folder, "search_code_pattern", search),
            "a\n1: x1\n2- y\n3: x2\nb\n1: x3\n(3 hits in 2 files)"
        );
        let one = call(&folder, "search_code_pattern", r#"{"pattern": "x", "max_results": 1}"#);
        assert!(one.starts_with("a\n1: x1\n(the first 1 of 3 hits in 2 files: "), "{one}");
        assert_eq!(call(&folder, "search_code_pattern", r#"{"pattern": "z"}"#), "(no hits)");
    }

    #[test]
    fn long_files_are_cut_and_can_be_read_on() {
        let (guard, folder) = checkout(&[("long", &"0123456789 äöü\n".repeat(9000))]);
        let output = call(&folder, "read_file_content", r#"{"path": "long"}"#);
        assert!(output.len() < 51_000);
        let (lines, last) = output.rsplit_once('\n').unwrap();
        let shown = lines.lines().count();
        let next = format!("(cut after line {shown} of 9000: go on with first_line {})", shown + 1);
        assert_eq!(last, next);
        let rest = format!(r#"{{"path": "long", "first_line": {}}}"#, shown + 1);
        let rest = call(&folder, "read_file_content", &rest);
        assert!(rest.starts_with(&format!("{:5}\t0123456789 äöü\n", shown + 1)));
        fs::write(guard.path().join("wide"), "ä".repeat(100_000)).unwrap();
        let wide = call(&folder, "read_file_content", r#"{"path": "wide"}"#);
        assert!(wide.ends_with("ä … (99500 more characters)"), "{}", &wide[wide.len() - 40..]);
    }

    #[test]
    fn odd_files_are_named_as_such() {
        let (guard, folder) = checkout(&[("empty", ""), ("binary", "\0")]);
        fs::write(guard.path().join("latin"), b"caf\xe9\n").unwrap();
        for (path, wants) in [
            ("empty", "(empty is empty)"),
            ("binary", "invalid: binary is a binary file of 1 bytes, not text"),
            (
                "latin",
                "    1\tcaf\u{fffd}\n(the file is not UTF-8: what could not be shown is \u{fffd})",
            ),
        ] {
            let arguments = format!(r#"{{"path": "{path}"}}"#);
            assert_eq!(call(&folder, "read_file_content", &arguments), wants);
        }
        let beyond = r#"{"path": "latin", "first_line": 2}"#;
        assert_eq!(call(&folder, "read_file_content", beyond), "invalid: latin has only 1 lines");
    }
}
