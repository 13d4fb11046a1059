//! What a run has used: tokens and costs by request, and its hosts' time.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::Type;

use super::{Change, Result, collect, record};
use crate::events::Event;
use crate::queue::{Spending, Spent};
use crate::types::{Role, Usage};

pub(in super::super) fn spent(change: &Change<'_>, spending: &Spending) -> Result<()> {
    let Spending { cycle, role, subject, usage, cost_usd } = spending;
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    change
        .connection
        .prepare_cached(
            "INSERT INTO usage (run_id, cycle_number, role, subject, input_tokens, cached_input_tokens,
                                output_tokens, created_at, cost_usd)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            change.run,
            cycle,
            role,
            subject,
            tokens(usage.input_tokens),
            tokens(usage.cached_input_tokens),
            tokens(usage.output_tokens),
            change.clock.timestamp(),
            cost_usd,
        ])?;
    Ok(())
}

pub(in super::super) fn model_used(
    change: &Change<'_>,
    role: Role,
    subject: Option<String>,
    usage: Usage,
) -> Result<()> {
    let who = subject.clone().unwrap_or_else(|| role.to_string());
    record(change, &who, &Event::ModelUsed { role, subject, usage })
}

/// By role, in the order in which the roles first asked. `total` adds up as a
/// floating number: it can't overflow, whatever a server says that it counted.
pub(in super::super) fn by_role(change: &Change<'_>) -> Result<Vec<Spent>> {
    collect(
        change.connection,
        "SELECT role, count(*), CAST(total(input_tokens) AS INTEGER),
                CAST(total(cached_input_tokens) AS INTEGER), CAST(total(output_tokens) AS INTEGER),
                total(cost_usd), count(*) - count(cost_usd)
         FROM usage WHERE run_id = ?1 GROUP BY role ORDER BY min(rowid)",
        [change.run],
        |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(Spent {
                role: row.get(0)?,
                requests: count(1)?,
                usage: Usage {
                    input_tokens: count(2)?,
                    cached_input_tokens: count(3)?,
                    output_tokens: count(4)?,
                },
                cost_usd: row.get(5)?,
                unpriced: count(6)?,
            })
        },
    )
}

/// How long the run's hosts have run, all together: each from its first event
/// to its last.
pub(in super::super) fn elapsed(change: &Change<'_>) -> Result<Duration> {
    let hosts = collect(
        change.connection,
        "SELECT min(created_at), max(created_at) FROM (
             SELECT created_at, sum(kind IN ('run-started', 'run-resumed')) OVER (ORDER BY sequence) AS host
             FROM events WHERE run_id = ?1)
         GROUP BY host",
        [change.run],
        |row| {
            let read = |column: usize| -> Result<Timestamp> {
                row.get::<_, String>(column)?.parse().map_err(|error: jiff::Error| {
                    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
                })
            };
            // A clock that was set back makes no time negative.
            Ok(read(1)?.duration_since(read(0)?).try_into().unwrap_or(Duration::ZERO))
        },
    )?;
    Ok(hosts.into_iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::events::Outcome;
    use crate::queue::{Database, NewRun, Store};

    const START: i64 = 1_700_000_000_000;

    async fn run(folder: &tempfile::TempDir) -> (Database, crate::queue::RunStore) {
        let database = Database::open(&folder.path().join("tasks.db")).unwrap();
        let row = NewRun {
            goal: "goal".into(),
            branch: "main".into(),
            root_path: "/".into(),
            base: "base".into(),
            model: "model".into(),
            options: "{}".into(),
            max_cycles: 1,
            max_workers: 1,
        };
        let store = database.start_run("run", row, Clock::fixed(START)).await.unwrap();
        (database, store)
    }

    #[tokio::test]
    async fn the_time_between_two_hosts_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = run(&folder).await;
        let at = |seconds: i64| database.run("run", Clock::fixed(START + seconds * 1000));
        at(5).end_run(Outcome::Interrupted, None).await.unwrap();
        at(3600).resumed("tip".into(), 1, 1).await.unwrap();
        // This host crashes: it never says that it ended.
        at(3607).record("host", Event::Stopping).await.unwrap();
        at(9000).resumed("tip".into(), 1, 1).await.unwrap();
        assert_eq!(at(9000).elapsed().await.unwrap().as_secs(), 5 + 7);
    }

    #[tokio::test]
    async fn tokens_and_costs_are_added_up_by_role() {
        let folder = tempfile::tempdir().unwrap();
        let (_, store) = run(&folder).await;
        for (role, tokens, cost_usd) in
            [("worker", 5, Some(0.5)), ("judge", u64::MAX, None), ("worker", 7, Some(0.25))]
        {
            let usage =
                Usage { input_tokens: tokens, cached_input_tokens: 1, output_tokens: u64::MAX };
            let role = role.to_owned();
            store.spent(Spending { cycle: 1, role, subject: None, usage, cost_usd }).await.unwrap();
        }
        let spent = store.spent_by_role().await.unwrap();
        let worker = &spent[0];
        assert_eq!((worker.role.as_str(), worker.requests, worker.unpriced), ("worker", 2, 0));
        assert_eq!((worker.usage.input_tokens, worker.cost_usd), (12, 0.75));
        assert_eq!(worker.usage.output_tokens, i64::MAX.unsigned_abs(), "it can't overflow");
        assert_eq!((spent[1].role.as_str(), spent[1].unpriced), ("judge", 1));
    }
}
