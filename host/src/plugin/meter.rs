//! Counts what a component makes the host do in one call, where wasmtime does
//! not count: computing time, calls, conversations. What is written down for it, in
//! all its calls for one agent, is the tally's. Whoever goes over a limit ends its
//! call with a sentence that says so.

use wasmtime::{Error, Result};

use super::limits::TICK_MILLISECONDS;

/// Calls to the host. Each starts the computing time anew, so that without a
/// bound a loop of cheap ones would never end; a role makes some hundreds.
const MAX_CALLS: u32 = 1_000_000;
/// Conversations that are open at once; each may hold some 16 MiB.
const MAX_CONVERSATIONS: u32 = 8;

/// What has been used so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Epochs since the last call to the host.
    ticks: u32,
    calls: u32,
    conversations: u32,
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

/// Nothing, or the error that ends the call.
pub(super) fn within(is_within: bool, sentence: impl FnOnce() -> String) -> Result<()> {
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
    fn a_closed_conversation_makes_room_for_another() {
        let mut meter = Meter::default();
        for _ in 0..100 {
            meter.conversation_opens().unwrap();
            meter.conversation_closed();
        }
        let opened = (0..100).take_while(|_| meter.conversation_opens().is_ok()).count();
        assert_eq!(opened, 8);
    }
}
