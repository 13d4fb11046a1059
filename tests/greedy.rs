//! Agents that ask for more at once than the machine has: the host does a few
//! things at a time, and others get their turn.

use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use code_agent::agent::{Agent, most_at_work};
use code_agent::transcript::CallTranscript;
use code_agent::types::{CallError, Role};
use model_server::{ModelServer, Rule, Script, calls, finish_task, submit_verdict};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::program::{code_agent, model};
use crate::project::Project;
use crate::scripts::{domain, plan, writer};
use crate::watched::Watched;
use crate::workshop::Workshop;

/// As many calls as go in one go.
const CALLS: usize = 128;
/// More than the program needs beside its searches, and far less than that many
/// searches would take at once.
const MOST_MIB: u64 = 600;

/// How much memory a process has had at most.
fn most_memory_mib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn many_searches_of_long_lines_take_no_more_memory_than_a_few() {
    let line = "x".repeat(10 << 20);
    let names = ["a.txt", "b.txt", "c.txt", "d.txt"];
    let project = Project::new(&names.map(|name| (name, line.as_str())));
    let search = |number: usize| -> (&str, Value) {
        ("search_code_pattern", json!({ "pattern": format!("[y-z]{{3}}{number}") }))
    };
    let searches: Vec<_> = (0..CALLS).map(search).collect();
    let worker = Rule::worker(&["Task: Search\n"])
        .turn(calls(&searches))
        .turn(finish_task("Searched.").expects(&["no hits"]));
    let judge = Rule::judge(&[]).turn(submit_verdict("stop", true, "Done.").barrier("measured", 2));
    let rules = [
        plan(&["one", "two"]),
        domain("one", &[("Search", "a.txt")]),
        domain("two", &[("Write e", "e.txt")]),
        worker,
        writer("Write e", "e.txt", "e\n"),
        judge,
    ];
    let server = ModelServer::start(Script::new(rules)).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Search", "--json"]).args(model(&server));
    let mut running = Watched::start(&mut command);
    running.until_event("task-completed", "Searched.");
    let most = most_memory_mib(running.id());
    server.meet("measured", 2).unwrap();
    running.ended().expect_code(0);
    assert!(most < MOST_MIB, "the program had {most} MiB");
}

/// Work in a checkout that goes on until the test lets it end.
struct Work {
    agent: Arc<Agent>,
    /// How many of them were asked for, and how many have begun.
    asked: watch::Sender<usize>,
    begun: watch::Sender<usize>,
    /// Nothing ever comes: it ends when its other end is gone.
    end: Arc<Mutex<Receiver<()>>>,
}

impl Work {
    fn new(agent: Arc<Agent>) -> (Self, Sender<()>) {
        let (open, end) = channel();
        let (asked, begun) = (watch::Sender::new(0), watch::Sender::new(0));
        (Self { agent, asked, begun, end: Arc::new(Mutex::new(end)) }, open)
    }

    fn ask(&self) -> JoinHandle<Result<(), CallError>> {
        let (agent, end) = (self.agent.clone(), self.end.clone());
        let (asked, begun) = (self.asked.clone(), self.begun.clone());
        tokio::spawn(async move {
            asked.send_modify(|asked| *asked += 1);
            let work = move |_: &_| {
                begun.send_modify(|begun| *begun += 1);
                let _ = end.lock().unwrap().recv();
                Ok(())
            };
            agent.in_checkout(work).await
        })
    }

    /// How many have begun, when so many were asked for and each had its chance.
    async fn have_begun(&self, asked: usize) -> usize {
        self.asked.subscribe().wait_for(|number| *number >= asked).await.unwrap();
        self.begun.subscribe().wait_for(|number| *number >= most_at_work()).await.unwrap();
        // Blocking work begins in the order in which it is asked for.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        *self.begun.borrow()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_in_checkouts_waits_for_a_place_even_behind_what_nobody_waits_for_any_more() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let workshop = Workshop::open(place.path(), None).await.unwrap();
    let plugins = workshop.plugins("greedy", None, "").await.unwrap();
    let agent = workshop.agent(&plugins, Role::Worker, CallTranscript::default());
    let (work, open) = Work::new(agent);
    let first: Vec<_> = (0..CALLS).map(|_| work.ask()).collect();
    assert_eq!(work.have_begun(CALLS).await, most_at_work());
    for one in first {
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    let second: Vec<_> = (0..CALLS).map(|_| work.ask()).collect();
    assert_eq!(work.have_begun(2 * CALLS).await, most_at_work(), "what has begun has its place");
    drop(open);
    for one in second {
        one.await.unwrap().unwrap();
    }
    assert_eq!(*work.begun.borrow(), most_at_work() + CALLS);
}
