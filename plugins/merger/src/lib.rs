//! The merger: brings a finished task's work together with what others have
//! landed meanwhile. Owns its prompt, its first message and its report; the
//! markers are the host's work, the loop the SDK's.

use code_agent_sdk::merger::{Collision, Guest, MergeReport, MergeRequest};
use code_agent_sdk::message::{self, bullets, clip, names, one_line, section};
use code_agent_sdk::types::{Brief, Error};
use code_agent_sdk::{Agent, OwnTool, required_text};
use schemars::JsonSchema;
use serde::Deserialize;

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 60;
/// What each side's diff may take, in bytes; `git_diff` shows the rest.
const DIFF: usize = 40_000;
/// What the worker's report may take, in bytes.
const REPORT: usize = 8_000;

struct Merger;

impl Guest for Merger {
    fn merge(brief: Brief, request: MergeRequest) -> Result<MergeReport, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief, &request),
            tools: vec![OwnTool::finish("finish_merge", finish_merge)],
            max_turns: MAX_TURNS,
        };
        agent.run(&mut ())
    }
}

code_agent_sdk::export_merger!(Merger);

/// Ends your work on the merge. With success, what is in your checkout lands;
/// without, it is thrown away.
#[derive(Deserialize, JsonSchema)]
struct FinishMerge {
    /// true only if both sides' work is there and no conflict marker is left.
    success: bool,
    /// How you brought the two sides together and how you verified it; without
    /// success, what stood in the way.
    summary: String,
    /// Concerns and findings for the judge, one each. Often none.
    #[serde(default)]
    notes: Vec<String>,
}

fn first_message(brief: &Brief, request: &MergeRequest) -> String {
    let draft = &request.task.draft;
    let mut text = message::brief(brief);
    text.push_str(&format!(
        "\n# The merge\n\nTask: {}\nFiles: {}\nBase commit: {}\nBranch commit: {}\n\n{}\n",
        one_line(&draft.title),
        message::names(&draft.file_paths),
        request.base,
        request.tip,
        draft.description.trim()
    ));
    let notes = bullets(&request.notes);
    let report = clip(&format!("{}\n\n{notes}", request.summary.trim()), REPORT);
    text.push_str(&section("What the worker says of its work", &report));
    let collisions: Vec<String> = request.collisions.iter().map(collision).collect();
    text.push_str(&section("What collides", &bullets(&collisions)));
    if !request.commits.is_empty() {
        text.push_str(&format!("\nThe branch's commits there: {}\n", names(&request.commits)));
    }
    let heading = "What the worker changed since the base";
    text.push_str(&section(heading, &quoted(&clip(&request.worker_diff, DIFF))));
    let heading = "What the branch changed since the base in these files";
    text.push_str(&section(heading, &quoted(&clip(&request.branch_diff, DIFF))));
    text.push_str("\nBring both sides together and finish with `finish_merge`.\n");
    text
}

fn collision(collision: &Collision) -> String {
    let markers = collision.markers.map_or(String::new(), |length| {
        format!(" It has conflict markers of {length} characters.")
    });
    format!("`{}`: {}.{markers}", collision.path, collision.description)
}

/// The text as a block that nothing in it can close.
fn quoted(text: &str) -> String {
    // A section is trimmed at its beginning, and so would be the first margin.
    if text.trim().is_empty() {
        return "Nothing that can be shown.".to_owned();
    }
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!("As a unified diff:\n\n{lines}")
}

fn finish_merge(_: &mut (), finished: FinishMerge) -> Result<MergeReport, Error> {
    let summary = required_text("summary", &finished.summary)?;
    Ok(MergeReport { success: finished.success, summary, notes: finished.notes })
}

#[cfg(test)]
mod tests {
    use code_agent_sdk::testing::{self, Host, Ran, brief, call, draft};
    use code_agent_sdk::types::{Task, TaskDraft};
    use serde_json::json;

    use super::*;

    fn request() -> MergeRequest {
        let file_paths = vec!["count.txt".into()];
        let draft = TaskDraft { file_paths, ..draft("Count left") };
        let collision = |path: &str, markers, description: &str| Collision {
            path: path.into(),
            markers,
            description: description.into(),
        };
        MergeRequest {
            task: Task { draft, ..testing::task("") },
            summary: "It says left.".into(),
            notes: vec!["A doubt.".into()],
            base: "b1".into(),
            tip: "b2".into(),
            commits: vec!["c1".into()],
            collisions: vec![
                collision("count.txt", Some(7), "both sides changed the same lines"),
                collision("logo.png", None, "both sides changed it"),
            ],
            worker_diff: "-count: 0\n+count: left\n".into(),
            branch_diff: "-count: 0\n+count: right\n```\n".into(),
        }
    }

    fn merge(host: Host) -> Ran<Result<MergeReport, Error>> {
        host.run(|| Merger::merge(brief("g"), request()))
    }

    #[test]
    fn the_first_message_has_the_task_what_collides_and_both_sides() {
        let ran = merge(
            Host::new().reply(call("finish_merge", json!({"success": true, "summary": "both"}))),
        );
        let text = ran.said().concat();
        for line in [
            "Task: Count left",
            "Base commit: b1",
            "Branch commit: b2",
            "Count left.",
            "It says left.",
            "- A doubt.",
            "- `count.txt`: both sides changed the same lines. It has conflict markers of 7 characters.",
            "- `logo.png`: both sides changed it.",
            "The branch's commits there: `c1`",
            "    +count: left",
            "    +count: right",
            "    ```",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn giving_up_is_reported_as_that() {
        let ran = merge(
            Host::new()
                .reply(call("finish_merge", json!({"summary": "they exclude each other"})))
                .reply(call(
                    "finish_merge",
                    json!({"success": false, "summary": "they exclude each other"}),
                )),
        );
        let report = ran.returned.as_ref().unwrap();
        assert!(!report.success && report.notes.is_empty());
        assert!(ran.results()[0].output.contains("missing field `success`"));
    }
}
