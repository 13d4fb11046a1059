//! What of a recording counts: the calls that came to something, in the order
//! in which each subject and each slot had them, what was said in them, and the
//! order of landings. Pure: lines in, plain data out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{About, Entry, Host, Line, Place, Said};
use crate::plugin::folder::Contents;
use crate::types::{CallError, CheckResult, Reply, Role, ToolSpec};
use crate::{Error, Result};

/// A recording, ready to be played back.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The first host; with the most workers that any had.
    pub(super) host: Host,
    /// The calls that a role had about a subject, in their order.
    pub(super) calls: HashMap<Key, Vec<Arc<RecordedCall>>>,
    /// What each slot took, in its order: tasks and attempts.
    pub(super) claims: HashMap<String, Vec<(String, u32)>>,
    pub(super) ids: HashMap<String, Vec<String>>,
    /// What landed or did not, in its order.
    pub(super) landings: Vec<RecordedLanding>,
    /// What the plugins were, one after the other.
    pub(super) plugins: Vec<Contents>,
    /// How many calls ended by themselves.
    pub(super) ended: usize,
}

/// What tells calls apart that are not repetitions of each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    role: Role,
    subject: Option<String>,
    cycle: u32,
    attempt: u32,
}

impl Key {
    pub(super) fn of(about: &About) -> Self {
        let About { role, subject, cycle, attempt, .. } = about;
        Self { role: *role, subject: subject.clone(), cycle: *cycle, attempt: *attempt }
    }

    /// What is repeated as one.
    fn of_whole(about: &About) -> Self {
        let key = Self::of(about);
        let role = if key.role == Role::Merger { Role::Worker } else { key.role };
        Self { role, ..key }
    }
}

/// One call as it was recorded.
#[derive(Debug, Default)]
pub(super) struct RecordedCall {
    pub(super) base: Option<String>,
    /// False where it was cut off.
    pub(super) ended: bool,
    /// Whether all that it came to was recorded: its agent went on to something
    /// else, or its cycle did. Else the recording may stop between its last word
    /// and what became of that.
    pub(super) settled: bool,
    pub(super) conversations: HashMap<u32, RecordedTalk>,
    /// What it tried to land, in its order.
    pub(super) tried: Vec<Tried>,
}

/// What a call tried to land.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tried {
    /// A landing, by its place in the order of all.
    Landing(usize),
    /// The user's check was red on it.
    Red(CheckResult),
}

/// One landing as it was recorded.
#[derive(Clone, Debug)]
pub(super) struct RecordedLanding {
    call: u64,
    pub(super) landing: String,
    pub(super) author_time: i64,
    pub(super) model: Option<String>,
    pub(super) commit: Option<String>,
    late: bool,
}

/// One conversation as it was recorded.
#[derive(Debug, Default)]
pub(super) struct RecordedTalk {
    pub(super) system: String,
    pub(super) tools: Vec<ToolSpec>,
    pub(super) steps: Vec<Step>,
}

/// What came next in a conversation.
#[derive(Debug)]
pub(super) enum Step {
    Said(Said),
    Reply(Reply),
    NoReply(CallError),
}

/// A call while lines are read.
struct Reading {
    about: About,
    /// Which host it was made under, from 1.
    host: u32,
    ended: bool,
    conversations: HashMap<u32, RecordedTalk>,
}

/// Sorts what was recorded. Refused are recordings that can't be played back.
pub(super) fn schedule(lines: impl Iterator<Item = Result<Line>>) -> Result<Schedule> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut plugins: Vec<Contents> = Vec::new();
    let mut calls: Vec<(u64, Reading)> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut ids = HashMap::new();
    let mut begun: HashMap<String, (u64, i64, Option<String>)> = HashMap::new();
    let mut landings: Vec<RecordedLanding> = Vec::new();
    // By call: how many landings came before, and what the check said.
    let mut reds: HashMap<u64, Vec<(usize, CheckResult)>> = HashMap::new();
    for line in lines {
        match line?.entry {
            Entry::Red { call, check } => {
                let before = landings.iter().filter(|landing| landing.call == call).count();
                reds.entry(call).or_default().push((before, check));
            }
            Entry::Host(host) => hosts.push(host),
            Entry::Plugins(contents) => plugins.push(contents),
            Entry::Ids { of, ids: given } => drop(ids.insert(of, given)),
            Entry::Call { call, about } => {
                places.insert(call, calls.len());
                let host = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
                let conversations = HashMap::new();
                calls.push((call, Reading { about, host, ended: false, conversations }));
            }
            Entry::Ended { call, .. } => {
                if let Some((_, reading)) = places.get(&call).and_then(|at| calls.get_mut(*at)) {
                    reading.ended = true;
                }
            }
            Entry::Landing { call, landing, author_time, model } => {
                begun.insert(landing, (call, author_time, model));
            }
            Entry::Landed { landing, commit, late } => {
                if let Some((call, author_time, model)) = begun.remove(&landing) {
                    let landed =
                        RecordedLanding { call, landing, author_time, model, commit, late };
                    landings.push(landed);
                }
            }
            other => converse(other, |place: Place| {
                let at = places.get(&place.call)?;
                Some(calls.get_mut(*at)?.1.conversations.entry(place.conversation).or_default())
            }),
        }
    }
    let host = run_of(&hosts)?;
    let last_host = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
    let kept = kept(&calls, last_host);
    let landings = landings_of(&kept, landings)?;
    plugins.dedup();
    Ok(Schedule { plugins, ..put_together(host, calls, &kept, ids, landings, reds) })
}

/// Adds a line of a conversation to what is known of it.
fn converse<'a>(entry: Entry, talk: impl FnOnce(Place) -> Option<&'a mut RecordedTalk>) {
    let (place, step) = match entry {
        Entry::Opened { place, system, tools, .. } => {
            if let Some(talk) = talk(place) {
                (talk.system, talk.tools) = (system, tools);
            }
            return;
        }
        Entry::Said { place, said } => (place, Step::Said(said)),
        Entry::Reply { place, reply, .. } => (place, Step::Reply(reply)),
        Entry::NoReply { place, error } => (place, Step::NoReply(error)),
        _ => return,
    };
    if let Some(talk) = talk(place) {
        talk.steps.push(step);
    }
}

fn run_of(hosts: &[Host]) -> Result<Host> {
    let first = hosts.first().ok_or_else(|| {
        Error::usage("the recording does not say which run it is of; it is empty or cut")
    })?;
    if hosts.iter().any(|host| host.run != first.run) {
        return Err(Error::usage("the recording is of more than one run; give one run's alone"));
    }
    let max_workers = hosts.iter().map(|host| host.max_workers).max().unwrap_or_default();
    Ok(Host { max_workers, ..first.clone() })
}

/// A host that goes on with a run repeats the calls that were cut off, and
/// those whose outcome had not reached the database. So only the last host's
/// calls count where more than one made the same; and a call that was cut off
/// counts only under the very last host. A merger's call is a part of the
/// worker's attempt, which is repeated as a whole.
fn kept(calls: &[(u64, Reading)], last_host: u32) -> HashSet<u64> {
    let mut latest: HashMap<Key, u32> = HashMap::new();
    for (_, call) in calls {
        let host = latest.entry(Key::of_whole(&call.about)).or_default();
        *host = (*host).max(call.host);
    }
    calls
        .iter()
        .filter(|(_, call)| {
            let repeated = latest.get(&Key::of_whole(&call.about)) != Some(&call.host);
            !repeated && (call.ended || call.host == last_host)
        })
        .map(|(number, _)| *number)
        .collect()
}

/// The calls after which something came that waits for what they come to: the
/// next call of the same agent, the judge's of the same cycle, or a later cycle.
fn settled(calls: &[(u64, Reading)], kept: &HashSet<u64>) -> HashSet<u64> {
    let mut agents: HashSet<&str> = HashSet::new();
    // The cycles below this one were over.
    let mut over = 0;
    let mut settled = HashSet::new();
    for (number, Reading { about, .. }) in calls.iter().rev() {
        if !kept.contains(number) {
            continue;
        }
        if !agents.insert(&about.agent) || about.cycle < over {
            settled.insert(*number);
        }
        let judged = about.role == Role::Judge;
        over = over.max(about.cycle + u32::from(judged));
    }
    settled
}

fn landings_of(
    kept: &HashSet<u64>,
    landings: Vec<RecordedLanding>,
) -> Result<Vec<RecordedLanding>> {
    let (counting, dropped): (Vec<_>, Vec<_>) =
        landings.into_iter().partition(|landing| kept.contains(&landing.call));
    if dropped.iter().any(|landing| landing.commit.is_some()) {
        return Err(Error::usage(
            "the recorded run was interrupted after a part of a task had landed and the task was \
             begun anew: such a recording can't be played back",
        ));
    }
    if counting.iter().any(|landing| landing.late) {
        return Err(Error::usage(
            "in the recorded run a worker lost its lease to time: such a recording can't be \
             played back",
        ));
    }
    Ok(counting)
}

fn put_together(
    host: Host,
    calls: Vec<(u64, Reading)>,
    kept: &HashSet<u64>,
    ids: HashMap<String, Vec<String>>,
    landings: Vec<RecordedLanding>,
    mut reds: HashMap<u64, Vec<(usize, CheckResult)>>,
) -> Schedule {
    let mut tried_by: HashMap<u64, Vec<Tried>> = HashMap::new();
    for (index, landing) in landings.iter().enumerate() {
        tried_by.entry(landing.call).or_default().push(Tried::Landing(index));
    }
    let mut schedule = Schedule {
        host,
        calls: HashMap::new(),
        claims: HashMap::new(),
        ids,
        landings,
        plugins: Vec::new(),
        ended: 0,
    };
    let settled = settled(&calls, kept);
    for (number, Reading { about, ended, conversations, .. }) in calls {
        if !kept.contains(&number) {
            continue;
        }
        if let (Role::Worker, Some(task)) = (about.role, &about.subject) {
            let claims = schedule.claims.entry(about.agent.clone()).or_default();
            claims.push((task.clone(), about.attempt));
        }
        schedule.ended += usize::from(ended);
        let mut tried = tried_by.remove(&number).unwrap_or_default();
        for (shift, (before, check)) in reds.remove(&number).into_iter().flatten().enumerate() {
            tried.insert((before + shift).min(tried.len()), Tried::Red(check));
        }
        let key = Key::of(&about);
        let settled = settled.contains(&number);
        let call = RecordedCall { base: about.base, ended, settled, conversations, tried };
        schedule.calls.entry(key).or_default().push(Arc::new(call));
    }
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Entry {
        Entry::Host(Host {
            run: "r".into(),
            goal: "g".into(),
            base: "b".into(),
            max_cycles: 1,
            max_workers: 2,
        })
    }

    fn work(call: u64, agent: &str, task: &str, attempt: u32) -> Entry {
        let (subject, base) = (Some(task.to_owned()), Some("b".to_owned()));
        let role = Role::Worker;
        Entry::Call {
            call,
            about: About { agent: agent.into(), role, subject, cycle: 1, attempt, base },
        }
    }

    fn ended(call: u64) -> Entry {
        Entry::Ended { call, error: None }
    }

    fn lands(call: u64, landing: &str) -> Entry {
        Entry::Landing { call, landing: landing.into(), author_time: 1, model: None }
    }

    fn landed(landing: &str, commit: Option<&str>, late: bool) -> Entry {
        Entry::Landed { landing: landing.into(), commit: commit.map(str::to_owned), late }
    }

    fn read(entries: Vec<Entry>) -> Result<Schedule> {
        schedule(entries.into_iter().map(|entry| Ok(Line { time: String::new(), entry })))
    }

    #[test]
    fn of_what_a_resumed_run_repeated_the_last_counts() {
        let schedule = read(vec![
            host(),
            work(1, "worker-1", "t1", 1),
            ended(1),
            lands(1, "l1"),
            landed("l1", Some("c1"), false),
            // Its outcome was lost with the host.
            work(2, "worker-1", "t2", 1),
            ended(2),
            // Cut off.
            work(3, "worker-2", "t3", 1),
            host(),
            work(4, "worker-2", "t2", 1),
            ended(4),
            // Cut off by the end of the recording.
            work(5, "worker-1", "t3", 1),
        ])
        .unwrap();
        let claims = |slot: &str| schedule.claims[slot].clone();
        assert_eq!(claims("worker-1"), [("t1".to_owned(), 1), ("t3".to_owned(), 1)]);
        assert_eq!(claims("worker-2"), [("t2".to_owned(), 1)]);
        assert_eq!((schedule.ended, schedule.landings.len()), (2, 1));
    }

    #[test]
    fn a_merger_whose_worker_is_repeated_does_not_count() {
        let merge = |call| match work(call, "worker-1", "t1", 1) {
            Entry::Call { call, about } => {
                Entry::Call { call, about: About { role: Role::Merger, ..about } }
            }
            other => other,
        };
        let half = [work(1, "worker-1", "t1", 1), ended(1), lands(1, "l1")];
        let half = half.into_iter().chain([landed("l1", None, false), merge(2), ended(2)]);
        let entries: Vec<Entry> = [host()].into_iter().chain(half).collect();
        let whole = read(entries.clone()).unwrap();
        assert_eq!((whole.ended, whole.landings.len(), whole.calls.len()), (2, 1, 2));
        assert_eq!(whole.claims["worker-1"].len(), 1, "a merger claims nothing");
        // The host ended before what it merged had landed.
        let again = [host(), work(3, "worker-1", "t1", 1), ended(3)];
        let schedule = read(entries.into_iter().chain(again).collect()).unwrap();
        assert_eq!((schedule.ended, schedule.landings.len(), schedule.calls.len()), (1, 0, 1));
    }

    #[test]
    fn a_call_is_settled_once_something_came_after_it() {
        let schedule = read(vec![
            host(),
            work(1, "worker-1", "t1", 1),
            work(2, "worker-2", "t2", 1),
            ended(1),
            ended(2),
            work(3, "worker-1", "t3", 1),
            ended(3),
        ])
        .unwrap();
        let settled = |task: &str| {
            let mut calls = schedule.calls.iter();
            let (_, calls) = calls.find(|(key, _)| key.subject.as_deref() == Some(task)).unwrap();
            calls[0].settled
        };
        // What the others had said was not yet landed when the host ended.
        assert_eq!([settled("t1"), settled("t2"), settled("t3")], [true, false, false]);
    }

    #[test]
    fn what_time_or_a_crash_has_decided_is_refused() {
        let late = vec![host(), work(1, "w", "t", 1), lands(1, "l"), landed("l", None, true)];
        assert!(read(late).unwrap_err().to_string().contains("lost its lease"));
        let halfway = vec![
            host(),
            work(1, "w", "t", 1),
            lands(1, "l"),
            landed("l", Some("c"), false),
            host(),
            work(2, "w", "t", 1),
            ended(2),
        ];
        assert!(read(halfway).unwrap_err().to_string().contains("begun anew"));
        assert!(read(Vec::new()).unwrap_err().to_string().contains("which run"));
    }
}
