//! What a trial needs of a crew beyond what a cycle does: one call of a tool, and
//! a conflict for a merger, without a worker who made it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::HostCrew;
use crate::agent::{Agent, Slot, blocking};
use crate::cycle::Crew;
use crate::queue::Claim;
use crate::repo::path::CheckoutPath;
use crate::tools::catalogue::call_all;
use crate::transcript::About;
use crate::types::{Brief, Report, Role, ToolCall};
use crate::{Error, Result, Setback};

/// Whoever calls a tool in a trial.
const CALLER: &str = "trial";

/// What a tool said when it was called alone.
pub struct Tried {
    /// Its answer, or what a model would be told.
    pub answer: Result<String, String>,
    /// Where it worked.
    pub slot: Arc<Slot>,
}

impl HostCrew {
    /// Calls a plugin's tool as a worker would, on the tip.
    pub(crate) async fn try_tool(&self, name: &str, arguments: &str) -> Result<Tried> {
        let tools = self.plugins().tools();
        if tools.find(name).is_none() {
            let names: Vec<&str> = tools.all().iter().map(|tool| tool.spec.name.as_str()).collect();
            return Err(Error::usage(format!(
                "no tool of the plugins is called `{name}`; there are {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )));
        }
        let slot = self.slot_at(CALLER, &self.head().await?).await?;
        let agent = self.caller(&slot)?;
        let call = ToolCall {
            id: CALLER.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let rights = agent.rights();
        let results = call_all(&agent, rights, vec![call]).await;
        let answer = results.map_err(|error| error.to_string()).and_then(|results| {
            let nothing = || "the tool said nothing".to_owned();
            let result = results.into_iter().next().ok_or_else(nothing)?;
            if result.is_error { Err(result.output) } else { Ok(result.output) }
        });
        Ok(Tried { answer, slot })
    }

    fn caller(&self, slot: &Arc<Slot>) -> Result<Arc<Agent>> {
        let transcript = Arc::new(self.journal.call(About {
            agent: CALLER.to_owned(),
            role: Role::Worker,
            subject: None,
            cycle: 1,
            attempt: 0,
            base: None,
        }));
        let account = self.account(1, None);
        self.agent(CALLER, Role::Worker, slot.clone(), transcript, None, account).map_err(
            |setback| match setback {
                Setback::Stop(error) => error,
                Setback::Attempt(why) => Error::failed(why),
            },
        )
    }

    /// Lands what `lay` puts into a worker's checkout that stands on `base`, as
    /// the work of a worker who has finished the task.
    pub(crate) async fn try_merge(
        &self,
        claim: &Claim,
        brief: Brief,
        base: &str,
        lay: impl FnOnce(&Path) -> Result<Vec<PathBuf>> + Send + 'static,
    ) -> Result<Report, Setback> {
        let slot = self.slot_at(&claim.slot, base).await.map_err(Setback::Stop)?;
        let checkout = slot.checkout.clone();
        let laid = blocking("laying a worker's files out", move || {
            // Whatever the worker left belongs to its work.
            for path in lay(checkout.folder_for_command(false))? {
                let path = CheckoutPath::parse_file(&path.to_string_lossy());
                checkout.note(&path.map_err(|error| Error::usage(error.to_string()))?);
            }
            Ok(())
        });
        laid.await.map_err(Setback::Stop)?;
        let cycle = brief.cycle;
        let transcript = Arc::new(self.journal.call(About {
            agent: claim.slot.clone(),
            role: Role::Worker,
            subject: Some(claim.task.id.clone()),
            cycle,
            attempt: claim.task.attempt,
            base: Some(base.to_owned()),
        }));
        let landing = self.landing(claim, cycle, &transcript)?;
        let account = self.account(cycle, Some(&claim.task.id));
        let worker =
            self.agent(&claim.slot, Role::Worker, slot, transcript, Some(landing), account)?;
        let summary = claim.task.draft.title.clone();
        let report = Report { success: true, summary, notes: Vec::new() };
        self.land(claim, brief, &worker, report).await
    }
}
