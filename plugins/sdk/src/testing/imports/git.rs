//! What a [`testing::Host`](crate::testing::Host) knows of the history. In a
//! component, the history that the caller's checkout stands on.

pub use crate::bindings::imports::code_agent::plugin::git::{Change, Commit, StatusEntry};
use crate::testing::state::granted;
use crate::types::Error;

/// What is different from the start. The fake knows no renames.
pub fn status() -> Result<Vec<StatusEntry>, Error> {
    granted("git", |state| {
        let entry = |path: &String, change| StatusEntry { path: path.clone(), change };
        let mut entries: Vec<_> = state
            .files
            .iter()
            .filter_map(|(path, bytes)| match state.tip.get(path) {
                None => Some(entry(path, Change::Added)),
                Some(old) => (old != bytes).then(|| entry(path, Change::Modified)),
            })
            .collect();
        let gone = state.tip.keys().filter(|path| !state.files.contains_key(*path));
        entries.extend(gone.map(|path| entry(path, Change::Deleted)));
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    })
}

/// The diff that the test set.
pub fn diff(_from: &str, _to: Option<&str>) -> Result<String, Error> {
    granted("git", |state| Ok(state.diff.clone()))
}

/// The commits that the test set, whatever files they touched.
pub fn log(_path: Option<&str>, max_entries: u32) -> Result<Vec<Commit>, Error> {
    granted("git", |state| Ok(state.commits.iter().take(max_entries as usize).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files_write;
    use crate::testing::Host;

    #[test]
    fn the_history_is_what_the_test_set_and_the_status_what_changed() {
        let host = Host::new().file("a", "").file("b", "").commit("2", "Two").commit("1", "One");
        host.diff("+x").run(|| {
            files_write::write("a", b"x", None).unwrap();
            files_write::rename("b", "c").unwrap();
            let status = status().unwrap();
            let changes: Vec<_> = status.iter().map(|one| (&*one.path, one.change)).collect();
            let expected = [("a", Change::Modified), ("b", Change::Deleted), ("c", Change::Added)];
            assert_eq!(changes, expected);
            assert_eq!(log(None, 1).unwrap()[0].summary, "Two");
            assert_eq!(diff("1", None), Ok("+x".to_owned()));
        });
    }
}
