//! Where the check is red at a cycle's end: which commit to go back to, and going
//! there. Only what this run has landed is gone back over, and nothing that others
//! have already; what a person or others brought is theirs to mend.

use std::collections::HashSet;

use super::HostCrew;
use crate::Result;
use crate::agent::{Checker, blocking};
use crate::cycle::Crew;
use crate::events::Event;
use crate::queue::Store;
use crate::repo::{Step, rolled_back_reference};
use crate::types::{CheckResult, CycleReport, Retreat};

/// So often has a commit to be red before something is rolled back for it: a test
/// that fails by chance must not cost anybody's work.
pub(super) const SURE: u32 = 2;

impl HostCrew {
    /// Looks for the last commit where the check is green, among the newest that
    /// this run has landed one on the other. Returns no way back where the check is
    /// green when it is asked once more.
    pub(super) async fn way_back(
        &self,
        checker: &Checker,
        base: &str,
        head: &str,
        mut red: CheckResult,
    ) -> Result<(CheckResult, Option<Retreat>)> {
        let steps = self.own_steps(base, head).await?;
        let Some(first) = steps.first() else {
            red.output =
                format!("Nothing was rolled back: {head} is not this run's alone.\n{}", red.output);
            return Ok((red, None));
        };
        if let Some(mut green) = Crew::check(self, head).await?.filter(|again| again.passed) {
            green.output = format!(
                "The check was red on {head} at first and green when it was run once more, so nothing \
                 was rolled back; it seems to fail by chance. At first it said:\n{}\nThen:\n{}",
                red.output, green.output
            );
            return Ok((green, None));
        }
        let from_there = steps.iter().map(|step| step.commit.as_str());
        let commits: Vec<&str> = [first.parent.as_str()].into_iter().chain(from_there).collect();
        let (green, mut red) = checker.find_red(&commits, red, SURE).await?;
        let Some(to) = green.checked_sub(1).and_then(|last| commits.get(last)) else {
            red.output = format!(
                "The check was red on {} already, before what this run has landed last; nothing was \
                 rolled back.\n{}",
                first.parent, red.output
            );
            return Ok((red, None));
        };
        let gone = &steps[green - 1..];
        let retreat = Retreat {
            from: head.to_owned(),
            to: (*to).to_owned(),
            kept: rolled_back_reference(self.store.run(), head),
            commits: gone.iter().map(|step| step.commit.clone()).collect(),
            titles: gone.iter().map(|step| step.title.clone()).collect(),
        };
        Ok((red, Some(retreat)))
    }

    /// The newest commits of the run that it has landed itself, without a gap, and
    /// that nobody else has: the oldest first.
    async fn own_steps(&self, base: &str, head: &str) -> Result<Vec<Step>> {
        let (repository, from, to) = (self.repository.clone(), base.to_owned(), head.to_owned());
        let mut steps = blocking("listing commits", move || repository.steps(&from, &to)).await?;
        let landed: HashSet<String> =
            self.store.landed().await?.into_iter().map(|(_, commit)| commit).collect();
        let is_foreign = |step: &Step| step.shared || !landed.contains(&step.commit);
        let own = steps.iter().rposition(is_foreign).map_or(0, |foreign| foreign + 1);
        Ok(steps.split_off(own))
    }

    /// Those commits of the cycle's tasks that the run was moved back over.
    pub(super) async fn lost(&self, report: &CycleReport) -> Result<HashSet<String>> {
        let commits = report.outcomes.iter().flat_map(|outcome| &outcome.commits);
        let landed: Vec<String> = commits.cloned().collect();
        if landed.is_empty() {
            return Ok(HashSet::new());
        }
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        let base = report.base.clone();
        blocking("looking what landed", move || repository.lost(&run, &base, &landed)).await
    }

    /// Moves the run back, and its branch where that has the work already.
    pub(super) async fn go_back(&self, retreat: Retreat) -> Result<()> {
        let (repository, run) = (self.repository.clone(), self.store.run().to_owned());
        let left = blocking("rolling back", move || {
            repository.roll_back(&run, &retreat.from, &retreat.to)
        });
        match left.await? {
            None => Ok(()),
            Some(why) => {
                let message = format!("the branch still holds what was rolled back: {why}");
                self.store.record("host", Event::Warning { message }).await
            }
        }
    }
}
