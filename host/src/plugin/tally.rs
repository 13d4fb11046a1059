//! Counts what the host writes down for plugins in one agent's call: in transcripts,
//! files and logs. A tool that the agent calls has a Store of its own each time, so
//! that counts of a Store would start anew as often as it is called; here each plugin
//! has its own, so that one that logs too much ends its calls alone and not its
//! caller's. How many plugins there are the user says.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wasmtime::Result;

use super::meter::within;

/// Bytes that go into transcripts and files: what keeps a component
/// from filling the disk. One file has at most 10 MiB.
const MAX_HANDED_OVER: usize = 1 << 30;
/// Log lines that are kept; more are dropped.
const KEPT_LOG_LINES: u32 = 1000;
/// Bytes of log lines, the dropped ones included.
const MAX_LOGGED: usize = 16 << 20;
/// What a line counts for at least: 16 MiB hold some 130,000 short ones.
const LEAST_LOGGED: usize = 128;

/// What all plugins have had written down.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, Written>>);

/// What one of them has.
#[derive(Debug, Default)]
struct Written {
    handed_over: usize,
    log_lines: u32,
    logged: usize,
}

/// What becomes of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLine {
    Kept,
    /// The first one of those that are dropped.
    FirstDropped,
    Dropped,
}

impl Tally {
    /// So many bytes are about to be written down for this plugin.
    pub(super) fn hand_over(&self, plugin: &str, bytes: usize) -> Result<()> {
        self.of(plugin, |written| {
            written.handed_over = written.handed_over.saturating_add(bytes);
            within(written.handed_over <= MAX_HANDED_OVER, || {
                format!(
                    "it handed over more than {} MiB in one call of its agent",
                    MAX_HANDED_OVER >> 20
                )
            })
        })
    }

    /// A line of so many bytes is to be logged for it.
    pub(super) fn log(&self, plugin: &str, bytes: usize) -> Result<LogLine> {
        self.of(plugin, |written| written.log(bytes))
    }

    fn of<T>(&self, plugin: &str, count: impl FnOnce(&mut Written) -> T) -> T {
        // What a panic elsewhere leaves are numbers.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(plugin) {
            Some(written) => count(written),
            None => count(all.entry(plugin.to_owned()).or_default()),
        }
    }
}

impl Written {
    fn log(&mut self, bytes: usize) -> Result<LogLine> {
        self.log_lines = self.log_lines.saturating_add(1);
        self.logged = self.logged.saturating_add(bytes.max(LEAST_LOGGED));
        within(self.logged <= MAX_LOGGED, || {
            format!(
                "it logged more than {} MiB in one call of its agent, {} lines (each counts \
                 {LEAST_LOGGED} bytes at least)",
                MAX_LOGGED >> 20,
                self.log_lines
            )
        })?;
        Ok(match self.log_lines.cmp(&KEPT_LOG_LINES) {
            std::cmp::Ordering::Less => LogLine::Kept,
            std::cmp::Ordering::Equal => LogLine::FirstDropped,
            std::cmp::Ordering::Greater => LogLine::Dropped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_dropped_before_they_end_the_call() {
        let tally = Tally::default();
        let kept = (0..2000).filter(|_| tally.log("a", 10).unwrap() == LogLine::Kept).count();
        assert_eq!(kept, 999);
        assert_eq!(tally.log("a", 1 << 20).unwrap(), LogLine::Dropped);
        let error = tally.log("a", 16 << 20).unwrap_err().to_string();
        assert!(error.contains("logged more than 16 MiB"), "{error}");
    }

    #[test]
    fn what_is_handed_over_is_summed_up() {
        let tally = Tally::default();
        let pieces = (0..1000).take_while(|_| tally.hand_over("a", 10 << 20).is_ok()).count();
        assert_eq!(pieces, 102);
    }

    #[test]
    fn what_one_plugin_uses_up_the_others_still_have() {
        let tally = Tally::default();
        assert!(tally.log("a", 17 << 20).is_err() && tally.hand_over("a", 2 << 30).is_err());
        assert!(tally.log("a", 1).is_err() && tally.hand_over("a", 1).is_err());
        assert_eq!(tally.log("b", 1).unwrap(), LogLine::Kept);
        assert!(tally.hand_over("b", 1).is_ok());
    }
}
