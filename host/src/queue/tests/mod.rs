//! What the queue promises, asked through the store that a run uses.

mod claims;
mod runs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Claim, Database, LEASE, LandingRow, NewRun, Plan, Planner, Reader, RunStore, Store};
use crate::clock::Clock;
use crate::events::Event;
use crate::types::{Priority, Report, TaskDraft};

const RUN: &str = "run";
const CYCLE: u32 = 1;

/// A run in a database of its own, with cycle 1 begun.
struct Queue {
    // Kept for its end: it removes the database.
    _folder: TempDir,
    clock: Clock,
    store: RunStore,
    main_planner: Planner,
}

impl Queue {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(1_700_000_000_000);
        let database = Database::open(&folder.path().join("tasks.db")).unwrap();
        let store = database.start_run(RUN, new_run(), clock.clone()).await.unwrap();
        let open = store.start_cycle(CYCLE, "base".into()).await.unwrap();
        let main_planner = open.planners[0].clone();
        Self { _folder: folder, clock, store, main_planner }
    }

    /// With these tasks added, in this order.
    async fn with(tasks: &[(&str, Priority)]) -> Self {
        let queue = Self::new().await;
        queue.add(plan(tasks)).await.unwrap();
        queue
    }

    async fn add(&self, plan: Plan) -> crate::Result<Vec<Planner>> {
        self.store.finish_planner(CYCLE, &self.main_planner, plan).await
    }

    async fn claim(&self, slot: &str) -> Option<Claim> {
        self.store.claim(CYCLE, slot).await.unwrap()
    }

    fn lease_runs_out(&self) {
        self.clock.advance(LEASE * 2);
    }

    fn events(&self) -> Vec<Event> {
        let reader = Reader::open(self.store.database().path()).unwrap();
        let recorded = reader.events_after(RUN, 0).unwrap();
        assert!(recorded.is_sorted_by_key(|recorded| (recorded.sequence, recorded.time.clone())));
        recorded.into_iter().map(|recorded| recorded.event).collect()
    }

    /// A connection of somebody else's.
    fn other(&self) -> Connection {
        Connection::open(self.store.database().path()).unwrap()
    }

    fn count(&self, table: &str) -> u32 {
        self.other()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap()
    }
}

fn new_run() -> NewRun {
    NewRun {
        goal: "A goal".into(),
        branch: "main".into(),
        root_path: "/project".into(),
        base: "base".into(),
        model: "model".into(),
        options: "{}".into(),
        max_cycles: 1,
        max_workers: 64,
    }
}

fn plan(tasks: &[(&str, Priority)]) -> Plan {
    let draft = |&(title, priority): &(&str, Priority)| TaskDraft {
        title: title.into(),
        description: "what to do".into(),
        priority,
        file_paths: vec!["src/lib.rs".into()],
    };
    Plan { summary: "overview".into(), tasks: tasks.iter().map(draft).collect(), ..Plan::default() }
}

fn report() -> Report {
    Report { success: true, summary: "done".into(), notes: vec!["a note".into()] }
}

fn landing(id: &str, claim: &Claim, report: Option<Report>) -> LandingRow {
    LandingRow {
        landing: id.into(),
        task: claim.task.id.clone(),
        slot: claim.slot.clone(),
        attempt: claim.task.attempt,
        commit: format!("commit of {id}"),
        parent: "parent".into(),
        files: vec!["src/lib.rs".into()],
        report,
    }
}

/// From now on the database refuses tasks of that title.
fn refuse(connection: &Connection, title: &str) {
    let trigger = format!(
        "CREATE TRIGGER refusal BEFORE INSERT ON tasks WHEN NEW.title = '{title}'
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    connection.execute_batch(&trigger).unwrap();
}
