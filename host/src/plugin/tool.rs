//! Tools that plugins bring: what they are is asked once, when they are loaded,
//! and holds while the component stays the same; each call is a component call of its own. Which
//! agent may use which is the catalogue's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime::component::InstancePre;

use super::bindings::exports::code_agent::plugin::tool_provider;
use super::convert::all;
use super::machine::Machine;
use super::manifest::wrong;
use super::state::{CallState, Caller};
use super::{FailureReason, Plugin, spec};
use crate::agent::{Agent, Grant, Rights};
use crate::types::{CallError, ToolSpec};
use crate::{Error, Result};

/// Seconds in which a component has to say what its tools are.
const SPECS_SECONDS: u32 = 30;
/// Calls of one plugin's tools at once: each may hold its memory. What is more waits
/// for its own plugin first, so that one that sleeps takes a quarter of all places at
/// most and holds up no other.
pub(super) const MOST_CALLS: usize = 16;
/// Calls of all plugins' tools at once, however many plugins and agents there are: at
/// the usual limit they hold 4 GiB of memory, and as much as one plugin may be given
/// at all. A call that has a place never waits for a second one, for no tool can call
/// tools: so nobody waits in a circle.
pub(super) const MOST_CALLS_OF_ALL: usize = 64;

/// Tools of all plugins together.
const MOST_TOOLS: usize = 100;

/// The tools of all plugins of a run.
pub struct ToolPlugins {
    machine: Arc<Machine>,
    tools: Vec<PluginTool>,
}

/// One tool, as its plugin described it when it was loaded.
pub struct PluginTool {
    /// What models are told.
    pub spec: ToolSpec,
    plugin: Arc<Plugin>,
}

/// Whether the component brings tools.
pub(super) fn exports_tools(instance: &InstancePre<CallState>) -> bool {
    tool_provider::GuestIndices::new(instance).is_ok()
}

impl ToolPlugins {
    /// Asks each plugin what its tools are, but for those that are `known`.
    pub(super) async fn ask(
        machine: &Arc<Machine>,
        plugins: &[Arc<Plugin>],
        known: Option<&Self>,
    ) -> Result<Self> {
        let mut tools: Vec<PluginTool> = Vec::new();
        for plugin in plugins {
            let specs = match known.map(|known| known.of(plugin)).filter(|of| !of.is_empty()) {
                Some(specs) => specs,
                None => specs(machine, plugin).await?,
            };
            for spec in specs {
                if let Some(other) = tools.iter().find(|other| other.spec.name == spec.name) {
                    return Err(Error::usage(format!(
                        "the plugins `{}` and `{}` both have a tool `{}`; rename one, or leave a plugin out",
                        other.plugin.entry.name, plugin.entry.name, spec.name
                    )));
                }
                tools.push(PluginTool { spec, plugin: plugin.clone() });
            }
        }
        check_number(&tools)?;
        Ok(Self { machine: machine.clone(), tools })
    }

    /// What this very plugin said of its tools.
    fn of(&self, plugin: &Arc<Plugin>) -> Vec<ToolSpec> {
        let of_plugin = self.tools.iter().filter(|tool| Arc::ptr_eq(&tool.plugin, plugin));
        of_plugin.map(|tool| tool.spec.clone()).collect()
    }

    /// All of them.
    pub fn all(&self) -> &[PluginTool] {
        &self.tools
    }

    /// The tool of this name.
    pub fn find(&self, name: &str) -> Option<&PluginTool> {
        self.tools.iter().find(|tool| tool.spec.name == name)
    }

    /// Runs a model's call, for an agent in whose name `rights` may be used.
    /// Whatever becomes of the component, the agent goes on.
    pub async fn call(
        &self,
        tool: &PluginTool,
        agent: Arc<Agent>,
        rights: Rights,
        arguments: &str,
    ) -> Result<String, CallError> {
        let arguments = object(&tool.spec.name, arguments)?;
        let (plugin, name) = (&tool.plugin, &tool.spec.name);
        let caller = Some(Caller { agent, rights });
        let seconds = plugin.limits.call_seconds;
        let answer = self.machine.call(plugin, caller, seconds, async |store, plugin, instance| {
            let indices = tool_provider::GuestIndices::new(&plugin.instance)?;
            let guest = indices.load(&mut *store, &instance)?;
            let output = guest.call_call(store, name, arguments).await?;
            Ok(output.map_err(Into::into))
        });
        match in_turn([&plugin.places, self.machine.tool_places()], seconds, answer).await {
            Ok(output) => Ok(cut(output, plugin.limits.output_bytes)),
            Err(FailureReason::GaveUp(error)) => Err(error),
            Err(reason) => {
                let plugin = &plugin.entry.name;
                tracing::warn!(plugin, tool = name, "a call of a tool failed: it {reason}");
                Err(CallError::Unavailable(format!(
                    "the tool `{name}` (plugin `{plugin}`) {reason}. Do without it, or give it less to do"
                )))
            }
        }
    }
}

impl PluginTool {
    /// Whether it can change what others see when a caller with these rights calls
    /// it: it says so, or has what it takes. Such a tool runs alone.
    pub fn may_change_files(&self, caller: Rights) -> bool {
        let rights = self.plugin.rights(caller);
        self.spec.writes || rights.allows(Grant::FilesWrite) || rights.allows(Grant::Commands)
    }
}

/// Refuses more tools than a model should be shown.
fn check_number(tools: &[PluginTool]) -> Result<()> {
    if tools.len() <= MOST_TOOLS {
        return Ok(());
    }
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for tool in tools {
        *numbers.entry(&tool.plugin.entry.name).or_default() += 1;
    }
    let plugins: Vec<String> =
        numbers.iter().map(|(name, number)| format!("`{name}` ({number})")).collect();
    Err(Error::usage(format!(
        "the plugins {} have {} tools together; {MOST_TOOLS} are the most, for each costs context with \
         every request. Leave a plugin out",
        plugins.join(", "),
        tools.len()
    )))
}

/// Asks a plugin what its tools are, and checks what it says.
pub(super) async fn specs(machine: &Arc<Machine>, plugin: &Arc<Plugin>) -> Result<Vec<ToolSpec>> {
    let name = &plugin.entry.name;
    let seconds = plugin.limits.call_seconds.min(SPECS_SECONDS);
    let specs = machine.call(plugin, None, seconds, async |store, plugin, instance| {
        let indices = tool_provider::GuestIndices::new(&plugin.instance)?;
        let guest = indices.load(&mut *store, &instance)?;
        Ok(guest.call_specs(store).await?.map(all).map_err(Into::into))
    });
    let specs: Vec<ToolSpec> = specs
        .await
        .map_err(|reason| wrong(name, format!("when asked for its tools, it {reason}")))?;
    spec::check(&specs).map_err(|why| wrong(name, why))?;
    Ok(specs)
}

/// Makes a call when there is a place for it at its plugin and then among all. The
/// wait is part of its time.
async fn in_turn<T>(
    [of_plugin, of_all]: [&Semaphore; 2],
    seconds: u32,
    call: impl Future<Output = Result<T, FailureReason>>,
) -> Result<T, FailureReason> {
    let mut has_begun = false;
    let answer = timeout(Duration::from_secs(seconds.into()), async {
        // Errors only from a semaphore that is closed, and these never are.
        let _place = of_plugin.acquire().await;
        let _place_of_all = of_all.acquire().await;
        has_begun = true;
        call.await
    });
    match answer.await {
        Ok(answer) => answer,
        Err(_) if has_begun => Err(FailureReason::TimedOut(seconds)),
        Err(_) => Err(FailureReason::Busy(seconds)),
    }
}

/// A model's arguments; an empty text counts as an empty object.
fn object<'a>(tool: &str, text: &'a str) -> Result<&'a str, CallError> {
    if text.trim().is_empty() {
        return Ok("{}");
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(CallError::Invalid(format!(
            "the arguments of `{tool}` have to be one JSON object, as its parameters say"
        ))),
        Err(error) => Err(CallError::Invalid(format!(
            "the arguments of `{tool}` are no JSON: {error}; write them again, as one object"
        ))),
    }
}

fn cut(mut output: String, bytes: u32) -> String {
    let most = usize::try_from(bytes).unwrap_or(usize::MAX);
    if output.len() <= most {
        return output;
    }
    let whole = output.len();
    output.truncate(output.floor_char_boundary(most));
    output.push_str(&format!("\n[cut here: {} of {whole} bytes are shown]", output.len()));
    output
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;
    use crate::plugin::grants;
    use crate::plugin::manifest::Kind;

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_those_of_their_plugin_alone_and_not_beyond_their_time() {
        let (sleepy, other, all) = (Semaphore::new(1), Semaphore::new(1), Semaphore::new(2));
        let sleeps = in_turn::<()>([&sleepy, &all], 100, std::future::pending());
        let waits = in_turn([&sleepy, &all], 60, async { Ok("too early") });
        let in_time = in_turn([&sleepy, &all], 120, async { Ok("after it") });
        let good = in_turn([&other, &all], 1, async { Ok("at once") });
        let (slept, waited, after_it, good) = tokio::join!(sleeps, waits, in_time, good);
        assert_eq!(slept, Err(FailureReason::TimedOut(100)));
        assert_eq!(waited, Err(FailureReason::Busy(60)));
        assert_eq!((after_it, good), (Ok("after it"), Ok("at once")));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_all_plugins_together_are_bounded_and_each_has_its_turn() {
        let all = Arc::new(Semaphore::new(MOST_CALLS_OF_ALL));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            let plugin = Arc::new(Semaphore::new(MOST_CALLS));
            for _ in 0..100 {
                let (plugin, all) = (plugin.clone(), all.clone());
                let (running, most) = (running.clone(), most.clone());
                calls.spawn(async move {
                    let call = async {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    };
                    in_turn([&*plugin, &*all], 100, call).await
                });
            }
        }
        let answers = calls.join_all().await;
        assert_eq!(most.load(Ordering::SeqCst), MOST_CALLS_OF_ALL);
        assert_eq!(answers, vec![Ok(()); 1000], "none waits for ever");
    }

    #[test]
    fn no_tool_calls_tools() {
        assert!(!grants::most(Kind::Tool).allows(Grant::Tools), "a place is held by each call");
    }

    #[test]
    fn arguments_are_one_object_and_outputs_say_what_was_cut() {
        assert_eq!(object("x", "  ").unwrap(), "{}");
        assert_eq!(object("x", r#"{"a": 1}"#).unwrap(), r#"{"a": 1}"#);
        assert!(object("x", "[1]").unwrap_err().to_string().contains("one JSON object"));
        assert!(object("x", "{").unwrap_err().to_string().contains("are no JSON"));
        assert_eq!(cut("äöü".into(), 6), "äöü");
        assert_eq!(cut("äöü".into(), 5), "äö\n[cut here: 4 of 6 bytes are shown]");
    }
}
