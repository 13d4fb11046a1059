//! How a finished task's work lands. Where it collides with what others have
//! landed meanwhile, and there is a merger, that is asked to bring both together,
//! and what it leaves lands as the task's work. Owns the order of this and its
//! bounds; what collides is `repo/`'s to say, how it is merged the component's.

use std::sync::Arc;

use super::HostCrew;
use crate::agent::{Agent, NotLanded, Slot, blocking};
use crate::cycle::Crew;
use crate::events::Event;
use crate::queue::{Claim, Store};
use crate::repo::{Change, Checkout, LaidOut, lay_out, still_marked};
use crate::transcript::About;
use crate::types::{Brief, Collision, MergeRequest, Report, Role};
use crate::{Error, Result, Setback, crash};

/// How often a merger is asked in one attempt: others may land while it works.
const TRIES: u32 = 2;
/// How many colliding files a note names.
const NAMED_FILES: usize = 10;

/// What a merger's work came to, if it came to something.
enum Merge {
    /// It landed, or there was nothing left to land. The report tells of it.
    Landed(Report),
    /// Others have changed the same once more.
    Collided(String),
    /// There is nothing that a merger could be asked.
    NotTried,
}

impl HostCrew {
    /// Lands what a worker has finished; returns its report, with the merger's
    /// note where there is one. A conflict that nobody merges is up to the next
    /// attempt, which is told of it.
    pub(super) async fn land(
        &self,
        claim: &Claim,
        brief: Brief,
        worker: &Agent,
        report: Report,
    ) -> Result<Report, Setback> {
        let mut collided =
            match worker.hand_in(report.clone(), |report| commit_message(claim, report)).await {
                Ok((report, _)) => return Ok(report),
                Err(NotLanded::Conflict(why)) if self.plugins().has_merger() => why,
                Err(not_landed) => return Err(not_landed.into_setback()),
            };
        for _ in 0..TRIES {
            match self.merge(claim, brief.clone(), worker, &report).await {
                Ok(Merge::Landed(report)) => return Ok(report),
                Ok(Merge::Collided(why)) => collided = why,
                Ok(Merge::NotTried) => break,
                Err(Setback::Attempt(why)) => {
                    collided.push_str(&format!(". A merger could not bring both together: {why}"));
                    break;
                }
                Err(stop) => return Err(stop),
            }
        }
        Err(Setback::Attempt(collided))
    }

    /// Has a merger work in the worker's slot, whose caches it can use, and lands
    /// what it leaves there.
    async fn merge(
        &self,
        claim: &Claim,
        mut brief: Brief,
        worker: &Agent,
        report: &Report,
    ) -> Result<Merge, Setback> {
        let (about, laid) = match self.lay_out(claim, brief.cycle, worker).await? {
            Ok(Some(laid)) => laid,
            Ok(None) => return Ok(Merge::NotTried),
            Err(error) => return self.not_tried(claim, &error).await,
        };
        let slot = self.prepared_slot_at(&worker.slot.name, &laid.tip, &mut brief).await;
        let slot = slot.map_err(Setback::Stop)?;
        let (checkout, changes) = (slot.checkout.clone(), laid.changes);
        if let Err(error) = blocking("laying a merge out", move || lay(&checkout, &changes)).await {
            return self.not_tried(claim, &error).await;
        }
        crash::point("merger: laid out");
        let request = MergeRequest {
            task: claim.task.clone(),
            report: report.clone(),
            base: laid.base,
            tip: laid.tip,
            commits: laid.commits,
            collisions: laid.collisions.clone(),
            worker_diff: laid.worker_diff,
            branch_diff: laid.branch_diff,
        };
        let merger = self.merger(claim, brief.cycle, worker, &slot, about)?;
        let answer = self.ask_merger(claim, brief, &merger, request).await?;
        refuse_markers(&merger, &laid.collisions).await?;
        let report = with_note(report, answer, &laid.collisions);
        let (report, landed) =
            match merger.hand_in(report, |report| commit_message(claim, report)).await {
                Ok(handed_in) => handed_in,
                Err(NotLanded::Conflict(why)) => return Ok(Merge::Collided(why)),
                Err(not_landed) => return Err(not_landed.into_setback()),
            };
        crash::point("merger: landed");
        let (task, commit) = (claim.task.id.clone(), landed.map(|landed| landed.commit));
        self.tell(claim, Event::Merged { task, commit }).await?;
        Ok(Merge::Landed(report))
    }

    /// The agent that a merger is: it works where the worker did, and what the
    /// worker named belongs to its work, too.
    fn merger(
        &self,
        claim: &Claim,
        cycle: u32,
        worker: &Agent,
        slot: &Arc<Slot>,
        about: About,
    ) -> Result<Arc<Agent>, Setback> {
        let transcript = Arc::new(self.journal.call(about));
        let mut landing = self.landing(claim, cycle, &transcript)?;
        if let Some(workers) = &worker.landing {
            landing.scope = workers.scope.clone();
        }
        let account = self.account(cycle, Some(&claim.task.id));
        self.agent(&claim.slot, Role::Merger, slot.clone(), transcript, Some(landing), account)
    }

    /// Finds out what collides, on the tip as it is now; in a replay, on the tip
    /// that the recorded merger was asked on, and not at all where none was.
    async fn lay_out(
        &self,
        claim: &Claim,
        cycle: u32,
        worker: &Agent,
    ) -> Result<Result<Option<(About, LaidOut)>>, Setback> {
        let mut about = About {
            agent: claim.slot.clone(),
            role: Role::Merger,
            subject: Some(claim.task.id.clone()),
            cycle,
            attempt: claim.task.attempt,
            base: None,
        };
        let tip = match self.journal.replay() {
            None => Some(self.head().await.map_err(Setback::Stop)?),
            Some(replay) => replay.base(&about).await,
        };
        let Some(tip) = tip else { return Ok(Ok(None)) };
        about.base = Some(tip.clone());
        let Some(landing) = &worker.landing else { return Ok(Ok(None)) };
        let changes = landing.collect(&worker.slot.checkout).await;
        let changes = changes.map_err(NotLanded::into_setback)?.changes;
        let (repository, base) = (self.repository.clone(), worker.slot.checkout.base());
        let laid =
            blocking("laying a merge out", move || lay_out(&repository, &base, &changes, &tip));
        Ok(laid.await.map(|laid| laid.map(|laid| (about, laid))))
    }

    /// The next attempt does not hear of it: a replay, which asks no merger that
    /// was not asked before, could not tell it the same.
    async fn not_tried(&self, claim: &Claim, error: &Error) -> Result<Merge, Setback> {
        let title = &claim.task.draft.title;
        let message = format!("what collides of \"{title}\" can't be laid out to merge: {error}");
        self.tell(claim, Event::Warning { message }).await?;
        Ok(Merge::NotTried)
    }

    /// The merger's report; that it gives up is a failure.
    async fn ask_merger(
        &self,
        claim: &Claim,
        brief: Brief,
        merger: &Arc<Agent>,
        request: MergeRequest,
    ) -> Result<Report, Setback> {
        let (cycle, task) = (brief.cycle, &claim.task.id);
        let tried = Event::MergeTried { task: task.clone(), files: paths(&request.collisions) };
        self.tell(claim, tried).await?;
        let answer = self.plugins().merge(merger.clone(), brief, request).await;
        let answer = self.ended(merger, cycle, Some(task), answer).await?;
        if answer.success {
            return Ok(answer);
        }
        Err(Setback::Attempt(format!("it gave up: {}", answer.summary)))
    }

    async fn tell(&self, claim: &Claim, event: Event) -> Result<(), Setback> {
        self.store.record(&claim.slot, event).await.map_err(Setback::Stop)
    }
}

/// Puts the changes into the checkout. What could not land from there, since a
/// `.gitignore` of the branch names it or it was moved out of the root path,
/// would be lost without a word.
fn lay(checkout: &Checkout, changes: &[Change]) -> Result<()> {
    checkout.lay(changes)?;
    let found =
        checkout.changes(|_| true).map_err(|error| Error::failed(error.to_string()))?.changes;
    let is_there = |change: &Change| found.iter().any(|found| found.path == change.path);
    match changes.iter().find(|change| !is_there(change)) {
        None => Ok(()),
        Some(change) => Err(Error::failed(format!(
            "{} can't land from where the branch has it now: a .gitignore names it, or it lies \
             outside of the root path",
            change.path
        ))),
    }
}

/// Looks at what would land, and at nothing that commands have left besides.
async fn refuse_markers(merger: &Agent, collisions: &[Collision]) -> Result<(), Setback> {
    let (checkout, collisions) = (merger.slot.checkout.clone(), collisions.to_vec());
    let scope = merger.landing.as_ref().map(|landing| landing.scope.clone());
    let marked = blocking("looking for markers", move || {
        still_marked(&checkout, &collisions, |path| {
            scope.as_ref().is_some_and(|scope| scope.covers(path))
        })
    });
    match marked.await {
        Ok(files) if files.is_empty() => Ok(()),
        Ok(files) => {
            let files = files.join(", ");
            Err(Setback::Attempt(format!("it left conflict markers in {files}")))
        }
        Err(error) => Err(Setback::Attempt(error.to_string())),
    }
}

fn paths(collisions: &[Collision]) -> Vec<String> {
    collisions.iter().map(|collision| collision.path.clone()).collect()
}

/// The worker's report, and what the merger says of its own work.
fn with_note(report: &Report, merger: Report, collisions: &[Collision]) -> Report {
    let mut files = paths(collisions);
    let more = files.len().saturating_sub(NAMED_FILES);
    files.truncate(NAMED_FILES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let mut notes = report.notes.clone();
    let (files, summary) = (files.join(", "), merger.summary.trim());
    notes.push(format!("A merger brought it together with the branch in {files}{more}: {summary}"));
    notes.extend(merger.notes);
    Report { notes, ..report.clone() }
}

/// The title, which is one line whatever a planner has made of it, then what
/// the worker says of its work.
fn commit_message(claim: &Claim, report: &Report) -> String {
    let title = &claim.task.draft.title;
    let title: Vec<&str> = title.split_whitespace().collect();
    let mut message = format!("{}\n\n{}", title.join(" "), report.summary.trim());
    for note in &report.notes {
        message.push_str("\n- ");
        message.push_str(note.trim());
    }
    message
}
