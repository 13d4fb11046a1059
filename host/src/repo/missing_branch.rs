//! The branch that a run is to work on, where it is missing: what it is made from,
//! and what of it is not ours to push. Where `origin` is seen to have a branch of
//! that name, it is made from there, as `git switch` does; else from HEAD. Then it
//! has commits of the user's that nobody has asked to share under that name, maybe
//! on top of a branch of origin's that is not known here. A mark keeps which, for
//! all later runs; none of them pushes the branch until origin's has that commit.
//! So the mark means nothing any more once the branch is made anew without it.

use git2::{ErrorCode, Oid};

use super::open::Repository;
use super::publish::{FETCHED, Published, REMOTE};
use super::push::Bounds;
use super::references::{run_tip, sync_reference};
use super::working_tree::descends;
use super::{failed, patience};
use crate::Result;

/// Below it, for each branch that was made from HEAD, the commit that HEAD was then.
const MADE: &str = "refs/code-agent/made/";

/// What a branch is made from.
enum Start {
    Origin(Oid),
    Head(Oid),
}

impl Start {
    fn commit(&self) -> Oid {
        match self {
            Self::Origin(commit) | Self::Head(commit) => *commit,
        }
    }
}

impl Repository {
    /// Says what the branch is going to be made from, where it is missing.
    pub fn missing_branch(&self) -> Result<Option<String>> {
        let git = self.git()?;
        if self.branch_commit(&git)?.is_some() {
            return Ok(None);
        }
        let branch = self.branch();
        Ok(Some(match self.start(&git)? {
            Start::Origin(commit) => format!(
                "there is no branch `{branch}` here, so it is made from {REMOTE}/{branch} ({commit}): \
                 what is on HEAD alone is not in it. To start from HEAD, name another branch with \
                 --branch"
            ),
            Start::Head(commit) => {
                let shared = match self.has_remote()? {
                    true => ". It is not pushed before you have done so once",
                    false => "",
                };
                format!(
                    "there is no branch `{branch}` here, so it is made from HEAD ({commit}){shared}"
                )
            }
        }))
    }

    /// Where the branch begins that is missing.
    pub(super) fn beginning(&self, git: &git2::Repository) -> Result<Oid> {
        self.start(git).map(|start| start.commit())
    }

    /// Makes the branch that is missing.
    pub(super) fn make_branch(&self, git: &git2::Repository) -> Result<Oid> {
        let start = self.start(git)?;
        let log = match &start {
            Start::Origin(_) => format!("code-agent: made from {REMOTE}/{}", self.branch()),
            Start::Head(commit) => {
                // First, for a branch without it would be pushed.
                self.set(git, &self.mark(), *commit, "code-agent: made a branch from HEAD")?;
                "code-agent: made from HEAD".to_owned()
            }
        };
        self.set(git, &self.branch_reference(), start.commit(), &log)?;
        Ok(start.commit())
    }

    /// Whether to push a run would bring to origin's branch what came from HEAD,
    /// and what is told then.
    pub(super) fn not_ours_to_push(
        &self,
        run: &str,
        bounds: &Bounds<'_>,
    ) -> Result<Option<Published>> {
        let git = self.git()?;
        let Some(made_from) = target(&git, &self.mark())? else { return Ok(None) };
        if !descends(&git, run_tip(&git, run)?, made_from)? {
            return Ok(None);
        }
        let seen = target(&git, &self.remote_branch())?;
        if seen.map_or(Ok(false), |seen| descends(&git, seen, made_from))? {
            return Ok(None);
        }
        let theirs = self.fetched(run, bounds)?;
        let has_it =
            theirs.map_or(Ok(false), |theirs| descends(&self.git()?, theirs, made_from))?;
        self.remove_reference(&format!("{FETCHED}{run}"))?;
        if has_it {
            return Ok(None);
        }
        if theirs.is_none() && (bounds.stopped)() {
            return Ok(Some(Published::Stopped));
        }
        let branch = self.branch();
        let theirs = match theirs {
            Some(_) => format!("{REMOTE} has a `{branch}` without that commit"),
            None => format!("{REMOTE} was not seen to have a `{branch}`"),
        };
        Ok(Some(Published::NotPushed {
            why: format!(
                "a run has made the branch from HEAD, which was {made_from}, and {theirs}. Whether \
                 others shall have there what was on HEAD is yours to say: git push {REMOTE} \
                 {branch}. From then on it is pushed"
            ),
        }))
    }

    /// What the user's git has last seen of the branch at `origin`.
    pub(super) fn remote_branch(&self) -> String {
        format!("refs/remotes/{REMOTE}/{}", self.branch())
    }

    fn start(&self, git: &git2::Repository) -> Result<Start> {
        if let Some(commit) = target(git, &self.remote_branch())? {
            return Ok(Start::Origin(commit));
        }
        let doing = || format!("make the branch `{}` from HEAD", self.branch());
        let head = git.head().and_then(|head| head.peel_to_commit()).map_err(failed(doing()))?;
        Ok(Start::Head(head.id()))
    }

    /// The mark's name. Those of branches can lie one in the other; in hex they don't.
    fn mark(&self) -> String {
        let branch: String = self.branch().bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{MADE}{branch}")
    }

    fn set(&self, git: &git2::Repository, name: &str, commit: Oid, log: &str) -> Result<()> {
        // The branch is known to be missing; a mark may be left from one before.
        let force = name.starts_with(MADE);
        patience::unless_locked(|| git.reference(name, commit, force, log))
            .map_err(failed(format!("make `{name}`")))?;
        sync_reference(self.common_directory(), name)
    }
}

/// The commit that a reference names, if it is there.
fn target(git: &git2::Repository, name: &str) -> Result<Option<Oid>> {
    match git.find_reference(name).and_then(|reference| reference.peel_to_commit()) {
        Ok(commit) => Ok(Some(commit.id())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(failed(format!("read `{name}`"))(error)),
    }
}
