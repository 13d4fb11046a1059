//! The sub-planner: explores one domain and breaks its work into tasks. Owns its
//! prompt, its numbers and its first message; the loop is the SDK's.

use code_agent_sdk::message::{self, one_line};
use code_agent_sdk::planning::{add_domain, spawn_sub_planner};
use code_agent_sdk::sub_planner::{DomainPlan, Guest};
use code_agent_sdk::types::{Brief, Domain, Error, Priority, TaskDraft};
use code_agent_sdk::{Agent, OwnTool, required_text};
use schemars::JsonSchema;
use serde::Deserialize;

/// More tasks than this are refused; the prompt asks for 3 or more.
const MOST_TASKS: usize = 10;
/// More parts with a sub-planner of their own are refused.
const MOST_DOMAINS: usize = 5;
/// From this depth on, a domain is not split any further.
const DEEPEST: u32 = 3;
/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 80;

struct SubPlanner;

impl Guest for SubPlanner {
    fn plan_domain(
        brief: Brief,
        overview: String,
        domain: Domain,
        depth: u32,
    ) -> Result<DomainPlan, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief, &overview, &domain, depth),
            tools: own_tools(),
            max_turns: MAX_TURNS,
        };
        agent.run(&mut Draft { depth, ..Draft::default() })
    }
}

code_agent_sdk::export_sub_planner!(SubPlanner);

/// What the planner has collected so far.
#[derive(Default)]
struct Draft {
    depth: u32,
    tasks: Vec<TaskDraft>,
    domains: Vec<Domain>,
    asked_to_reconsider: bool,
}

/// Adds one task for one worker to the plan. Call it 3 to 10 times, once for each
/// task.
#[derive(Deserialize, JsonSchema)]
struct CreateTask {
    /// One line that says what will be true when the task is done.
    title: String,
    /// All that a worker needs who knows nothing else: what to change and why,
    /// where, the names and signatures to keep to, what not to touch, and acceptance
    /// criteria that can be checked.
    description: String,
    /// critical: the goal fails without it. high: most of the goal's worth. medium:
    /// the usual. low: polish.
    priority: PriorityWord,
    /// All files that the worker will change or create, relative to the
    /// repository's root. No other task changes the same lines.
    file_paths: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PriorityWord {
    Critical,
    High,
    Medium,
    Low,
}

/// Ends your work. Call it once, after all tasks are created.
#[derive(Deserialize, JsonSchema)]
struct SubmitPlan {
    /// Two to five sentences: what the tasks achieve together, and what you left out
    /// and why.
    overview: String,
}

fn first_message(brief: &Brief, overview: &str, domain: &Domain, depth: u32) -> String {
    let mut text = message::brief(brief);
    text.push_str(&message::section("The main planner's overview", overview));
    text.push_str(&format!(
        "\n# Your domain\n\nDomain: {}\nDepth: {depth}\nFiles: {}\n\n{}\n",
        one_line(&domain.name),
        message::names(&domain.file_patterns),
        domain.description.trim()
    ));
    text.push_str(if depth < DEEPEST {
        "\nExplore this domain, break its work into tasks with `create_task`, and finish with \
         `submit_plan`.\n"
    } else {
        "\nExplore this domain, break its work into tasks with `create_task`, and finish with \
         `submit_plan`. At this depth a domain can't be split any further.\n"
    });
    text
}

fn own_tools() -> Vec<OwnTool<Draft, DomainPlan>> {
    vec![
        OwnTool::step("create_task", create_task),
        spawn_sub_planner(
            "Hands a part of your domain to a sub-planner of its own, because it is too large for \
             the tasks that you may create. What you hand over is not yours any more: create no \
             tasks for it.",
            add_part,
        ),
        OwnTool::finish("submit_plan", submit_plan),
    ]
}

fn create_task(draft: &mut Draft, created: CreateTask) -> Result<String, Error> {
    let title = one_line(&required_text("title", &created.title)?);
    let description = required_text("description", &created.description)?;
    if draft.tasks.iter().any(|task| task.title == title) {
        return Err(format!(
            "There is a task `{title}` already. Each task is created once; another one needs a \
             title that tells it apart."
        )
        .into());
    }
    if draft.tasks.len() >= MOST_TASKS {
        return Err(format!(
            "There are {MOST_TASKS} tasks already, and that is the limit for one domain. \
             `{title}` was not added. Hand a part of the domain over with `spawn_sub_planner`, or \
             submit the plan: what is left can be found in the next cycle."
        )
        .into());
    }
    let priority = created.priority.into();
    let file_paths = created.file_paths;
    draft.tasks.push(TaskDraft { title, description, priority, file_paths });
    Ok(format!("Task {} of at most {MOST_TASKS} noted.", draft.tasks.len()))
}

fn add_part(draft: &mut Draft, domain: Domain) -> Result<String, Error> {
    if draft.depth >= DEEPEST {
        return Err(format!(
            "This domain is at depth {}, and below depth {DEEPEST} nothing is split any further. \
             Create tasks for what matters most instead.",
            draft.depth
        )
        .into());
    }
    add_domain(&mut draft.domains, domain, MOST_DOMAINS)
}

fn submit_plan(draft: &mut Draft, submitted: SubmitPlan) -> Result<DomainPlan, Error> {
    let summary = required_text("overview", &submitted.overview)?;
    let empty = draft.tasks.is_empty() && draft.domains.is_empty();
    if empty && !draft.asked_to_reconsider {
        draft.asked_to_reconsider = true;
        return Err("The plan has no task, so nobody would do anything for this domain. Create \
                    its tasks with `create_task` first. If the code already is as the goal wants \
                    it, call `submit_plan` again and say so in the overview; it is accepted then."
            .into());
    }
    let tasks = std::mem::take(&mut draft.tasks);
    Ok(DomainPlan { summary, tasks, domains: std::mem::take(&mut draft.domains) })
}

impl From<PriorityWord> for Priority {
    fn from(word: PriorityWord) -> Self {
        match word {
            PriorityWord::Critical => Self::Critical,
            PriorityWord::High => Self::High,
            PriorityWord::Medium => Self::Medium,
            PriorityWord::Low => Self::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use code_agent_sdk::lm::Reply;
    use code_agent_sdk::testing::{Host, Ran, brief, call, calls};
    use serde_json::{Value, json};

    use super::*;

    fn plan_at(depth: u32, host: Host) -> Ran<Result<DomainPlan, Error>> {
        let file_patterns = vec!["src/**".to_owned()];
        let domain = Domain { name: "x".into(), description: "d".into(), file_patterns };
        host.run(|| SubPlanner::plan_domain(brief("g"), "all of it".into(), domain, depth))
    }

    fn task(title: &str) -> Value {
        json!({
            "title": title, "description": "d", "priority": "high", "file_paths": ["src/a.rs"],
        })
    }

    fn submit() -> Reply {
        call("submit_plan", json!({"overview": "s"}))
    }

    #[test]
    fn ten_tasks_are_taken_and_no_more() {
        let titles: Vec<String> = (0..11).map(|number| format!("task {number}")).collect();
        let created = titles.iter().map(|title| ("create_task", task(title)));
        let ran = plan_at(1, Host::new().reply(calls(created)).reply(submit()));
        assert!(ran.results()[10].is_error);
        assert!(ran.results()[10].output.contains("the limit"));
        let plan = ran.returned.unwrap();
        assert_eq!(plan.tasks.len(), 10);
        assert_eq!(plan.tasks.first().map(|task| task.priority), Some(Priority::High));
    }

    #[test]
    fn a_task_needs_a_title_of_its_own() {
        let created = [" ", "a\nb", "a b"].map(|title| ("create_task", task(title)));
        let ran = plan_at(1, Host::new().reply(calls(created)).reply(submit()));
        let told: Vec<_> = ran.results().iter().map(|result| result.output.as_str()).collect();
        assert!(told[0].contains("`title`") && told[2].contains("`a b`"), "{told:?}");
        assert_eq!(ran.returned.map(|plan| plan.tasks.len()), Ok(1));
    }

    #[test]
    fn a_domain_at_the_deepest_level_is_not_split() {
        let part = || {
            let part = json!({"name": "y", "description": "d", "file_patterns": ["src/y/**"]});
            calls([("spawn_sub_planner", part), ("create_task", task("a"))])
        };
        let domains = |ran: Ran<Result<DomainPlan, Error>>| ran.returned.unwrap().domains.len();
        assert_eq!(domains(plan_at(2, Host::new().reply(part()).reply(submit()))), 1);
        let ran = plan_at(3, Host::new().reply(part()).reply(submit()));
        assert!(ran.results()[0].output.contains("depth 3"));
        assert_eq!(domains(ran), 0);
    }

    #[test]
    fn an_empty_plan_is_accepted_the_second_time() {
        let ran = plan_at(1, Host::new().reply(submit()).reply(submit()));
        assert!(ran.results()[0].output.contains("no task"));
        assert!(ran.returned.is_ok());
    }

    #[test]
    fn the_first_message_names_domain_and_depth() {
        let ran = plan_at(1, Host::new().reply(submit()).reply(submit()));
        let text = ran.said()[0];
        for line in ["Goal: g", "Cycle: 1 of 5", "Domain: x", "Depth: 1", "Files: `src/**`"] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }
}
