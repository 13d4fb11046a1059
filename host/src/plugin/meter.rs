//! Counts what a component makes the host do in one call, where wasmtime does
//! not count: computing time, calls, what the host writes down for it, log
//! lines. Whoever goes over a limit ends its call with a sentence that says so.

use wasmtime::{Error, Result};

use super::limits::TICK_MILLISECONDS;

/// Calls to the host. Each starts the computing time anew, so that without a
/// bound a loop of cheap ones would never end; a role makes some hundreds.
const MAX_CALLS: u32 = 1_000_000;
/// Bytes that go into transcripts and files: what keeps a component
/// from filling the disk. One file has at most 10 MiB.
const MAX_HANDED_OVER: usize = 1 << 30;
/// Log lines that are kept; more are dropped.
const KEPT_LOG_LINES: u32 = 1000;
/// Bytes of log lines, the dropped ones included.
const MAX_LOGGED: usize = 16 << 20;
/// What a line counts for at least: 16 MiB hold some 130,000 short ones.
const LEAST_LOGGED: usize = 128;
/// Conversations that are open at once; each may hold some 16 MiB.
const MAX_CONVERSATIONS: u32 = 8;

/// What has been used so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Epochs since the last call to the host.
    ticks: u32,
    calls: u32,
    handed_over: usize,
    log_lines: u32,
    logged: usize,
    conversations: u32,
}

/// What becomes of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLine {
    Kept,
    /// The first one of those that are dropped.
    FirstDropped,
    Dropped,
}

impl Meter {
    /// A call to the host begins: the computing time counts anew.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.ticks = 0;
        self.calls = self.calls.saturating_add(1);
        within(self.calls <= MAX_CALLS, || {
            format!("it called the host more than {MAX_CALLS} times")
        })
    }

    /// An epoch of computing has passed.
    pub(super) fn tick(&mut self, limit_milliseconds: u32) -> Result<()> {
        self.ticks = self.ticks.saturating_add(1);
        let computed = self.ticks.saturating_mul(TICK_MILLISECONDS);
        within(computed <= limit_milliseconds, || {
            format!(
                "it computed for more than {limit_milliseconds} ms without a call to the host \
                 (limits.compute-milliseconds in plugins.toml)"
            )
        })
    }

    /// So many bytes are about to be written down for the component.
    pub(super) fn hand_over(&mut self, bytes: usize) -> Result<()> {
        self.handed_over = self.handed_over.saturating_add(bytes);
        within(self.handed_over <= MAX_HANDED_OVER, || {
            format!("it handed over more than {} MiB in one call", MAX_HANDED_OVER >> 20)
        })
    }

    /// A line of so many bytes is to be logged.
    pub(super) fn log(&mut self, bytes: usize) -> Result<LogLine> {
        self.log_lines = self.log_lines.saturating_add(1);
        self.logged = self.logged.saturating_add(bytes.max(LEAST_LOGGED));
        within(self.logged <= MAX_LOGGED, || {
            format!(
                "it logged more than {} MiB, {} lines (each counts {LEAST_LOGGED} bytes at least)",
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

    /// A conversation is about to be opened.
    pub(super) fn conversation_opens(&mut self) -> Result<()> {
        within(self.conversations < MAX_CONVERSATIONS, || {
            format!("it asked for more than {MAX_CONVERSATIONS} conversations at once")
        })?;
        self.conversations += 1;
        Ok(())
    }

    /// One was closed, or could not be opened.
    pub(super) fn conversation_closed(&mut self) {
        self.conversations = self.conversations.saturating_sub(1);
    }
}

fn within(is_within: bool, sentence: impl FnOnce() -> String) -> Result<()> {
    if is_within { Ok(()) } else { Err(Error::msg(sentence())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_to_the_host_starts_the_computing_time_anew() {
        let mut meter = Meter::default();
        for _ in 0..3 {
            assert!(meter.tick(20).is_ok() && meter.tick(20).is_ok());
            meter.enter().unwrap();
        }
        assert!(meter.tick(20).is_ok() && meter.tick(20).is_ok());
        assert!(meter.tick(20).unwrap_err().to_string().contains("more than 20 ms"));
    }

    #[test]
    fn log_lines_are_dropped_before_they_end_the_call() {
        let mut meter = Meter::default();
        let kept = (0..2000).filter(|_| meter.log(10).unwrap() == LogLine::Kept).count();
        assert_eq!(kept, 999);
        assert_eq!(meter.log(1 << 20).unwrap(), LogLine::Dropped);
        let error = meter.log(16 << 20).unwrap_err().to_string();
        assert!(error.contains("logged more than 16 MiB"), "{error}");
    }

    #[test]
    fn a_closed_conversation_makes_room_for_another() {
        let mut meter = Meter::default();
        for _ in 0..100 {
            meter.conversation_opens().unwrap();
            meter.conversation_closed();
        }
        let opened = (0..100).take_while(|_| meter.conversation_opens().is_ok()).count();
        assert_eq!(opened, 8);
    }

    #[test]
    fn what_is_handed_over_is_summed_up() {
        let mut meter = Meter::default();
        let pieces = (0..1000).take_while(|_| meter.hand_over(10 << 20).is_ok()).count();
        assert_eq!(pieces, 102);
    }
}
