//! What a run's options say of commands: whether and how they are run, the user's
//! setup and check, and where landings wait for the latter.

use std::sync::Arc;

use crate::agent::{Checker, MergeBench, MergeQueue, Setup};
use crate::config::Options;
use crate::queue::RunStore;
use crate::repo::{Checkouts, Lander, Repository};
use crate::sandbox::{self, Sandbox};
use crate::{Error, Result};

/// How commands are run, and what is to be said of it. A run goes on without
/// them where this machine can't keep them from doing harm.
pub(crate) async fn sandbox(options: &Options) -> Result<(Option<Arc<Sandbox>>, Vec<String>)> {
    let Some(helper) = &options.sandbox_helper else {
        if options.setup.is_some() || options.check.is_some() {
            return Err(Error::usage("a setup or check command needs the sandbox's helper"));
        }
        return Ok((None, Vec::new()));
    };
    let (helper, access) = (helper.clone(), options.access.clone());
    let own_caches = options.setup.is_some();
    if options.unsandboxed_commands {
        let warning = "COMMANDS ARE NOT SANDBOXED (--unsandboxed-commands): a model can read, change \
                       and send whatever you can";
        let sandbox = Sandbox { helper, access, own_caches, abilities: None };
        return Ok((Some(Arc::new(sandbox)), vec![warning.to_owned()]));
    }
    match sandbox::probe(&helper, &access, &options.cache_folder()?).await {
        Ok(sandbox) => {
            let sandbox = Sandbox { own_caches, ..sandbox };
            let without =
                sandbox.abilities.as_ref().and_then(|abilities| abilities.without.clone());
            let warning = without.map(|why| {
                format!(
                    "commands run behind weaker walls, without namespaces ({why}); `code-agent doctor` \
                     says what helps"
                )
            });
            Ok((Some(Arc::new(sandbox)), warning.into_iter().collect()))
        }
        Err(_) if options.setup.is_some() || options.check.is_some() => Err(Error::failed(
            "--setup and --check need a sandbox, and this machine has none; `code-agent doctor` \
             says why",
        )),
        Err(error) => {
            tracing::debug!("no sandbox: {error}");
            let warning = "no commands are offered, for this machine can't keep them from doing harm; \
                           `code-agent doctor` says why";
            Ok((None, vec![warning.to_owned()]))
        }
    }
}

pub(super) fn setup(options: &Options, sandbox: Option<&Arc<Sandbox>>) -> Option<Setup> {
    Some(Setup { sandbox: sandbox?.clone(), command_line: options.setup.clone()? })
}

/// The user's check, in as many slots as the machine has cores for: each may
/// well use all of them.
pub(super) fn checker(
    options: &Options,
    sandbox: Option<&Arc<Sandbox>>,
    setup: Option<Setup>,
    checkouts: &Arc<Checkouts>,
) -> Option<Arc<Checker>> {
    let (check, sandbox) = (options.check.clone()?, sandbox?.clone());
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    Some(Arc::new(Checker::new(sandbox, check, setup, checkouts.clone(), at_once)))
}

pub(super) fn merge_queue(
    options: &Options,
    checker: Option<&Arc<Checker>>,
    lander: &Arc<Lander>,
    repository: &Repository,
    store: &RunStore,
) -> Option<Arc<MergeQueue>> {
    let checker = checker.filter(|_| options.check_strict)?.clone();
    let (lander, repository, store) = (lander.clone(), repository.clone(), store.clone());
    Some(Arc::new(MergeQueue::start(MergeBench { checker, lander, repository, store })))
}
