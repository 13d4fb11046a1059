//! A storm: many slots land on one branch at once, one task in five in a file
//! that others change too, and nothing is lost or doubled. Half of those have a
//! place of their own in a hot file, which merges; the others add to the end of
//! one file, which collides, so that attempts and even tasks fail: of those,
//! nothing may be there.
//!
//! `STORM=full` makes it 1,000 tasks in 64 slots.

use std::collections::BTreeMap;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, Turn, call, calls, finish_merge, finish_task};
use serde_json::json;

use crate::chaos::{Random, Seen, kills, number, seed};
use crate::program::{TOO_LONG, code_agent, code_agent_without_merger, model, resume, run};
use crate::project::Project;
use crate::scripts::{content_judge, edit, plan, spawn, task, write_file};
use crate::watched::Watched;

/// Tasks of a planner, and domains that it hands on, at most.
const IN_A_DOMAIN: usize = 10;
const DOMAINS: usize = 5;
/// Lines between two places of the hot file, so that git can merge changes of
/// neighbours.
const LINES_BETWEEN: usize = 4;
/// Of ten tasks, the one that adds to the end of the crowded file.
const CROWDED: usize = 5;
/// And the one that is red first.
const RED: usize = 3;
const END: &str = "the end of the crowded file\n";

#[derive(Clone, Copy)]
struct Storm {
    tasks: usize,
    slots: usize,
    /// Nothing lands that was not checked as it lands, and one task in ten is red at
    /// its first attempt; mergers are asked for what collides.
    strict: bool,
    /// All that add to the crowded file hand in at the same time at first, so that all
    /// but one of them collide. Not for a run that is killed: who is done would never
    /// come again.
    meet: bool,
}

const SMALL: Storm = Storm { tasks: 100, slots: 16, strict: false, meet: false };

/// The full one, or one that fits into every run of the tests.
fn storm() -> Storm {
    if std::env::var("STORM").is_ok_and(|size| size == "full") {
        Storm { tasks: 1_000, slots: 64, strict: false, meet: false }
    } else {
        SMALL
    }
}

fn planner(number: usize) -> String {
    format!("domain-{number:03}")
}

fn title(task: usize) -> String {
    format!("Storm {task:04}")
}

fn line(task: usize) -> String {
    format!("place {task:04}: taken by {task:04}")
}

fn file(task: usize) -> String {
    match task % 10 {
        0 => "hot.txt".into(),
        CROWDED => "crowded.txt".into(),
        _ => format!("made/part-{}/{task:04}.txt", task % 7),
    }
}

fn work(task: usize, attempts: &str, end: Turn) -> Rule {
    let line = line(task);
    let change: Turn = match task % 10 {
        0 => edit("hot.txt", &format!("place {task:04}: free"), &line),
        CROWDED => edit("crowded.txt", END, &format!("{line}\n{END}")),
        _ => write_file(&file(task), &format!("{line}\n")),
    };
    Rule::worker(&[&format!("Task: {}\n", title(task)), attempts]).turn(change).turn(end)
}

/// What the strict check turns away.
fn red(task: usize) -> Rule {
    Rule::worker(&[&format!("Task: {}\n", title(task)), "Attempt: 1"])
        .turn(write_file(&file(task), "red\n"))
        .turn(finish_task("It is taken."))
}

const CHECK: &str = "! grep -rqx red made && ! grep -q '<<<<' crowded.txt";

/// Takes the lines of both sides.
fn merger() -> Rule {
    let both = "grep ^place crowded.txt | sort -u > both; echo 'the end of the crowded file' >> both; \
                mv both crowded.txt";
    Rule::merger(&[])
        .turn(call("run_command", json!({ "command": both })))
        .turn(finish_merge(true, "Both are there.").expects(&["exit code 0"]))
}

impl Storm {
    fn project(self) -> Project {
        let between = "between\n".repeat(LINES_BETWEEN);
        let place = |task| format!("place {task:04}: free\n{between}");
        let hot: String = (0..self.tasks).step_by(10).map(place).collect();
        Project::new(&[("hot.txt", &hot), ("crowded.txt", END)])
    }

    fn command(self, project: &Project, server: &ModelServer) -> Command {
        let mut command = match self.strict {
            true => code_agent(project),
            false => code_agent_without_merger(project),
        };
        if self.strict {
            command.args(["--check", CHECK, "--check-strict", "--rollback"]);
        }
        command.args(["--goal", "Take all places", "--max-workers", &self.slots.to_string()]);
        command.args(model(server));
        command
    }

    fn script(self) -> Script {
        let planners = self.tasks.div_ceil(IN_A_DOMAIN);
        let first: Vec<String> = (0..planners.min(DOMAINS)).map(planner).collect();
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        let mut rules = vec![plan(&first), content_judge()];
        rules.extend((0..planners).map(|number| self.plan_domain(number, planners)));
        if self.strict {
            rules.push(merger());
            rules.extend((0..self.tasks).filter(|task| task % 10 == RED).map(red));
        }
        if self.meet {
            let crowded: Vec<usize> = (0..self.tasks).filter(|task| task % 10 == CROWDED).collect();
            let all = crowded.len();
            rules.extend(crowded.into_iter().map(|task| {
                work(task, "Attempt: 1", finish_task("It is taken.").barrier("crowded", all))
            }));
        }
        let taken = finish_task("It is taken.");
        rules.extend((0..self.tasks).map(|task| work(task, "Attempt: ", taken.clone())));
        Script::new(rules)
    }

    /// A planner makes its tasks and hands on to the next five that are not
    /// spoken for.
    fn plan_domain(self, number: usize, planners: usize) -> Rule {
        let tasks = number * IN_A_DOMAIN..self.tasks.min((number + 1) * IN_A_DOMAIN);
        let mut made: Vec<_> =
            tasks.map(|number| task(&title(number), &file(number), "medium")).collect();
        let next = (number + 1) * DOMAINS;
        made.extend((next..planners.min(next + DOMAINS)).map(|number| spawn(&planner(number))));
        made.push(("submit_plan", json!({ "overview": "Planned." })));
        Rule::sub_planner(&[&format!("Domain: {}\n", planner(number))]).turn(calls(&made))
    }

    /// Every completed task's line is on the branch once, no other's is there.
    fn assert_nothing_lost(self, project: &Project) {
        project.assert_sound();
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        let all: String =
            project.query("SELECT group_concat(title || '=' || status, char(10)) FROM tasks");
        let status: BTreeMap<&str, &str> =
            all.lines().filter_map(|line| line.split_once('=')).collect();
        assert_eq!(all.lines().count(), self.tasks, "no task is there twice");
        assert_eq!(status.len(), self.tasks);
        let found = project.git(&["grep", "--no-line-number", "-h", "taken by", "main"]);
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        let is_done = |task: &usize| status[title(*task).as_str()] == "completed";
        let done: Vec<usize> = (0..self.tasks).filter(is_done).collect();
        let wanted: Vec<String> = done.iter().map(|task| line(*task)).collect();
        assert_eq!(found, wanted, "the lines of completed tasks, each once");
        let collided = (0..self.tasks).filter(|task| !is_done(task));
        assert!(
            collided.into_iter().all(|task| task % 10 == CROWDED),
            "only what collides is given up"
        );
        let format = "--format=%(trailers:key=Code-Agent-Task,valueonly,separator=)";
        let log = project.git(&["log", format, "main"]);
        let mut landed: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
        landed.sort_unstable();
        landed.dedup();
        assert_eq!(landed.len(), done.len(), "each completed task has a commit");
        let commits = project.git(&["rev-list", "--count", "main"]);
        assert_eq!(commits, (done.len() + 1).to_string(), "and only one");
        println!("{} of {} tasks are completed", done.len(), self.tasks);
    }
}

#[test]
fn a_storm_of_landings_loses_and_doubles_nothing() {
    let storm = storm();
    let project = storm.project();
    let server = ModelServer::start(storm.script()).unwrap();
    run(&mut storm.command(&project, &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    storm.assert_nothing_lost(&project);
}

/// Lets it go under SIGKILL, so often at most, until it is over.
fn under_sigkill(storm: Storm, project: &Project) {
    let seed = seed();
    let count = number("CHAOS_KILLS").unwrap_or(8);
    println!("CHAOS_SEED={seed} CHAOS_KILLS={count}");
    let server = ModelServer::start(storm.script()).unwrap();
    let mut program = Watched::start(storm.command(project, &server).arg("--json"));
    let (mut seen, mut killed) = (Seen::default(), 0);
    // Most tasks land and are completed; where the run ends first, that is all.
    let steps = (storm.tasks * 3 / 2) as u64;
    for kill in kills(count, steps, &mut Random(seed)) {
        if !seen.wait_for(&kill, &mut program) {
            break;
        }
        std::thread::sleep(kill.pause);
        program.kill();
        killed += 1;
        program = Watched::start(resume(project).arg("--json"));
    }
    println!("killed {killed} times");
    assert!(2 * killed >= count, "only {killed} of {count} kills came before the run's end");
    let ended = program.ended();
    if ended.code != Some(0) {
        assert!(ended.stderr.contains("there is no run to go on with"), "{}", ended.stderr);
    }
    assert_eq!(server.violations(), Vec::<String>::new());
    storm.assert_nothing_lost(project);
}

#[test]
fn a_storm_under_sigkill_loses_and_doubles_nothing() {
    let storm = storm();
    under_sigkill(storm, &storm.project());
}

/// Nothing red or with markers is in any commit.
fn assert_never_red(project: &Project) {
    for commit in project.git(&["rev-list", "main"]).lines() {
        let grep = ["grep", "--quiet", "-e", "^red$", "-e", "<<<<", commit];
        // That it finds nothing; any other code says that it could not look.
        assert_eq!(project.git_code(&grep), Some(1), "{commit} is red");
    }
}

fn merges(project: &Project) -> u32 {
    project.query("SELECT count(*) FROM events WHERE kind = 'merged'")
}

#[test]
fn a_storm_with_a_strict_check_and_a_merger_brings_together_what_collides() {
    let storm = Storm { strict: true, meet: true, ..SMALL };
    let project = storm.project();
    let patient = model_server::Options { longest_wait: TOO_LONG, ..Default::default() };
    let server = ModelServer::start_with(storm.script(), patient).unwrap();
    run(&mut storm.command(&project, &server)).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    storm.assert_nothing_lost(&project);
    assert_never_red(&project);
    // One landed by itself. Of those that collided with it, whoever came next can't
    // have come but by a merge.
    let merged = merges(&project);
    println!("{merged} merges");
    assert!(merged > 0, "no merger has brought anything together");
}

#[test]
fn a_storm_under_sigkill_with_a_strict_check_and_a_merger_never_goes_red() {
    let storm = Storm { strict: true, ..storm() };
    let project = storm.project();
    under_sigkill(storm, &project);
    assert_never_red(&project);
    // How many there are is a matter of who is killed when.
    println!("{} merges", merges(&project));
}
