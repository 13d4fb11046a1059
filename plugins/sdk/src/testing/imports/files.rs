//! Reads the checkout of a [`testing::Host`](crate::testing::Host), which lies in
//! memory. In a component, the caller's own checkout.

use std::collections::BTreeSet;

use regex::RegexBuilder;

use super::glob::Globs;
use super::path;
pub use crate::bindings::imports::code_agent::plugin::files::{Hit, Hits, Listing, Query};
use crate::testing::state::{State, granted};
use crate::types::Error;

/// At most `length` bytes from `offset`; fewer at the end of the file.
pub fn read(path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
    granted("files", |state| {
        let bytes = bytes(state, path)?;
        let index =
            |place: u64| usize::try_from(place).map_or(bytes.len(), |at| at.min(bytes.len()));
        let end = index(offset.saturating_add(length.into()));
        Ok(bytes[index(offset)..end].to_vec())
    })
}

/// Lines `first` to `last`, counted from 1, both included.
pub fn read_lines(path: &str, first: u32, last: u32) -> Result<String, Error> {
    granted("files", |state| {
        if first == 0 || last < first {
            return Err(Error::Invalid(format!(
                "there are no lines {first} to {last}: lines count from 1"
            )));
        }
        let bytes = bytes(state, path)?;
        if bytes.contains(&0) {
            return Err(Error::Invalid(format!("{path} is a binary file, not text")));
        }
        let text = String::from_utf8_lossy(bytes);
        let lines = (1..=last).zip(text.split_inclusive('\n'));
        Ok(lines.filter(|(number, _)| *number >= first).map(|(_, line)| line).collect())
    })
}

/// Every file that one of the globs matches.
pub fn list(globs: &[String], max_entries: u32) -> Result<Listing, Error> {
    granted("files", |state| {
        let globs = Globs::parse(globs)?;
        let all = state.files.keys().chain(state.unreadable.keys());
        let mut paths: Vec<String> = all.filter(|path| globs.want(path)).cloned().collect();
        paths.sort_unstable();
        let truncated = paths.len() > max_entries as usize;
        paths.truncate(max_entries as usize);
        Ok(Listing { paths, truncated })
    })
}

/// An indented picture of the folders.
pub fn tree(path: &str, depth: u32) -> Result<String, Error> {
    granted("files", |state| {
        let top = path::parse(path)?;
        if state.files.contains_key(&top) {
            return Err(Error::Invalid(format!("{path} is a file, not a folder")));
        }
        let prefix = if top.is_empty() { String::new() } else { format!("{top}/") };
        let mut entries = BTreeSet::new();
        for below in state.files.keys().filter_map(|file| file.strip_prefix(&prefix)) {
            let folders = below.match_indices('/').map(|(end, _)| &below[..=end]);
            entries.extend(folders.chain([below]));
        }
        if entries.is_empty() && !top.is_empty() {
            return Err(missing(path));
        }
        let mut picture = format!("{top}/\n");
        for entry in entries {
            let level = entry.trim_end_matches('/').matches('/').count() + 1;
            if level <= depth.max(1) as usize {
                let name = entry.trim_end_matches('/').rsplit('/').next().unwrap_or(entry);
                let end = if entry.ends_with('/') { "/" } else { "" };
                picture.push_str(&format!("{}{name}{end}\n", "  ".repeat(level)));
            }
        }
        Ok(picture)
    })
}

/// Every line that the regular expression matches, by file and line.
pub fn search(query: &Query) -> Result<Hits, Error> {
    granted("files", |state| {
        let pattern = RegexBuilder::new(&query.pattern)
            .case_insensitive(query.ignore_case)
            .build()
            .map_err(|error| {
                Error::Invalid(format!("the pattern {:?} can't be used: {error}", query.pattern))
            })?;
        let globs = Globs::parse(&query.globs)?;
        let mut found = Hits { hits: Vec::new(), truncated: false };
        let mut left = query.max_hits as usize;
        for (path, bytes) in state.files.iter().filter(|(path, _)| globs.want(path)) {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<&str> = text.lines().collect();
            let mut matching: Vec<usize> =
                (0..lines.len()).filter(|&index| pattern.is_match(lines[index])).collect();
            found.truncated |= matching.len() > left;
            matching.truncate(left);
            left -= matching.len();
            found.hits.extend(around(path, &lines, &matching, query.context_lines as usize));
        }
        Ok(found)
    })
}

/// The matching lines with those around them, each once.
fn around(path: &str, lines: &[&str], matching: &[usize], context: usize) -> Vec<Hit> {
    let is_near = |index: usize| matching.iter().any(|&hit| hit.abs_diff(index) <= context);
    let near = lines.iter().enumerate().filter(|(index, _)| is_near(*index));
    near.map(|(index, line)| Hit {
        path: path.to_owned(),
        line: u32::try_from(index + 1).unwrap_or(u32::MAX),
        text: (*line).to_owned(),
        matched: matching.contains(&index),
    })
    .collect()
}

fn bytes<'a>(state: &'a State, path: &str) -> Result<&'a Vec<u8>, Error> {
    let parsed = path::parse_file(path)?;
    match state.unreadable.get(&parsed) {
        Some(error) => Err(error.clone()),
        None => state.files.get(&parsed).ok_or_else(|| missing(path)),
    }
}

/// What is said of a path that leads to nothing.
pub(super) fn missing(path: &str) -> Error {
    Error::NotFound(format!("{path} does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn host() -> Host {
        Host::new()
            .file("src/a.rs", "one\ntwo\nthree\n")
            .file("src/deep/b.rs", "Two\n")
            .file("c", "x")
    }

    #[test]
    fn files_are_read_by_bytes_and_by_lines() {
        host().run(|| {
            assert_eq!(read("src/a.rs", 2, 4), Ok(b"e\ntw".to_vec()));
            assert_eq!(read("./c", 9, 4), Ok(Vec::new()));
            assert_eq!(read_lines("src/a.rs", 2, 9), Ok("two\nthree\n".to_owned()));
            assert!(matches!(read("d", 0, 1), Err(Error::NotFound(_))));
            for bad in ["/c", "../c", "src/.git/x", "", "c/"] {
                assert!(matches!(read(bad, 0, 1), Err(Error::Invalid(_))), "{bad}");
            }
            assert!(matches!(read_lines("c", 0, 1), Err(Error::Invalid(_))));
        });
    }

    #[test]
    fn files_are_listed_and_drawn() {
        host().run(|| {
            let listing = list(&["*.rs".to_owned()], 1).unwrap();
            assert_eq!((&*listing.paths, listing.truncated), (&["src/a.rs".to_owned()][..], true));
            assert_eq!(tree(".", 2).unwrap(), "/\n  c\n  src/\n    a.rs\n    deep/\n");
            assert_eq!(tree("src/deep", 1).unwrap(), "src/deep/\n  b.rs\n");
            assert!(tree("c", 1).is_err() && tree("nowhere", 1).is_err());
        });
    }

    #[test]
    fn what_cannot_be_read_is_listed_all_the_same() {
        let error = || Error::Denied("src/b.rs leads out of the checkout".to_owned());
        host().unreadable("src/b.rs", error()).run(|| {
            let listing = list(&["src/*.rs".to_owned()], 9).unwrap();
            assert_eq!(listing.paths, ["src/a.rs", "src/b.rs"]);
            assert_eq!(read("src/b.rs", 0, 1), Err(error()));
        });
    }

    #[test]
    fn a_search_gives_lines_with_those_around_them() {
        let query = |pattern: &str, max_hits| Query {
            pattern: pattern.to_owned(),
            globs: Vec::new(),
            ignore_case: true,
            context_lines: 1,
            max_hits,
        };
        host().run(|| {
            let found = search(&query("^two", 9)).unwrap();
            let lines: Vec<_> = found.hits.iter().map(|hit| (&*hit.text, hit.matched)).collect();
            assert_eq!(lines, [("one", false), ("two", true), ("three", false), ("Two", true)]);
            assert!(!found.truncated);
            assert!(search(&query("two", 1)).unwrap().truncated);
            assert!(matches!(search(&query("(", 1)), Err(Error::Invalid(_))));
        });
    }
}
