//! The transcript's side of a role's call and of a conversation in it: what is
//! said is written down and, in a replay, compared with what was recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::difference::{difference, opening_lines, said_lines};
use super::schedule::{RecordedCall, RecordedTalk, Step};
use super::{About, Entry, Journal, Place, Replay, Said, Turn};
use crate::types::{CallError, CheckResult, Reply, ToolSpec};
use crate::{Error, Result};

/// A role's call.
#[derive(Debug, Default)]
pub struct CallTranscript {
    journal: Journal,
    number: u64,
    conversations: AtomicU32,
    landings: AtomicUsize,
    over: AtomicBool,
    replayed: Option<ReplayedCall>,
}

#[derive(Clone, Debug)]
struct ReplayedCall {
    replay: Arc<Replay>,
    recorded: Arc<RecordedCall>,
}

impl CallTranscript {
    pub(super) fn begin(journal: &Journal, about: About) -> Self {
        let replayed = journal
            .replay
            .as_ref()
            .map(|replay| ReplayedCall { replay: replay.clone(), recorded: replay.call(&about) });
        let number = journal.recorder.as_ref().map_or(0, |recorder| recorder.next_call());
        journal.write(Entry::Call { call: number, about });
        Self { journal: journal.clone(), number, replayed, ..Self::default() }
    }

    /// Opens a conversation.
    pub fn open(&self) -> Talk {
        let conversation = self.conversations.fetch_add(1, Ordering::Relaxed) + 1;
        Talk {
            journal: self.journal.clone(),
            place: Place { call: self.number, conversation },
            replayed: self.replayed.clone().map(|ReplayedCall { replay, recorded }| ReplayedTalk {
                replay,
                recorded,
                conversation,
                next: 0,
                differs: None,
            }),
        }
    }

    /// The call has ended by itself, well or not.
    pub fn ended(&self, error: Option<&str>) {
        self.over.store(true, Ordering::Relaxed);
        self.journal.write(Entry::Ended { call: self.number, error: error.map(ToOwned::to_owned) });
        if let Some(ReplayedCall { replay, recorded }) = &self.replayed
            && recorded.ended
        {
            replay.call_ended();
        }
    }

    /// In a replay, waits for the turn of the call's next landing.
    pub async fn landing(&self) -> Result<Option<Turn>> {
        let Some(ReplayedCall { replay, recorded }) = &self.replayed else { return Ok(None) };
        let number = self.landings.fetch_add(1, Ordering::Relaxed);
        let ended = self.over.load(Ordering::Relaxed);
        replay.landing(recorded, number, ended).await.map(Some)
    }

    /// The user's check is red on what the call would have landed.
    pub fn red(&self, check: &CheckResult) {
        self.journal.write(Entry::Red { call: self.number, check: check.clone() });
    }

    /// The call's changes are about to land.
    pub fn lands(&self, landing: &str, author_time: i64, model: Option<&str>) {
        let (call, landing) = (self.number, landing.to_owned());
        let model = model.map(str::to_owned);
        self.journal.write(Entry::Landing { call, landing, author_time, model });
    }

    /// What keeps the transcript or the replay from going on.
    pub fn broken(&self) -> Option<Error> {
        self.journal.broken()
    }
}

/// A conversation's transcript. The default writes nothing and replays nothing.
#[derive(Debug, Default)]
pub struct Talk {
    journal: Journal,
    place: Place,
    replayed: Option<ReplayedTalk>,
}

#[derive(Debug)]
struct ReplayedTalk {
    replay: Arc<Replay>,
    recorded: Arc<RecordedCall>,
    conversation: u32,
    /// The recorded step that comes next.
    next: usize,
    /// What is not as it was recorded.
    differs: Option<String>,
}

/// How the model was asked, beside what it is told.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its name.
    pub model: &'a str,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<u32>,
    /// How varied the answers are.
    pub temperature: Option<f32>,
}

impl Talk {
    /// The conversation was opened with this.
    pub fn opened(&mut self, asked: Asked<'_>, system: &str, tools: &[ToolSpec]) {
        if let Some(replayed) = &mut self.replayed {
            replayed.compare_opening(system, tools);
        }
        self.journal.write(Entry::Opened {
            place: self.place,
            model: asked.model.to_owned(),
            system: system.to_owned(),
            tools: tools.to_vec(),
            max_output_tokens: asked.max_output_tokens,
            temperature: asked.temperature,
        });
    }

    /// This was added to the conversation.
    pub fn said(&mut self, said: Said) {
        if let Some(replayed) = &mut self.replayed {
            replayed.compare(&said);
        }
        self.journal.write(Entry::Said { place: self.place, said });
    }

    /// The recorded answer to what was said. An error without a `CallError`
    /// stops the replay.
    pub async fn recorded_reply(&mut self) -> Result<Result<Reply, CallError>> {
        match &mut self.replayed {
            Some(replayed) => replayed.reply().await,
            None => Err(Error::failed("there is no recording to answer from; please report it")),
        }
    }

    /// The model was asked, and this came of it.
    pub fn asked(&self, took: Duration, outcome: &Result<Reply, CallError>) {
        let place = self.place;
        self.journal.write(match outcome {
            Ok(reply) => {
                let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                Entry::Reply { place, milliseconds, reply: reply.clone() }
            }
            Err(error) => Entry::NoReply { place, error: error.clone() },
        });
    }
}

impl ReplayedTalk {
    fn recorded(&self) -> Option<&RecordedTalk> {
        self.recorded.conversations.get(&self.conversation)
    }

    fn compare_opening(&mut self, system: &str, tools: &[ToolSpec]) {
        let Some(recorded) = self.recorded() else { return };
        if recorded.system != system || recorded.tools != tools {
            let was = opening_lines(&recorded.system, &recorded.tools);
            self.differs = Some(difference(&was, &opening_lines(system, tools)));
        }
    }

    fn compare(&mut self, said: &Said) {
        if self.differs.is_some() {
            return;
        }
        let step = self.recorded().and_then(|talk| talk.steps.get(self.next));
        self.differs = match step {
            // Past the end there is nothing to compare with.
            None => None,
            Some(Step::Said(recorded)) if recorded == said => None,
            Some(Step::Said(recorded)) => {
                Some(difference(&said_lines(recorded), &said_lines(said)))
            }
            Some(Step::Reply(_) | Step::NoReply(_)) => Some(difference("", &said_lines(said))),
        };
        self.next += 1;
    }

    async fn reply(&mut self) -> Result<Result<Reply, CallError>> {
        if let Some(differs) = &self.differs {
            let what = format!("this request is not in it:\n{differs}");
            return Err(self.replay.diverged(&what));
        }
        let step = self.recorded().and_then(|talk| talk.steps.get(self.next));
        let answer = match step {
            Some(Step::Reply(reply)) => Ok(reply.clone()),
            Some(Step::NoReply(error)) => Err(error.clone()),
            Some(Step::Said(recorded)) => {
                let missing = difference(&said_lines(recorded), "");
                let what = format!("this request is not in it; more was said before:\n{missing}");
                return Err(self.replay.diverged(&what));
            }
            None if self.recorded.ended => {
                let what = "the call asks for an answer more than it did";
                return Err(self.replay.diverged(what));
            }
            None => return Err(self.replay.end().await),
        };
        self.next += 1;
        Ok(answer)
    }
}
