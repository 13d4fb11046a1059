//! The main planner: explores the whole codebase and divides the goal into
//! domains. Owns its prompt, its numbers and its first message; the loop is the
//! SDK's.

use code_agent_sdk::main_planner::{Guest, ProjectPlan};
use code_agent_sdk::planning::{add_domain, spawn_sub_planner, submit_plan};
use code_agent_sdk::types::{Brief, Domain, Error};
use code_agent_sdk::{Agent, OwnTool, host, message};

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
        host::run(agent, &mut Draft::default())
    }
}

code_agent_sdk::export_main_planner!(MainPlanner);

/// What the planner has collected so far.
#[derive(Default)]
struct Draft {
    domains: Vec<Domain>,
    asked_to_reconsider: bool,
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
        submit_plan(
            "Ends your work. Call it once, after all domains are given.",
            "For every sub-planner: what the goal means in this codebase, how the domains divide \
             it, and the interfaces and names between them that all have to keep to.",
            submit,
        ),
    ]
}

fn submit(draft: &mut Draft, overview: String) -> Result<ProjectPlan, String> {
    let count = draft.domains.len();
    if count < FEWEST_DOMAINS && !draft.asked_to_reconsider {
        draft.asked_to_reconsider = true;
        return Err(format!(
            "The plan has {count} of the usual {FEWEST_DOMAINS} to {MOST_DOMAINS} domains. \
             Reconsider: which independent parts of the goal (other layers, components, tests, \
             documentation) could be worked on side by side? Add them with `spawn_sub_planner`. \
             If the goal really has no more parts, call `submit_plan` again, and it is accepted."
        ));
    }
    Ok(ProjectPlan { overview, domains: std::mem::take(&mut draft.domains) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_plan_is_accepted_the_second_time() {
        let mut draft = Draft::default();
        assert!(submit(&mut draft, "all".into()).unwrap_err().contains("0 of the usual 2 to 5"));
        let plan = submit(&mut draft, "all".into()).unwrap();
        assert!(plan.domains.is_empty());
        assert_eq!(plan.overview, "all");
    }

    #[test]
    fn two_domains_are_enough() {
        let domain = |name: &str| Domain {
            name: name.into(),
            description: "d".into(),
            file_patterns: Vec::new(),
        };
        let mut draft =
            Draft { domains: vec![domain("a"), domain("b")], asked_to_reconsider: false };
        assert_eq!(submit(&mut draft, "all".into()).map(|plan| plan.domains.len()), Ok(2));
    }
}
