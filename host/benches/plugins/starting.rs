//! Loading the default plugins, and making instances of them.
//!
//! What an instance takes is the mean of many, made and let go of one after the
//! other, so that those that take long count as well (a median would leave out
//! what comes now and then, like the kernel's tidying up). It is the thread's
//! time on a processor, in the kernel too: nothing in it waits, and what else the
//! machine does in the meantime is not the instance's. The median by the clock
//! stands beside it.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at what it measures")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use code_agent::transcript::CallTranscript;
use code_agent::types::Role;

use crate::workshop::{self, Workshop};
use crate::{ROUNDS, Result, default_plugins, folder, median, verdict};

/// How long the load of all default plugins may take.
const LOAD_TARGET: Duration = Duration::from_millis(10);
/// How long one instance may take, its Store included.
const INSTANCE_TARGET: Duration = Duration::from_micros(30);
/// Instances that the mean is of.
const INSTANCES: u32 = 10_000;

pub async fn load() -> Result<bool> {
    let cache = folder()?;
    let begun = Instant::now();
    drop(workshop::load(&default_plugins(), cache.path()).await?);
    let compiled = begun.elapsed();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let plugins = workshop::load(&default_plugins(), cache.path()).await?;
        times.push(begun.elapsed());
        drop(plugins);
    }
    let loaded = median(times);
    let shown = format!(
        "{loaded:.1?} for all default plugins from the cache, at most {LOAD_TARGET:.1?}; \
         {compiled:.1?} where they have to be compiled"
    );
    Ok(verdict("load", &shown, loaded <= LOAD_TARGET))
}

pub async fn instances() -> Result<bool> {
    let place = folder()?;
    let workshop = Workshop::open(place.path(), None).await?;
    let plugins = workshop::load(&default_plugins(), &place.path().join("compiled")).await?;
    let mut reached = true;
    for role in Role::ALL {
        let agent = workshop.agent(&plugins, role, CallTranscript::default());
        let mut times = Vec::new();
        let before = processor_time()?;
        for _ in 0..INSTANCES {
            let begun = Instant::now();
            plugins.start(agent.clone()).await?;
            times.push(begun.elapsed());
        }
        let mean = processor_time()?.saturating_sub(before) / INSTANCES;
        let median = median(times);
        let shown = format!(
            "{mean:.1?} for the {role}, at most {INSTANCE_TARGET:.1?}; median by the clock \
             {median:.1?}"
        );
        reached &= verdict("instance", &shown, mean <= INSTANCE_TARGET);
    }
    Ok(reached)
}

/// How long this thread has been on a processor.
fn processor_time() -> Result<Duration> {
    // The kernel adds up what has passed when it lets others run.
    thread::yield_now();
    let times = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = times.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
