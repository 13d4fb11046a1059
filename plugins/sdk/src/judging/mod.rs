//! What judges share: how a cycle's report is told, and the tool
//! `submit_verdict`. Owns which verdicts make sense; what a judge is told about its
//! work is the judge's business.

mod report;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::judge::{CycleReport, Decision, Verdict};
use crate::types::{Brief, Error};
use crate::{OwnTool, message, required_text};

/// The brief, what the cycle did, and what is wanted of the judge.
pub fn first_message(brief: &Brief, cycle: &CycleReport) -> String {
    message::brief(brief)
        + &report::markdown(cycle)
        + "\nRead the code at the head, compare it with the goal, and finish with \
           `submit_verdict`.\n"
}

/// Ends your review with the decision.
#[derive(Deserialize, JsonSchema)]
struct SubmitVerdict {
    /// continue: another cycle can bring the goal nearer. stop: it is reached, or
    /// another cycle would not help.
    decision: DecisionWord,
    /// Whether the goal is reached, by what you saw in the code. Stop with false is
    /// an honest no.
    goal_met: bool,
    /// What you checked, what you found and where (paths, lines), and what is still
    /// missing.
    reasoning: String,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DecisionWord {
    Continue,
    Stop,
}

/// The tool that ends a review. Refuses a verdict without a reason, and one that
/// contradicts itself.
pub fn submit_verdict<S: 'static>() -> OwnTool<S, Verdict> {
    OwnTool::finish("submit_verdict", |_: &mut S, submitted| verdict(submitted))
}

fn verdict(submitted: SubmitVerdict) -> Result<Verdict, Error> {
    let SubmitVerdict { decision, goal_met, reasoning } = submitted;
    let reasoning = required_text("reasoning", &reasoning)?;
    let decision = match decision {
        DecisionWord::Continue if goal_met => {
            return Err("`continue` with `goal_met` true contradicts itself: a goal that is met \
                        needs no further cycle. Decide `stop`, or set `goal_met` to false and say \
                        in `reasoning` what is missing."
                .into());
        }
        DecisionWord::Continue => Decision::NextCycle,
        DecisionWord::Stop => Decision::Stop,
    };
    Ok(Verdict { decision, goal_met, reasoning })
}
