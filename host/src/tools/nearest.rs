//! Tells a model what there is instead of a path that does not exist.

use super::{place, walk};
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// So many suggestions are enough.
const MOST_SUGGESTIONS: usize = 5;
/// The walk for files of the same name ends after so many entries.
const MOST_ENTRIES: usize = 50_000;
/// Names less alike than this (from 0 to 1) are no suggestion.
const LEAST_LIKENESS: f64 = 0.7;

/// Adds to a `NotFound` which existing paths are nearest; other errors stay
/// as they are.
pub fn explain(folder: &Folder, path: &CheckoutPath, error: CallError) -> CallError {
    let CallError::NotFound(sentence) = error else { return error };
    let mut parent = path.parent().unwrap_or_else(CheckoutPath::top);
    while !parent.is_top() && place::resolve(folder, &parent).is_err() {
        parent = parent.parent().unwrap_or_else(CheckoutPath::top);
    }
    let suggestions = suggestions(folder, path, &parent);
    let hint = if suggestions.is_empty() {
        format!("the nearest folder that exists is `{parent}`; look into it first")
    } else {
        format!("did you mean {}?", suggestions.join(" or "))
    };
    CallError::NotFound(format!("{sentence}; {hint}"))
}

/// Paths that end in the same name, failing that those in `parent` with a
/// like name.
fn suggestions(folder: &Folder, path: &CheckoutPath, parent: &CheckoutPath) -> Vec<String> {
    let Ok(mut walk) = walk::walk(folder, &CheckoutPath::top()) else { return Vec::new() };
    let wanted = name(path);
    let mut same = Vec::new();
    let mut alike = Vec::new();
    let walk = walk.sort_by_file_name(Ord::cmp).build().take(MOST_ENTRIES);
    for entry in walk.filter_map(Result::ok).filter_map(|entry| folder.path_of(&entry)) {
        if name(&entry) == wanted {
            same.push(format!("`{entry}`"));
            if same.len() >= MOST_SUGGESTIONS {
                break;
            }
        } else if entry.parent().as_ref() == Some(parent) {
            let likeness = strsim::jaro_winkler(name(&entry), wanted);
            if likeness >= LEAST_LIKENESS {
                alike.push((likeness, format!("`{entry}`")));
            }
        }
    }
    if !same.is_empty() {
        return same;
    }
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    alike.into_iter().map(|(_, path)| path).take(MOST_SUGGESTIONS).collect()
}

fn name(path: &CheckoutPath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::testing::{checkout, path};

    #[test]
    fn what_exists_is_suggested() {
        let (_guard, folder) =
            checkout(&[("src/auth/mod.rs", ""), ("src/main.rs", ""), ("lib/parser.rs", "")]);
        let explained = |text: &str| {
            explain(&folder, &path(text), CallError::NotFound("gone".to_owned())).to_string()
        };
        assert_eq!(explained("src/parser.rs"), "not found: gone; did you mean `lib/parser.rs`?");
        assert_eq!(explained("src/mian.rs"), "not found: gone; did you mean `src/main.rs`?");
        assert!(explained("src/auth/x/y/z").contains("exists is `src/auth`;"));
        let other = CallError::Denied("no".to_owned());
        assert_eq!(explain(&folder, &path("x"), other.clone()), other);
    }
}
