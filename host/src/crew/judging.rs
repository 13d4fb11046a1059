//! How judges come to one verdict. All are asked, one after the other, each on
//! the branch as it is; the run goes on if one says so. Owns what is made of
//! their verdicts; when they are asked is `cycle/`'s.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::HostCrew;
use crate::Setback;
use crate::transcript::About;
use crate::types::{Brief, CycleReport, Decision, Role, Verdict};

/// What the only judge is called, as an agent and by its checkout.
const ONLY_JUDGE: &str = "judge";

impl HostCrew {
    /// Asks all judges. One that fails is asked again by the next attempt, the
    /// others are not. One that fails to the last does not silence another that
    /// says to go on, while a stop takes all of them.
    pub(super) async fn judge(
        &self,
        brief: Brief,
        report: CycleReport,
        is_last_attempt: bool,
    ) -> Result<Verdict, Setback> {
        let judges = self.plugins().judges();
        let mut failed = BTreeMap::new();
        for judge in &judges {
            if self.verdicts_so_far().contains_key(judge) {
                continue;
            }
            let agent = if judges.len() == 1 { ONLY_JUDGE } else { &format!("judge-{judge}") };
            match self.ask_judge(judge, agent, brief.clone(), report.clone()).await {
                Ok(verdict) => drop(self.verdicts_so_far().insert(judge.clone(), verdict)),
                Err(Setback::Attempt(why)) => drop(failed.insert(judge.clone(), why)),
                Err(stop) => return Err(stop),
            }
        }
        let is_settled = is_last_attempt && self.verdicts_so_far().values().any(goes_on);
        match failed.last_key_value() {
            Some((_, why)) if !is_settled => Err(Setback::Attempt(why.clone())),
            _ => Ok(together(std::mem::take(&mut *self.verdicts_so_far()), &failed)),
        }
    }

    /// Asks one, in a checkout and a home of its own: what a judge's commands
    /// leave there, as a changed build, must not decide for another judge.
    async fn ask_judge(
        &self,
        judge: &str,
        name: &str,
        mut brief: Brief,
        report: CycleReport,
    ) -> Result<Verdict, Setback> {
        let cycle = brief.cycle;
        let slot = self.prepared_slot_at(name, &report.head, &mut brief).await;
        let slot = slot.map_err(Setback::Stop)?;
        let transcript = Arc::new(self.journal.call(About {
            agent: name.to_owned(),
            role: Role::Judge,
            subject: None,
            cycle,
            attempt: 0,
            base: None,
        }));
        let account = self.account(cycle, None);
        let agent = self.agent(name, Role::Judge, slot, transcript, None, account)?;
        let verdict = self.plugins().review(judge, agent.clone(), brief, report).await;
        self.ended(&agent, cycle, None, verdict).await
    }

    fn verdicts_so_far(&self) -> MutexGuard<'_, BTreeMap<String, Verdict>> {
        // A panic elsewhere leaves the map itself whole.
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One verdict of all: the run goes on if one judge says so, the goal is met if
/// all say so, and every reason is kept, under its judge's name; so is why one
/// has failed.
fn together(mut verdicts: BTreeMap<String, Verdict>, failed: &BTreeMap<String, String>) -> Verdict {
    if verdicts.len() == 1
        && failed.is_empty()
        && let Some((_, verdict)) = verdicts.pop_first()
    {
        return verdict;
    }
    let one_goes_on = verdicts.values().any(goes_on);
    let reasons = verdicts.iter().map(|(judge, verdict)| {
        let said = match (verdict.decision, verdict.goal_met) {
            (Decision::NextCycle, _) => "go on",
            (Decision::Stop, true) => "stop, the goal is met",
            (Decision::Stop, false) => "stop, the goal is not met",
        };
        format!("{judge} says: {said}. {}", verdict.reasoning)
    });
    let failures = failed.iter().map(|(judge, why)| format!("{judge} failed: {why}"));
    Verdict {
        decision: if one_goes_on { Decision::NextCycle } else { Decision::Stop },
        goal_met: failed.is_empty() && verdicts.values().all(|verdict| verdict.goal_met),
        reasoning: reasons.chain(failures).collect::<Vec<_>>().join("\n\n"),
    }
}

fn goes_on(verdict: &Verdict) -> bool {
    verdict.decision == Decision::NextCycle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(decision: Decision, goal_met: bool, reasoning: &str) -> Verdict {
        Verdict { decision, goal_met, reasoning: reasoning.to_owned() }
    }

    #[test]
    fn one_judge_is_heard_as_it_is_and_of_several_one_can_go_on() {
        let (next, stop) = (Decision::NextCycle, Decision::Stop);
        let none = BTreeMap::new();
        let alone = verdict(stop, false, "No way.");
        let map = |verdicts: &[(&str, &Verdict)]| {
            verdicts.iter().map(|(name, one)| ((*name).to_owned(), (*one).clone())).collect()
        };
        assert_eq!(together(map(&[("only", &alone)]), &none), alone);
        let (content, eager) = (verdict(stop, true, "Done."), verdict(next, false, "More."));
        assert_eq!(
            together(map(&[("a", &content), ("b", &eager)]), &none),
            verdict(next, false, "a says: stop, the goal is met. Done.\n\nb says: go on. More.")
        );
        let two = together(map(&[("a", &content), ("b", &alone)]), &none);
        assert_eq!((two.decision, two.goal_met), (stop, false));
        let two = together(map(&[("a", &content), ("b", &content)]), &none);
        assert_eq!((two.decision, two.goal_met), (stop, true));
        let failed = BTreeMap::from([("b".to_owned(), "it trapped".to_owned())]);
        assert_eq!(
            together(map(&[("a", &eager)]), &failed),
            verdict(next, false, "a says: go on. More.\n\nb failed: it trapped")
        );
    }
}
