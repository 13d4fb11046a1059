//! The fake host of one thread. Owns its contents and its life; what it answers
//! is the imports' business.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::Event;
use crate::commands::CommandOutput;
use crate::git::Commit;
use crate::lm::Reply;
use crate::tools::ToolSpec;
use crate::types::Error;

/// What a tool answers to the arguments that a model wrote.
pub(super) type Answer = Rc<dyn Fn(&str) -> Result<String, Error>>;

/// All that a test set up, and what happened since.
#[derive(Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What else is listed, and why it can't be read.
    pub(super) unreadable: BTreeMap<String, Error>,
    /// The files as they were at the start.
    pub(super) tip: BTreeMap<String, Vec<u8>>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) commands: BTreeMap<String, CommandOutput>,
    pub(super) tools: Vec<(ToolSpec, Answer)>,
    pub(super) replies: VecDeque<Result<Reply, Error>>,
    pub(super) prepares: VecDeque<Result<Vec<String>, Error>>,
    pub(super) diff: String,
    pub(super) commits: Vec<Commit>,
    pub(super) denied: BTreeSet<String>,
    pub(super) events: Vec<Event>,
    /// How many calls the model has made.
    pub(super) calls: usize,
}

thread_local! {
    static HOST: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Takes the thread's host away, also when a test fails.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        HOST.take();
    }
}

/// Runs the code with this host.
pub(super) fn run<T>(mut state: State, work: impl FnOnce() -> T) -> (T, State) {
    state.tip = state.files.clone();
    let busy = HOST.with_borrow(Option::is_some);
    assert!(!busy, "a testing::Host runs on this thread already");
    let _guard = Guard;
    HOST.set(Some(state));
    let returned = work();
    (returned, HOST.take().unwrap_or_default())
}

/// Hands the host to one import. It must not call another import meanwhile.
pub(super) fn with<T>(import: impl FnOnce(&mut State) -> T) -> T {
    HOST.with_borrow_mut(|host| match host {
        Some(state) => import(state),
        None => panic!(
            "there is no host to ask: outside of a component, call this within \
             `code_agent_sdk::testing::Host::new().run(|| …)`"
        ),
    })
}

/// The same, if the interface is not denied.
pub(super) fn granted<T>(
    interface: &str,
    import: impl FnOnce(&mut State) -> Result<T, Error>,
) -> Result<T, Error> {
    with(|state| {
        if state.denied.contains(interface) {
            return Err(Error::Denied(format!("the test does not grant `{interface}`")));
        }
        import(state)
    })
}
