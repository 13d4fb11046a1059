//! What was said and decided in a run, as JSON lines: written as it happens
//! (`recorder`), read again (`reader`), shown to people by `cli/` and played
//! back (`replay`, with `schedule` for what of a recording counts and
//! `difference` for what does not fit). Owns the lines' form; what models and
//! the queue do is theirs.
//!
//! A request is not written whole each time: it is what its conversation holds
//! up to there. So a transcript grows with what is said, not with its square.

mod difference;
mod reader;
mod recorder;
mod replay;
mod schedule;
mod talk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use reader::Lines;
pub use recorder::Recorder;
pub use replay::{LandingTurn, Replay, Turn};
pub use talk::{Asked, CallTranscript, Talk};

use crate::Result;
use crate::clock::Clock;
use crate::plugin::folder::Contents;
use crate::types::{CallError, CheckResult, Reply, Role, ToolResult, ToolSpec};

/// The name of a run's transcript in its folder.
pub const FILE_NAME: &str = "transcript.jsonl";

/// Where the transcript of a run lies whose database is in `folder`.
pub fn path(folder: &Path, run: &str) -> PathBuf {
    folder.join("runs").join(run).join(FILE_NAME)
}

/// What the calls were last made with, as this transcript says; none where it says
/// nothing of it, or is not there.
pub fn last_plugins(path: &Path) -> Result<Option<Contents>> {
    let mut last = None;
    if !path.exists() {
        return Ok(last);
    }
    for line in Lines::open(path)? {
        if let Entry::Plugins(contents) = line?.entry {
            last = Some(contents);
        }
    }
    Ok(last)
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When it was written: RFC 3339, UTC.
    pub time: String,
    /// What it tells.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Entry {
    /// A host took the run up: its first one, or one that goes on with it.
    Host(Host),
    /// What the plugins folder holds that the calls from here on are made with.
    Plugins(Contents),
    /// These ids were given to what `of` made: a planner's tasks, then its
    /// sub-planners, in their order; or the main planner of `cycle-N`.
    Ids {
        /// The planner's id, or the cycle.
        of: String,
        /// The ids.
        ids: Vec<String>,
    },
    /// A role's call began.
    Call {
        /// Its number; unique in the transcript.
        call: u64,
        /// What it is about.
        #[serde(flatten)]
        about: About,
    },
    /// A role's call ended by itself. What has no such line was cut off.
    Ended {
        /// The call.
        call: u64,
        /// Why it came to nothing, if it did.
        error: Option<String>,
    },
    /// A call opened a conversation.
    Opened {
        /// Whose it is.
        #[serde(flatten)]
        place: Place,
        /// The model's name.
        model: String,
        /// What the model is told before everything else.
        system: String,
        /// What it is offered.
        tools: Vec<ToolSpec>,
        /// The most tokens of an answer.
        max_output_tokens: Option<u32>,
        /// How varied the answers are.
        temperature: Option<f32>,
    },
    /// Something was added to a conversation.
    Said {
        /// Whose it is.
        #[serde(flatten)]
        place: Place,
        /// What was added.
        said: Said,
    },
    /// The model was asked, and this is what it said.
    Reply {
        /// Whose conversation it is.
        #[serde(flatten)]
        place: Place,
        /// How long that took, waits for another try included.
        milliseconds: u64,
        /// What it said.
        #[serde(flatten)]
        reply: Reply,
    },
    /// The model was asked, and there was no answer to be had.
    NoReply {
        /// Whose conversation it is.
        #[serde(flatten)]
        place: Place,
        /// Why.
        error: CallError,
    },
    /// A worker's changes are about to land.
    Landing {
        /// The worker's call.
        call: u64,
        /// The landing's id.
        landing: String,
        /// What dates the commit: seconds since 1970-01-01 UTC.
        author_time: i64,
        /// The worker's model, which the commit names.
        #[serde(default)]
        model: Option<String>,
    },
    /// The user's check was red on what would have landed, so that it did not.
    Red {
        /// The worker's call.
        call: u64,
        /// What the check said.
        check: CheckResult,
    },
    /// A landing came to an end, in the order in which they did.
    Landed {
        /// The landing's id.
        landing: String,
        /// The commit; none where nothing landed.
        commit: Option<String>,
        /// Whether its worker had lost its lease.
        #[serde(default)]
        late: bool,
    },
}

/// How the host's side of a run was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The run's id.
    pub run: String,
    /// What the user asked for.
    pub goal: String,
    /// The commit that the run began with.
    pub base: String,
    /// How many cycles the run may have.
    pub max_cycles: u32,
    /// How many workers work at once.
    pub max_workers: u32,
}

/// What a role's call is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Its name: a slot, a planner's id, or `judge`.
    pub agent: String,
    /// The role.
    pub role: Role,
    /// The planner or task that it is about; none for the judge.
    pub subject: Option<String>,
    /// The cycle's number.
    pub cycle: u32,
    /// A worker's attempt at its task; 0 for others.
    pub attempt: u32,
    /// The commit that a worker's checkout stands on.
    pub base: Option<String>,
}

/// A conversation's place in the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The call that opened it.
    pub call: u64,
    /// Counts the call's conversations from 1.
    pub conversation: u32,
}

/// What is added to a conversation from this side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The user's words.
    Text(String),
    /// What tools said.
    Results(Vec<ToolResult>),
    /// Old results were emptied, but for those of so many replies.
    Elided(u32),
}

/// What a run is recorded in, and what it is played back from if it is. The
/// default does neither.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    recorder: Option<Arc<Recorder>>,
    replay: Option<Arc<Replay>>,
}

impl Journal {
    /// A run's journal.
    pub fn new(recorder: Recorder, replay: Option<Arc<Replay>>) -> Self {
        Self { recorder: Some(Arc::new(recorder)), replay }
    }

    /// What the run is played back from.
    pub fn replay(&self) -> Option<&Arc<Replay>> {
        self.replay.as_ref()
    }

    /// Writes a line.
    pub fn write(&self, entry: Entry) {
        if let Some(recorder) = &self.recorder {
            recorder.write(entry);
        }
    }

    /// Ids for what `of` makes: new ones, or the recorded ones.
    pub fn ids(&self, of: &str, count: usize, clock: &Clock) -> Vec<String> {
        let recorded = self.replay.as_ref().and_then(|replay| replay.ids(of, count));
        let ids = recorded.unwrap_or_else(|| (0..count).map(|_| clock.id()).collect());
        self.write(Entry::Ids { of: of.to_owned(), ids: ids.clone() });
        ids
    }

    /// Begins a role's call.
    pub fn call(&self, about: About) -> CallTranscript {
        CallTranscript::begin(self, about)
    }

    /// What keeps lines from being written, if something does.
    pub fn broken(&self) -> Option<crate::Error> {
        self.recorder.as_ref().and_then(|recorder| recorder.broken())
    }
}
