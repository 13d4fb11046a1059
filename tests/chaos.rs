//! The program dies in the middle, again and again, and nothing is lost or
//! done twice.
//!
//! `CHAOS_SEED` repeats a failure; `CHAOS_KILLS` asks for more kills.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model_server::ModelServer;

use crate::large_run::Size;
use crate::program::{code_agent, model, resume, run};
use crate::project::Project;
use crate::remote::Remote;
use crate::scripts::b_and_c;
use crate::watched::Watched;

/// What tells that a run has come further, unlike a resumed run's repetitions.
const STEPS: [&str; 4] = ["planner-finished", "landed", "task-completed", "cycle-ended"];
/// A kill comes up to so many events after its step, of whatever kind.
const MOST_EVENTS_LATER: u64 = 8;
/// And up to so much later again, since much happens between two events.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What repeats a failure, or a new one.
pub fn seed() -> u64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    number("CHAOS_SEED").unwrap_or(clock)
}

/// SplitMix64, by Sebastiano Vigna: <https://prng.di.unimi.it/splitmix64.c>.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// When a program is killed.
pub struct Kill {
    /// The run has come so many steps far, counted over all its hosts.
    steps: u64,
    /// So many events have come since.
    events: u64,
    pub pause: Duration,
}

/// Kills that are spread over a run of so many steps. Enough steps are left
/// after the last for all the events that it waits for.
pub fn kills(count: u64, steps: u64, random: &mut Random) -> Vec<Kill> {
    let last = steps - MOST_EVENTS_LATER - 1;
    let mut kills: Vec<Kill> = (0..count)
        .map(|_| Kill {
            steps: random.below(last) + 1,
            events: random.below(MOST_EVENTS_LATER),
            pause: Duration::from_micros(random.below(LONGEST_PAUSE.as_micros() as u64)),
        })
        .collect();
    kills.sort_by_key(|kill| kill.steps);
    kills
}

/// How far the run has been seen to come.
#[derive(Default)]
pub struct Seen {
    sequence: i64,
    steps: u64,
}

impl Seen {
    /// Waits for the next event that is new; false where the run ended first.
    fn next(&mut self, program: &mut Watched) -> bool {
        loop {
            let Some(event) = program.next_event() else { return false };
            let sequence = event["sequence"].as_i64().unwrap();
            if sequence > self.sequence {
                self.sequence = sequence;
                self.steps += u64::from(STEPS.iter().any(|step| event["event"] == *step));
                return true;
            }
        }
    }

    /// At least one step comes before each kill, so that there is a run to be
    /// resumed. False where the run ended first.
    pub fn wait_for(&mut self, kill: &Kill, program: &mut Watched) -> bool {
        while self.steps < kill.steps {
            if !self.next(program) {
                return false;
            }
        }
        (0..kill.events).all(|_| self.next(program))
    }
}

pub fn start(project: &Project, server: &ModelServer) -> Command {
    let mut command = code_agent(project);
    command.args(["--goal", "Take all places", "--max-workers", "8", "--json"]);
    command.args(model(server));
    command
}

/// What a run that died must not stand in the way of.
pub fn run_another(project: &Project) {
    let server = ModelServer::start(b_and_c()).unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "More"]).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.git(&["show", "main:c.txt"]), "c");
}

#[test]
fn a_run_that_is_killed_again_and_again_does_everything_once() {
    let seed = seed();
    let count = number("CHAOS_KILLS").unwrap_or(20);
    println!("CHAOS_SEED={seed} CHAOS_KILLS={count}");

    let size = Size { domains: [5, 2], tasks: 9 };
    let steps = 2 * size.all_tasks() + size.all_planners() + 2;
    let project = size.project();
    let server = ModelServer::start(size.script()).unwrap();
    let mut program = Watched::start(&mut start(&project, &server));
    let (mut seen, mut killed) = (Seen::default(), 0);
    for kill in kills(count, steps as u64, &mut Random(seed)) {
        // The program does not wait for its reader, so that a late kill may
        // find the run at its end.
        if !seen.wait_for(&kill, &mut program) {
            break;
        }
        // Not to wait for something: to die between two events too.
        std::thread::sleep(kill.pause);
        program.kill();
        killed += 1;
        program = Watched::start(resume(&project).arg("--json"));
    }
    println!("killed {killed} times");
    assert!(2 * killed >= count, "only {killed} of {count} kills came before the run's end");
    let ended = program.ended();
    if ended.code != Some(0) {
        assert!(ended.stderr.contains("there is no run to go on with"), "{}", ended.stderr);
    }
    assert_eq!(server.violations(), Vec::<String>::new());
    size.assert_done_once(&project);
    run_another(&project);
}

/// The signal with which a program ends itself on the spot.
pub const SIGABRT: i32 = 6;

/// The names of all crash points in the program's source.
pub fn crash_points() -> Vec<String> {
    let points = points_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(points.len() >= 12, "{points:?}");
    points
}

fn points_below(folder: &Path) -> Vec<String> {
    let mut points = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            points.extend(points_below(&path));
        } else {
            let text = fs::read_to_string(path).unwrap();
            let after = text.split("crash::point(\"").skip(1);
            points.extend(after.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    points
}

/// Dies at the point, goes on, dies there once more, and goes on to the end.
/// Returns whether the run came to the point at all.
pub fn die_at(point: &str, project: &Project, arguments: &[&str]) -> bool {
    println!("{point}");
    let server = ModelServer::start(SMALL.script()).unwrap();
    let mut died = false;
    let mut command = start(project, &server);
    command.args(arguments);
    for _ in 0..2 {
        died |= run(command.env("CODE_AGENT_CRASH_AT", point)).signal == Some(SIGABRT);
        command = resume(project);
    }
    if died {
        run(&mut command).expect_code(0);
    }
    assert_eq!(server.violations(), Vec::<String>::new());
    died
}

pub const SMALL: Size = Size { domains: [2, 2], tasks: 3 };

/// Whether `crashes` looks at it: a run that is asked for nothing more never comes
/// there.
fn is_elsewhere(point: &str) -> bool {
    let parts = [
        "check:",
        "queue:",
        "merger:",
        "rollback:",
        "going back:",
        "undo:",
        "prune:",
        "publish: merged",
        "packs:",
    ];
    parts.iter().any(|part| point.starts_with(part))
}

#[test]
fn a_run_that_dies_between_two_steps_goes_on() {
    for point in crash_points().iter().filter(|point| !is_elsewhere(point)) {
        let project = SMALL.project();
        Remote::of(&project);
        let died = die_at(point, &project, &[]);
        assert_eq!(died, !point.starts_with("uncommitted:"), "{point}");
        SMALL.assert_done_once(&project);
        run_another(&project);
    }
}

#[test]
fn the_same_with_a_branch_that_is_checked_out_nowhere() {
    for point in crash_points().iter().filter(|point| !is_elsewhere(point)) {
        let project = SMALL.project();
        Remote::of(&project);
        project.git(&["switch", "--quiet", "--create", "elsewhere"]);
        let died = die_at(point, &project, &[]);
        let of_a_tree = point.starts_with("branch:") || point.starts_with("uncommitted:");
        assert_eq!(died, !of_a_tree, "no tree moves: {point}");
        SMALL.assert_done_once(&project);
        assert!(!project.path().join("made").exists(), "the working tree is left alone");
        run_another(&project);
    }
}

#[test]
fn the_same_with_changes_that_stay_uncommitted() {
    for point in crash_points().iter().filter(|point| point.starts_with("uncommitted:")) {
        let project = SMALL.project();
        let base = project.git(&["rev-parse", "main"]);
        assert!(die_at(point, &project, &["--no-auto-commit"]), "{point}");
        assert_eq!(project.git(&["rev-parse", "main"]), base);
        project.git(&["add", "--all"]);
        project.git(&["commit", "--quiet", "--message=All of it"]);
        SMALL.assert_lines(&project);
        project.assert_sound();
    }
}
