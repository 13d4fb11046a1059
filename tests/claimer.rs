//! A process of its own that claims and completes a run's tasks with sixteen
//! threads: `claimer DATABASE RUN NAME`. It says `ready` and waits for the end
//! of its input, so that two of them begin together; then it prints each claim
//! as a line of JSON.

use std::io::Read;
use std::path::Path;

use code_agent::clock::Clock;
use code_agent::queue::{Database, RunStore, Store};
use code_agent::types::Report;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const THREADS: usize = 16;
const CYCLE: u32 = 1;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, run, name] = arguments.as_slice() else {
        return Err("usage: claimer DATABASE RUN NAME".into());
    };
    let store = Database::open(Path::new(database))?.run(run, Clock::system());
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(async {
        let mut claiming = JoinSet::new();
        for number in 0..THREADS {
            claiming.spawn(keep_claiming(store.clone(), format!("{name}-{number}")));
        }
        while let Some(ended) = claiming.join_next().await {
            ended??;
        }
        Ok(())
    })
}

async fn keep_claiming(store: RunStore, slot: String) -> Result<()> {
    while let Some(claim) = store.claim(CYCLE, &slot).await? {
        let rank = claim.task.draft.priority as u8;
        println!("{}", serde_json::json!({ "slot": slot, "rank": rank, "id": claim.task.id }));
        let report = Report { success: true, summary: "done".into(), notes: Vec::new() };
        if !store.complete(&claim, report).await? {
            return Err(format!("{slot} lost its claim to {}", claim.task.id).into());
        }
    }
    Ok(())
}
