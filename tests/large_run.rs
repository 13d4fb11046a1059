//! A run over two cycles that many workers share: its project, its script and
//! what has to hold when it is over, whatever happened on the way. Each task
//! adds one line that no other adds.

use model_server::{Rule, Script, Turn, call, calls, finish_task, submit_verdict};
use serde_json::json;

use crate::project::Project;
use crate::scripts::{edit, plan_when, spawn, task, write_file};

/// Lines between two places of a hot file, so that git can merge changes of
/// neighbours.
const LINES_BETWEEN: usize = 5;
const HOT_FILES: usize = 2;

/// Which of a script's rules plans the second cycle, and which judges it.
const SECOND_PLAN: usize = 1;
const SECOND_VERDICT: usize = 3;

/// How large a run is. The first domain is split: half of its tasks are a
/// sub-planner's.
#[derive(Clone, Copy)]
pub struct Size {
    /// The domains of each of the two cycles.
    pub domains: [usize; 2],
    /// The tasks of each planner.
    pub tasks: usize,
}

impl Size {
    /// How many tasks there are in all.
    pub fn all_tasks(&self) -> usize {
        (self.domains[0] + 1 + self.domains[1]) * self.tasks
    }

    /// How many planners there are in all.
    pub fn all_planners(&self) -> usize {
        2 + self.domains[0] + 1 + self.domains[1]
    }

    /// Two hot files with a place for each task.
    pub fn project(&self) -> Project {
        let places = |_| {
            let place = |number| {
                let between: String =
                    (0..LINES_BETWEEN).map(|line| format!("between {number}.{line}\n")).collect();
                format!("place {number:03}: free\n{between}")
            };
            (0..self.all_tasks()).map(place).collect::<String>()
        };
        let texts: Vec<String> = (0..HOT_FILES).map(places).collect();
        Project::new(&[("hot-0.txt", &texts[0]), ("hot-1.txt", &texts[1])])
    }

    /// What the model says.
    pub fn script(&self) -> Script {
        let [first, second] = self.domains;
        let name = |number: usize| format!("domain-{number:02}");
        let names = |from: usize, to: usize| (from..to).map(name).collect::<Vec<_>>();
        let split = name(first + second);
        let plan_cycle = |cycle: u32, names: Vec<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            plan_when(&[&format!("Cycle: {cycle} of 5")], &names)
        };
        let mut rules = vec![
            plan_cycle(1, names(0, first)),
            plan_cycle(2, names(first, first + second)),
            Rule::judge(&["Cycle: 1 of 5"]).turn(submit_verdict("continue", false, "More.")),
            Rule::judge(&["Cycle: 2 of 5"]).turn(submit_verdict("stop", true, "All is there.")),
        ];
        for domain in 0..=first + second {
            let splits = (domain == 0).then_some(split.as_str());
            rules.push(self.plan_domain(&name(domain), domain, splits));
        }
        rules.extend((0..self.all_tasks()).map(work));
        Script::new(rules)
    }

    /// The same, but the second cycle does not begin, so that the run is not over before
    /// it is stopped.
    pub fn script_held_in_the_middle(&self) -> Script {
        held_at(self.script(), SECOND_PLAN)
    }

    /// The same, but there is no verdict on the second cycle.
    pub fn script_held_at_the_end(&self) -> Script {
        held_at(self.script(), SECOND_VERDICT)
    }

    fn plan_domain(&self, name: &str, domain: usize, splits: Option<&str>) -> Rule {
        let tasks = domain * self.tasks..(domain + 1) * self.tasks;
        let priorities = ["critical", "high", "medium", "low"];
        let mut made: Vec<_> = tasks
            .map(|number| task(&title(number), &file(number), priorities[number % 4]))
            .collect();
        made.extend(splits.map(spawn));
        let mut turn = calls(&made);
        turn.calls.extend(call("submit_plan", json!({ "overview": "Planned." })).calls);
        Rule::sub_planner(&[&format!("Domain: {name}\n")]).turn(turn)
    }

    /// That everything was done, and once.
    pub fn assert_done_once(&self, project: &Project) {
        project.assert_sound();
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        self.assert_landed_once(project);
        let tasks = self.all_tasks() as u32;
        let count = |query: &str| project.query::<u32>(&format!("SELECT count(*) FROM {query}"));
        assert_eq!(count("tasks"), tasks, "no task is there twice");
        assert_eq!(count("tasks WHERE status = 'completed' AND commit_id IS NOT NULL"), tasks);
        assert_eq!(count("(SELECT DISTINCT title FROM tasks)"), tasks);
        assert_eq!(count("landings WHERE landed = 1 AND report IS NOT NULL"), tasks);
        assert_eq!(count("landings"), tasks);
        let once = |kind: &str, key: &str, wanted: u32| {
            let of = format!("FROM events WHERE kind = '{kind}'");
            let keys = format!("(SELECT DISTINCT json_extract(body, '$.{key}') {of})");
            assert_eq!(
                (count(&keys), count(&format!("(SELECT 1 {of})"))),
                (wanted, wanted),
                "{kind}"
            );
        };
        once("task-completed", "task", tasks);
        once("landed", "task", tasks);
        once("planner-finished", "planner", self.all_planners() as u32);
        once("cycle-started", "cycle", 2);
        once("cycle-ended", "cycle", 2);
        assert_eq!(count("events WHERE kind IN ('attempt-failed', 'role-failed')"), 0);
        assert_eq!(count("planners"), self.all_planners() as u32);
        assert_eq!(project.query::<String>("SELECT outcome FROM runs"), "goal-met");
    }

    fn assert_landed_once(&self, project: &Project) {
        let tasks = self.all_tasks();
        let format = "--format=%(trailers:key=Code-Agent-Task,valueonly,separator=)";
        let log = project.git(&["log", format, "main"]);
        let mut landed: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
        landed.sort_unstable();
        assert_eq!(landed.len(), tasks, "one commit for each task");
        landed.dedup();
        assert_eq!(landed.len(), tasks, "no task has two");
        assert_eq!(project.git(&["rev-list", "--count", "main"]), (tasks + 1).to_string());
        self.assert_lines(project);
    }

    /// That each task's line is on the branch once.
    pub fn assert_lines(&self, project: &Project) {
        let tasks = self.all_tasks();
        let found = project.git(&["grep", "--no-line-number", "-h", "done by", "main"]);
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        let wanted: Vec<String> = (0..tasks).map(line).collect();
        assert_eq!(found, wanted, "each task's line is there once");
    }
}

fn held_at(mut script: Script, rule: usize) -> Script {
    let turn = script.rules[rule].turns.remove(0);
    script.rules[rule].turns.push(turn.barrier("nobody else comes", 2));
    script
}

fn title(number: usize) -> String {
    format!("Take place {number:03}")
}

fn line(number: usize) -> String {
    format!("place {number:03}: done by {number:03}")
}

/// Two of three tasks change a hot file, the third makes one of its own.
fn file(number: usize) -> String {
    match number % 3 {
        hot if hot < HOT_FILES => format!("hot-{hot}.txt"),
        _ => format!("made/by/{number:03}.txt"),
    }
}

fn work(number: usize) -> Rule {
    let (file, line) = (file(number), line(number));
    let change: Turn = match number % 3 {
        hot if hot < HOT_FILES => edit(&file, &format!("place {number:03}: free"), &line),
        _ => write_file(&file, &format!("{line}\n")),
    };
    Rule::worker(&[&format!("Task: {}\n", title(number))])
        .turn(change)
        .turn(finish_task("It is taken."))
}
