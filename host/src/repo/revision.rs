//! The revisions that a model may name: commits that its checkout stands on,
//! and nothing else of the repository.

use git2::{Commit, Oid};

use crate::types::CallError;

/// How far `HEAD~N` reaches.
const DEEPEST: usize = 10_000;

/// Finds the commit that a revision names. `HEAD` is the checkout's base.
pub(super) fn resolve<'git>(
    git: &'git git2::Repository,
    base: Oid,
    revision: &str,
) -> Result<Commit<'git>, CallError> {
    if revision == "HEAD" {
        return git.find_commit(base).map_err(unreadable);
    }
    if let Some(steps) = revision.strip_prefix("HEAD~") {
        let steps = if steps.is_empty() { Some(1) } else { number(steps) };
        return go_back(git, base, steps.ok_or_else(|| refused(revision))?, revision);
    }
    let hex = revision.bytes().all(|letter| letter.is_ascii_hexdigit());
    if !hex || !(4..=40).contains(&revision.len()) {
        return Err(refused(revision));
    }
    let commit = git.find_commit_by_prefix(revision).map_err(|_| refused(revision))?;
    let reachable =
        commit.id() == base || git.graph_descendant_of(base, commit.id()).map_err(unreadable)?;
    if reachable { Ok(commit) } else { Err(refused(revision)) }
}

fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|steps| digits && *steps <= DEEPEST)
}

fn go_back<'git>(
    git: &'git git2::Repository,
    base: Oid,
    steps: usize,
    revision: &str,
) -> Result<Commit<'git>, CallError> {
    let mut commit = git.find_commit(base).map_err(unreadable)?;
    for step in 0..steps {
        commit = commit.parent(0).map_err(|_| {
            CallError::Invalid(format!(
                "`{revision}` reaches too far: the history has {step} commits before HEAD"
            ))
        })?;
    }
    Ok(commit)
}

fn refused(revision: &str) -> CallError {
    let shown: String = revision.chars().take(60).collect();
    CallError::Invalid(format!(
        "{shown:?} names no commit here; give `HEAD`, `HEAD~N` (N up to {DEEPEST}), or 4 to 40 hex \
         digits of a commit that the log shows"
    ))
}

pub(super) fn unreadable(error: git2::Error) -> CallError {
    CallError::Unavailable(format!("git's history could not be read: {error}"))
}
