//! A judge that measures: size, decisions, duplicated lines and TODOs, before and
//! after the cycle. The model reads the figures with the report, and they stand
//! below its reasoning, whatever it writes of them. Owns that order alone: what a
//! judge is told and how it decides is the SDK's `judging`, what is measured
//! `survey`'s business (over `past`, `metrics`, `lexing` and `language`) and its
//! form `table`'s.

mod language;
mod lexing;
mod metrics;
mod past;
mod survey;
mod table;

use code_agent_sdk::judge::{CycleReport, Guest, Verdict};
use code_agent_sdk::log::{self, Level};
use code_agent_sdk::types::{Brief, Error};
use code_agent_sdk::{Agent, judging, sentence};

/// Replies of the model; the setting `max-turns` changes it.
const MAX_TURNS: u32 = 60;

struct MetricsJudge;

impl Guest for MetricsJudge {
    fn review(brief: Brief, cycle: CycleReport) -> Result<Verdict, Error> {
        let figures = figures(&cycle);
        let agent = Agent {
            system: format!(
                "{}\n{}",
                include_str!("../../../judge/prompt.md"),
                include_str!("../prompt.md")
            ),
            first_message: format!("{}\n{figures}", judging::first_message(&brief, &cycle)),
            tools: vec![judging::submit_verdict()],
            max_turns: MAX_TURNS,
        };
        let verdict = agent.run(&mut ())?;
        Ok(Verdict { reasoning: format!("{}\n\n{figures}", verdict.reasoning.trim()), ..verdict })
    }
}

code_agent_sdk::export_judge!(MetricsJudge);

/// A judge without figures is still a judge.
fn figures(cycle: &CycleReport) -> String {
    match survey::survey(&cycle.base, &cycle.head) {
        Ok(survey) => table::markdown(&survey),
        Err(error) => {
            let why = sentence(&error);
            log::write(Level::Warn, &format!("nothing could be measured: {why}"));
            format!("## Code metrics\n\nNothing could be measured: {why}\n")
        }
    }
}

#[cfg(test)]
mod tests;
