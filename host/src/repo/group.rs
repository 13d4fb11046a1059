//! What becomes of a group of landings: one after the other is merged onto the tip
//! in memory, all are written as one pack and recorded, and then the run's
//! reference moves once. Owns the order of these steps; the merge itself is
//! `merge`'s, and who waits for it `landing`'s.

use git2::Oid;

use super::draft::Draft;
use super::landing::{LandError, Landed, Landing, LandingLog, LandingRecord, Outcome};
use super::merge::{Merged, merge, touching_commits};
use super::message::commit_message;
use super::open::Repository;
use super::references::{move_reference, run_reference, run_tip, sync_reference};
use super::{commit_id, failed, pack};
use crate::{Error, Result, crash};

/// Lands the group; without those, if there are any, of which the log says
/// that they come too late. The error beside the outcomes is one that came when
/// the group had landed.
pub(super) fn land_those_in_time(
    repository: &Repository,
    run: &str,
    landings: &[Landing],
    checked: Option<Oid>,
    log: &mut impl LandingLog,
) -> Result<(Vec<Outcome>, Option<Error>)> {
    let mut late: Vec<String> = Vec::new();
    loop {
        let in_time: Vec<&Landing> =
            landings.iter().filter(|landing| !late.contains(&landing.landing_id)).collect();
        let group =
            repository.with_git(|git| land_group(repository, git, run, &in_time, checked, log))?;
        match group {
            Group::Late(more) => late.extend(more),
            Group::Ended(outcomes, trouble) => {
                let mut outcomes = outcomes.into_iter();
                let outcome_of = |landing: &Landing| {
                    let in_time = !late.contains(&landing.landing_id);
                    in_time.then(|| outcomes.next()).flatten().unwrap_or(Err(LandError::Late))
                };
                return Ok((landings.iter().map(outcome_of).collect(), trouble));
            }
        }
    }
}

enum Group {
    /// One outcome for each landing, and what went wrong once they had landed.
    Ended(Vec<Outcome>, Option<Error>),
    /// Nothing landed: these come too late.
    Late(Vec<String>),
}

fn land_group(
    repository: &Repository,
    git: &git2::Repository,
    run: &str,
    landings: &[&Landing],
    checked: Option<Oid>,
    log: &mut impl LandingLog,
) -> Result<Group> {
    let mut draft = Draft::new(git).map_err(failed("open the repository's objects"))?;
    let start = run_tip(git, run)?;
    let mut tip = start;
    let (mut outcomes, mut records) = (Vec::new(), Vec::new());
    for landing in landings {
        let outcome = land_one(&mut draft, run, tip, landing);
        if let Ok((commit, files)) = &outcome {
            records.push(LandingRecord {
                landing_id: landing.landing_id.clone(),
                task_id: landing.task_id.clone(),
                commit: commit.to_string(),
                parent: tip.to_string(),
                files: files.clone(),
                memo: landing.memo.clone(),
            });
            tip = *commit;
        }
        outcomes.push(outcome.map(|(commit, files)| Landed { commit: commit.to_string(), files }));
    }
    if checked.is_some_and(|checked| checked != tip) {
        let outcomes = landings.iter().map(|_| Err(LandError::Unchecked)).collect();
        return Ok(Group::Ended(outcomes, None));
    }
    if records.is_empty() {
        return Ok(Group::Ended(outcomes, None));
    }
    pack::write_all(repository, run, draft.objects())?;
    crash::point("landing: objects written");
    let late = log.record(&records)?;
    if !late.is_empty() {
        return Ok(Group::Late(late));
    }
    crash::point("landing: recorded");
    move_run(git, run, start, tip)?;
    let told = follow(repository, git, run, start, tip).and_then(|()| {
        crash::point("landing: landed");
        log.confirm(&records)
    });
    Ok(Group::Ended(outcomes, told.err()))
}

/// What landings would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The commit that the run stands on.
    pub tip: String,
    /// The commit of each, or why it can't land.
    pub commits: Vec<Result<String, LandError>>,
}

/// Makes the commits that would land now one on the other, without landing them:
/// for a look at them before. What can't land is left out of those that follow.
/// Nothing refers to the commits, so that git forgets them in time; but they are
/// safe on the disk like all others, for what lands later may hold the same.
pub fn stack(repository: &Repository, run: &str, landings: &[&Landing]) -> Result<Stack> {
    let git = repository.git()?;
    let mut draft = Draft::new(&git).map_err(failed("open the repository's objects"))?;
    let start = run_tip(&git, run)?;
    let mut tip = start;
    let put_on = |landing: &&Landing| {
        let (commit, _) = land_one(&mut draft, run, tip, landing)?;
        tip = commit;
        Ok(commit.to_string())
    };
    let commits = landings.iter().map(put_on).collect();
    if tip != start {
        pack::write_all(repository, run, draft.objects())?;
    }
    Ok(Stack { tip: start.to_string(), commits })
}

/// Merges one landing onto the tip and makes its commit, in memory; nothing of one
/// that does not land stays there.
fn land_one(
    draft: &mut Draft<'_>,
    run: &str,
    tip: Oid,
    landing: &Landing,
) -> Result<(Oid, Vec<String>), LandError> {
    let mark = draft.mark();
    let landed = put_on(draft, run, tip, landing);
    if landed.is_err() {
        draft.forget_since(mark);
    }
    landed
}

fn put_on(
    draft: &mut Draft<'_>,
    run: &str,
    tip: Oid,
    landing: &Landing,
) -> Result<(Oid, Vec<String>), LandError> {
    let base = commit_id(&landing.base)?;
    let doing = || format!("merge what task {} changed", landing.task_id);
    let base_tree = draft.tree_of(base).map_err(failed(doing()))?;
    let tip_tree = draft.tree_of(tip).map_err(failed(doing()))?;
    let merged = merge(draft, base_tree, tip_tree, &landing.changes).map_err(failed(doing()))?;
    let tree = match merged {
        Merged::Tree(tree) if tree == tip_tree => return Err(LandError::Nothing),
        Merged::Tree(tree) => tree,
        Merged::Conflict(files) => {
            let git = draft.shown().map_err(failed(doing()))?;
            let commits = touching_commits(git, base, tip, &files).map_err(failed(doing()))?;
            return Err(LandError::Conflict { files, commits });
        }
    };
    let deltas = draft.difference(tip_tree, tree).map_err(failed(doing()))?;
    let files =
        deltas.iter().map(|delta| String::from_utf8_lossy(&delta.path).into_owned()).collect();
    let message = commit_message(run, landing);
    let commit = draft.commit(tip, tree, landing.author_time, &message).map_err(failed(doing()))?;
    Ok((commit, files))
}

fn move_run(git: &git2::Repository, run: &str, from: Oid, to: Oid) -> Result<()> {
    let name = run_reference(run)?;
    if move_reference(git, &name, from, to, "code-agent: landed")? {
        return Ok(());
    }
    Err(Error::failed(format!(
        "`{name}` was moved by somebody else while a group landed on it; nothing of the group \
         landed"
    )))
}

/// The group has landed: what goes wrong with the branch is left to the end of the
/// cycle, which says so to the user.
fn follow(
    repository: &Repository,
    git: &git2::Repository,
    run: &str,
    from: Oid,
    to: Oid,
) -> Result<()> {
    sync_reference(repository.common_directory(), &run_reference(run)?)?;
    match repository.follow(git, from, to) {
        Ok(follows) => tracing::debug!(run, follows, "the branch after a landing"),
        Err(error) => tracing::warn!(run, %error, "the branch did not follow"),
    }
    Ok(())
}
