//! A judge for tests, without a model: the setting `verdict` says what it
//! decides. With the setting `leaves` it leaves files where a reset does not
//! look, and tells of those that it finds there. Owns no rule: what has to come of it is the tests'.

/// The bindings, without the SDK: a component owes the host nothing but the
/// contract.
mod bindings {
    // Generated code: its unsafe blocks are the canonical ABI.
    #![allow(missing_docs, unsafe_code)]

    wit_bindgen::generate!({
        world: "judge-plugin",
        path: "../../wit",
        generate_all,
    });

    export!(Umpire with_types_in self);

    use super::Umpire;
}

use bindings::code_agent::plugin::types::{Brief, Error};
use bindings::code_agent::plugin::{commands, files, settings};
use bindings::exports::code_agent::plugin::judge::{CycleReport, Decision, Guest, Verdict};

struct Umpire;

impl Guest for Umpire {
    fn review(_: Brief, report: CycleReport) -> Result<Verdict, Error> {
        let verdict = settings::get("verdict")?.unwrap_or_default();
        if verdict == "fail" {
            return Err(Error::Unavailable("this judge is not to be had".to_owned()));
        }
        let decision = if verdict == "go on" { Decision::NextCycle } else { Decision::Stop };
        let notes = files::read("notes.txt", 0, 1000)?;
        // The next judge must not find it.
        commands::run("echo changed by a judge > notes.txt", 60)?;
        let mut reasoning = format!(
            "Saw {} tasks and {}.",
            report.outcomes.len(),
            String::from_utf8_lossy(&notes).trim()
        );
        if settings::get("leaves")?.is_some() {
            let found = commands::run("ls ignored ~/left 2>/dev/null; touch ignored ~/left", 60)?;
            reasoning.push_str(&format!(" Found: {:?}", found.output.trim()));
        }
        Ok(Verdict { decision, goal_met: verdict == "goal met", reasoning })
    }
}
