//! A repository of its own, made of a folder's files: where plugins are tried
//! out. Nothing of the user's git configuration counts there.

use std::path::Path;

use git2::{ErrorCode, IndexAddOption, RepositoryInitOptions, Signature, Time};

use super::failed;
use crate::Result;

/// The branch of such a repository.
pub const BRANCH: &str = "main";

/// Makes the folder a repository if it is none, and commits all its files but
/// those that a `.gitignore` names. `time`: seconds since 1970-01-01 UTC.
/// Returns the commit.
pub fn commit_all(folder: &Path, message: &str, time: i64) -> Result<String> {
    let doing = || format!("make a repository of {}", folder.display());
    let mut options = RepositoryInitOptions::new();
    options.initial_head(BRANCH).external_template(false);
    let git = git2::Repository::init_opts(folder, &options).map_err(failed(doing()))?;
    let commit = || {
        git.config()?.set_bool("core.autocrlf", false)?;
        let mut index = git.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = git.find_tree(index.write_tree()?)?;
        let who = Signature::new("code-agent", "code-agent@localhost", &Time::new(time, 0))?;
        let parent = match git.head() {
            Ok(head) => Some(head.peel_to_commit()?),
            Err(error) if error.code() == ErrorCode::UnbornBranch => None,
            Err(error) => return Err(error),
        };
        let parents: Vec<_> = parent.iter().collect();
        git.commit(Some("HEAD"), &who, &who, message, &tree, &parents)
    };
    commit().map(|id| id.to_string()).map_err(failed(doing()))
}
