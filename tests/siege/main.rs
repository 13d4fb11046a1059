//! Hostile components, through the plugin host in a process of its own, so that its
//! memory can be looked at: each attack is answered by the words of its limit, a
//! well-behaved component is served after it, and nothing of it stays. Prints a table:
//! the attack, as what it came, how often, how much more memory the process had at
//! the end than after the first calls, and what the host answered.
//!
//! Each attack is made 50 times, and held against the memory after 5; the two that
//! call the host a million times each are made twice. `CODE_AGENT_SIEGE=1000` makes
//! 1,000 of each, held against the memory after 100, and of those two 100, held
//! against that after 10. Where that is too much, as many are made again: who leaks,
//! leaks again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]
#![allow(clippy::disallowed_methods, reason = "tests make what they look at")]

mod attacks;
mod texts;
#[path = "../workshop.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod workshop;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use attacks::{Attack, By, Table};
use code_agent::plugin::Plugins;
use code_agent::transcript::CallTranscript;
use code_agent::types::Role;
use workshop::Workshop;

/// How often each attack is made, if nothing is named.
const TIMES: usize = 50;
/// The same of those that take seconds.
const TIMES_OF_SLOW: usize = 2;
/// Of so many calls one is made before the memory is measured first.
const PART: usize = 10;
/// How much more memory there may be in the end.
const MORE_KIB: i64 = 5 * 1024;
/// Names how often.
const NAME: &str = "CODE_AGENT_SIEGE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attack_is_answered_and_leaves_nothing_behind() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let siege = Siege::begin(Workshop::open(place.path(), None).await.unwrap()).await;
    let named: Option<usize> = std::env::var(NAME).ok().map(|times| times.parse().unwrap());
    println!("{:<32} {:<12} {:>5} {:>7} {:>6}  answer", "attack", "as", "calls", "KiB", "ms");
    let before = memory_kib();
    let mut largest = i64::MIN;
    for attack in attacks::all() {
        let times = match (attack.is_slow, named) {
            (false, times) => times.unwrap_or(TIMES),
            (true, Some(times)) => (times / PART).max(TIMES_OF_SLOW),
            (true, None) => TIMES_OF_SLOW,
        };
        let more = siege.withstand(&attack, times).await;
        assert!(more <= MORE_KIB, "{} ({}) left {more} KiB behind", attack.name, attack.by);
        largest = largest.max(more);
    }
    println!("{before} KiB before all of them, {} KiB after; at most {largest} KiB", memory_kib());
    let untouched = fs::read_to_string(place.path().join("outside/passwd")).unwrap();
    assert_eq!(untouched, "root\n");
}

struct Siege {
    workshop: Workshop,
    /// The tests' component in all that it can be.
    plugins: BTreeMap<Table, Plugins>,
    /// A tool that would describe itself in another way each time.
    growing: Plugins,
}

impl Siege {
    async fn begin(workshop: Workshop) -> Self {
        let mut plugins = BTreeMap::new();
        for table in Table::ALL {
            let name = format!("{table:?}");
            plugins.insert(table, workshop.plugins(&name, None, table.lines()).await.unwrap());
        }
        let folder = folder_of_liar(&workshop, "growing", Table::Tight);
        let source = workshop::source(&folder, &workshop.cache());
        let growing = Plugins::load_tools(&source).await.unwrap();
        Self { workshop, plugins, growing }
    }

    /// Makes an attack so often; returns how many KiB of memory that took after the
    /// first calls.
    async fn withstand(&self, attack: &Attack, times: usize) -> i64 {
        let target = self.target(attack).await;
        let first = (times / PART).max(1);
        let begun = Instant::now();
        self.repeat(attack, &target, first).await;
        let (answer, mut more) = self.repeat(attack, &target, times - first).await;
        let each = begun.elapsed().as_secs_f64() * 1000.0 / times as f64;
        if more > MORE_KIB {
            // A leak grows again by as much, what the allocator happens to keep does not.
            let (_, again) = self.repeat(attack, &target, times - first).await;
            println!("{}: {more} KiB, and {again} KiB by as many calls again", attack.shown());
            more = more.min(again);
        }
        let good = self.workshop.ask(&self.plugins[&Table::Tight], Role::SubPlanner, "good").await;
        assert_eq!(good.unwrap(), "one task for good", "after {}", attack.name);
        let by = attack.by;
        let name = attack.shown();
        println!("{name:<32} {by:<12} {times:>5} {more:>7} {each:>6.1}  {answer}");
        more
    }

    /// Makes an attack so often; returns the last answer, and how many KiB of memory
    /// that took.
    async fn repeat(&self, attack: &Attack, target: &Target<'_>, times: usize) -> (String, i64) {
        let before = memory_kib();
        let mut answer = String::new();
        for _ in 0..times {
            answer = self.make(attack, target).await;
            check(attack, &answer);
        }
        (answer, memory_kib() - before)
    }

    async fn target<'a>(&'a self, attack: &Attack) -> Target<'a> {
        let Attack { name, by, table, text, .. } = attack;
        if let Some(text) = text {
            let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let path = self.workshop.place.join(format!("{name}.wasm"));
            fs::write(&path, component).unwrap();
            let plugins = self.workshop.plugins(name, Some(&path), table.lines()).await.unwrap();
            return Target::Own(Box::new(plugins));
        }
        match by {
            By::Load => Target::Folder(folder_of_liar(&self.workshop, name, *table)),
            By::Tool if name == "growing" => Target::Shared(&self.growing),
            By::Tool | By::Role(_) => Target::Shared(&self.plugins[table]),
        }
    }

    async fn make(&self, attack: &Attack, target: &Target<'_>) -> String {
        let plugins = match target {
            Target::Own(plugins) => plugins,
            Target::Shared(plugins) => *plugins,
            Target::Folder(folder) => {
                let source = workshop::source(folder, &self.workshop.cache());
                return match Plugins::load_tools(&source).await {
                    Ok(_) => panic!("{} is taken", attack.name),
                    Err(why) => why.to_string(),
                };
            }
        };
        match attack.by {
            By::Role(role) => match self.workshop.ask(plugins, role, &attack.name).await {
                Ok(said) => said,
                Err(failure) => failure.to_string(),
            },
            By::Tool if attack.name == "growing" => {
                let before = description(plugins);
                let answer = self.call(plugins, "count_lines", r#"{"path":"a.txt"}"#).await;
                assert_eq!(description(plugins), before);
                answer
            }
            By::Tool | By::Load => {
                let arguments = format!(r#"{{"what":"{}"}}"#, attack.name);
                self.call(plugins, "misbehave", &arguments).await
            }
        }
    }

    /// Has a worker call a tool of a plugin's.
    async fn call(&self, plugins: &Plugins, tool: &str, arguments: &str) -> String {
        let agent = self.workshop.agent(plugins, Role::Worker, CallTranscript::default());
        let (tools, rights) = (plugins.tools(), agent.rights());
        match tools.call(tools.find(tool).unwrap(), agent, rights, arguments).await {
            Ok(output) => output,
            Err(error) => error.to_string(),
        }
    }
}

/// What an attack comes from.
enum Target<'a> {
    Own(Box<Plugins>),
    Shared(&'a Plugins),
    /// What is there can't be loaded.
    Folder(PathBuf),
}

/// A folder with a tool that says of itself what its setting names.
fn folder_of_liar(workshop: &Workshop, name: &str, table: Table) -> PathBuf {
    let component = workshop::test_component("toolbox").unwrap();
    let manifest = format!(
        "[plugins.liar]\ntool = true\ncomponent = {component:?}\nsettings.specs = {name:?}\n{}\n",
        table.lines()
    );
    workshop.folder(&format!("liar {name}"), &manifest).unwrap()
}

fn description(plugins: &Plugins) -> String {
    plugins.tools().find("count_lines").unwrap().spec.description.clone()
}

/// The words of the limit, and the plugin's name where the call failed.
#[track_caller]
fn check(attack: &Attack, answer: &str) {
    let Attack { name, by, .. } = attack;
    assert!(answer.contains(attack.answer), "{name} ({by}) was answered: {answer}");
    let who = match (name.as_str(), by) {
        // These say themselves what they got.
        ("escapes", _) => return assert!(answer.ends_with("through: "), "{answer}"),
        ("ungranted" | "growing", _) => return,
        (_, By::Role(role)) => format!("(role {role})"),
        (_, By::Tool) => "(plugin `".to_owned(),
        (_, By::Load) => "plugin `liar`: ".to_owned(),
    };
    assert!(answer.contains(&who), "{name} ({by}): {answer}");
}

/// What this process takes of the machine's memory. Of the files that it maps, its own
/// program for one, more or less may be there at any time: where the kernel tells them
/// apart, they don't count.
fn memory_kib() -> i64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let figure = |name: &str| rollup.lines().find_map(|line| line.strip_prefix(name));
    let line = figure("Pss_Anon:").or_else(|| figure("Pss:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
