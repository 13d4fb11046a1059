//! What became of one task: a pure fold over its run's events.

use serde::{Deserialize, Serialize};

use super::{Event, Recorded};

/// A task's attempts and commits, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskHistory {
    /// The task's id.
    pub task: String,
    /// Its attempts.
    pub attempts: Vec<AttemptView>,
    /// What landed.
    pub commits: Vec<LandedCommit>,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Counts from 1; an attempt that does not count leaves its number to the
    /// next one.
    pub attempt: u32,
    /// The worker's slot.
    pub slot: String,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How it ended.
    pub end: AttemptEnd,
    /// Why it failed.
    pub error: Option<String>,
    /// How often a merger was asked, oldest first.
    #[serde(default)]
    pub merges: Vec<MergeView>,
}

/// A merger that was asked when a finished task collided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeView {
    /// When it began.
    pub started_at: String,
    /// Where the two sides collided.
    pub files: Vec<String>,
    /// Whether what it left completed the task.
    pub merged: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptEnd {
    /// It has not.
    InProgress,
    /// The task is done.
    Completed,
    /// It came to nothing.
    Failed,
    /// Its host ended first: it does not count.
    Returned,
}

/// A commit of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandedCommit {
    /// Its id.
    pub commit: String,
    /// When it landed.
    pub landed_at: String,
}

impl TaskHistory {
    /// The history of `task` before its first event.
    pub fn new(task: impl Into<String>) -> Self {
        Self { task: task.into(), ..Self::default() }
    }

    /// Takes the run's next event in; those of other tasks change nothing.
    pub fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::AttemptStarted { task, attempt, slot, .. } if *task == self.task => {
                self.attempts.push(AttemptView {
                    attempt: *attempt,
                    slot: slot.clone(),
                    started_at: recorded.time.clone(),
                    ended_at: None,
                    end: AttemptEnd::InProgress,
                    error: None,
                    merges: Vec::new(),
                });
            }
            Event::MergeTried { task, files } if *task == self.task => {
                let Some(attempt) = self.attempts.last_mut() else { return };
                let (started_at, files) = (recorded.time.clone(), files.clone());
                attempt.merges.push(MergeView { started_at, files, merged: false });
            }
            Event::Merged { task, .. } if *task == self.task => {
                let last = self.attempts.last_mut().and_then(|last| last.merges.last_mut());
                if let Some(merge) = last {
                    merge.merged = true;
                }
            }
            Event::Landed { task, commit } if *task == self.task => {
                self.commits.push(LandedCommit {
                    commit: commit.clone(),
                    landed_at: recorded.time.clone(),
                });
            }
            Event::TaskReturned { task, .. } => {
                self.end(task, recorded, AttemptEnd::Returned, None)
            }
            Event::TaskCompleted { task, .. } => {
                self.end(task, recorded, AttemptEnd::Completed, None);
            }
            Event::AttemptFailed { task, error, .. } => {
                self.end(task, recorded, AttemptEnd::Failed, Some(error));
            }
            _ => {}
        }
    }

    fn end(&mut self, task: &str, recorded: &Recorded, end: AttemptEnd, error: Option<&String>) {
        if task != self.task {
            return;
        }
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.end = end;
            attempt.ended_at = Some(recorded.time.clone());
            attempt.error = error.cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_and_a_failed_attempt_come_before_the_one_that_lands() {
        let (task, title) = (|| "t1".to_owned(), || "Write".to_owned());
        let started = |attempt, slot: &str| Event::AttemptStarted {
            task: task(),
            title: title(),
            attempt,
            slot: slot.into(),
            planner: "p1".into(),
        };
        let events = [
            started(1, "worker-1"),
            Event::TaskReturned { task: task(), title: title() },
            started(1, "worker-2"),
            Event::AttemptFailed {
                task: task(),
                title: title(),
                attempt: 1,
                error: "it collided".into(),
                again: true,
            },
            Event::Landed { task: "another".into(), commit: "c0".into() },
            Event::TaskReturned { task: "another".into(), title: title() },
            started(2, "worker-1"),
            Event::Landed { task: task(), commit: "c1".into() },
        ];
        let mut history = TaskHistory::new("t1");
        for (at, event) in events.into_iter().enumerate() {
            let (time, run, who) = (format!("time {at}"), "r1".to_owned(), "host".to_owned());
            history.apply(&Recorded { sequence: 0, time, run, who, event });
        }
        let seen: Vec<_> = history
            .attempts
            .iter()
            .map(|one| (one.attempt, one.slot.as_str(), one.end, one.ended_at.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                (1, "worker-1", AttemptEnd::Returned, Some("time 1")),
                (1, "worker-2", AttemptEnd::Failed, Some("time 3")),
                (2, "worker-1", AttemptEnd::InProgress, None),
            ]
        );
        assert_eq!(history.attempts[1].error.as_deref(), Some("it collided"));
        let landed = LandedCommit { commit: "c1".into(), landed_at: "time 7".into() };
        assert_eq!(history.commits, [landed]);
    }
}
