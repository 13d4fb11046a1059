//! A worker hands in what it has done: in the middle of its task or at its end.
//! Owns what the worker is told of what can't land or stays out, and what the
//! judge is told of it; collecting and landing is `landing`'s business.

use std::collections::HashSet;

use super::{Agent, ClaimLanding, FilePaths, NotLanded};
use crate::Setback;
use crate::events::Event;
use crate::queue::Store;
use crate::repo::{Landed, LeftOut, Why};
use crate::types::{CallError, Report, TaskOutcome};

/// What a note of the host's begins with, among a worker's. No note of a worker's
/// does.
const HOST_NOTE: &str = "host: ";

/// So many names are told; the rest is a number.
const MOST_TOLD: usize = 50;
/// The same in a note.
const MOST_NOTED: usize = 10;
/// So many files outside of a task's file_paths are named.
const MOST_OUTSIDE: usize = 20;

impl Agent {
    /// Looks whether what is in the checkout can land. New files that `include`
    /// names belong to the work from now on; returns those that stay out.
    pub async fn prepare(&self, include: &[String]) -> Result<Vec<String>, CallError> {
        let landing = self.own_landing()?;
        landing.scope.include(include)?;
        match landing.collect(&self.slot.checkout).await {
            Ok(changes) => Ok(told(&changes.left_out, MOST_TOLD)),
            Err(NotLanded::Refused(why)) => Err(CallError::Invalid(why)),
            Err(other) => Err(CallError::Unavailable(reason(&other.into_setback()))),
        }
    }

    /// Lands what is in the checkout now; returns the commit, and what stayed out
    /// and is still there. A conflict ends the attempt, for the checkout can't be
    /// brought up to date under the component's feet.
    pub async fn commit_and_land(
        &self,
        message: &str,
        include: &[String],
    ) -> Result<(String, Vec<String>), CallError> {
        let landing = self.own_landing()?;
        landing.scope.include(include)?;
        let (left_out, landed) = match landing.collect(&self.slot.checkout).await {
            Ok(changes) => {
                let left_out = changes.left_out.clone();
                (left_out, landing.land(&self.slot.checkout, changes, message, None).await)
            }
            Err(not_landed) => (Vec::new(), Err(not_landed)),
        };
        match landed {
            Ok(Some(Landed { commit, .. })) => {
                let tip = commit.clone();
                self.in_checkout(move |checkout| {
                    checkout.follow(&tip).map_err(|error| CallError::Unavailable(error.to_string()))
                })
                .await?;
                Ok((commit, told(&left_out, MOST_TOLD)))
            }
            Ok(None) if left_out.is_empty() => {
                Err(CallError::Invalid("there is nothing to commit: no file has changed".into()))
            }
            Ok(None) => Err(CallError::Invalid(format!(
                "there is nothing to commit but new files that can't land, for {}: {}. Name those that \
                 belong to the work with `include_files`; what a .gitignore names lands nowhere",
                reasons(&left_out),
                told(&left_out, MOST_TOLD).join(", ")
            ))),
            Err(NotLanded::Refused(why)) => Err(CallError::Invalid(why)),
            Err(NotLanded::Red(check)) => Err(CallError::Invalid(format!(
                "the check `{}` is red on what would land, so nothing has landed. Mend it and \
                 commit again:\n{}",
                check.command_line, check.output
            ))),
            Err(not_landed) => {
                let setback = not_landed.into_setback();
                let why = reason(&setback);
                // The first one counts; there is none after it.
                let _ = self.setback.set(setback);
                Err(CallError::Conflict(format!("{why}. This attempt ends here")))
            }
        }
    }

    /// Lands what a worker left when it reported success, with the message that is
    /// made of its report. The report comes back with the host's notes in it.
    pub async fn hand_in(
        &self,
        mut report: Report,
        message: impl FnOnce(&Report) -> String,
    ) -> Result<(Report, Option<Landed>), NotLanded> {
        let landing = self.own_landing().map_err(|error| Setback::Attempt(error.to_string()))?;
        let changes = landing.collect(&self.slot.checkout).await?;
        for note in &mut report.notes {
            if note.trim_start().starts_with(HOST_NOTE.trim_end()) {
                note.insert_str(0, "worker: ");
            }
        }
        let left_out = changes.left_out.clone();
        if !left_out.is_empty() {
            report.notes.push(note(&left_out));
        }
        let text = message(&report);
        let landed = landing.land(&self.slot.checkout, changes, &text, Some(&report)).await?;
        if !left_out.is_empty() {
            let event = Event::LeftOut {
                task: landing.claim.task.id.clone(),
                files: count(&left_out),
                names: told(&left_out, MOST_NOTED),
            };
            let recorded = self.account.store.record(&self.name, event).await;
            recorded.map_err(Setback::Stop)?;
        }
        Ok((report, landed))
    }

    fn own_landing(&self) -> Result<&ClaimLanding, CallError> {
        let nobody = || CallError::Denied(format!("the role {} lands nothing", self.role));
        self.landing.as_ref().ok_or_else(nobody)
    }
}

/// Tells the judge which of the files that landed the planner did not name.
pub fn note_outside(outcome: &mut TaskOutcome) {
    let file_paths = FilePaths::of(&outcome.draft);
    let outside = file_paths.outside(&outcome.changed_files);
    if outside.is_empty() {
        return;
    }
    let names: Vec<String> =
        outside.iter().take(MOST_OUTSIDE).map(|file| format!("`{file}`")).collect();
    let more = match outside.len().saturating_sub(MOST_OUTSIDE) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    outcome.notes.push(format!(
        "{HOST_NOTE}{} of the files that landed are outside of the task's file_paths: {}{more}",
        outside.len(),
        names.join(", ")
    ));
}

/// Tells the judge what of the task is not there any more: a task that was done
/// stays done, whatever became of its commits.
pub fn note_lost(outcome: &mut TaskOutcome, lost: &HashSet<String>) {
    let lost: Vec<&str> = outcome
        .commits
        .iter()
        .map(String::as_str)
        .filter(|commit| lost.contains(*commit))
        .collect();
    if !lost.is_empty() {
        outcome.notes.push(format!(
            "{HOST_NOTE}what it landed as {} is no longer on the branch: it was rolled back or taken \
             back",
            lost.join(", ")
        ));
    }
}

fn note(left_out: &[LeftOut]) -> String {
    format!(
        "{HOST_NOTE}{} new files were left out of the commit, for {}: {}",
        count(left_out),
        reasons(left_out),
        told(left_out, MOST_NOTED).join(", ")
    )
}

/// What keeps these files out, as far as the list itself does not say it.
fn reasons(left_out: &[LeftOut]) -> &'static str {
    let is_unwanted = |one: &LeftOut| one.why == Why::Unwanted;
    match (left_out.iter().any(is_unwanted), left_out.iter().all(is_unwanted)) {
        (_, true) => "no tool wrote them and nobody named them",
        (true, false) => "no tool wrote them and nobody named them, or as it stands there",
        (false, false) => "the reason that stands there",
    }
}

fn count(left_out: &[LeftOut]) -> usize {
    left_out.iter().map(|one| one.files).sum()
}

/// The first names, and how many there are besides.
fn told(left_out: &[LeftOut], most: usize) -> Vec<String> {
    let mut told: Vec<String> = left_out.iter().take(most).map(ToString::to_string).collect();
    if left_out.len() > most {
        told.push(format!("and {} more", left_out.len() - most));
    }
    told
}

fn reason(setback: &Setback) -> String {
    match setback {
        Setback::Attempt(why) => why.clone(),
        Setback::Stop(error) => error.to_string(),
    }
}
