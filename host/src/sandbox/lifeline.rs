//! What host and helper have of each other: a pair of sockets. It closes when
//! the host lets go, also by its death, and by it alone the helper says what went
//! wrong: what a command prints is the command's, whatever it looks like.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

/// The most that the helper says, in bytes.
const MOST_SAID: u64 = 16 * 1024;
/// How long whoever listens waits, after the helper's end, for what it said.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the helper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// The walls stand, and the command is next.
    Began,
    /// The walls could not be built: why.
    NotBuilt(String),
    /// The command was stopped: why.
    Stopped(String),
}

/// One end.
#[derive(Debug)]
pub(super) struct Lifeline(UnixStream);

impl Lifeline {
    /// The host's end, and the helper's standard input.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (host, helper) = UnixStream::pair()?;
        host.set_read_timeout(Some(PATIENCE))?;
        Ok((Self(host), helper.into()))
    }

    /// The helper's end. Its standard input is nothing afterwards, and what it
    /// starts holds none of this.
    pub(super) fn inherited() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Fails on anything but a socket.
        stream.peer_addr()?;
        let nothing = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        rustix::stdio::dup2_stdin(&nothing)?;
        Ok(Self(stream))
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Waits until the host lets go, at most this long; whether it still holds.
    pub(super) fn holds(&self, time: Duration) -> bool {
        let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let mut watched = [PollFd::new(&self.0, PollFlags::IN)];
        // The host says nothing: what can be read is the end.
        !matches!(poll(&mut watched, Some(&time)), Ok(ready) if ready > 0)
    }

    pub(super) fn say(&self, word: &Word) {
        // Where the host is gone, nobody listens.
        let _ = serde_json::to_string(word).map(|word| (&self.0).write_all(word.as_bytes()));
    }

    /// Lets go of the helper, which ends everything and itself last.
    pub(super) fn let_go(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// What the helper has said, once it has ended.
    pub(super) fn words(&self) -> Vec<Word> {
        let mut said = Vec::new();
        // The end may be missing where somebody still holds the other side.
        let _ = (&self.0).take(MOST_SAID).read_to_end(&mut said);
        serde_json::Deserializer::from_slice(&said).into_iter().map_while(Result::ok).collect()
    }
}
