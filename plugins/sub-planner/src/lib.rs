//! The sub-planner: explores one domain and breaks its work into tasks. Owns its
//! prompt, its numbers and its first message; the loop is the SDK's.

use code_agent_sdk::message::{self, one_line};
use code_agent_sdk::planning::{add_domain, spawn_sub_planner, submit_plan};
use code_agent_sdk::sub_planner::{DomainPlan, Guest};
use code_agent_sdk::tool::required_text;
use code_agent_sdk::types::{Brief, Domain, Error, Priority, TaskDraft};
use code_agent_sdk::{Agent, OwnTool, host};
use serde::Deserialize;
use serde_json::{Value, json};

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
        host::run(agent, &mut Draft { depth, ..Draft::default() })
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

#[derive(Deserialize)]
struct TaskArguments {
    title: String,
    description: String,
    priority: PriorityWord,
    file_paths: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PriorityWord {
    Critical,
    High,
    Medium,
    Low,
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
        OwnTool::step(
            "create_task",
            "Adds one task for one worker to the plan. Call it 3 to 10 times, once for each task.",
            task_schema(),
            create_task,
        ),
        spawn_sub_planner(
            "Hands a part of your domain to a sub-planner of its own, because it is too large for \
             the tasks that you may create. What you hand over is not yours any more: create no \
             tasks for it.",
            add_part,
        ),
        submit_plan(
            "Ends your work. Call it once, after all tasks are created.",
            "Two to five sentences: what the tasks achieve together, and what you left out and why.",
            submit,
        ),
    ]
}

fn create_task(draft: &mut Draft, arguments: TaskArguments) -> Result<String, String> {
    let title = one_line(&required_text("title", &arguments.title)?);
    let description = required_text("description", &arguments.description)?;
    if draft.tasks.iter().any(|task| task.title == title) {
        return Err(format!(
            "There is a task `{title}` already. Each task is created once; another one needs a \
             title that tells it apart."
        ));
    }
    if draft.tasks.len() >= MOST_TASKS {
        return Err(format!(
            "There are {MOST_TASKS} tasks already, and that is the limit for one domain. \
             `{title}` was not added. Hand a part of the domain over with `spawn_sub_planner`, or \
             submit the plan: what is left can be found in the next cycle."
        ));
    }
    let priority = arguments.priority.into();
    let file_paths = arguments.file_paths;
    draft.tasks.push(TaskDraft { title, description, priority, file_paths });
    Ok(format!("Task {} of at most {MOST_TASKS} noted.", draft.tasks.len()))
}

fn add_part(draft: &mut Draft, domain: Domain) -> Result<String, String> {
    if draft.depth >= DEEPEST {
        return Err(format!(
            "This domain is at depth {}, and below depth {DEEPEST} nothing is split any further. \
             Create tasks for what matters most instead.",
            draft.depth
        ));
    }
    add_domain(&mut draft.domains, domain, MOST_DOMAINS)
}

fn submit(draft: &mut Draft, summary: String) -> Result<DomainPlan, String> {
    let empty = draft.tasks.is_empty() && draft.domains.is_empty();
    if empty && !draft.asked_to_reconsider {
        draft.asked_to_reconsider = true;
        return Err("The plan has no task, so nobody would do anything for this domain. Create \
                    its tasks with `create_task` first. If the code already is as the goal wants \
                    it, call `submit_plan` again and say so in the overview; it is accepted then."
            .to_owned());
    }
    let tasks = std::mem::take(&mut draft.tasks);
    Ok(DomainPlan { summary, tasks, domains: std::mem::take(&mut draft.domains) })
}

fn task_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "title": {
                "type": "string",
                "description": "One line that says what will be true when the task is done.",
            },
            "description": {
                "type": "string",
                "description": "All that a worker needs who knows nothing else: what to change \
                    and why, where, the names and signatures to keep to, what not to touch, and \
                    acceptance criteria that can be checked.",
            },
            "priority": {
                "type": "string",
                "enum": ["critical", "high", "medium", "low"],
                "description": "critical: the goal fails without it. high: most of the goal's \
                    worth. medium: the usual. low: polish.",
            },
            "file_paths": {
                "type": "array",
                "items": {"type": "string"},
                "description": "All files that the worker will change or create, relative to the \
                    repository's root. No other task changes the same lines.",
            },
        },
        "required": ["title", "description", "priority", "file_paths"],
        "additionalProperties": false,
    })
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
    use super::*;

    fn arguments(title: &str) -> TaskArguments {
        let text = json!({
            "title": title, "description": "d", "priority": "high", "file_paths": ["src/a.rs"],
        });
        serde_json::from_value(text).unwrap()
    }

    fn part(name: &str) -> Domain {
        Domain { name: name.into(), description: "d".into(), file_patterns: vec!["src/**".into()] }
    }

    #[test]
    fn ten_tasks_are_taken_and_no_more() {
        let mut draft = Draft::default();
        for number in 0..10 {
            create_task(&mut draft, arguments(&format!("task {number}"))).unwrap();
        }
        assert!(create_task(&mut draft, arguments("task 10")).unwrap_err().contains("the limit"));
        let plan = submit(&mut draft, "s".into()).unwrap();
        assert_eq!(plan.tasks.len(), 10);
        assert_eq!(plan.tasks.first().map(|task| task.priority), Some(Priority::High));
    }

    #[test]
    fn a_task_needs_a_title_of_its_own() {
        let mut draft = Draft::default();
        assert!(create_task(&mut draft, arguments(" ")).unwrap_err().contains("`title`"));
        create_task(&mut draft, arguments("a\nb")).unwrap();
        assert!(create_task(&mut draft, arguments("a b")).unwrap_err().contains("`a b`"));
    }

    #[test]
    fn a_domain_at_the_deepest_level_is_not_split() {
        let mut shallow = Draft { depth: 2, ..Draft::default() };
        assert!(add_part(&mut shallow, part("x")).is_ok());
        let mut deep = Draft { depth: 3, ..Draft::default() };
        assert!(add_part(&mut deep, part("x")).unwrap_err().contains("depth 3"));
        assert!(deep.domains.is_empty());
    }

    #[test]
    fn an_empty_plan_is_accepted_the_second_time() {
        let mut draft = Draft::default();
        assert!(submit(&mut draft, "s".into()).unwrap_err().contains("no task"));
        assert!(submit(&mut draft, "s".into()).is_ok());
    }

    #[test]
    fn the_first_message_names_domain_and_depth() {
        let brief = Brief {
            goal: "g".into(),
            cycle: 2,
            max_cycles: 5,
            instructions: None,
            guidance: Vec::new(),
            root_path: ".".into(),
        };
        let text = first_message(&brief, "all of it", &part("x"), 1);
        for line in ["Goal: g", "Cycle: 2 of 5", "Domain: x", "Depth: 1", "Files: `src/**`"] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }
}
