//! Writes a run's transcript: one line after the other, at the end of the
//! file. A line is handed to the system when its call returns; it is not
//! synced, for a run goes on from the database, not from here.

#![expect(clippy::disallowed_methods, reason = "transcripts are the program's own files")]

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Entry, Line, Lines};
use crate::clock::Clock;
use crate::lm::Secret;
use crate::{Error, Result};

/// Appends lines to a file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: Mutex<File>,
    clock: Clock,
    /// Blanked in every line.
    secrets: Vec<Secret>,
    next_call: AtomicU64,
    broken: OnceLock<Error>,
}

impl Recorder {
    /// Opens the file at `path` to add to it; makes it and its folder if
    /// missing. A line that a crash has cut is ended first, and one of `landed`
    /// (landings and their commits, in their order) that came before its line
    /// gets it.
    pub fn open(
        path: PathBuf,
        clock: Clock,
        secrets: Vec<Secret>,
        landed: Vec<(String, String)>,
    ) -> Result<Self> {
        let cannot = |error| unwritable(&path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(cannot)?;
        }
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(cannot)?;
        end_last_line(&mut file).map_err(cannot)?;
        let found = Found::read(&path)?;
        let recorder = Self {
            path,
            file: Mutex::new(file),
            clock,
            secrets,
            next_call: AtomicU64::new(found.last_call + 1),
            broken: OnceLock::new(),
        };
        for (landing, commit) in landed {
            if !found.landed.contains(&landing) {
                recorder.write(Entry::Landed { landing, commit: Some(commit), late: false });
            }
        }
        Ok(recorder)
    }

    /// Writes a line. What goes wrong is kept for `broken`: whoever tells a
    /// model something can do nothing about a full disk.
    pub(super) fn write(&self, entry: Entry) {
        let line = Line { time: self.clock.timestamp(), entry };
        if let Err(error) = self.append(&line) {
            let error = unwritable(&self.path, &error);
            if self.broken.set(error.clone()).is_ok() {
                tracing::error!("{error}");
            }
        }
    }

    /// Why lines can't be written any more.
    pub(super) fn broken(&self) -> Option<Error> {
        self.broken.get().cloned()
    }

    pub(super) fn next_call(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }

    fn append(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        for secret in &self.secrets {
            text = secret.redact(&text);
        }
        text.push('\n');
        // What the lock guards is whole at any time, whoever panicked.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())
    }
}

fn end_last_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// What a host that goes on with a run has to know of its transcript.
#[derive(Default)]
struct Found {
    last_call: u64,
    landed: HashSet<String>,
}

impl Found {
    fn read(path: &Path) -> Result<Self> {
        let mut found = Self::default();
        for line in Lines::open(path)? {
            match line?.entry {
                Entry::Call { call, .. } => found.last_call = found.last_call.max(call),
                Entry::Landed { landing, .. } => drop(found.landed.insert(landing)),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space"
        }
        _ => "check its permissions and the disk",
    };
    Error::failed(format!(
        "the transcript {} can't be written ({error}); {remedy}, and resume the run",
        path.display()
    ))
}
