//! The main planner: explores the whole codebase and divides the goal into
//! domains. Owns its prompt, its numbers and its first message; the loop is the
//! SDK's.

use code_agent_sdk::main_planner::{Guest, ProjectPlan};
use code_agent_sdk::planning::{add_domain, spawn_sub_planner};
use code_agent_sdk::types::{Brief, Domain, Error};
use code_agent_sdk::{Agent, OwnTool, message, required_text};
use schemars::JsonSchema;
use serde::Deserialize;

/// With fewer domains than this, the planner is asked once whether it is sure.
const FEWEST_DOMAINS: usize = 2;
/// More domains than this are refused.
const MOST_DOMAINS: usize = 5;
/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 80;

struct MainPlanner;

impl Guest for MainPlanner {
    fn plan(brief: Brief) -> Result<ProjectPlan, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief),
            tools: own_tools(),
            max_turns: MAX_TURNS,
        };
        agent.run(&mut Draft::default())
    }
}

code_agent_sdk::export_main_planner!(MainPlanner);

/// What the planner has collected so far.
#[derive(Default)]
struct Draft {
    domains: Vec<Domain>,
    asked_to_reconsider: bool,
}

/// Ends your work. Call it once, after all domains are given.
#[derive(Deserialize, JsonSchema)]
struct SubmitPlan {
    /// For every sub-planner: what the goal means in this codebase, how the domains
    /// divide it, and the interfaces and names between them that all have to keep
    /// to.
    overview: String,
}

fn first_message(brief: &Brief) -> String {
    message::brief(brief)
        + "\nExplore the codebase, divide the goal into domains with `spawn_sub_planner`, and \
           finish with `submit_plan`.\n"
}

fn own_tools() -> Vec<OwnTool<Draft, ProjectPlan>> {
    vec![
        spawn_sub_planner(
            "Gives one domain to a sub-planner, which explores it in depth and breaks it into \
             tasks. Call it 2 to 5 times, once for each domain. All sub-planners start side by \
             side when you submit the plan.",
            |draft: &mut Draft, domain| add_domain(&mut draft.domains, domain, MOST_DOMAINS),
        ),
        OwnTool::finish("submit_plan", submit_plan),
    ]
}

fn submit_plan(draft: &mut Draft, submitted: SubmitPlan) -> Result<ProjectPlan, Error> {
    let overview = required_text("overview", &submitted.overview)?;
    let count = draft.domains.len();
    if count < FEWEST_DOMAINS && !draft.asked_to_reconsider {
        draft.asked_to_reconsider = true;
        return Err(format!(
            "The plan has {count} of the usual {FEWEST_DOMAINS} to {MOST_DOMAINS} domains. \
             Reconsider: which independent parts of the goal (other layers, components, tests, \
             documentation) could be worked on side by side? Add them with `spawn_sub_planner`. \
             If the goal really has no more parts, call `submit_plan` again, and it is accepted."
        )
        .into());
    }
    Ok(ProjectPlan { overview, domains: std::mem::take(&mut draft.domains) })
}

#[cfg(test)]
mod tests {
    use code_agent_sdk::lm::Reply;
    use code_agent_sdk::testing::{Host, Ran, brief, call, calls};
    use serde_json::json;

    use super::*;

    fn plan(host: Host) -> Ran<Result<ProjectPlan, Error>> {
        host.run(|| MainPlanner::plan(brief("Add a parser")))
    }

    fn submit() -> Reply {
        call("submit_plan", json!({"overview": "all"}))
    }

    #[test]
    fn a_small_plan_is_accepted_the_second_time() {
        let ran = plan(Host::new().reply(submit()).reply(submit()));
        assert!(ran.results()[0].output.contains("0 of the usual 2 to 5"));
        let plan = ran.returned.unwrap();
        assert!(plan.domains.is_empty());
        assert_eq!(plan.overview, "all");
    }

    #[test]
    fn domains_are_given_in_one_answer_and_two_of_them_are_enough() {
        let domain = |name: &str| json!({"name": name, "description": "d", "file_patterns": [format!("{name}/**")]});
        let spawned = ["a", "b"].map(|name| ("spawn_sub_planner", domain(name)));
        let ran = plan(Host::new().reply(calls(spawned)).reply(submit()));
        assert!(ran.said()[0].contains("Goal: Add a parser"));
        let domains = ran.returned.unwrap().domains;
        let globs: Vec<_> = domains.iter().flat_map(|domain| &domain.file_patterns).collect();
        assert_eq!(globs, ["a/**", "b/**"]);
    }
}
