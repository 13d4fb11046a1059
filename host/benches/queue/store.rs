//! The product's store under load: many claimers, each of which claims and
//! completes one task after the other, as workers do whose work takes no time.

use std::time::{Duration, Instant};

use code_agent::queue::{RunStore, Store};
use code_agent::types::Report;
use tokio::task::JoinSet;

use crate::{CYCLE, Result, TASKS, check_done, filled, folder};

/// What one round came to.
pub struct Measured {
    /// From the first claim to the last finish.
    pub took: Duration,
    /// How many transactions that took.
    pub groups: u64,
    /// How long each claim took.
    pub claims: Vec<Duration>,
    /// How long each finish took.
    pub finishes: Vec<Duration>,
}

pub async fn measure(claimers: usize) -> Result<Measured> {
    let folder = folder()?;
    let path = folder.path().join("tasks.db");
    let store = filled(&path).await?;
    let groups = store.database().groups();
    let start = Instant::now();
    let mut working = JoinSet::new();
    for number in 0..claimers {
        working.spawn(keep_claiming(store.clone(), format!("worker-{number}")));
    }
    let mut measured = Measured {
        took: Duration::ZERO,
        groups: 0,
        claims: Vec::with_capacity(TASKS),
        finishes: Vec::with_capacity(TASKS),
    };
    while let Some(ended) = working.join_next().await {
        for (claim, finish) in ended?? {
            measured.claims.push(claim);
            measured.finishes.push(finish);
        }
    }
    measured.took = start.elapsed();
    measured.groups = store.database().groups() - groups;
    check_done(&path)?;
    Ok(measured)
}

async fn keep_claiming(store: RunStore, slot: String) -> Result<Vec<(Duration, Duration)>> {
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        let Some(claim) = store.claim(CYCLE, &slot).await? else { return Ok(times) };
        let claimed = Instant::now();
        if !store.complete(&claim, report()).await? {
            return Err("a claim was lost".into());
        }
        times.push((claimed - start, claimed.elapsed()));
    }
}

fn report() -> Report {
    Report { success: true, summary: crate::SUMMARY.into(), notes: vec![crate::NOTE.into()] }
}
