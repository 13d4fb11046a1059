//! The memory of a thousand workers that wait for a model that never answers.
//! Each has opened its conversation and asks for its first answer. A server that
//! has answered nobody yet gets no more than 64 requests; the other workers wait
//! for a place there, and have no connection.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at what it measures")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use code_agent::clock::Clock;
use code_agent::plugin::Plugins;
use code_agent::transcript::{About, Journal, Recorder};
use code_agent::types::Role;

use crate::workshop::{Workshop, brief, load, task};
use crate::{Result, default_plugins, folder, verdict};

/// How many wait at once.
const WORKERS: usize = 1_000;
/// What they may take together.
const TARGET_KIB: u64 = 64 * 1024;
/// How often is looked whether all of them wait.
const LOOK: Duration = Duration::from_millis(20);
/// After so many looks something is wrong.
const MOST_LOOKS: usize = 3_000;

pub async fn measure() -> Result<bool> {
    let place = folder()?;
    let workshop = Workshop::open(place.path(), Some(silent_server()?)).await?;
    let plugins = Arc::new(load(&default_plugins(), &place.path().join("compiled")).await?);
    let transcript = place.path().join("transcript.jsonl");
    let recorder = Recorder::open(transcript.clone(), Clock::system(), Vec::new(), Vec::new())?;
    let journal = Journal::new(recorder, None);
    // One before, for what all of them share.
    let first = begin(&workshop, &plugins, &journal, 0);
    all_wait(&transcript, 1).await?;
    let before = memory_kib()?;
    let workers: Vec<_> =
        (1..=WORKERS).map(|number| begin(&workshop, &plugins, &journal, number)).collect();
    all_wait(&transcript, WORKERS + 1).await?;
    let more = memory_kib()?.saturating_sub(before);
    if let Some(ended) = workers.iter().chain([&first]).find(|worker| worker.is_finished()) {
        return Err(format!("a worker did not wait: {ended:?}").into());
    }
    for worker in workers.iter().chain([&first]) {
        worker.abort();
    }
    let shown = format!(
        "{:.1} MiB (PSS) for {WORKERS} workers that wait for the model, {} KiB each, at most {} MiB",
        more as f64 / 1024.0,
        more / WORKERS as u64,
        TARGET_KIB / 1024
    );
    Ok(verdict("memory", &shown, more <= TARGET_KIB))
}

fn begin(
    workshop: &Workshop,
    plugins: &Arc<Plugins>,
    journal: &Journal,
    number: usize,
) -> tokio::task::JoinHandle<()> {
    let about = About {
        agent: format!("worker-{number}"),
        role: Role::Worker,
        subject: None,
        cycle: 1,
        attempt: 1,
        base: None,
    };
    let agent = workshop.agent(plugins, Role::Worker, journal.call(about));
    let plugins = plugins.clone();
    tokio::spawn(async move {
        // It never ends by itself; `measure` looks whether it did.
        drop(plugins.work(agent, brief("Wait"), task("Wait")).await);
    })
}

/// Returns once so many have said their first message, after which they ask.
async fn all_wait(transcript: &Path, workers: usize) -> Result<()> {
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK).await;
        if said(transcript)? >= workers {
            // What is left to the last one is less than a look takes.
            tokio::time::sleep(LOOK).await;
            return Ok(());
        }
    }
    Err(format!("{workers} workers have not come to ask the model").into())
}

/// Counts first messages line by line, for the whole text would be in the memory
/// that is measured.
fn said(transcript: &Path) -> Result<usize> {
    let mut reader = BufReader::new(File::open(transcript)?);
    let (mut line, mut count) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 {
        count += usize::from(line.contains("\"line\":\"said\""));
        line.clear();
    }
    Ok(count)
}

/// Takes connections and says nothing; returns its address.
fn silent_server() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let held: Vec<TcpStream> = listener.incoming().flatten().collect();
        drop(held);
    });
    Ok(format!("http://{address}"))
}

/// What this process takes of the machine's memory.
fn memory_kib() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss line")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
