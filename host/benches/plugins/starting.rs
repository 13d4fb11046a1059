//! Loading the default plugins, and making instances of them.

use std::time::{Duration, Instant};

use code_agent::transcript::CallTranscript;
use code_agent::types::Role;

use crate::workshop::{self, Workshop};
use crate::{ROUNDS, Result, default_plugins, folder, median, verdict};

/// How long the load of all default plugins may take.
const LOAD_TARGET: Duration = Duration::from_millis(10);
/// How long one instance may take, its Store included.
const INSTANCE_TARGET: Duration = Duration::from_micros(30);
/// Instances that the median is of.
const INSTANCES: usize = 10_000;

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
        // One by one, so that a machine that does something else now and then
        // spoils some of them and not the median.
        for _ in 0..INSTANCES {
            let begun = Instant::now();
            plugins.start(agent.clone()).await?;
            times.push(begun.elapsed());
        }
        let took = median(times);
        let shown = format!("{took:.1?} for the {role}, at most {INSTANCE_TARGET:.1?}");
        reached &= verdict("instance", &shown, took <= INSTANCE_TARGET);
    }
    Ok(reached)
}
