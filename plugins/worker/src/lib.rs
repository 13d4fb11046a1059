//! The worker: does one task from beginning to end. Owns its prompt and its
//! first message; the loop is the SDK's, the tools that change files the host's.

use code_agent_sdk::message::{self, one_line};
use code_agent_sdk::tool::required_text;
use code_agent_sdk::types::{Brief, Error, Priority, Task};
use code_agent_sdk::worker::{Guest, Report};
use code_agent_sdk::{Agent, OwnTool, git_write, host};
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
        host::run(agent, &mut Finishing::default())
    }
}

code_agent_sdk::export_worker!(Worker);

#[derive(Deserialize)]
struct FinishArguments {
    success: bool,
    summary: String,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    include_files: Vec<String>,
}

/// What the model has been told about finishing.
#[derive(Default)]
struct Finishing {
    /// Which new files would stay out.
    told: bool,
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

fn finish_task() -> OwnTool<Finishing, Report> {
    OwnTool::finish(
        "finish_task",
        "Ends your work on the task. With success, what is in your checkout lands; without, it is \
         thrown away.",
        finish_schema(),
        |finishing: &mut Finishing, arguments: FinishArguments| {
            finish(finishing, arguments, git_write::prepare)
        },
    )
}

/// Before work is handed in, the model hears what keeps it from landing, and once
/// which new files would stay out. The host holds to both in any case.
fn finish(
    finishing: &mut Finishing,
    arguments: FinishArguments,
    prepare: impl FnOnce(&[String]) -> Result<Vec<String>, Error>,
) -> Result<Report, String> {
    let summary = required_text("summary", &arguments.summary)?;
    if arguments.success {
        match prepare(&arguments.include_files) {
            Err(Error::Invalid(why)) => return Err(format!("Not accepted yet: {why}.")),
            Ok(left_out) if !left_out.is_empty() && !finishing.told => {
                finishing.told = true;
                return Err(question(&left_out));
            }
            // What else may be wrong, the host says when it lands the work.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Report { success: arguments.success, summary, notes: arguments.notes })
}

fn question(left_out: &[String]) -> String {
    format!(
        "Not accepted yet. These new files were made by commands, and your task does not name \
         them, so they will not land:\n{}\nCall `finish_task` again. If some of them belong to \
         the work (a file that you moved with a command, a generated file that the repository \
         keeps), name these in `include_files`; leave out what is only a product of builds, tests \
         and tools. You are asked once.",
        message::bullets(left_out)
    )
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
            "include_files": {
                "type": "array",
                "items": {"type": "string"},
                "description": "New files that a command made and that belong to the work: paths, \
                    folders or globs, relative to the repository's top. What tools wrote and what \
                    your task names lands anyway; other new files do not.",
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
        let nobody = |_: &[String]| panic!("nothing lands");
        let report = finish(&mut Finishing::default(), arguments, nobody).unwrap();
        assert!(!report.success);
        assert_eq!(report.summary, "no such file");
        assert!(serde_json::from_str::<FinishArguments>(r#"{"summary": "s"}"#).is_err());
    }
    #[test]
    fn new_files_are_asked_about_once_and_what_cannot_land_each_time() {
        let arguments = |names: &[&str]| FinishArguments {
            success: true,
            summary: "done".into(),
            notes: Vec::new(),
            include_files: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let mut finishing = Finishing::default();
        let key = |_: &[String]| Err(Error::Invalid("a key in `a` line 3".into()));
        for _ in 0..2 {
            let error = finish(&mut finishing, arguments(&[]), key).unwrap_err();
            assert!(error.contains("a key in `a` line 3"), "{error}");
        }
        let junk = |_: &[String]| Ok(vec!["`target/` (9 files)".to_owned()]);
        let error = finish(&mut finishing, arguments(&[]), junk).unwrap_err();
        assert!(error.contains("\n- `target/` (9 files)\n"), "{error}");
        assert!(error.contains("`include_files`"), "{error}");
        assert!(finish(&mut finishing, arguments(&[]), junk).unwrap().success);
        let named = |names: &[String]| {
            assert_eq!(names, ["out.txt"]);
            Ok(Vec::new())
        };
        assert!(finish(&mut Finishing::default(), arguments(&["out.txt"]), named).is_ok());
        let broken = |_: &[String]| Err(Error::Unavailable("later".into()));
        assert!(finish(&mut Finishing::default(), arguments(&[]), broken).is_ok());
    }
}
