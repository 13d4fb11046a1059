//! The worker: does one task from beginning to end. Owns its prompt and its
//! first message; the loop is the SDK's, the tools that change files the host's.

use code_agent_sdk::message::{self, one_line};
use code_agent_sdk::types::{Brief, Error, Priority, Task};
use code_agent_sdk::worker::{Guest, Report};
use code_agent_sdk::{Agent, OwnTool, git_write, required_text};
use schemars::JsonSchema;
use serde::Deserialize;

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 120;

struct Worker;

impl Guest for Worker {
    fn run(brief: Brief, task: Task) -> Result<Report, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief, &task),
            tools: vec![OwnTool::finish("finish_task", finish_task)],
            max_turns: MAX_TURNS,
        };
        agent.run(&mut Finishing::default())
    }
}

code_agent_sdk::export_worker!(Worker);

/// Ends your work on the task. With success, what is in your checkout lands;
/// without, it is thrown away.
#[derive(Deserialize, JsonSchema)]
struct FinishTask {
    /// true only if every acceptance criterion is met.
    success: bool,
    /// What you changed and how you verified it; without success, what stood in the
    /// way.
    summary: String,
    /// Concerns, deviations and findings for the judge, one each. Often none.
    #[serde(default)]
    notes: Vec<String>,
    /// New files that a command made and that belong to the work: paths, folders or
    /// globs, relative to the repository's top. What tools wrote and what your task
    /// names lands anyway; other new files do not.
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

/// Before work is handed in, the model hears what keeps it from landing, and once
/// which new files would stay out. The host holds to both in any case.
fn finish_task(finishing: &mut Finishing, finished: FinishTask) -> Result<Report, Error> {
    let FinishTask { success, summary, notes, include_files } = finished;
    let summary = required_text("summary", &summary)?;
    if success {
        match git_write::prepare(&include_files) {
            Err(Error::Invalid(why)) => return Err(format!("Not accepted yet: {why}.").into()),
            Ok(left_out) if !left_out.is_empty() && !finishing.told => {
                finishing.told = true;
                return Err(question(&left_out).into());
            }
            // What else may be wrong, the host says when it lands the work.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Report { success, summary, notes })
}

fn question(left_out: &[String]) -> String {
    format!(
        "Not accepted yet. These new files were made by commands, and your task does not name \
         them, or something else stands behind their name, so they will not land:\n{}\nCall \
         `finish_task` again. If some of them belong to the work (a file that you moved with a \
         command, a generated file that the repository keeps), name these in `include_files`; \
         leave out what is only a product of builds, tests and tools. What a .gitignore names or \
         what lies in a submodule can't land: if it belongs to the work, move it, or change the \
         .gitignore. You are asked once.",
        message::bullets(left_out)
    )
}

#[cfg(test)]
mod tests {
    use code_agent_sdk::lm::Reply;
    use code_agent_sdk::testing::{self, Event, Host, Ran, brief, call, draft};
    use code_agent_sdk::types::TaskDraft;
    use serde_json::json;

    use super::*;

    fn work_on(task: Task, host: Host) -> Ran<Result<Report, Error>> {
        host.run(|| Worker::run(brief("g"), task))
    }

    fn work(host: Host) -> Ran<Result<Report, Error>> {
        work_on(testing::task("Add a parser"), host)
    }

    fn finish(include_files: &[&str]) -> Reply {
        let arguments = json!({"success": true, "summary": "done", "include_files": include_files});
        call("finish_task", arguments)
    }

    #[test]
    fn the_first_message_has_the_task_and_the_last_error_in_full() {
        let message_of = |attempt, last_error: Option<&str>| {
            let draft = TaskDraft { priority: Priority::High, ..draft("Add a parser") };
            let last_error = last_error.map(str::to_owned);
            let task = Task { draft, attempt, last_error, ..testing::task("") };
            work_on(task, Host::new().reply(finish(&[]))).said().concat()
        };
        let first = message_of(1, None);
        for line in ["Task: Add a parser", "Attempt: 1", "Priority: high", "Add a parser."] {
            assert!(first.lines().any(|other| other == line), "{line} is not in {first}");
        }
        assert!(!first.contains("did not land"));
        let error = "conflict in src/a.rs\n".repeat(1000);
        assert!(message_of(2, Some(&error)).contains(error.trim()));
    }

    #[test]
    fn a_failure_is_reported_as_one_and_nothing_is_prepared() {
        let host = Host::new()
            .reply(call("finish_task", json!({"summary": "no such file"})))
            .reply(call("finish_task", json!({"success": false, "summary": "no such file"})));
        let ran = work(host);
        let report = ran.returned.as_ref().unwrap();
        assert_eq!((report.success, &*report.summary), (false, "no such file"));
        assert!(ran.results()[0].output.contains("missing field `success`"));
        assert!(!ran.events.iter().any(|event| matches!(event, Event::Prepared(_))));
    }

    #[test]
    fn new_files_are_asked_about_once_and_what_cannot_land_each_time() {
        let key = || Err(Error::Invalid("a key in `a` line 3".into()));
        let junk = || Ok(vec!["`target/` (9 files)".to_owned()]);
        let host = Host::new().prepares(key()).prepares(key()).prepares(junk()).prepares(junk());
        let ran = work((0..4).fold(host, |host, _| host.reply(finish(&[]))));
        assert!(ran.returned.as_ref().unwrap().success);
        let told: Vec<_> = ran.results().iter().map(|result| result.output.as_str()).collect();
        assert!(told[..2].iter().all(|text| text.contains("a key in `a` line 3")), "{told:?}");
        assert!(told[2].contains("\n- `target/` (9 files)\n"), "{told:?}");
        assert!(
            told[2].contains("`include_files`") && told[3].starts_with("Accepted."),
            "{told:?}"
        );
    }

    #[test]
    fn files_that_belong_to_the_work_are_named_to_the_host() {
        let ran = work(Host::new().reply(finish(&["out.txt"])));
        assert!(ran.events.contains(&Event::Prepared(vec!["out.txt".to_owned()])));
        let broken = Host::new().prepares(Err(Error::Unavailable("later".into())));
        assert!(work(broken.reply(finish(&[]))).returned.unwrap().success);
    }
}
