//! Whether what a plugin says of its tools can be shown to models; what their
//! parameters may be is `schema`'s. Pure: a tool
//! whose description can't be used is refused when it is loaded, not when a
//! model's server first chokes on it.

use super::schema;
use crate::tools::catalogue;
use crate::types::ToolSpec;

/// Tools of one plugin.
const MOST_TOOLS: usize = 32;
/// Letters of a tool's name, as models' servers have it.
const LONGEST_NAME: usize = 64;
/// Bytes of a description; each costs context with every request.
const LONGEST_DESCRIPTION: usize = 4096;

/// What the default roles call their own tools, beside those of the host.
const ROLES_TOOLS: [&str; 6] = [
    "create_task",
    "finish_merge",
    "finish_task",
    "spawn_sub_planner",
    "submit_plan",
    "submit_verdict",
];

/// Checks all tools of a plugin; the sentence says which one is wrong.
pub(super) fn check(specs: &[ToolSpec]) -> Result<(), String> {
    if specs.is_empty() {
        return Err("it has no tool; it has to name at least one".to_owned());
    }
    if specs.len() > MOST_TOOLS {
        return Err(format!("it has {} tools; {MOST_TOOLS} are the most", specs.len()));
    }
    for (index, spec) in specs.iter().enumerate() {
        check_name(&spec.name)?;
        if specs[..index].iter().any(|other| other.name == spec.name) {
            return Err(format!("two of its tools are called `{}`; rename one", spec.name));
        }
        let about = |why: String| format!("its tool `{}` {why}", spec.name);
        if spec.description.trim().is_empty() || spec.description.len() > LONGEST_DESCRIPTION {
            return Err(about(format!(
                "needs a description for the model, of {LONGEST_DESCRIPTION} bytes at most"
            )));
        }
        schema::check(&spec.parameters).map_err(about)?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(is_fine) {
        let shown: String = name.chars().filter(|one| !one.is_control()).take(80).collect();
        return Err(format!(
            "`{shown}` can't be a tool's name: letters, digits, `_` and `-`, at most {LONGEST_NAME}"
        ));
    }
    if catalogue::is_host_tool(name) {
        return Err(format!(
            "its tool `{name}` has the name of one of the host's own tools, which no plugin can replace; rename it"
        ));
    }
    if ROLES_TOOLS.contains(&name) {
        return Err(format!(
            "its tool `{name}` has the name of a tool that roles bring themselves; rename it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, parameters: &str) -> ToolSpec {
        ToolSpec {
            name: name.to_owned(),
            description: "Counts.".to_owned(),
            parameters: parameters.to_owned(),
            writes: false,
        }
    }

    const RIGHT: &str =
        r#"{"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}"#;

    #[test]
    fn tools_that_models_can_use_pass() {
        assert_eq!(check(&[spec("count_lines", RIGHT), spec("x", r#"{"type":"object"}"#)]), Ok(()));
    }

    #[test]
    fn what_no_model_could_use_is_refused() {
        for (name, parameters, words) in [
            ("read_file_content", RIGHT, "the name of one of the host's own tools"),
            ("run_command", RIGHT, "the host's own tools"),
            ("finish_task", RIGHT, "roles bring themselves"),
            ("", RIGHT, "can't be a tool's name"),
            ("a b", RIGHT, "`a b` can't be a tool's name"),
            ("x", "{}", "its tool `x` has parameters that are no JSON Schema"),
        ] {
            let why = check(&[spec(name, parameters)]).unwrap_err();
            assert!(why.contains(words), "{name} {parameters}: {why}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        assert!(check(&[spec(&long, RIGHT)]).is_err());
        assert!(check(&[]).unwrap_err().contains("no tool"));
        assert!(check(&[spec("x", RIGHT), spec("x", RIGHT)]).unwrap_err().contains("two of"));
        assert!(check(&vec![spec("x", RIGHT); 33]).unwrap_err().contains("33 tools"));
        let wordy = ToolSpec { description: "x".repeat(5000), ..spec("x", RIGHT) };
        assert!(check(&[wordy]).unwrap_err().contains("needs a description"));
    }
}
