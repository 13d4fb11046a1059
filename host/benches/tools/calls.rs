//! A tool call through a component and the catalogue, beside the function that
//! it comes to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use code_agent::agent::Agent;
use code_agent::plugin::Plugins;
use code_agent::tools::call_file_tool;
use code_agent::tools::place::WriteArea;
use code_agent::transcript::CallTranscript;
use code_agent::types::{Domain, Role};

use crate::workshop::{Workshop, brief};
use crate::{ROUNDS, Result, folder, median, verdict};

/// How much longer a call may take through the component.
const TARGET: Duration = Duration::from_micros(50);
/// Calls of one round.
const CALLS: u32 = 5_000;
/// What every call is.
const TOOL: (&str, &str) = ("read_file_content", r#"{"path": "src/deep/file.rs"}"#);

pub async fn compare() -> Result<bool> {
    let place = folder()?;
    let workshop = Workshop::open(place.path(), None).await?;
    let plugins = workshop.plugins("busy", None, "").await?;
    let agent = workshop.agent(&plugins, Role::SubPlanner, CallTranscript::default());
    let (mut through, mut native) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let none = called(&plugins, &agent, 0).await?;
        through.push(called(&plugins, &agent, CALLS).await?.saturating_sub(none) / CALLS);
        native.push(called_natively(&agent)? / CALLS);
    }
    let (through, native) = (median(through), median(native));
    let more = through.saturating_sub(native);
    println!("tool calls:");
    let shown = format!(
        "{} {through:.1?} through a component, {native:.1?} natively: {more:.1?} more, at most \
         {TARGET:.1?}",
        TOOL.0
    );
    Ok(verdict("call", &shown, more <= TARGET))
}

/// The tests' component makes so many calls, one after the other.
async fn called(plugins: &Plugins, agent: &Arc<Agent>, calls: u32) -> Result<Duration> {
    let domain = Domain {
        name: format!("calls {calls}"),
        description: TOOL.1.into(),
        file_patterns: vec![TOOL.0.into()],
    };
    let begun = Instant::now();
    let plan = plugins.plan_domain(agent.clone(), brief("Measure"), "", domain, 1).await?;
    let took = begun.elapsed();
    if plan.summary == format!("{calls} calls were answered") {
        Ok(took)
    } else {
        Err(plan.summary.into())
    }
}

fn called_natively(agent: &Agent) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        let folder = agent.slot.checkout.folder();
        let area = WriteArea { folder, root: &agent.root, keeper: None, witness: None };
        call_file_tool(area, false, TOOL.0, TOOL.1).ok_or("no such tool")??;
    }
    Ok(begun.elapsed())
}
