//! A thousand calls of hostile components, through the plugin host in a process
//! of its own, so that its memory can be looked at: each is answered by the words
//! of its limit, and nothing of it stays.
//!
//! `CODE_AGENT_SIEGE=1000` makes a thousand calls of each, not of all together;
//! two of them take seconds each, so that this takes an hour and more.

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
mod workshop;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use attacks::{Attack, Limits};
use code_agent::plugin::Plugins;
use workshop::Workshop;

/// Calls of all attacks together, after which the memory is measured first, and
/// in all.
const FIRST: usize = 100;
const IN_ALL: usize = 1000;
/// How much more memory there may be in the end.
const MORE_KIB: u64 = 5 * 1024;
/// How often each attack is made, if that is named.
const TIMES: &str = "CODE_AGENT_SIEGE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_calls_leave_nothing_behind() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let workshop = Workshop::open(place.path(), None).await.unwrap();
    let attacks = attacks::all();
    let shared = shared_plugins(&workshop).await;
    let own = own_plugins(&workshop, &attacks).await;
    let of = |attack: &Attack| own.get(attack.name.as_str()).unwrap_or(&shared[&attack.limits]);

    let each: Option<usize> = std::env::var(TIMES).ok().map(|times| times.parse().unwrap());
    let calls = each.map_or(IN_ALL, |times| times * attacks.len());
    let first = calls * FIRST / IN_ALL;
    let again = attacks.iter().filter(|attack| each.is_some() || !attack.is_slow).cycle();
    let mut took: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut memory_at_first = 0;
    for (number, attack) in attacks.iter().chain(again).take(calls).enumerate() {
        if number == first {
            memory_at_first = memory_kib();
        }
        let begun = Instant::now();
        let answer = match workshop.ask(of(attack), attack.role, &attack.name).await {
            Ok(said) => said,
            Err(failure) => failure.to_string(),
        };
        *took.entry(&attack.name).or_default() += begun.elapsed();
        check(attack, &answer);
        if number < attacks.len() {
            println!("{} ({}): {answer}", attack.name, attack.role);
        }
    }
    let memory = memory_kib();
    let mut slowest: Vec<_> = took.into_iter().collect();
    slowest.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    println!("slowest: {:.1?}", &slowest[..5]);
    println!("{memory_at_first} KiB after {first} calls, {memory} KiB after {calls}");
    assert!(memory <= memory_at_first + MORE_KIB, "{memory_at_first} KiB grew to {memory} KiB");
    let untouched = fs::read_to_string(place.path().join("outside/passwd")).unwrap();
    assert_eq!(untouched, "root\n");
}

async fn shared_plugins(workshop: &Workshop) -> BTreeMap<Limits, Plugins> {
    let mut loaded = BTreeMap::new();
    for limits in [Limits::Tight, Limits::Hasty, Limits::Roomy] {
        let name = format!("{limits:?}");
        let plugins = workshop.plugins(&name, None, limits.lines()).await.unwrap();
        loaded.insert(limits, plugins);
    }
    loaded
}

/// Those of the attacks that have a component of their own.
async fn own_plugins<'a>(workshop: &Workshop, attacks: &'a [Attack]) -> BTreeMap<&'a str, Plugins> {
    let mut loaded = BTreeMap::new();
    for Attack { name, text, limits, .. } in attacks {
        let Some(text) = text else { continue };
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let path = workshop.place.join(format!("{name}.wasm"));
        fs::write(&path, component).unwrap();
        let limits = if name == "start-loop" { Limits::Hasty } else { *limits };
        let plugins = workshop.plugins(name, Some(&path), limits.lines()).await.unwrap();
        loaded.insert(name.as_str(), plugins);
    }
    loaded
}

/// The words of the limit, and the plugin's name where the call failed.
#[track_caller]
fn check(attack: &Attack, answer: &str) {
    let Attack { name, role, .. } = attack;
    assert!(answer.contains(attack.answer), "{name} ({role}) was answered: {answer}");
    match name.as_str() {
        "escapes" => assert!(answer.ends_with("through: "), "{answer}"),
        "ungranted" => {
            let denied = answer.lines().filter(|line| line.contains("Some(Error::Denied"));
            assert_eq!(denied.count(), 6, "{answer}");
        }
        _ => assert!(answer.contains(&format!("(role {role})")), "{name}: {answer}"),
    }
}

/// What this process takes of the machine's memory.
fn memory_kib() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
