//! The worker: does one task from beginning to end. Owns its prompt and its
//! first message; the loop is the SDK's, the tools that change files the host's.

use code_agent_sdk::message::{self, one_line};
use code_agent_sdk::tool::required_text;
use code_agent_sdk::types::{Brief, Error, Priority, Task};
use code_agent_sdk::worker::{Guest, Report};
use code_agent_sdk::{Agent, OwnTool, host};
use serde::Deserialize;
use serde_json::{Value, json};

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 120;

struct Worker;

impl Guest for Worker {
    fn run(brief: Brief, task: Task) -> Result<Report, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief, &task),
            tools: vec![finish_task()],
            max_turns: MAX_TURNS,
        };
        host::run(agent, &mut ())
    }
}

code_agent_sdk::export_worker!(Worker);

#[derive(Deserialize)]
struct FinishArguments {
    success: bool,
    summary: String,
    #[serde(default)]
    notes: Vec<String>,
}

fn first_message(brief: &Brief, task: &Task) -> String {
    let draft = &task.draft;
    let mut text = message::brief(brief);
    text.push_str(&format!(
        "\n# Your task\n\nTask: {}\nAttempt: {}\nPriority: {}\nFiles: {}\n\n{}\n",
        one_line(&draft.title),
        task.attempt,
        priority_word(draft.priority),
        message::names(&draft.file_paths),
        draft.description.trim()
    ));
    if let Some(error) = &task.last_error {
        let heading = "Why the attempt before this one did not land";
        text.push_str(&message::section(heading, error));
        text.push_str(
            "\nNothing of that attempt is in your checkout: you start on the newest state of the \
             branch. Read the files again and do the task so that this does not happen again.\n",
        );
    }
    text.push_str("\nDo this task completely and finish with `finish_task`.\n");
    text
}

fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
    }
}

fn finish_task() -> OwnTool<(), Report> {
    OwnTool::finish(
        "finish_task",
        "Ends your work on the task. With success, what is in your checkout lands; without, it is \
         thrown away.",
        finish_schema(),
        |(), arguments: FinishArguments| finish(arguments),
    )
}

fn finish(arguments: FinishArguments) -> Result<Report, String> {
    let summary = required_text("summary", &arguments.summary)?;
    Ok(Report { success: arguments.success, summary, notes: arguments.notes })
}

fn finish_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": {
                "type": "boolean",
                "description": "true only if every acceptance criterion is met.",
            },
            "summary": {
                "type": "string",
                "description": "What you changed and how you verified it; without success, what \
                    stood in the way.",
            },
            "notes": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Concerns, deviations and findings for the judge, one each. Often \
                    none.",
            },
        },
        "required": ["success", "summary"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use code_agent_sdk::types::TaskDraft;

    fn message_of(attempt: u32, last_error: Option<&str>) -> String {
        let brief = Brief {
            goal: "g".into(),
            cycle: 1,
            max_cycles: 5,
            instructions: None,
            guidance: Vec::new(),
            root_path: ".".into(),
        };
        let draft = TaskDraft {
            title: "Add a parser".into(),
            description: "It reads TOML.".into(),
            priority: Priority::High,
            file_paths: vec!["src/parser.rs".into()],
        };
        let last_error = last_error.map(str::to_owned);
        first_message(&brief, &Task { id: "t".into(), draft, attempt, last_error })
    }

    #[test]
    fn the_first_message_has_the_task_and_the_last_error_in_full() {
        let first = message_of(1, None);
        for line in ["Task: Add a parser", "Attempt: 1", "Priority: high", "It reads TOML."] {
            assert!(first.lines().any(|other| other == line), "{line} is not in {first}");
        }
        assert!(!first.contains("did not land"));
        let error = "conflict in src/a.rs\n".repeat(1000);
        assert!(message_of(2, Some(&error)).contains(error.trim()));
    }

    #[test]
    fn a_failure_is_reported_as_one() {
        let arguments: FinishArguments =
            serde_json::from_str(r#"{"success": false, "summary": "no such file"}"#).unwrap();
        let report = finish(arguments).unwrap();
        assert!(!report.success);
        assert_eq!(report.summary, "no such file");
        assert!(serde_json::from_str::<FinishArguments>(r#"{"summary": "s"}"#).is_err());
    }
}
