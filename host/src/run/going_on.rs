//! What a run that goes on begins with.

use crate::Result;
use crate::agent::blocking;
use crate::queue::{RunStore, Store};
use crate::repo::Repository;

/// Lets the open cycle begin on the run's tip where that has become another and
/// nothing of the cycle's is on it: its planners would plan on what was taken back,
/// or without what a person has added. Where the cycle has landed something, what it
/// began on stays, so that the judge is shown all of it; unless that is not in the
/// run's history any more.
pub(super) async fn begin_anew(store: &RunStore, repository: &Repository, tip: &str) -> Result<()> {
    let Some(open) = store.standing().await?.open.filter(|open| open.base != tip) else {
        return Ok(());
    };
    if store.has_landed_in(open.cycle).await? {
        let (repository, run) = (repository.clone(), store.run().to_owned());
        let looking = move || repository.contains(&run, &open.base);
        if blocking("looking for the cycle's beginning", looking).await? {
            return Ok(());
        }
    }
    store.move_cycle(open.cycle, tip.to_owned()).await
}
