//! The judge: looks at what a cycle did and decides whether another is needed.
//! Owns its prompt; the verdict, how the cycle's report is told and the loop are
//! the SDK's.

use code_agent_sdk::judge::{CycleReport, Guest, Verdict};
use code_agent_sdk::types::{Brief, Error};
use code_agent_sdk::{Agent, judging};

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 60;

struct Judge;

impl Guest for Judge {
    fn review(brief: Brief, cycle: CycleReport) -> Result<Verdict, Error> {
        let agent = Agent {
            system: include_str!("../prompt.md").to_owned(),
            first_message: judging::first_message(&brief, &cycle),
            tools: vec![judging::submit_verdict()],
            max_turns: MAX_TURNS,
        };
        agent.run(&mut ())
    }
}

code_agent_sdk::export_judge!(Judge);

#[cfg(test)]
mod tests {
    use code_agent_sdk::judge::Decision;
    use code_agent_sdk::testing::{Host, Ran, brief, call, text};
    use serde_json::{Value, json};

    use super::*;

    fn review(host: Host) -> Ran<Result<Verdict, Error>> {
        let cycle = CycleReport {
            overview: "all of it".into(),
            outcomes: Vec::new(),
            planner_failures: Vec::new(),
            check: None,
            rolled_back: Vec::new(),
            base: "b1".into(),
            head: "b2".into(),
        };
        host.run(|| Judge::review(brief("Add a parser"), cycle))
    }

    fn verdict(decision: &str, goal_met: bool, reasoning: &str) -> Value {
        json!({"decision": decision, "goal_met": goal_met, "reasoning": reasoning})
    }

    #[test]
    fn a_verdict_is_taken_as_it_is() {
        let ran = review(
            Host::new()
                .tool("read_file_content", |_| Ok("fn parse() {}".into()))
                .reply(call("read_file_content", json!({"path": "src/parser.rs"})))
                .reply(call("submit_verdict", verdict("stop", false, "stuck"))),
        );
        let given = ran.returned.as_ref().unwrap();
        assert_eq!((given.decision, given.goal_met), (Decision::Stop, false));
        assert_eq!(given.reasoning, "stuck");
        assert_eq!(ran.results()[0].output, "fn parse() {}");
        let first = ran.said()[0];
        assert!(
            first.contains("Goal: Add a parser") && first.contains("Head commit: b2"),
            "{first}"
        );
        let host = Host::new().reply(call("submit_verdict", verdict("continue", false, "more")));
        assert_eq!(review(host).returned.map(|given| given.decision), Ok(Decision::NextCycle));
    }

    #[test]
    fn a_verdict_without_reason_or_sense_goes_back() {
        let ran = review(
            Host::new()
                .reply(call("submit_verdict", verdict("continue", true, "done")))
                .reply(call("submit_verdict", verdict("stop", true, " ")))
                .reply(call("submit_verdict", verdict("maybe", true, "r")))
                .reply(call("submit_verdict", verdict("stop", true, "It parses."))),
        );
        assert!(ran.returned.is_ok());
        let results = ran.results();
        for (result, part) in results.iter().zip(["contradicts", "`reasoning`", "`continue`"]) {
            assert!(result.is_error && result.output.contains(part), "{}", result.output);
        }
        assert_eq!(results.len(), 4);
    }

    #[test]
    fn a_judge_that_only_talks_gives_no_verdict() {
        let ran = review(Host::new().reply(text("It is fine.")).reply(text("Really.")));
        assert!(
            matches!(ran.returned, Err(Error::Invalid(why)) if why.contains("`submit_verdict`"))
        );
    }
}
