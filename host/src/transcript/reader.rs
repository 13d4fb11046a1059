//! Reads a transcript line by line. A line that a crash has cut is passed over;
//! a file that is something else is refused.

#![expect(clippy::disallowed_methods, reason = "transcripts are the program's own files")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::Line;
use crate::{Error, Result};

/// The longest line, in bytes: above the largest conversation, which is 16 MiB
/// before JSON escapes it.
const LONGEST_LINE: u64 = 256 * 1024 * 1024;

/// The lines of a transcript, in their order.
pub struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    number: u64,
    good: u64,
}

impl Lines {
    /// Opens the transcript at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| {
            Error::usage(format!("the transcript {} can't be read: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), file: BufReader::new(file), number: 0, good: 0 })
    }

    /// The next line's text; none at the end.
    fn next_text(&mut self) -> Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let read = self.file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text);
        read.map_err(|error| {
            Error::failed(format!("the transcript {} can't be read: {error}", self.path.display()))
        })?;
        self.number += 1;
        Ok((!text.is_empty()).then_some(text))
    }
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = match self.next_text() {
                Ok(text) => text?,
                Err(error) => return Some(Err(error)),
            };
            match serde_json::from_slice(&text) {
                Ok(line) => {
                    self.good += 1;
                    return Some(Ok(line));
                }
                Err(error) if self.good == 0 => {
                    return Some(Err(Error::usage(format!(
                        "{} is no transcript: its line {} can't be read ({error})",
                        self.path.display(),
                        self.number
                    ))));
                }
                Err(error) => tracing::warn!(
                    "line {} of {} is passed over: {error}",
                    self.number,
                    self.path.display()
                ),
            }
        }
    }
}
