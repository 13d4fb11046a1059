//! The judge: looks at what a cycle did and decides whether another is needed.
//! Owns its prompt and its verdict; how the cycle's report is told is
//! `report`'s business, the loop the SDK's.

mod report;

use code_agent_sdk::judge::{CycleReport, Decision, Guest, Verdict};
use code_agent_sdk::tool::required_text;
use code_agent_sdk::types::{Brief, Error};
use code_agent_sdk::{Agent, OwnTool, host, message};
use serde::Deserialize;
use serde_json::{Value, json};

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 60;

struct Judge;

impl Guest for Judge {
    fn review(brief: Brief, cycle: CycleReport) -> Result<Verdict, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: first_message(&brief, &cycle),
            tools: vec![submit_verdict()],
            max_turns: MAX_TURNS,
        };
        host::run(agent, &mut ())
    }
}

code_agent_sdk::export_judge!(Judge);

#[derive(Deserialize)]
struct VerdictArguments {
    decision: DecisionWord,
    goal_met: bool,
    reasoning: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DecisionWord {
    Continue,
    Stop,
}

fn first_message(brief: &Brief, cycle: &CycleReport) -> String {
    message::brief(brief)
        + &report::markdown(cycle)
        + "\nRead the code at the head, compare it with the goal, and finish with \
           `submit_verdict`.\n"
}

fn submit_verdict() -> OwnTool<(), Verdict> {
    OwnTool::finish(
        "submit_verdict",
        "Ends your review with the decision.",
        verdict_schema(),
        |(), arguments: VerdictArguments| verdict(arguments),
    )
}

fn verdict(arguments: VerdictArguments) -> Result<Verdict, String> {
    let reasoning = required_text("reasoning", &arguments.reasoning)?;
    let decision = match arguments.decision {
        DecisionWord::Continue if arguments.goal_met => {
            return Err("`continue` with `goal_met` true contradicts itself: a goal that is met \
                        needs no further cycle. Decide `stop`, or set `goal_met` to false and say \
                        in `reasoning` what is missing."
                .to_owned());
        }
        DecisionWord::Continue => Decision::NextCycle,
        DecisionWord::Stop => Decision::Stop,
    };
    Ok(Verdict { decision, goal_met: arguments.goal_met, reasoning })
}

fn verdict_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "decision": {
                "type": "string",
                "enum": ["continue", "stop"],
                "description": "continue: another cycle can bring the goal nearer. stop: it is \
                    reached, or another cycle would not help.",
            },
            "goal_met": {
                "type": "boolean",
                "description": "Whether the goal is reached, by what you saw in the code. Stop \
                    with false is an honest no.",
            },
            "reasoning": {
                "type": "string",
                "description": "What you checked, what you found and where (paths, lines), and \
                    what is still missing.",
            },
        },
        "required": ["decision", "goal_met", "reasoning"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(arguments: Value) -> Result<Verdict, String> {
        verdict(serde_json::from_value(arguments).map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_verdict_is_taken_as_it_is() {
        let text = json!({"decision": "stop", "goal_met": false, "reasoning": "stuck"});
        let verdict = submit(text).unwrap();
        assert_eq!((verdict.decision, verdict.goal_met), (Decision::Stop, false));
        let text = json!({"decision": "continue", "goal_met": false, "reasoning": "more"});
        assert_eq!(submit(text).map(|verdict| verdict.decision), Ok(Decision::NextCycle));
    }

    #[test]
    fn a_verdict_without_reason_or_sense_goes_back() {
        let text = json!({"decision": "continue", "goal_met": true, "reasoning": "done"});
        assert!(submit(text).unwrap_err().contains("contradicts"));
        let text = json!({"decision": "stop", "goal_met": true, "reasoning": " "});
        assert!(submit(text).unwrap_err().contains("`reasoning`"));
        let text = json!({"decision": "maybe", "goal_met": true, "reasoning": "r"});
        assert!(submit(text).unwrap_err().contains("`continue`"));
    }
}
