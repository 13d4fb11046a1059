//! One trial of a plugin as a file describes it: what it is given, what the
//! model says to it, and what has to come of it. Owns the file's form; how a
//! trial is made is the parent's.

#![expect(clippy::disallowed_methods, reason = "a plugin's tests are no checkout")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::types::{
    Brief, CheckResult, Domain, Priority, Reply, Stop, TaskDraft, TaskOutcome, ToolCall, Usage,
};
use crate::{Error, Result};

/// Bytes of one file; more is no case.
const LONGEST_CASE: u64 = 16 << 20;

/// A trial, as its file has it. Folders are relative to the file's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Case {
    /// The plugin that is tried; none: the only one of its folder.
    pub plugin: Option<String>,
    /// What the checkout holds; none: nothing.
    pub folder: Option<PathBuf>,
    brief: BriefPart,
    /// What a sub-planner is told of the whole, and a judge.
    pub overview: String,
    /// What a judge judges.
    pub cycle: CyclePart,
    /// What a worker does, or what a merger merges.
    task: Option<TaskPart>,
    /// What a sub-planner plans.
    domain: Option<DomainPart>,
    /// What collides, for a merger.
    pub merge: Option<MergePart>,
    /// What a tool is called with.
    pub call: Option<CallPart>,
    replies: Vec<ReplyPart>,
    /// Where else the replies come from.
    pub recorded: Option<Recorded>,
    /// What has to come of it.
    pub expect: Expectations,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct BriefPart {
    goal: Option<String>,
    cycle: Option<u32>,
    max_cycles: Option<u32>,
    instructions: Option<String>,
    guidance: Vec<String>,
}

/// What a judge judges, beside the brief.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CyclePart {
    outcomes: Vec<OutcomePart>,
    /// Domains that could not be planned, and why.
    pub planner_failures: Vec<String>,
    check: Option<CheckPart>,
    /// Commits that were taken back because the check was red.
    pub rolled_back: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OutcomePart {
    title: String,
    status: Status,
    #[serde(default)]
    description: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    commits: Vec<String>,
    #[serde(default)]
    changed_files: Vec<String>,
    #[serde(default)]
    file_paths: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Completed,
    Failed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CheckPart {
    command_line: String,
    passed: bool,
    #[serde(default)]
    output: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TaskPart {
    title: String,
    #[serde(default)]
    description: String,
    priority: Option<Priority>,
    #[serde(default)]
    file_paths: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DomainPart {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    file_patterns: Vec<String>,
}

/// The two sides of a merge: folders whose files lie on top of the case's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergePart {
    /// What the worker left.
    pub worker: PathBuf,
    /// What landed on the branch meanwhile.
    pub branch: PathBuf,
}

/// One call of a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallPart {
    /// The tool's name.
    pub name: String,
    /// Its arguments: a table, or text that is passed on as it is.
    pub arguments: serde_json::Value,
}

impl CallPart {
    /// The arguments as a model would write them.
    pub fn text(&self) -> String {
        match &self.arguments {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct ReplyPart {
    text: String,
    calls: Vec<CallPart>,
    expects: Vec<String>,
}

/// A recorded run's transcript, and whose replies are taken from it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The transcript's file.
    pub transcript: PathBuf,
    /// An agent, as `code-agent transcript` names it.
    pub agent: String,
    /// Which of its calls, from 1; none: the first.
    pub call: Option<usize>,
}

/// What has to come of a trial.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// What has to be in the answer, field by field.
    pub answer: Option<serde_json::Value>,
    /// Texts that have to be in it.
    pub contains: Vec<String>,
    /// Texts that have to be in the error; with any, it has to fail.
    pub error: Vec<String>,
    /// Files and what they have to hold afterwards; `false`: they are not there.
    pub files: BTreeMap<String, FileState>,
}

/// What a file has to be.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum FileState {
    /// It holds this.
    Holds(String),
    /// Whether it is there.
    IsThere(bool),
}

/// The cases of a folder, by name; none where there is no such folder.
pub fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot =
        |error: std::io::Error| Error::usage(format!("can't read {}: {error}", folder.display()));
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(cannot)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Case {
    /// Reads a case's file.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = |error: std::io::Error| {
            Error::usage(format!("can't read the case {}: {error}", path.display()))
        };
        let mut text = String::new();
        let file = File::open(path).map_err(cannot)?;
        let length = file.take(LONGEST_CASE + 1).read_to_string(&mut text).map_err(cannot)?;
        if u64::try_from(length).unwrap_or(u64::MAX) > LONGEST_CASE {
            return Err(Error::usage(format!("{} is longer than 16 MiB", path.display())));
        }
        let no_case = |why: &str| Error::usage(format!("{} is no case: {why}", path.display()));
        let case: Self = toml::from_str(&text).map_err(|error| no_case(&error.to_string()))?;
        if case.expect == Expectations::default() {
            return Err(no_case("it does not say what has to come of it; add an [expect]"));
        }
        Ok(case)
    }

    /// What the role is told, for a run of one cycle where nothing is said.
    pub fn brief(&self) -> Brief {
        let BriefPart { goal, cycle, max_cycles, instructions, guidance } = &self.brief;
        let cycle = cycle.unwrap_or(1).max(1);
        Brief {
            goal: goal.clone().unwrap_or_else(|| "Try a plugin".to_owned()),
            cycle,
            max_cycles: max_cycles.unwrap_or(5).max(cycle),
            instructions: instructions.clone(),
            guidance: guidance.clone(),
            root_path: String::new(),
        }
    }

    /// The task, where there is one.
    pub fn task(&self) -> Option<TaskDraft> {
        self.task.as_ref().map(|task| TaskDraft {
            title: task.title.clone(),
            description: task.description.clone(),
            priority: task.priority.unwrap_or(Priority::Medium),
            file_paths: task.file_paths.clone(),
        })
    }

    /// The domain, where there is one.
    pub fn domain(&self) -> Option<Domain> {
        self.domain.as_ref().map(|domain| Domain {
            name: domain.name.clone(),
            description: domain.description.clone(),
            file_patterns: domain.file_patterns.clone(),
        })
    }

    /// What the model says, where that is written down here.
    pub fn replies(&self) -> Vec<Reply> {
        self.replies.iter().map(ReplyPart::reply).collect()
    }

    /// What the model has to have been told before each of its replies.
    pub fn expected_words(&self) -> impl Iterator<Item = &[String]> {
        self.replies.iter().map(|reply| reply.expects.as_slice())
    }
}

impl CyclePart {
    /// The tasks' outcomes.
    pub fn outcomes(&self) -> Vec<TaskOutcome> {
        self.outcomes.iter().map(OutcomePart::outcome).collect()
    }

    /// What the user's check said, where there is one.
    pub fn check(&self) -> Option<CheckResult> {
        self.check.as_ref().map(|check| CheckResult {
            command_line: check.command_line.clone(),
            passed: check.passed,
            output: check.output.clone(),
        })
    }
}

impl OutcomePart {
    fn outcome(&self) -> TaskOutcome {
        TaskOutcome {
            draft: TaskDraft {
                title: self.title.clone(),
                description: self.description.clone(),
                priority: Priority::Medium,
                file_paths: self.file_paths.clone(),
            },
            completed: self.status == Status::Completed,
            summary: self.summary.clone(),
            notes: self.notes.clone(),
            commits: self.commits.clone(),
            changed_files: self.changed_files.clone(),
        }
    }
}

impl ReplyPart {
    fn reply(&self) -> Reply {
        let call = |(index, call): (usize, &CallPart)| ToolCall {
            id: format!("call-{}", index + 1),
            name: call.name.clone(),
            arguments: call.text(),
        };
        Reply {
            text: self.text.clone(),
            calls: self.calls.iter().enumerate().map(call).collect(),
            stop: if self.calls.is_empty() { Stop::End } else { Stop::ToolCalls },
            usage: Usage::default(),
            context_used: None,
        }
    }
}
