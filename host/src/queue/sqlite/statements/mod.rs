//! The changes of a run's state, each inside the transaction that it is given,
//! each with the events that tell of it. One file per table or two.

pub(super) mod cycles;
pub(super) mod kept_files;
pub(super) mod landings;
pub(super) mod planners;
pub(super) mod runs;
pub(super) mod tasks;
pub(super) mod usage;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::measured;
use super::run_store::Change;
use crate::events::Event;
use crate::queue::Planner;
use crate::types::{Priority, TaskDraft};

type Result<T> = rusqlite::Result<T>;

/// Who speaks where no agent does.
const HOST: &str = "host";

pub(super) fn record(change: &Change<'_>, who: &str, event: &Event) -> Result<()> {
    let body = to_json(event)?;
    change.connection.prepare_cached(measured::RECORD)?.execute(params![
        change.run,
        change.clock.timestamp(),
        who,
        kind(&body),
        body
    ])?;
    Ok(())
}

/// An event's kind is its tag, which serde writes first: `{"event":"KIND"`.
fn kind(body: &str) -> &str {
    body.split('"').nth(3).unwrap_or_default()
}

fn domain_name(planner: &Planner) -> Option<String> {
    planner.domain.as_ref().map(|domain| domain.name.clone())
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reads columns 1 to 4: title, description, priority, file_paths.
fn read_draft(row: &Row<'_>) -> Result<TaskDraft> {
    let priority: String = row.get(3)?;
    Ok(TaskDraft {
        title: row.get(1)?,
        description: row.get(2)?,
        priority: priority.parse::<Priority>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(3, Type::Text, error.into())
        })?,
        file_paths: read_json(row, 4)?,
    })
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn read_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn collect<T>(
    connection: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare_cached(query)?.query_map(parameters, read)?.collect()
}
