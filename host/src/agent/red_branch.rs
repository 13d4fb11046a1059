//! Whether the branch is red without the change that the check is red on: then
//! whoever made that is told, and a person is, once. It lands no more for that: what
//! mends a red branch does, since it is green.

use super::Checker;
use crate::Result;
use crate::events::Event;
use crate::queue::{RunStore, Store};
use crate::types::CheckResult;

/// What the check says of a change that would have landed on `tip`, and whether it
/// says the same without it.
pub(super) async fn with_tip(
    checker: &Checker,
    store: &RunStore,
    tip: &str,
    mut red: CheckResult,
) -> Result<CheckResult> {
    let Some(news) = checker.red_without(tip).await? else { return Ok(red) };
    if news {
        let message = format!(
            "the check `{}` is red on the branch already, at {tip}: nothing lands before something \
             makes it green. The workers are told; where it is not for them to mend, stop the run and \
             mend the branch, or the check",
            red.command_line
        );
        store.record("host", Event::Warning { message }).await?;
    }
    red.output = format!(
        "It was red already on the branch without this change, at {tip}. Nothing lands before it is \
         green, so what it complains of has to be mended here as well, whoever has caused it:\n{}",
        red.output
    );
    Ok(red)
}
