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
