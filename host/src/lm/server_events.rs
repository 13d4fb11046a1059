//! Reads server-sent events (WHATWG HTML, section 9.2): bytes in, the data of
//! each event out. Knows nothing of what is in the data; an event's name is
//! dropped, for both wires repeat it there.

use super::complaint::strange;
use super::retry::{Failure, Remedy};

/// Longer lines are a fault of the server, in bytes: far above any answer's
/// longest piece.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// A reader of one stream. How long the stream may be is the caller's to bound.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    line: Vec<u8>,
    data: Option<String>,
    /// The line before ended with a CR: a LF that follows belongs to it.
    after_return: bool,
}

impl EventReader {
    /// Takes bytes as they come, cut anywhere, and returns the data of the
    /// events that they complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<String>, Failure> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ if self.line.len() == LONGEST_LINE => {
                    let what = "a line of its answer was longer than 4 MiB";
                    return Err(Failure::new(Remedy::GiveUp, what));
                }
                _ => self.line.push(byte),
            }
            self.after_return = byte == b'\r';
        }
        Ok(events)
    }

    /// What is left at the stream's end: some servers leave out the empty line
    /// after the last event.
    pub(super) fn end(&mut self) -> Result<Option<String>, Failure> {
        let event = self.end_line()?;
        Ok(event.or_else(|| self.data.take()))
    }

    fn end_line(&mut self) -> Result<Option<String>, Failure> {
        let line = std::mem::take(&mut self.line);
        let Ok(line) = std::str::from_utf8(&line) else {
            return Err(strange("is no UTF-8", &line));
        };
        let line = line.trim_start_matches('\u{feff}');
        if line.is_empty() {
            return Ok(self.data.take());
        }
        // A line that begins with a colon is a comment, which keeps the
        // connection alive.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nevent: a\ndata: {\"ä\":\r\ndata:\"🦀\"}\n\n\
        id: 1\rretry: 5\r\rdata\n\nnothing\n\ndata: [DONE]";

    fn read_in_pieces(size: usize) -> Vec<String> {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in STREAM.as_bytes().chunks(size) {
            events.extend(reader.read(piece).unwrap());
        }
        events.extend(reader.end().unwrap());
        events
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        for size in 1..=STREAM.len() {
            assert_eq!(read_in_pieces(size), ["{\"ä\":\n\"🦀\"}", "", "[DONE]"], "{size}");
        }
    }

    #[test]
    fn lines_are_bounded_and_have_to_be_utf_8() {
        let mut reader = EventReader::default();
        assert!(reader.read(&vec![b'x'; LONGEST_LINE]).unwrap().is_empty());
        assert_eq!(reader.read(b"x").unwrap_err().remedy, Remedy::GiveUp);
        let failure = EventReader::default().read(b"data: \xff\xfe\n").unwrap_err();
        assert_eq!(failure.remedy, Remedy::Retry);
        assert!(failure.what.contains("UTF-8"), "{}", failure.what);
    }
}
