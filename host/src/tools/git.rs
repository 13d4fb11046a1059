//! Git's tools for models: what changed in the checkout, what came before,
//! and landing before the task is finished. How git is asked is `repo/`'s.

use std::fmt::Write;

use super::arguments::Arguments;
use super::specs::{Kind, Parameter, Tool};
use crate::agent::Agent;
use crate::repo::path::CheckoutPath;
use crate::repo::{Checkout, FileChange};
use crate::types::CallError;

/// Commits that a log shows where nobody says otherwise.
const USUAL_COMMITS: u32 = 20;
/// More make no sense to a model.
const MOST_COMMITS: u32 = 200;

/// The tool that lands, which is not for everybody who writes.
pub const COMMIT_AND_PUSH: &str = "git_commit_and_push";

/// All tools for git.
pub const GIT_TOOLS: &[Tool] = &[
    Tool {
        name: "git_status",
        description: "Lists the files that differ from the commit that the work began on: added, modified or deleted.",
        writes: false,
        parameters: &[],
    },
    Tool {
        name: "git_diff",
        description: "Shows a unified diff. Without arguments: what has changed in the working files since the \
            commit that the work began on. With `from` and `to`: between two commits.",
        writes: false,
        parameters: &[
            Parameter {
                name: "from",
                kind: Kind::Text,
                required: false,
                description: "A commit id, HEAD or HEAD~N; HEAD if left out.",
            },
            Parameter {
                name: "to",
                kind: Kind::Text,
                required: false,
                description: "A commit id, HEAD or HEAD~N; the working files as they are now if left out.",
            },
        ],
    },
    Tool {
        name: "git_log",
        description: "Lists the newest commits, one a line: id, date, author, summary.",
        writes: false,
        parameters: &[
            Parameter {
                name: "path",
                kind: Kind::Text,
                required: false,
                description: "Only commits that touch this file or folder.",
            },
            Parameter {
                name: "max_entries",
                kind: Kind::Number,
                required: false,
                description: "How many at most; 20 if left out, never more than 200.",
            },
        ],
    },
    Tool {
        name: COMMIT_AND_PUSH,
        description: "Lands what you have changed so far on the branch, as one commit, before the task is \
            finished. You need it only for work in several steps that are each whole: what is left when you finish \
            the task lands by itself.",
        writes: true,
        parameters: &[
            Parameter {
                name: "message",
                kind: Kind::Text,
                required: true,
                description: "A first line of at most 72 characters, then, after an empty line, the reasons.",
            },
            Parameter {
                name: "include_files",
                kind: Kind::Texts,
                required: false,
                description: "New files that a command made and that belong to the work: paths, folders or globs, \
                    relative to the repository's top. Without being named here they stay out, unless the task's \
                    own files cover them.",
            },
        ],
    },
];

/// Runs a tool of this module.
pub async fn call(agent: &Agent, tool: &Tool, arguments: &str) -> Result<String, CallError> {
    let arguments = Arguments::parse(tool, arguments)?;
    match tool.name {
        "git_status" => agent.in_checkout(status).await,
        "git_diff" => {
            let from = arguments.text("from").unwrap_or_default().to_owned();
            let to = arguments.text("to").map(str::to_owned);
            agent.in_checkout(move |checkout| diff(checkout, &from, to.as_deref())).await
        }
        "git_log" => {
            let path = arguments.text("path").map(CheckoutPath::parse).transpose()?;
            let most = arguments.number("max_entries").unwrap_or(USUAL_COMMITS).min(MOST_COMMITS);
            agent.in_checkout(move |checkout| log(checkout, path.as_ref(), most)).await
        }
        _ => {
            let include = arguments.texts("include_files");
            let message = arguments.required_text("message")?;
            let (commit, left_out) = agent.commit_and_land(message, &include).await?;
            Ok(landed(&commit, &left_out))
        }
    }
}

fn landed(commit: &str, left_out: &[String]) -> String {
    let mut output = format!("landed as {commit}; the checkout now stands on it");
    if !left_out.is_empty() {
        output.push_str(&format!(
            ". These new files stayed out and are still there, for no tool wrote them and nobody named \
             them, or as it stands there: {}. Name what belongs to the work with `include_files`",
            left_out.join(", ")
        ));
    }
    output
}

fn status(checkout: &Checkout) -> Result<String, CallError> {
    let entries = checkout.status()?;
    if entries.is_empty() {
        return Ok("nothing has changed".into());
    }
    let mut output = String::new();
    for entry in entries {
        let change = match entry.change {
            FileChange::Added => "added",
            FileChange::Modified => "modified",
            FileChange::Deleted => "deleted",
        };
        // Writing to a String does not fail.
        let _ = writeln!(output, "{change:<9} {}", entry.path);
    }
    Ok(output)
}

fn diff(checkout: &Checkout, from: &str, to: Option<&str>) -> Result<String, CallError> {
    let diff = checkout.diff(from, to)?;
    Ok(if diff.is_empty() { "no difference".into() } else { diff })
}

fn log(checkout: &Checkout, path: Option<&CheckoutPath>, most: u32) -> Result<String, CallError> {
    let commits = checkout.log(path, most)?;
    if commits.is_empty() {
        return Ok("no such commit".into());
    }
    let mut output = String::new();
    for commit in commits {
        let date = crate::clock::format_milliseconds(commit.time.saturating_mul(1000));
        let day = date.get(..10).unwrap_or(&date);
        let id = commit.id.get(..10).unwrap_or(&commit.id);
        let _ = writeln!(output, "{id} {day} {} {}", commit.author, commit.summary);
    }
    Ok(output)
}
