//! Every role and a tool, built against the contract's version 0.1.0 as it was
//! first: `wit/` here is a copy that never changes. It uses each function and
//! each field once, so that what a later host breaks is seen. Owns no rule: what
//! the promise is stands in `wit/README.md`.

/// The bindings, of the copy.
mod bindings {
    // Generated code: its unsafe blocks are the canonical ABI.
    #![allow(missing_docs, unsafe_code)]

    wit_bindgen::generate!({ world: "contract", path: "wit", generate_all });

    export!(Frozen with_types_in self);

    use super::Frozen;
}

use bindings::code_agent::plugin::files::Query;
use bindings::code_agent::plugin::lm::{Conversation, Options};
use bindings::code_agent::plugin::log::{self, Level};
use bindings::code_agent::plugin::tools::{ToolCall, ToolResult, ToolSpec};
use bindings::code_agent::plugin::types::{Brief, Domain, Error, Priority, Task, TaskDraft};
use bindings::code_agent::plugin::{commands, files, files_write, git, git_write, settings, tools};
use bindings::exports::code_agent::plugin::{
    judge, main_planner, merger, sub_planner, tool_provider, worker,
};

struct Frozen;

impl main_planner::Guest for Frozen {
    fn plan(brief: Brief) -> Result<main_planner::ProjectPlan, Error> {
        wants("the goal", !brief.goal.is_empty() && brief.cycle == 1 && brief.max_cycles > 0)?;
        let domain = Domain {
            name: "all".to_owned(),
            description: brief.goal,
            file_patterns: vec!["**".to_owned()],
        };
        Ok(main_planner::ProjectPlan { overview: "Frozen".to_owned(), domains: vec![domain] })
    }
}

impl sub_planner::Guest for Frozen {
    fn plan_domain(
        _: Brief,
        overview: String,
        domain: Domain,
        depth: u32,
    ) -> Result<sub_planner::DomainPlan, Error> {
        wants("the domain", overview == "Frozen" && domain.name == "all" && depth == 1)?;
        let task = TaskDraft {
            title: "Use all of it".to_owned(),
            description: domain.description,
            priority: Priority::High,
            file_paths: vec!["frozen.txt".to_owned()],
        };
        let summary = "One task".to_owned();
        Ok(sub_planner::DomainPlan { summary, tasks: vec![task], domains: Vec::new() })
    }
}

impl worker::Guest for Frozen {
    fn run(brief: Brief, task: Task) -> Result<worker::Report, Error> {
        log::write(Level::Info, &format!("attempt {} at {}", task.attempt, task.draft.title));
        wants("settings", settings::get("greeting")?.as_deref() == Some("hello"))?;
        read_files()?;
        write_files()?;
        read_history()?;
        wants("commands", commands::run("true", 10)?.exit_code == Some(0))?;
        call_a_tool()?;
        talk(&brief.goal)?;
        wants("prepare", git_write::prepare(&[])?.is_empty())?;
        let commit = git_write::commit_and_push("Use all of it")?;
        let summary = format!("All of 0.1.0 works: {commit}");
        Ok(worker::Report { success: true, summary, notes: vec!["A note".to_owned()] })
    }
}

fn read_files() -> Result<(), Error> {
    wants("read", files::read("a.txt", 0, 1)? == b"a")?;
    wants("read-lines", files::read_lines("a.txt", 1, 1)?.contains('a'))?;
    wants("list", files::list(&["*.txt".to_owned()], 10)?.paths == ["a.txt"])?;
    wants("tree", files::tree("", 2)?.contains("a.txt"))?;
    let query = Query {
        pattern: "^A$".to_owned(),
        globs: Vec::new(),
        ignore_case: true,
        context_lines: 0,
        max_hits: 10,
    };
    let hits = files::search(&query)?;
    wants("search", hits.hits.len() == 1 && hits.hits[0].line == 1 && !hits.truncated)
}

fn write_files() -> Result<(), Error> {
    files_write::write("first.txt", b"one\n", None)?;
    files_write::edit("first.txt", "one", "two")?;
    files_write::rename("first.txt", "frozen.txt")?;
    files_write::write("second.txt", b"", Some(false))?;
    files_write::remove("second.txt")
}

fn read_history() -> Result<(), Error> {
    let status = git::status()?;
    wants("status", status.len() == 1 && status[0].path == "frozen.txt")?;
    let log = git::log(None, 1)?;
    wants("log", log.len() == 1 && !log[0].summary.is_empty())?;
    wants("diff", git::diff(&log[0].id, None)?.contains("+two"))
}

fn call_a_tool() -> Result<(), Error> {
    let is_there = tools::specs()?.iter().any(|spec| spec.name == "read_file_content");
    wants("specs", is_there)?;
    let call = ToolCall {
        id: "1".to_owned(),
        name: "frozen_echo".to_owned(),
        arguments: r#"{"text": "hi"}"#.to_owned(),
    };
    let results = tools::call(&[call])?;
    wants("call", results.len() == 1 && results[0].output.contains("hi") && !results[0].is_error)
}

fn talk(goal: &str) -> Result<(), Error> {
    let conversation = Conversation::open(&Options {
        system: "You are frozen.".to_owned(),
        tools: tools::specs()?,
        max_output_tokens: Some(1000),
    })?;
    conversation.say(goal)?;
    let reply = conversation.reply()?;
    let results = reply.calls.iter().map(|call| ToolResult {
        id: call.id.clone(),
        output: "Answered.".to_owned(),
        is_error: false,
    });
    wants("calls", reply.calls.len() == 1)?;
    conversation.answer(&results.collect::<Vec<_>>())?;
    wants("reply", conversation.reply()?.text == "Enough.")?;
    conversation.elide_results(0);
    Ok(())
}

impl merger::Guest for Frozen {
    fn merge(_: Brief, request: merger::MergeRequest) -> Result<merger::MergeReport, Error> {
        let summary = format!("{} collisions", request.collisions.len());
        Ok(merger::MergeReport { success: false, summary, notes: request.notes })
    }
}

impl judge::Guest for Frozen {
    fn review(_: Brief, cycle: judge::CycleReport) -> Result<judge::Verdict, Error> {
        let [outcome] = cycle.outcomes.as_slice() else {
            return Err(Error::Invalid("there is one task".to_owned()));
        };
        let is_done = outcome.status == judge::TaskStatus::Completed;
        wants("the outcome", is_done && outcome.changed_files == ["frozen.txt"])?;
        wants("the report", cycle.overview == "Frozen" && cycle.base != cycle.head)?;
        let nothing = cycle.check.is_none() && cycle.rolled_back.is_empty();
        wants("nothing else", nothing && cycle.planner_failures.is_empty())?;
        Ok(judge::Verdict {
            decision: judge::Decision::Stop,
            goal_met: true,
            reasoning: outcome.summary.clone(),
        })
    }
}

impl tool_provider::Guest for Frozen {
    fn specs() -> Result<Vec<ToolSpec>, Error> {
        let parameters = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#;
        Ok(vec![ToolSpec {
            name: "frozen_echo".to_owned(),
            description: "Says it again.".to_owned(),
            parameters: parameters.to_owned(),
            writes: false,
        }])
    }

    fn call(name: String, arguments: String) -> Result<String, Error> {
        Ok(format!("{name}: {arguments}"))
    }
}

/// An error that names what is not as it was.
fn wants(what: &str, is_so: bool) -> Result<(), Error> {
    if is_so { Ok(()) } else { Err(Error::Invalid(format!("{what}: not as it was in 0.1.0"))) }
}
