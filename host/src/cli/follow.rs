//! Follows a run's events as they are committed, and prints them: JSON lines
//! on stdout, or a progress view on stderr. Reads the database on a thread of
//! its own, so that a slow terminal holds up nobody.

use std::io::{self, Write};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use super::progress;
use crate::events::Recorded;
use crate::queue::{Database, Reader};
use crate::{Error, Result};

/// The view looks at the database at least this often, whatever it is told.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Follower {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// Starts to print the events of `run`.
    pub(super) fn start(database: &Database, run: &str, json: bool) -> Result<Self> {
        let reader = Reader::open(database.path())?;
        let (stop, stopped) = watch::channel(false);
        let (committed, run) = (database.committed(), run.to_owned());
        let runtime = tokio::runtime::Handle::current();
        let thread = thread::Builder::new()
            .name("follower".into())
            .spawn(move || {
                if let Err(error) = follow(&reader, &run, json, &runtime, committed, stopped) {
                    tracing::error!("the progress view ended early: {error}");
                }
            })
            .map_err(|error| Error::failed(format!("can't start the progress view: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Prints what is left, and ends.
    pub(super) async fn finish(self) {
        self.stop.send_replace(true);
        match tokio::task::spawn_blocking(|| self.thread.join()).await {
            Ok(Ok(())) => {}
            _ => tracing::error!("the progress view broke off"),
        }
    }
}

fn follow(
    reader: &Reader,
    run: &str,
    json: bool,
    runtime: &tokio::runtime::Handle,
    mut committed: watch::Receiver<i64>,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut last = 0;
    loop {
        // Whether it is the last round is asked before reading, so that what
        // was committed before the end is never missed.
        let last_round = *stopped.borrow_and_update();
        committed.mark_unchanged();
        loop {
            let events = reader.events_after(run, last)?;
            let Some(newest) = events.last() else { break };
            last = newest.sequence;
            print(&events, json).map_err(|error| Error::failed(format!("can't print: {error}")))?;
        }
        if last_round {
            return Ok(());
        }
        // Which of these woke it doesn't matter: the database is read anyway.
        runtime.block_on(async {
            tokio::select! {
                _ = committed.changed() => {}
                _ = stopped.changed() => {}
                () = tokio::time::sleep(LONGEST_PAUSE) => {}
            }
        });
    }
}

fn print(events: &[Recorded], json: bool) -> io::Result<()> {
    if json {
        let mut out = io::stdout().lock();
        for event in events {
            serde_json::to_writer(&mut out, event)?;
            out.write_all(b"\n")?;
        }
        return out.flush();
    }
    let mut out = io::stderr().lock();
    for event in events {
        if let Some(line) = progress::line(event) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
