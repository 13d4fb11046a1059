//! What a role may ask of its checkout's history: status, diff and log. Reads
//! only; what has to be written for a diff stays in memory.

use git2::{DiffFormat, DiffLineType, DiffOptions, Oid, Sort, Tree};

use super::checkout::Checkout;
use super::merge::touches;
use super::path::CheckoutPath;
use super::revision::{resolve, unreadable};
use super::tree::with_changes;
use crate::Error;
use crate::types::CallError;

/// The longest diff, in bytes; what is cut is said in its last line.
const LONGEST_DIFF: usize = 200 * 1024;
/// How many commits a log shows at most, and how many it looks at.
const LOGGED_COMMITS: u32 = 200;
const SEARCHED_COMMITS: usize = 20_000;
/// The longest first line of a commit that is shown, in characters.
const LONGEST_SUMMARY: usize = 200;

/// How a file differs from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// The base has no such file.
    Added,
    /// Bytes or mode differ.
    Modified,
    /// The file is gone.
    Deleted,
}

/// One file that differs from the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEntry {
    /// Where.
    pub path: CheckoutPath,
    /// How.
    pub change: FileChange,
}

/// A commit, as a log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// 40 hex digits.
    pub id: String,
    /// The message's first line.
    pub summary: String,
    /// The author's name.
    pub author: String,
    /// When it was written: seconds since 1970-01-01 UTC.
    pub time: i64,
}

impl Checkout {
    /// What differs from the base, untracked files included, sorted by path.
    pub fn status(&self) -> Result<Vec<StatusEntry>, CallError> {
        let found = self.differences(&self.held()).map_err(unavailable)?.differing;
        let entry = |found: super::compare::Difference| {
            let change = match (found.tracked, found.mode) {
                (false, _) => FileChange::Added,
                (true, Some(_)) => FileChange::Modified,
                (true, None) => FileChange::Deleted,
            };
            StatusEntry { path: found.path, change }
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// A unified diff. An empty `from` means the base, no `to` the checkout as
    /// it is now, untracked files included.
    pub fn diff(&self, from: &str, to: Option<&str>) -> Result<String, CallError> {
        let git = self.repository().git().map_err(unavailable)?;
        let odb = git.odb().map_err(unreadable)?;
        let _in_memory = odb.add_new_mempack_backend(1_000).map_err(unreadable)?;
        let held = self.held();
        let base = held.base.ok_or_else(no_base)?;
        let from = if from.is_empty() { "HEAD" } else { from };
        let old = resolve(&git, base, from)?.tree().map_err(unreadable)?;
        let new = match to {
            Some(to) => resolve(&git, base, to)?.tree().map_err(unreadable)?,
            None => {
                let found = self.differences(&held).map_err(unavailable)?.differing;
                let changes = self.read(found)?;
                let tree = git.find_commit(base).and_then(|commit| commit.tree());
                let tree = tree.map_err(unreadable)?;
                with_changes(&git, &tree, &changes)
                    .and_then(|id| git.find_tree(id))
                    .map_err(unreadable)?
            }
        };
        drop(held);
        let rest = "ask for `git_status`, or read them one by one";
        print(&git, Some(&old), &new, rest).map_err(unreadable)
    }

    /// The history of the base, the newest first; with `path` only the commits
    /// that touched it. At most 200 entries.
    pub fn log(
        &self,
        path: Option<&CheckoutPath>,
        max: u32,
    ) -> Result<Vec<CommitSummary>, CallError> {
        let git = self.repository().git().map_err(unavailable)?;
        let base = self.held().base.ok_or_else(no_base)?;
        history(&git, base, path, max.min(LOGGED_COMMITS) as usize).map_err(unreadable)
    }
}

fn history(
    git: &git2::Repository,
    base: Oid,
    path: Option<&CheckoutPath>,
    max: usize,
) -> Result<Vec<CommitSummary>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TIME)?;
    walk.push(base)?;
    let mut found = Vec::new();
    for id in walk.take(SEARCHED_COMMITS) {
        if found.len() == max {
            break;
        }
        let commit = git.find_commit(id?)?;
        if let Some(path) = path
            && !touches(git, &commit, std::slice::from_ref(path))?
        {
            continue;
        }
        let summary = commit.summary_bytes().unwrap_or_default();
        let summary = String::from_utf8_lossy(summary).chars().take(LONGEST_SUMMARY).collect();
        let author = commit.author();
        found.push(CommitSummary {
            id: commit.id().to_string(),
            summary,
            author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
            time: author.when().seconds(),
        });
    }
    Ok(found)
}

/// Without `old` everything is new; `rest` says how to see what was cut.
pub(super) fn print(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
    rest: &str,
) -> Result<String, git2::Error> {
    print_at(git, old, new, &[], rest)
}

/// The same at these paths alone; without any, everywhere.
pub(super) fn print_at(
    git: &git2::Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
    paths: &[&str],
    rest: &str,
) -> Result<String, git2::Error> {
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true);
    for path in paths {
        options.pathspec(path);
    }
    let diff = git.diff_tree_to_tree(old, Some(new), Some(&mut options))?;
    let mut text = String::new();
    let mut cut = false;
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        let content = String::from_utf8_lossy(line.content());
        let room = LONGEST_DIFF.saturating_sub(text.len() + 1);
        if matches!(
            line.origin_value(),
            DiffLineType::Context | DiffLineType::Addition | DiffLineType::Deletion
        ) {
            text.push(line.origin());
        }
        text.push_str(&content[..content.floor_char_boundary(room)]);
        cut = content.len() > room;
        !cut
    });
    match printed {
        Err(error) if !cut => return Err(error),
        _ => {}
    }
    if cut {
        let files = diff.deltas().len();
        text.push_str(&format!(
            "\n[cut after 200 KB; the whole diff touches {files} files: {rest}]\n"
        ));
    }
    Ok(text)
}

fn unavailable(error: Error) -> CallError {
    CallError::Unavailable(error.to_string())
}

fn no_base() -> CallError {
    CallError::Unavailable("the checkout holds no commit yet".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::checkouts::Checkouts;
    use super::super::testing::{Sandbox, path};
    use super::*;

    fn checkout(sandbox: &Sandbox) -> Checkout {
        let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
        let checkout = checkouts.open("slot-1").unwrap();
        checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
        // The tests write as commands do.
        checkout.folder_for_command(true);
        checkout
    }

    fn two_commits() -> Sandbox {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("b", "one\n")]);
        sandbox.write("a", "two\n");
        sandbox.git(&["commit", "--quiet", "--all", "--message", "second\n\nbody"]);
        sandbox
    }

    #[test]
    fn status_and_diff_show_the_checkout_as_it_is() {
        let sandbox = two_commits();
        let checkout = checkout(&sandbox);
        let folder = checkout.folder().path();
        fs::write(folder.join("a"), "three\n").unwrap();
        fs::remove_file(folder.join("b")).unwrap();
        fs::write(folder.join("new"), "n\n").unwrap();
        let status = checkout.status().unwrap();
        let expected =
            [("a", FileChange::Modified), ("b", FileChange::Deleted), ("new", FileChange::Added)];
        let expected = expected.map(|(at, change)| StatusEntry { path: path(at), change });
        assert_eq!(status, expected);
        let objects = sandbox.git(&["count-objects"]);
        let diff = checkout.diff("", None).unwrap();
        for line in ["-two\n", "+three\n", "+n\n", "-one\n", "+++ b/new\n", "deleted file mode"] {
            assert!(diff.contains(line), "{line:?} in {diff}");
        }
        assert!(checkout.diff("HEAD~1", None).unwrap().contains("-one\n+three\n"));
        assert!(checkout.diff("HEAD~1", Some("HEAD")).unwrap().contains("-one\n+two\n"));
        assert_eq!(sandbox.git(&["count-objects"]), objects, "a diff writes nothing");
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let sandbox = two_commits();
        let checkout = checkout(&sandbox);
        fs::write(checkout.folder().path().join("new"), "é".repeat(LONGEST_DIFF)).unwrap();
        fs::write(checkout.folder().path().join("z"), "line\n".repeat(LONGEST_DIFF)).unwrap();
        let diff = checkout.diff("", None).unwrap();
        assert!(diff.len() < LONGEST_DIFF + 300);
        assert!(diff.lines().last().unwrap().contains("touches 2 files"));
    }

    #[test]
    fn the_log_starts_at_the_base() {
        let sandbox = two_commits();
        let checkout = checkout(&sandbox);
        let log = checkout.log(None, 10).unwrap();
        let summaries: Vec<&str> = log.iter().map(|commit| commit.summary.as_str()).collect();
        assert_eq!(summaries, ["second", "start"]);
        assert_eq!((log[0].author.as_str(), log[0].id.clone()), ("somebody", checkout.base()));
        assert_eq!(checkout.log(None, 1).unwrap().len(), 1);
        let b = checkout.log(Some(&path("b")), 10).unwrap();
        assert_eq!((b.len(), b[0].summary.as_str()), (1, "start"));
    }

    #[test]
    fn only_commits_that_the_checkout_stands_on_are_shown() {
        let sandbox = two_commits();
        let checkout = checkout(&sandbox);
        let secret = sandbox.commit_beside("refs/heads/secret", &[("key", "x\n")]);
        let base = checkout.base();
        assert_eq!(checkout.diff(&base[..8], Some(&base)).unwrap(), "");
        for refused in [
            secret.as_str(),
            "secret",
            "main",
            "HEAD^",
            "HEAD~2",
            "HEAD~-1",
            "HEAD~99999",
            "HEAD~x",
            "abc",
            "--all",
            "HEAD:a",
            "@{0}",
            "é",
            "00000000",
        ] {
            let outcome = checkout.diff(refused, None);
            assert!(matches!(outcome, Err(CallError::Invalid(_))), "{refused}: {outcome:?}");
        }
    }
}
