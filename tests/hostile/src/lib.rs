//! A component for every role that misbehaves in the way that it is asked for,
//! so that tests can see the host's limits hold: a sub-planner by its domain's
//! name, a worker by its task's title, a tool by the argument `what`, the others
//! by the goal. Any other name gets one plain task or an empty answer, without a
//! model; as a merger it traps.
//! Owns no rule: what has to happen is the tests'.

/// The bindings, without the SDK: a component owes the host nothing but the
/// contract.
mod bindings {
    // Generated code: its unsafe blocks are the canonical ABI.
    #![allow(missing_docs, unsafe_code)]

    wit_bindgen::generate!({
        world: "contract",
        path: "../../wit",
        generate_all,
    });

    export!(Hostile with_types_in self);

    use super::Hostile;
}

mod asking;
mod fuzz;
mod greed;
mod huge;

use bindings::code_agent::plugin::tools::{self, ToolSpec};
use bindings::code_agent::plugin::types::{Brief, Domain, Error, Priority, Task, TaskDraft};
use bindings::exports::code_agent::plugin::{
    judge, main_planner, merger, sub_planner, tool_provider, worker,
};

struct Hostile;

/// Misbehaves as `name` says; none where it is no such name.
fn misbehave(name: &str) -> Option<Result<String, Error>> {
    let (attack, rest) = name.split_once(' ').unwrap_or((name, ""));
    Some(match attack {
        "trap" => greed::trap(),
        "loop" => greed::spin(),
        "memory" => greed::take_all_memory(),
        "recursion" => greed::recurse_without_end(),
        "error" => Err(Error::Unavailable("this domain asks for an error".to_owned())),
        "log" => greed::log_without_end(),
        "conversations" => greed::open_without_end(),
        "settings" => greed::ask_without_end(),
        "huge" => huge::hand_over(rest),
        "huge-answer" => Ok(huge::text()),
        "ungranted" => asking::for_everything(),
        "ungranted-loop" => asking::for_the_same_without_end(),
        "escapes" => asking::for_what_lies_outside(),
        "fuzz" => fuzz::run(rest),
        _ => return None,
    })
}

impl sub_planner::Guest for Hostile {
    fn plan_domain(
        _brief: Brief,
        _overview: String,
        domain: Domain,
        _depth: u32,
    ) -> Result<sub_planner::DomainPlan, Error> {
        let calls = domain.name.strip_prefix("calls ").and_then(|count| count.parse().ok());
        let summary = match (calls, misbehave(&domain.name)) {
            (Some(count), _) => call_tools(count, &domain)?,
            (None, Some(said)) => said?,
            (None, None) => return Ok(one_task(domain)),
        };
        Ok(sub_planner::DomainPlan { summary, tasks: Vec::new(), domains: Vec::new() })
    }
}

impl main_planner::Guest for Hostile {
    fn plan(brief: Brief) -> Result<main_planner::ProjectPlan, Error> {
        let overview = misbehave(&brief.goal).transpose()?.unwrap_or_default();
        Ok(main_planner::ProjectPlan { overview, domains: Vec::new() })
    }
}

impl worker::Guest for Hostile {
    fn run(_brief: Brief, task: Task) -> Result<worker::Report, Error> {
        let summary = misbehave(&task.draft.title).transpose()?.unwrap_or_default();
        Ok(worker::Report { success: false, summary, notes: Vec::new() })
    }
}

impl judge::Guest for Hostile {
    fn review(brief: Brief, _cycle: judge::CycleReport) -> Result<judge::Verdict, Error> {
        let reasoning = misbehave(&brief.goal).transpose()?.unwrap_or_default();
        Ok(judge::Verdict { decision: judge::Decision::Stop, goal_met: false, reasoning })
    }
}

impl tool_provider::Guest for Hostile {
    fn specs() -> Result<Vec<ToolSpec>, Error> {
        Ok(vec![ToolSpec {
            name: "misbehave".to_owned(),
            description: "Misbehaves as its argument `what` says".to_owned(),
            parameters: r#"{"type":"object"}"#.to_owned(),
            writes: false,
        }])
    }

    fn call(_name: String, arguments: String) -> Result<String, Error> {
        // What the tests write, so that it takes no parser.
        let what =
            arguments.strip_prefix(r#"{"what":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
        what.and_then(misbehave).unwrap_or(Err(Error::NotFound(arguments)))
    }
}

impl merger::Guest for Hostile {
    fn merge(brief: Brief, _: merger::MergeRequest) -> Result<merger::MergeReport, Error> {
        let summary = misbehave(&brief.goal).unwrap_or_else(|| greed::trap())?;
        Ok(merger::MergeReport { success: false, summary, notes: Vec::new() })
    }
}

/// Makes so many calls of one tool, one after the other: the domain's pattern
/// is the tool's name, its description the arguments. For benchmarks.
fn call_tools(count: u32, domain: &Domain) -> Result<String, Error> {
    for _ in 0..count {
        let call = tools::ToolCall {
            id: "1".to_owned(),
            name: domain.file_patterns.concat(),
            arguments: domain.description.clone(),
        };
        let results = tools::call(&[call])?;
        if results.iter().any(|result| result.is_error) {
            return Err(Error::Invalid("a tool's call failed".to_owned()));
        }
    }
    Ok(format!("{count} calls were answered"))
}

fn one_task(domain: Domain) -> sub_planner::DomainPlan {
    let draft = TaskDraft {
        title: format!("Add {}", domain.name),
        description: domain.description,
        priority: Priority::Medium,
        file_paths: domain.file_patterns,
    };
    sub_planner::DomainPlan {
        summary: format!("one task for {}", domain.name),
        tasks: vec![draft],
        domains: Vec::new(),
    }
}
