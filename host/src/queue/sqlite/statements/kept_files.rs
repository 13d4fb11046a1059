//! What a tool has replaced in a checkout: git holds it, the row says where it
//! was.

use rusqlite::params;

use super::{Change, Result};

pub(in super::super) fn keep(
    change: &Change<'_>,
    subject: Option<&str>,
    path: &str,
    blob: &str,
) -> Result<()> {
    change
        .connection
        .prepare_cached(
            "INSERT INTO kept_files (blob_id, run_id, subject, path, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![blob, change.run, subject, path, change.clock.timestamp()])
        .map(drop)
}
